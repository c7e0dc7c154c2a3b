//! Rules N-24 and N-25 by hand, and functions against their definition in double precision.

#![allow(missing_docs, reason = "tests")]
#[allow(dead_code, reason = "each test file uses its own part of the helpers")]
mod common;

use common::*;
use systole_golden::Value;
use systole_network::graph::Form;
use systole_network::op::{Function, Op};
use systole_network::tensor::{DType, Tensor};

const FUNCTIONS: [Function; 6] = [
    Function::Sigmoid,
    Function::Tanh,
    Function::HardSwish,
    Function::HardSigmoid { alpha: 0.25, beta: 0.5 },
    Function::LeakyRelu { alpha: 0.25 },
    Function::Elu { alpha: 2.0 },
];

fn i8_out(shape: &[usize], scale: f32, zero: i32) -> Tensor {
    int_tensor("y", shape, DType::I8, scale, zero)
}

#[test]
fn n24_functions_by_hand() {
    // x = −3, −2, −1, 0, 1, 5.
    let x = || u8_input("x", &[1, 6], 0.5, 10, vec![4, 6, 8, 10, 12, 20]);
    let one = |function, output| quantised(Op::Function(function), &[x()], output).unwrap();
    let u8_out = |scale, zero| int_tensor("y", &[1, 6], DType::U8, scale, zero);
    // 256 times 0.04743, 0.1192, 0.26894, 0.5, 0.73106, 0.99331.
    assert_eq!(one(Function::Sigmoid, u8_out(1.0 / 256.0, 0)), Value::U8(vec![12, 31, 69, 128, 187, 254]));
    // 128 times ∓0.99505, ∓0.96403, ∓0.76159, 0, 0.76159, 0.99991.
    assert_eq!(one(Function::Tanh, u8_out(1.0 / 128.0, 128)), Value::U8(vec![1, 5, 31, 128, 225, 255]));
    assert_eq!(one(Function::Tanh, i8_out(&[1, 6], 1.0 / 128.0, 0)), Value::I8(vec![-127, -123, -97, 0, 97, 127]));
    // −3 · 0, −2 / 6, −1 / 3, 0, 2 / 3, 5, by sixteenths.
    assert_eq!(one(Function::HardSwish, i8_out(&[1, 6], 0.0625, 1)), Value::I8(vec![1, -4, -4, 1, 12, 81]));
    assert_eq!(one(FUNCTIONS[3], i8_out(&[1, 6], 0.0625, 0)), Value::I8(vec![0, 0, 4, 8, 12, 16]));
    assert_eq!(one(FUNCTIONS[4], i8_out(&[1, 6], 0.0625, 0)), Value::I8(vec![-12, -8, -4, 0, 16, 80]));
    // 2 · (e^x − 1): −1.90043, −1.72933, −1.26424.
    assert_eq!(one(FUNCTIONS[5], i8_out(&[1, 6], 0.0625, 0)), Value::I8(vec![-30, -28, -20, 0, 16, 80]));
    let clamped = eval(Form::Quantised, Op::Function(FUNCTIONS[4]), &[x()], i8_out(&[1, 6], 0.0625, 0), Some((-5, 9)));
    assert_eq!(clamped.unwrap(), Value::I8(vec![-5, -5, -4, 0, 9, 9]));
}

#[test]
fn n24_prelu_has_a_slope_per_channel() {
    let x = i8_input("x", &[1, 2, 1, 2], 0.5, 1, vec![-3, 3, -3, 5]);
    let slopes = constant(int_tensor("p", &[2], DType::I8, 0.5, 1), Value::I8(vec![2, -1]));
    let y = quantised(Op::PRelu, &[x, slopes], i8_out(&[1, 2, 1, 2], 0.25, 3)).unwrap();
    // −2 · 0.5 = −1 and 1; −2 · −1 = 2 and 2; by quarters.
    assert_eq!(y, Value::I8(vec![-1, 7, 11, 11]));
}

/// The definition, with the platform's exponential.
fn exact(function: Function, x: f64) -> f64 {
    match function {
        Function::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        Function::Tanh => x.tanh(),
        Function::HardSwish => x * (x + 3.0).clamp(0.0, 6.0) / 6.0,
        Function::HardSigmoid { alpha, beta } => (f64::from(alpha) * x + f64::from(beta)).clamp(0.0, 1.0),
        Function::LeakyRelu { alpha } => x.max(0.0) + f64::from(alpha) * x.min(0.0),
        Function::Elu { alpha } => x.max(0.0) + f64::from(alpha) * x.min(0.0).exp_m1(),
    }
}

