//! Vector operations in every mode and width (M-6, M-7, N-17), one pixel at a time as integers of 32 bits: what `elementwise` and `pool` have no loops of bytes for.
//!
//! Loads a pixel's operands without their zero points, computes, clamps, stores one byte or two.

use systole_machine::isa::OutputFormat;

use super::depthwise;
use super::elementwise::{Pair, Params, Reader, Sums, Writer, exp2p};
use super::mutant::{Mutant, on};
use super::normalise;
use super::pool::Window;
use super::scaled::{Factor, Mode, Scale};
use super::work::{VectorKind, VectorWork};

/// Whether the loops of bytes do not compute it.
pub(super) fn needed(work: &VectorWork) -> bool {
    let alone = matches!(work.kind, VectorKind::Softmax | VectorKind::Lrn | VectorKind::Sum | VectorKind::Depthwise);
    let packed = work.format != OutputFormat::Plain;
    alone || work.kind.pairs() || work.mode != Mode::Float || work.widest() > 1 || packed
}

/// A pixel's elements of an operand.
#[derive(Clone, Copy)]
struct Elements {
    wide: bool,
    zero: i32,
    reader: Reader,
}

impl Elements {
    fn new(wide: bool, signed: bool, zero: i32) -> Self {
        Elements { wide, zero, reader: Reader::new(signed, zero) }
    }

    fn load(self, bytes: &[u8], into: &mut Vec<i32>) {
        into.clear();
        if self.wide {
            let (pairs, _) = bytes.as_chunks::<2>();
            into.extend(pairs.iter().map(|&pair| i32::from(i16::from_le_bytes(pair)) - self.zero));
        } else {
            into.extend(bytes.iter().map(|&byte| self.reader.read(byte)));
        }
    }
}

/// A row of an operation, with room for a pixel's operands.
pub(super) struct Row<'a> {
    work: &'a VectorWork,
    params: &'a Params,
    sums: &'a Sums<'a>,
    memory: &'a [u8],
    writer: Writer,
    /// Integer scalings of a, b, out.
    scales: [Scale; 3],
    a: Vec<i32>,
    b: Vec<i32>,
    out: Vec<i32>,
}

impl<'a> Row<'a> {
    pub(super) fn new(work: &'a VectorWork, params: &'a Params, sums: &'a Sums<'a>, memory: &'a [u8]) -> Self {
        let scales = work.fixed.map(|factor| Scale::new(work.mode, factor));
        let out = vec![0; work.channels as usize];
        Row { work, params, sums, memory, writer: Writer::new(work), scales, a: Vec::new(), b: Vec::new(), out }
    }

    /// Row `y` of the output.
    pub(super) fn compute(mut self, y: usize, bytes: &mut [u8]) {
        let size = self.work.pixel_bytes(2) as usize;
        for (x, bytes) in bytes.chunks_exact_mut(size).enumerate() {
            self.pixel(y, x);
            match self.work.format {
                OutputFormat::Binary => pack_signs(&self.out, bytes),
                OutputFormat::Sum => {
                    let (words, _) = bytes.as_chunks_mut::<4>();
                    words.iter_mut().zip(&self.out).for_each(|(word, value)| *word = value.to_le_bytes());
                }
                _ if self.work.wide[2] => {
                    let (pairs, _) = bytes.as_chunks_mut::<2>();
                    pairs.iter_mut().zip(&self.out).for_each(|(pair, value)| *pair = (*value as i16).to_le_bytes());
                }
                _ => bytes.iter_mut().zip(&self.out).for_each(|(byte, value)| *byte = *value as u8),
            }
        }
    }

    fn pixel(&mut self, y: usize, x: usize) {
        let work = self.work;
        match work.format {
            OutputFormat::Plain => {}
            OutputFormat::Sum => return self.words(y, x),
            OutputFormat::Sign | OutputFormat::Binary => return self.signs(y, x),
        }
        match work.kind {
            VectorKind::Requant => {
                let sums = self.sums.biased(y * work.width as usize + x, &self.params.first);
                return self.requantise(sums);
            }
            VectorKind::Depthwise => {
                let sums = depthwise::sums(work, self.sums.adder(), self.memory, (y, x));
                let adder = self.sums.adder();
                let biased = sums.iter().zip(&self.params.first);
                return self.requantise(biased.map(|(sum, bias)| adder.add(*sum, i64::from(*bias as i32))));
            }
            VectorKind::MaxPool => return self.largest(y, x),
            VectorKind::AveragePool => return self.average(y, x),
            VectorKind::Sum => return self.sum(y, x),
            _ => {}
        }
        let zero = if work.kind == VectorKind::Softmax { 0 } else { work.zero_a };
        self.load(0, zero, (work.a, y, x));
        if work.kind.has_b() {
            self.load(1, work.zero_b, (work.b, y, x));
        } else if work.kind.has_constants() {
            self.b.clear();
            self.b.extend(self.params.first.iter().map(|word| (*word as i32).wrapping_sub(work.zero_b)));
        }
        match work.kind {
            VectorKind::Softmax => softmax(work, self.writer, &self.a, &mut self.out),
            VectorKind::Lrn => normalise::lrn(work, &self.a, &mut self.out),
            VectorKind::Affine => self.affine(),
            _ if work.mode == Mode::Float => self.floats(),
            _ => self.integers(),
        }
    }

