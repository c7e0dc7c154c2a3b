//! `ar.run` (M-5) for accumulators that saturate or have more than 32 bits: one addition after the other, in the order of the rule.
//!
//! Also what ⊕ is (N-20). Slow beside `gemm`, which needs sums whose order plays no part.

use rayon::prelude::*;
use systole_machine::spec::{Array, Dataflow, Overflow};

use super::folds::Folds;
use super::mutant::{Mutant, on};
use super::work::Convolution;
use crate::contract::Accumulators;

/// ⊕ of N-20.
#[derive(Clone, Copy, Debug)]
pub(super) struct Adder {
    bits: u32,
    saturates: bool,
}

impl Adder {
    pub(super) fn new(array: &Array) -> Self {
        Adder { bits: array.accumulator_bits, saturates: array.overflow == Overflow::Saturate }
    }

    /// The same bits, clamped (a mutant's).
    pub(super) fn saturating(self) -> Self {
        Adder { saturates: true, ..self }
    }

    /// A sum of w bits without its sign (a mutant's).
    pub(super) fn unsigned(self, sum: i64) -> i64 {
        sum & ((1 << self.bits) - 1)
    }

    /// Sums that wrap modulo 2^32 or less: their order plays no part, and 32-bit arithmetic is exact.
    pub(super) fn wraps_narrow(self) -> bool {
        !self.saturates && self.bits <= 32
    }

    /// Sums that wrap, at any number of bits.
    pub(super) fn wraps(self) -> bool {
        !self.saturates
    }

    /// Sums that are plain i32 arithmetic.
    pub(super) fn is_i32(self) -> bool {
        !self.saturates && self.bits == 32
    }

    /// `a ⊕ b` of words, or of a word and an exact sum; both below 2^62.
    #[inline(always)]
    pub(super) fn add(self, a: i64, b: i64) -> i64 {
        let high = (1i64 << (self.bits - 1)) - 1;
        if self.saturates { (a + b).clamp(-high - 1, high) } else { self.wrap(a + b) }
    }

    #[inline(always)]
    fn wrap(self, value: i64) -> i64 {
        let unused = 64 - self.bits;
        value << unused >> unused
    }

    /// Sign-extends sums of under 32 bits that were added modulo 2^32.
    pub(super) fn narrow(self, sums: &mut [i32]) {
        if self.bits < 32 && !on(Mutant::NarrowSumsKept) {
            let unused = 32 - self.bits;
            sums.iter_mut().for_each(|sum| *sum = *sum << unused >> unused);
        }
    }
}

/// Where the words of one block are.
struct Words {
    dataflow: Dataflow,
    /// The block's first vector.
    first: u64,
    columns: u64,
    outputs: u64,
}

impl Words {
    fn index(&self, pixel: u64, n: u64) -> usize {
        let (vector, lane) = if self.dataflow == Dataflow::InputStationary {
            (pixel / self.columns * self.outputs + n, pixel % self.columns)
        } else {
            (pixel, n)
        };
        ((self.first + vector) * self.columns + lane) as usize
    }
}

/// The block's weights without their zero point, in the order of the reduction: element by element, all outputs of each.
fn weights(run: &Convolution, folds: &Folds, bytes: &[u8]) -> Vec<i64> {
    let (length, chunk, outputs) = (run.run_length(), folds.chunk, folds.outputs);
    let chunks = length.div_ceil(chunk);
    let mut all = Vec::with_capacity((run.runs() * length * outputs) as usize);
    for k in 0..run.runs() * length {
        let (f, j) = (k / length * chunks + k % length / chunk, k % length % chunk);
        for n in 0..outputs {
            let at = match run.dataflow {
                Dataflow::InputStationary => (f * outputs + n) * chunk + j,
                _ => (f * chunk + j) * outputs + n,
            };
            all.push(operand(bytes[at as usize], run.signed_weight, run.zero_weight));
        }
    }
    all
}

fn operand(byte: u8, signed: bool, zero: i32) -> i64 {
    let value = if signed { i64::from(byte as i8) } else { i64::from(byte) };
    value - i64::from(zero)
}