/// All bytes in order.
fn all(dtype: DType, scale: f32, zero: i32) -> Operand {
    let bytes: Vec<u8> = (0..=255).collect();
    let tensor = int_tensor("x", &[1, 256], dtype, scale, zero);
    (tensor, Some(Value::from_le_bytes(dtype, &bytes)))
}

fn integers(value: &Value) -> Vec<i32> {
    match value {
        Value::U8(q) => q.iter().map(|&q| q.into()).collect(),
        Value::I8(q) => q.iter().map(|&q| q.into()).collect(),
        other => panic!("{other:?}"),
    }
}

/// Every byte, of each function, at many scales: the integer of the definition, but where that lies on the edge between two, as near as single precision
/// can tell.
#[test]
fn n24_every_byte_of_every_function() {
    let (mut compared, mut on_the_edge) = (0u32, 0u32);
    let scales = (1..40).map(|step| 0.0007 * 1.17f32.powi(step));
    for (round, scale) in scales.enumerate() {
        for (dtype, function) in [DType::U8, DType::I8].iter().flat_map(|d| FUNCTIONS.map(|f| (*d, f))) {
            let (low, high) = dtype.range().unwrap();
            let zero = low + (round as i32 * 41) % 256;
            let (sy, zy) = ([1.0 / 256.0, 1.0 / 128.0, 0.0123, 0.05][round % 4], low + (round as i32 * 73) % 256);
            let output = int_tensor("y", &[1, 256], dtype, sy, zy);
            let op = Op::Function(function);
            let got = integers(&quantised(op, &[all(dtype, scale, zero)], output).unwrap());
            for (byte, got) in (0..=255u8).zip(got) {
                let q = if dtype == DType::I8 { i32::from(byte as i8) } else { i32::from(byte) };
                let x = f64::from(q - zero) * f64::from(scale);
                let v = exact(function, x) / f64::from(sy);
                let expected = (v.round_ties_even() + f64::from(zy)).clamp(low.into(), high.into()) as i32;
                compared += 1;
                if got != expected {
                    on_the_edge += 1;
                    let from_edge = ((v - v.floor()) - 0.5).abs();
                    assert!(from_edge < 3e-6 * v.abs().max(50.0), "{function:?} of {x}: {got}, {expected} by {v}");
                }
            }
        }
    }
    println!("{on_the_edge} of {compared} on an edge");
    assert!(compared > 100_000 && on_the_edge * 1000 < compared, "{on_the_edge} of {compared}");
}

/// `tanh(x) = 2·sigmoid(2x) − 1` in integers: the input's scale doubled, outputs of 1/128 around the middle and of 1/256 from the lowest value on.
#[test]
fn n24_tanh_is_twice_a_sigmoid() {
    for step in 0..120 {
        let scale = 0.0005 * 1.09f32.powi(step);
        for dtype in [DType::U8, DType::I8] {
            let (low, _) = dtype.range().unwrap();
            let zero = low + (step * 57) % 256;
            let output = |scale, zero| int_tensor("y", &[1, 256], dtype, scale, zero);
            let tanh = Op::Function(Function::Tanh);
            let tanh = quantised(tanh, &[all(dtype, scale, zero)], output(1.0 / 128.0, low + 128)).unwrap();
            let sigmoid = Op::Function(Function::Sigmoid);
            let sigmoid = quantised(sigmoid, &[all(dtype, 2.0 * scale, zero)], output(1.0 / 256.0, low)).unwrap();
            assert_eq!(tanh, sigmoid, "scale {scale}, zero point {zero}");
        }
    }
}

