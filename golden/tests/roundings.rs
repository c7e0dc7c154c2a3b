//! Where each rule rounds to single precision. Every vector was searched for by exact arithmetic with explicit roundings, so that
//! the rule's result lies on the other side of a tie than that of a tempting rearrangement (named beside it).

#![allow(missing_docs, reason = "tests")]
#[allow(dead_code, reason = "each test file uses its own part of the helpers")]
mod common;

use common::*;
use systole_golden::Value;
use systole_network::op::{Op, Pool};
use systole_network::tensor::{DType, Tensor};

fn x(q: u8, scale: f32) -> Operand {
    u8_input("x", &[1, 1], scale, 0, vec![q])
}

fn y(scale: f32) -> Tensor {
    int_tensor("y", &[1, 1], DType::U8, scale, 0)
}

#[track_caller]
fn check(op: Op, operands: &[Operand], sy: f32, q: u8) {
    assert_eq!(quantised(op, operands, y(sy)).unwrap(), Value::U8(vec![q]), "{operands:?}");
}

#[test]
fn n2_divides_by_the_scale() {
    // x · (1 / sy).
    check(Op::Quantize, &[f32_input("x", &[1, 1], &[34.125])], 0.15, 227);
}

#[test]
fn n5_one_multiplier() {
    let pool = Pool {
        kernel: [1, 3],
        stride: [1, 1],
        dilation: [1, 1],
        pads: [0; 4],
        ceil_mode: false,
        count_include_pad: false,
    };
    for (sum, sx, sy, q) in [
        (69, 0.41, 0.82, 11),  // f32(sx / sy) / 3
        (38, 0.15, 0.76, 2),   // f32(sum / 3) · f32(sx / sy)
        (414, 0.22, 0.88, 34), // f32(sum · sx) / f32(sy · 3)
        (594, 0.07, 0.84, 16), // double precision
    ] {
        let part = sum / 3;
        let parts = vec![part as u8, part as u8, (sum - 2 * part) as u8];
        let x = || u8_input("x", &[1, 1, 1, 3], sx, 0, parts.clone());
        let y = || int_tensor("y", &[1, 1, 1, 1], DType::U8, sy, 0);
        assert_eq!(quantised(Op::AveragePool(pool.clone()), &[x()], y()).unwrap(), Value::U8(vec![q]));
        assert_eq!(quantised(Op::GlobalAveragePool, &[x()], y()).unwrap(), Value::U8(vec![q]));
    }
}

#[test]
fn n6_both_products_the_sum_and_the_quotient() {
    for (qa, sa, qb, sb, sy, q) in [
        (102, 0.09, 76, 0.12, 0.2, 91),  // times f32(1 / sy)
        (91, 0.38, 73, 0.19, 0.3, 161),  // each operand by f32(s / sy); the first product fused into the sum
        (125, 0.15, 95, 0.09, 0.84, 32), // the second product fused into the sum
        (76, 0.09, 77, 0.08, 0.08, 162), // double precision
    ] {
        check(Op::Add, &[x(qa, sa), x(qb, sb)], sy, q);
    }
}

#[test]
fn n7_one_multiplier() {
    for (qa, sa, qb, sb, sy, q) in [
        (55, 0.05, 1, 0.18, 0.03, 16),  // f32(sa · f32(sb / sy))
        (14, 0.58, 45, 0.05, 0.42, 44), // f32(product · f32(sa · sb)) / sy
        (21, 0.37, 5, 0.3, 0.63, 19),   // the product of the reals
        (23, 0.1, 15, 0.19, 0.19, 34),  // double precision
    ] {
        check(Op::Mul, &[x(qa, sa), x(qb, sb)], sy, q);
    }
}

#[test]
fn n7_the_zero_point_joins_before_the_rounding() {
    for (qa, sa, qb, sb, sy, q) in [
        (45, 0.05, 2, 0.05, 0.45, 120), // 0.50000006 above 120: f32(120.5), a tie, to even
        (21, 0.05, 5, 0.26, 0.07, 140), // 19.499998 above 120, likewise
        (45, 0.05, 2, 0.11, 0.33, 122), // 1.4999999 above 120, likewise
    ] {
        let y = int_tensor("y", &[1, 1], DType::U8, sy, 120);
        assert_eq!(quantised(Op::Mul, &[x(qa, sa), x(qb, sb)], y).unwrap(), Value::U8(vec![q]), "{qa} · {qb}");
    }
}

#[test]
fn n8_every_step() {
    for (qx, sx, a, b, sy, q) in [
        (180, 0.7, 0.53, 2.41, 0.74, 94),   // product and sum fused
        (225, 0.48, 0.34, 6.73, 0.22, 198), // f32(sx · a) made beforehand
        (200, 0.36, 0.88, 7.51, 0.38, 187), // times f32(1 / sy)
        (18, 0.25, 0.58, 0.14, 0.1, 28),    // both terms by sy
    ] {
        let vector = |v: f32| constant(f32_tensor("v", &[1]), Value::F32(vec![v]));
        check(Op::BatchNorm { epsilon: 0.0 }, &[x(qx, sx), vector(a), vector(b)], sy, q);
    }
}

#[test]
fn n9_product_and_quotient() {
    for (qx, sx, sy, q) in [
        (247, 0.33, 0.38, 215), // f32(sx / sy); times f32(1 / sy)
        (189, 0.37, 0.42, 166), // double precision
    ] {
        check(Op::Rescale, &[x(qx, sx)], sy, q);
    }
}
