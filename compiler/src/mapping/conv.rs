//! The tiling of a convolution on a weight-stationary array: output tiles × chunks of output channels (× parts of input channels).
//!
//! A *chunk* is the output channels whose sums lie in one half of the accumulators; its weights are loaded together. A *part* is the input channels of
//! a chunk that are on chip at once, and the kernel rows whose weights are: all of them (`shared` input) or a slice loaded for the chunk alone. Groups narrower than the array are merged
//! into block-diagonal tiles; wider ones are convolutions of their own.

use systole_machine::spec::Machine;

use crate::layers::{Dims, Window};
use crate::mapping::{ITEM_CYCLES, SpatialTile, bursts, bus_cycles, edges, input_extent, place_regions};

/// Input channels of a chunk that are on chip at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// First input channel and how many.
    pub channels: (usize, usize),
    /// First kernel row and how many.
    pub kernel_rows: (usize, usize),
    /// Folds per block (M-5).
    pub folds: usize,
    /// Bytes of its weight tiles.
    pub weight_bytes: u64,
    /// Where they start, from the layer's first weight byte in DRAM.
    pub weight_offset: u64,
}

impl Part {
    /// Input rows of the tile above the first that this part's kernel rows can see, and the padding rows above that one.
    pub fn rows_under(&self, window: &Window, tile: &SpatialTile) -> (usize, usize) {
        let first = self.kernel_rows.0 * window.dilation[0];
        (first.saturating_sub(tile.pad[0]), tile.pad[0].saturating_sub(first))
    }
}

/// Output channels computed together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// First output channel and how many.
    pub outputs: (usize, usize),
    /// Accumulator blocks.
    pub blocks: usize,
    /// Output channels in a block.
    pub block_channels: usize,
    /// Input channels that one block reads after the other's (0 when all read the same).
    pub block_step: usize,
    /// Channels per tap of a block's run.
    pub run_channels: usize,
    /// In order of accumulation.
    pub parts: Vec<Part>,
}

/// How a convolution runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConvMapping {
    /// Output rows and columns of a tile.
    pub tile: [usize; 2],
    /// All chunks.
    pub chunks: Vec<Chunk>,
    /// The input tile holds all channels and serves all chunks.
    pub shared: bool,
    /// One run covers all taps of a kernel row.
    pub packed: bool,
    /// The output region holds all channels of a tile and is stored once.
    pub whole_output: bool,
    /// All weights stay in the buffer.
    pub resident: bool,
    /// Bytes of all weight tiles.
    pub weight_bytes: u64,
    /// Activation buffer addresses: input, output, parameters; two each, equal when there is only room for one.
    pub regions: [[u64; 2]; 3],
    /// Bytes of those regions.
    pub region_bytes: [u64; 3],
    /// Weight buffer addresses of the two halves (unless resident).
    pub weight_slots: [u64; 2],
    /// First accumulator vectors of the two halves.
    pub accumulator_slots: [u64; 2],
    /// The search's estimate.
    pub cycles: u64,
}

/// How much of the reduction a part holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slicing {
    /// Input channels at most; `None` keeps all channels of the image on chip, for all chunks.
    channels: Option<usize>,
    /// Kernel rows at most.
    kernel_rows: usize,
}

/// What the search is about.
#[derive(Clone, Copy, Debug)]
pub struct Problem<'a> {
    /// The machine.
    pub machine: &'a Machine,
    /// Window.
    pub window: &'a Window,
    /// Groups.
    pub groups: usize,
    /// Input `[n, h, w, c]`.
    pub input: Dims,
    /// Output.
    pub output: Dims,
}

