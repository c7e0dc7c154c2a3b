//! Shape inference against counted windows, published shapes, and hostile sizes.

use proptest::prelude::*;
use proptest::strategy::ValueTree;

use super::*;

fn conv(kernel: usize, stride: usize, dilation: usize, pads: [usize; 4], groups: usize) -> Op {
    Op::Conv(Conv { kernel: [kernel; 2], stride: [stride; 2], dilation: [dilation; 2], pads, groups })
}

fn pool(kernel: usize, stride: usize, pads: [usize; 4], ceil_mode: bool) -> Op {
    let (kernel, stride) = ([kernel; 2], [stride; 2]);
    Op::MaxPool(Pool { kernel, stride, dilation: [1, 1], pads, ceil_mode, count_include_pad: false })
}

#[track_caller]
fn check(op: &Op, inputs: &[&[usize]], expected: &[usize]) {
    assert_eq!(infer(op, inputs), Ok(vec![expected.to_vec()]), "{op:?} of {inputs:?}");
}

#[test]
fn convolutions_have_their_published_shapes() {
    check(&conv(7, 2, 1, [3; 4], 1), &[&[1, 3, 224, 224], &[64, 3, 7, 7], &[64]], &[1, 64, 112, 112]);
    check(&conv(11, 4, 1, [0; 4], 1), &[&[2, 3, 227, 227], &[96, 3, 11, 11]], &[2, 96, 55, 55]);
    check(&conv(3, 1, 16, [16; 4], 1), &[&[1, 4, 64, 64], &[4, 4, 3, 3]], &[1, 4, 64, 64]);
    check(&conv(3, 2, 1, [0, 0, 1, 1], 32), &[&[1, 32, 112, 112], &[64, 1, 3, 3]], &[1, 64, 56, 56]);
    let asymmetric = Op::Conv(Conv { kernel: [1, 7], stride: [1, 2], dilation: [1, 1], pads: [0, 3, 0, 3], groups: 1 });
    check(&asymmetric, &[&[1, 2, 17, 17], &[5, 2, 1, 7]], &[1, 5, 17, 9]);
}

#[test]
fn ceil_mode_keeps_hanging_windows_and_drops_those_in_the_padding() {
    check(&pool(3, 2, [0; 4], false), &[&[1, 1, 6, 6]], &[1, 1, 2, 2]);
    check(&pool(3, 2, [0; 4], true), &[&[1, 1, 6, 6]], &[1, 1, 3, 3]);
    check(&pool(3, 2, [0; 4], true), &[&[1, 64, 111, 111]], &[1, 64, 55, 55]);
    // Rounding up would start a third window at 4 − 1 = 3, beyond the three rows.
    check(&pool(2, 2, [1; 4], true), &[&[1, 1, 3, 3]], &[1, 1, 2, 2]);
    check(&pool(1, 2, [0; 4], true), &[&[1, 1, 4, 4]], &[1, 1, 2, 2]);
    check(&pool(2, 2, [0; 4], true), &[&[1, 1, 1, 1]], &[1, 1, 1, 1]);
}

#[test]
fn the_other_operators() {
    check(&Op::FullyConnected, &[&[4, 800], &[500, 800], &[500]], &[4, 500]);
    check(&Op::GlobalAveragePool, &[&[2, 8, 7, 5]], &[2, 8, 1, 1]);
    check(&Op::Add, &[&[2, 8, 7, 5], &[2, 8, 7, 5]], &[2, 8, 7, 5]);
    check(&Op::Mul, &[&[2, 8, 7, 5], &[8]], &[2, 8, 7, 5]);
    check(&Op::Concat, &[&[2, 8, 7, 5], &[2, 3, 7, 5], &[2, 1, 7, 5]], &[2, 12, 7, 5]);
    check(&Op::BatchNorm { epsilon: 1e-5 }, &[&[2, 8, 7, 5], &[8], &[8], &[8], &[8]], &[2, 8, 7, 5]);
    check(&Op::BatchNorm { epsilon: 0.0 }, &[&[2, 8, 7, 5], &[8], &[8]], &[2, 8, 7, 5]);
    check(&Op::Softmax, &[&[2, 10]], &[2, 10]);
    check(&Op::Reshape, &[&[2, 50, 4, 4]], &[2, 800]);
    assert_eq!(reshaped(&[6, 4], Some(&[1, 2, 2])), Ok(vec![6, 2, 2]));
    assert_eq!(reshaped(&[1, 1], Some(&[])), Ok(vec![]));
    assert!(reshaped(&[6, 4], Some(&[1, 5])).is_err());
    assert!(reshaped(&[2], Some(&[])).is_err());
}

