//! Rule N-32 against its definition: exact integers, reduced modulo 2^n; and what N-16 and N-2 say of integers beyond i8 and u8.

#![allow(missing_docs, reason = "tests")]
#[allow(dead_code, reason = "each test file uses its own part of the helpers")]
mod common;

use std::collections::BTreeMap;

use common::*;
use systole_golden::{GoldenError, Value};
use systole_network::op::{Conv, Op};
use systole_network::tensor::{DType, Quant, Tensor};

const TYPES: [(DType, u32, bool); 8] = [
    (DType::I8, 8, true),
    (DType::U8, 8, false),
    (DType::I16, 16, true),
    (DType::U16, 16, false),
    (DType::I32, 32, true),
    (DType::U32, 32, false),
    (DType::I64, 64, true),
    (DType::U64, 64, false),
];

const OPERATORS: [Op; 7] = [Op::Add, Op::Sub, Op::Mul, Op::Div, Op::Max, Op::Min, Op::Sum];

fn plain(name: &str, shape: &[usize], dtype: DType) -> Tensor {
    Tensor { name: name.into(), shape: shape.to_vec(), dtype, quant: None, data: None }
}

/// An exact integer as the number of that type which is equal to it modulo 2^bits.
fn reduced(exact: i128, bits: u32, signed: bool) -> i128 {
    let modulus = 1i128 << bits;
    let rest = exact.rem_euclid(modulus);
    if signed && rest >= modulus / 2 { rest - modulus } else { rest }
}

fn value(dtype: DType, numbers: &[i128]) -> Value {
    let bytes: Vec<u8> =
        numbers.iter().flat_map(|number| number.to_le_bytes().into_iter().take(dtype.bytes())).collect();
    Value::from_le_bytes(dtype, &bytes)
}

/// What the rule says of one pair.
fn expected(op: &Op, a: i128, b: i128, bits: u32, signed: bool) -> i128 {
    let exact = match op {
        Op::Add | Op::Sum => a + b,
        Op::Sub => a - b,
        Op::Mul => {
            // Products of two 64-bit numbers do not fit 128 bits with a sign: residues do.
            let residue = (reduced(a, bits, false) as u128).wrapping_mul(reduced(b, bits, false) as u128);
            (residue & ((1u128 << bits) - 1)) as i128
        }
        Op::Div if b == 0 => 0,
        Op::Div => a / b,
        Op::Max if a > b => a,
        Op::Min if a < b => a,
        _ => b,
    };
    reduced(exact, bits, signed)
}

#[test]
fn n32_every_type_and_operator_against_exact_integers() {
    let mut state = 7u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 16
    };
    let mut hit: BTreeMap<&str, usize> = BTreeMap::new();
    for (dtype, bits, signed) in TYPES {
        let edges = [0, 1, -1, 2, 1i128 << (bits - 1), (1i128 << bits) - 1, (1i128 << (bits - 1)) - 1];
        let mut numbers: Vec<i128> = edges.iter().map(|&edge| reduced(edge, bits, signed)).collect();
        numbers.extend((0..20).map(|_| {
            let wide = i128::from(random()) << 32 ^ i128::from(random());
            reduced(wide >> (random() % u64::from(bits)), bits, signed)
        }));
        let pairs: Vec<(i128, i128)> = numbers.iter().flat_map(|&a| numbers.iter().map(move |&b| (a, b))).collect();
        let (a, b): (Vec<i128>, Vec<i128>) = pairs.iter().copied().unzip();
        let least = reduced(1i128 << (bits - 1), bits, true);
        *hit.entry("divided by zero").or_default() += b.iter().filter(|&&b| b == 0).count();
        *hit.entry("least by −1").or_default() +=
            pairs.iter().filter(|&&(a, b)| signed && a == least && b == -1).count();
        *hit.entry("not a whole quotient below zero").or_default() +=
            pairs.iter().filter(|&&(a, b)| b != 0 && a * b.signum() < 0 && a % b != 0).count();
        *hit.entry("sums that wrap").or_default() +=
            pairs.iter().filter(|&&(a, b)| reduced(a + b, bits, signed) != a + b).count();
        let shape = [1, pairs.len()];
        let operand = |name, numbers: &[i128]| (plain(name, &shape, dtype), Some(value(dtype, numbers)));
        for op in &OPERATORS {
            let made = imported(op.clone(), &[operand("a", &a), operand("b", &b)], plain("y", &shape, dtype));
            let right: Vec<i128> = pairs.iter().map(|&(a, b)| expected(op, a, b, bits, signed)).collect();
            assert_eq!(made, Ok(value(dtype, &right)), "{} of {}", op.name(), dtype.name());
        }
    }
    assert!(hit.len() == 4 && hit.values().all(|&count| count > 0), "{hit:?}");
}

#[test]
fn n32_operands_repeat_and_constants_spread_over_channels() {
    let x = || (plain("x", &[1, 2, 1, 2], DType::I8), Some(Value::I8(vec![100, -100, 7, -7])));
    let y = || plain("y", &[1, 2, 1, 2], DType::I8);
    let channels = constant(plain("c", &[2], DType::I8), Value::I8(vec![100, 2]));
    assert_eq!(imported(Op::Add, &[x(), channels], y()), Ok(Value::I8(vec![-56, 0, 9, -5])));
    let one = constant(plain("c", &[1, 1, 1, 1], DType::I8), Value::I8(vec![2]));
    assert_eq!(imported(Op::Div, &[x(), one], y()), Ok(Value::I8(vec![50, -50, 3, -3])));
    let three = [x(), x(), x()];
    assert_eq!(imported(Op::Sum, &three, y()), Ok(Value::I8(vec![44, -44, 21, -21])));
}

