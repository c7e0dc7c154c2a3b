//! Vector operations against plain scalar code written from M-6, M-7 and the rules of numerics.

use super::time::window;
use super::*;
use crate::contract::Outcome;

/// N-0 with the clamp of `ve.quant`.
fn sat(v: f32, zero: i64, low: i64, high: i64) -> u8 {
    let rounded = if v.is_nan() { 0 } else { v.round_ties_even().clamp(-2_147_483_648.0, 2_147_483_648.0) as i64 };
    (rounded + zero).clamp(low, high) as u8
}

struct Setup {
    shape: (u64, u64, u64),
    block: u64,
    pitch: [(u64, u64); 3],
    zeros: [i64; 3],
    clamp: (i64, i64),
    signed: [bool; 2],
    scales: [f32; 3],
    kernel: (u64, u64),
    stride: (u64, u64),
    /// Top, left, bottom, right.
    pads: (u64, u64, u64, u64),
    input: (u64, u64),
}

const A: u64 = 3;
const B: u64 = 1100;
const OUT: u64 = 2050;
const PARAMS: u64 = 3800;

fn scale(random: &mut Random) -> f32 {
    match random.range(0, 19) {
        0 => f32::from_bits(random.next() as u32),
        1 => 0.0,
        _ => random.range(1, 1000) as f32 / 997.0,
    }
}

fn setup(random: &mut Random, pools: bool) -> Setup {
    let shape = (random.range(1, 4), random.range(1, 4), random.range(1, 20));
    let input = if pools { (random.range(1, 5), random.range(1, 5)) } else { (shape.0, shape.1) };
    let mut pitch = |(height, width): (u64, u64)| {
        let pixel = shape.2 + random.range(0, 1) * random.range(0, 3);
        let _ = height;
        ((width - 1) * pixel + shape.2 + random.range(0, 1) * random.range(0, 9), pixel)
    };
    let pitch = [pitch(input), pitch((shape.0, shape.1)), pitch((shape.0, shape.1))];
    let low = random.range(0, 300) as i64 - 200;
    Setup {
        shape,
        block: random.range(1, 4),
        pitch,
        zeros: std::array::from_fn(|_| random.range(0, 300) as i64 - 150),
        clamp: (low, low + random.range(0, 300) as i64),
        signed: [random.flag(), random.flag()],
        scales: std::array::from_fn(|_| scale(random)),
        kernel: (random.range(1, 4), random.range(1, 4)),
        stride: (random.range(1, 3), random.range(1, 3)),
        pads: (random.range(0, 3), random.range(0, 3), random.range(0, 3), random.range(0, 3)),
        input,
    }
}

fn program(s: &Setup, operation: Operation) -> Vec<Instruction> {
    let pitch = |operand, k: usize| ve_pitch(operand, s.pitch[k].0, s.pitch[k].1);
    vec![
        ld_shape(4096, 1, 1),
        ld_run(0, 0, Space::Activation).signal(Unit::Vector),
        ve_shape(s.shape.0, s.shape.1, s.shape.2, s.block).wait(Unit::Load),
        pitch(VectorOperand::A, 0),
        pitch(VectorOperand::B, 1),
        pitch(VectorOperand::Out, 2),
        Instruction::new(Operation::VectorQuant {
            zero_a: i(s.zeros[0]),
            zero_b: i(s.zeros[1]),
            zero_out: i(s.zeros[2]),
            low: i(s.clamp.0),
            high: i(s.clamp.1),
            signed_a: Flag(s.signed[0]),
            signed_b: Flag(s.signed[1]),
            signed_out: Flag(false),
            wide_a: Flag(false),
            wide_b: Flag(false),
            wide_out: Flag(false),
        }),
        ve_scale(s.scales[0], s.scales[1], s.scales[2]),
        window(s.kernel, s.stride, s.pads, s.input),
        Instruction::new(operation),
    ]
}

/// What a memory holds, and how a set-up reads it.
struct View<'a> {
    s: &'a Setup,
    memory: &'a [u8],
}

