//! Operators that move values: N-23 and N-30, by hand and against definitions of another kind: values are dealt out from the input, sequences grow
//! element by element, blocks are reshapes and transpositions.

#![allow(missing_docs, reason = "tests")]
#[allow(dead_code, reason = "each test file uses its own part of the helpers")]
mod common;

use common::*;
use systole_golden::Value;
use systole_network::op::{Coordinates, DepthOrder, Fill, Interpolation, Op, Resize};
use systole_network::tensor::DType;

/// Numbers from a seed.
fn draws(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    }
}

fn shape(next: &mut impl FnMut(usize) -> usize) -> Vec<usize> {
    vec![1 + next(2), 1 + next(5), 1 + next(6), 1 + next(6)]
}

/// 1.0, 2.0, …: every element can be told from the others.
fn numbered(shape: &[usize]) -> Vec<f32> {
    (1..=shape.iter().product::<usize>()).map(|i| i as f32).collect()
}

fn steps(shape: &[usize]) -> Vec<usize> {
    (0..shape.len()).map(|axis| shape[axis + 1..].iter().product()).collect()
}

/// The indices of an element along each axis.
fn indices(shape: &[usize], element: usize) -> Vec<usize> {
    steps(shape).iter().zip(shape).map(|(step, length)| element / step % length).collect()
}

/// The node's output in both forms: floats, and i8 with the same order of values.
fn both(op: &Op, from: &[usize], to: &[usize]) -> Vec<f32> {
    let x = numbered(from);
    let float = imported(op.clone(), &[f32_input("x", from, &x)], f32_tensor("y", to)).expect("a float result");
    let q: Vec<i8> = x.iter().map(|&x| (x as usize % 200) as i8).collect();
    let i8s = i8_input("x", from, 0.5, 7, q.clone());
    let integer = quantised(op.clone(), &[i8s], int_tensor("y", to, DType::I8, 0.5, 7)).expect("an integer result");
    let (Value::F32(float), Value::I8(integer)) = (float, integer) else { panic!("other types") };
    for (&real, &q_out) in float.iter().zip(&integer) {
        // 0.0 is fill: real zero, the zero point.
        assert_eq!(q_out, if real == 0.0 { 7 } else { q[real as usize - 1] });
    }
    float
}

#[test]
fn slices_are_what_the_steps_hit() {
    let (mut backwards, mut wide) = (0, 0);
    for seed in 0..300 {
        let mut next = draws(seed);
        let from = shape(&mut next);
        let (mut starts, mut steps_of, mut to) = (vec![], vec![], vec![]);
        for &length in &from {
            let start = next(length);
            let step: i64 = [1, 1, 2, 3, -1, -2][next(6)];
            let room: usize = if step > 0 { length - 1 - start } else { start };
            starts.push(start);
            to.push(1 + next(room / step.unsigned_abs() as usize + 1));
            steps_of.push(step);
            backwards += usize::from(step < 0);
            wide += usize::from(step > 1);
        }
        let mut expected = vec![0.0; to.iter().product()];
        for (element, &value) in numbered(&from).iter().enumerate() {
            let place = indices(&from, element).iter().enumerate().try_fold(0, |sum, (axis, &index)| {
                let distance = index as i64 - starts[axis] as i64;
                let hit = distance / steps_of[axis];
                let within = distance % steps_of[axis] == 0 && (0..to[axis] as i64).contains(&hit);
                within.then(|| sum + hit as usize * steps(&to)[axis])
            });
            if let Some(place) = place {
                expected[place] = value;
            }
        }
        let op = Op::Slice { starts: starts.clone(), steps: steps_of.clone() };
        assert_eq!(both(&op, &from, &to), expected, "{from:?} {op:?}");
    }
    assert!(backwards > 50 && wide > 50);
}

#[test]
fn slices_that_leave_the_input_are_refused() {
    let op = Op::Slice { starts: vec![0, 1], steps: vec![1, 2] };
    let x = f32_input("x", &[1, 4], &numbered(&[1, 4]));
    assert!(imported(op.clone(), std::slice::from_ref(&x), f32_tensor("y", &[1, 2])).is_ok());
    assert!(imported(op, &[x], f32_tensor("y", &[1, 3])).is_err());
}

