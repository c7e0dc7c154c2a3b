//! Rule N-22: transposed convolution by hand, and against zeros inserted into the input and a flipped kernel sliding over it, in i64.

#![allow(missing_docs, reason = "tests")]
#[allow(dead_code, reason = "each test file uses its own part of the helpers")]
mod common;

use std::cell::RefCell;
use std::collections::BTreeMap;

use common::*;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use systole_golden::{GoldenError, Value};
use systole_network::op::{ConvTranspose, Op};
use systole_network::tensor::{DType, Quant, Tensor};

fn along_a_row(kernel: usize, stride: usize, pads: [usize; 2], more: usize) -> ConvTranspose {
    ConvTranspose {
        kernel: [1, kernel],
        stride: [1, stride],
        dilation: [1, 1],
        pads: [0, pads[0], 0, pads[1]],
        output_padding: [0, more],
        groups: 1,
    }
}

#[test]
fn n22_overlapping_taps_add_up() {
    let x = || u8_input("x", &[1, 1, 1, 2], 1.0, 5, vec![15, 25]);
    let w = || weights(&[1, 1, 1, 3], &[1.0], vec![1, 2, 3]);
    let y = |width: usize| int_tensor("y", &[1, 1, 1, width], DType::U8, 1.0, 100);
    let of = |conv| Op::ConvTranspose(conv);
    // 10·1, 10·2, 10·3 + 20·1, 20·2, 20·3, and zy = 100.
    let all = quantised(of(along_a_row(3, 2, [0, 0], 0)), &[x(), w()], y(5)).unwrap();
    assert_eq!(all, Value::U8(vec![110, 120, 150, 140, 160]));
    let cut = quantised(of(along_a_row(3, 2, [1, 2], 1)), &[x(), w()], y(3)).unwrap();
    assert_eq!(cut, Value::U8(vec![120, 150, 140]));
    // Nothing but bias reaches the added column.
    let more = quantised(of(along_a_row(3, 2, [0, 0], 1)), &[x(), w(), bias(&[-7])], y(6)).unwrap();
    assert_eq!(more, Value::U8(vec![103, 113, 143, 133, 153, 93]));
}

#[test]
fn n22_what_a_kernel_smaller_than_the_stride_leaves_out_is_bias() {
    let x = u8_input("x", &[1, 1, 1, 2], 1.0, 0, vec![1, 2]);
    let w = weights(&[1, 1, 1, 1], &[1.0], vec![3]);
    let y = int_tensor("y", &[1, 1, 1, 5], DType::U8, 1.0, 0);
    let y = quantised(Op::ConvTranspose(along_a_row(1, 3, [0, 0], 1)), &[x, w, bias(&[10])], y).unwrap();
    assert_eq!(y, Value::U8(vec![13, 10, 10, 16, 10]));
}

#[test]
fn n22_weights_lie_by_input_channel_in_files_and_by_output_channel_in_integers() {
    let conv = || Op::ConvTranspose(ConvTranspose { groups: 2, ..along_a_row(1, 1, [0, 0], 0) });
    // Two groups of two inputs and one output: y0 = x0 + 10·x1, y1 = 2·x2 + 20·x3.
    let x = f32_input("x", &[1, 4, 1, 1], &[1.0, 2.0, 3.0, 4.0]);
    let w = f32_input("w", &[4, 1, 1, 1], &[1.0, 10.0, 2.0, 20.0]);
    assert_eq!(imported(conv(), &[x, w], f32_tensor("y", &[1, 2, 1, 1])).unwrap(), Value::F32(vec![21.0, 86.0]));
    let x = u8_input("x", &[1, 4, 1, 1], 1.0, 0, vec![1, 2, 3, 4]);
    let w = weights(&[2, 2, 1, 1], &[1.0, 0.5], vec![1, 10, 2, 20]);
    let y = quantised(conv(), &[x, w], int_tensor("y", &[1, 2, 1, 1], DType::U8, 1.0, 0)).unwrap();
    assert_eq!(y, Value::U8(vec![21, 43]));
}

#[test]
fn n22_shapes_that_contradict_the_attributes_are_refused() {
    let refused = |weight_shape: &[usize], conv: ConvTranspose, width: usize| {
        let x = u8_input("x", &[1, 2, 1, 2], 1.0, 0, vec![1; 4]);
        let w = weights(weight_shape, &[1.0], vec![1; weight_shape.iter().product()]);
        let y = int_tensor("y", &[1, 2, 1, width], DType::U8, 1.0, 0);
        matches!(quantised(Op::ConvTranspose(conv), &[x, w], y), Err(GoldenError::Malformed { .. }))
    };
    let fits = along_a_row(3, 2, [0, 0], 0);
    assert!(!refused(&[2, 2, 1, 3], fits.clone(), 5));
    assert!(refused(&[2, 2, 1, 3], fits.clone(), 6));
    assert!(refused(&[2, 1, 1, 3], fits.clone(), 5));
    assert!(refused(&[2, 2, 1, 2], fits.clone(), 5));
    assert!(refused(&[2, 2, 1, 3], ConvTranspose { groups: 0, ..fits.clone() }, 5));
    assert!(refused(&[2, 2, 1, 3], ConvTranspose { stride: [1, 0], ..fits.clone() }, 5));
    assert!(refused(&[2, 2, 1, 3], ConvTranspose { pads: [0, usize::MAX, 0, 0], ..fits }, 5));
}

