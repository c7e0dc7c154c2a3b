//! Rules N-13 to N-16 by hand: local response normalisation, sums of three, transposition, integer sums.

#![allow(missing_docs, reason = "tests")]
#[allow(dead_code, reason = "each test file uses its own part of the helpers")]
mod common;

use common::*;
use systole_golden::Value;
use systole_network::op::{Conv, Lrn, Op};
use systole_network::tensor::{DType, Tensor};

fn u8_out(shape: &[usize], scale: f32, zero: i32) -> Tensor {
    int_tensor("y", shape, DType::U8, scale, zero)
}

#[test]
fn n13_the_example_and_the_window() {
    let x = u8_input("x", &[1, 1, 1, 1], 1.0, 0, vec![1]);
    let op = Op::Lrn(Lrn { size: 1, alpha: 3.0, beta: 0.5, bias: 1.0 });
    assert_eq!(quantised(op, &[x], u8_out(&[1, 1, 1, 1], 0.25, 0)).unwrap(), Value::U8(vec![2]));
    // The window is the channel and the next one: 2 / (1 + 4 + 9), 3 / (1 + 9 + 25), 5 / (1 + 25), in thousandths, and zy = 1.
    let x = u8_input("x", &[1, 3, 1, 1], 1.0, 10, vec![12, 13, 15]);
    let op = Op::Lrn(Lrn { size: 2, alpha: 2.0, beta: 1.0, bias: 1.0 });
    let y = quantised(op, &[x], u8_out(&[1, 3, 1, 1], 0.001, 1)).unwrap();
    assert_eq!(y, Value::U8(vec![144, 87, 193]));
}

#[test]
fn n14_each_operand_has_its_scale_and_zero_point() {
    let a = u8_input("a", &[1, 2, 1, 1], 0.5, 10, vec![12, 8]);
    let b = u8_input("b", &[1, 2, 1, 1], 2.0, 0, vec![1, 3]);
    let c = u8_input("c", &[1, 2, 1, 1], 0.25, 100, vec![102, 98]);
    // 1 + 2 + 0.5 and −1 + 6 − 0.5.
    let y = quantised(Op::Sum, &[a, b, c], u8_out(&[1, 2, 1, 1], 0.5, 3)).unwrap();
    assert_eq!(y, Value::U8(vec![10, 12]));
}

#[test]
fn n15_the_channel_shuffle() {
    let x = u8_input("x", &[1, 2, 3, 1, 2], 1.0, 0, (0..12).collect());
    let op = Op::Transpose { perm: vec![0, 2, 1, 3, 4] };
    let y = quantised(op.clone(), &[x], u8_out(&[1, 3, 2, 1, 2], 1.0, 0)).unwrap();
    assert_eq!(y, Value::U8(vec![0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11]));
    let x = u8_input("x", &[1, 2, 3, 1, 2], 1.0, 0, (0..12).collect());
    assert!(quantised(op, &[x], u8_out(&[1, 3, 2, 1, 2], 0.5, 0)).is_err());
}

#[test]
fn n16_sums_are_i32_and_padding_is_zero() {
    let conv = Conv { kernel: [1, 3], stride: [1, 1], dilation: [1, 1], pads: [0, 1, 0, 1], groups: 1 };
    let x = u8_input("x", &[1, 1, 1, 3], 1.0, 5, vec![5, 5, 7]);
    let w = weights(&[1, 1, 1, 3], &[1.0], vec![3, 1, 2]);
    let y = Tensor { dtype: DType::I32, ..f32_tensor("y", &[1, 1, 1, 3]) };
    let sums = imported(Op::ConvInteger { conv, zeros: [5, 1] }, &[x, w], y).unwrap();
    // Weights minus 1 are 2, 0, 1; inputs minus 5 are 0, 0, 2.
    assert_eq!(sums, Value::I32(vec![0, 2, 0]));
}
