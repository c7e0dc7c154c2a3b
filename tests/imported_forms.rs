//! ONNX operators that become several of the graph's, and elements that share bytes, imported and run by golden, against ONNX's definitions
//! written out here as loops. Not here: machines, and what one operator of the graph does by itself (golden's own tests).

#![allow(missing_docs, reason = "tests")]
#[path = "../compiler/tests/models/mod.rs"]
mod models;

use std::collections::BTreeMap;

use models::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use systole_compiler::frontends::onnx::proto::{AttributeProto, ModelProto, NodeProto, TensorProto, data_type};
use systole_golden::{Options, Value, run};

struct Draw(ChaCha8Rng);

impl Draw {
    fn below(&mut self, count: usize) -> usize {
        self.0.next_u32() as usize % count
    }

    /// Small multiples of 1/4, so that sums are exact in any order.
    fn reals(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| (self.below(81) as f32 - 40.0) / 4.0).collect()
    }

    fn integers(&mut self, count: usize, low: i64, high: i64) -> Vec<i64> {
        (0..count).map(|_| low + self.below((high - low + 1) as usize) as i64).collect()
    }
}

fn with_type(mut model: ModelProto, elem_type: i32) -> ModelProto {
    let input = model.graph.as_mut().and_then(|graph| graph.input.first_mut());
    let tensor = input.and_then(|input| input.type_.as_mut()).and_then(|kind| kind.tensor_type.as_mut());
    tensor.expect("it has an input").elem_type = elem_type;
    model
}

/// The outputs of a model of one input, by name.
fn outputs(model: &ModelProto, x: Value) -> BTreeMap<String, (Vec<usize>, Value)> {
    let graph = imported(model);
    let made = run(&graph, &[(graph.inputs[0], x)].into(), Options::default()).expect("golden runs it");
    let named = made.tensors.into_iter().map(|(id, value)| {
        let tensor = graph.tensor(id);
        (tensor.name.clone(), (tensor.shape.clone(), value))
    });
    named.collect()
}

fn output(model: &ModelProto, x: Value) -> (Vec<usize>, Value) {
    outputs(model, x).remove("y").expect("the output y")
}

fn dims(shape: &[usize]) -> Vec<i64> {
    shape.iter().map(|&length| length as i64).collect()
}

/// The index of each element along each axis.
fn places(shape: &[usize]) -> Vec<Vec<usize>> {
    shape.iter().fold(vec![vec![]], |places, &length| {
        places.iter().flat_map(|place| (0..length).map(move |i| [&place[..], &[i]].concat())).collect()
    })
}

fn at(shape: &[usize], place: &[usize]) -> usize {
    shape.iter().zip(place).fold(0, |sum, (length, index)| sum * length + index)
}