#[test]
fn n32_operands_of_two_types_are_refused() {
    let a = || (plain("a", &[1, 1], DType::U8), Some(Value::U8(vec![1])));
    let b = (plain("b", &[1, 1], DType::I8), Some(Value::I8(vec![1])));
    let error = imported(Op::Add, &[a(), b], plain("y", &[1, 1], DType::U8)).unwrap_err();
    assert!(matches!(error, GoldenError::Malformed { .. }), "{error}");
    let error = imported(Op::Add, &[a(), a()], plain("y", &[1, 1], DType::I8)).unwrap_err();
    assert!(matches!(error, GoldenError::Malformed { .. }), "{error}");
    let truth = || (plain("t", &[1, 1], DType::Bool), Some(Value::Bool(vec![true])));
    assert!(imported(Op::Add, &[truth(), truth()], plain("y", &[1, 1], DType::Bool)).is_err());
}

/// N-2 and N-3 for every type that files quantise to: the range is the type's, the zero point any of its values.
#[test]
fn n2_saturates_to_each_type() {
    let cases: [(DType, i32, [i128; 5]); 8] = [
        (DType::I8, 3, [-128, 2, 3, 5, 127]),
        (DType::U8, 3, [0, 2, 3, 5, 255]),
        (DType::I16, -300, [-32768, -301, -300, -298, 32767]),
        (DType::U16, 300, [0, 299, 300, 302, 65535]),
        (DType::I4, -3, [-8, -4, -3, -1, 7]),
        (DType::U4, 3, [0, 2, 3, 5, 15]),
        (DType::I2, -1, [-2, -2, -1, 1, 1]),
        (DType::U2, 1, [0, 0, 1, 3, 3]),
    ];
    for (dtype, zero, right) in cases {
        let x = f32_input("x", &[1, 5], &[-1e9, -0.5, 0.25, 1.25, f32::INFINITY]);
        let q = int_tensor("q", &[1, 5], dtype, 0.5, zero);
        let right = value(dtype, &right);
        assert_eq!(imported(Op::Quantize, &[x], q.clone()), Ok(right.clone()), "{}", dtype.name());
        let real = imported(Op::Dequantize, &[(q, Some(right.clone()))], f32_tensor("y", &[1, 5]));
        let numbers = right.to_le_bytes();
        let first = match dtype.bytes() {
            2 => i32::from(i16::from_le_bytes([numbers[2], numbers[3]])),
            _ => i32::from(numbers[1] as i8),
        };
        let Ok(Value::F32(real)) = real else { panic!("{real:?}") };
        assert_eq!(real[1], (first - zero) as f32 * 0.5, "{}", dtype.name());
    }
}

/// N-16 with a zero point for each output: weights that have them subtracted already need 9 bits.
#[test]
fn n16_weights_of_nine_bits() {
    let conv = Conv { kernel: [1, 1], stride: [1; 2], dilation: [1; 2], pads: [0; 4], groups: 1 };
    let x = (plain("x", &[1, 2, 1, 1], DType::U8), Some(Value::U8(vec![255, 1])));
    let w = constant(plain("w", &[2, 2, 1, 1], DType::I16), Value::I16(vec![-255, 255, 200, -3]));
    let made = imported(Op::ConvInteger { conv, zeros: [1, 0] }, &[x, w], plain("y", &[1, 2, 1, 1], DType::I32));
    assert_eq!(made, Ok(Value::I32(vec![254 * -255, 254 * 200])));
}

#[test]
fn every_type_is_moved_and_joined() {
    let slice = Op::Slice { starts: vec![0, 2], steps: vec![1, -1] };
    for (dtype, _, _) in TYPES {
        let x = || (plain("x", &[1, 3], dtype), Some(value(dtype, &[1, 2, 3])));
        assert_eq!(imported(slice.clone(), &[x()], plain("y", &[1, 2], dtype)), Ok(value(dtype, &[3, 2])));
        let joined = imported(Op::Concat, &[x(), x()], plain("y", &[1, 6], dtype));
        assert_eq!(joined, Ok(value(dtype, &[1, 2, 3, 1, 2, 3])));
    }
    let truth = (plain("x", &[1, 3], DType::Bool), Some(Value::Bool(vec![true, false, false])));
    let made = imported(slice, &[truth], plain("y", &[1, 2], DType::Bool));
    assert_eq!(made, Ok(Value::Bool(vec![false, false])));
    assert_eq!(Value::from_le_bytes(DType::Bool, &[0, 1, 2]), Value::Bool(vec![false, true, true]));
    let quant = Some(Quant::per_tensor(1.0, 0));
    let narrow = Tensor { quant, ..plain("x", &[1, 1], DType::U4) };
    assert_eq!(value(narrow.dtype, &[15]), Value::U8(vec![15]));
}
