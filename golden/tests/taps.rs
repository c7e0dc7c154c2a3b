//! Deformable convolution (N-26), switches and unpooling (N-27): examples by hand, and random attributes against bare definitions.

#![allow(missing_docs, reason = "tests")]
#[allow(dead_code, reason = "each test file uses its own part of the helpers")]
mod common;

use common::*;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use systole_golden::Value;
use systole_network::op::{Conv, Deform, Op, Pool};
use systole_network::tensor::{DType, Tensor};

const CASES: u32 = 300;

/// The same cases on every run.
fn runner() -> TestRunner {
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

fn draws(mut state: u64) -> impl FnMut() -> u64 {
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    }
}

fn point() -> Conv {
    Conv { kernel: [1; 2], stride: [1; 2], dilation: [1; 2], pads: [0; 4], groups: 1 }
}

fn pool(kernel: [usize; 2], stride: [usize; 2]) -> Pool {
    Pool { kernel, stride, dilation: [1; 2], pads: [0; 4], ceil_mode: false, count_include_pad: false }
}

fn i64_tensor(name: &str, shape: &[usize]) -> Tensor {
    Tensor { dtype: DType::I64, ..f32_tensor(name, shape) }
}

#[test]
fn n26_the_example_of_the_rule() {
    // Offsets 0.5 and 0.25 at every pixel: scale 0.25, zero point 100.
    let image = u8_input("x", &[1, 1, 2, 2], 0.1, 0, vec![10, 20, 30, 40]);
    let offsets = u8_input("o", &[1, 2, 2, 2], 0.25, 100, vec![102, 102, 102, 102, 101, 101, 101, 101]);
    let op = Op::DeformSample(Deform { conv: point(), offset_groups: 1 });
    let out = int_tensor("y", &[1, 1, 2, 2], DType::U8, 0.1, 0);
    // (½·¾·10 + ½·¼·20 + ½·¾·30 + ½·¼·40), then with the column, the row, or both beyond the edge 0.
    let expected = Value::U8(vec![22, 22, 16, 15]);
    assert_eq!(quantised(op, &[image, offsets], out), Ok(expected));
}

#[test]
fn a_deformable_convolution_by_hand_with_bias_and_mask() {
    // One 1×2 window over 1, 2, 3: the first tap stays, the second moves half a pixel back; it counts half.
    let x = f32_input("x", &[1, 1, 1, 3], &[1.0, 2.0, 3.0]);
    let w = f32_input("w", &[1, 1, 1, 2], &[10.0, 100.0]);
    let offsets = f32_input("o", &[1, 4, 1, 2], &[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -0.5, -0.5]);
    let (bias, mask) = (f32_input("b", &[1], &[0.5]), f32_input("m", &[1, 2, 1, 2], &[1.0, 1.0, 0.5, 0.5]));
    let deform = Deform { conv: Conv { kernel: [1, 2], ..point() }, offset_groups: 1 };
    let y = f32_tensor("y", &[1, 1, 1, 2]);
    let all = [x, w, offsets, bias, mask];
    let result = imported(Op::DeformConv(deform), &all, y);
    assert_eq!(result, Ok(Value::F32(vec![10.0 + 100.0 * 0.5 * 1.5 + 0.5, 20.0 + 100.0 * 0.5 * 2.5 + 0.5])));
}

