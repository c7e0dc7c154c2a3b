//! Vector operations without a window on bytes, in single precision (M-6, M-7): requantisation, sums, products, affine maps, rescaling (N-0, N-1, N-6 to N-9).
//! Other modes and widths are `general`.
//!
//! One row of the output at a time, as plain loops that a compiler turns into vector code. Each `f32` operation rounds once, in the order
//! of the rule; nothing is contracted.

use systole_machine::spec::Array;

use super::mutant::{Mutant, on};
use super::plain::Adder;
use super::work::{VectorKind, VectorWork};
use crate::contract::Accumulators;

/// How an operand's byte becomes an integer minus its zero point.
#[derive(Clone, Copy)]
pub(super) struct Reader {
    flip: u8,
    minus: i32,
}

impl Reader {
    #[inline(always)]
    pub(super) fn new(signed: bool, zero: i32) -> Self {
        if signed {
            Reader { flip: 0x80, minus: zero + 128 - i32::from(on(Mutant::SignedZeroOff)) }
        } else {
            Reader { flip: 0, minus: zero }
        }
    }

    #[inline(always)]
    pub(super) fn read(self, byte: u8) -> i32 {
        i32::from(byte ^ self.flip) - self.minus
    }
}

/// `sat(rhe(v) + z)` of N-0 with the clamp of the operation.
#[derive(Clone, Copy)]
pub(super) struct Writer {
    zero: i32,
    low: i32,
    high: i32,
}

impl Writer {
    #[inline(always)]
    pub(super) fn new(work: &VectorWork) -> Self {
        Writer { zero: work.zero_out, low: work.low, high: work.high }
    }

    #[inline(always)]
    pub(super) fn write(self, v: f32) -> u8 {
        self.value(v) as u8
    }

    /// The same before it is stored.
    #[inline(always)]
    pub(super) fn value(self, v: f32) -> i32 {
        // Zero point and clamp have 16 bits: beyond ±2^18 they decide alone, and adding 1.5·2^23 rounds to an integer, ties to even.
        const LIMIT: f32 = 262_144.0;
        const SHIFT: f32 = 12_582_912.0;
        let v = if v.is_nan() { if on(Mutant::NanIsLarge) { LIMIT } else { 0.0 } } else { v };
        let v = if v > LIMIT { LIMIT } else { v };
        let v = if v < -LIMIT { -LIMIT } else { v };
        let mut rounded = (v + SHIFT).to_bits() as i32 - SHIFT.to_bits() as i32;
        if on(Mutant::HalfUp) {
            rounded = (v + 0.5).floor() as i32;
        }
        let high = if on(Mutant::NoUpperClamp) { i32::MAX } else { self.high };
        (rounded + self.zero).max(self.low).min(high)
    }

    /// `sat(z + zy)` of an integer.
    #[inline(always)]
    pub(super) fn integer(self, z: i128) -> i32 {
        (z + i128::from(self.zero)).clamp(self.low.into(), self.high.into()) as i32
    }

    /// The same of an integer below 2^62.
    #[inline(always)]
    pub(super) fn narrow(self, z: i64) -> i32 {
        (z + i64::from(self.zero)).clamp(self.low.into(), self.high.into()) as i32
    }

    /// Clamps an integer.
    #[inline(always)]
    pub(super) fn clamp(self, value: i32) -> u8 {
        value.max(self.low).min(self.high) as u8
    }
}

/// The parameters of each channel (of each tensor for sums of many), as words.
#[derive(Default)]
pub(super) struct Params {
    pub(super) first: Vec<u32>,
    pub(super) second: Vec<u32>,
    /// Of records of 12 bytes.
    pub(super) third: Vec<u32>,
}

impl Params {
    /// From the activation buffer, before anything is written.
    pub(super) fn read(work: &VectorWork, activation: &[u8]) -> Self {
        if !work.kind.has_params() || work.kind.has_table() {
            return Params::default();
        }
        let record = work.record() as usize;
        let bytes = &activation[work.params as usize..][..record * work.entries() as usize];
        let word = |bytes: &[u8]| bytes.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
        let words = |at: usize| bytes.chunks_exact(record).map(|record| word(&record[at..at + 4])).collect();
        Params { first: words(0), second: words(4), third: if record > 8 { words(8) } else { Vec::new() } }
    }
}

/// The accumulators as `ve.requant` finds them (M-7).
pub(super) struct Sums<'a> {
    accumulator: &'a Accumulators,
    adder: Adder,
    columns: usize,
    /// Output pixels.
    pixels: usize,
    /// First vector.
    first: usize,
    block_channels: usize,
    transposed: bool,
}

impl<'a> Sums<'a> {
    pub(super) fn new(work: &VectorWork, array: &Array, accumulator: &'a Accumulators) -> Self {
        Sums {
            accumulator,
            adder: Adder::new(array),
            columns: array.columns as usize,
            pixels: (work.height * work.width) as usize,
            first: work.accumulator as usize,
            block_channels: work.block_channels as usize,
            transposed: work.transposed,
        }
    }

