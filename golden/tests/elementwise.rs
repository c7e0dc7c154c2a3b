//! Rules N-2, N-3 and N-6 to N-10 by hand.

#![allow(missing_docs, reason = "tests")]
#[allow(dead_code, reason = "each test file uses its own part of the helpers")]
mod common;

use common::*;
use systole_golden::{GoldenError, Value};
use systole_network::graph::Form;
use systole_network::op::Op;
use systole_network::tensor::{DType, Quant, Tensor};

fn u8_out(shape: &[usize], scale: f32, zero: i32) -> Tensor {
    int_tensor("y", shape, DType::U8, scale, zero)
}

#[test]
fn n2_and_n3_per_tensor_and_per_channel() {
    let x = f32_input("x", &[1, 4], &[0.5, 1.5, -1.0, f32::NAN]);
    let y = quantised(Op::Quantize, &[x], u8_out(&[1, 4], 1.0, 7)).unwrap();
    assert_eq!(y, Value::U8(vec![7, 9, 6, 7]));
    let quant = Some(Quant { scale: vec![2.0, 0.5], zero_point: vec![1, 0], axis: Some(1) });
    let w = Tensor { name: "w".into(), shape: vec![2, 2], dtype: DType::I8, quant, data: None };
    let w = constant(w, Value::I8(vec![3, 3, -1, -1]));
    let y = imported(Op::Dequantize, &[w], f32_tensor("y", &[2, 2])).unwrap();
    assert_eq!(y, Value::F32(vec![4.0, 1.5, -4.0, -0.5]));
    let y = imported(Op::Dequantize, &[bias(&[i32::MIN, 16_777_217])], f32_tensor("y", &[2])).unwrap();
    assert_eq!(y, Value::F32(vec![-2_147_483_648.0, 16_777_216.0]));
}

#[test]
fn n6_adds_reals_and_spreads_a_channel_constant() {
    let a = || u8_input("a", &[1, 2, 1, 2], 0.5, 10, vec![10, 12, 14, 0]);
    let b = i8_input("b", &[1, 2, 1, 2], 0.25, -1, vec![-1, 0, 1, 3]);
    let y = quantised(Op::Add, &[a(), b], u8_out(&[1, 2, 1, 2], 0.5, 20)).unwrap();
    // (0 + 0), (1 + 0.25) / 0.5 = 2.5 → 2, (2 + 0.5) / 0.5 = 5, (−5 + 1) / 0.5 = −8.
    assert_eq!(y, Value::U8(vec![20, 22, 25, 12]));
    let c = constant(int_tensor("c", &[2], DType::U8, 1.0, 0), Value::U8(vec![1, 3]));
    let y = quantised(Op::Add, &[a(), c], u8_out(&[1, 2, 1, 2], 0.5, 20)).unwrap();
    assert_eq!(y, Value::U8(vec![22, 24, 30, 16]));
}

#[test]
fn n7_multiplies_integers_and_spreads_a_channel_constant() {
    let a = || u8_input("a", &[1, 2, 1, 2], 0.5, 10, vec![10, 12, 15, 0]);
    let b = u8_input("b", &[1, 2, 1, 2], 0.5, 1, vec![9, 4, 2, 3]);
    let y = quantised(Op::Mul, &[a(), b], u8_out(&[1, 2, 1, 2], 0.5, 20)).unwrap();
    // Products 0, 6, 5, −20 times 0.5: 0, 3, 2.5 → 2, −10.
    assert_eq!(y, Value::U8(vec![20, 23, 22, 10]));
    let c = constant(int_tensor("c", &[2], DType::I8, 1.0, 0), Value::I8(vec![2, -1]));
    let y = quantised(Op::Mul, &[a(), c], u8_out(&[1, 2, 1, 2], 0.5, 20)).unwrap();
    assert_eq!(y, Value::U8(vec![20, 24, 15, 30]));
}

#[test]
fn element_wise_refuses_other_shapes() {
    let a = u8_input("a", &[1, 2, 1, 2], 0.5, 10, vec![0; 4]);
    let b = u8_input("b", &[1, 2, 1, 3], 0.5, 10, vec![0; 6]);
    let error = quantised(Op::Add, &[a, b], u8_out(&[1, 2, 1, 2], 0.5, 20)).unwrap_err();
    assert!(matches!(error, GoldenError::Malformed { .. }));
}