    fn load(&mut self, operand: usize, zero: i32, (base, y, x): (u64, usize, usize)) {
        let work = self.work;
        let at = base + y as u64 * work.pitch[operand].row + x as u64 * work.pitch[operand].pixel;
        let bytes = &self.memory[at as usize..][..(work.channels * work.bytes(operand)) as usize];
        let (signed, into) = if operand == 0 { (work.signed_a, &mut self.a) } else { (work.signed_b, &mut self.b) };
        Elements::new(work.wide[operand], signed, zero).load(bytes, into);
    }

    /// N-16: the low 32 bits of sums.
    fn words(&mut self, y: usize, x: usize) {
        let sums = self.sums.biased(y * self.work.width as usize + x, &self.params.first);
        let (low, high) = (i64::from(self.work.low), i64::from(self.work.high));
        for (out, acc) in self.out.iter_mut().zip(sums) {
            *out = match () {
                () if on(Mutant::SumClamped) => acc.clamp(low, high) as i32,
                () if on(Mutant::SumZeroExtended) => self.sums.adder().unsigned(acc) as i32,
                () => acc as i32,
            };
        }
    }

    /// N-28.
    fn signs(&mut self, y: usize, x: usize) {
        let (work, params) = (self.work, self.params);
        let sign = |positive: bool| if positive { 1 } else { -1 };
        if work.kind == VectorKind::Requant {
            let sums = self.sums.biased(y * work.width as usize + x, &params.first);
            self.out.iter_mut().zip(sums).for_each(|(out, acc)| *out = sign(acc >= 0));
            return;
        }
        self.load(0, work.zero_a, (work.a, y, x));
        let all = self.out.iter_mut().zip(&self.a);
        if work.kind == VectorKind::Affine {
            for ((out, a), (scale, shift)) in all.zip(params.first.iter().zip(&params.second)) {
                let w = *a as f32 * work.scale_a * f32::from_bits(*scale) + f32::from_bits(*shift);
                *out = sign(w >= 0.0);
            }
        } else {
            all.for_each(|(out, a)| *out = sign(*a >= 0));
        }
    }

    /// N-1 of sums with their biases.
    fn requantise(&mut self, sums: impl Iterator<Item = i64>) {
        let (work, params) = (self.work, self.params);
        for (channel, (out, acc)) in self.out.iter_mut().zip(sums).enumerate() {
            let second = params.second[channel];
            let factor = match work.mode {
                Mode::Float => {
                    *out = self.writer.value(acc as f32 * f32::from_bits(second));
                    continue;
                }
                Mode::Shift => Factor { multiplier: 0, shift: i64::from(second as i32) },
                _ => Factor { multiplier: i64::from(second as i32), shift: i64::from(params.third[channel] as i32) },
            };
            let scale = Scale::new(work.mode, factor);
            *out = match i32::try_from(acc) {
                Ok(acc) => self.writer.narrow(scale.narrow(acc)),
                Err(_) => self.writer.integer(scale.apply(acc.into())),
            };
        }
    }

    /// N-8.
    fn affine(&mut self) {
        let work = self.work;
        for ((out, a), (scale, shift)) in
            self.out.iter_mut().zip(&self.a).zip(self.params.first.iter().zip(&self.params.second))
        {
            let v = *a as f32 * work.scale_a;
            let w = v * f32::from_bits(*scale) + f32::from_bits(*shift);
            *out = self.writer.value(w / work.scale_out);
        }
    }

    /// N-6, N-7, N-9 in single precision.
    fn floats(&mut self) {
        let (work, pair) = (self.work, Pair::new(self.work));
        let both = self.out.iter_mut().zip(self.a.iter().zip(&self.b));
        match work.kind {
            VectorKind::Add | VectorKind::AddChannel => both.for_each(|(out, (a, b))| *out = pair.add(*a, *b)),
            VectorKind::Mul | VectorKind::MulChannel => both.for_each(|(out, (a, b))| *out = pair.mul(*a, *b)),
            kind if kind.pairs() => both.for_each(|(out, (a, b))| *out = pair.choose(kind, *a, *b)),
            _ => {
                let all = self.out.iter_mut().zip(&self.a);
                let scaled = |a: i32| match on(Mutant::RescaleByQuotient) {
                    true => a as f32 * (work.scale_a / work.scale_out),
                    false => a as f32 * work.scale_a / work.scale_out,
                };
                all.for_each(|(out, a)| *out = self.writer.value(scaled(*a)));
            }
        }
    }

