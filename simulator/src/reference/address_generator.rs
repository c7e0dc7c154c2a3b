//! M-5: which fold comes when, and the bytes that it feeds. One streamed vector, or one row of weights, at a time.

use super::work::Convolution;

/// One fold: one chunk of one run of one block.
#[derive(Clone)]
pub(super) struct Fold {
    pub(super) convolution: Convolution,
    /// Array rows and columns.
    size: (i64, i64),
    block: i64,
    kernel_row: i64,
    /// The tap of an unpacked run.
    run: i64,
    chunk: i64,
    /// Counted through all blocks, for the weights' address.
    number: i64,
}

impl Fold {
    /// The first fold of a convolution.
    pub(super) fn first(convolution: Convolution, rows: usize, columns: usize) -> Self {
        Fold { convolution, size: (rows as i64, columns as i64), block: 0, kernel_row: 0, run: 0, chunk: 0, number: 0 }
    }

    /// The next one, if there is one: chunks innermost, then taps, kernel rows, blocks.
    pub(super) fn next(&self) -> Option<Fold> {
        let c = &self.convolution;
        let mut next = Fold { chunk: self.chunk + 1, number: self.number + 1, ..self.clone() };
        if next.chunk == c.chunks(self.size.0) {
            (next.chunk, next.run) = (0, next.run + 1);
        }
        if next.run == c.runs() {
            (next.run, next.kernel_row) = (0, next.kernel_row + 1);
        }
        if next.kernel_row == c.kernel_h {
            (next.kernel_row, next.block) = (0, next.block + 1);
        }
        (next.block < c.blocks).then_some(next)
    }

    /// Whether its sums replace what the accumulators hold.
    pub(super) fn replaces(&self) -> bool {
        (self.kernel_row, self.run, self.chunk) == (0, 0, 0) && !self.convolution.accumulate
    }

    /// The accumulator vector of an output pixel.
    pub(super) fn accumulator(&self, pixel: i64) -> i64 {
        self.convolution.accumulator + self.block * self.convolution.pixels() + pixel
    }

    /// The operands of an output pixel, one for each array row, zero point subtracted.
    pub(super) fn operands(&self, pixel: i64, activation: &[u8]) -> Vec<i32> {
        let (y, x) = (pixel / self.convolution.width_out, pixel % self.convolution.width_out);
        (0..self.size.0).map(|row| self.operand(y, x, self.chunk * self.size.0 + row, activation)).collect()
    }

    fn operand(&self, y: i64, x: i64, byte: i64, activation: &[u8]) -> i32 {
        let c = &self.convolution;
        if byte >= c.run_bytes() {
            return 0;
        }
        let (tap, channel) = if c.packed { (byte / c.channels, byte % c.channels) } else { (self.run, byte) };
        let row = y * c.stride_h + self.kernel_row * c.dilation_h - c.pad_top;
        let column = x * c.stride_w + tap * c.dilation_w - c.pad_left;
        if !(0..c.height).contains(&row) || !(0..c.width).contains(&column) {
            return 0;
        }
        let address = c.activation + self.block * c.block_step + row * c.row_pitch + column * c.pixel_pitch + channel;
        number(activation[address as usize], c.signed_activation, c.zero_activation)
    }

    /// The weights of an array row, one for each column, zero point subtracted.
    pub(super) fn weights(&self, row: usize, weight: &[u8]) -> Vec<i32> {
        let c = &self.convolution;
        let address = c.weight + (self.number * self.size.0 + row as i64) * self.size.1;
        (address..address + self.size.1).map(|at| number(weight[at as usize], c.signed_weight, c.zero_weight)).collect()
    }
}

fn number(byte: u8, signed: bool, zero: i64) -> i32 {
    let value = if signed { i32::from(byte as i8) } else { i32::from(byte) };
    value - zero as i32
}
