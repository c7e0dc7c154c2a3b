//! Integer scalings (rules N-17 to N-21): by hand, and against definitions of their own on random operands. Two roundings are checked
//! against gemmlowp's functions as published, in 32- and 64-bit integers.

#![allow(missing_docs, reason = "tests")]
#[allow(dead_code, reason = "each test file uses its own part of the helpers")]
mod common;

use common::*;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use systole_golden::{GoldenError, Options, Value, run};
use systole_network::graph::Form;
use systole_network::op::{Conv, Op, Pool};
use systole_network::policy::{NumericPolicy, Requantisation};
use systole_network::tensor::{DType, Tensor};

const SINGLE: Requantisation = Requantisation::FixedPoint { multiplier_bits: 32, double_rounding: false };
const DOUBLE: Requantisation = Requantisation::FixedPoint { multiplier_bits: 32, double_rounding: true };
const SHIFT: Requantisation = Requantisation::Shift;

fn eval_in(
    bits: u32,
    rule: Requantisation,
    op: Op,
    operands: &[Operand],
    output: Tensor,
) -> Result<Value, GoldenError> {
    let (mut graph, values) = graph_of(Form::Quantised, op, operands, output, None);
    graph.policy = NumericPolicy { requantisation: rule, accumulator_bits: bits, activation: DType::U8 };
    run(&graph, &values, Options::default()).map(|run| run.tensors[&graph.outputs[0]].clone())
}

fn eval(rule: Requantisation, op: Op, operands: &[Operand], output: Tensor) -> Vec<i32> {
    integers(&eval_in(32, rule, op, operands, output).expect("a sound node"))
}

fn integers(value: &Value) -> Vec<i32> {
    match value {
        Value::I8(q) => q.iter().map(|&q| q.into()).collect(),
        Value::U8(q) => q.iter().map(|&q| q.into()).collect(),
        Value::I16(q) => q.iter().map(|&q| q.into()).collect(),
        other => panic!("{other:?}"),
    }
}

fn i16_input(name: &str, shape: &[usize], scale: f32, q: Vec<i16>) -> Operand {
    (int_tensor(name, shape, DType::I16, scale, 0), Some(Value::I16(q)))
}

fn point() -> Op {
    Op::Conv(Conv { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], pads: [0; 4], groups: 1 })
}

#[test]
fn n17_halves_round_by_rule() {
    // Z of −3, −1, 1, 3 halves: up with one rounding and with shifts, away from zero with two (the second rounding).
    let x = || i8_input("x", &[4, 1], 0.5, 0, vec![-3, -1, 1, 3]);
    let y = || int_tensor("y", &[4, 1], DType::I8, 1.0, 0);
    assert_eq!(eval(SINGLE, Op::Rescale, &[x()], y()), [-1, 0, 1, 2]);
    assert_eq!(eval(SHIFT, Op::Rescale, &[x()], y()), [-1, 0, 1, 2]);
    // m = ½ is M = 2^30, s = 31: one rounding is left, which gemmlowp truncates after adding 1 − 2^30 below zero.
    assert_eq!(eval(DOUBLE, Op::Rescale, &[x()], y()), [-1, 0, 1, 2]);
    // m = ¼ is s = 32: −6 / 4 = −1.5 goes away from zero there.
    let x = || i8_input("x", &[4, 1], 0.25, 0, vec![-6, -2, 2, 6]);
    assert_eq!(eval(SINGLE, Op::Rescale, &[x()], y()), [-1, 0, 1, 2]);
    assert_eq!(eval(DOUBLE, Op::Rescale, &[x()], y()), [-2, -1, 1, 2]);
}

#[test]
fn n19_scales_that_are_no_powers_of_two_are_refused() {
    let x = i8_input("x", &[1, 1], 0.3, 0, vec![1]);
    let y = int_tensor("y", &[1, 1], DType::I8, 1.0, 0);
    let error = eval_in(32, SHIFT, Op::Rescale, &[x], y).expect_err("0.3");
    assert!(error.to_string().contains("no power of two"), "{error}");
}

#[test]
fn n5_averages_round_half_away_from_zero_and_then_change_scale() {
    // Σ = 3, 5 and −3 over 2: 1.5, 2.5, −1.5.
    let x = || i8_input("x", &[1, 3, 1, 2], 0.5, 0, vec![1, 2, 2, 3, -1, -2]);
    let y = |scale| int_tensor("y", &[1, 3, 1, 1], DType::I8, scale, 0);
    assert_eq!(eval(SINGLE, Op::GlobalAveragePool, &[x()], y(0.5)), [2, 3, -2]);
    // Twice the scale: 2, 3, −2 become 1, 1.5, −1.
    assert_eq!(eval(SHIFT, Op::GlobalAveragePool, &[x()], y(1.0)), [1, 2, -1]);
    // Padding that counts is the zero point: (7 + 9 + 10 + 10) / 4.
    let x = u8_input("x", &[1, 1, 1, 2], 1.0, 10, vec![7, 9]);
    let pool = Pool {
        kernel: [2, 2],
        stride: [2, 2],
        dilation: [1, 1],
        pads: [1, 0, 0, 0],
        ceil_mode: false,
        count_include_pad: true,
    };
    assert_eq!(eval(DOUBLE, Op::AveragePool(pool), &[x], int_tensor("y", &[1, 1, 1, 1], DType::U8, 1.0, 10)), [9]);
}