impl Problem<'_> {
    fn rows(&self) -> usize {
        self.machine.array.rows as usize
    }

    fn columns(&self) -> usize {
        self.machine.array.columns as usize
    }

    /// Groups merged into one block-diagonal tile; 0 when groups are too wide for that (or there is only one).
    fn merged_groups(&self) -> usize {
        let (inputs, outputs) = (self.input[3] / self.groups, self.output[3] / self.groups);
        if self.groups == 1 || inputs > self.rows() || outputs > self.columns() {
            return 0;
        }
        let limit = (self.rows() / inputs).min(self.columns() / outputs).min(self.groups);
        (1..=limit).rev().find(|factor| self.groups.is_multiple_of(*factor)).unwrap_or(1)
    }

    fn folds(&self, packed: bool, channels: usize, kernel_rows: usize) -> usize {
        let kw = self.window.kernel[1];
        kernel_rows * if packed { (kw * channels).div_ceil(self.rows()) } else { kw * channels.div_ceil(self.rows()) }
    }

    /// The chunks for this many accumulator blocks each.
    fn chunks(&self, blocks: usize, slicing: Slicing, packed: bool) -> Vec<Chunk> {
        let merged = self.merged_groups();
        let (inputs, outputs) = (self.input[3] / self.groups, self.output[3] / self.groups);
        let mut chunks = vec![];
        if merged > 0 {
            let (inputs, outputs, total) = (inputs * merged, outputs * merged, self.groups / merged);
            for first in (0..total).step_by(blocks) {
                let blocks = blocks.min(total - first);
                chunks.push(Chunk {
                    outputs: (first * outputs, blocks * outputs),
                    blocks,
                    block_channels: outputs,
                    block_step: inputs,
                    run_channels: inputs,
                    parts: self.parts((first * inputs, blocks * inputs), Some(inputs), blocks, slicing, packed),
                });
            }
        } else {
            for group in 0..self.groups {
                for first in (0..outputs).step_by(blocks * self.columns()) {
                    let count = (blocks * self.columns()).min(outputs - first);
                    let blocks = count.div_ceil(self.columns());
                    let parts = self.parts((group * inputs, inputs), None, blocks, slicing, packed);
                    chunks.push(Chunk {
                        outputs: (group * outputs + first, count),
                        blocks,
                        block_channels: self.columns(),
                        block_step: 0,
                        run_channels: 0,
                        parts,
                    });
                }
            }
        }
        let mut offset = 0;
        for part in chunks.iter_mut().flat_map(|chunk| &mut chunk.parts) {
            part.weight_offset = offset;
            offset += part.weight_bytes;
        }
        chunks
    }

    /// The parts of a chunk that reads these input channels; `run_channels` where a block reads only some of them (merged groups, never sliced).
    fn parts(
        &self,
        channels: (usize, usize),
        run_channels: Option<usize>,
        blocks: usize,
        slicing: Slicing,
        packed: bool,
    ) -> Vec<Part> {
        let slice = if run_channels.is_some() { channels.1 } else { slicing.channels.unwrap_or(channels.1) };
        let kernel_h = self.window.kernel[0];
        let mut parts = vec![];
        for first in (0..channels.1).step_by(slice) {
            let count = slice.min(channels.1 - first);
            for row in (0..kernel_h).step_by(slicing.kernel_rows) {
                let kernel_rows = (row, slicing.kernel_rows.min(kernel_h - row));
                let folds = self.folds(packed, run_channels.unwrap_or(count), kernel_rows.1);
                let weight_bytes = (blocks * folds * self.rows() * self.columns()) as u64;
                parts.push(Part {
                    channels: (channels.0 + first, count),
                    kernel_rows,
                    folds,
                    weight_bytes,
                    weight_offset: 0,
                });
            }
        }
        parts
    }

    /// Places a candidate; `None` when it does not fit.
    fn place(&self, tile: [usize; 2], blocks: usize, slicing: Slicing, whole_output: bool) -> Option<ConvMapping> {
        let machine = self.machine;
        let shared = slicing.channels.is_none();
        let dense = self.groups == 1 || self.merged_groups() == self.groups;
        let own_slice = !shared && self.merged_groups() == 0;
        let packed = self.window.dilation[1] == 1 && ((shared && dense) || own_slice);
        let pixels = tile[0] * tile[1];
        let vectors = machine.accumulator_vectors();
        let half = if machine.accumulator.banks > 1 {
            machine.accumulator_vectors_per_bank() * u64::from(machine.accumulator.banks / 2)
        } else {
            vectors / 2
        };
        let need = (pixels * blocks) as u64;
        let accumulator_slots = if need <= half {
            [0, half]
        } else if need <= vectors {
            [0, 0]
        } else {
            return None;
        };
        let chunks = self.chunks(blocks, slicing, packed);
        if pixels > 0xffff || blocks > 0xfff || chunks.is_empty() {
            return None;
        }
        let extent = input_extent(self.window, [self.input[1], self.input[2]], tile);
        let input_channels = if shared {
            self.input[3]
        } else {
            chunks.iter().flat_map(|c| &c.parts).map(|p| p.channels.1).max().unwrap_or(0)
        };
        let chunk_outputs = chunks.iter().map(|chunk| chunk.outputs.1).max().unwrap_or(0);
        let output_channels = if whole_output { self.output[3] } else { chunk_outputs };
        let region_bytes =
            [extent[0] * extent[1] * input_channels, pixels * output_channels, 8 * chunk_outputs].map(|b| b as u64);
        let regions = self.place_activation(region_bytes)?;
        let weight_bytes: u64 = chunks.iter().flat_map(|c| &c.parts).map(|p| p.weight_bytes).sum();
        let largest = chunks.iter().flat_map(|c| &c.parts).map(|p| p.weight_bytes).max().unwrap_or(0);
        let capacity = machine.weight.capacity_bytes;
        let resident = weight_bytes <= capacity;
        let weight_slots = if resident || largest <= capacity / 2 {
            [0, capacity / 2]
        } else if largest <= capacity {
            [0, 0]
        } else {
            return None;
        };
        let mut mapping = ConvMapping {
            tile,
            chunks,
            shared,
            packed,
            whole_output,
            resident,
            weight_bytes,
            regions,
            region_bytes,
            weight_slots,
            accumulator_slots,
            cycles: 0,
        };
        mapping.cycles = self.cost(&mapping);
        Some(mapping)
    }

    /// Two regions each if they fit, otherwise one.
    fn place_activation(&self, bytes: [u64; 3]) -> Option<[[u64; 2]; 3]> {
        let [input, output, params] = bytes;
        let buffer = &self.machine.activation;
        if let Some(a) = place_regions(buffer, &[input, input, output, output, params, params]) {
            return Some([[a[0], a[1]], [a[2], a[3]], [a[4], a[5]]]);
        }
        let a = place_regions(buffer, &[input, output, params])?;
        Some([[a[0]; 2], [a[1]; 2], [a[2]; 2]])
    }

    /// Cycles by the timing rules: the busiest of array, bus and vector unit, and what they cannot overlap at either end.
    fn cost(&self, mapping: &ConvMapping) -> u64 {
        let machine = self.machine;
        let tiles = ((self.output[1].div_ceil(mapping.tile[0])) * (self.output[2].div_ceil(mapping.tile[1]))) as u64;
        let pixels = (mapping.tile[0] * mapping.tile[1]) as u64;
        let load_row = u64::from(machine.array.columns.div_ceil(machine.weight.port_bytes));
        let fold = pixels.max(u64::from(machine.array.rows) * load_row);
        let drain = u64::from(machine.array.rows + machine.array.columns);
        let (mut array, mut vector, mut items, mut weights, mut store) = (0, 0, 0, 0, 0);
        let per_cycle = u64::from(machine.vector.requantise_per_cycle.max(1));
        for chunk in &mapping.chunks {
            items += chunk.parts.len() as u64;
            for part in &chunk.parts {
                let folds = (chunk.blocks * part.folds) as u64;
                array += folds * if machine.array.weight_registers == 1 { fold + drain + fold.min(1) } else { fold };
                weights += bursts(machine, 1, part.weight_bytes);
            }
            vector += (pixels * chunk.outputs.1 as u64).div_ceil(per_cycle) + chunk.blocks as u64 * 8;
            let output = self.output[3];
            store += if mapping.whole_output || chunk.outputs.1 == output {
                bursts(machine, 1, pixels * chunk.outputs.1 as u64)
            } else {
                bursts(machine, pixels, chunk.outputs.1 as u64)
            };
        }
        let extent = input_extent(self.window, [self.input[1], self.input[2]], mapping.tile);
        let input = if mapping.shared {
            bursts(machine, 1, (extent[0] * extent[1] * self.input[3]) as u64)
        } else {
            let rows = (extent[0] * extent[1]) as u64;
            mapping.chunks.iter().flat_map(|c| &c.parts).map(|p| bursts(machine, rows, p.channels.1 as u64)).sum()
        };
        let first_weights = mapping.chunks[0].parts[0].weight_bytes;
        let weight_loads = if mapping.resident { weights } else { weights * tiles };
        let bus = bus_cycles(machine, (input + store) * tiles + weight_loads);
        let first = bus_cycles(machine, bursts(machine, 1, first_weights) + if mapping.shared { input } else { 1 });
        let last_items = if mapping.whole_output { 1 } else { mapping.chunks.len() as u64 };
        let last = vector / mapping.chunks.len() as u64 + bus_cycles(machine, store / last_items);
        let double = mapping.regions[0][0] != mapping.regions[0][1]
            && mapping.accumulator_slots[0] != mapping.accumulator_slots[1];
        let (array, vector) = (array * tiles, vector * tiles);
        let overlapped = if double { array.max(bus).max(vector) } else { array + bus + vector };
        let single_weights = !mapping.resident && mapping.weight_slots[0] == mapping.weight_slots[1];
        overlapped
            + first
            + last
            + items * tiles * ITEM_CYCLES
            + if single_weights { bus_cycles(machine, weight_loads) } else { 0 }
    }

    /// The best tiling found, by how much of the reduction is on chip: all of it; all channels and some kernel rows; slices of both.
    ///
    /// Returns `None` when not even one pixel × one block × one fold fits.
    pub fn search(&self) -> Option<ConvMapping> {
        let whole_kernel = self.window.kernel[0];
        let mut best = None;
        for tile in self.tiles() {
            for whole_output in [false, true] {
                let slicing = Slicing { channels: None, kernel_rows: whole_kernel };
                self.try_blocks(&mut best, tile, slicing, whole_output);
            }
        }
        if best.is_none() {
            for kernel_rows in edges(whole_kernel).into_iter().filter(|&rows| rows < whole_kernel) {
                for tile in self.tiles() {
                    self.try_blocks(&mut best, tile, Slicing { channels: None, kernel_rows }, false);
                }
            }
        }
        if best.is_none() {
            for kernel_rows in [whole_kernel, 1] {
                for channels in self.slices() {
                    for tile in self.tiles() {
                        self.try_blocks(&mut best, tile, Slicing { channels: Some(channels), kernel_rows }, false);
                    }
                }
            }
        }
        best
    }

    /// Output tiles to try: whole rows, then parts of one row.
    fn tiles(&self) -> Vec<[usize; 2]> {
        let [_, height, width, _] = self.output;
        let mut tiles: Vec<[usize; 2]> = edges(height).into_iter().map(|rows| [rows, width]).collect();
        tiles.extend(edges(width).into_iter().map(|columns| [1, columns]));
        tiles
    }

    /// Numbers of input channels of a slice to try: multiples of R by powers of two, what fills R with packed taps, and less.
    fn slices(&self) -> Vec<usize> {
        let inputs = self.input[3] / self.groups;
        let mut slices: Vec<usize> = (0..16).map(|k| self.rows() << k).collect();
        slices.extend((0..12).map(|k| (self.rows() / self.window.kernel[1]) >> k));
        slices.push(inputs);
        slices.retain(|&slice| slice > 0 && slice <= inputs);
        slices.sort_unstable_by(|a, b| b.cmp(a));
        slices.dedup();
        slices
    }

    fn try_blocks(&self, best: &mut Option<ConvMapping>, tile: [usize; 2], slicing: Slicing, whole_output: bool) {
        let total = match self.merged_groups() {
            0 => (self.output[3] / self.groups).div_ceil(self.columns()),
            factor => self.groups / factor,
        };
        let mut counts = edges(total);
        counts.extend((0..12).map(|k| 1 << k).filter(|count| *count < total));
        counts.sort_unstable();
        counts.dedup();
        for blocks in counts {
            keep_better(best, self.place(tile, blocks, slicing, whole_output));
        }
    }
}

/// The first of equals stays, so that the result does not depend on anything but the order of the search.
fn keep_better(best: &mut Option<ConvMapping>, candidate: Option<ConvMapping>) {
    if let Some(candidate) = candidate
        && best.as_ref().is_none_or(|best| candidate.cycles < best.cycles)
    {
        *best = Some(candidate);
    }
}
