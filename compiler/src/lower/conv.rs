//! A mapped convolution → items: per output tile, chunk and part the loads, one array run, and after the last part requantisation and store.

use std::collections::{BTreeMap, BTreeSet};

use systole_machine::isa::{
    ActivationFormat, DataflowChoice, Flag, Operation, Signed, Space, VectorOperand, WeightFormat,
};
use systole_machine::spec::{Dataflow, Machine};
use systole_network::tensor::DType;

use crate::compress::stored::StoredWeights;
use crate::error::CompileError;
use crate::fixed::{mode, record_bytes};
use crate::formats;
use crate::layers::Window;
use crate::lower::setup::{pitches, quant, shape};
use crate::lower::{Cut, Item, Turn, decode_bytes, field, load_bytes, load_cut, store_cut, too_large};
use crate::mapping::conv::Side;
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
    /// The weight tiles in DRAM.
    pub weights: &'a StoredWeights,
    /// First byte of the requantisation parameters in DRAM, a record a channel.
    pub params: u64,
    /// Input type and zero point.
    pub input_type: (DType, i32),
    /// Weight type and zero point.
    pub weight_type: (DType, i32),
    /// How they are stored.
    pub weight_format: WeightFormat,
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
    /// The array that takes the next piece.
    array: usize,
    /// Resident weights that have been loaded, by copy and offset.
    loaded: BTreeSet<(usize, u64)>,
}

impl State {
    fn new(mapping: &ConvMapping) -> Self {
        let place = &mapping.place;
        let [input, output, params] = place.regions.each_ref().map(|slots| Turn::new(slots));
        let (weight, accumulator) = (Turn::new(&place.weight), Turn::new(&place.sums));
        State { input, output, params, weight, accumulator, array: 0, loaded: BTreeSet::new() }
    }

    fn take_array(&mut self, arrays: usize) -> usize {
        let array = self.array;
        self.array = (array + 1) % arrays;
        array
    }
}

/// A tile of an image, or of its copy on one array.
#[derive(Clone, Copy)]
struct TileRegions<'t> {
    image: usize,
    tile: &'t SpatialTile,
    /// The input that serves all chunks, and whether it is loaded yet.
    input: Option<(u64, bool)>,
    /// The output that all chunks write into.
    output: Option<u64>,
}

/// A chunk of a tile: what one array works on beside the others of a group.
#[derive(Clone, Copy)]
struct Lane<'t> {
    regions: TileRegions<'t>,
    chunk: &'t Chunk,
    /// The tile's last.
    last: bool,
    array: usize,
    accumulator: u64,
    /// Where its parameters lie, and whether they are loaded yet.
    params: (u64, bool),
}