#[test]
fn n20_sums_wrap_where_the_machine_does() {
    // 300 · 100 = 30 000 is −2 768 in 15 bits; 127 · 2^24 does not fit 32 bits, but 40.
    let x = || i16_input("x", &[1, 1], 1.0, vec![300]);
    let y = || int_tensor("y", &[1, 1], DType::I16, 1.0, 0);
    let sum = |bits| {
        let w = weights(&[1, 1], &[1.0], vec![100]);
        integers(&eval_in(bits, SINGLE, Op::FullyConnected, &[x(), w], y()).expect("a sound node"))
    };
    assert_eq!((sum(15), sum(16), sum(48)), (vec![-2_768], vec![30_000], vec![30_000]));
    let long = |bits| {
        let x = i16_input("x", &[1, 1024], 1.0, vec![32_767; 1024]);
        let w = weights(&[1, 1024], &[1.0], vec![127; 1024]);
        let y = int_tensor("y", &[1, 1], DType::I16, 1_048_576.0, 0);
        integers(&eval_in(bits, SHIFT, Op::FullyConnected, &[x, w], y).expect("a sound node"))
    };
    // 32 767 · 127 · 1024 = 4 261 282 816, that is 4 063.9 · 2^20, and less 2^32 −32.1 · 2^20.
    assert_eq!((long(40), long(32)), (vec![4_064], vec![-32]));
}

#[test]
fn n21_wide_weights_and_zero_points_are_refused() {
    let x = (int_tensor("x", &[1, 1], DType::I16, 1.0, 3), Some(Value::I16(vec![1])));
    let y = int_tensor("y", &[1, 1], DType::I16, 1.0, 0);
    assert!(eval_in(32, SINGLE, Op::Rescale, &[x], y.clone()).is_err());
    let w = constant(int_tensor("w", &[1, 1], DType::I16, 1.0, 0), Value::I16(vec![1]));
    assert!(eval_in(32, SINGLE, Op::FullyConnected, &[i16_input("x", &[1, 1], 1.0, vec![1]), w], y).is_err());
}

/// gemmlowp's SaturatingRoundingDoublingHighMul and RoundingDivideByPOT, and TFLite's use of them.
fn multiply_by_quantized_multiplier(x: i32, multiplier: i32, shift: i32) -> i32 {
    let (left, right) = (shift.max(0), (-shift).max(0));
    let x = i64::from(x).checked_shl(left as u32).unwrap_or(0).clamp(i32::MIN.into(), i32::MAX.into()) as i32;
    let ab = i64::from(x) * i64::from(multiplier);
    let nudge = if ab >= 0 { 1i64 << 30 } else { 1 - (1i64 << 30) };
    let high = ((ab + nudge) / (1i64 << 31)) as i32;
    let mask = ((1i64 << right) - 1) as i32;
    let threshold = (mask >> 1) + i32::from(high < 0);
    (high >> right) + i32::from((high & mask) > threshold)
}

/// TFLite's QuantizeMultiplier: `m = multiplier · 2^(shift − 31)`.
fn quantize_multiplier(m: f64) -> (i32, i32) {
    let shift = m.log2().floor() as i32 + 1;
    let q = (m / 2f64.powi(shift) * 2f64.powi(31)).round() as i64;
    if q == 1 << 31 { (1 << 30, shift + 1) } else { (q as i32, shift) }
}

/// What a factor makes of an integer, by definitions that share nothing with golden's.
fn scaled(rule: Requantisation, x: i64, m: f64) -> i128 {
    match rule {
        Requantisation::Shift => {
            // ⌊x·m + ½⌋; m is a power of two, so that this is exact.
            if m >= 1.0 {
                i128::from(x) * m as i128
            } else {
                (i128::from(x) * 2 + (1.0 / m) as i128).div_euclid((2.0 / m) as i128)
            }
        }
        Requantisation::FixedPoint { double_rounding: true, .. } => {
            let (multiplier, shift) = quantize_multiplier(m);
            multiply_by_quantized_multiplier(x.clamp(i32::MIN.into(), i32::MAX.into()) as i32, multiplier, shift).into()
        }
        _ => {
            let (multiplier, shift) = quantize_multiplier(m);
            let s = 31 - shift;
            (2 * i128::from(x) * i128::from(multiplier) + (1i128 << s)).div_euclid(2i128 << s)
        }
    }
}

