//! How an `ar.run` is cut into chunks, groups and folds (M-5): counts only, the same for time, footprint and data.
//!
//! Knows no cycle and no operand.

use systole_machine::spec::{Array, Dataflow};

use super::mutant::{Mutant, on};
use super::work::Convolution;

/// The counts of M-5 for one run. Products saturate: a run that large has a trap (M-10).
#[derive(Clone, Copy, Debug)]
pub(super) struct Folds {
    /// Q: elements of a whole chunk.
    pub(super) chunk: u64,
    /// F: chunks of a block.
    pub(super) chunks: u64,
    /// M: output pixels of a block.
    pub(super) pixels: u64,
    /// G: groups of pixels; 1 weight-stationary, where pixels are not grouped.
    pub(super) groups: u64,
    /// Columns of a block's product: C, or N input-stationary.
    pub(super) outputs: u64,
    blocks: u64,
}

impl Folds {
    /// Of a run whose shape is valid (M-10, 3).
    pub(super) fn new(run: &Convolution, array: &Array) -> Self {
        let (rows, columns) = (u64::from(array.rows), u64::from(array.columns));
        let width = u64::from(array.dot_product_width);
        let (chunk, group, outputs) = match run.dataflow {
            Dataflow::WeightStationary => (rows * width, u64::MAX, columns),
            Dataflow::OutputStationary => (width, rows, columns),
            Dataflow::InputStationary => {
                (rows * width, if on(Mutant::InputGroupsOfRows) { rows } else { columns }, run.outputs)
            }
        };
        let chunks = run.runs().saturating_mul(run.run_length().div_ceil(chunk));
        let pixels = run.pixels();
        Folds { chunk, chunks, pixels, groups: pixels.div_ceil(group), outputs, blocks: run.blocks }
    }

    /// Bytes of weights as stored (M-9).
    pub(super) fn weight_bytes(&self, run: &Convolution) -> u64 {
        let (rows, lanes) = self.weight_rows(run);
        rows.saturating_mul((lanes * u64::from(run.weights.bits())).div_ceil(8))
    }

    /// Rows of weights (M-14), and the weights of one.
    pub(super) fn weight_rows(&self, run: &Convolution) -> (u64, u64) {
        let tiles = self.chunks.saturating_mul(self.blocks);
        match run.dataflow {
            Dataflow::InputStationary => (tiles.saturating_mul(self.outputs), self.chunk),
            _ => (tiles.saturating_mul(self.chunk), self.outputs),
        }
    }

    /// One block's weights.
    pub(super) fn block_weights(&self) -> u64 {
        self.chunks.saturating_mul(self.chunk).saturating_mul(self.outputs)
    }

    /// Accumulator vectors of one block: a vector for each pixel, or input-stationary one for each group and output.
    pub(super) fn block_vectors(&self, dataflow: Dataflow) -> u64 {
        match dataflow {
            Dataflow::InputStationary => self.groups.saturating_mul(self.outputs),
            _ => self.pixels,
        }
    }

    /// Accumulator vectors of the run (M-9).
    pub(super) fn vectors(&self, dataflow: Dataflow) -> u64 {
        self.block_vectors(dataflow).saturating_mul(self.blocks)
    }
}