impl View<'_> {
    fn at(&self, base: u64, operand: usize, y: u64, x: u64, ch: u64) -> i64 {
        let byte = self.memory[(base + y * self.s.pitch[operand].0 + x * self.s.pitch[operand].1 + ch) as usize];
        if self.s.signed[operand] { i64::from(byte as i8) } else { i64::from(byte) }
    }

    fn word(&self, ch: u64, second: u64) -> [u8; 4] {
        let at = (PARAMS + 8 * ch + 4 * second) as usize;
        [self.memory[at], self.memory[at + 1], self.memory[at + 2], self.memory[at + 3]]
    }

    /// Elements of a window: those inside, and how many lie inside input and padding.
    fn window(&self, y: u64, x: u64, ch: u64) -> (Vec<i64>, u64) {
        let (mut values, mut padded) = (Vec::new(), 0);
        let (height, width) = (self.s.input.0 as i64, self.s.input.1 as i64);
        for ky in 0..self.s.kernel.0 {
            for kx in 0..self.s.kernel.1 {
                let iy = (y * self.s.stride.0 + ky) as i64 - self.s.pads.0 as i64;
                let ix = (x * self.s.stride.1 + kx) as i64 - self.s.pads.1 as i64;
                padded += u64::from(iy < height + self.s.pads.2 as i64 && ix < width + self.s.pads.3 as i64);
                if (0..height).contains(&iy) && (0..width).contains(&ix) {
                    values.push(self.at(A, 0, iy as u64, ix as u64, ch));
                }
            }
        }
        (values, padded)
    }
}

/// The result of an operation before the clamp: a real value, or for maxima an integer.
fn naive(v: &View, operation: &Operation, y: u64, x: u64, ch: u64) -> u8 {
    let s = v.s;
    let [sa, sb, so] = s.scales;
    let a = || (v.at(A, 0, y, x, ch) - s.zeros[0]) as i32;
    let b = || (v.at(B, 1, y, x, ch) - s.zeros[1]) as i32;
    let constant = || i32::from_le_bytes(v.word(ch, 0)).wrapping_sub(s.zeros[1] as i32);
    let add = |a: i32, b: i32| {
        let (p, q) = (a as f32 * sa, b as f32 * sb);
        (p + q) / so
    };
    let mul = |a: i32, b: i32| a.wrapping_mul(b) as f32 * ((sa * sb) / so) + s.zeros[2] as f32;
    let real = match operation {
        Operation::VectorAdd { .. } => add(a(), b()),
        Operation::VectorMul { .. } => mul(a(), b()),
        Operation::VectorAddChannel { .. } => add(a(), constant()),
        Operation::VectorMulChannel { .. } => mul(a(), constant()),
        Operation::VectorAffine { .. } => {
            let real = a() as f32 * sa;
            let scaled = real * f32::from_le_bytes(v.word(ch, 0));
            (scaled + f32::from_le_bytes(v.word(ch, 1))) / so
        }
        Operation::VectorRescale { .. } => (a() as f32 * sa) / so,
        Operation::VectorMaxPool { .. } => {
            let largest = v.window(y, x, ch).0.into_iter().max().unwrap_or(i64::MIN);
            return largest.clamp(s.clamp.0, s.clamp.1) as u8;
        }
        Operation::VectorAveragePool { include_pad, .. } => {
            let (values, padded) = v.window(y, x, ch);
            let n = if include_pad.0 { padded } else { values.len() as u64 }.max(1);
            let sum = values.iter().sum::<i64>() - values.len() as i64 * s.zeros[0];
            sum as f32 * (sa / (so * n as f32))
        }
        Operation::VectorSoftmax { .. } => {
            let q: Vec<i64> = (0..s.shape.2).map(|ch| v.at(A, 0, y, x, ch)).collect();
            let largest = q.iter().copied().max().unwrap_or(0);
            let e: Vec<f32> = q.iter().map(|q| exp2p(-((largest - q) as f32 * sa))).collect();
            let mut sum = 0.0;
            for e in &e {
                sum += e;
            }
            e[ch as usize] / sum / so
        }
        _ => f32::NAN,
    };
    // N-7 has added the zero point already.
    let product = matches!(operation, Operation::VectorMul { .. } | Operation::VectorMulChannel { .. });
    sat(real, if product { 0 } else { s.zeros[2] }, s.clamp.0, s.clamp.1)
}