#[test]
fn n27_the_example_of_the_rule_and_the_first_of_equal_maxima() {
    let values = u8_input("x", &[1, 1, 1, 2], 0.5, 0, vec![5, 7]);
    let switches = u8_input("s", &[1, 1, 1, 2], 1.0, 0, vec![2, 0]);
    let out = int_tensor("y", &[1, 1, 1, 5], DType::U8, 0.5, 0);
    let unpooled = quantised(Op::MaxUnpool(pool([1, 3], [1, 2])), &[values, switches], out);
    assert_eq!(unpooled, Ok(Value::U8(vec![0, 0, 7, 0, 0])));

    let x = i8_input("x", &[1, 1, 2, 4], 0.5, 3, vec![-5, 4, 1, 1, 4, 4, 1, 0]);
    let out = int_tensor("s", &[1, 1, 1, 2], DType::U8, 1.0, 0);
    let made = quantised(Op::ArgMaxPool(pool([2, 2], [2, 2])), std::slice::from_ref(&x), out);
    assert_eq!(made, Ok(Value::U8(vec![1, 0])));
    let padded = Pool { pads: [1, 1, 0, 0], ..pool([2, 2], [2, 2]) };
    let out = int_tensor("s", &[1, 1, 1, 2], DType::U8, 1.0, 0);
    // Taps in the padding are none: the corner's only tap is 3, the other window has the row's 2 and 3.
    assert_eq!(quantised(Op::ArgMaxPool(padded), &[x], out), Ok(Value::U8(vec![3, 2])));
}

/// ONNX's example with `output_shape`: indices are of the image that the windows cover.
#[test]
fn unpooling_by_indices_into_a_larger_image() {
    let x = f32_input("x", &[1, 1, 2, 2], &[5.0, 6.0, 7.0, 8.0]);
    let indices = (i64_tensor("i", &[1, 1, 2, 2]), Some(Value::I64(vec![5, 7, 13, 15])));
    let y = f32_tensor("y", &[1, 1, 5, 5]);
    let Ok(Value::F32(y)) = imported(Op::MaxUnpool(pool([2, 2], [2, 2])), &[x, indices], y) else {
        panic!("no floats")
    };
    let placed: Vec<(usize, f32)> = y.into_iter().enumerate().filter(|(_, v)| *v != 0.0).collect();
    assert_eq!(placed, [(6, 5.0), (8, 6.0), (16, 7.0), (18, 8.0)]);
}

#[test]
fn what_contradicts_itself_is_refused() {
    let x = || u8_input("x", &[1, 1, 2, 2], 0.5, 0, vec![1, 2, 3, 4]);
    let offsets = u8_input("o", &[1, 2, 2, 2], 0.25, 0, vec![0; 8]);
    let op = Op::DeformSample(Deform { conv: point(), offset_groups: 1 });
    let elsewhere = int_tensor("y", &[1, 1, 2, 2], DType::U8, 0.25, 0);
    assert!(quantised(op, &[x(), offsets], elsewhere).is_err(), "another scale than the input's");
    let wide = int_tensor("s", &[1, 1, 1, 1], DType::I8, 1.0, 0);
    assert!(quantised(Op::ArgMaxPool(pool([2, 2], [2, 2])), &[x()], wide).is_err(), "switches that are not u8");
    let switch = u8_input("s", &[1, 1, 2, 2], 1.0, 0, vec![0, 0, 0, 4]);
    let y = int_tensor("y", &[1, 1, 4, 4], DType::U8, 0.5, 0);
    assert!(quantised(Op::MaxUnpool(pool([2, 2], [2, 2])), &[x(), switch], y).is_err(), "a switch beyond the window");
}

#[derive(Clone, Debug)]
struct Case {
    /// n, c of a group, h, w.
    sizes: [usize; 4],
    groups: usize,
    offset_groups: usize,
    outputs: usize,
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    pads: [usize; 4],
    seed: u64,
}

fn case() -> impl Strategy<Value = Case> {
    let sizes = (1..3usize, 1..3usize, 1..7usize, 1..7usize);
    let groups = (1..3usize, 1..3usize, 1..3usize);
    let pair = |range| prop::array::uniform2(range);
    let window = (pair(1..4usize), pair(1..4usize), pair(1..3usize), prop::array::uniform4(0..3usize));
    (sizes, groups, window, any::<u64>()).prop_map(
        |((n, c, h, w), (groups, offset_groups, outputs), (k, s, d, p), seed)| Case {
            sizes: [n, c, h, w],
            groups,
            offset_groups,
            outputs,
            kernel: k,
            stride: s,
            dilation: d,
            pads: p,
            seed,
        },
    )
}

