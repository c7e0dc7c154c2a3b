//! Rule N-1 by hand: convolution and fully connected.

#![allow(missing_docs, reason = "tests")]
#[allow(dead_code, reason = "each test file uses its own part of the helpers")]
mod common;

use common::*;
use systole_golden::{GoldenError, Value};
use systole_network::graph::Form;
use systole_network::op::{Conv, Op};
use systole_network::tensor::DType;

fn conv(kernel: [usize; 2], pads: [usize; 4], groups: usize) -> Op {
    Op::Conv(Conv { kernel, stride: [1, 1], dilation: [1, 1], pads, groups })
}

fn u8_out(shape: &[usize], scale: f32, zero: i32) -> systole_network::tensor::Tensor {
    int_tensor("y", shape, DType::U8, scale, zero)
}

#[test]
fn n1_padding_is_real_zero_whatever_the_zero_point() {
    // Every element is the zero point but one: padding that entered as q = 0 would show as 3 · (0 − 5).
    let x = u8_input("x", &[1, 1, 1, 3], 1.0, 5, vec![5, 5, 7]);
    let w = weights(&[1, 1, 1, 3], &[1.0], vec![3, 1, 2]);
    let y = quantised(conv([1, 3], [0, 1, 0, 1], 1), &[x, w], u8_out(&[1, 1, 1, 3], 1.0, 10)).unwrap();
    // 0·3 + 0·1 + 0·2, 0·3 + 0·1 + 2·2, 0·3 + 2·1 + 0·2, and zy = 10.
    assert_eq!(y, Value::U8(vec![10, 14, 12]));
}

#[test]
fn n1_asymmetric_pads_are_top_left_bottom_right() {
    let x = u8_input("x", &[1, 1, 2, 2], 1.0, 0, vec![1, 2, 3, 4]);
    let w = weights(&[1, 1, 1, 1], &[1.0], vec![1]);
    let y = quantised(conv([1, 1], [1, 2, 0, 1], 1), &[x, w], u8_out(&[1, 1, 3, 5], 1.0, 9)).unwrap();
    assert_eq!(y, Value::U8(vec![9, 9, 9, 9, 9, 9, 9, 10, 11, 9, 9, 9, 12, 13, 9]));
}

#[test]
fn n1_groups_see_their_own_channels() {
    let x = u8_input("x", &[1, 4, 1, 1], 1.0, 0, vec![1, 2, 3, 4]);
    let w = weights(&[2, 2, 1, 1], &[1.0], vec![1, 10, 1, 10]);
    let y = quantised(conv([1, 1], [0; 4], 2), &[x, w], u8_out(&[1, 2, 1, 1], 1.0, 0)).unwrap();
    assert_eq!(y, Value::U8(vec![21, 43]));
}

#[test]
fn n1_rounds_ties_to_even_and_saturates() {
    // acc = 1, 3, 5, −1, −3, 700 with m = 0.5.
    let x = i8_input("x", &[6, 1], 0.5, 0, vec![1, 3, 5, -1, -3, 127]);
    let w = weights(&[1, 1], &[1.0], vec![1]);
    let y = int_tensor("y", &[6, 1], DType::I8, 1.0, 0);
    let q = quantised(Op::FullyConnected, &[x, w], y).unwrap();
    assert_eq!(q, Value::I8(vec![0, 2, 2, 0, -2, 64]));
    let x = i8_input("x", &[2, 1], 1.0, 0, vec![127, -128]);
    let y = int_tensor("y", &[2, 1], DType::I8, 1.0, 1);
    let q = quantised(Op::FullyConnected, &[x, weights(&[1, 1], &[1.0], vec![2])], y).unwrap();
    assert_eq!(q, Value::I8(vec![127, -128]));
}

#[test]
fn n1_the_accumulator_wraps_at_32_bits() {
    // 2^31 − 1 + 1 is −2^31: saturation would give 255, wrapping gives 0.
    let x = u8_input("x", &[1, 1], 1.0, 0, vec![1]);
    let w = weights(&[2, 1], &[1.0], vec![1, -1]);
    let y = quantised(Op::FullyConnected, &[x, w, bias(&[i32::MAX, i32::MIN])], u8_out(&[1, 2], 1.0, 0)).unwrap();
    assert_eq!(y, Value::U8(vec![0, 255]));
}

