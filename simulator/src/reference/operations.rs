//! M-6, M-7: what the vector operations compute, from N-1, N-4 to N-10, N-13, N-14, N-16 and N-17; the rest in `taps` and `resize`.

use systole_machine::isa::{OutputFormat, RequantMode};

use super::float::{exp2p, lnp, saturate};
use super::scaling::{Scaling, scaled};
use super::sums::Words;
use super::work::{Kind, Tensor, VectorWork, div_ceil};
use crate::contract::Memories;

/// Every output byte with its address; the inputs are those of the moment. An accumulator vector has `columns` words.
pub(super) fn results(work: &VectorWork, memories: &Memories, columns: u32, words: Words) -> Vec<(i64, u8)> {
    let operation = Operation { work, memories, columns: columns.into(), words };
    let mut results = Vec::new();
    if work.kind == Kind::Unpool {
        let (empty, placed) = (operation.nothing(), operation.unpooled());
        let cleared = (0..work.height).flat_map(|y| (0..work.width).map(move |x| (y, x)));
        let cleared = cleared.flat_map(|(y, x)| (0..work.channels).map(move |channel| (y, x, channel)));
        cleared.for_each(|place| store(&mut results, work.out, place, empty));
        placed.into_iter().for_each(|(place, value)| store(&mut results, work.out, place, value));
        return results;
    }
    for y in 0..work.height {
        for x in 0..work.width {
            if work.format == OutputFormat::Binary {
                operation.sign_bits(y, x, &mut results);
            } else if matches!(work.kind, Kind::Softmax | Kind::Lrn) {
                let values = if work.kind == Kind::Lrn { operation.lrn(y, x) } else { operation.softmax(y, x) };
                (0..).zip(values).for_each(|(channel, value)| store(&mut results, work.out, (y, x, channel), value));
            } else {
                for channel in 0..work.out.channels {
                    store(&mut results, work.out, (y, x, channel), operation.element(y, x, channel));
                }
            }
        }
    }
    results
}

/// An element as one byte, two or four, modulo what they hold.
fn store(results: &mut Vec<(i64, u8)>, out: Tensor, (y, x, channel): (i64, i64, i64), value: i64) {
    let address = out.at(y, x, channel);
    let bytes = (value as u64).to_le_bytes();
    results.extend((address..).zip(bytes).take(out.element_bytes() as usize));
}

/// What a window of a pooling holds.
struct Pool {
    max: Option<i64>,
    sum: i64,
    inside: i64,
    padded: i64,
}

pub(super) struct Operation<'a> {
    pub(super) work: &'a VectorWork,
    memories: &'a Memories,
    columns: i64,
    words: Words,
}