/// A row of numbers that grows on both sides, one element at a time.
fn grown(row: &[usize], before: usize, after: usize, fill: Fill) -> Vec<Option<usize>> {
    let mut out: Vec<Option<usize>> = row.iter().copied().map(Some).collect();
    let n = row.len();
    // A walker that starts at the edge and turns, stays or jumps.
    let walk = |count: usize, mut at: usize, mut forward: bool| -> Vec<Option<usize>> {
        let mut seen = vec![];
        for _ in 0..count {
            match fill {
                Fill::Constant(_) => {
                    seen.push(None);
                    continue;
                }
                Fill::Edge => {}
                Fill::Wrap => at = if forward { (at + 1) % n } else { (at + n - 1) % n },
                Fill::Reflect if n == 1 => {}
                Fill::Reflect => {
                    if forward && at == n - 1 || !forward && at == 0 {
                        forward = !forward;
                    }
                    at = if forward { at + 1 } else { at - 1 };
                }
            }
            seen.push(Some(row[at]));
        }
        seen
    };
    out.extend(walk(after, n - 1, true));
    let mut front = walk(before, 0, false);
    front.reverse();
    front.extend(out);
    front
}

#[test]
fn padding_grows_element_by_element() {
    for seed in 0..300 {
        let mut next = draws(seed);
        let from = shape(&mut next);
        let fill = [Fill::Constant(0.0), Fill::Edge, Fill::Wrap, Fill::Reflect][next(4)];
        let before: Vec<usize> = (0..4).map(|_| next(8)).collect();
        let after: Vec<usize> = (0..4).map(|_| next(8)).collect();
        let to: Vec<usize> = (0..4).map(|axis| before[axis] + from[axis] + after[axis]).collect();
        let rows: Vec<Vec<Option<usize>>> =
            (0..4).map(|axis| grown(&(0..from[axis]).collect::<Vec<_>>(), before[axis], after[axis], fill)).collect();
        let x = numbered(&from);
        let expected: Vec<f32> = (0..to.iter().product())
            .map(|element| {
                let place = indices(&to, element).iter().enumerate().try_fold(0, |sum, (axis, &index)| {
                    rows[axis][index].map(|from_index| sum + from_index * steps(&from)[axis])
                });
                place.map_or(0.0, |place| x[place])
            })
            .collect();
        let op = Op::Pad { before, after, fill };
        assert_eq!(both(&op, &from, &to), expected, "{from:?} {op:?}");
    }
}

#[test]
fn a_border_is_the_quantised_fill() {
    let pad = |fill| Op::Pad { before: vec![0, 1], after: vec![0, 1], fill: Fill::Constant(fill) };
    let padded = |fill| {
        let x = u8_input("x", &[1, 1], 0.5, 10, vec![200]);
        quantised(pad(fill), &[x], int_tensor("y", &[1, 3], DType::U8, 0.5, 10)).expect("padded")
    };
    // 1.25 / 0.5 = 2.5, to even.
    assert_eq!(padded(1.25), Value::U8(vec![12, 200, 12]));
    assert_eq!(padded(1e9), Value::U8(vec![255, 200, 255]));
    assert_eq!(padded(f32::NEG_INFINITY), Value::U8(vec![0, 200, 0]));
    let wide = (int_tensor("x", &[1, 1], DType::I16, 0.5, 0), Some(Value::I16(vec![-300])));
    let y = quantised(pad(1000.0), &[wide], int_tensor("y", &[1, 3], DType::I16, 0.5, 0)).expect("padded");
    assert_eq!(y, Value::I16(vec![2000, -300, 2000]));
    let x = f32_input("x", &[1, 1], &[3.0]);
    assert_eq!(imported(pad(-0.5), &[x], f32_tensor("y", &[1, 3])), Ok(Value::F32(vec![-0.5, 3.0, -0.5])));
}

/// Reshape, transpose, as ONNX defines blocks.
fn transposed(x: &[f32], shape: &[usize], perm: &[usize]) -> Vec<f32> {
    let moved: Vec<usize> = perm.iter().map(|&axis| shape[axis]).collect();
    (0..x.len())
        .map(|element| {
            let at = indices(&moved, element);
            x[perm.iter().zip(at).map(|(&axis, index)| index * steps(shape)[axis]).sum::<usize>()]
        })
        .collect()
}

