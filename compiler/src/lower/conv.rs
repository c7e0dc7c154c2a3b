//! A mapped convolution → items: per output tile, chunk and part the loads, one array run, and after the last part requantisation and store.

use systole_machine::isa::{DataflowChoice, Flag, Operation, Real, Signed, Space, VectorOperand};
use systole_machine::spec::{Dataflow, Machine};
use systole_network::tensor::DType;

use crate::error::CompileError;
use crate::layers::Window;
use crate::lower::{Cut, Item, Turn, field, load_bytes, load_cut, store_cut, too_large};
use crate::fixed::{mode, record_bytes};
use crate::mapping::conv::block_vectors;
use crate::mapping::{Chunk, ConvMapping, Part, SpatialTile, spatial_tiles};
use crate::memory::Place;
use crate::schedule::{Access, Memory, Step};

/// All that lowering needs to know of a convolution.
#[derive(Clone, Copy, Debug)]
pub struct Conv<'a> {
    /// Layer index and name.
    pub layer: u32,
    /// Its name.
    pub name: &'a str,
    /// The window.
    pub window: &'a Window,
    /// The machine.
    pub machine: &'a Machine,
    /// The mapping.
    pub mapping: &'a ConvMapping,
    /// Input.
    pub input: Place,
    /// Output; the layer's channels only.
    pub output: Place,
    /// First byte of the weight tiles in DRAM.
    pub weights: u64,
    /// First byte of the requantisation parameters in DRAM, a record a channel.
    pub params: u64,
    /// Input type and zero point.
    pub input_type: (DType, i32),
    /// Weight type and zero point.
    pub weight_type: (DType, i32),
    /// Output type and zero point.
    pub output_type: (DType, i32),
    /// Clamp.
    pub clamp: (i32, i32),
}

struct State {
    input: Turn,
    output: Turn,
    params: Turn,
    weight: Turn,
    accumulator: Turn,
    /// Resident weights that have been loaded, by offset.
    loaded: std::collections::BTreeSet<u64>,
}

