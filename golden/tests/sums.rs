//! Rule N-16 in the quantised form: outputs that are sums, by hand and against the bare definition on random attributes.

#![allow(missing_docs, reason = "tests")]
#[allow(dead_code, reason = "each test file uses its own part of the helpers")]
mod common;

use common::*;
use systole_golden::Value;
use systole_network::graph::Form;
use systole_network::op::{Conv, Op};
use systole_network::tensor::{DType, Quant, Tensor};

fn sums(shape: &[usize]) -> Tensor {
    int_tensor("y", shape, DType::I32, 1.0, 0)
}

fn i8_weights(shape: &[usize], zero: i32, q: Vec<i8>) -> Operand {
    constant(int_tensor("w", shape, DType::I8, 1.0, zero), Value::I8(q))
}

#[test]
fn n16_the_example_and_a_bias() {
    let x = || u8_input("x", &[1, 2], 1.0, 5, vec![3, 200]);
    let w = || i8_weights(&[1, 2], 1, vec![7, -2]);
    assert_eq!(quantised(Op::FullyConnected, &[x(), w()], sums(&[1, 1])).unwrap(), Value::I32(vec![-597]));
    let with_bias = [x(), w(), bias(&[-100_000])];
    assert_eq!(quantised(Op::FullyConnected, &with_bias, sums(&[1, 1])).unwrap(), Value::I32(vec![-100_597]));
    // Scales play no part.
    let scaled = u8_input("x", &[1, 2], 0.001, 5, vec![3, 200]);
    assert_eq!(quantised(Op::FullyConnected, &[scaled, w()], sums(&[1, 1])).unwrap(), Value::I32(vec![-597]));
}

#[test]
fn n16_sums_are_neither_clamped_nor_those_of_transposed_convolutions() {
    let x = || u8_input("x", &[1, 1, 1, 1], 1.0, 0, vec![3]);
    let w = || i8_weights(&[1, 1, 1, 1], 0, vec![7]);
    let conv = Conv { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], pads: [0; 4], groups: 1 };
    let run = |clamp| eval(Form::Quantised, Op::Conv(conv.clone()), &[x(), w()], sums(&[1, 1, 1, 1]), clamp);
    assert_eq!(run(None).unwrap(), Value::I32(vec![21]));
    assert!(run(Some((0, 10))).is_err());
    let transposed = systole_network::op::ConvTranspose {
        kernel: [1, 1],
        stride: [1, 1],
        dilation: [1, 1],
        pads: [0; 4],
        output_padding: [0; 2],
        groups: 1,
    };
    assert!(quantised(Op::ConvTranspose(transposed), &[x(), w()], sums(&[1, 1, 1, 1])).is_err());
}

#[test]
fn n16_n20_the_low_32_bits_of_w() {
    for (bits, expected) in [
        // 100 · 2 + 2^31 − 100 = 2^31 + 100, whose low 12 bits are 100, low 32 bits −2^31 + 100.
        (12, 100),
        (32, i32::MIN + 100),
        (48, i32::MIN + 100),
        // Low 7 bits: 100 − 128.
        (7, -28),
    ] {
        let operands =
            [u8_input("x", &[1, 1], 1.0, 0, vec![100]), i8_weights(&[1, 1], 0, vec![2]), bias(&[i32::MAX - 99])];
        let (mut graph, values) = graph_of(Form::Quantised, Op::FullyConnected, &operands, sums(&[1, 1]), None);
        graph.policy.accumulator_bits = bits;
        let run = systole_golden::run(&graph, &values, systole_golden::Options::default()).expect("it runs");
        assert_eq!(run.tensors[&graph.outputs[0]], Value::I32(vec![expected]), "{bits} bits");
    }
}

/// ConvInteger and the convolution whose output is its sum, on random attributes: both are the bare definition.
#[test]
fn n16_random_convolutions_are_sums_of_products_in_both_forms() {
    let (mut padded, mut grouped) = (0, 0);
    for case in 0..300 {
        let mut draws = Draws(case);
        let (groups, stride, dilation) = (1 + draws.below(3), 1 + draws.below(2), 1 + draws.below(2));
        let (c, m) = (1 + draws.below(4), 1 + draws.below(4));
        let (h, w) = (3 + draws.below(5), 3 + draws.below(5));
        let (kh, kw) = (1 + draws.below(2), 1 + draws.below(2));
        let pads: [usize; 4] = std::array::from_fn(|_| draws.below(3));
        let (zx, zw) = (draws.below(256) as i32, draws.below(256) as i32 - 128);
        let x: Vec<u8> = (0..groups * c * h * w).map(|_| draws.below(256) as u8).collect();
        let weights: Vec<i8> = (0..groups * m * c * kh * kw).map(|_| draws.below(256) as u8 as i8).collect();
        let size = |n: usize, before: usize, behind: usize, k: usize| {
            (n + before + behind - (k - 1) * dilation - 1) / stride + 1
        };
        let out = [size(h, pads[0], pads[2], kh), size(w, pads[1], pads[3], kw)];
        let mut expected = vec![];
        for (o, y, xx) in
            (0..groups * m).flat_map(|o| (0..out[0]).flat_map(move |y| (0..out[1]).map(move |x| (o, y, x))))
        {
            let mut sum = 0i64;
            for (ch, ky, kx) in (0..c).flat_map(|c| (0..kh).flat_map(move |y| (0..kw).map(move |x| (c, y, x)))) {
                let iy = (y * stride + ky * dilation).wrapping_sub(pads[0]);
                let ix = (xx * stride + kx * dilation).wrapping_sub(pads[1]);
                if iy < h && ix < w {
                    let q = i64::from(x[((o / m * c + ch) * h + iy) * w + ix]) - i64::from(zx);
                    let weight = i64::from(weights[((o * c + ch) * kh + ky) * kw + kx]) - i64::from(zw);
                    sum += q * weight;
                }
            }
            expected.push(sum as i32);
        }
        padded += u32::from(pads != [0; 4]);
        grouped += u32::from(groups > 1);
        let conv = Conv { kernel: [kh, kw], stride: [stride; 2], dilation: [dilation; 2], pads, groups };
        let shape = [1, groups * m, out[0], out[1]];
        let operands =
            [u8_input("x", &[1, groups * c, h, w], 1.0, zx, x), i8_weights(&[groups * m, c, kh, kw], zw, weights)];
        let ours = quantised(Op::Conv(conv.clone()), &operands, sums(&shape)).unwrap();
        assert_eq!(ours, Value::I32(expected.clone()), "case {case}");
        let bare = operands.map(|(tensor, value)| (Tensor { quant: None::<Quant>, ..tensor }, value));
        let output = Tensor { dtype: DType::I32, ..f32_tensor("y", &shape) };
        let of_file = imported(Op::ConvInteger { conv, zeros: [zx, zw] }, &bare, output).unwrap();
        assert_eq!(of_file, Value::I32(expected), "case {case}");
    }
    assert!(padded > 100 && grouped > 100, "{padded} {grouped}");
}