/// ONNX: element i of the axis has scale and zero point `i / block_size`.
#[test]
fn n33_blocks_have_scales_of_their_own() {
    let mut draw = Draw(ChaCha8Rng::seed_from_u64(33));
    let (mut inner_axes, mut uneven) = (0, 0);
    for _ in 0..40 {
        let rank = 2 + draw.below(3);
        let (axis, size, count) = (draw.below(rank), 1 + draw.below(3), 1 + draw.below(3));
        let mut shape: Vec<usize> = (0..rank).map(|_| 1 + draw.below(3)).collect();
        let mut scales = shape.clone();
        let missing = draw.below(size);
        (shape[axis], scales[axis]) = (size * count - missing, count);
        uneven += usize::from(missing > 0 && count > 1);
        inner_axes += usize::from(shape[axis + 1..].iter().product::<usize>() > 1 && count > 1 && size > 1);
        let blocks: usize = scales.iter().product();
        let scale: Vec<f32> = (0..blocks).map(|_| (1 + draw.below(9)) as f32 / 8.0).collect();
        let zero: Vec<u8> = draw.integers(blocks, 0, 20).iter().map(|&z| z as u8).collect();
        let x = draw.reals(shape.iter().product());
        let block = |place: &[usize]| {
            let place: Vec<usize> =
                place.iter().enumerate().map(|(a, &i)| if a == axis { i / size } else { i }).collect();
            at(&scales, &place)
        };
        let attributes = || vec![int("axis", axis as i64), int("block_size", size as i64)];
        let constants = || vec![f32s("s", &dims(&scales), &scale), u8s("z", &dims(&scales), &zero)];
        let quantize = node("QuantizeLinear", &["x", "s", "z"], "y", attributes());
        let (made_shape, q) = output(&model(21, &dims(&shape), vec![quantize], constants()), Value::F32(x.clone()));
        let rounded = places(&shape).into_iter().zip(&x).map(|(place, x)| {
            let b = block(&place);
            ((x / scale[b]).round_ties_even() + f32::from(zero[b])).clamp(0.0, 255.0) as u8
        });
        let right: Vec<u8> = rounded.collect();
        assert_eq!((made_shape, q), (shape.clone(), Value::U8(right.clone())), "axis {axis} by {size} of {shape:?}");
        let real = places(&shape).into_iter().zip(&right).map(|(place, &q)| {
            let b = block(&place);
            (f32::from(q) - f32::from(zero[b])) * scale[b]
        });
        let real = Value::F32(real.collect());
        let dequantize = || node("DequantizeLinear", &["x", "s", "z"], "y", attributes());
        let computed = with_type(model(21, &dims(&shape), vec![dequantize()], constants()), data_type::UINT8);
        assert_eq!(output(&computed, Value::U8(right.clone())), (shape.clone(), real.clone()));
        // Of a constant, which `x` is subtracted from.
        let stored = NodeProto {
            input: ["c", "s", "z"].map(String::from).into(),
            output: vec!["r".into()],
            name: "r".into(),
            ..dequantize()
        };
        let mut all = constants();
        all.push(u8s("c", &dims(&shape), &right));
        let product = model(21, &dims(&shape), vec![stored, node("Mul", &["x", "r"], "y", vec![])], all);
        let ones = Value::F32(vec![1.0; right.len()]);
        assert_eq!(output(&product, ones).1, real);
    }
    assert!(inner_axes > 5 && uneven > 5, "{inner_axes} {uneven}");
}

#[test]
fn n33_scales_that_are_not_one_a_block_are_refused() {
    let quantize = node("QuantizeLinear", &["x", "s"], "y", vec![int("axis", 1), int("block_size", 2)]);
    let errors = refused(&model(21, &[1, 5], vec![quantize], vec![f32s("s", &[1, 2], &[1.0, 2.0])]));
    assert!(errors[0].contains("its scales have the shape [1, 2], its blocks [1, 3]"), "{errors:?}");
}

/// ONNX: each input element times each tap of the kernel is added where they meet.
#[test]
fn volumes_are_transposed_as_defined() {
    let mut draw = Draw(ChaCha8Rng::seed_from_u64(22));
    let (mut strides_hit, mut cut_hit, mut biased) = (0, 0, 0);
    for _ in 0..30 {
        let groups = 1 + draw.below(2);
        let (n, c, m_group) = (1 + draw.below(2), groups * (1 + draw.below(2)), 1 + draw.below(2));
        let m = m_group * groups;
        let side = |draw: &mut Draw, most: usize| [0; 3].map(|_| 1 + draw.below(most));
        let (input, kernel, stride, dilation) =
            (side(&mut draw, 3), side(&mut draw, 3), side(&mut draw, 3), side(&mut draw, 2));
        let more = [0, 1, 2].map(|axis| draw.below(stride[axis].max(dilation[axis])));
        let whole = [0, 1, 2].map(|a| (input[a] - 1) * stride[a] + (kernel[a] - 1) * dilation[a] + 1 + more[a]);
        let before = [0, 1, 2].map(|axis| draw.below(2.min(whole[axis])));
        let after = [0, 1, 2].map(|axis| draw.below(2.min(whole[axis] - before[axis])));
        let out = [0, 1, 2].map(|axis| whole[axis] - before[axis] - after[axis]);
        strides_hit += usize::from(stride[0] > 1 && input[0] > 1);
        cut_hit += usize::from(before[0] + after[0] > 0);
        let (x_shape, w_shape) = ([&[n, c], &input[..]].concat(), [&[c, m_group], &kernel[..]].concat());
        let (x, w) = (draw.reals(x_shape.iter().product()), draw.reals(w_shape.iter().product()));
        let bias = (draw.below(2) == 1).then(|| draw.reals(m));
        biased += usize::from(bias.is_some());
        let y_shape = [&[n, m], &out[..]].concat();
        let mut right = vec![0.0; y_shape.iter().product()];
        for place in places(&y_shape) {
            right[at(&y_shape, &place)] = bias.as_ref().map_or(0.0, |bias| bias[place[1]]);
        }
        for from in places(&x_shape) {
            for tap in places(&w_shape).into_iter().filter(|tap| tap[0] == from[1]) {
                let to = |axis: usize| {
                    let reached = from[axis + 2] * stride[axis] + tap[axis + 2] * dilation[axis];
                    reached.checked_sub(before[axis]).filter(|&to| to < out[axis])
                };
                let channel = from[1] / (c / groups) * m_group + tap[1];
                if let (Some(z), Some(y), Some(xx)) = (to(0), to(1), to(2)) {
                    right[at(&y_shape, &[from[0], channel, z, y, xx])] +=
                        x[at(&x_shape, &from)] * w[at(&w_shape, &tap)];
                }
            }
        }
        let attributes = vec![
            ints("strides", &dims(&stride)),
            ints("dilations", &dims(&dilation)),
            ints("output_padding", &dims(&more)),
            ints("pads", &dims(&[before, after].concat())),
            int("group", groups as i64),
        ];
        let mut constants = vec![f32s("w", &dims(&w_shape), &w)];
        let mut operands = vec!["x", "w"];
        if let Some(bias) = &bias {
            constants.push(f32s("b", &[m as i64], bias));
            operands.push("b");
        }
        let proto = model(22, &dims(&x_shape), vec![node("ConvTranspose", &operands, "y", attributes)], constants);
        assert_eq!(output(&proto, Value::F32(x)), (y_shape, Value::F32(right)), "{proto:?}");
    }
    assert!(strides_hit > 3 && cut_hit > 3 && biased > 3, "{strides_hit} {cut_hit} {biased}");
}

