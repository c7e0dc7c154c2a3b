//! Convolution and pooling against their bare definitions on random attributes: un-tiled loops over i64, one output at a time.

#![allow(missing_docs, reason = "tests")]
#[allow(dead_code, reason = "each test file uses its own part of the helpers")]
mod common;

use std::cell::RefCell;
use std::collections::BTreeMap;

use common::*;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use systole_golden::Value;
use systole_network::op::{Conv, Op, Pool};
use systole_network::tensor::{DType, Quant, Tensor};

const CASES: u32 = 600;

/// The same cases on every run, so that the counts of hits are facts and not luck.
fn runner() -> TestRunner {
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

/// How often each property of the attributes occurred.
#[derive(Default)]
struct Hits(RefCell<BTreeMap<&'static str, u32>>);

impl Hits {
    fn count(&self, what: &'static str, hit: bool) {
        *self.0.borrow_mut().entry(what).or_default() += u32::from(hit);
    }

    fn assert_each_at_least(&self, least: u32) {
        for (what, hits) in self.0.borrow().iter() {
            assert!(*hits >= least, "{what}: {hits} hits");
        }
    }
}

#[derive(Clone, Debug)]
struct ConvCase {
    n: usize,
    c: usize,
    m: usize,
    h: usize,
    w: usize,
    conv: Conv,
    signed: bool,
    zero: i32,
    seed: u64,
}

fn pair(range: std::ops::Range<usize>) -> impl Strategy<Value = [usize; 2]> {
    prop::array::uniform2(range)
}

fn conv_case() -> impl Strategy<Value = ConvCase> {
    let sizes = (1..3usize, 1..4usize, 1..4usize, 1..9usize, 1..9usize);
    let window = (pair(1..5), pair(1..4), pair(1..4), prop::array::uniform4(0..4usize));
    (sizes, window, 1..4usize, any::<bool>(), 0..256i32, any::<u64>()).prop_map(
        |((n, c, m, h, w), (kernel, stride, dilation, pads), groups, signed, zero, seed)| {
            let conv = Conv { kernel, stride, dilation, pads, groups };
            let zero = if signed { zero - 128 } else { zero };
            ConvCase { n, c: c * groups, m: m * groups, h, w, conv, signed, zero, seed }
        },
    )
}

/// `floor((in − ks + pads) / stride) + 1` with effective kernel `ks`; `None` when the window does not fit.
fn output_length(input: usize, conv: &Conv, axis: usize) -> Option<usize> {
    let extent = (conv.kernel[axis] - 1) * conv.dilation[axis] + 1;
    let padded = input + conv.pads[axis] + conv.pads[axis + 2];
    (padded >= extent).then(|| (padded - extent) / conv.stride[axis] + 1)
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

/// `Σ x · w` over the window of output `[n, m, oy, ox]`; padding contributes nothing.
fn sum_of_products(case: &ConvCase, [n, m, oy, ox]: [usize; 4], x: &[i64], w: &[i64]) -> i64 {
    let conv = &case.conv;
    let c_group = case.c / conv.groups;
    let group = m / (case.m / conv.groups);
    let mut sum = 0;
    for c in 0..c_group {
        for ky in 0..conv.kernel[0] {
            for kx in 0..conv.kernel[1] {
                let y = (oy * conv.stride[0] + ky * conv.dilation[0]) as i64 - conv.pads[0] as i64;
                let xx = (ox * conv.stride[1] + kx * conv.dilation[1]) as i64 - conv.pads[1] as i64;
                if y < 0 || xx < 0 || y >= case.h as i64 || xx >= case.w as i64 {
                    continue;
                }
                let x_index = ((n * case.c + group * c_group + c) * case.h + y as usize) * case.w + xx as usize;
                let w_index = ((m * c_group + c) * conv.kernel[0] + ky) * conv.kernel[1] + kx;
                sum += x[x_index] * w[w_index];
            }
        }
    }
    sum
}

fn coordinates([n, m, h, w]: [usize; 4]) -> impl Iterator<Item = [usize; 4]> {
    (0..n * m * h * w).map(move |i| [i / (m * h * w), i / (h * w) % m, i / w % h, i % w])
}

/// Integer contents of a case, and its output by the definition alone.
struct Integers {
    x: Vec<u8>,
    weights: Vec<i8>,
    scales: Vec<f32>,
    bias: Vec<i32>,
    y: Vec<i32>,
}

const SX: f32 = 0.031;
const SY: f32 = 0.47;
const ZY: i32 = 113;

fn integers(case: &ConvCase, dims: [usize; 4], hits: &Hits) -> Integers {
    let mut next = draws(case.seed);
    let w_count = case.m * case.c / case.conv.groups * case.conv.kernel[0] * case.conv.kernel[1];
    let x: Vec<u8> = (0..case.n * case.c * case.h * case.w).map(|_| next() as u8).collect();
    let weights: Vec<i8> = (0..w_count).map(|_| next() as i8).collect();
    let scales: Vec<f32> = (0..case.m).map(|_| 0.001 + (next() % 1000) as f32 * 1e-6).collect();
    // One bias in four lies at an end of i32, where sums wrap.
    let ends = [i32::MAX, i32::MIN];
    let mut bias_value =
        || if next().is_multiple_of(4) { ends[next() as usize % 2] } else { (next() % 4001) as i32 - 2000 };
    let bias: Vec<i32> = (0..case.m).map(|_| bias_value()).collect();
    let real = |&q: &u8| i64::from(if case.signed { i32::from(q as i8) } else { i32::from(q) } - case.zero);
    let centred: Vec<i64> = x.iter().map(real).collect();
    let wide: Vec<i64> = weights.iter().map(|&w| i64::from(w)).collect();
    let y = coordinates(dims).map(|at| {
        let m = at[1];
        let sum = i64::from(bias[m]) + sum_of_products(case, at, &centred, &wide);
        let acc = sum as i32;
        hits.count("accumulator wraps", i64::from(acc) != sum);
        let v = (acc as f32 * ((SX * scales[m]) / SY)).round_ties_even();
        (v as i64 + i64::from(ZY)).clamp(0, 255) as i32
    });
    let y = y.collect();
    Integers { x, weights, scales, bias, y }
}

fn check_integers(case: &ConvCase, dims: [usize; 4], hits: &Hits) {
    let expected = integers(case, dims, hits);
    let shape = [case.n, case.c, case.h, case.w];
    let x = match case.signed {
        true => i8_input("x", &shape, SX, case.zero, expected.x.iter().map(|&q| q as i8).collect()),
        false => u8_input("x", &shape, SX, case.zero, expected.x),
    };
    let quant = Some(Quant { scale: expected.scales, zero_point: vec![0; case.m], axis: Some(0) });
    let w_shape = vec![case.m, case.c / case.conv.groups, case.conv.kernel[0], case.conv.kernel[1]];
    let w = Tensor { name: "w".into(), shape: w_shape, dtype: DType::I8, quant, data: None };
    let w = constant(w, Value::I8(expected.weights));
    let y = int_tensor("y", &dims, DType::U8, SY, ZY);
    let y = quantised(Op::Conv(case.conv.clone()), &[x, w, bias(&expected.bias)], y).unwrap();
    let y: Vec<i32> = y.to_le_bytes().into_iter().map(i32::from).collect();
    assert_eq!(y, expected.y);
}

/// The float mode on small integers, on which every order of summation is exact.
fn check_floats(case: &ConvCase, dims: [usize; 4]) {
    let mut next = draws(!case.seed);
    let mut small = |count: usize| -> Vec<i64> { (0..count).map(|_| (next() % 64) as i64 - 32).collect() };
    let w_shape = [case.m, case.c / case.conv.groups, case.conv.kernel[0], case.conv.kernel[1]];
    let (x, w) = (small(case.n * case.c * case.h * case.w), small(w_shape.iter().product()));
    let expected: Vec<f32> = coordinates(dims).map(|at| sum_of_products(case, at, &x, &w) as f32).collect();
    let float = |v: &[i64]| -> Vec<f32> { v.iter().map(|&v| v as f32).collect() };
    let x = f32_input("x", &[case.n, case.c, case.h, case.w], &float(&x));
    let w = f32_input("w", &w_shape, &float(&w));
    let y = imported(Op::Conv(case.conv.clone()), &[x, w], f32_tensor("y", &dims)).unwrap();
    assert_eq!(y, Value::F32(expected));
}

#[test]
fn n1_convolution_is_its_definition() {
    let hits = Hits::default();
    let check = |case: ConvCase| {
        let conv = &case.conv;
        let (Some(oh), Some(ow)) = (output_length(case.h, conv, 0), output_length(case.w, conv, 1)) else {
            return Err(TestCaseError::reject("the window does not fit"));
        };
        hits.count("groups", conv.groups > 1 && conv.groups < case.c);
        hits.count("depthwise", conv.groups > 1 && conv.groups == case.c);
        hits.count("channel multiplier", conv.groups == case.c && case.m > case.c);
        hits.count("dilation", conv.dilation.iter().zip(conv.kernel).any(|(&d, k)| d > 1 && k > 1));
        hits.count("stride", conv.stride.iter().any(|&s| s > 1));
        hits.count("asymmetric pads", conv.pads[..2] != conv.pads[2..]);
        hits.count("asymmetric kernel", conv.kernel[0] != conv.kernel[1]);
        hits.count("batch", case.n > 1);
        hits.count("signed input", case.signed);
        hits.count("several blocks of channels", case.m / conv.groups > 1);
        let dims = [case.n, case.m, oh, ow];
        check_integers(&case, dims, &hits);
        check_floats(&case, dims);
        Ok(())
    };
    runner().run(&conv_case(), check).unwrap();
    hits.assert_each_at_least(50);
}

#[test]
fn n1_long_sums_wrap_like_64_bit_ones_cut_to_32() {
    let k = 70_000;
    let x = u8_input("x", &[1, k], 1.0, 0, vec![255; k]);
    let w = weights(&[2, k], &[1e-7], [vec![-128i8; k], vec![127; k]].concat());
    let y = quantised(Op::FullyConnected, &[x, w], int_tensor("y", &[1, 2], DType::U8, 1.0, 128)).unwrap();
    let expected = [-128i64, 127].map(|w| {
        let sum = 255 * w * k as i64;
        assert_ne!(sum, i64::from(sum as i32));
        ((sum as i32) as f32 * 1e-7).round_ties_even() as i64 + 128
    });
    assert_eq!(y, Value::U8(expected.map(|q| q.clamp(0, 255) as u8).to_vec()));
}

#[test]
fn n1_a_convolution_of_several_blocks_of_pixels_and_of_channels() {
    // 300 channels of 3 × 3 make patches of 2700 elements, so that 20 × 20 pixels need more than one block.
    let conv = Conv { kernel: [3, 3], stride: [1, 1], dilation: [1, 1], pads: [1; 4], groups: 1 };
    let case = ConvCase { n: 1, c: 300, m: 6, h: 20, w: 20, conv, signed: false, zero: 77, seed: 1 };
    let hits = Hits::default();
    check_integers(&case, [1, 6, 20, 20], &hits);
    check_floats(&ConvCase { m: 5, ..case }, [1, 5, 20, 20]);
}

#[derive(Clone, Debug)]
struct PoolCase {
    h: usize,
    w: usize,
    pool: Pool,
    zero: i32,
    seed: u64,
}

fn pool_case() -> impl Strategy<Value = PoolCase> {
    // Pads are smaller than the kernel, so that no window lies wholly in padding.
    let axis = || (1..5usize).prop_flat_map(|kernel| (Just(kernel), 0..kernel, 0..kernel));
    let modes = (any::<bool>(), any::<bool>());
    let walk = (pair(1..5), pair(1..4));
    (1..9usize, 1..9usize, axis(), axis(), walk, modes, 0..256i32, any::<u64>()).prop_map(
        |(
            h,
            w,
            (kh, top, bottom),
            (kw, left, right),
            (stride, dilation),
            (ceil_mode, count_include_pad),
            zero,
            seed,
        )| {
            let pads = [top, left, bottom, right];
            let pool = Pool { kernel: [kh, kw], stride, dilation, pads, ceil_mode, count_include_pad };
            PoolCase { h, w, pool, zero, seed }
        },
    )
}

/// First padded positions of the windows along an axis: every multiple of the stride whose window ends inside input and padding,
/// in ceil mode one more, unless it starts beyond the input and its leading pad.
fn starts(input: usize, pool: &Pool, axis: usize) -> Vec<usize> {
    let padded = input + pool.pads[axis] + pool.pads[axis + 2];
    let mut starts: Vec<usize> = (0..padded).step_by(pool.stride[axis]).collect();
    let extent = (pool.kernel[axis] - 1) * pool.dilation[axis] + 1;
    let whole = starts.iter().filter(|&&start| start + extent <= padded).count();
    let covered = whole > 0 && (whole - 1) * pool.stride[axis] + extent == padded;
    let extra = usize::from(pool.ceil_mode && whole > 0 && !covered);
    starts.truncate(whole + extra);
    starts.retain(|&start| !pool.ceil_mode || start < input + pool.pads[axis]);
    starts
}

#[test]
fn n4_n5_pooling_is_its_definition() {
    let hits = Hits::default();
    let check = |case: PoolCase| {
        let (ys, xs) = (starts(case.h, &case.pool, 0), starts(case.w, &case.pool, 1));
        if ys.is_empty() || xs.is_empty() {
            return Err(TestCaseError::reject("the window does not fit"));
        }
        let pool = &case.pool;
        let steps_over = |axis: usize, input: usize| pool.pads[axis] > 0 && pool.dilation[axis] > input;
        if steps_over(0, case.h) || steps_over(1, case.w) {
            return Err(TestCaseError::reject("a window without input"));
        }
        let mut next = draws(case.seed);
        let q: Vec<u8> = (0..case.h * case.w).map(|_| next() as u8).collect();
        let (padded_h, padded_w) = (case.h + pool.pads[0] + pool.pads[2], case.w + pool.pads[1] + pool.pads[3]);
        let (mut maxima, mut averages) = (vec![], vec![]);
        for (y, x) in ys.iter().flat_map(|y| xs.iter().map(move |x| (*y, *x))) {
            let (mut sum, mut n_in, mut n, mut largest) = (0i64, 0i64, 0, 0);
            let taps = |axis: usize, start: usize| (0..pool.kernel[axis]).map(move |k| start + k * pool.dilation[axis]);
            for (py, px) in taps(0, y).flat_map(|py| taps(1, x).map(move |px| (py, px))) {
                let in_padded = py < padded_h && px < padded_w;
                let (iy, ix) = (py.wrapping_sub(pool.pads[0]), px.wrapping_sub(pool.pads[1]));
                let inside = iy < case.h && ix < case.w;
                hits.count("hangs over the padding", !in_padded);
                hits.count("explicit padding", in_padded && !inside);
                n += u32::from(if pool.count_include_pad { in_padded } else { inside });
                if inside {
                    sum += i64::from(q[iy * case.w + ix]);
                    n_in += 1;
                    largest = largest.max(q[iy * case.w + ix]);
                }
            }
            maxima.push(largest);
            let v = (sum - n_in * i64::from(case.zero)) as f32 * (SX / (SY * n as f32));
            averages.push((v.round_ties_even() as i64 + i64::from(ZY)).clamp(0, 255) as u8);
        }
        hits.count("dilated", pool.dilation[0] > 1 && pool.kernel[0] > 1);
        hits.count("ceil mode", pool.ceil_mode);
        hits.count("floor mode", !pool.ceil_mode);
        hits.count("count_include_pad", pool.count_include_pad);
        let dims = [1, 1, ys.len(), xs.len()];
        let x = || u8_input("x", &[1, 1, case.h, case.w], SX, case.zero, q.clone());
        let same = int_tensor("y", &dims, DType::U8, SX, case.zero);
        prop_assert_eq!(quantised(Op::MaxPool(pool.clone()), &[x()], same).unwrap(), Value::U8(maxima));
        let other = int_tensor("y", &dims, DType::U8, SY, ZY);
        prop_assert_eq!(quantised(Op::AveragePool(pool.clone()), &[x()], other).unwrap(), Value::U8(averages));
        Ok(())
    };
    runner().run(&pool_case(), check).unwrap();
    hits.assert_each_at_least(50);
}
