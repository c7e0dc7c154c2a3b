//! Padding that convolutions and poolings take over, and padding that stays.

#![allow(missing_docs, reason = "tests")]

use systole_compiler::passes::prepare_float;
use systole_network::graph::{Form, Graph, Node};
use systole_network::op::{Conv, Fill, Op, Pool};
use systole_network::shape::infer;
use systole_network::tensor::{DType, Data, Distribution, Tensor, TensorId};

fn tensor(graph: &mut Graph, name: &str, shape: &[usize], constant: bool) -> TensorId {
    let data = constant.then_some(Data::Seeded { distribution: Distribution::Normal { std: 1.0 } });
    graph.add_tensor(Tensor { name: name.into(), shape: shape.to_vec(), dtype: DType::F32, quant: None, data })
}

fn node(graph: &mut Graph, name: &str, op: Op, inputs: Vec<TensorId>) -> TensorId {
    let shapes: Vec<&[usize]> = inputs.iter().map(|&id| graph.tensor(id).shape.as_slice()).collect();
    let shape = infer(&op, &shapes).expect("it fits").swap_remove(0);
    let output = tensor(graph, &format!("{name}_out"), &shape, false);
    graph.add_node(Node {
        name: name.into(),
        op,
        inputs,
        outputs: vec![output],
        clamp: None,
        origins: vec![name.into()],
    });
    output
}

/// One padding, read by each of these.
fn prepared(pads: [usize; 4], channels: usize, fill: Fill, readers: &[Op]) -> Graph {
    let mut graph = Graph::new("padded", Form::Imported);
    let x = tensor(&mut graph, "x", &[1, 2, 5, 6], false);
    graph.inputs.push(x);
    let [top, left, bottom, right] = pads;
    let op = Op::Pad { before: vec![0, channels, top, left], after: vec![0, 0, bottom, right], fill };
    let padded = node(&mut graph, "pad", op, vec![x]);
    for (index, op) in readers.iter().enumerate() {
        let mut inputs = vec![padded];
        if matches!(op, Op::Conv(_)) {
            inputs.push(tensor(&mut graph, &format!("w{index}"), &[3, 2 + channels, 3, 3], true));
        }
        let output = node(&mut graph, &format!("reader{index}"), op.clone(), inputs);
        graph.outputs.push(output);
    }
    prepare_float(&graph, true, 0).expect("nothing is refused")
}

fn conv(pads: [usize; 4]) -> Op {
    Op::Conv(Conv { kernel: [3, 3], stride: [1, 2], dilation: [1, 1], pads, groups: 1 })
}

fn pool(kernel: usize, pads: [usize; 4], count_include_pad: bool) -> Pool {
    Pool { kernel: [kernel; 2], stride: [1, 1], dilation: [1, 1], pads, ceil_mode: false, count_include_pad }
}

fn ops(graph: &Graph) -> Vec<&Op> {
    graph.nodes.iter().map(|node| &node.op).collect()
}

#[test]
fn zeros_go_into_convolutions_and_averages() {
    let zero = Fill::Constant(0.0);
    let graph = prepared([1, 2, 3, 0], 0, zero, &[conv([1, 0, 0, 1]), Op::AveragePool(pool(4, [0; 4], false))]);
    assert_eq!(ops(&graph), [&conv([2, 2, 3, 1]), &Op::AveragePool(pool(4, [1, 2, 3, 0], true))]);
    assert_eq!(graph.nodes[0].origins, ["pad", "reader0"]);
    let graph = prepared([1; 4], 0, zero, &[Op::AveragePool(pool(3, [1; 4], true))]);
    assert_eq!(ops(&graph), [&Op::AveragePool(pool(3, [2; 4], true))]);
}

#[test]
fn what_is_below_everything_goes_into_maxima() {
    for lowest in [f32::NEG_INFINITY, f32::MIN] {
        let graph = prepared([1, 0, 1, 0], 0, Fill::Constant(lowest), &[Op::MaxPool(pool(3, [0, 1, 0, 1], false))]);
        assert_eq!(ops(&graph), [&Op::MaxPool(pool(3, [1; 4], false))]);
    }
}

#[test]
fn other_padding_stays() {
    let (zero, average) = (Fill::Constant(0.0), |pads, counted| Op::AveragePool(pool(3, pads, counted)));
    let stays: [(Fill, usize, Vec<Op>); 8] = [
        (Fill::Constant(1.0), 0, vec![conv([0; 4])]),
        (Fill::Edge, 0, vec![conv([0; 4])]),
        (zero, 1, vec![conv([0; 4])]),
        // One reader that needs the tensor is enough.
        (zero, 0, vec![conv([0; 4]), Op::Relu]),
        (zero, 0, vec![Op::MaxPool(pool(3, [0; 4], false))]),
        (Fill::Constant(f32::NEG_INFINITY), 0, vec![conv([0; 4])]),
        // Its own padding does not count, the other would.
        (zero, 0, vec![average([1; 4], false)]),
        // As much padding as window: not a pooling any more.
        (zero, 0, vec![average([2; 4], true)]),
    ];
    for (fill, channels, readers) in stays {
        let graph = prepared([1, 1, 1, 1], channels, fill, &readers);
        assert_eq!(graph.nodes.len(), 1 + readers.len(), "{fill:?} {readers:?}");
        assert!(matches!(graph.nodes[0].op, Op::Pad { .. }));
    }
}