impl Operation<'_> {
    /// N-28: the sign, of the sum, of the affine value, or of the operand.
    fn sign(&self, y: i64, x: i64, channel: i64) -> i64 {
        let positive = match self.work.kind {
            Kind::Requant => self.biased_sum(y, x, channel) >= 0,
            Kind::Affine => self.affine(y, x, channel) >= 0.0,
            _ => self.a(y, x, channel) >= 0,
        };
        if positive { 1 } else { -1 }
    }

    /// M-14: the signs of a pixel as bits, eight channels a byte.
    fn sign_bits(&self, y: i64, x: i64, results: &mut Vec<(i64, u8)>) {
        let out = self.work.out;
        for place in 0..out.pixel_bytes() {
            let channels = (8 * place..8 * place + 8).filter(|channel| *channel < self.work.channels);
            let byte = channels.filter(|channel| self.sign(y, x, *channel) > 0).fold(0, |byte, c| byte | 1 << (c % 8));
            results.push((out.at(y, x, 0) + place, byte));
        }
    }

    /// N-8 before it is quantised.
    fn affine(&self, y: i64, x: i64, channel: i64) -> f32 {
        let v = self.a(y, x, channel) as f32 * self.work.scales[0];
        v * self.real_parameter(channel, 0) + self.real_parameter(channel, 4)
    }

    fn element(&self, y: i64, x: i64, channel: i64) -> i64 {
        match self.work.format {
            OutputFormat::Sign => return self.sign(y, x, channel),
            // N-16: of which the low bytes are stored.
            OutputFormat::Sum => return self.biased_sum(y, x, channel),
            OutputFormat::Plain | OutputFormat::Binary => {}
        }
        let quant = &self.work.quant;
        let [scale_a, scale_b, scale_out] = self.work.scales;
        if let Some(mode) = self.work.mode.filter(|mode| *mode != RequantMode::Float32) {
            return self.scaled_element(mode, y, x, channel);
        }
        match self.work.kind {
            Kind::Requant | Kind::Depthwise => self.requant(y, x, channel),
            Kind::Add => self.sum(self.a(y, x, channel), self.b(y, x, channel)),
            Kind::AddChannel => self.sum(self.a(y, x, channel), self.constant(channel)),
            Kind::Mul => self.product(self.a(y, x, channel), self.b(y, x, channel)),
            Kind::MulChannel => self.product(self.a(y, x, channel), self.constant(channel)),
            // N-8
            Kind::Affine => self.output(self.affine(y, x, channel) / scale_out),
            // N-9
            Kind::Rescale => self.output((self.a(y, x, channel) as f32 * scale_a) / scale_out),
            // N-4: the zero point plays no part.
            Kind::MaxPool => self.pool(y, x, channel).max.unwrap_or(i64::MIN).clamp(quant.low, quant.high),
            Kind::AveragePool { include_pad } => {
                // N-5
                let pool = self.pool(y, x, channel);
                let count = if include_pad { pool.padded } else { pool.inside }.max(1);
                let sum = pool.sum - pool.inside * quant.zero_a;
                self.output(sum as f32 * (scale_a / (scale_out * count as f32)))
            }
            Kind::Sum { operands } => self.sum_of_many(operands, y, x, channel),
            Kind::Table { per_channel } => self.entry(per_channel, y, x, channel),
            Kind::Max | Kind::Min => {
                // N-25: each operand by N-9.
                let a = self.output((self.a(y, x, channel) as f32 * scale_a) / scale_out);
                let b = self.output((self.second(y, x, channel) as f32 * scale_b) / scale_out);
                if self.work.kind == Kind::Max { a.max(b) } else { a.min(b) }
            }
            Kind::Div => {
                // N-25
                let v = (self.a(y, x, channel) as f32 * scale_a) / (self.second(y, x, channel) as f32 * scale_b);
                self.output(v / scale_out)
            }
            Kind::Gather => self.sample(y, x, channel / self.work.channels, channel % self.work.channels),
            Kind::ArgMax => self.switch(y, x, channel),
            Kind::Resize => self.resized(y, x, channel),
            // Not element by element.
            Kind::Softmax | Kind::Lrn | Kind::Unpool => quant.low,
        }
    }

    /// The integer forms of N-1, N-5 to N-7 and N-9.
    fn scaled_element(&self, mode: RequantMode, y: i64, x: i64, channel: i64) -> i64 {
        let quant = &self.work.quant;
        let [of_a, of_b, of_out] = self.work.fixed;
        let a = || i128::from(self.a(y, x, channel));
        let second = || i128::from(self.second(y, x, channel));
        let value = match self.work.kind {
            Kind::Requant | Kind::Depthwise => {
                let sum = i128::from(self.biased_sum(y, x, channel));
                scaled(mode, self.parameter_scaling(mode, channel), sum)
            }
            Kind::Add | Kind::AddChannel => {
                let wide = self.work.tensors().any(|tensor| tensor.wide);
                let raised = if wide { 15 } else { 20 };
                let raised = if mode == RequantMode::Shift { 0 } else { raised };
                let left = scaled(mode, of_a, a() << raised);
                let right = scaled(mode, of_b, second() << raised);
                scaled(mode, of_out, if self.work.subtract { left - right } else { left + right })
            }
            // Saturation and the zero point keep the order.
            Kind::Max => scaled(mode, of_a, a()).max(scaled(mode, of_b, second())),
            Kind::Min => scaled(mode, of_a, a()).min(scaled(mode, of_b, second())),
            Kind::Mul | Kind::MulChannel => scaled(mode, of_out, a() * second()),
            Kind::AveragePool { include_pad } => return self.integer_average(include_pad, y, x, channel),
            _ => scaled(mode, of_out, a()),
        };
        (value + i128::from(quant.zero_out)).clamp(quant.low.into(), quant.high.into()) as i64
    }

    /// Multiplier and shift of a channel.
    fn parameter_scaling(&self, mode: RequantMode, channel: i64) -> Scaling {
        if mode == RequantMode::Shift {
            return Scaling { multiplier: 0, shift: self.parameter(channel, 4).into() };
        }
        Scaling { multiplier: self.parameter(channel, 4).into(), shift: self.parameter(channel, 8).into() }
    }

    /// N-5 in integers: half away from zero.
    fn integer_average(&self, include_pad: bool, y: i64, x: i64, channel: i64) -> i64 {
        let quant = &self.work.quant;
        let pool = self.pool(y, x, channel);
        let count = if include_pad { pool.padded } else { pool.inside }.max(1);
        let sum = pool.sum + (count - pool.inside) * quant.zero_a;
        let magnitude = (sum.abs() + count / 2) / count;
        (magnitude * sum.signum()).clamp(quant.low, quant.high)
    }

    /// `sat(rhe(value) + zy)`.
    pub(super) fn output(&self, value: f32) -> i64 {
        let quant = &self.work.quant;
        saturate(value, quant.zero_out, quant.low, quant.high)
    }

    /// An element of the activation buffer as a number. A wide one is signed.
    pub(super) fn raw(&self, tensor: Option<Tensor>, signed: bool, y: i64, x: i64, channel: i64) -> i64 {
        let Some(tensor) = tensor else { return 0 };
        let address = tensor.at(y, x, channel) as usize;
        let byte = self.memories.activation[address];
        match (tensor.wide, signed) {
            (true, _) => i64::from(i16::from_le_bytes([byte, self.memories.activation[address + 1]])),
            (false, true) => i64::from(byte as i8),
            (false, false) => i64::from(byte),
        }
    }

    /// First operand minus its zero point.
    fn a(&self, y: i64, x: i64, channel: i64) -> i32 {
        let quant = &self.work.quant;
        (self.raw(self.work.a, quant.signed_a, y, x, channel) - quant.zero_a) as i32
    }

    /// Second operand minus its zero point.
    fn b(&self, y: i64, x: i64, channel: i64) -> i32 {
        let quant = &self.work.quant;
        (self.raw(self.work.b, quant.signed_b, y, x, channel) - quant.zero_b) as i32
    }

    /// Second operand, a tensor's or a channel's, minus its zero point.
    fn second(&self, y: i64, x: i64, channel: i64) -> i32 {
        if self.work.b.is_some() { self.b(y, x, channel) } else { self.constant(channel) }
    }

    /// N-24: the byte that the byte of operand a chooses, as it is.
    fn entry(&self, per_channel: bool, y: i64, x: i64, channel: i64) -> i64 {
        let index = self.raw(self.work.a, false, y, x, channel);
        let table = self.work.params.unwrap_or(0) + if per_channel { 256 * channel } else { 0 };
        i64::from(self.memories.activation[(table + index) as usize])
    }

    /// Second operand of a channel minus its zero point, modulo 2^32.
    fn constant(&self, channel: i64) -> i32 {
        self.parameter(channel, 0).wrapping_sub(self.work.quant.zero_b as i32)
    }

    fn parameter(&self, channel: i64, offset: i64) -> i32 {
        let address = (self.work.params.unwrap_or(0) + self.work.record_bytes() * channel + offset) as usize;
        i32::from_le_bytes(std::array::from_fn(|byte| self.memories.activation[address + byte]))
    }

    fn real_parameter(&self, channel: i64, offset: i64) -> f32 {
        f32::from_bits(self.parameter(channel, offset) as u32)
    }

    /// N-1 after the sum.
    fn requant(&self, y: i64, x: i64, channel: i64) -> i64 {
        self.output(self.biased_sum(y, x, channel) as f32 * self.real_parameter(channel, 4))
    }

    /// The sum of a depthwise convolution, or an accumulator, ⊕ bias.
    fn biased_sum(&self, y: i64, x: i64, channel: i64) -> i64 {
        let sum = if self.work.kind == Kind::Depthwise {
            self.depthwise(y, x, channel)
        } else {
            self.accumulated(y, x, channel)
        };
        self.words.add(sum, self.parameter(channel, 0).into())
    }

    /// N-31 up to the bias.
    fn depthwise(&self, y: i64, x: i64, channel: i64) -> i64 {
        let (work, w) = (self.work, &self.work.window);
        let weights = work.params.unwrap_or(0) + work.record_bytes() * work.channels;
        let mut sum = 0;
        for kernel_row in 0..w.kernel_h {
            for kernel_column in 0..w.kernel_w {
                let (row, column) = (w.row(y, kernel_row), w.column(x, kernel_column));
                if !(0..w.in_height).contains(&row) || !(0..w.in_width).contains(&column) {
                    continue;
                }
                let tap = kernel_row * w.kernel_w + kernel_column;
                let byte = self.memories.activation[(weights + tap * work.channels + channel) as usize];
                let weight = if work.quant.signed_b { i64::from(byte as i8) } else { i64::from(byte) };
                let product = i64::from(self.a(row, column, channel)) * (weight - work.quant.zero_b);
                sum = self.words.add(sum, product);
            }
        }
        sum
    }

    /// The word that the array left.
    fn accumulated(&self, y: i64, x: i64, channel: i64) -> i64 {
        let work = self.work;
        let (block, of_block) = (channel / work.block_channels, channel % work.block_channels);
        let pixel = y * work.width + x;
        let (vector, lane) = if work.transposed {
            let groups = div_ceil(work.height * work.width, self.columns);
            ((block * groups + pixel / self.columns) * work.block_channels + of_block, pixel % self.columns)
        } else {
            (block * work.height * work.width + pixel, of_block)
        };
        let at = (work.accumulator.unwrap_or(0) + vector) * self.columns + lane;
        self.memories.accumulator.get(at as usize)
    }

    /// N-6
    fn sum(&self, a: i32, b: i32) -> i64 {
        let [scale_a, scale_b, scale_out] = self.work.scales;
        let (left, right) = (a as f32 * scale_a, b as f32 * scale_b);
        let v = if self.work.subtract { left - right } else { left + right };
        self.output(v / scale_out)
    }

    /// N-14
    fn sum_of_many(&self, operands: i64, y: i64, x: i64, channel: i64) -> i64 {
        let mut v = 0.0f32;
        for operand in 0..operands {
            let raw = self.raw(self.work.a, self.work.quant.signed_a, operand * self.work.height + y, x, channel);
            let term = (raw as i32).wrapping_sub(self.parameter(operand, 4)) as f32 * self.real_parameter(operand, 0);
            v = if operand == 0 { term } else { v + term };
        }
        self.output(v / self.work.scales[2])
    }

    /// N-13 for one pixel.
    fn lrn(&self, y: i64, x: i64) -> Vec<i64> {
        let work = self.work;
        let [scale_a, _, scale_out] = work.scales;
        let norm = &work.norm;
        let a = ((norm.alpha / norm.size as f32) * scale_a) * scale_a;
        let (below, above) = ((norm.size - 1) / 2, norm.size / 2);
        let one = |channel: i64| {
            let near = (channel - below..=channel + above).filter(|c| (0..work.channels).contains(c));
            let squares = near.map(|c| self.a(y, x, c)).fold(0i32, |s, q| s.wrapping_add(q.wrapping_mul(q)));
            let u = norm.bias + squares as f32 * a;
            let w = exp2p(-norm.beta * lnp(u));
            let value = self.a(y, x, channel) as f32 * scale_a;
            self.output((value * w) / scale_out)
        };
        (0..work.channels).map(one).collect()
    }

    /// N-7
    fn product(&self, a: i32, b: i32) -> i64 {
        let [scale_a, scale_b, scale_out] = self.work.scales;
        let v = a.wrapping_mul(b) as f32 * ((scale_a * scale_b) / scale_out);
        let quant = &self.work.quant;
        saturate(v + quant.zero_out as f32, 0, quant.low, quant.high)
    }

    fn pool(&self, y: i64, x: i64, channel: i64) -> Pool {
        let w = &self.work.window;
        let mut pool = Pool { max: None, sum: 0, inside: 0, padded: 0 };
        for kernel_row in 0..w.kernel_h {
            let row = w.row(y, kernel_row);
            for kernel_column in 0..w.kernel_w {
                let column = w.column(x, kernel_column);
                if (0..w.in_height).contains(&row) && (0..w.in_width).contains(&column) {
                    let value = self.raw(self.work.a, self.work.quant.signed_a, row, column, channel);
                    pool.max = Some(pool.max.map_or(value, |max| max.max(value)));
                    pool.sum += value;
                    pool.inside += 1;
                }
                if row < w.in_height + w.pad_bottom && column < w.in_width + w.pad_right {
                    // Never before −pad: the window begins there.
                    pool.padded += 1;
                }
            }
        }
        pool
    }

    /// N-10 for one pixel.
    fn softmax(&self, y: i64, x: i64) -> Vec<i64> {
        let work = self.work;
        let [scale_a, _, scale_out] = work.scales;
        let values: Vec<i64> = (0..work.channels).map(|c| self.raw(work.a, work.quant.signed_a, y, x, c)).collect();
        let max = values.iter().copied().max().unwrap_or(0);
        let exponentials: Vec<f32> = values.iter().map(|value| exp2p(-((max - value) as f32 * scale_a))).collect();
        let total = exponentials.iter().fold(0.0f32, |total, e| total + e);
        exponentials.iter().map(|e| self.output((e / total) / scale_out)).collect()
    }
}
