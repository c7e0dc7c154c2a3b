//! How the channels of a convolution fall into chunks, blocks and parts, by dataflow (M-5).

use systole_machine::spec::Dataflow;

use super::search::{Search, Slicing};
use super::{Chunk, Part, chunk_elements};
use crate::formats::row_bytes;

impl Search<'_> {
    fn columns(&self) -> usize {
        self.problem.machine.array.columns as usize
    }

    /// Elements of a reduction that the whole array takes at once.
    pub(super) fn array_inputs(&self) -> usize {
        chunk_elements(self.problem.machine, Dataflow::WeightStationary)
    }

    /// Output channels of a block that is not of merged groups: columns, or as many as there are (they stream input-stationary).
    fn unit_outputs(&self) -> usize {
        if self.dataflow == Dataflow::InputStationary { 1 } else { self.columns() }
    }

    /// Into how many units a chunk can be cut: blocks, but single output channels where one block holds any number of them.
    pub(super) fn units(&self) -> usize {
        match self.merged_groups() {
            0 => (self.problem.output[3] / self.problem.groups).div_ceil(self.unit_outputs()),
            factor => self.problem.groups / factor,
        }
    }

    /// Groups merged into one block-diagonal tile; 0 when groups are too wide for that (or there is only one).
    ///
    /// Input-stationary a group of more outputs than columns still is a block of its own: outputs stream. More inputs than the array takes at
    /// once would fit output-stationary too, but gain nothing there.
    pub(super) fn merged_groups(&self) -> usize {
        let groups = self.problem.groups;
        let (inputs, outputs) = (self.problem.input[3] / groups, self.problem.output[3] / groups);
        let wide = outputs > self.columns() && self.dataflow != Dataflow::InputStationary;
        if groups == 1 || inputs > self.array_inputs() || wide {
            return 0;
        }
        let limit = (self.array_inputs() / inputs).min((self.columns() / outputs).max(1)).min(groups);
        (1..=limit).rev().find(|factor| groups.is_multiple_of(*factor)).unwrap_or(1)
    }

    /// F of M-5.
    fn folds(&self, packed: bool, channels: usize, kernel_rows: usize) -> usize {
        let (kw, chunk) = (self.problem.window.kernel[1], chunk_elements(self.problem.machine, self.dataflow));
        kernel_rows * if packed { (kw * channels).div_ceil(chunk) } else { kw * channels.div_ceil(chunk) }
    }

    /// Bytes of a block's weights for that many folds (M-9).
    fn block_weight_bytes(&self, folds: usize, block_channels: usize) -> usize {
        let (elements, format) = (chunk_elements(self.problem.machine, self.dataflow), self.problem.weight_format);
        match self.dataflow {
            Dataflow::InputStationary => folds * block_channels * row_bytes(format, elements),
            _ => folds * elements * row_bytes(format, self.columns()),
        }
    }

    /// The chunks for this many units each.
    pub(super) fn chunks(&self, units: usize, slicing: Slicing, packed: bool) -> Vec<Chunk> {
        let merged = self.merged_groups();
        let (inputs, outputs) =
            (self.problem.input[3] / self.problem.groups, self.problem.output[3] / self.problem.groups);
        let mut chunks = vec![];
        if merged > 0 {
            let (inputs, outputs, total) = (inputs * merged, outputs * merged, self.problem.groups / merged);
            for first in (0..total).step_by(units) {
                let blocks = units.min(total - first);
                chunks.push(Chunk {
                    outputs: (first * outputs, blocks * outputs),
                    blocks,
                    block_channels: outputs,
                    block_step: inputs,
                    run_channels: inputs,
                    parts: self.parts(
                        (first * inputs, blocks * inputs),
                        Some(inputs),
                        [blocks, outputs],
                        slicing,
                        packed,
                    ),
                });
            }
        } else {
            let step = units * self.unit_outputs();
            for group in 0..self.problem.groups {
                for first in (0..outputs).step_by(step) {
                    let count = step.min(outputs - first);
                    let (blocks, block_channels) = match self.dataflow {
                        Dataflow::InputStationary => (1, count),
                        _ => (count.div_ceil(self.columns()), self.columns()),
                    };
                    let parts = self.parts((group * inputs, inputs), None, [blocks, block_channels], slicing, packed);
                    chunks.push(Chunk {
                        outputs: (group * outputs + first, count),
                        blocks,
                        block_channels,
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
        [blocks, block_channels]: [usize; 2],
        slicing: Slicing,
        packed: bool,
    ) -> Vec<Part> {
        let slice = if run_channels.is_some() { channels.1 } else { slicing.channels.unwrap_or(channels.1) };
        let kernel_h = self.problem.window.kernel[0];
        let mut parts = vec![];
        for first in (0..channels.1).step_by(slice) {
            let count = slice.min(channels.1 - first);
            for row in (0..kernel_h).step_by(slicing.kernel_rows) {
                let kernel_rows = (row, slicing.kernel_rows.min(kernel_h - row));
                let folds = self.folds(packed, run_channels.unwrap_or(count), kernel_rows.1);
                let weight_bytes = (blocks * self.block_weight_bytes(folds, block_channels)) as u64;
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
}