impl Case {
    fn channels(&self) -> usize {
        self.sizes[1] * self.groups * self.offset_groups
    }

    fn deform(&self) -> Deform {
        let Case { kernel, stride, dilation, pads, groups, offset_groups, .. } = *self;
        Deform { conv: Conv { kernel, stride, dilation, pads, groups }, offset_groups }
    }

    fn out(&self) -> Option<[usize; 2]> {
        let axis = |axis: usize| {
            let padded = self.sizes[2 + axis] + self.pads[axis] + self.pads[axis + 2];
            Some(padded.checked_sub((self.kernel[axis] - 1) * self.dilation[axis] + 1)? / self.stride[axis] + 1)
        };
        Some([axis(0)?, axis(1)?])
    }

    /// The value between pixels, as a sum over all pixels of the plane of value times overlap (ONNX's text); in f32, in row order.
    fn between(&self, plane: &[f32], y: f32, x: f32) -> f32 {
        let [_, _, h, w] = self.sizes;
        let mut sum = 0.0f32;
        for row in 0..h {
            for column in 0..w {
                let near = |place: f32, at: usize| (1.0 - (place - at as f32).abs()).max(0.0);
                let part = near(y, row) * near(x, column);
                if part > 0.0 {
                    sum += part * plane[row * w + column];
                }
            }
        }
        sum
    }

    /// Samples `[n][group][tap][channel of the group][pixel]`, where `offset` gives the real offset of image, offset channel and pixel.
    fn samples(&self, x: &[f32], offset: impl Fn(usize, usize, usize) -> f32) -> Vec<f32> {
        let ([n, _, h, w], c, [rows, columns]) = (self.sizes, self.channels(), self.out().expect("it fits"));
        let taps = self.kernel[0] * self.kernel[1];
        let mut all = vec![];
        for image in 0..n {
            for group in 0..self.groups {
                for tap in 0..taps {
                    for within in 0..c / self.groups {
                        let channel = group * (c / self.groups) + within;
                        let pair = (channel / (c / self.offset_groups) * taps + tap) * 2;
                        for pixel in 0..rows * columns {
                            let at = [pixel / columns, pixel % columns];
                            let of_tap = [tap / self.kernel[1], tap % self.kernel[1]];
                            let place = |axis: usize| {
                                let whole = (at[axis] * self.stride[axis] + of_tap[axis] * self.dilation[axis]) as i64;
                                (whole - self.pads[axis] as i64) as f32 + offset(image, pair + axis, pixel)
                            };
                            let plane = &x[(image * c + channel) * h * w..][..h * w];
                            all.push(self.between(plane, place(0), place(1)));
                        }
                    }
                }
            }
        }
        all
    }
}