/// ONNX: with `storage_order` 1 an index is `plane·h·w + x·h + y`; of equal maxima the first by rows.
#[test]
fn indices_down_the_columns() {
    let (h, w) = (4, 5);
    let x: Vec<f32> = (0..2 * h * w).map(|i| (i * 7 % 11) as f32).collect();
    let attributes = vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2]), int("storage_order", 1)];
    let mut pool = node("MaxPool", &["x"], "m", attributes);
    pool.output.push("y".into());
    let mut proto = model(12, &[1, 2, h as i64, w as i64], vec![pool], vec![]);
    proto.graph.as_mut().expect("a graph").output.push(value("m", &[]));
    let mut right = vec![];
    for plane in 0..2 {
        for (oy, ox) in places(&[2, 2]).into_iter().map(|place| (place[0], place[1])) {
            let taps = places(&[2, 2]).into_iter().map(|tap| (2 * oy + tap[0], 2 * ox + tap[1]));
            let value = |(y, xx): (usize, usize)| x[(plane * h + y) * w + xx];
            let best = taps.reduce(|best, tap| if value(tap) > value(best) { tap } else { best }).expect("taps");
            right.push((plane * h * w + best.1 * h + best.0) as i64);
        }
    }
    let made = outputs(&proto, Value::F32(x));
    assert_eq!(made["y"], (vec![1, 2, 2, 2], Value::I64(right)));
    assert_eq!(made["m"].0, [1, 2, 2, 2]);
}

#[test]
fn clips_of_integers() {
    let bounds = || vec![i8s("low", &[], &[-3]), i8s("high", &[], &[5])];
    let cases: [(&[&str], [i8; 4]); 5] = [
        (&["x"], [-128, -3, 4, 127]),
        (&["x", "low"], [-3, -3, 4, 127]),
        (&["x", "", "high"], [-128, -3, 4, 5]),
        (&["x", "low", "high"], [-3, -3, 4, 5]),
        // Where they cross, everything becomes the upper one.
        (&["x", "high", "low"], [-3; 4]),
    ];
    for (operands, right) in cases {
        let proto = with_type(model(13, &[4], vec![node("Clip", operands, "y", vec![])], bounds()), data_type::INT8);
        assert_eq!(output(&proto, Value::I8(vec![-128, -3, 4, 127])).1, Value::I8(right.into()), "{operands:?}");
    }
}