/// X of M-5 for element k of the reduction; `input` begins at the block's input tile.
fn element(run: &Convolution, input: &[u8], (y, x): (u64, u64), k: u64) -> i64 {
    let (tap, ch) = (k / run.channels, k % run.channels);
    let (ky, kx) = (tap / run.kernel_w, tap % run.kernel_w);
    let row = (y * run.stride_h + ky * run.dilation_h).checked_sub(run.pad_top).filter(|row| *row < run.height);
    let column =
        (x * run.stride_w + kx * run.dilation_w).checked_sub(run.pad_left).filter(|column| *column < run.width);
    match (row, column) {
        (Some(row), Some(column)) => {
            let at = row * run.row_pitch + column * run.pixel_pitch + ch * run.bytes();
            if run.wide {
                let pair = [input[at as usize], input[at as usize + 1]];
                return i64::from(i16::from_le_bytes(pair)) - i64::from(run.zero_activation);
            }
            operand(input[at as usize], run.signed_activation, run.zero_activation)
        }
        _ => 0,
    }
}

/// The words of one pixel: `words` are those before, and become those after.
fn pixel(run: &Convolution, folds: &Folds, adder: Adder, weights: &[i64], operands: &[i64], words: &mut [i64]) {
    let outputs = words.len();
    let (length, chunk) = (run.run_length() as usize, folds.chunk as usize);
    let mut registers = vec![0; outputs];
    let mut sums = vec![0; outputs];
    let stays = run.dataflow == Dataflow::OutputStationary;
    let rows = weights.chunks_exact(outputs).collect::<Vec<_>>();
    for (x, w) in operands.chunks(length).zip(rows.chunks(length)) {
        for (x, w) in x.chunks(chunk).zip(w.chunks(chunk)) {
            sums.fill(0);
            for (x, w) in x.iter().zip(w) {
                sums.iter_mut().zip(*w).for_each(|(sum, w)| *sum += x * w);
            }
            let into = if stays { &mut registers } else { &mut *words };
            into.iter_mut().zip(&sums).for_each(|(word, sum)| *word = adder.add(*word, *sum));
        }
    }
    if stays {
        words.iter_mut().zip(&registers).for_each(|(word, register)| *word = adder.add(*word, *register));
    }
}

/// M-5 for a run whose footprint is inside the memories.
pub(super) fn run(run: &Convolution, array: &Array, activation: &[u8], weight: &[u8], accumulator: &mut Accumulators) {
    let folds = Folds::new(run, array);
    let (adder, outputs) = (Adder::new(array), folds.outputs);
    let add = run.accumulate && !on(Mutant::AccumulateIgnored);
    for block in 0..run.blocks {
        let words = Words {
            dataflow: run.dataflow,
            first: run.accumulator + block * folds.block_vectors(run.dataflow),
            columns: u64::from(array.columns),
            outputs,
        };
        let input = &activation[(run.activation + block * run.block_step) as usize..];
        let weights = weights(run, &folds, &weight[(run.weight + block * folds.block_weights()) as usize..]);
        let mut after = vec![0; (folds.pixels * outputs) as usize];
        let before: &Accumulators = accumulator;
        after.par_chunks_exact_mut(outputs as usize).enumerate().for_each(|(p, after)| {
            let position = (p as u64 / run.width_out, p as u64 % run.width_out);
            let depth = run.runs() * run.run_length();
            let operands: Vec<i64> = (0..depth).map(|k| element(run, input, position, k)).collect();
            if add {
                (0..outputs).zip(&mut *after).for_each(|(n, word)| *word = before.get(words.index(p as u64, n)));
            }
            pixel(run, &folds, adder, &weights, &operands, after);
        });
        let lanes = if run.dataflow == Dataflow::InputStationary { folds.groups * words.columns } else { folds.pixels };
        for (p, after) in (0..).zip(after.chunks_exact(outputs as usize)) {
            (0..outputs).zip(after).for_each(|(n, word)| accumulator.set(words.index(p, n), *word));
        }
        // Lanes of pixels beyond M get ⊕ 0.
        if !add {
            for (p, n) in (folds.pixels..lanes).flat_map(|p| (0..outputs).map(move |n| (p, n))) {
                accumulator.set(words.index(p, n), 0);
            }
        }
    }
}
