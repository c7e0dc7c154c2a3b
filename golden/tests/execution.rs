//! Graphs of several nodes: what is kept, what is refused, constants of every kind, ranges.

#![allow(missing_docs, reason = "tests")]
#[allow(dead_code, reason = "each test file uses its own part of the helpers")]
mod common;

use std::collections::BTreeMap;

use bytes::Bytes;
use common::*;
use systole_golden::{GoldenError, Keep, Options, Value, ranges, run, run_node};
use systole_network::graph::{Form, Graph, Node, NodeId};
use systole_network::op::Op;
use systole_network::seed;
use systole_network::tensor::{DType, Data, Distribution, TensorId};

const ALL: Options = Options { seed: 0, keep: Keep::All };

fn node(graph: &mut Graph, op: Op, inputs: &[TensorId], output: TensorId) -> NodeId {
    let name = format!("node{}", graph.nodes.len());
    graph.add_node(Node { name, op, inputs: inputs.to_vec(), outputs: vec![output], clamp: None, origins: vec![] })
}

/// A float graph `x [1, 2] → · w → relu → + own product`, w an i8 constant behind a Dequantize; nodes are added in reverse.
fn float_graph() -> (Graph, [TensorId; 6]) {
    let mut graph = Graph::new("float", Form::Imported);
    let x = graph.add_tensor(f32_tensor("x", &[1, 2]));
    let q = graph.add_tensor(constant(int_tensor("q", &[2, 2], DType::I8, 0.5, 0), Value::I8(vec![2, 0, 0, -4])).0);
    let w = graph.add_tensor(f32_tensor("w", &[2, 2]));
    let product = graph.add_tensor(f32_tensor("product", &[1, 2]));
    let relu = graph.add_tensor(f32_tensor("relu", &[1, 2]));
    let y = graph.add_tensor(f32_tensor("y", &[1, 2]));
    node(&mut graph, Op::Add, &[relu, product], y);
    node(&mut graph, Op::Relu, &[product], relu);
    node(&mut graph, Op::FullyConnected, &[x, w], product);
    node(&mut graph, Op::Dequantize, &[q], w);
    graph.inputs.push(x);
    graph.outputs.push(y);
    (graph, [x, q, w, product, relu, y])
}

fn f32(values: &[f32]) -> Value {
    Value::F32(values.to_vec())
}

#[test]
fn keeps_the_outputs_or_everything() {
    let (graph, [x, _, w, product, relu, y]) = float_graph();
    let inputs = BTreeMap::from([(x, f32(&[3.0, 5.0]))]);
    let outputs = run(&graph, &inputs, Options::default()).unwrap();
    assert_eq!(outputs.tensors, BTreeMap::from([(y, f32(&[6.0, -10.0]))]));
    let all = run(&graph, &inputs, ALL).unwrap();
    let expected = [
        (w, f32(&[1.0, 0.0, 0.0, -2.0])),
        (product, f32(&[3.0, -10.0])),
        (relu, f32(&[3.0, 0.0])),
        (y, f32(&[6.0, -10.0])),
    ];
    assert_eq!(all.tensors, BTreeMap::from(expected));
}

#[test]
fn outputs_that_no_node_computes() {
    let (mut graph, [x, q, ..]) = float_graph();
    graph.outputs = vec![x, q];
    let inputs = BTreeMap::from([(x, f32(&[3.0, 5.0]))]);
    let run = run(&graph, &inputs, Options::default()).unwrap();
    assert_eq!(run.tensors, BTreeMap::from([(x, f32(&[3.0, 5.0])), (q, Value::I8(vec![2, 0, 0, -4]))]));
}

#[test]
fn one_node_on_given_inputs() {
    let (graph, [x, _, w, product, relu, _]) = float_graph();
    let inputs = BTreeMap::from([(relu, f32(&[1.0, 2.0])), (product, f32(&[10.0, 20.0]))]);
    assert_eq!(run_node(&graph, NodeId(0), &inputs, 0).unwrap(), vec![f32(&[11.0, 22.0])]);
    let inputs = BTreeMap::from([(x, f32(&[1.0, 2.0]))]);
    let missing = GoldenError::MissingInput { tensor: graph.tensor(w).name.clone() };
    assert_eq!(run_node(&graph, NodeId(2), &inputs, 0), Err(missing));
    assert_eq!(run_node(&graph, NodeId(3), &BTreeMap::new(), 0).unwrap(), vec![f32(&[1.0, 0.0, 0.0, -2.0])]);
    assert!(matches!(run_node(&graph, NodeId(4), &inputs, 0), Err(GoldenError::BadGraph { .. })));
}