/// ONNX: the zero point of a column of the weights is subtracted from that column.
#[test]
fn zero_points_of_each_output() {
    let (x, w, zeros) = ([200i64, 3], [[1i64, 255, 7], [9, 0, 250]], [0i64, 255, 128]);
    let bytes = |values: &[i64]| values.iter().map(|&value| value as u8).collect::<Vec<u8>>();
    let constants =
        vec![u8s("w", &[2, 3], &bytes(&w.concat())), u8s("zx", &[], &[10]), u8s("zw", &[3], &bytes(&zeros))];
    let product = node("MatMulInteger", &["x", "w", "zx", "zw"], "y", vec![]);
    let proto = with_type(model(13, &[1, 2], vec![product], constants), data_type::UINT8);
    let right = [0, 1, 2].map(|m| [0, 1].map(|k| (x[k] - 10) * (w[k][m] - zeros[m])).iter().sum::<i64>() as i32);
    assert_eq!(output(&proto, Value::U8(bytes(&x))).1, Value::I32(right.into()));
}

/// A constant that is quantised to 16 bits, added as the integers that it then is: 1000.6 / 0.5 rounds to 2001.
#[test]
fn constants_of_sixteen_bits() {
    let quantize = node("QuantizeLinear", &["c", "s"], "q", vec![int("output_dtype", i64::from(data_type::INT16))]);
    let nodes = vec![quantize, node("Add", &["x", "q"], "y", vec![])];
    let constants = vec![f32s("c", &[3], &[1000.6, -0.75, 1e6]), f32s("s", &[], &[0.5])];
    let proto = with_type(model(21, &[3], nodes, constants), data_type::INT16);
    assert_eq!(output(&proto, Value::I16(vec![1, 2, 3])).1, Value::I16(vec![2002, 0, -32766]));
}

/// ONNX packs 4 and 2 bits from the lowest ones up, in `raw_data` as in `int32_data`.
#[test]
fn elements_under_a_byte() {
    let cases: [(i32, &[u8], [f32; 3]); 4] = [
        (data_type::INT4, &[0x8f, 0x07], [-1.0, -8.0, 7.0]),
        (data_type::UINT4, &[0x8f, 0x07], [15.0, 8.0, 7.0]),
        (data_type::INT2, &[0b00_01_10_11], [-1.0, -2.0, 1.0]),
        (data_type::UINT2, &[0b00_01_10_11], [3.0, 2.0, 1.0]),
    ];
    for (data_type, bytes, right) in cases {
        let bare = || TensorProto { name: "c".into(), dims: vec![3], data_type, ..Default::default() };
        let raw = TensorProto { raw_data: Some(bytes.to_vec().into()), ..bare() };
        let typed = TensorProto { int32_data: bytes.iter().map(|&byte| byte.into()).collect(), ..bare() };
        for constant in [raw, typed] {
            let dequantize = node("DequantizeLinear", &["c", "s"], "r", vec![]);
            let nodes = vec![dequantize, node("Mul", &["x", "r"], "y", vec![])];
            let proto = model(21, &[3], nodes, vec![constant, f32s("s", &[], &[1.0])]);
            assert_eq!(output(&proto, Value::F32(vec![1.0; 3])).1, Value::F32(right.into()), "{data_type}");
        }
        let short = TensorProto { raw_data: Some(vec![].into()), ..bare() };
        let dequantize: Vec<AttributeProto> = vec![];
        let nodes = vec![node("DequantizeLinear", &["c", "s"], "r", dequantize), node("Mul", &["x", "r"], "y", vec![])];
        let errors = refused(&model(21, &[3], nodes, vec![short, f32s("s", &[], &[1.0])]));
        assert!(errors[0].contains("bytes, but it has 0"), "{errors:?}");
    }
}

#[test]
fn dropout_keeps_everything_and_says_so() {
    let mut dropout = node("Dropout", &["x"], "y", vec![]);
    dropout.output.push("mask".into());
    let mut proto = model(13, &[1, 3], vec![dropout], vec![]);
    proto.graph.as_mut().expect("a graph").output.push(value("mask", &[]));
    let made = outputs(&proto, Value::F32(vec![1.0, -2.0, 3.0]));
    assert_eq!(made["y"].1, Value::F32(vec![1.0, -2.0, 3.0]));
    assert_eq!(made["mask"], (vec![1, 3], Value::Bool(vec![true; 3])));
    let truth = TensorProto {
        raw_data: Some(vec![1].into()),
        data_type: data_type::BOOL,
        name: "t".into(),
        ..Default::default()
    };
    let trains = node("Dropout", &["x", "", "t"], "y", vec![]);
    let errors = refused(&model(13, &[1, 3], vec![trains], vec![truth]));
    assert!(errors[0].contains("it trains"), "{errors:?}");
}
