//! Every invariant, broken once: each breakage must be found, as that invariant and no other.

use bytes::Bytes;

use super::Invariant as V;
use super::*;
use crate::graph::Form;
use crate::op::{Conv, Op, Pool};
use crate::tensor::{DType, Data, Distribution, Quant};
use crate::zoo;

/// Adds a tensor of the quantised form; scale 0 gives none.
fn add(graph: &mut Graph, name: &str, shape: &[usize], dtype: DType, quant: Quant, data: Option<Data>) -> TensorId {
    graph.add_tensor(Tensor { name: name.into(), shape: shape.into(), dtype, quant: Some(quant), data })
}

fn node(graph: &mut Graph, name: &str, op: Op, inputs: &[TensorId], output: TensorId) {
    let origins = vec![name.into()];
    graph.add_node(Node { name: name.into(), op, inputs: inputs.into(), outputs: vec![output], clamp: None, origins });
}

/// input -> conv (per channel, clamped) -> norm -> add (with the convolution) -> flat -> fc.
fn quantised() -> Graph {
    let mut g = Graph::new("small", Form::Quantised);
    let per_tensor = Quant::per_tensor;
    let input = add(&mut g, "input", &[1, 2, 4, 4], DType::U8, per_tensor(0.5, 128), None);
    let per_channel = |scale: [f32; 3]| Quant { scale: scale.into(), zero_point: vec![0; 3], axis: Some(0) };
    let (sw, sb) = (per_channel([0.25, 0.5, 1.0]), per_channel([0.125, 0.25, 0.5]));
    let stored = |bytes: usize| Some(Data::Stored(Bytes::from(vec![0; bytes])));
    let weight = add(&mut g, "weight", &[3, 2, 3, 3], DType::I8, sw, stored(54));
    let bias = add(&mut g, "bias", &[3], DType::I32, sb, stored(12));
    let conv = add(&mut g, "conv", &[1, 3, 4, 4], DType::I8, per_tensor(1.0, -128), None);
    let [a, b] = ["a", "b"].map(|name| Tensor {
        name: name.into(),
        shape: vec![3],
        dtype: DType::F32,
        quant: None,
        data: Some(Data::Unknown),
    });
    let (a, b) = (g.add_tensor(a), g.add_tensor(b));
    let norm = add(&mut g, "norm", &[1, 3, 4, 4], DType::I8, per_tensor(2.0, 0), None);
    let sum = add(&mut g, "sum", &[1, 3, 4, 4], DType::U8, per_tensor(2.0, 0), None);
    let flat = add(&mut g, "flat", &[1, 48], DType::U8, per_tensor(2.0, 0), None);
    let fc_weight = add(&mut g, "fc_weight", &[5, 48], DType::I8, per_tensor(0.5, 0), Some(Data::Unknown));
    let fc = add(&mut g, "fc", &[1, 5], DType::U8, per_tensor(4.0, 7), None);
    let window = Conv { kernel: [3; 2], stride: [1; 2], dilation: [1; 2], pads: [1; 4], groups: 1 };
    node(&mut g, "conv", Op::Conv(window), &[input, weight, bias], conv);
    node(&mut g, "norm", Op::BatchNorm { epsilon: 0.0 }, &[conv, a, b], norm);
    node(&mut g, "sum", Op::Add, &[conv, norm], sum);
    node(&mut g, "flat", Op::Reshape, &[sum], flat);
    node(&mut g, "fc", Op::FullyConnected, &[flat, fc_weight], fc);
    g.nodes[0].clamp = Some((-128, 100));
    (g.inputs, g.outputs) = (vec![input], vec![fc]);
    g
}

/// f -> Quantize -> integer max pool -> Dequantize -> Clip -> Identity.
fn imported() -> Graph {
    let mut g = Graph::new("qdq", Form::Imported);
    let float = |name: &str, size: usize| Tensor {
        name: name.into(),
        shape: vec![1, 2, size, size],
        dtype: DType::F32,
        quant: None,
        data: None,
    };
    let f = g.add_tensor(float("f", 4));
    let q = add(&mut g, "q", &[1, 2, 4, 4], DType::U8, Quant::per_tensor(0.5, 3), None);
    let p = add(&mut g, "p", &[1, 2, 2, 2], DType::U8, Quant::per_tensor(0.5, 3), None);
    let [d, c, i] = ["d", "c", "i"].map(|name| g.add_tensor(float(name, 2)));
    let pool = Pool {
        kernel: [2; 2],
        stride: [2; 2],
        dilation: [1, 1],
        pads: [0; 4],
        ceil_mode: false,
        count_include_pad: false,
    };
    node(&mut g, "q", Op::Quantize, &[f], q);
    node(&mut g, "p", Op::MaxPool(pool), &[q], p);
    node(&mut g, "d", Op::Dequantize, &[p], d);
    node(&mut g, "c", Op::Clip { low: 0.0, high: 6.0 }, &[d], c);
    node(&mut g, "i", Op::Identity, &[c], i);
    (g.inputs, g.outputs) = (vec![f], vec![i]);
    g
}