#[test]
fn misfits_are_refused_by_cause() {
    let message = |op: &Op, inputs: &[&[usize]]| infer(op, inputs).expect_err("must be refused").to_string();
    let cases: [(Op, &[&[usize]], &str); 16] = [
        (conv(3, 1, 1, [1; 4], 2), &[&[1, 3, 8, 8], &[4, 1, 3, 3]], "2 groups do not divide 3 input channels"),
        (conv(3, 1, 1, [1; 4], 3), &[&[1, 3, 8, 8], &[4, 1, 3, 3]], "3 groups do not divide 4 output channels"),
        (conv(3, 1, 1, [1; 4], 0), &[&[1, 3, 8, 8], &[4, 3, 3, 3]], "groups is zero"),
        (conv(3, 0, 1, [1; 4], 1), &[&[1, 3, 8, 8], &[4, 3, 3, 3]], "stride is zero"),
        (conv(3, 1, 0, [1; 4], 1), &[&[1, 3, 8, 8], &[4, 3, 3, 3]], "dilation is zero"),
        (conv(3, 1, 1, [1; 4], 1), &[&[1, 3, 8, 8], &[4, 3, 5, 5]], "the weights must have shape [4, 3, 3, 3]"),
        (conv(3, 1, 1, [1; 4], 1), &[&[1, 3, 8, 8], &[4, 3, 3, 3], &[5]], "the bias must have shape [4]"),
        (conv(3, 1, 4, [0; 4], 1), &[&[1, 3, 8, 8], &[4, 3, 3, 3]], "a window of 9 does not fit the 8"),
        (conv(3, 1, 1, [1; 4], 1), &[&[3, 8, 8], &[4, 3, 3, 3]], "the input must have rank 4"),
        (pool(2, 2, [2, 0, 0, 0], false), &[&[1, 3, 8, 8]], "a pad of 2 is not smaller than the kernel of 2"),
        (pool(0, 2, [0; 4], true), &[&[1, 3, 8, 8]], "kernel is zero"),
        (Op::FullyConnected, &[&[1, 3, 2, 2], &[4, 12]], "flatten it first"),
        (Op::Add, &[&[1, 3, 8, 8], &[4]], "the second input must have shape [3]"),
        (Op::Concat, &[&[1, 3, 8, 8], &[1, 3, 8, 7]], "a later input must have shape [1, 3, 8, 8]"),
        (Op::Relu, &[], "takes 1 inputs but has 0"),
        (Op::Relu, &[&[1, 0, 3]], "dimension of zero"),
    ];
    for (op, inputs, expected) in cases {
        let found = message(&op, inputs);
        assert!(found.contains(expected), "{op:?}: {found:?} does not say {expected:?}");
    }
}

#[test]
fn hostile_sizes_are_errors() {
    let huge = usize::MAX;
    assert_eq!(elements(&[huge, 2]), Err(ShapeError::TooLarge));
    assert_eq!(elements(&[1 << 20, 1 << 20]), Ok(MAX_ELEMENTS));
    assert_eq!(elements(&[(1 << 20) + 1, 1 << 20]), Err(ShapeError::TooLarge));
    let x: &[usize] = &[1, 1, 8, 8];
    assert_eq!(infer(&conv(3, 1, huge, [0; 4], 1), &[x, &[1, 1, 3, 3]]), Err(ShapeError::TooLarge));
    assert_eq!(infer(&conv(1, 1, 1, [huge; 4], 1), &[x, &[1, 1, 1, 1]]), Err(ShapeError::TooLarge));
    assert_eq!(infer(&conv(1, 1, 1, [1 << 30; 4], 1), &[x, &[1, 1, 1, 1]]), Err(ShapeError::TooLarge));
    assert_eq!(infer(&pool(huge, huge, [huge - 1; 4], true), &[x]), Err(ShapeError::TooLarge));
    check(&pool(8, huge - 100, [0; 4], true), &[x], &[1, 1, 1, 1]);
    let half: &[usize] = &[1, 1 << 40];
    assert_eq!(infer(&Op::Concat, &[half, half]), Err(ShapeError::TooLarge));
}