#[test]
fn blocks_are_reshapes_and_transpositions() {
    for seed in 0..100 {
        let mut next = draws(seed);
        let (n, c, h, w, b) = (1 + next(2), 1 + next(3), 1 + next(4), 1 + next(4), 1 + next(3));
        let (deep, flat) = ([n, c * b * b, h, w], [n, c, h * b, w * b]);
        let x = numbered(&deep);
        let dcr = transposed(&x, &[n, b, b, c, h, w], &[0, 3, 4, 1, 5, 2]);
        let crd = transposed(&x, &[n, c, b, b, h, w], &[0, 1, 4, 2, 5, 3]);
        for (order, expected) in [(DepthOrder::DepthColumnRow, dcr), (DepthOrder::ColumnRowDepth, crd)] {
            assert_eq!(both(&Op::DepthToSpace { block: b, order }, &deep, &flat), expected);
        }
        let back = transposed(&x, &[n, c, h, b, w, b], &[0, 3, 5, 1, 2, 4]);
        assert_eq!(both(&Op::SpaceToDepth { block: b }, &flat, &deep), back);
    }
}

fn resize(size: [usize; 2], scale: [f32; 2], coordinates: Coordinates, interpolation: Interpolation) -> Op {
    Op::Resize(Resize { size, scale, coordinates, interpolation })
}

/// The place of a pixel in exact halves of ratios: numerator and denominator of `x`, for a scale of `out / in`.
fn place(o: usize, input: usize, output: usize, coordinates: Coordinates) -> (i64, i64) {
    let (o, input, output) = (o as i64, input as i64, output as i64);
    match coordinates {
        Coordinates::AlignCorners | Coordinates::PytorchHalfPixel if output == 1 => (0, 1),
        Coordinates::AlignCorners => (o * (input - 1), output - 1),
        Coordinates::Asymmetric => (o * input, output),
        _ => ((2 * o + 1) * input - output, 2 * output),
    }
}

const COORDINATES: [Coordinates; 4] =
    [Coordinates::HalfPixel, Coordinates::PytorchHalfPixel, Coordinates::AlignCorners, Coordinates::Asymmetric];

#[test]
fn nearest_pixels_in_exact_fractions() {
    let (mut ties, mut sizes) = (0, 0);
    // Scales that single precision holds, so that its places are exact where they are halves.
    for (input, output) in
        [(4, 8), (8, 4), (3, 6), (6, 3), (5, 5), (2, 8), (8, 2), (1, 4), (4, 1), (8, 6), (16, 12), (4, 3)]
    {
        for coordinates in COORDINATES {
            for interpolation in [
                Interpolation::NearestPreferFloor,
                Interpolation::NearestPreferCeil,
                Interpolation::NearestFloor,
                Interpolation::NearestCeil,
            ] {
                let pixel = |o: usize| {
                    let (x, y) = place(o, input, output, coordinates);
                    let (below, above) = (x.div_euclid(y), -(-x).div_euclid(y));
                    let twice = 2 * x - (2 * below + 1) * y;
                    ties += usize::from(twice == 0);
                    let nearest = match interpolation {
                        Interpolation::NearestFloor => below,
                        Interpolation::NearestCeil => above,
                        Interpolation::NearestPreferFloor if twice <= 0 => below,
                        Interpolation::NearestPreferCeil if twice < 0 => below,
                        _ => below + 1,
                    };
                    nearest.clamp(0, input as i64 - 1) as usize
                };
                let chosen: Vec<usize> = (0..output).map(pixel).collect();
                let expected: Vec<f32> =
                    chosen.iter().flat_map(|&y| [0, 1, 2].map(|x| (y * 3 + x + 1) as f32)).collect();
                let op = resize([output, 3], [output as f32 / input as f32, 1.0], coordinates, interpolation);
                assert_eq!(both(&op, &[1, 1, input, 3], &[1, 1, output, 3]), expected, "{input} {output} {op:?}");
                sizes += 1;
            }
        }
    }
    assert!(ties > 50 && sizes > 100, "{ties} {sizes}");
}

