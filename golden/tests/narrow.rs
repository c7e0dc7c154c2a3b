//! Rule N-28: operands of 1, 2 and 4 bits, by hand and against the bare definition on random attributes.

#![allow(missing_docs, reason = "tests")]
#[allow(dead_code, reason = "each test file uses its own part of the helpers")]
mod common;

use common::*;
use systole_golden::Value;
use systole_network::op::{Conv, Op};
use systole_network::tensor::{DType, Quant, Tensor};

fn narrow(dtype: DType, shape: &[usize], q: Vec<i8>) -> Operand {
    constant(int_tensor("w", shape, dtype, 1.0, 0), Value::I8(q))
}

fn bits(shape: &[usize], q: Vec<i8>) -> Operand {
    (int_tensor("x", shape, DType::B1, 1.0, 0), Some(Value::I8(q)))
}

fn row(kernel: usize, pad: usize) -> Op {
    Op::Conv(Conv { kernel: [1, kernel], stride: [1, 1], dilation: [1, 1], pads: [0, pad, 0, pad], groups: 1 })
}

#[test]
fn n28_padding_of_bits_is_neither_of_their_values() {
    let x = bits(&[1, 1, 1, 3], vec![1, -1, 1]);
    let w = narrow(DType::B1, &[1, 1, 1, 3], vec![1, 1, -1]);
    let y = quantised(row(3, 1), &[x, w], int_tensor("y", &[1, 1, 1, 3], DType::I8, 1.0, 0)).unwrap();
    // 0·1 + 1·1 + (−1)(−1); 1·1 + (−1)·1 + 1·(−1), where one bit of three agrees: 2·1 − 3; (−1)·1 + 1·1 + 0·(−1).
    assert_eq!(y, Value::I8(vec![2, -1, 0]));
}

#[test]
fn n28_levels_and_four_bits_are_numbers() {
    let x = || u8_input("x", &[1, 4], 1.0, 10, vec![11, 12, 13, 20]);
    let y = || int_tensor("y", &[1, 1], DType::I8, 1.0, 0);
    let levels = narrow(DType::L2, &[1, 4], vec![-2, -1, 1, 2]);
    // 1·(−2) + 2·(−1) + 3·1 + 10·2.
    assert_eq!(quantised(Op::FullyConnected, &[x(), levels], y()).unwrap(), Value::I8(vec![19]));
    let four = narrow(DType::I4, &[1, 4], vec![-8, 7, 0, 3]);
    // −8 + 14 + 30.
    assert_eq!(quantised(Op::FullyConnected, &[x(), four], y()).unwrap(), Value::I8(vec![36]));
    let ternary = narrow(DType::I2, &[1, 4], vec![-1, 0, 1, -2]);
    // −1 + 3 − 20.
    assert_eq!(quantised(Op::FullyConnected, &[x(), ternary], y()).unwrap(), Value::I8(vec![-18]));
}

#[test]
fn n28_a_sign_is_not_rounded_first() {
    // acc = −1, 0, 1: with m = 0.01 all of them round to 0.
    let x = i8_input("x", &[3, 1], 0.01, 0, vec![-1, 0, 1]);
    let y = int_tensor("y", &[3, 1], DType::B1, 1.0, 0);
    let q = quantised(Op::FullyConnected, &[x, weights(&[1, 1], &[1.0], vec![1])], y).unwrap();
    assert_eq!(q, Value::I8(vec![-1, 1, 1]));
    // The bias takes part: acc = 2 − 3.
    let x = i8_input("x", &[1, 1], 1.0, 0, vec![2]);
    let y = int_tensor("y", &[1, 1], DType::B1, 1.0, 0);
    let q = quantised(Op::FullyConnected, &[x, weights(&[1, 1], &[1.0], vec![1]), bias(&[-3])], y).unwrap();
    assert_eq!(q, Value::I8(vec![-1]));
}