fn exp2p(x: f32) -> f32 {
    let t = x * std::f32::consts::LOG2_E;
    if !(-126.0..=127.0).contains(&t) {
        return if t > 127.0 { f32::INFINITY } else { 0.0 };
    }
    let k = t.round_ties_even();
    let r = x - k * 0.693_359_4;
    let r = r - k * -2.121_944_4e-4;
    let mut p = 1.987_569_1e-4f32;
    for c in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        let product = p * r;
        p = product + c;
    }
    let square = r * r;
    let scaled = p * square;
    let y = (scaled + r) + 1.0;
    y * 2f32.powi(k as i32)
}

fn check(operation: Operation, pools: bool, seed: u64) {
    let mut random = Random(seed);
    let (mut halted, mut distinct) = (0, std::collections::BTreeSet::new());
    for round in 0..150 {
        let s = setup(&mut random, pools);
        let mut image = random.bytes(4096);
        if round % 2 == 0 {
            // Parameters of a usual size.
            for pair in image[PARAMS as usize..].chunks_exact_mut(8).take(20) {
                pair[..4].copy_from_slice(&(random.range(0, 500) as i32 - 250).to_le_bytes());
                pair[4..].copy_from_slice(&(random.range(0, 500) as f32 / 100.0).to_le_bytes());
                if matches!(operation, Operation::VectorAffine { .. }) {
                    pair[..4].copy_from_slice(&(random.range(0, 500) as f32 / 250.0).to_le_bytes());
                }
            }
        }
        let (timing, memories) = run(&machine(), &program(&s, operation), &[(0, &image)]);
        if timing.outcome != Outcome::Halted {
            continue;
        }
        halted += 1;
        let view = View { s: &s, memory: &image };
        let mut expected = image.clone();
        for (y, x, ch) in elements(s.shape) {
            let at = OUT + y * s.pitch[2].0 + x * s.pitch[2].1 + ch;
            expected[at as usize] = naive(&view, &operation, y, x, ch);
            distinct.insert(expected[at as usize]);
        }
        assert_eq!(memories.activation, expected, "round {round} {operation:?}");
    }
    assert!(halted > 120 && distinct.len() > 100, "too few cases: {halted}, {} values", distinct.len());
}

fn elements(shape: (u64, u64, u64)) -> impl Iterator<Item = (u64, u64, u64)> {
    (0..shape.0 * shape.1 * shape.2).map(move |n| (n / shape.2 / shape.1, n / shape.2 % shape.1, n % shape.2))
}

#[test]
fn n6_n7_tensors() {
    check(
        Operation::VectorAdd { a: u(A), b: u(B), out: u(OUT), mode: RequantMode::Float32, subtract: Flag(false) },
        false,
        5,
    );
    check(Operation::VectorMul { a: u(A), b: u(B), out: u(OUT), mode: RequantMode::Float32 }, false, 6);
}

#[test]
fn n6_n7_n8_channels() {
    check(
        Operation::VectorAddChannel {
            a: u(A),
            params: u(PARAMS),
            out: u(OUT),
            mode: RequantMode::Float32,
            subtract: Flag(false),
        },
        false,
        7,
    );
    check(
        Operation::VectorMulChannel { a: u(A), params: u(PARAMS), out: u(OUT), mode: RequantMode::Float32 },
        false,
        8,
    );
    check(Operation::VectorAffine { a: u(A), params: u(PARAMS), out: u(OUT) }, false, 9);
}

#[test]
fn n9_n10_rescale_and_softmax() {
    check(Operation::VectorRescale { a: u(A), out: u(OUT), mode: RequantMode::Float32 }, false, 10);
    check(Operation::VectorSoftmax { a: u(A), out: u(OUT) }, false, 11);
}