fn tensor<'g>(graph: &'g mut Graph, name: &str) -> &'g mut Tensor {
    graph.tensors.iter_mut().find(|tensor| tensor.name == name).expect("a tensor of that name")
}

fn quant<'g>(graph: &'g mut Graph, name: &str) -> &'g mut Quant {
    tensor(graph, name).quant.as_mut().expect("a quantised tensor")
}

fn operator<'g>(graph: &'g mut Graph, name: &str) -> &'g mut Node {
    graph.nodes.iter_mut().find(|node| node.name == name).expect("a node of that name")
}

type Breakage = (V, &'static str, fn(&mut Graph));

/// Each breakage gives errors of its invariant alone, one of which says the words.
fn check(sound: fn() -> Graph, breakages: &[Breakage]) {
    assert_eq!(verify(&sound()), Ok(()));
    let mut failures = vec![];
    for (invariant, words, break_it) in breakages {
        let mut graph = sound();
        break_it(&mut graph);
        let errors = verify(&graph).err().unwrap_or_default();
        let said = errors.iter().any(|error| error.to_string().contains(words));
        if !said || errors.iter().any(|error| error.invariant != *invariant) {
            failures.push(format!("{invariant} {words:?}: {errors:#?}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn structure() {
    check(
        quantised,
        &[
            (V::Ids, "node `sum`: tensor #99 does not exist", |g| operator(g, "sum").inputs[1] = TensorId(99)),
            (V::Ids, "input or output #99", |g| g.outputs.push(TensorId(99))),
            (V::Ids, "node `fc`: it has 2 outputs", |g| {
                let spare = tensor(g, "fc").clone();
                let spare = g.add_tensor(Tensor { name: "spare".into(), ..spare });
                operator(g, "fc").outputs.push(spare);
            }),
            (V::Names, "node `norm`: another node has the same name", |g| operator(g, "conv").name = "norm".into()),
            (V::Names, "node `#2`: it has no name", |g| operator(g, "sum").name.clear()),
            (V::Names, "node `sum`, tensor `norm`: another tensor", |g| tensor(g, "sum").name = "norm".into()),
            (V::Names, "tensor `#0`: it has no name", |g| tensor(g, "input").name.clear()),
            (V::Producers, "node `sum`: it writes tensor `norm`, which another node writes", |g| {
                let norm = operator(g, "norm").outputs.clone();
                tensor(g, "norm").dtype = DType::U8;
                let norm_id = norm[0];
                operator(g, "flat").inputs = norm;
                operator(g, "sum").inputs[1] = operator(g, "conv").outputs[0];
                operator(g, "sum").outputs = vec![norm_id];
            }),
            (V::Producers, "which is a constant", |g| tensor(g, "sum").data = Some(Data::Unknown)),
            (V::Producers, "which is a graph input", |g| g.inputs.push(g.nodes[2].outputs[0])),
            (V::Producers, "is a graph input and a constant", |g| tensor(g, "input").data = Some(Data::Unknown)),
            (V::Producers, "listed twice", |g| g.inputs.push(g.inputs[0])),
            (V::Sources, "node `conv`, tensor `input`: it is read but has no source", |g| g.inputs.clear()),
            (V::Sources, "it has no output", |g| g.outputs.clear()),
            (V::Order, "lies on a cycle", |g| operator(g, "norm").inputs[0] = g.nodes[1].outputs[0]),
            (V::Order, "lies on a cycle", |g| operator(g, "norm").inputs[0] = g.nodes[2].outputs[0]),
        ],
    );
}

#[test]
fn shapes_and_data() {
    check(
        quantised,
        &[
            (V::Shapes, "node `norm`: BatchNormalization makes shape [1, 3, 4, 4], but its output `norm` has", |g| {
                tensor(g, "norm").shape = vec![1, 3, 4, 5];
            }),
            (V::Shapes, "node `conv`: Conv the bias must have shape [3] but has [4]", |g| {
                tensor(g, "bias").shape = vec![4];
                tensor(g, "bias").data = Some(Data::Unknown);
                *quant(g, "bias") = Quant::per_tensor(0.125, 0);
                *quant(g, "weight") = Quant::per_tensor(0.25, 0);
            }),
            (V::Shapes, "2 groups do not divide 3 output channels", |g| {
                let Op::Conv(conv) = &mut operator(g, "conv").op else { unreachable!("it is a convolution") };
                conv.groups = 2;
            }),
            (V::Shapes, "node `flat`", |g| tensor(g, "flat").shape = vec![1, 47]),
            (V::Shapes, "dimension of zero", |g| tensor(g, "fc").shape = vec![0, 5]),
            (V::Shapes, "at most 2^40 elements", |g| tensor(g, "fc").shape = vec![usize::MAX, 5]),
            (V::Shapes, "takes 2 inputs", |g| operator(g, "sum").inputs.truncate(1)),
            (V::Data, "node `conv`, tensor `weight`: it stores 53 bytes, its shape and type need 54", |g| {
                tensor(g, "weight").data = Some(Data::Stored(Bytes::from(vec![0; 53])));
            }),
            (V::Data, "is seeded, its type i8", |g| {
                let distribution = Distribution::Normal { std: 1.0 };
                tensor(g, "weight").data = Some(Data::Seeded { distribution });
            }),
        ],
    );
    check(
        || zoo::build("lenet-5").expect("builds"),
        &[(V::Data, "nothing can be drawn", |g| {
            let distribution = Distribution::Uniform { low: 1.0, high: 0.0 };
            tensor(g, "conv1_weight").data = Some(Data::Seeded { distribution });
        })],
    );
}

#[test]
fn quantisation() {
    check(
        quantised,
        &[
            (V::QuantForm, "its scale is 0 (channel 0)", |g| quant(g, "norm").scale[0] = 0.0),
            (V::QuantForm, "its scale is NaN", |g| quant(g, "norm").scale[0] = f32::NAN),
            (V::QuantForm, "its scale is inf", |g| quant(g, "norm").scale[0] = f32::INFINITY),
            (V::QuantForm, "its scale is -1", |g| quant(g, "norm").scale[0] = -1.0),
            (V::QuantForm, "its zero point 256 is outside 0..=255", |g| {
                quant(g, "input").zero_point[0] = 256;
            }),
            (V::QuantForm, "its zero point -129 is outside -128..=127", |g| quant(g, "conv").zero_point[0] = -129),
            (V::QuantForm, "its zero point 1 is outside 0..=0, the range of i32", |g| {
                quant(g, "bias").zero_point[2] = 1
            }),
            (V::QuantForm, "3 scales and 2 zero points", |g| quant(g, "weight").zero_point.truncate(2)),
            (V::QuantForm, "0 scales and 0 zero points", |g| {
                *quant(g, "norm") = Quant { scale: vec![], zero_point: vec![], axis: None };
            }),
            (V::QuantForm, "is quantised, but of type f32", |g| tensor(g, "a").quant = Some(Quant::per_tensor(1.0, 0))),
            (V::QuantForm, "node `fc`, tensor `fc_weight`: it has 4 scales for 5 channels", |g| {
                *quant(g, "fc_weight") = Quant { scale: vec![1.0; 4], zero_point: vec![0; 4], axis: Some(0) };
            }),
            (V::QuantForm, "its axis lies beyond its rank", |g| quant(g, "norm").axis = Some(4)),
            (V::QuantAgreement, "tensor `norm`: it has no quantisation", |g| tensor(g, "norm").quant = None),
            (V::QuantAgreement, "its input `sum` and its output `flat` differ", |g| quant(g, "flat").zero_point[0] = 1),
            (V::QuantAgreement, "the bias of channel 1 has scale 0.251", |g| quant(g, "bias").scale[1] = 0.251),
            (V::QuantAgreement, "tensor `norm` has several scales", |g| {
                *quant(g, "norm") = Quant { scale: vec![1.0; 3], zero_point: vec![0; 3], axis: Some(1) };
            }),
        ],
    );
    check(
        imported,
        &[
            (V::QuantAgreement, "node `q`, tensor `q`: it has no quantisation", |g| {
                tensor(g, "q").quant = None;
            }),
            (V::QuantAgreement, "its input `q` and its output `p` differ", |g| quant(g, "p").scale[0] = 0.25),
        ],
    );
}

#[test]
fn forms_types_constants_attributes() {
    check(
        quantised,
        &[
            (V::Forms, "node `flat`: Relu does not exist in the quantised form", |g| {
                operator(g, "flat").op = Op::Relu;
                operator(g, "flat").inputs[0] = g.nodes[4].inputs[0];
                let spare = tensor(g, "flat").clone();
                operator(g, "flat").inputs[0] = g.add_tensor(Tensor { name: "spare".into(), ..spare });
                g.inputs.push(TensorId(g.tensors.len() as u32 - 1));
            }),
            (V::Forms, "its clamp 5..=4", |g| operator(g, "conv").clamp = Some((5, 4))),
            (V::Forms, "its clamp 0..=255 is not a part of -128..=127", |g| operator(g, "conv").clamp = Some((0, 255))),
            (V::Forms, "a view has a clamp", |g| operator(g, "flat").clamp = Some((0, 5))),
            (V::Types, "tensor `a` is i32, BatchNormalization takes or makes f32", |g| {
                tensor(g, "a").dtype = DType::I32;
                tensor(g, "a").quant = Some(Quant::per_tensor(1.0, 0));
            }),
            (V::Types, "tensor `bias` is u8, Conv takes or makes i32", |g| {
                tensor(g, "bias").dtype = DType::U8;
                tensor(g, "bias").data = Some(Data::Unknown);
            }),
            (V::Types, "tensor `fc` is f32, FullyConnected takes or makes i8 or u8", |g| {
                tensor(g, "fc").dtype = DType::F32;
                tensor(g, "fc").quant = None;
            }),
            (V::Forms, "a sum has a clamp", |g| {
                tensor(g, "fc").dtype = DType::I32;
                quant(g, "fc").zero_point[0] = 0;
                operator(g, "fc").clamp = Some((0, 5));
            }),
            (V::Types, "tensor `conv` is i32, BatchNormalization takes or makes i8 or u8", |g| {
                tensor(g, "conv").dtype = DType::I32;
                quant(g, "conv").zero_point[0] = 0;
                operator(g, "conv").clamp = None;
            }),
            (V::Types, "node `flat`: its input is u8, its output i8", |g| tensor(g, "flat").dtype = DType::I8),
            (V::Constants, "node `norm`: `a` is computed at run time", |g| {
                tensor(g, "a").data = None;
                let a = g.nodes[1].inputs[1];
                g.inputs.push(a);
            }),
            (V::Attributes, "its epsilon is 0.5", |g| operator(g, "norm").op = Op::BatchNorm { epsilon: 0.5 }),
            (V::Attributes, "its epsilon is NaN", |g| operator(g, "norm").op = Op::BatchNorm { epsilon: f32::NAN }),
        ],
    );
    check(
        imported,
        &[
            (V::Forms, "node `i`: Rescale does not exist in the imported form", |g| operator(g, "i").op = Op::Rescale),
            (V::Forms, "it has a clamp", |g| operator(g, "c").clamp = Some((0, 6))),
            (V::Types, "tensor `f` is u8, QuantizeLinear takes or makes f32", |g| tensor(g, "f").dtype = DType::U8),
            (V::Attributes, "its bounds are 1 and 0", |g| operator(g, "c").op = Op::Clip { low: 1.0, high: 0.0 }),
            (V::Attributes, "its bounds are NaN", |g| operator(g, "c").op = Op::Clip { low: f32::NAN, high: 0.0 }),
        ],
    );
}

/// u32 a + u32 b; i16 around −5, dequantised; i8 in rows of their own scales, which a view begins and another ends.
fn integers() -> Graph {
    let mut g = Graph::new("integers", Form::Imported);
    let mut plain = |name: &str, shape: &[usize], dtype: DType| {
        g.add_tensor(Tensor { name: name.into(), shape: shape.into(), dtype, quant: None, data: None })
    };
    let [a, b, c] = ["a", "b", "c"].map(|name| plain(name, &[1, 2], DType::U32));
    let [w, whole, f, flat] = [
        plain("w", &[1, 2], DType::F32),
        plain("whole", &[4], DType::I8),
        plain("f", &[2, 2], DType::F32),
        plain("flat", &[4], DType::I8),
    ];
    let wide = add(&mut g, "wide", &[1, 2], DType::I16, Quant::per_tensor(0.5, -5), None);
    let quant = Quant { scale: vec![0.5, 0.25], zero_point: vec![1, 2], axis: Some(0) };
    let rows = add(&mut g, "rows", &[2, 2], DType::I8, quant, None);
    node(&mut g, "c", Op::Add, &[a, b], c);
    node(&mut g, "w", Op::Dequantize, &[wide], w);
    node(&mut g, "rows", Op::Reshape, &[whole], rows);
    node(&mut g, "f", Op::Dequantize, &[rows], f);
    node(&mut g, "flat", Op::Reshape, &[rows], flat);
    (g.inputs, g.outputs) = (vec![a, b, wide, whole], vec![c, w, f, flat]);
    g
}

#[test]
fn integers_of_the_imported_form() {
    assert_eq!(verify(&integers()), Ok(()));
    check(
        integers,
        &[
            (V::Types, "its input is u16, its output u32", |g| tensor(g, "b").dtype = DType::U16),
            (V::Types, "tensor `a` is bool, Add takes or makes f32", |g| {
                ["a", "b", "c"].iter().for_each(|name| tensor(g, name).dtype = DType::Bool);
                operator(g, "c").inputs.truncate(1);
                let a = operator(g, "c").inputs[0];
                operator(g, "c").inputs.push(a);
            }),
            (V::QuantForm, "it is quantised, but of type u32", |g| {
                tensor(g, "a").quant = Some(Quant::per_tensor(1.0, 0))
            }),
            (V::QuantForm, "its zero point -40000 is outside -32768..=32767", |g| {
                quant(g, "wide").zero_point[0] = -40_000;
            }),
            (V::QuantAgreement, "its input `rows` and its output `flat` differ", |g| {
                tensor(g, "flat").quant = Some(Quant::per_tensor(0.5, 1));
            }),
        ],
    );
}

#[test]
fn all_problems_are_reported_at_once() {
    let mut graph = quantised();
    quant(&mut graph, "norm").scale[0] = 0.0;
    tensor(&mut graph, "sum").shape = vec![1, 3, 4, 5];
    operator(&mut graph, "conv").clamp = Some((5, 4));
    operator(&mut graph, "fc").name = "norm".into();
    let errors = verify(&graph).expect_err("four things are wrong");
    let invariants: Vec<V> = errors.iter().map(|error| error.invariant).collect();
    // The wrong sum is wrong for the node that makes it and for the one that reads it.
    assert_eq!(invariants, [V::Names, V::Shapes, V::Shapes, V::QuantForm, V::Forms], "{errors:#?}");
}

/// Hostile graphs: any id anywhere, any shape; errors, but no panic and no hang.
#[test]
fn any_wiring_is_survived() {
    let mut state = 1u64;
    let mut draw = move |n: usize| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % n
    };
    let (mut sound, mut broken, mut cyclic) = (0, 0, 0);
    for _ in 0..3000 {
        let mut graph = if draw(2) == 0 { quantised() } else { imported() };
        for _ in 0..draw(4) {
            let (node, id) = (draw(graph.nodes.len()), TensorId(draw(graph.tensors.len() + 1) as u32));
            let lists = [0, 1].map(|_| draw(3));
            let node = &mut graph.nodes[node];
            let list = if lists[0] == 0 { &mut node.outputs } else { &mut node.inputs };
            match (lists[1], list.first_mut()) {
                (0, _) => list.push(id),
                (1, _) => list.clear(),
                (_, Some(first)) => *first = id,
                _ => {}
            }
            let index = draw(graph.tensors.len());
            if draw(4) == 0 {
                graph.tensors[index].shape = (0..draw(6)).map(|_| 1usize << draw(64)).collect();
            }
        }
        match verify(&graph) {
            Ok(()) => sound += 1,
            Err(errors) => {
                broken += 1;
                cyclic += usize::from(errors.iter().any(|error| error.invariant == V::Order));
            }
        }
        let batch = 1 << draw(64);
        let _ = (crate::text::to_text(&graph), crate::batch::with_batch(&graph, batch));
    }
    assert!(sound > 300 && broken > 1000 && cyclic > 50, "{sound} sound, {broken} broken, {cyclic} cyclic");
}