#[test]
fn n28_signs_of_an_affine_map_and_of_a_value() {
    let vector = |name: &str, v: &[f32]| constant(f32_tensor(name, &[v.len()]), Value::F32(v.to_vec()));
    let x = || u8_input("x", &[1, 3, 1, 1], 0.5, 4, vec![6, 4, 2]);
    let y = || int_tensor("y", &[1, 3, 1, 1], DType::B1, 1.0, 0);
    // v = 1, 0, −1; w = −1·1 + 0.5, 2·0 + 0, −1·(−1) − 1.
    let affine = [x(), vector("a", &[-1.0, 2.0, -1.0]), vector("b", &[0.5, 0.0, -1.0])];
    assert_eq!(quantised(Op::BatchNorm { epsilon: 0.0 }, &affine, y()).unwrap(), Value::I8(vec![-1, 1, 1]));
    let nan = [x(), vector("a", &[f32::NAN, 1.0, 1.0]), vector("b", &[0.0; 3])];
    assert_eq!(quantised(Op::BatchNorm { epsilon: 0.0 }, &nan, y()).unwrap(), Value::I8(vec![-1, 1, -1]));
    // qx − zx = 2, 0, −2.
    assert_eq!(quantised(Op::Rescale, &[x()], y()).unwrap(), Value::I8(vec![1, 1, -1]));
}

#[test]
fn n28_binarise_on_floats() {
    let x = f32_input("x", &[1, 5], &[0.0, -0.0, -1e-30, 3.0, f32::NAN]);
    let y = imported(Op::Binarize, &[x], f32_tensor("y", &[1, 5])).unwrap();
    assert_eq!(y, Value::F32(vec![1.0, 1.0, -1.0, 1.0, -1.0]));
}

/// Sums of random convolutions of every type of weights over bits and bytes, as signs and as 16-bit numbers at scale 1: both follow from Σ x·w alone.
#[test]
fn n28_random_convolutions_are_sums_of_products() {
    let types: [(DType, &[i8]); 4] = [
        (DType::B1, &[-1, 1]),
        (DType::L2, &[-2, -1, 1, 2]),
        (DType::I2, &[-2, -1, 0, 1]),
        (DType::I4, &[-8, -5, -1, 0, 3, 7]),
    ];
    for case in 0..400 {
        let mut draws = Draws(case);
        let (dtype, values) = types[draws.below(4)];
        let (c, m, h, w) = (1 + draws.below(9), 1 + draws.below(4), 1 + draws.below(6), 1 + draws.below(6));
        let (kh, kw, stride) = (1 + draws.below(h), 1 + draws.below(w), 1 + draws.below(2));
        let pads: [usize; 4] = [kh, kw, kh, kw].map(|k| draws.below(k));
        let out = [(h + pads[0] + pads[2] - kh) / stride + 1, (w + pads[1] + pads[3] - kw) / stride + 1];
        let binary = draws.below(2) == 0;
        let x: Vec<i8> = (0..c * h * w)
            .map(|_| if binary { [-1, 1][draws.below(2)] } else { draws.below(256) as u8 as i8 })
            .collect();
        let weights: Vec<i8> = (0..m * c * kh * kw).map(|_| values[draws.below(values.len())]).collect();
        let mut sums = vec![];
        for (o, y, xx) in (0..m).flat_map(|o| (0..out[0]).flat_map(move |y| (0..out[1]).map(move |x| (o, y, x)))) {
            let mut sum = 0i64;
            for (ch, ky, kx) in (0..c).flat_map(|c| (0..kh).flat_map(move |y| (0..kw).map(move |x| (c, y, x)))) {
                let (iy, ix) = ((y * stride + ky).wrapping_sub(pads[0]), (xx * stride + kx).wrapping_sub(pads[1]));
                if iy < h && ix < w {
                    let weight = weights[((o * c + ch) * kh + ky) * kw + kx];
                    sum += i64::from(x[(ch * h + iy) * w + ix]) * i64::from(weight);
                }
            }
            sums.push(sum);
        }
        let conv = Conv { kernel: [kh, kw], stride: [stride; 2], dilation: [1, 1], pads, groups: 1 };
        let run = |output: Tensor| {
            let input = int_tensor("x", &[1, c, h, w], if binary { DType::B1 } else { DType::I8 }, 1.0, 0);
            let operands = [(input, Some(Value::I8(x.clone()))), narrow(dtype, &[m, c, kh, kw], weights.clone())];
            quantised(Op::Conv(conv.clone()), &operands, output).unwrap()
        };
        let shape = [1, m, out[0], out[1]];
        let signs = sums.iter().map(|sum| if *sum < 0 { -1 } else { 1 }).collect();
        assert_eq!(run(int_tensor("y", &shape, DType::B1, 1.0, 0)), Value::I8(signs), "case {case}");
        let numbers = sums.iter().map(|sum| (*sum).clamp(-32_768, 32_767) as i16).collect();
        let wide = Tensor { quant: Some(Quant::per_tensor(1.0, 0)), ..int_tensor("y", &shape, DType::I16, 1.0, 0) };
        assert_eq!(run(wide), Value::I16(numbers), "case {case}");
    }
}