#[test]
fn n7_a_gate_of_one_value_a_channel() {
    let x = u8_input("x", &[1, 2, 2, 1], 0.5, 10, vec![12, 14, 16, 6]);
    let gate = u8_input("gate", &[1, 2, 1, 1], 1.0 / 256.0, 0, vec![128, 64]);
    let y = quantised(Op::Mul, &[x, gate], u8_out(&[1, 2, 2, 1], 0.25, 20)).unwrap();
    // 1 and 2 halved, 3 and −2 quartered, in units of 0.25: 2, 4, 3, −2.
    assert_eq!(y, Value::U8(vec![22, 24, 23, 18]));
}

/// Of every shape that repeats to the other's, what the operator makes of the operands written out.
#[test]
fn operands_that_repeat_are_the_same_as_written_out() {
    let whole = [2usize, 3, 4, 5];
    let count = |shape: &[usize; 4]| shape.iter().product::<usize>();
    let values = |shape: &[usize; 4], step: usize| -> Vec<u8> {
        (0..count(shape)).map(|i| ((i + 3) * step * 37 % 251) as u8).collect()
    };
    let written_out = |own: &[usize; 4], q: &[u8]| -> Vec<u8> {
        let mut all = vec![];
        for n in 0..whole[0] {
            for c in 0..whole[1] {
                for y in 0..whole[2] {
                    for x in 0..whole[3] {
                        let at = [n, c, y, x];
                        let [n, c, y, x] = [0, 1, 2, 3].map(|axis| if own[axis] == 1 { 0 } else { at[axis] });
                        all.push(q[((n * own[1] + c) * own[2] + y) * own[3] + x]);
                    }
                }
            }
        }
        all
    };
    let shape = |mask: usize| [0, 1, 2, 3].map(|axis| if mask >> axis & 1 == 1 { 1 } else { whole[axis] });
    for op in [Op::Add, Op::Mul, Op::Sub, Op::Div, Op::Max, Op::Min] {
        // Along each axis one of the two has all.
        let masks = (0..16).flat_map(|a| (0..16).map(move |b| (a, b))).filter(|(a, b)| a & b == 0);
        for (a, b) in masks.map(|(a, b)| (shape(a), shape(b))) {
            let (qa, qb) = (values(&a, 1), values(&b, 2));
            let operands = [u8_input("a", &a, 0.3, 90, qa.clone()), u8_input("b", &b, 0.2, 120, qb.clone())];
            let out = || u8_out(&whole, 0.7, 100);
            let repeated = quantised(op.clone(), &operands, out()).unwrap();
            let written = [
                u8_input("a", &whole, 0.3, 90, written_out(&a, &qa)),
                u8_input("b", &whole, 0.2, 120, written_out(&b, &qb)),
            ];
            assert_eq!(repeated, quantised(op.clone(), &written, out()).unwrap(), "{op:?} of {a:?} and {b:?}");
        }
    }
}

#[test]
fn n8_scale_and_shift() {
    let x = u8_input("x", &[1, 2, 1, 2], 0.5, 4, vec![4, 6, 8, 0]);
    let a = constant(f32_tensor("a", &[2]), Value::F32(vec![3.0, -1.0]));
    let b = constant(f32_tensor("b", &[2]), Value::F32(vec![0.5, 10.0]));
    let y = quantised(Op::BatchNorm { epsilon: 0.0 }, &[x, a, b], u8_out(&[1, 2, 1, 2], 1.0, 1)).unwrap();
    // 0·3 + 0.5 → 0, 1·3 + 0.5 → 4 (ties to even), 2·−1 + 10 = 8, −2·−1 + 10 = 12; plus 1.
    assert_eq!(y, Value::U8(vec![1, 5, 9, 13]));
}

#[test]
fn n9_rescales_and_is_the_identity_when_nothing_differs() {
    let x = || i8_input("x", &[1, 3], 0.3, -3, vec![-128, -3, 127]);
    let y = quantised(Op::Rescale, &[x()], u8_out(&[1, 3], 0.6, 100)).unwrap();
    // −125 / 2 = −62.5 → −62, 0, 130 / 2 = 65.
    assert_eq!(y, Value::U8(vec![38, 100, 165]));
    let same = int_tensor("y", &[1, 3], DType::I8, 0.3, -3);
    assert_eq!(quantised(Op::Rescale, &[x()], same.clone()).unwrap(), Value::I8(vec![-128, -3, 127]));
    let relu = eval(Form::Quantised, Op::Rescale, &[x()], same, Some((-3, 127))).unwrap();
    assert_eq!(relu, Value::I8(vec![-3, -3, 127]));
}

#[test]
fn n9_concat_rescales_inputs_of_another_scale() {
    let a = u8_input("a", &[2, 1, 1, 2], 1.0, 0, vec![1, 2, 3, 4]);
    let b = u8_input("b", &[2, 2, 1, 2], 2.0, 5, vec![5, 6, 7, 8, 9, 10, 11, 12]);
    let y = quantised(Op::Concat, &[a, b], u8_out(&[2, 3, 1, 2], 1.0, 0)).unwrap();
    assert_eq!(y, Value::U8(vec![1, 2, 0, 2, 4, 6, 3, 4, 8, 10, 12, 14]));
}