#[derive(Clone, Debug)]
struct Case {
    rule: usize,
    kind: usize,
    /// Exponents and fractions of the scales of a, b or weights, and output.
    scales: [(i32, f32); 3],
    a: Vec<i8>,
    b: Vec<i8>,
    zeros: [i8; 3],
}

fn case() -> impl Strategy<Value = Case> {
    let scale = || (-6..1i32, 0.5..1.0f32);
    let pairs = prop::collection::vec((any::<i8>(), any::<i8>()), 1..20);
    (0..3usize, 0..5usize, [scale(), scale(), scale()], pairs, any::<[i8; 3]>()).prop_map(
        |(rule, kind, scales, pairs, zeros)| {
            let (a, b) = pairs.into_iter().unzip();
            Case { rule, kind, scales, a, b, zeros }
        },
    )
}

/// Golden's integers and those of the definitions.
fn both(case: &Case) -> (Vec<i32>, Vec<i32>) {
    let rule = [SINGLE, DOUBLE, SHIFT][case.rule];
    let scale = |index: usize| {
        let (exponent, fraction) = case.scales[index];
        (if rule == SHIFT { 1.0 } else { fraction }) * 2f32.powi(exponent)
    };
    let [sa, sb, sy] = [scale(0), scale(1), scale(2)];
    let (da, db, dy) = (f64::from(sa), f64::from(sb), f64::from(sy));
    let [za, zb, zy] = case.zeros.map(i64::from);
    let n = case.a.len();
    let shape = [n, 1, 1, 1];
    let a = i8_input("a", &shape, sa, za as i32, case.a.clone());
    let b = i8_input("b", &shape, sb, zb as i32, case.b.clone());
    let y = int_tensor("y", &shape, DType::I8, sy, zy as i32);
    let weight = case.b[0];
    let left: Vec<i64> = case.a.iter().map(|&q| i64::from(q) - za).collect();
    let right: Vec<i64> = case.b.iter().map(|&q| i64::from(q) - zb).collect();
    let placed = |z: i128| (z + i128::from(zy)).clamp(-128, 127) as i32;
    let of = |values: &mut dyn Iterator<Item = (i64, f64)>| values.map(|(x, m)| placed(scaled(rule, x, m))).collect();
    match case.kind {
        0 => {
            let m = da / dy;
            (eval(rule, Op::Rescale, &[a], y), of(&mut left.iter().map(|&x| (x, m))))
        }
        1 => {
            let m = if rule == SHIFT { da * db / dy } else { f64::from(sa * sb / sy) };
            let products = left.iter().zip(&right).map(|(&a, &b)| (a * b, m));
            (eval(rule, Op::Mul, &[a, b], y), of(&mut products.into_iter()))
        }
        2 | 3 => {
            let whole = case.kind == 2;
            let m = if whole { f64::from(sa * sb) / dy } else { da * db / dy };
            let shape: &[usize] = if whole { &[1, 1] } else { &[1, 1, 1, 1] };
            let w = weights(shape, &[sb], vec![weight]);
            let (op, a, y) = match whole {
                true => {
                    let flat = |tensor: &Tensor| Tensor { shape: vec![n, 1], ..tensor.clone() };
                    (Op::FullyConnected, (flat(&a.0), a.1.clone()), flat(&y))
                }
                false => (point(), a, y),
            };
            (eval(rule, op, &[a, w], y), of(&mut left.iter().map(|&x| (x * i64::from(weight), m))))
        }
        _ => {
            let raise = if rule == SHIFT { 1i64 } else { 1 << 20 };
            let common = if rule == SHIFT { da.min(db) } else { 2.0 * da.max(db) };
            let sum = |(&a, &b): (&i64, &i64)| {
                let total = scaled(rule, a * raise, da / common) + scaled(rule, b * raise, db / common);
                placed(scaled(rule, total as i64, common / (raise as f64 * dy)))
            };
            (eval(rule, Op::Add, &[a, b], y), left.iter().zip(&right).map(sum).collect())
        }
    }
}

#[test]
fn every_rule_is_what_its_definition_says() {
    let config = Config { cases: 4000, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let seen = std::cell::RefCell::new(std::collections::BTreeSet::new());
    let outcome = runner.run(&case(), |case| {
        let (golden, defined) = both(&case);
        seen.borrow_mut().insert((case.rule, case.kind));
        prop_assert_eq!(golden, defined);
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(seen.borrow().len(), 15, "a rule and operator that never met");
}