/// The number of windows along one axis, counted by sliding one: in floor mode those that lie in the padded input, in ceil mode as many more as
/// start in the input.
fn slid(input: usize, before: usize, after: usize, kernel: usize, stride: usize, ceil: bool) -> usize {
    let (padded, mut count) = (before + input + after, 0);
    for start in (0..).step_by(stride) {
        // The first window that reaches the end of the padded input is the last of ceil mode.
        let done_before = count > 0 && start - stride + kernel >= padded;
        let fits = start + kernel <= padded;
        if !(fits || ceil && !done_before && start < before + input) {
            return count;
        }
        count += 1;
    }
    count
}

#[test]
fn pooling_counts_windows() {
    let (mut floors, mut ceils, mut dropped) = (0, 0, 0);
    for input in 1..=9 {
        for kernel in 1..=4 {
            for stride in 1..=5 {
                for (before, after) in (0..kernel).flat_map(|a| (0..kernel).map(move |b| (a, b))) {
                    for ceil in [false, true] {
                        let op = pool(kernel, stride, [before, before, after, after], ceil);
                        let Ok(shapes) = infer(&op, &[&[1, 1, input, input]]) else {
                            assert!(kernel > before + input + after);
                            continue;
                        };
                        let expected = slid(input, before, after, kernel, stride, ceil);
                        assert_eq!(shapes[0], [1, 1, expected, expected], "{op:?} on {input}");
                        *(if ceil { &mut ceils } else { &mut floors }) += 1;
                        let rounded_up = (before + input + after).saturating_sub(kernel).div_ceil(stride) + 1;
                        dropped += usize::from(ceil && rounded_up > expected);
                    }
                }
            }
        }
    }
    assert!(floors > 500 && ceils > 500 && dropped > 50, "{floors} floor, {ceils} ceil, {dropped} dropped");
}

#[test]
fn any_attributes_give_a_shape_or_an_error() {
    let size = || prop_oneof![4 => 0usize..12, 1 => any::<usize>(), 1 => (0u32..64).prop_map(|bit| 1 << bit)];
    let shape = || proptest::collection::vec(size(), 0..5);
    let window = (any::<[bool; 2]>(), proptest::collection::vec(size(), 11));
    let (mut fine, mut refused) = (0, 0);
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..20_000 {
        let mut draw = |strategy: BoxedStrategy<Vec<usize>>| strategy.new_tree(&mut runner).expect("draws").current();
        let (x, w) = (draw(shape().boxed()), draw(shape().boxed()));
        let (flags, s) = window.new_tree(&mut runner).expect("draws").current();
        let (kernel, stride, pads) = ([s[0], s[1]], [s[2], s[3]], [s[4], s[5], s[6], s[7]]);
        let pool =
            Pool { kernel, stride, dilation: [s[8], s[9]], pads, ceil_mode: flags[0], count_include_pad: flags[1] };
        let conv = Conv { kernel, stride, dilation: [s[8], s[9]], pads, groups: s[10] };
        let fitted: &[usize] = &[4, x.get(1).copied().unwrap_or(1), kernel[0], kernel[1]];
        let ungrouped = Op::Conv(Conv { groups: 1, ..conv.clone() });
        let results = [
            infer(&Op::MaxPool(pool), &[&x]),
            infer(&Op::Conv(conv), &[&x, &w]),
            infer(&ungrouped, &[&x, fitted]),
            infer(&Op::Concat, &[&x, &w]),
            infer(&Op::FullyConnected, &[&x, &w]),
            reshaped(&x, Some(&w)).map(|shape| vec![shape]),
        ];
        for result in results {
            match result {
                Ok(shapes) => {
                    assert!(shapes.iter().all(|shape| elements(shape).is_ok()), "{shapes:?}");
                    fine += 1;
                }
                Err(_) => refused += 1,
            }
        }
    }
    assert!(fine > 1000 && refused > 1000, "{fine} fine, {refused} refused");
}