impl Conv<'_> {
    /// The items of the layer, in order.
    ///
    /// # Errors
    /// Sizes beyond an instruction field.
    pub fn items(&self) -> Result<Vec<Item>, CompileError> {
        let mapping = self.mapping;
        let mut state = State {
            input: Turn::new(mapping.regions[0]),
            output: Turn::new(mapping.regions[1]),
            params: Turn::new(mapping.regions[2]),
            weight: Turn::new(mapping.weight_slots),
            accumulator: Turn::new(mapping.accumulator_slots),
            loaded: Default::default(),
        };
        let [_, height, width, _] = self.input.dims;
        let [images, out_height, out_width, _] = self.output.dims;
        let tiles = spatial_tiles(self.window, [height, width], [out_height, out_width], mapping.tile);
        let mut items = vec![];
        for image in 0..images {
            for tile in &tiles {
                self.tile_items(image, tile, &mut state, &mut items)?;
            }
        }
        Ok(items)
    }

    fn tile_items(
        &self,
        image: usize,
        tile: &SpatialTile,
        state: &mut State,
        items: &mut Vec<Item>,
    ) -> Result<(), CompileError> {
        let mapping = self.mapping;
        let shared_input = if mapping.shared { Some(state.input.take()) } else { None };
        let whole_output = if mapping.whole_output { Some(state.output.take()) } else { None };
        for (chunk_index, chunk) in mapping.chunks.iter().enumerate() {
            let accumulator = state.accumulator.take();
            let params = state.params.take();
            for (part_index, part) in chunk.parts.iter().enumerate() {
                let last = part_index + 1 == chunk.parts.len();
                let mut item = Item::default();
                // Kernel rows that see nothing but padding below the tile add nothing; the first part's never do.
                if part.rows_under(self.window, tile).0 < tile.in_size[0] {
                    let work = PartWork { chunk, part, accumulate: part_index > 0, accumulator };
                    let load_shared = chunk_index == 0 && part_index == 0;
                    self.part(image, tile, &work, shared_input, load_shared, state, &mut item)?;
                }
                if last {
                    let record = record_bytes(self.machine);
                    let first = self.params + record * chunk.outputs.0 as u64;
                    let bytes = record * chunk.outputs.1 as u64;
                    item.loads.push(load_bytes(self.layer, self.name, first, params, Space::Activation, bytes)?);
                    self.finish(image, tile, chunk, accumulator, params, whole_output, state, &mut item)?;
                    if let Some(buffer) = whole_output.filter(|_| chunk_index + 1 == mapping.chunks.len()) {
                        let channels = (0, self.output.dims[3]);
                        let cut = Cut { image, first: tile.out, size: tile.out_size, channels };
                        let pitch = channels.1 as u64 * self.output.element_bytes;
                        item.stores.push(store_cut(self.layer, self.name, &self.output, &cut, buffer, pitch)?);
                    }
                }
                items.push(item);
            }
        }
        Ok(())
    }

    /// Loads and array run of one part. `shared_input` is the region of an input tile that serves all parts.
    #[allow(clippy::too_many_arguments, reason = "the state of one part, used once")]
    fn part(
        &self,
        image: usize,
        tile: &SpatialTile,
        work: &PartWork<'_>,
        shared_input: Option<u64>,
        load_shared: bool,
        state: &mut State,
        item: &mut Item,
    ) -> Result<(), CompileError> {
        let channels = work.part.channels;
        let weight = self.load_weights(work.part, state, item)?;
        let element = self.input.element_bytes as usize;
        let (buffer, pitch, offset) = match shared_input {
            Some(buffer) => (buffer, self.input.dims[3] * element, channels.0 * element),
            None => (state.input.take(), channels.1 * element, 0),
        };
        if load_shared || shared_input.is_none() {
            let channels = if shared_input.is_some() { (0, self.input.dims[3]) } else { channels };
            let cut = Cut { image, first: tile.input, size: tile.in_size, channels };
            item.loads.push(load_cut(self.layer, self.name, &self.input, &cut, buffer)?);
        }
        item.work.push(self.array_step(tile, work, InputRegion { buffer, pitch, offset }, weight)?);
        Ok(())
    }

    /// An input-stationary array leaves a vector for each output channel, of pixels.
    fn transposed(&self) -> bool {
        self.mapping.dataflow == Dataflow::InputStationary
    }

    /// Accumulator vectors of a chunk over a tile.
    fn vectors(&self, chunk: &Chunk, tile: &SpatialTile) -> u64 {
        let pixels = tile.out_size[0] * tile.out_size[1];
        chunk.blocks as u64 * block_vectors(self.machine, self.mapping.dataflow, chunk.block_channels, pixels)
    }

    fn load_weights(&self, part: &Part, state: &mut State, item: &mut Item) -> Result<u64, CompileError> {
        let buffer = if self.mapping.resident { part.weight_offset } else { state.weight.take() };
        if !self.mapping.resident || state.loaded.insert(part.weight_offset) {
            let dram = self.weights + part.weight_offset;
            item.loads.push(load_bytes(self.layer, self.name, dram, buffer, Space::Weight, part.weight_bytes)?);
        }
        Ok(buffer)
    }

    fn array_step(
        &self,
        tile: &SpatialTile,
        run: &PartWork<'_>,
        input: InputRegion,
        weight: u64,
    ) -> Result<Step, CompileError> {
        let (name, window) = (self.name, self.window);
        let run_channels = if run.chunk.block_step > 0 { run.chunk.run_channels } else { run.part.channels.1 };
        let row_pitch = (tile.in_size[1] * input.pitch) as u64;
        let (skipped, pad_top) = run.part.rows_under(window, tile);
        let height = tile.in_size[0] - skipped;
        let signed = |value: i32| Signed::<16>::new(i64::from(value)).map_err(|error| too_large(name, &error));
        let array = field(0, name)?;
        let outputs = if self.transposed() { run.chunk.block_channels } else { 0 };
        let setup = vec![
            Operation::ArrayInput {
                height: field(height as u64, name)?,
                width: field(tile.in_size[1] as u64, name)?,
                row_pitch: field(row_pitch, name)?,
                pixel_pitch: field(input.pitch as u64, name)?,
                array,
            },
            Operation::ArrayWindow {
                kernel_h: field(run.part.kernel_rows.1 as u64, name)?,
                kernel_w: field(window.kernel[1] as u64, name)?,
                stride_h: field(window.stride[0] as u64, name)?,
                stride_w: field(window.stride[1] as u64, name)?,
                dilation_h: field(window.dilation[0] as u64, name)?,
                dilation_w: field(window.dilation[1] as u64, name)?,
                pad_top: field(pad_top as u64, name)?,
                pad_left: field(tile.pad[1] as u64, name)?,
                packed: Flag(self.mapping.packed),
                array,
            },
            Operation::ArrayOutput {
                height: field(tile.out_size[0] as u64, name)?,
                width: field(tile.out_size[1] as u64, name)?,
                channels: field(run_channels as u64, name)?,
                block_step: field(run.chunk.block_step as u64 * self.input.element_bytes, name)?,
                outputs: field(outputs as u64, name)?,
                array,
            },
            Operation::ArrayQuant {
                zero_activation: signed(self.input_type.1)?,
                zero_weight: signed(self.weight_type.1)?,
                signed_activation: Flag(self.input_type.0 != DType::U8),
                signed_weight: Flag(self.weight_type.0 == DType::I8),
                wide_activation: Flag(self.input_type.0 == DType::I16),
                array,
            },
        ];
        let activation = input.buffer + input.offset as u64 + skipped as u64 * row_pitch;
        let operation = Operation::ArrayRun {
            activation: field(activation, name)?,
            weight: field(weight, name)?,
            accumulator: field(run.accumulator, name)?,
            blocks: field(run.chunk.blocks as u64, name)?,
            accumulate: Flag(run.accumulate),
            dataflow: match self.mapping.dataflow {
                Dataflow::WeightStationary => DataflowChoice::WeightStationary,
                Dataflow::OutputStationary => DataflowChoice::OutputStationary,
                Dataflow::InputStationary => DataflowChoice::InputStationary,
            },
            array,
        };
        let input_bytes = (tile.in_size[0] * tile.in_size[1] * input.pitch) as u64;
        let read = |memory, first, bytes| Access { memory, first, end: first + bytes, write: false };
        let sums = self.vectors(run.chunk, tile);
        let accesses = vec![
            read(Memory::Activation, input.buffer, input_bytes),
            read(Memory::Weight, weight, run.part.weight_bytes),
            Access { memory: Memory::Accumulator, first: run.accumulator, end: run.accumulator + sums, write: true },
        ];
        Ok(Step::new(self.layer, setup, operation, accesses))
    }

    /// Requantisation of a chunk and, unless the whole output is stored at the end, its store.
    #[allow(clippy::too_many_arguments, reason = "the state of one chunk, used once")]
    fn finish(
        &self,
        image: usize,
        tile: &SpatialTile,
        chunk: &Chunk,
        accumulator: u64,
        params: u64,
        whole_output: Option<u64>,
        state: &mut State,
        item: &mut Item,
    ) -> Result<(), CompileError> {
        let name = self.name;
        let element = self.output.element_bytes as usize;
        let (region, pitch, offset) = match whole_output {
            Some(region) => (region, self.output.dims[3] * element, chunk.outputs.0 * element),
            None => (state.output.take(), chunk.outputs.1 * element, 0),
        };
        let out = region + offset as u64;
        let row_pitch = (tile.out_size[1] * pitch) as u64;
        let setup = vec![
            shape(name, tile.out_size, chunk.outputs.1, chunk.block_channels)?,
            pitches(name, VectorOperand::Out, row_pitch, pitch as u64)?,
            quant(name, [(DType::I8, 0), (DType::I8, 0), self.output_type], self.clamp)?,
        ];
        let operation = Operation::VectorRequant {
            accumulator: field(accumulator, name)?,
            params: field(params, name)?,
            out: field(out, name)?,
            mode: mode(self.machine),
            transposed: Flag(self.transposed()),
        };
        let pixels = (tile.out_size[0] * tile.out_size[1]) as u64;
        let sums = self.vectors(chunk, tile);
        let read = |memory, first, count| Access { memory, first, end: first + count, write: false };
        let bytes = (pixels - 1) * pitch as u64 + (chunk.outputs.1 * element) as u64;
        let accesses = vec![
            read(Memory::Accumulator, accumulator, sums),
            read(Memory::Activation, params, record_bytes(self.machine) * chunk.outputs.1 as u64),
            Access { memory: Memory::Activation, first: out, end: out + bytes, write: true },
        ];
        item.work.push(Step::new(self.layer, setup, operation, accesses));
        if whole_output.is_none() {
            let cut = Cut { image, first: tile.out, size: tile.out_size, channels: chunk.outputs };
            item.stores.push(store_cut(self.layer, name, &self.output, &cut, out, pitch as u64)?);
        }
        Ok(())
    }
}