#[test]
fn n25_difference_and_quotient_by_hand() {
    let a = || u8_input("a", &[1, 2, 1, 2], 0.5, 10, vec![10, 12, 14, 0]);
    let b = || i8_input("b", &[1, 2, 1, 2], 0.25, -1, vec![-1, 1, 1, -5]);
    let out = || int_tensor("y", &[1, 2, 1, 2], DType::U8, 0.5, 20);
    // 0 − 0, (1 − 0.5) / 0.5, (2 − 0.5) / 0.5, (−5 + 1) / 0.5.
    assert_eq!(quantised(Op::Sub, &[a(), b()], out()).unwrap(), Value::U8(vec![20, 21, 23, 12]));
    let c = || constant(int_tensor("c", &[2], DType::U8, 1.0, 0), Value::U8(vec![1, 0]));
    assert_eq!(quantised(Op::Sub, &[a(), c()], out()).unwrap(), Value::U8(vec![18, 20, 24, 10]));
    // 0 / 0, 1 / 0.5, 2 / 0.5, −5 / −1; then 0 / 1, 1 / 1, 2 / 0, −5 / 0.
    assert_eq!(quantised(Op::Div, &[a(), b()], out()).unwrap(), Value::U8(vec![20, 24, 28, 30]));
    assert_eq!(quantised(Op::Div, &[a(), c()], out()).unwrap(), Value::U8(vec![20, 22, 255, 0]));
}

#[test]
fn n25_maximum_and_minimum_by_hand() {
    let a = || u8_input("a", &[1, 2, 1, 2], 0.5, 0, vec![10, 10, 3, 9]);
    let b = || u8_input("b", &[1, 2, 1, 2], 2.0, 0, vec![4, 2, 1, 0]);
    let out = || int_tensor("y", &[1, 2, 1, 2], DType::U8, 1.0, 0);
    // 5 and 8, 5 and 4, 1.5 (to 2) and 2, 4.5 (to 4) and 0.
    assert_eq!(quantised(Op::Max, &[a(), b()], out()).unwrap(), Value::U8(vec![8, 5, 2, 4]));
    assert_eq!(quantised(Op::Min, &[a(), b()], out()).unwrap(), Value::U8(vec![5, 4, 2, 0]));
    let c = || constant(int_tensor("c", &[2], DType::I8, 1.0, 0), Value::I8(vec![6, -3]));
    assert_eq!(quantised(Op::Max, &[a(), c()], out()).unwrap(), Value::U8(vec![6, 6, 2, 4]));
    assert_eq!(quantised(Op::Min, &[a(), c()], out()).unwrap(), Value::U8(vec![5, 5, 0, 0]));
}

#[test]
fn n4_global_maximum_and_float_forms() {
    let x = u8_input("x", &[1, 2, 2, 2], 0.5, 9, vec![1, 7, 3, 4, 250, 9, 0, 2]);
    let y = quantised(Op::GlobalMaxPool, &[x], int_tensor("y", &[1, 2, 1, 1], DType::U8, 0.5, 9)).unwrap();
    assert_eq!(y, Value::U8(vec![7, 250]));
    let x = || f32_input("x", &[1, 2, 1, 2], &[-1.0, 2.0, 0.5, -4.0]);
    let b = || f32_input("b", &[2], &[0.5, -2.0]);
    let one = |op, operands: &[Operand]| imported(op, operands, f32_tensor("y", &[1, 2, 1, 2])).unwrap();
    assert_eq!(one(Op::Sub, &[x(), b()]), Value::F32(vec![-1.5, 1.5, 2.5, -2.0]));
    assert_eq!(one(Op::Div, &[x(), b()]), Value::F32(vec![-2.0, 4.0, -0.25, 2.0]));
    assert_eq!(one(Op::Max, &[x(), b()]), Value::F32(vec![0.5, 2.0, 0.5, -2.0]));
    assert_eq!(one(Op::Min, &[x(), b()]), Value::F32(vec![-1.0, 0.5, -2.0, -4.0]));
    assert_eq!(one(Op::PRelu, &[x(), b()]), Value::F32(vec![-0.5, 2.0, 0.5, 8.0]));
    assert_eq!(one(Op::Function(FUNCTIONS[4]), &[x()]), Value::F32(vec![-0.25, 2.0, 0.5, -1.0]));
    let mean = |axes, keep, shape: &[usize]| imported(Op::ReduceMean { axes, keep }, &[x()], f32_tensor("y", shape));
    assert_eq!(mean(vec![2, 3], true, &[1, 2, 1, 1]).unwrap(), Value::F32(vec![0.5, -1.75]));
    assert_eq!(mean(vec![1], false, &[1, 1, 2]).unwrap(), Value::F32(vec![-0.25, -1.0]));
    let top = imported(Op::GlobalMaxPool, &[x()], f32_tensor("y", &[1, 2, 1, 1])).unwrap();
    assert_eq!(top, Value::F32(vec![2.0, 0.5]));
}