#[test]
fn samples_are_those_of_the_definition_up_to_half_a_step() {
    let (mut ran, mut between, mut several) = (0, 0, 0);
    let mut runner = runner();
    let strategy = case();
    for _ in 0..CASES {
        let case = strategy.new_tree(&mut runner).expect("a case").current();
        let Some([rows, columns]) = case.out() else { continue };
        let ([n, _, h, w], c) = (case.sizes, case.channels());
        let taps = case.kernel[0] * case.kernel[1];
        let mut draw = draws(case.seed);
        let (zero, zero_offset) = ((draw() % 256) as i32, (draw() % 256) as i32);
        let x: Vec<u8> = (0..n * c * h * w).map(|_| draw() as u8).collect();
        let pairs = 2 * taps * case.offset_groups;
        let offsets: Vec<u8> = (0..n * pairs * rows * columns).map(|_| draw() as u8).collect();
        // Sixteenths of a pixel: places and parts are exact, so that only sums of four products round.
        let scale = 1.0 / 16.0;
        let reals: Vec<f32> = x.iter().map(|&q| (i32::from(q) - zero) as f32).collect();
        let real_offset = |image: usize, channel: usize, pixel: usize| {
            let q = offsets[(image * pairs + channel) * rows * columns + pixel];
            (i32::from(q) - zero_offset) as f32 * scale
        };
        let expected = case.samples(&reals, real_offset);
        let operands = [
            u8_input("x", &[n, c, h, w], 0.1, zero, x),
            u8_input("o", &[n, pairs, rows, columns], scale, zero_offset, offsets.clone()),
        ];
        let out = int_tensor("y", &[n, c * taps, rows, columns], DType::U8, 0.1, zero);
        let Ok(Value::U8(y)) = quantised(Op::DeformSample(case.deform()), &operands, out) else { panic!("{case:?}") };
        for (q, v) in y.iter().zip(&expected) {
            let exact = (v.round_ties_even() as i32 + zero).clamp(0, 255);
            assert_eq!(i32::from(*q), exact, "{case:?}");
            between += usize::from(v.fract() != 0.0);
        }
        ran += 1;
        several += usize::from(case.groups > 1 && case.offset_groups > 1);
    }
    assert!(ran > 100 && between > 1000 && several > 10, "{ran} {between} {several}");
}

#[test]
fn deformable_convolutions_are_sums_over_the_samples_of_the_definition() {
    let (mut ran, mut masked) = (0, 0);
    let mut runner = runner();
    let strategy = case();
    for _ in 0..CASES {
        let case = strategy.new_tree(&mut runner).expect("a case").current();
        let Some([rows, columns]) = case.out() else { continue };
        let ([n, _, h, w], c, m) = (case.sizes, case.channels(), case.outputs * case.groups);
        let (taps, of_group, pixels) = (case.kernel[0] * case.kernel[1], case.channels() / case.groups, rows * columns);
        let mut draw = draws(case.seed);
        let mut reals =
            |count: usize, by: f32| -> Vec<f32> { (0..count).map(|_| ((draw() % 65) as f32 - 32.0) * by).collect() };
        let (x, weights) = (reals(n * c * h * w, 1.0), reals(m * of_group * taps, 0.25));
        let (pairs, bias) = (2 * taps * case.offset_groups, reals(m, 1.0));
        let offsets = reals(n * pairs * pixels, 1.0 / 16.0);
        let mask = reals(n * pairs / 2 * pixels, 1.0 / 32.0);
        let with_mask = case.seed.is_multiple_of(2);
        let samples = case.samples(&x, |image, channel, pixel| offsets[(image * pairs + channel) * pixels + pixel]);
        let mut expected = vec![];
        for image in 0..n {
            for channel in 0..m {
                let group = channel / case.outputs;
                for pixel in 0..pixels {
                    let mut sum = f64::from(bias[channel]);
                    for tap in 0..taps {
                        for within in 0..of_group {
                            let row = ((image * case.groups + group) * taps + tap) * of_group + within;
                            let offset_group = (group * of_group + within) / (c / case.offset_groups);
                            let at = (image * case.offset_groups + offset_group) * taps + tap;
                            let part = if with_mask { mask[at * pixels + pixel] } else { 1.0 };
                            let weight = weights[(channel * of_group + within) * taps + tap];
                            sum += f64::from(samples[row * pixels + pixel] * part) * f64::from(weight);
                        }
                    }
                    expected.push(sum);
                }
            }
        }
        let mut operands = vec![
            f32_input("x", &[n, c, h, w], &x),
            f32_input("w", &[m, of_group, case.kernel[0], case.kernel[1]], &weights),
            f32_input("o", &[n, pairs, rows, columns], &offsets),
            f32_input("b", &[m], &bias),
        ];
        if with_mask {
            operands.push(f32_input("m", &[n, pairs / 2, rows, columns], &mask));
        }
        let y = f32_tensor("y", &[n, m, rows, columns]);
        let Ok(Value::F32(y)) = imported(Op::DeformConv(case.deform()), &operands, y) else { panic!("{case:?}") };
        for (y, expected) in y.iter().zip(&expected) {
            assert!((f64::from(*y) - expected).abs() < 1e-2, "{y} {expected} {case:?}");
        }
        ran += 1;
        masked += usize::from(with_mask);
    }
    assert!(ran > 100 && masked > 30, "{ran} {masked}");
}