    /// ⊕.
    pub(super) fn adder(&self) -> Adder {
        self.adder
    }

    /// The sums of a pixel with their biases, channel by channel.
    #[inline(always)]
    pub(super) fn biased<'b>(&'b self, pixel: usize, biases: &'b [u32]) -> impl Iterator<Item = i64> + 'b {
        let adder = if on(Mutant::BiasSaturates) { self.adder.saturating() } else { self.adder };
        biases.chunks(self.block_channels).enumerate().flat_map(move |(block, biases)| {
            let (first, step) = self.block(pixel, block);
            let words = (first..).step_by(step);
            words.zip(biases).map(move |(at, bias)| adder.add(self.accumulator.get(at), i64::from(*bias as i32)))
        })
    }

    /// Where the word of a block's first channel is, and how far the next channel's is from it.
    #[inline(always)]
    fn block(&self, pixel: usize, block: usize) -> (usize, usize) {
        if self.transposed {
            let groups = self.pixels.div_ceil(self.columns);
            let vector = (block * groups + pixel / self.columns) * self.block_channels;
            ((self.first + vector) * self.columns + pixel % self.columns, self.columns)
        } else {
            ((self.first + block * self.pixels + pixel) * self.columns, 1)
        }
    }
}

/// Row `y` of `ve.requant` (N-1).
#[inline(always)]
pub(super) fn requant(work: &VectorWork, params: &Params, sums: &Sums, y: usize, out: &mut [u8]) {
    if let Accumulators::Narrow(words) = sums.accumulator
        && sums.adder.is_i32()
        && !sums.transposed
    {
        return requant_i32(work, params, (sums, words), y, out);
    }
    let writer = Writer::new(work);
    for (x, out) in out.chunks_exact_mut(work.channels as usize).enumerate() {
        let pixel = y * work.width as usize + x;
        let all = out.iter_mut().zip(sums.biased(pixel, &params.first).zip(&params.second));
        for (out, (acc, scale)) in all {
            *out = writer.write(acc as f32 * f32::from_bits(*scale));
        }
    }
}

/// The same for results of 32 bits that wrap, in vectors of channels.
#[inline(always)]
fn requant_i32(work: &VectorWork, params: &Params, (sums, words): (&Sums, &[i32]), y: usize, out: &mut [u8]) {
    let writer = Writer::new(work);
    let (channels, block_channels) = (work.channels as usize, sums.block_channels);
    for (x, out) in out.chunks_exact_mut(channels).enumerate() {
        let pixel = sums.first + y * work.width as usize + x;
        let blocks = out.chunks_mut(block_channels).enumerate();
        for (block, out) in blocks {
            let first = block * block_channels;
            let sums = &words[(pixel + block * sums.pixels) * sums.columns..][..out.len()];
            let (bias, scale) = (&params.first[first..][..out.len()], &params.second[first..][..out.len()]);
            for (((out, sum), bias), scale) in out.iter_mut().zip(sums).zip(bias).zip(scale) {
                let mut acc = sum.wrapping_add(*bias as i32);
                if on(Mutant::BiasSaturates) {
                    acc = sum.saturating_add(*bias as i32);
                }
                *out = writer.write(acc as f32 * f32::from_bits(*scale));
            }
        }
    }
}

/// Row `y` of any other operation on bytes without a window.
#[inline(always)]
pub(super) fn row(work: &VectorWork, params: &Params, activation: &[u8], y: usize, out: &mut [u8]) {
    let channels = work.channels as usize;
    let pixel = |base: u64, operand: usize, x: usize| {
        let pitch = work.pitch[operand];
        &activation[(base + y as u64 * pitch.row + x as u64 * pitch.pixel) as usize..][..channels]
    };
    for (x, out) in out.chunks_exact_mut(channels).enumerate() {
        let a = pixel(work.a, 0, x);
        match work.kind {
            VectorKind::Add | VectorKind::Mul => tensors(work, a, pixel(work.b, 1, x), out),
            VectorKind::AddChannel | VectorKind::MulChannel | VectorKind::Affine => channel(work, a, params, out),
            _ => rescale(work, a, out),
        }
    }
}

/// N-6, N-7 and N-25 as functions of the operands without their zero points.
pub(super) struct Pair {
    writer: Writer,
    scale_a: f32,
    scale_b: f32,
    scale_out: f32,
    product: f32,
    subtract: bool,
}

impl Pair {
    #[inline(always)]
    pub(super) fn new(work: &VectorWork) -> Self {
        Pair {
            writer: Writer::new(work),
            scale_a: work.scale_a,
            // To subtract is to add the negative, exactly.
            scale_b: if work.subtract { -work.scale_b } else { work.scale_b },
            scale_out: work.scale_out,
            product: (work.scale_a * work.scale_b) / work.scale_out,
            subtract: work.subtract,
        }
    }

