//! The candidates of one dataflow: tiles, blocks and slices, placed into the memories.

use systole_machine::spec::Dataflow;

use super::place::{Need, Placement, placements};
use super::spread::Spread;
use super::{Chunk, ConvMapping, Problem, block_vectors, keep_better};
use crate::fixed::record_bytes;
use crate::mapping::{edges, input_extent};

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
    fn place(
        &self,
        spread: Spread,
        tile: [usize; 2],
        units: usize,
        slicing: Slicing,
        whole_output: bool,
    ) -> Option<ConvMapping> {
        let machine = self.problem.machine;
        let shared = slicing.channels.is_none();
        let dense = self.problem.groups == 1 || self.merged_groups() == self.problem.groups;
        let own_slice = !shared && self.merged_groups() == 0;
        let slice = slicing.channels.unwrap_or(self.problem.input[3]);
        let packed = self.problem.window.dilation[1] == 1 && ((shared && dense) || own_slice);
        // The last slice may be shorter.
        let packed = packed && [slice, self.problem.input[3]].iter().all(|count| self.problem.aligned(0, *count));
        let pixels = tile[0] * tile[1];
        let chunks = self.chunks(units, slicing, packed);
        // Bits of a pixel begin at a byte.
        let aligned = |chunk: &Chunk| {
            let [inputs, outputs] = [0, 1].map(|side| move |channel| self.problem.aligned(side, channel));
            outputs(chunk.outputs.0) && chunk.parts.iter().all(|part| inputs(part.channels.0))
        };
        if !chunks.iter().all(aligned) {
            return None;
        }
        // What the fields of `ar.run`, `ar.output` and `ve.shape` hold.
        if pixels > 0xffff || chunks.iter().any(|chunk| chunk.blocks > 0xfff || chunk.block_channels > 0xffff) {
            return None;
        }
        let sums = chunks
            .iter()
            .map(|chunk| chunk.blocks as u64 * block_vectors(machine, self.dataflow, chunk.block_channels, pixels));
        let extent = input_extent(self.problem.window, [self.problem.input[1], self.problem.input[2]], tile);
        let parts = || chunks.iter().flat_map(|chunk| &chunk.parts);
        let input_channels =
            if shared { self.problem.input[3] } else { parts().map(|p| p.channels.1).max().unwrap_or(0) };
        let chunk_outputs = chunks.iter().map(|chunk| chunk.outputs.1).max().unwrap_or(0);
        let output_channels = if whole_output { self.problem.output[3] } else { chunk_outputs };
        let [input_pixel, output_pixel] =
            [(0, input_channels), (1, output_channels)].map(|(side, count)| self.problem.pixel_bytes(side, count));
        let tile_bytes = [extent[0] * extent[1] * input_pixel, pixels * output_pixel];
        let [input_bytes, output_bytes] = tile_bytes.map(|bytes| bytes as u64);
        let region_bytes = [input_bytes, output_bytes, record_bytes(machine) * chunk_outputs as u64];
        let weight_bytes = parts().map(|part| part.weight_bytes).sum();
        let need = Need {
            regions: region_bytes,
            weights: [weight_bytes, parts().map(|part| part.weight_bytes).max().unwrap_or(0)],
            sums: sums.max()?,
            lanes: spread.lanes(shared, whole_output),
            spread,
        };
        let mapping = ConvMapping {
            dataflow: self.dataflow,
            tile,
            chunks,
            shared,
            packed,
            whole_output,
            spread,
            weight_format: self.problem.weight_format,
            weight_bytes,
            region_bytes,
            place: Placement::default(),
            cycles: u64::MAX,
        };
        self.cheapest(mapping, placements(machine, &need))
    }

    /// The mapping at the first of its cheapest places.
    fn cheapest(&self, mut mapping: ConvMapping, places: Vec<Placement>) -> Option<ConvMapping> {
        let mut best = None;
        for place in places {
            mapping.place = place;
            let cycles = self.problem.cost(&mapping);
            if best.as_ref().is_none_or(|&(least, _)| cycles < least) {
                best = Some((cycles, mapping.place.clone()));
            }
        }
        (mapping.cycles, mapping.place) = best?;
        Some(mapping)
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
        for spread in Spread::all(self.problem.machine.array.count as usize) {
            for &units in &counts {
                keep_better(best, self.place(spread, tile, units, slicing, whole_output));
            }
        }
    }
}