    /// The same by N-17.
    fn integers(&mut self) {
        let (writer, [of_a, of_b, of_out]) = (self.writer, self.scales);
        let wide = self.work.widest() > 1 && !on(Mutant::WideSumsRaisedByTwenty);
        let raised = match self.work.mode {
            Mode::Shift => 0,
            _ if wide => 15,
            _ => 20,
        };
        let term = |scale: Scale, value: i32| scale.apply(i128::from(value) << raised);
        let both = self.out.iter_mut().zip(self.a.iter().zip(&self.b));
        match self.work.kind {
            VectorKind::Add | VectorKind::AddChannel => both.for_each(|(out, (a, b))| {
                let (left, right) = (term(of_a, *a), term(of_b, *b));
                *out = writer.integer(of_out.apply(match (self.work.subtract, on(Mutant::DifferenceBackwards)) {
                    (false, _) => left + right,
                    (true, false) => left - right,
                    (true, true) => right - left,
                }));
            }),
            VectorKind::Mul | VectorKind::MulChannel => both.for_each(|(out, (a, b))| {
                *out = writer.integer(of_out.apply(i128::from(*a) * i128::from(*b)));
            }),
            VectorKind::Max | VectorKind::MaxChannel => both.for_each(|(out, (a, b))| {
                *out = writer.narrow(of_a.narrow(*a)).max(writer.narrow(of_b.narrow(*b)));
            }),
            VectorKind::Min | VectorKind::MinChannel => both.for_each(|(out, (a, b))| {
                *out = writer.narrow(of_a.narrow(*a)).min(writer.narrow(of_b.narrow(*b)));
            }),
            _ => {
                let all = self.out.iter_mut().zip(&self.a);
                all.for_each(|(out, a)| *out = writer.narrow(of_out.narrow(*a)));
            }
        }
    }

    /// N-4.
    fn largest(&mut self, y: usize, x: usize) {
        let work = self.work;
        self.out.fill(i32::MIN);
        let elements = Elements::new(work.wide[0], work.signed_a, 0);
        for pixel in Window::new(work, y, x).pixels(work, self.memory) {
            elements.load(pixel, &mut self.a);
            self.out.iter_mut().zip(&self.a).for_each(|(largest, value)| *largest = (*largest).max(*value));
        }
        self.out.iter_mut().for_each(|value| *value = (*value).clamp(work.low, work.high));
    }

    /// N-5.
    fn average(&mut self, y: usize, x: usize) {
        let work = self.work;
        let window = Window::new(work, y, x);
        let counted = if work.include_pad { window.padded } else { window.elements() }.max(1);
        let elements = Elements::new(work.wide[0], work.signed_a, work.zero_a);
        let mut sums = vec![0i64; work.channels as usize];
        for pixel in window.pixels(work, self.memory) {
            elements.load(pixel, &mut self.a);
            sums.iter_mut().zip(&self.a).for_each(|(sum, value)| *sum += i64::from(*value));
        }
        let factor = work.scale_a / (work.scale_out * counted as f32);
        let count = counted as i64;
        for (out, sum) in self.out.iter_mut().zip(sums) {
            *out = if work.mode == Mode::Float {
                self.writer.value(sum as f32 * factor)
            } else {
                // Padding counts as zero points, so that each counted element has one.
                let whole = sum + count * i64::from(work.zero_a);
                let away = if whole < 0 && !on(Mutant::AverageTiesUp) { -(count / 2) } else { count / 2 };
                let mean =
                    if on(Mutant::AverageTiesUp) { (whole + away).div_euclid(count) } else { (whole + away) / count };
                mean.clamp(work.low.into(), work.high.into()) as i32
            };
        }
    }

    /// N-14.
    fn sum(&mut self, y: usize, x: usize) {
        let work = self.work;
        let mut totals = vec![0.0f32; work.channels as usize];
        for operand in 0..work.operands {
            let first = work.a + operand * work.height * work.pitch[0].row;
            self.load(0, 0, (first, y, x));
            let terms = self.a.iter().map(|value| normalise::term(self.params, operand as usize, *value));
            if operand == 0 {
                totals.iter_mut().zip(terms).for_each(|(total, term)| *total = term);
            } else {
                totals.iter_mut().zip(terms).for_each(|(total, term)| *total += term);
            }
        }
        self.out.iter_mut().zip(totals).for_each(|(out, v)| *out = self.writer.value(v / work.scale_out));
    }
}

/// M-14: signs as bits.
fn pack_signs(signs: &[i32], bytes: &mut [u8]) {
    for (byte, signs) in bytes.iter_mut().zip(signs.chunks(8)) {
        *byte = signs.iter().rev().fold(0, |byte, sign| byte << 1 | u8::from(*sign > 0));
    }
}

/// N-10.
fn softmax(work: &VectorWork, writer: Writer, a: &[i32], out: &mut [i32]) {
    let largest = a.iter().copied().max().unwrap_or(0);
    let all: Vec<f32> = a.iter().map(|value| exp2p(-((largest - value) as f32 * work.scale_a))).collect();
    let mut sum = all.iter().fold(0.0, |sum: f32, e| sum + e);
    if on(Mutant::SoftmaxSumBackwards) {
        sum = all.iter().rev().fold(0.0, |sum: f32, e| sum + e);
    }
    out.iter_mut().zip(all).for_each(|(out, e)| *out = writer.value(e / sum / work.scale_out));
}