#[test]
fn ranges_over_images() {
    let (graph, [x, q, _, product, relu, y]) = float_graph();
    let image = |a, b| BTreeMap::from([(x, f32(&[a, b]))]);
    let ranges = ranges(&graph, &[image(3.0, 5.0), image(-1.0, -7.0), image(f32::NAN, 0.0)], 0).unwrap();
    assert_eq!(ranges[&x], (-7.0, 5.0));
    assert_eq!(ranges[&product], (-10.0, 14.0));
    assert_eq!(ranges[&relu], (0.0, 14.0));
    assert_eq!(ranges[&y], (-10.0, 28.0));
    assert!(!ranges.contains_key(&q));
}

#[test]
fn refuses_inputs_that_are_missing_or_do_not_fit() {
    let (graph, [x, ..]) = float_graph();
    let error = run(&graph, &BTreeMap::new(), ALL).unwrap_err();
    assert_eq!(error.to_string(), "no value for tensor `x`");
    let error = run(&graph, &BTreeMap::from([(x, Value::U8(vec![1, 2, 3]))]), ALL).unwrap_err();
    assert_eq!(error.to_string(), "tensor `x` holds 2 x f32, the value given 3 x u8");
}

#[test]
fn refuses_graphs_that_contradict_themselves() {
    let inputs = |x| BTreeMap::from([(x, f32(&[3.0, 5.0]))]);
    let refused = |change: &dyn Fn(&mut Graph, [TensorId; 6])| {
        let (mut graph, ids) = float_graph();
        change(&mut graph, ids);
        let error = run(&graph, &inputs(ids[0]), ALL).unwrap_err();
        assert!(matches!(error, GoldenError::BadGraph { .. }), "{error}");
    };
    refused(&|graph, [.., y]| graph.nodes[2].inputs[0] = y);
    refused(&|graph, _| graph.nodes[2].inputs[0] = TensorId(77));
    refused(&|graph, _| graph.outputs[0] = TensorId(77));
    refused(&|graph, _| drop(graph.nodes.remove(3)));
    refused(&|graph, [x, ..]| graph.tensors[x.0 as usize].shape = vec![usize::MAX, 2]);
    refused(&|graph, [x, ..]| graph.tensors[x.0 as usize].shape = vec![0, 2]);
    let (mut graph, [x, ..]) = float_graph();
    graph.nodes[0].outputs.clear();
    assert!(matches!(run(&graph, &inputs(x), ALL), Err(GoldenError::Malformed { .. })));
}

#[test]
fn constants_are_stored_seeded_or_unknown() {
    let mut graph = Graph::new("constants", Form::Imported);
    let x = graph.add_tensor(f32_tensor("x", &[1, 3]));
    let mut b = f32_tensor("b", &[3]);
    let distribution = Distribution::Uniform { low: 1.0, high: 2.0 };
    b.data = Some(Data::Seeded { distribution });
    let b_id = graph.add_tensor(b.clone());
    let y = graph.add_tensor(f32_tensor("y", &[1, 3]));
    node(&mut graph, Op::Add, &[x, b_id], y);
    (graph.inputs, graph.outputs) = (vec![x], vec![y]);
    let inputs = BTreeMap::from([(x, f32(&[0.0; 3]))]);
    for seed in [0, 9] {
        let run = run(&graph, &inputs, Options { seed, ..ALL }).unwrap();
        assert_eq!(run.tensors[&y], Value::F32(seed::values(&b, distribution, seed)));
    }
    graph.tensors[b_id.0 as usize].data = Some(Data::Unknown);
    assert_eq!(run(&graph, &inputs, ALL), Err(GoldenError::UnknownConstant { tensor: "b".into() }));
    graph.tensors[b_id.0 as usize].data = Some(Data::Stored(Bytes::from_static(&[0; 11])));
    assert!(matches!(run(&graph, &inputs, ALL), Err(GoldenError::BadConstant { .. })));
}

#[test]
fn bytes_and_values_are_the_same() {
    let values = [
        f32(&[1.5, -0.0]),
        Value::I8(vec![-1, 2]),
        Value::U8(vec![255, 2]),
        Value::I32(vec![i32::MIN, 7]),
        Value::I64(vec![-1, i64::MAX]),
    ];
    for value in values {
        let bytes = value.to_le_bytes();
        assert_eq!(bytes.len(), value.len() * value.dtype().bytes());
        assert_eq!(Value::from_le_bytes(value.dtype(), &bytes), value);
    }
}