/// What one array run adds up.
struct PartWork<'a> {
    chunk: &'a Chunk,
    part: &'a Part,
    accumulate: bool,
    accumulator: u64,
}

/// Where a part's input lies: region, bytes from pixel to pixel, first channel's offset.
#[derive(Clone, Copy)]
struct InputRegion {
    buffer: u64,
    pitch: usize,
    offset: usize,
}

pub(crate) fn shape(
    name: &str,
    size: [usize; 2],
    channels: usize,
    block_channels: usize,
) -> Result<Operation, CompileError> {
    Ok(Operation::VectorShape {
        height: field(size[0] as u64, name)?,
        width: field(size[1] as u64, name)?,
        channels: field(channels as u64, name)?,
        block_channels: field(block_channels as u64, name)?,
    })
}

pub(crate) fn pitches(name: &str, operand: VectorOperand, row: u64, pixel: u64) -> Result<Operation, CompileError> {
    Ok(Operation::VectorPitch { operand, row_pitch: field(row, name)?, pixel_pitch: field(pixel, name)? })
}

/// `types`: element type and zero point of a, b, out.
pub(crate) fn quant(name: &str, types: [(DType, i32); 3], clamp: (i32, i32)) -> Result<Operation, CompileError> {
    let value = |value: i32| Signed::<16>::new(i64::from(value)).map_err(|error| too_large(name, &error));
    let signed = |index: usize| Flag(types[index].0 != DType::U8);
    let wide = |index: usize| Flag(types[index].0 == DType::I16);
    Ok(Operation::VectorQuant {
        zero_a: value(types[0].1)?,
        zero_b: value(types[1].1)?,
        zero_out: value(types[2].1)?,
        low: value(clamp.0)?,
        high: value(clamp.1)?,
        signed_a: signed(0),
        signed_b: signed(1),
        signed_out: signed(2),
        wide_a: wide(0),
        wide_b: wide(1),
        wide_out: wide(2),
    })
}

pub(crate) fn scales(a: f32, b: f32, out: f32) -> Operation {
    Operation::VectorScale { a: Real::new(a), b: Real::new(b), out: Real::new(out) }
}