#[test]
fn between_pixels_by_hand() {
    let linear = |from: [usize; 4], x: &[f32], size: [usize; 2], coordinates| {
        let scale = [size[0] as f32 / from[2] as f32, size[1] as f32 / from[3] as f32];
        let op = resize(size, scale, coordinates, Interpolation::Linear);
        imported(op, &[f32_input("x", &from, x)], f32_tensor("y", &[from[0], from[1], size[0], size[1]]))
    };
    let row = linear([1, 1, 1, 2], &[0.0, 10.0], [1, 4], Coordinates::HalfPixel);
    assert_eq!(row, Ok(Value::F32(vec![0.0, 2.5, 7.5, 10.0])));
    let corners = linear([1, 1, 2, 2], &[1.0, 2.0, 3.0, 4.0], [3, 3], Coordinates::AlignCorners);
    assert_eq!(corners, Ok(Value::F32(vec![1.0, 1.5, 2.0, 2.0, 2.5, 3.0, 3.0, 3.5, 4.0])));
    let asymmetric = linear([1, 1, 1, 2], &[1.0, 3.0], [1, 4], Coordinates::Asymmetric);
    assert_eq!(asymmetric, Ok(Value::F32(vec![1.0, 2.0, 3.0, 3.0])));
    // Quantised: 2.5 · 0.5 / 0.25 = 5, 7.5 · 0.5 / 0.25 = 15, and 20 with zero point 250 saturates.
    let op = resize([1, 4], [1.0, 2.0], Coordinates::HalfPixel, Interpolation::Linear);
    let x = u8_input("x", &[1, 1, 1, 2], 0.5, 3, vec![3, 13]);
    let y = quantised(op, &[x], int_tensor("y", &[1, 1, 1, 4], DType::U8, 0.25, 250));
    assert_eq!(y, Ok(Value::U8(vec![250, 255, 255, 255])));
    let op = resize([1, 4], [1.0, 2.0], Coordinates::HalfPixel, Interpolation::Linear);
    let x = u8_input("x", &[1, 1, 1, 2], 0.5, 3, vec![3, 13]);
    let y = quantised(op, &[x], int_tensor("y", &[1, 1, 1, 4], DType::U8, 0.25, 1));
    assert_eq!(y, Ok(Value::U8(vec![1, 6, 16, 21])));
}

#[test]
fn bilinear_images_lie_near_the_definition_in_double_precision() {
    for seed in 0..100 {
        let mut next = draws(seed);
        let [h, w, rows, columns] = [1 + next(6), 1 + next(6), 1 + next(12), 1 + next(12)];
        let coordinates = COORDINATES[next(4)];
        let x: Vec<f32> = (0..2 * h * w).map(|_| next(2000) as f32 / 100.0 - 10.0).collect();
        let scale = [rows as f32 / h as f32, columns as f32 / w as f32];
        let op = resize([rows, columns], scale, coordinates, Interpolation::Linear);
        let y = imported(op, &[f32_input("x", &[1, 2, h, w], &x)], f32_tensor("y", &[1, 2, rows, columns]));
        let Ok(Value::F32(y)) = y else { panic!("{y:?}") };
        // The weight of each input pixel is a tent around the place, on the clamped axis.
        let tents = |o: usize, input: usize, output: usize| -> Vec<f64> {
            let (a, b) = place(o, input, output, coordinates);
            let at = (a as f64 / b as f64).clamp(0.0, (input - 1) as f64);
            (0..input).map(|i| (1.0 - (at - i as f64).abs()).max(0.0)).collect()
        };
        for (index, &value) in y.iter().enumerate() {
            let (plane, row, column) = (index / rows / columns, index / columns % rows, index % columns);
            let (down, across) = (tents(row, h, rows), tents(column, w, columns));
            let mut sum = 0.0;
            for i in 0..h {
                for j in 0..w {
                    sum += down[i] * across[j] * f64::from(x[(plane * h + i) * w + j]);
                }
            }
            assert!((sum - f64::from(value)).abs() < 1e-3, "{seed}: {sum} {value}");
        }
    }
}
