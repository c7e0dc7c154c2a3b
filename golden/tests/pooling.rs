//! Rules N-4 and N-5 by hand, in every variant.

#![allow(missing_docs, reason = "tests")]
#[allow(dead_code, reason = "each test file uses its own part of the helpers")]
mod common;

use common::*;
use systole_golden::{GoldenError, Value};
use systole_network::graph::Form;
use systole_network::op::{Op, Pool};
use systole_network::tensor::{DType, Tensor};

/// A horizontal pooling.
fn pool(kernel: usize, stride: usize, pads: [usize; 2], ceil_mode: bool, count_include_pad: bool) -> Pool {
    let pads = [0, pads[0], 0, pads[1]];
    Pool { kernel: [1, kernel], stride: [1, stride], dilation: [1, 1], pads, ceil_mode, count_include_pad }
}

fn row(q: &[u8], zero: i32) -> Operand {
    u8_input("x", &[1, 1, 1, q.len()], 1.0, zero, q.to_vec())
}

fn out(width: usize, scale: f32, zero: i32) -> Tensor {
    int_tensor("y", &[1, 1, 1, width], DType::U8, scale, zero)
}

#[test]
fn n4_padding_never_wins() {
    let x = i8_input("x", &[1, 1, 1, 3], 1.0, 0, vec![-5, -7, -9]);
    let y = int_tensor("y", &[1, 1, 1, 3], DType::I8, 1.0, 0);
    let y = quantised(Op::MaxPool(pool(3, 1, [1, 1], false, false)), &[x], y).unwrap();
    assert_eq!(y, Value::I8(vec![-5, -5, -7]));
}

#[test]
fn n4_windows_in_two_dimensions() {
    let x = u8_input("x", &[1, 2, 2, 3], 1.0, 0, vec![1, 2, 3, 4, 5, 6, 60, 50, 40, 30, 20, 10]);
    let y = int_tensor("y", &[1, 2, 1, 2], DType::U8, 1.0, 0);
    let pool = Pool {
        kernel: [2, 2],
        stride: [1, 1],
        dilation: [1, 1],
        pads: [0; 4],
        ceil_mode: false,
        count_include_pad: false,
    };
    let y = quantised(Op::MaxPool(pool), &[x], y).unwrap();
    assert_eq!(y, Value::U8(vec![5, 6, 60, 50]));
}

#[test]
fn n4_ceil_mode_pools_what_exists_and_drops_a_window_that_starts_in_padding() {
    // Length 4, window 2, stride 3: floor gives one window, ceil a second one at 3, which has one element.
    let floor = quantised(Op::MaxPool(pool(2, 3, [0, 0], false, false)), &[row(&[1, 2, 3, 4], 0)], out(1, 1.0, 0));
    assert_eq!(floor.unwrap(), Value::U8(vec![2]));
    let ceil = quantised(Op::MaxPool(pool(2, 3, [0, 0], true, false)), &[row(&[1, 2, 3, 4], 0)], out(2, 1.0, 0));
    assert_eq!(ceil.unwrap(), Value::U8(vec![2, 4]));
    // Length 3 with a pad on each side, window 2, stride 2: the third window would start at 4 = 3 + 1, in the trailing pad.
    let dropped = quantised(Op::MaxPool(pool(2, 2, [1, 1], true, false)), &[row(&[1, 2, 3], 0)], out(2, 1.0, 0));
    assert_eq!(dropped.unwrap(), Value::U8(vec![1, 3]));
}

#[test]
fn n4_n5_dilation_leaves_out_what_lies_between() {
    // Windows at −1 and 1 with taps two apart: 3 alone (the first tap is padding), then 1 and 4.
    let dilated = |count_include_pad| Pool { dilation: [1, 2], ..pool(2, 2, [1, 0], false, count_include_pad) };
    let y = quantised(Op::MaxPool(dilated(false)), &[row(&[1, 3, 2, 4], 0)], out(2, 1.0, 0));
    assert_eq!(y.unwrap(), Value::U8(vec![3, 4]));
    // Means 3 / 1 and (3 + 4) / 2 = 3.5 → 4; with the padding 3 / 2 = 1.5 → 2.
    let y = quantised(Op::AveragePool(dilated(false)), &[row(&[1, 3, 2, 4], 0)], out(2, 1.0, 0));
    assert_eq!(y.unwrap(), Value::U8(vec![3, 4]));
    let y = quantised(Op::AveragePool(dilated(true)), &[row(&[1, 3, 2, 4], 0)], out(2, 1.0, 0));
    assert_eq!(y.unwrap(), Value::U8(vec![2, 4]));
}

#[test]
fn n4_ceil_mode_with_dilation_drops_a_window_that_starts_in_padding() {
    // A window of extent 3 at stride 3 over 4: one whole window; a second one at 3 sees the last element alone.
    let wide = |pads| Pool { dilation: [1, 2], ..pool(2, 3, pads, true, false) };
    let y = quantised(Op::MaxPool(wide([0, 0])), &[row(&[1, 3, 2, 4], 0)], out(2, 1.0, 0));
    assert_eq!(y.unwrap(), Value::U8(vec![2, 4]));
    // Length 3, pads of 2: windows at −2 and 1; a third at 4 would start in the trailing pad.
    let y = quantised(Op::MaxPool(wide([2, 2])), &[row(&[7, 5, 6], 0)], out(2, 1.0, 0));
    assert_eq!(y.unwrap(), Value::U8(vec![7, 5]));
}

