//! M-6, M-7: values of the vector operations.

use systole_machine::isa::VectorOperand;

use super::*;
use crate::reference::float::{exp2p, saturate};

/// Runs a configured operation on `bytes` at 0 of the activation buffer; what it leaves at 256.
fn compute(bytes: &[u8], setup: &[Instruction], run: Operation, count: usize) -> Vec<u8> {
    let mut program = vec![ld_shape(bytes.len() as u64, 1, 1), ld_run(0, 0, Space::Activation).signals(Unit::Vector)];
    program.extend(setup);
    program.push(plain(run).waits(Unit::Load));
    let (timing, memories) = simulate(&machine(), &program, &[(0, bytes)]);
    assert_eq!(timing.outcome, Outcome::Halted);
    memories.activation[256..256 + count].to_vec()
}

fn pitch(operand: VectorOperand, row_pitch: u64, pixel_pitch: u64) -> Instruction {
    plain(Operation::VectorPitch { operand, row_pitch: u(row_pitch), pixel_pitch: u(pixel_pitch) })
}

fn bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

const OUT: u64 = 256;

#[test]
fn add_and_mul() {
    let setup = [ve_shape(1, 1, 3, 0), ve_quant([10, 20, 1], [0, 255], false), ve_scale(0.5, 0.25, 0.5)];
    let data = [12, 30, 9, 0, 24, 23, 255];
    // (2·0.5 + 4·0.25) / 0.5 = 4; (20·0.5 + 3·0.25) / 0.5 = 21.5, to even 22; (−0.5 + 58.75) / 0.5 = 116.5, to even 116.
    let add = Operation::VectorAdd { a: u(0), b: u(4), out: u(OUT), mode: RequantMode::Float32, subtract: Flag(false) };
    assert_eq!(compute(&data, &setup, add, 3), [5, 23, 117]);
    // Scale 0.25: 8, 60, −235, in units 2, 15, −58.75.
    let mul = Operation::VectorMul { a: u(0), b: u(4), out: u(OUT), mode: RequantMode::Float32 };
    assert_eq!(compute(&data, &setup, mul, 3), [3, 16, 0]);
}

#[test]
fn constants_of_channels_wrap() {
    let setup = [ve_shape(1, 1, 1, 0), ve_quant([0, 1, 0], [-128, 127], true), ve_scale(1.0, 1.0, 1.0)];
    // −2^31 − 1 wraps to 2^31 − 1.
    let data = bytes(&[0xff, 0, i32::MIN as u32, 0]);
    let add = Operation::VectorAddChannel {
        a: u(0),
        params: u(8),
        out: u(OUT),
        mode: RequantMode::Float32,
        subtract: Flag(false),
    };
    assert_eq!(compute(&data, &setup, add, 1), [127]);
    // −1 · (2^31 − 1)
    let mul = Operation::VectorMulChannel { a: u(0), params: u(8), out: u(OUT), mode: RequantMode::Float32 };
    assert_eq!(compute(&data, &setup, mul, 1), [0x80]);
}

#[test]
fn affine_and_rescale() {
    let setup = [ve_shape(1, 1, 2, 0), ve_quant([1, 0, 2], [0, 255], false), ve_scale(0.5, 0.0, 0.25)];
    let data = bytes(&[0x0309, 0, 2f32.to_bits(), 1f32.to_bits(), (-1f32).to_bits(), 5f32.to_bits()]);
    // 8·0.5·2 + 1 = 9, 36 + 2; 2·0.5·−1 + 5 = 4, 16 + 2.
    let affine = Operation::VectorAffine { a: u(0), params: u(8), out: u(OUT) };
    assert_eq!(compute(&data, &setup, affine, 2), [38, 18]);
    let rescale = Operation::VectorRescale { a: u(0), out: u(OUT), mode: RequantMode::Float32 };
    assert_eq!(compute(&data, &setup, rescale, 2), [18, 6]);
}

/// A square window with stride 2 over 3 × 3 pixels, padded by one on top and left; outputs 2 × 2.
fn pool(run: Operation, kernel: u64, pad_end: u64) -> Vec<u8> {
    let window = plain(Operation::VectorWindow {
        kernel_h: u(kernel),
        kernel_w: u(kernel),
        stride_h: u(2),
        stride_w: u(2),
        pad_top: u(1),
        pad_left: u(1),
        pad_bottom: u(pad_end),
        pad_right: u(pad_end),
        in_height: u(3),
        in_width: u(3),
    });
    let setup = [
        ve_shape(2, 2, 1, 0),
        window,
        pitch(VectorOperand::A, 3, 1),
        pitch(VectorOperand::Out, 2, 1),
        ve_quant([1, 0, 10], [0, 100], false),
        ve_scale(1.0, 0.0, 0.5),
    ];
    compute(&[1, 2, 3, 4, 5, 6, 7, 8, 200], &setup, run, 4)
}

#[test]
fn pools() {
    assert_eq!(pool(Operation::VectorMaxPool { a: u(0), out: u(OUT) }, 2, 0), [1, 3, 7, 100]);
    let average = |include_pad| Operation::VectorAveragePool {
        a: u(0),
        out: u(OUT),
        include_pad: Flag(include_pad),
        mode: RequantMode::Float32,
    };
    // Real sums 0, 3, 9, 215 over 1, 2, 2, 4 pixels; twice that, plus 10.
    assert_eq!(pool(average(false), 2, 0), [10, 13, 19, 100]);
    // Over 4 pixels each: 1.5 and 4.5 to even.
    assert_eq!(pool(average(true), 2, 0), [10, 12, 14, 100]);
    // Sums 8, 12, 20, 215 over 9, 6, 6, 4 pixels: what hangs over the far edge counts only where that is padded.
    assert_eq!(pool(average(true), 3, 0), [12, 14, 17, 100]);
    assert_eq!(pool(average(true), 3, 1), [12, 13, 14, 58]);
}