#[test]
fn n4_n5_pooling() {
    check(Operation::VectorMaxPool { a: u(A), out: u(OUT) }, true, 12);
    check(
        Operation::VectorAveragePool { a: u(A), out: u(OUT), include_pad: Flag(false), mode: RequantMode::Float32 },
        true,
        13,
    );
    check(
        Operation::VectorAveragePool { a: u(A), out: u(OUT), include_pad: Flag(true), mode: RequantMode::Float32 },
        true,
        14,
    );
}

#[test]
fn m6_all_inputs_are_read_before_any_output_is_written() {
    let s = Setup {
        shape: (1, 1, 8),
        block: 1,
        pitch: [(8, 8); 3],
        zeros: [0; 3],
        clamp: (0, 255),
        signed: [false; 2],
        scales: [1.0; 3],
        kernel: (1, 1),
        stride: (1, 1),
        pads: (0, 0, 0, 0),
        input: (1, 1),
    };
    let operation =
        Operation::VectorAdd { a: u(0), b: u(2), out: u(1), mode: RequantMode::Float32, subtract: Flag(false) };
    let image: Vec<u8> = (0..16).collect();
    let mut program = program(&s, operation);
    program[0] = ld_shape(16, 1, 1);
    let (_, memories) = run(&machine(), &program, &[(0, &image)]);
    assert_eq!(memories.activation[..10], [0, 2, 4, 6, 8, 10, 12, 14, 16, 9]);
}

#[test]
fn n1_requantisation_of_accumulators() {
    let mut random = Random(15);
    let mut halted = 0;
    for _ in 0..200 {
        let mut s = setup(&mut random, false);
        s.block = random.range(1, 4);
        // Accumulators from a pointwise convolution with weights of the image, into 15 vectors of 4 lanes from vector 2 on.
        let blocks = s.shape.2.div_ceil(s.block);
        let pixels = s.shape.0 * s.shape.1;
        let image = random.bytes(4096);
        let mut program = vec![
            ld_shape(4096, 1, 1),
            ld_run(0, 0, Space::Activation),
            ld_shape(1024, 1, 1),
            ld_run(0, 0, Space::Weight).signal(Unit::Array),
            ar_input(1, pixels, 0, 4).wait(Unit::Load),
            ar_window((1, 1), (1, 1), (1, 1), (0, 0), false),
            ar_output(1, pixels, 4, 0),
            ar_run(9, 1, 2, blocks, false).signal(Unit::Vector),
        ];
        let operation = Operation::VectorRequant {
            accumulator: u(2),
            params: u(PARAMS),
            out: u(OUT),
            mode: RequantMode::Float32,
            transposed: Flag(false),
        };
        let mut tail = self::program(&s, operation).split_off(2);
        tail[0] = ve_shape(s.shape.0, s.shape.1, s.shape.2, s.block).wait(Unit::Array);
        program.extend(tail);
        let mut machine = machine();
        machine.accumulator.capacity_bytes = 1 << 16;
        let (timing, memories) = run(&machine, &program, &[(0, &image)]);
        if timing.outcome != Outcome::Halted {
            continue;
        }
        halted += 1;
        let view = View { s: &s, memory: &image };
        let mut expected = image.clone();
        for (y, x, ch) in elements(s.shape) {
            let vector = 2 + ch / s.block * pixels + y * s.shape.1 + x;
            let sum = memories.accumulator.get((vector * 4 + ch % s.block) as usize) as i32;
            let acc = sum.wrapping_add(i32::from_le_bytes(view.word(ch, 0)));
            let value = sat(acc as f32 * f32::from_le_bytes(view.word(ch, 1)), s.zeros[2], s.clamp.0, s.clamp.1);
            expected[(OUT + y * s.pitch[2].0 + x * s.pitch[2].1 + ch) as usize] = value;
        }
        assert_eq!(memories.activation, expected);
    }
    assert!(halted > 150, "too few cases: {halted}");
}