#[test]
fn n4_another_scale_of_the_output_follows_n9() {
    let y = quantised(Op::MaxPool(pool(2, 2, [0, 0], false, false)), &[row(&[10, 13, 9, 8], 10)], out(2, 2.0, 1));
    // (13 − 10) / 2 = 1.5 → 2, (9 − 10) / 2 = −0.5 → 0; plus 1.
    assert_eq!(y.unwrap(), Value::U8(vec![3, 1]));
    let op = Op::MaxPool(pool(2, 2, [0, 0], false, false));
    let y = eval(Form::Quantised, op, &[row(&[10, 13, 9, 8], 10)], out(2, 1.0, 10), Some((10, 12)));
    assert_eq!(y.unwrap(), Value::U8(vec![12, 10]));
}

#[test]
fn n5_without_count_include_pad_divides_by_what_is_inside() {
    let op = Op::AveragePool(pool(3, 1, [1, 1], false, false));
    let y = quantised(op, &[row(&[12, 14, 19], 10)], out(3, 1.0, 100)).unwrap();
    // (2 + 4) / 2, (2 + 4 + 9) / 3, (4 + 9) / 2 = 6.5 → 6.
    assert_eq!(y, Value::U8(vec![103, 105, 106]));
}

#[test]
fn n5_with_count_include_pad_divides_by_the_window() {
    let op = Op::AveragePool(pool(3, 1, [1, 1], false, true));
    let y = quantised(op, &[row(&[12, 14, 19], 10)], out(3, 1.0, 100)).unwrap();
    // 6 / 3, 15 / 3, 13 / 3 = 4.33.
    assert_eq!(y, Value::U8(vec![102, 105, 104]));
}

#[test]
fn n5_in_ceil_mode_what_hangs_over_does_not_count() {
    // Length 5, pads 1 and 0, window 4, stride 4: windows [−1, 3) and [3, 7); of the second, 3 and 4 exist.
    let ten = |include| Op::AveragePool(pool(4, 4, [1, 0], true, include));
    let x = || row(&[4, 8, 12, 20, 30], 0);
    assert_eq!(quantised(ten(false), &[x()], out(2, 1.0, 0)).unwrap(), Value::U8(vec![8, 25]));
    assert_eq!(quantised(ten(true), &[x()], out(2, 1.0, 0)).unwrap(), Value::U8(vec![6, 25]));
    // A trailing pad of 1 counts, what hangs over it does not: [3, 7) holds 3, 4 and one pad: 50 / 3 = 16.67.
    let op = Op::AveragePool(pool(4, 4, [1, 1], true, true));
    assert_eq!(quantised(op, &[x()], out(2, 1.0, 0)).unwrap(), Value::U8(vec![6, 17]));
}

#[test]
fn n5_global_is_one_window_with_any_scales() {
    let x = u8_input("x", &[1, 2, 2, 2], 0.5, 3, vec![3, 4, 5, 6, 255, 255, 255, 255]);
    let y = int_tensor("y", &[1, 2, 1, 1], DType::I8, 0.25, -128);
    let y = quantised(Op::GlobalAveragePool, &[x], y).unwrap();
    // (0 + 1 + 2 + 3) · 0.5 / (0.25 · 4) = 3; the other saturates.
    assert_eq!(y, Value::I8(vec![-125, 127]));
}

#[test]
fn refuses_windows_of_nothing_but_padding() {
    let op = |include| Op::AveragePool(pool(1, 1, [1, 0], false, include));
    assert!(matches!(quantised(op(false), &[row(&[1], 0)], out(2, 1.0, 0)), Err(GoldenError::Malformed { .. })));
    let op = Op::MaxPool(pool(1, 1, [1, 0], false, false));
    assert!(matches!(quantised(op, &[row(&[1], 0)], out(2, 1.0, 0)), Err(GoldenError::Malformed { .. })));
}

#[test]
fn float_pooling() {
    let x = || f32_input("x", &[1, 1, 1, 4], &[-1.0, -2.0, -3.0, -6.0]);
    let y = |width| f32_tensor("y", &[1, 1, 1, width]);
    let max = imported(Op::MaxPool(pool(3, 2, [1, 0], true, false)), &[x()], y(2)).unwrap();
    assert_eq!(max, Value::F32(vec![-1.0, -2.0]));
    let average = imported(Op::AveragePool(pool(3, 2, [1, 0], true, true)), &[x()], y(2)).unwrap();
    assert_eq!(average, Value::F32(vec![-1.0, -11.0 / 3.0]));
    let global = imported(Op::GlobalAveragePool, &[x()], f32_tensor("y", &[1, 1, 1, 1])).unwrap();
    assert_eq!(global, Value::F32(vec![-3.0]));
}