#[test]
fn windows_without_pixels() {
    let setup = {
        let window = plain(Operation::VectorWindow {
            kernel_h: u(1),
            kernel_w: u(1),
            stride_h: u(5),
            stride_w: u(1),
            pad_top: u(0),
            pad_left: u(0),
            pad_bottom: u(0),
            pad_right: u(0),
            in_height: u(1),
            in_width: u(1),
        });
        [
            ve_shape(2, 1, 1, 0),
            window,
            pitch(VectorOperand::Out, 1, 0),
            ve_quant([3, 0, 9], [2, 50], false),
            ve_scale(1.0, 0.0, 1.0),
        ]
    };
    let max = Operation::VectorMaxPool { a: u(0), out: u(OUT) };
    assert_eq!(compute(&[40], &setup, max, 2), [40, 2]);
    for include in [false, true] {
        let average = Operation::VectorAveragePool {
            a: u(0),
            out: u(OUT),
            include_pad: Flag(include),
            mode: RequantMode::Float32,
        };
        assert_eq!(compute(&[40], &setup, average, 2), [46, 9]);
    }
}

#[test]
fn softmax() {
    let setup = [ve_shape(1, 1, 3, 0), ve_quant([0, 0, -128], [-128, 127], true), ve_scale(0.1, 0.0, 1.0 / 256.0)];
    let run = Operation::VectorSoftmax { a: u(0), out: u(OUT) };
    // e^0, e^−1, e^−2 over their sum: 0.66524, 0.24473, 0.09003.
    let result = compute(&[5, 0xfb, 0xf1], &setup, run, 3);
    assert_eq!(result.iter().map(|byte| i32::from(*byte as i8)).collect::<Vec<_>>(), [170 - 128, 63 - 128, 23 - 128]);
}

#[test]
fn exponentials_are_close_and_end() {
    for step in 0..=870 {
        let x = -(step as f32) / 10.0;
        let (got, exact) = (f64::from(exp2p(x)), f64::from(x).exp());
        assert!((got - exact).abs() <= exact * 2e-7, "{x}: {got} {exact}");
    }
    assert_eq!((exp2p(0.0), exp2p(-88.0), exp2p(f32::NAN), exp2p(1000.0)), (1.0, 0.0, 0.0, f32::INFINITY));
}

#[test]
fn saturation() {
    assert_eq!(saturate(f32::NAN, 300, -128, 127), 127);
    assert_eq!(saturate(f32::NEG_INFINITY, 5, -128, 127), -128);
    assert_eq!(saturate(2.5, 0, 0, 255), 2);
    assert_eq!(saturate(3.5, -1, 0, 255), 3);
    assert_eq!(saturate(1e30, -32768, i64::MIN, i64::MAX), (1 << 31) - 32768);
}

#[test]
fn tables_and_their_bytes() {
    // Entries count down; a is signed, which plays no part, nor does the clamp.
    let setup = [ve_shape(1, 1, 2, 0), ve_quant([7, 0, 3], [0, 1], true), pitch(VectorOperand::A, 2, 2)];
    let mut data: Vec<u8> = (0..=252).rev().collect();
    data.splice(0..0, [0x80, 2, 0]);
    // Entry i is at 3 + i: 252 − i.
    let table = Operation::VectorTable { a: u(0), params: u(3), out: u(OUT), per_channel: Flag(false) };
    assert_eq!(compute(&data, &setup, table, 2), [252 - 0x80, 250]);
}

#[test]
fn maxima_minima_quotients_and_differences() {
    let setup = [ve_shape(1, 1, 3, 0), ve_quant([10, 20, 1], [0, 255], false), ve_scale(0.5, 0.25, 0.5)];
    let data = [12, 30, 9, 0, 24, 23, 20];
    let (a, b, out, mode, per_channel) = (u(0), u(4), u(OUT), RequantMode::Float32, Flag(false));
    // 1, 10, −0.5 and 1, 0.75, 0; by halves 2, 20, −1 and 2, 1.5 to even, 0.
    let max = Operation::VectorMax { a, b, out, mode, per_channel };
    assert_eq!(compute(&data, &setup, max, 3), [3, 21, 1]);
    let min = Operation::VectorMin { a, b, out, mode, per_channel };
    assert_eq!(compute(&data, &setup, min, 3), [3, 3, 0]);
    // 1, 13.33 by halves 26.67, −0.5 / 0.
    let div = Operation::VectorDiv { a, b, out, per_channel };
    assert_eq!(compute(&data, &setup, div, 3), [3, 28, 0]);
    // 0, 9.25, −0.5: by halves 0, 18.5 to even, −1.
    let sub = Operation::VectorAdd { a, b, out, mode, subtract: Flag(true) };
    assert_eq!(compute(&data, &setup, sub, 3), [1, 19, 0]);
    let constants = [&data[..4], &bytes(&[24, 0, 0, 0, 20, 0])].concat();
    // 1 − 1, 10 + 5, −0.5 − 0 and the larger of 1 and 1, 10 and −5, −0.5 and 0.
    let sub = Operation::VectorAddChannel { a, params: b, out, mode, subtract: Flag(true) };
    assert_eq!(compute(&constants, &setup, sub, 3), [1, 31, 0]);
    let max = Operation::VectorMax { a, b, out, mode, per_channel: Flag(true) };
    assert_eq!(compute(&constants, &setup, max, 3), [3, 21, 1]);
}