impl Conv<'_> {
    /// The items of the layer, in order.
    ///
    /// # Errors
    /// Sizes beyond an instruction field.
    pub fn items(&self) -> Result<Vec<Item>, CompileError> {
        let mapping = self.mapping;
        let mut state = State::new(mapping);
        let [_, height, width, _] = self.input.dims;
        let [images, out_height, out_width, _] = self.output.dims;
        let tiles = spatial_tiles(self.window, [height, width], [out_height, out_width], mapping.tile);
        let all: Vec<_> = (0..images).flat_map(|image| tiles.iter().map(move |tile| (image, tile))).collect();
        let mut items = vec![];
        match mapping.spread.side {
            Side::Chunks => {
                for &(image, tile) in &all {
                    self.side_by_side_chunks(image, tile, &mut state, &mut items)?;
                }
            }
            Side::Tiles => {
                for group in all.chunks(mapping.spread.arrays) {
                    self.side_by_side_tiles(group, &mut state, &mut items)?;
                }
            }
        }
        Ok(items)
    }

    fn tile_regions<'t>(&self, image: usize, tile: &'t SpatialTile, state: &mut State) -> TileRegions<'t> {
        let input = self.mapping.shared.then(|| (state.input.take(), false));
        TileRegions { image, tile, input, output: self.mapping.whole_output.then(|| state.output.take()) }
    }

    /// A tile, with groups of chunks on as many arrays.
    fn side_by_side_chunks(
        &self,
        image: usize,
        tile: &SpatialTile,
        state: &mut State,
        items: &mut Vec<Item>,
    ) -> Result<(), CompileError> {
        let (chunks, arrays, copies) =
            (&self.mapping.chunks, self.mapping.spread.arrays, self.mapping.spread.copies && self.mapping.shared);
        let mut regions = self.tile_regions(image, tile, state);
        // The copies' places, by array.
        let mut inputs: BTreeMap<usize, u64> = BTreeMap::new();
        for (group, side_by_side) in chunks.chunks(arrays).enumerate() {
            let mut lanes = vec![];
            for (lane, chunk) in side_by_side.iter().enumerate() {
                let array = state.take_array(arrays);
                if copies {
                    let mine = inputs.get(&array).map(|&region| (region, true));
                    // The first copy's place was taken with the tile.
                    let first = regions.input.filter(|_| inputs.is_empty());
                    regions.input = mine.or(first).or_else(|| Some((state.input.take(), false)));
                    inputs.extend(regions.input.map(|(region, _)| (array, region)));
                }
                let last = group * arrays + lane + 1 == chunks.len();
                let (accumulator, params) = (state.accumulator.take(), (state.params.take(), false));
                lanes.push(Lane { regions, chunk, last, array, accumulator, params });
                if !copies {
                    regions.input = regions.input.map(|(region, _)| (region, true));
                }
            }
            self.group_items(&lanes, state, items)?;
        }
        Ok(())
    }

    /// Tiles on as many arrays, chunk by chunk.
    fn side_by_side_tiles(
        &self,
        tiles: &[(usize, &SpatialTile)],
        state: &mut State,
        items: &mut Vec<Item>,
    ) -> Result<(), CompileError> {
        let (chunks, arrays) = (&self.mapping.chunks, self.mapping.spread.arrays);
        let mut places: Vec<(TileRegions<'_>, usize)> = tiles
            .iter()
            .map(|&(image, tile)| (self.tile_regions(image, tile, state), state.take_array(arrays)))
            .collect();
        for (index, chunk) in chunks.iter().enumerate() {
            let params = state.params.take();
            let lanes: Vec<Lane<'_>> = places
                .iter()
                .enumerate()
                .map(|(lane, &(regions, array))| Lane {
                    regions,
                    chunk,
                    last: index + 1 == chunks.len(),
                    array,
                    accumulator: state.accumulator.take(),
                    params: (params, lane > 0),
                })
                .collect();
            self.group_items(&lanes, state, items)?;
            for (regions, _) in &mut places {
                regions.input = regions.input.map(|(region, _)| (region, true));
            }
        }
        Ok(())
    }

    /// The items of chunks that run side by side: part by part, so that none waits for all parts of another.
    fn group_items(&self, lanes: &[Lane<'_>], state: &mut State, items: &mut Vec<Item>) -> Result<(), CompileError> {
        let parts = lanes.iter().map(|lane| lane.chunk.parts.len()).max().unwrap_or(0);
        for index in 0..parts {
            // What the lanes of one chunk have in common.
            let mut weights = None;
            for lane in lanes {
                let Some(part) = lane.chunk.parts.get(index) else { continue };
                let mut item = Item::default();
                // Kernel rows that see nothing but padding below the tile add nothing; the first part's never do.
                if part.rows_under(self.window, lane.regions.tile).0 < lane.regions.tile.in_size[0] {
                    let work = PartWork { lane, part, first: index == 0 };
                    self.part(&work, &mut weights, state, &mut item)?;
                }
                if index + 1 == lane.chunk.parts.len() {
                    self.finish(lane, state, &mut item)?;
                }
                items.push(item);
            }
        }
        Ok(())
    }

    /// Loads and array run of one part. `weights`: where those of this part lie for all lanes, once loaded.
    fn part(
        &self,
        work: &PartWork<'_>,
        weights: &mut Option<u64>,
        state: &mut State,
        item: &mut Item,
    ) -> Result<(), CompileError> {
        let (regions, channels) = (work.lane.regions, work.part.channels);
        let spread = self.mapping.spread;
        let common = weights.filter(|_| spread.side == Side::Tiles && !spread.copies);
        let weight = match common {
            Some(weight) => weight,
            None => self.load_weights(work, state, item)?,
        };
        *weights = Some(weight);
        let bytes = |channels: usize| self.input.pixel_bytes(channels) as usize;
        let (buffer, pitch, offset) = match regions.input {
            Some((buffer, _)) => (buffer, bytes(self.input.dims[3]), bytes(channels.0)),
            None => (state.input.take(), bytes(channels.1), 0),
        };
        if regions.input.is_none_or(|(_, loaded)| !loaded && work.first) {
            let channels = if regions.input.is_some() { (0, self.input.dims[3]) } else { channels };
            let tile = regions.tile;
            let cut = Cut { image: regions.image, first: tile.input, size: tile.in_size, channels };
            item.loads.push(load_cut(self.layer, self.name, &self.input, &cut, buffer)?);
        }
        item.work.push(self.array_step(work, InputRegion { buffer, pitch, offset }, weight)?);
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

    fn load_weights(&self, work: &PartWork<'_>, state: &mut State, item: &mut Item) -> Result<u64, CompileError> {
        let (part, place) = (work.part, &self.mapping.place);
        let copy = work.lane.array % self.mapping.spread.weight_copies();
        let buffer = if place.resident { place.weight[copy] + part.weight_offset } else { state.weight.take() };
        if !place.resident || state.loaded.insert((copy, part.weight_offset)) {
            let (name, place, bytes) = (self.name, self.weights.place(part.weight_offset), part.weight_bytes);
            item.loads.push(match place.stream {
                Some(stream) => decode_bytes(self.layer, name, (place.address, stream), buffer, bytes)?,
                None => load_bytes(self.layer, name, place.address, buffer, Space::Weight, bytes)?,
            });
        }
        Ok(buffer)
    }

    fn array_step(&self, run: &PartWork<'_>, input: InputRegion, weight: u64) -> Result<Step, CompileError> {
        let (name, window) = (self.name, self.window);
        let Lane { regions: TileRegions { tile, .. }, chunk, accumulator, array, .. } = *run.lane;
        let run_channels = if chunk.block_step > 0 { chunk.run_channels } else { run.part.channels.1 };
        let row_pitch = (tile.in_size[1] * input.pitch) as u64;
        let (skipped, pad_top) = run.part.rows_under(window, tile);
        let height = tile.in_size[0] - skipped;
        let signed = |value: i32| Signed::<16>::new(i64::from(value)).map_err(|error| too_large(name, &error));
        let array = field(array as u64, name)?;
        let outputs = if self.transposed() { chunk.block_channels } else { 0 };
        let mut setup = vec![
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
                block_step: field(self.input.pixel_bytes(chunk.block_step), name)?,
                outputs: field(outputs as u64, name)?,
                array,
            },
            Operation::ArrayQuant {
                zero_activation: signed(self.input_type.1)?,
                zero_weight: signed(self.weight_type.1)?,
                signed_activation: Flag(self.input_type.0 != DType::U8),
                signed_weight: Flag(self.weight_type.0 != DType::U8),
                wide_activation: Flag(self.input_type.0 == DType::I16),
                array,
            },
        ];
        if self.weight_format != WeightFormat::Byte || self.input.bits {
            let activation = if self.input.bits { ActivationFormat::Binary } else { ActivationFormat::Byte };
            setup.push(Operation::ArrayFormats { weight: self.weight_format, activation, array });
        }
        let activation = input.buffer + input.offset as u64 + skipped as u64 * row_pitch;
        let operation = Operation::ArrayRun {
            activation: field(activation, name)?,
            weight: field(weight, name)?,
            accumulator: field(accumulator, name)?,
            blocks: field(chunk.blocks as u64, name)?,
            accumulate: Flag(!run.first),
            dataflow: match self.mapping.dataflow {
                Dataflow::WeightStationary => DataflowChoice::WeightStationary,
                Dataflow::OutputStationary => DataflowChoice::OutputStationary,
                Dataflow::InputStationary => DataflowChoice::InputStationary,
            },
            array,
        };
        let input_bytes = (tile.in_size[0] * tile.in_size[1] * input.pitch) as u64;
        let read = |memory, first, bytes| Access { memory, first, end: first + bytes, write: false };
        let sums = self.vectors(chunk, tile);
        let accesses = vec![
            read(Memory::Activation, input.buffer, input_bytes),
            read(Memory::Weight, weight, run.part.weight_bytes),
            Access { memory: Memory::Accumulator, first: accumulator, end: accumulator + sums, write: true },
        ];
        Ok(Step::new(self.layer, setup, operation, accesses))
    }

    /// Parameters and requantisation of a chunk, and the store of what is complete.
    fn finish(&self, lane: &Lane<'_>, state: &mut State, item: &mut Item) -> Result<(), CompileError> {
        let name = self.name;
        let Lane {
            regions: TileRegions { image, tile, output, .. }, chunk, accumulator, params: (params, loaded), ..
        } = *lane;
        if !loaded {
            let record = record_bytes(self.machine);
            let (first, bytes) = (self.params + record * chunk.outputs.0 as u64, record * chunk.outputs.1 as u64);
            item.loads.push(load_bytes(self.layer, name, first, params, Space::Activation, bytes)?);
        }
        let bytes = |channels: usize| self.output.pixel_bytes(channels) as usize;
        let (region, pitch, offset) = match output {
            Some(region) => (region, bytes(self.output.dims[3]), bytes(chunk.outputs.0)),
            None => (state.output.take(), bytes(chunk.outputs.1), 0),
        };
        let out = region + offset as u64;
        let row_pitch = (tile.out_size[1] * pitch) as u64;
        let mut setup = vec![
            shape(name, tile.out_size, chunk.outputs.1, chunk.block_channels)?,
            pitches(name, VectorOperand::Out, row_pitch, pitch as u64)?,
            quant(name, [(DType::I8, 0), (DType::I8, 0), self.output_type], self.clamp)?,
        ];
        setup.extend(formats::output(self.output_type.0, &self.output));
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
        let bytes = (pixels - 1) * pitch as u64 + self.output.pixel_bytes(chunk.outputs.1);
        let accesses = vec![
            read(Memory::Accumulator, accumulator, sums),
            read(Memory::Activation, params, record_bytes(self.machine) * chunk.outputs.1 as u64),
            Access::activation(out, bytes, true),
        ];
        item.work.push(Step::new(self.layer, setup, operation, accesses));
        let stored = match output {
            None => Some((chunk.outputs, out)),
            Some(region) => lane.last.then_some(((0, self.output.dims[3]), region)),
        };
        if let Some((channels, buffer)) = stored {
            let cut = Cut { image, first: tile.out, size: tile.out_size, channels };
            item.stores.push(store_cut(self.layer, name, &self.output, &cut, buffer, pitch as u64)?);
        }
        Ok(())
    }
}

/// What one array run adds up.
#[derive(Clone, Copy)]
struct PartWork<'a> {
    lane: &'a Lane<'a>,
    part: &'a Part,
    /// It is the chunk's first: sums start at 0.
    first: bool,
}

/// Where a part's input lies: region, bytes from pixel to pixel, first channel's offset.
#[derive(Clone, Copy)]
struct InputRegion {
    buffer: u64,
    pitch: usize,
    offset: usize,
}