/// Switches and indices name the same pixels, and both ways back give the same image.
#[test]
fn switches_and_indices_are_two_ways_to_say_the_same() {
    let (mut ran, mut ties, mut overlaps) = (0, 0, 0);
    let mut runner = runner();
    let strategy = case();
    for _ in 0..CASES {
        let case = strategy.new_tree(&mut runner).expect("a case").current();
        let pads: [usize; 4] = std::array::from_fn(|side| case.pads[side].min(case.kernel[side % 2] - 1));
        let case = Case { pads, dilation: [1; 2], groups: 1, offset_groups: 1, ..case };
        let Some([rows, columns]) = case.out() else { continue };
        let [n, c, h, w] = case.sizes;
        let pool = Pool { pads, ..pool(case.kernel, case.stride) };
        let mut draw = draws(case.seed);
        // Few values, so that maxima are equal at times.
        let x: Vec<u8> = (0..n * c * h * w).map(|_| (draw() % 6) as u8 + 1).collect();
        let mut taps = vec![];
        let mut image = vec![0u8; x.len()];
        for plane in 0..n * c {
            for window in 0..rows * columns {
                let inside = (0..case.kernel[0] * case.kernel[1]).filter_map(|tap| {
                    let y = (window / columns * case.stride[0] + tap / case.kernel[1]).checked_sub(pads[0])?;
                    let at = (window % columns * case.stride[1] + tap % case.kernel[1]).checked_sub(pads[1])?;
                    (y < h && at < w).then_some((tap, (plane * h + y) * w + at))
                });
                let all: Vec<(usize, usize)> = inside.collect();
                let largest = all.iter().map(|&(_, at)| x[at]).max().expect("some tap is inside");
                let &(tap, at) = all.iter().find(|&&(_, at)| x[at] == largest).expect("it is there");
                ties += usize::from(all.iter().filter(|&&(_, at)| x[at] == largest).count() > 1);
                overlaps += usize::from(image[at] > 0);
                taps.push((tap as u8, at as i64, x[at]));
                image[at] = x[at];
            }
        }
        let shape = [n, c, rows, columns];
        let made = quantised(
            Op::ArgMaxPool(pool.clone()),
            &[u8_input("x", &[n, c, h, w], 0.5, 0, x.clone())],
            int_tensor("s", &shape, DType::U8, 1.0, 0),
        );
        assert_eq!(made, Ok(Value::U8(taps.iter().map(|tap| tap.0).collect())), "{case:?}");
        let reals: Vec<f32> = x.iter().map(|&v| v.into()).collect();
        let indices =
            imported(Op::ArgMaxPool(pool.clone()), &[f32_input("x", &[n, c, h, w], &reals)], i64_tensor("i", &shape));
        assert_eq!(indices, Ok(Value::I64(taps.iter().map(|tap| tap.1).collect())), "{case:?}");
        let operands = [
            u8_input("v", &shape, 0.5, 0, taps.iter().map(|tap| tap.2).collect()),
            u8_input("s", &shape, 1.0, 0, taps.iter().map(|tap| tap.0).collect()),
        ];
        let back = quantised(Op::MaxUnpool(pool), &operands, int_tensor("y", &[n, c, h, w], DType::U8, 0.5, 0));
        assert_eq!(back, Ok(Value::U8(image)), "{case:?}");
        ran += 1;
    }
    assert!(ran > 100 && ties > 100 && overlaps > 50, "{ran} {ties} {overlaps}");
}