#[test]
fn n10_softmax_of_each_pixel() {
    // Two pixels; d = 0 and 2 · 0.5 = 1: 1 / (1 + e⁻¹) = 0.73106, 0.26894; times 256: 187.15, 68.85.
    let x = u8_input("x", &[1, 2, 1, 2], 0.5, 9, vec![7, 20, 5, 20]);
    let y = quantised(Op::Softmax, &[x], u8_out(&[1, 2, 1, 2], 1.0 / 256.0, 0)).unwrap();
    assert_eq!(y, Value::U8(vec![187, 128, 69, 128]));
    let far = i8_input("x", &[1, 2], 10.0, 0, vec![127, -128]);
    let y = quantised(Op::Softmax, &[far], u8_out(&[1, 2], 1.0 / 256.0, 0)).unwrap();
    assert_eq!(y, Value::U8(vec![255, 0]));
}

#[test]
fn views_keep_the_integers_and_refuse_to_requantise() {
    let x = || u8_input("x", &[1, 2, 1, 2], 0.5, 9, vec![1, 2, 3, 4]);
    let y = quantised(Op::Reshape, &[x()], u8_out(&[1, 4], 0.5, 9)).unwrap();
    assert_eq!(y, Value::U8(vec![1, 2, 3, 4]));
    assert!(quantised(Op::Identity, &[x()], u8_out(&[1, 2, 1, 2], 0.25, 9)).is_err());
}

#[test]
fn each_form_refuses_the_operators_of_the_other() {
    let x = u8_input("x", &[1, 1], 0.5, 9, vec![1]);
    let error = quantised(Op::Relu, std::slice::from_ref(&x), u8_out(&[1, 1], 0.5, 9)).unwrap_err();
    assert_eq!(error, GoldenError::Unsupported { node: "node".into(), op: "Relu" });
    let error = imported(Op::Rescale, &[x], u8_out(&[1, 1], 0.5, 9)).unwrap_err();
    assert_eq!(error, GoldenError::Unsupported { node: "node".into(), op: "Rescale" });
}

#[test]
fn float_element_wise() {
    let x = || f32_input("x", &[1, 2, 1, 2], &[-1.0, 2.0, 7.0, -3.0]);
    let y = || f32_tensor("y", &[1, 2, 1, 2]);
    let c = || f32_input("c", &[2], &[10.0, 0.5]);
    let one = |op, operands: &[Operand]| imported(op, operands, y()).unwrap();
    assert_eq!(one(Op::Add, &[x(), x()]), Value::F32(vec![-2.0, 4.0, 14.0, -6.0]));
    assert_eq!(one(Op::Add, &[x(), c()]), Value::F32(vec![9.0, 12.0, 7.5, -2.5]));
    assert_eq!(one(Op::Mul, &[x(), c()]), Value::F32(vec![-10.0, 20.0, 3.5, -1.5]));
    assert_eq!(one(Op::Relu, &[x()]), Value::F32(vec![0.0, 2.0, 7.0, 0.0]));
    assert_eq!(one(Op::Clip { low: 0.0, high: 6.0 }, &[x()]), Value::F32(vec![0.0, 2.0, 6.0, 0.0]));
    let parameters = [[1.0, 2.0], [0.5, 0.0], [1.0, -1.0], [3.0, 15.0]];
    let mut operands = vec![x()];
    operands.extend(parameters.map(|p| f32_input("p", &[2], &p)));
    // (x − mean) / sqrt(variance + 1) · scale + bias.
    assert_eq!(one(Op::BatchNorm { epsilon: 1.0 }, &operands), Value::F32(vec![-0.5, 1.0, 4.0, -1.0]));
    let Value::F32(p) = one(Op::Softmax, &[x()]) else { panic!("softmax makes floats") };
    assert!((p[0] - 1.0 / (1.0 + 8f32.exp())).abs() < 1e-7 && (p[0] + p[2] - 1.0).abs() < 1e-6);
    assert!((p[1] - 1.0 / (1.0 + (-5f32).exp())).abs() < 1e-6 && (p[1] + p[3] - 1.0).abs() < 1e-6);
    let y = imported(Op::Concat, &[x(), x()], f32_tensor("y", &[1, 4, 1, 2])).unwrap();
    assert_eq!(y, Value::F32(vec![-1.0, 2.0, 7.0, -3.0, -1.0, 2.0, 7.0, -3.0]));
}
