//! The candidates of one dataflow: tiles, blocks and slices, placed into the memories.

use systole_machine::spec::Dataflow;

use super::{ConvMapping, Problem, block_vectors, keep_better};
use crate::fixed::record_bytes;
use crate::mapping::{edges, input_extent, place_regions};

/// How much of the reduction a part holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slicing {
    /// Input channels at most; `None` keeps all channels of the image on chip, for all chunks.
    pub(super) channels: Option<usize>,
    /// Kernel rows at most.
    pub(super) kernel_rows: usize,
}

/// The search within one dataflow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Search<'a> {
    pub(super) problem: &'a Problem<'a>,
    pub(super) dataflow: Dataflow,
}

impl Search<'_> {
    /// Places a candidate; `None` when it does not fit. `units` says how much a chunk holds (see `chunks`).
    fn place(&self, tile: [usize; 2], units: usize, slicing: Slicing, whole_output: bool) -> Option<ConvMapping> {
        let machine = self.problem.machine;
        let shared = slicing.channels.is_none();
        let dense = self.problem.groups == 1 || self.merged_groups() == self.problem.groups;
        let own_slice = !shared && self.merged_groups() == 0;
        let packed = self.problem.window.dilation[1] == 1 && ((shared && dense) || own_slice);
        let pixels = tile[0] * tile[1];
        let vectors = machine.accumulator_vectors();
        let half = if machine.accumulator.banks > 1 {
            machine.accumulator_vectors_per_bank() * u64::from(machine.accumulator.banks / 2)
        } else {
            vectors / 2
        };
        let chunks = self.chunks(units, slicing, packed);
        let need = chunks
            .iter()
            .map(|chunk| chunk.blocks as u64 * block_vectors(machine, self.dataflow, chunk.block_channels, pixels));
        let need = need.max()?;
        let accumulator_slots = if need <= half {
            [0, half]
        } else if need <= vectors {
            [0, 0]
        } else {
            return None;
        };
        // What the fields of `ar.run`, `ar.output` and `ve.shape` hold.
        if pixels > 0xffff || chunks.iter().any(|chunk| chunk.blocks > 0xfff || chunk.block_channels > 0xffff) {
            return None;
        }
        let extent = input_extent(self.problem.window, [self.problem.input[1], self.problem.input[2]], tile);
        let input_channels = if shared {
            self.problem.input[3]
        } else {
            chunks.iter().flat_map(|c| &c.parts).map(|p| p.channels.1).max().unwrap_or(0)
        };
        let chunk_outputs = chunks.iter().map(|chunk| chunk.outputs.1).max().unwrap_or(0);
        let output_channels = if whole_output { self.problem.output[3] } else { chunk_outputs };
        let [of_input, of_output] = self.problem.element_bytes;
        let tile_bytes = [extent[0] * extent[1] * input_channels * of_input, pixels * output_channels * of_output];
        let [input_bytes, output_bytes] = tile_bytes.map(|bytes| bytes as u64);
        let region_bytes = [input_bytes, output_bytes, record_bytes(machine) * chunk_outputs as u64];
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
            dataflow: self.dataflow,
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
        mapping.cycles = self.problem.cost(&mapping);
        Some(mapping)
    }

    /// Two regions each if they fit, otherwise one.
    fn place_activation(&self, bytes: [u64; 3]) -> Option<[[u64; 2]; 3]> {
        let [input, output, params] = bytes;
        let buffer = &self.problem.machine.activation;
        if let Some(a) = place_regions(buffer, &[input, input, output, output, params, params]) {
            return Some([[a[0], a[1]], [a[2], a[3]], [a[4], a[5]]]);
        }
        let a = place_regions(buffer, &[input, output, params])?;
        Some([[a[0]; 2], [a[1]; 2], [a[2]; 2]])
    }

    /// The best tiling found, by how much of the reduction is on chip: all of it; all channels and some kernel rows; slices of both.
    ///
    /// Returns `None` when not even one pixel × one block × one fold fits.
    pub(super) fn best(&self) -> Option<ConvMapping> {
        let whole_kernel = self.problem.window.kernel[0];
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
        let [_, height, width, _] = self.problem.output;
        let mut tiles: Vec<[usize; 2]> = edges(height).into_iter().map(|rows| [rows, width]).collect();
        tiles.extend(edges(width).into_iter().map(|columns| [1, columns]));
        tiles
    }

    /// Numbers of input channels of a slice to try: multiples of the array's R·D by powers of two, what fills it with packed taps, and less.
    fn slices(&self) -> Vec<usize> {
        let inputs = self.problem.input[3] / self.problem.groups;
        let fill = self.array_inputs();
        let mut slices: Vec<usize> = (0..16).map(|k| fill << k).collect();
        slices.extend((0..12).map(|k| (fill / self.problem.window.kernel[1]) >> k));
        slices.push(inputs);
        slices.retain(|&slice| slice > 0 && slice <= inputs);
        slices.sort_unstable_by(|a, b| b.cmp(a));
        slices.dedup();
        slices
    }

    fn try_blocks(&self, best: &mut Option<ConvMapping>, tile: [usize; 2], slicing: Slicing, whole_output: bool) {
        let total = self.units();
        let mut counts = edges(total);
        counts.extend((0..12).map(|k| 1 << k).filter(|count| *count < total));
        counts.sort_unstable();
        counts.dedup();
        for units in counts {
            keep_better(best, self.place(tile, units, slicing, whole_output));
        }
    }
}