#[derive(Clone, Debug)]
struct Case {
    n: usize,
    c: usize,
    m: usize,
    h: usize,
    w: usize,
    conv: ConvTranspose,
    zero: i32,
    seed: u64,
}

fn pair(range: std::ops::Range<usize>) -> impl Strategy<Value = [usize; 2]> {
    prop::array::uniform2(range)
}

fn case() -> impl Strategy<Value = Case> {
    let sizes = (1..3usize, 1..4usize, 1..4usize, 1..6usize, 1..6usize);
    let window = (pair(1..6), pair(1..5), pair(1..4), prop::array::uniform4(0..4usize), pair(0..4));
    (sizes, window, 1..4usize, 0..256i32, any::<u64>()).prop_map(
        |((n, c, m, h, w), (kernel, stride, dilation, pads, output_padding), groups, zero, seed)| {
            let conv = ConvTranspose { kernel, stride, dilation, pads, output_padding, groups };
            Case { n, c: c * groups, m: m * groups, h, w, conv, zero, seed }
        },
    )
}

/// Splitmix64: contents that need no strategy of their own.
fn draws(mut state: u64) -> impl FnMut() -> u64 {
    move || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

/// An axis after zeros were inserted: for each place the pixel there. Before the first lie as many zeros as the spread kernel has beyond its first tap, less
/// the pad (places are cut off where the pad is larger); behind the last likewise, and the added ones.
fn spread(case: &Case, axis: usize, input: usize) -> Vec<Option<usize>> {
    let conv = &case.conv;
    let reach = (conv.kernel[axis] - 1) * conv.dilation[axis];
    let mut places = vec![None; reach];
    for pixel in 0..input {
        places.push(Some(pixel));
        let gap = if pixel + 1 < input { conv.stride[axis] - 1 } else { reach + conv.output_padding[axis] };
        places.extend(std::iter::repeat_n(None, gap));
    }
    let kept = places.len().saturating_sub(conv.pads[axis] + conv.pads[axis + 2]);
    places.into_iter().skip(conv.pads[axis]).take(kept).collect()
}

/// Sums of the flipped kernel sliding over the spread input, weights `[m, c / groups, kh, kw]`; and whether any tap saw a pixel.
fn definition(case: &Case, dims: [usize; 4], x: &[i64], w: &[i64]) -> Vec<(i64, bool)> {
    let (conv, c_group) = (&case.conv, case.c / case.conv.groups);
    let (rows, columns) = (spread(case, 0, case.h), spread(case, 1, case.w));
    let [_, channels, height, width] = dims;
    let sum = |index: usize| {
        let [n, m] = [index / (channels * height * width), index / (height * width) % channels];
        let [y, column] = [index / width % height, index % width];
        let group = m / (case.m / conv.groups);
        let (mut sum, mut seen) = (0, false);
        for (ky, kx) in (0..conv.kernel[0]).flat_map(|ky| (0..conv.kernel[1]).map(move |kx| (ky, kx))) {
            let (Some(iy), Some(ix)) = (rows[y + ky * conv.dilation[0]], columns[column + kx * conv.dilation[1]])
            else {
                continue;
            };
            seen = true;
            let flipped = (conv.kernel[0] - 1 - ky) * conv.kernel[1] + conv.kernel[1] - 1 - kx;
            for c in 0..c_group {
                let pixel = ((n * case.c + group * c_group + c) * case.h + iy) * case.w + ix;
                sum += x[pixel] * w[(m * c_group + c) * conv.kernel[0] * conv.kernel[1] + flipped];
            }
        }
        (sum, seen)
    };
    (0..dims.iter().product()).map(sum).collect()
}

#[derive(Default)]
struct Hits(RefCell<BTreeMap<&'static str, u32>>);

impl Hits {
    fn count(&self, what: &'static str, hit: bool) {
        *self.0.borrow_mut().entry(what).or_default() += u32::from(hit);
    }
}

fn check_integers(case: &Case, dims: [usize; 4], hits: &Hits) {
    const SX: f32 = 0.031;
    const SY: f32 = 0.47;
    let mut next = draws(case.seed);
    let w_shape = vec![case.m, case.c / case.conv.groups, case.conv.kernel[0], case.conv.kernel[1]];
    let x: Vec<u8> = (0..case.n * case.c * case.h * case.w).map(|_| next() as u8).collect();
    let w: Vec<i8> = (0..w_shape.iter().product::<usize>()).map(|_| next() as i8).collect();
    let scales: Vec<f32> = (0..case.m).map(|_| 0.001 + (next() % 1000) as f32 * 1e-6).collect();
    let biases: Vec<i32> = (0..case.m).map(|_| (next() % 8001) as i32 - 4000).collect();
    let centred: Vec<i64> = x.iter().map(|&q| i64::from(q) - i64::from(case.zero)).collect();
    let wide: Vec<i64> = w.iter().map(|&w| i64::from(w)).collect();
    let sums = definition(case, dims, &centred, &wide);
    hits.count("bias alone", sums.iter().any(|(_, seen)| !seen));
    let quantise = |(index, (sum, _)): (usize, (i64, bool))| {
        let m = index / (dims[2] * dims[3]) % dims[1];
        let acc = (i64::from(biases[m]) + sum) as i32;
        let v = (acc as f32 * ((SX * scales[m]) / SY)).round_ties_even();
        (v as i64 + 113).clamp(0, 255) as u8
    };
    let expected: Vec<u8> = sums.into_iter().enumerate().map(quantise).collect();
    let quant = Some(Quant { scale: scales.clone(), zero_point: vec![0; case.m], axis: Some(0) });
    let w = constant(Tensor { name: "w".into(), shape: w_shape, dtype: DType::I8, quant, data: None }, Value::I8(w));
    let x = u8_input("x", &[case.n, case.c, case.h, case.w], SX, case.zero, x);
    let y = int_tensor("y", &dims, DType::U8, SY, 113);
    let y = quantised(Op::ConvTranspose(case.conv.clone()), &[x, w, bias(&biases)], y).unwrap();
    assert_eq!(y, Value::U8(expected));
}

/// The float mode on small integers, on which every order of summation is exact.
fn check_floats(case: &Case, dims: [usize; 4]) {
    let mut next = draws(!case.seed);
    let mut small = |count: usize| -> Vec<i64> { (0..count).map(|_| (next() % 64) as i64 - 32).collect() };
    let (c_group, m_group) = (case.c / case.conv.groups, case.m / case.conv.groups);
    let taps = case.conv.kernel[0] * case.conv.kernel[1];
    let (x, w) = (small(case.n * case.c * case.h * case.w), small(case.m * c_group * taps));
    let expected: Vec<f32> = definition(case, dims, &x, &w).into_iter().map(|(sum, _)| sum as f32).collect();
    // From `[m, c / groups]` to `[c, m / groups]`.
    let mut by_input = vec![0.0; w.len()];
    for (index, &value) in w.iter().enumerate() {
        let (m, c, tap) = (index / taps / c_group, index / taps % c_group, index % taps);
        let input = m / m_group * c_group + c;
        by_input[(input * m_group + m % m_group) * taps + tap] = value as f32;
    }
    let x: Vec<f32> = x.iter().map(|&v| v as f32).collect();
    let x = f32_input("x", &[case.n, case.c, case.h, case.w], &x);
    let w = f32_input("w", &[case.c, m_group, case.conv.kernel[0], case.conv.kernel[1]], &by_input);
    let y = imported(Op::ConvTranspose(case.conv.clone()), &[x, w], f32_tensor("y", &dims)).unwrap();
    assert_eq!(y, Value::F32(expected));
}

#[test]
fn n22_transposed_convolution_is_a_convolution_of_zeros_inserted() {
    let hits = Hits::default();
    let check = |case: Case| {
        let conv = &case.conv;
        let dims = [case.n, case.m, spread(&case, 0, case.h).len(), spread(&case, 1, case.w).len()];
        let reach = [0, 1].map(|axis| (conv.kernel[axis] - 1) * conv.dilation[axis]);
        if (0..2).any(|axis| dims[axis + 2] <= reach[axis]) {
            return Err(TestCaseError::reject("the pads leave nothing"));
        }
        let dims = [dims[0], dims[1], dims[2] - reach[0], dims[3] - reach[1]];
        hits.count("groups", conv.groups > 1);
        hits.count("depthwise", conv.groups > 1 && conv.groups == case.c && case.m == case.c);
        hits.count("channel multiplier", conv.groups > 1 && conv.groups == case.c && case.m > case.c);
        hits.count("dilation", (0..2).any(|axis| conv.dilation[axis] > 1 && conv.kernel[axis] > 1));
        hits.count("stride over kernel", (0..2).any(|axis| conv.stride[axis] > conv.kernel[axis]));
        hits.count(
            "stride that divides no kernel",
            (0..2).any(|axis| !conv.kernel[axis].is_multiple_of(conv.stride[axis])),
        );
        hits.count("output padding", conv.output_padding.iter().any(|&more| more > 0));
        hits.count("asymmetric pads", conv.pads[..2] != conv.pads[2..]);
        hits.count("pads over reach", (0..2).any(|axis| conv.pads[axis] > reach[axis]));
        hits.count("batch", case.n > 1);
        check_integers(&case, dims, &hits);
        check_floats(&case, dims);
        Ok(())
    };
    let config = Config { cases: 600, failure_persistence: None, ..Config::default() };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    TestRunner::new_with_rng(config, rng).run(&case(), check).unwrap();
    for (what, hits) in hits.0.borrow().iter() {
        assert!(*hits >= 30, "{what}: {hits} hits");
    }
}