#[test]
fn n1_one_scale_per_channel_and_the_order_of_roundings() {
    let x = u8_input("x", &[1, 1], 0.5, 0, vec![200]);
    let w = weights(&[2, 1], &[0.25, 0.5], vec![1, 1]);
    let y = quantised(Op::FullyConnected, &[x, w], u8_out(&[1, 2], 1.0, 3)).unwrap();
    assert_eq!(y, Value::U8(vec![28, 53]));
    // On these acc · f32(f32(sx · sw) / sy) lies on the other side of a tie than acc · f32(sx · f32(sw / sy)), than
    // f32(acc · f32(sx · sw)) / sy, and than the product in double precision.
    for (sx, sw, sy, acc, q) in [
        (0.05, 0.075, 0.39, 2340, 22),
        (0.48, 0.075, 0.68, 2465, 131),
        (0.45, 0.057, 0.27, 1700, 162),
        (0.15, 0.042, 0.66, 3300, 31),
        (0.02, 0.05, 0.22, 550, 3),
    ] {
        let operands = [u8_input("x", &[1, 1], sx, 0, vec![0]), weights(&[1, 1], &[sw], vec![0]), bias(&[acc])];
        let y = quantised(Op::FullyConnected, &operands, u8_out(&[1, 1], sy, 0)).unwrap();
        assert_eq!(y, Value::U8(vec![q]));
    }
}

#[test]
fn n1_the_accumulator_is_rounded_to_single_precision() {
    // Singles are 32 apart here: the first acc ties down to exactly 8.5, which ties down to 8; in double precision it were above.
    for (acc, q) in [(285_212_672 + 16, 8), (285_212_672 + 17, 9)] {
        let operands = [u8_input("x", &[1, 1], 1.0, 0, vec![0]), weights(&[1, 1], &[1.0], vec![0]), bias(&[acc])];
        let y = quantised(Op::FullyConnected, &operands, u8_out(&[1, 1], 33_554_432.0, 0)).unwrap();
        assert_eq!(y, Value::U8(vec![q]));
    }
}

#[test]
fn n1_weights_may_have_zero_points() {
    let x = u8_input("x", &[1, 2], 1.0, 1, vec![3, 4]);
    let w = constant(int_tensor("w", &[1, 2], DType::U8, 1.0, 128), Value::U8(vec![129, 131]));
    let y = quantised(Op::FullyConnected, &[x, w], u8_out(&[1, 1], 1.0, 0)).unwrap();
    assert_eq!(y, Value::U8(vec![2 + 3 * 3]));
}

#[test]
fn n1_a_clamp_replaces_the_range() {
    let x = u8_input("x", &[3, 1], 1.0, 0, vec![0, 30, 90]);
    let w = weights(&[1, 1], &[1.0], vec![1]);
    let y = u8_out(&[3, 1], 1.0, 0);
    let y = common::eval(Form::Quantised, Op::FullyConnected, &[x, w], y, Some((10, 40))).unwrap();
    assert_eq!(y, Value::U8(vec![10, 30, 40]));
}

#[test]
fn refuses_what_does_not_fit() {
    let x = || u8_input("x", &[1, 4, 2, 2], 1.0, 0, vec![0; 16]);
    let w = || weights(&[2, 2, 1, 1], &[1.0], vec![0; 4]);
    let malformed = |op, out: &[usize]| {
        let error = quantised(op, &[x(), w()], u8_out(out, 1.0, 0)).unwrap_err();
        assert!(matches!(error, GoldenError::Malformed { .. }), "{error}");
    };
    malformed(conv([1, 1], [0; 4], 1), &[1, 2, 2, 2]);
    malformed(conv([1, 1], [0; 4], 0), &[1, 2, 2, 2]);
    malformed(conv([1, 1], [0; 4], usize::MAX), &[1, 2, 2, 2]);
    malformed(conv([1, 1], [usize::MAX; 4], 2), &[1, 2, 2, 2]);
    malformed(conv([1, 1], [0; 4], 2), &[1, 2, 2, 3]);
    let conv0 = Conv { kernel: [1, 1], stride: [0, 1], dilation: [1, 1], pads: [0; 4], groups: 2 };
    malformed(Op::Conv(conv0), &[1, 2, 2, 2]);
    assert!(quantised(conv([1, 1], [0; 4], 2), &[x(), w()], u8_out(&[1, 2, 2, 2], 1.0, 0)).is_ok());
}

#[test]
fn float_convolution_and_fully_connected() {
    let x = f32_input("x", &[1, 2, 2, 2], &[1.0, 2.0, 3.0, 4.0, 10.0, 20.0, 30.0, 40.0]);
    let w = f32_input("w", &[1, 2, 2, 2], &[1.0, 0.0, 0.0, 1.0, 0.5, 0.0, 0.0, 0.0]);
    let b = f32_input("b", &[1], &[100.0]);
    let y = f32_tensor("y", &[1, 1, 1, 1]);
    let y = imported(conv([2, 2], [0; 4], 1), &[x, w, b], y).unwrap();
    assert_eq!(y, Value::F32(vec![1.0 + 4.0 + 5.0 + 100.0]));
    let x: Vec<f32> = (0..19).map(|v| v as f32).collect();
    let x = f32_input("x", &[1, 19], &x);
    let w = f32_input("w", &[2, 19], &[[1.0; 19], [2.0; 19]].concat());
    let y = imported(Op::FullyConnected, &[x, w], f32_tensor("y", &[1, 2])).unwrap();
    assert_eq!(y, Value::F32(vec![171.0, 342.0]));
}