    #[inline(always)]
    pub(super) fn add(&self, a: i32, b: i32) -> i32 {
        let mut v = a as f32 * self.scale_a + b as f32 * self.scale_b;
        if on(Mutant::DifferenceBackwards) && self.subtract {
            v = -v;
        }
        if on(Mutant::AddByReciprocal) {
            return self.writer.value(v * (1.0 / self.scale_out));
        }
        self.writer.value(v / self.scale_out)
    }

    #[inline(always)]
    pub(super) fn mul(&self, a: i32, b: i32) -> i32 {
        let v = a.wrapping_mul(b) as f32 * self.product;
        if on(Mutant::MulZeroAfter) {
            return self.writer.value(v);
        }
        Writer { zero: 0, ..self.writer }.value(v + self.writer.zero as f32)
    }
}

impl Pair {
    /// Maximum, minimum and quotient.
    #[inline(always)]
    pub(super) fn choose(&self, kind: VectorKind, a: i32, b: i32) -> i32 {
        let (left, right) = (a as f32 * self.scale_a, b as f32 * self.scale_b);
        let [of_a, of_b] = [left, right].map(|v| self.writer.value(v / self.scale_out));
        match kind {
            VectorKind::Max | VectorKind::MaxChannel if on(Mutant::LargerBeforeScales) => {
                if a > b {
                    of_a
                } else {
                    of_b
                }
            }
            VectorKind::Max | VectorKind::MaxChannel => of_a.max(of_b),
            VectorKind::Min | VectorKind::MinChannel => of_a.min(of_b),
            _ => self.writer.value(left / right / self.scale_out),
        }
    }
}

#[inline(always)]
fn tensors(work: &VectorWork, a: &[u8], b: &[u8], out: &mut [u8]) {
    let pair = Pair::new(work);
    let (read_a, read_b) = (Reader::new(work.signed_a, work.zero_a), Reader::new(work.signed_b, work.zero_b));
    let all = out.iter_mut().zip(a).zip(b);
    if work.kind == VectorKind::Add {
        all.for_each(|((out, a), b)| *out = pair.add(read_a.read(*a), read_b.read(*b)) as u8);
    } else {
        all.for_each(|((out, a), b)| *out = pair.mul(read_a.read(*a), read_b.read(*b)) as u8);
    }
}

#[inline(always)]
fn channel(work: &VectorWork, a: &[u8], params: &Params, out: &mut [u8]) {
    let pair = Pair::new(work);
    let read_a = Reader::new(work.signed_a, work.zero_a);
    let constant = |word: u32| (word as i32).wrapping_sub(work.zero_b);
    let all = out.iter_mut().zip(a).zip(params.first.iter().zip(&params.second));
    match work.kind {
        VectorKind::AddChannel => {
            all.for_each(|((out, a), (b, _))| *out = pair.add(read_a.read(*a), constant(*b)) as u8);
        }
        VectorKind::MulChannel => {
            all.for_each(|((out, a), (b, _))| *out = pair.mul(read_a.read(*a), constant(*b)) as u8);
        }
        _ => all.for_each(|((out, a), (scale, shift))| {
            let v = read_a.read(*a) as f32 * work.scale_a;
            let w = v * f32::from_bits(*scale) + f32::from_bits(*shift);
            *out = pair.writer.write(w / work.scale_out);
        }),
    }
}

/// N-9.
#[inline(always)]
fn rescale(work: &VectorWork, a: &[u8], out: &mut [u8]) {
    let (writer, read) = (Writer::new(work), Reader::new(work.signed_a, work.zero_a));
    for (out, a) in out.iter_mut().zip(a) {
        if on(Mutant::RescaleByQuotient) {
            *out = writer.write(read.read(*a) as f32 * (work.scale_a / work.scale_out));
            continue;
        }
        *out = writer.write(read.read(*a) as f32 * work.scale_a / work.scale_out);
    }
}

/// The exponential of N-10.
#[expect(clippy::excessive_precision, reason = "the constants as the rule writes them")]
pub(super) fn exp2p(x: f32) -> f32 {
    let t = x * 1.442_695_02;
    if t < -126.0 || t.is_nan() {
        return 0.0;
    }
    if t > 127.0 {
        return f32::INFINITY;
    }
    let k = t.round_ties_even();
    let r = (x - k * 0.693_359_375) - k * -2.121_944_40e-4;
    let coefficients =
        [1.398_199_950_7e-3, 8.333_451_907_3e-3, 4.166_579_589_4e-2, 1.666_666_545_9e-1, 5.000_000_120_1e-1];
    let p = coefficients.iter().fold(1.987_569_150_0e-4_f32, |p, c| p * r + c);
    let y = (p * (r * r) + r) + 1.0;
    y * f32::from_bits(((k as i32 + 127) as u32) << 23)
}
