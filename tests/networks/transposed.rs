//! Upsampling by transposed convolutions: exact, with the multiply-accumulates of the node, and cheaper than a convolution over inserted zeros; and
//! convolutions of large dilation.

use systole::network::count;
use systole::network::graph::{Form, Graph, Node, NodeId};
use systole::network::op::{Conv, ConvTranspose, Op};
use systole::network::shape::infer;
use systole::network::tensor::{DType, Data, Distribution, Tensor};
use systole::pipeline::{Engine, Imported};

use crate::chain::{EDGE, Network, machine};

const MACHINES: [&str; 2] = [EDGE, "output-stationary-32x32"];

/// One layer over an image of `[channels, size, size]`.
fn one_layer(op: Op, channels: usize, size: usize, weights: [usize; 4]) -> Imported {
    let mut graph = Graph::new("one-layer", Form::Imported);
    let mut tensor = |name: &str, shape: &[usize], std: Option<f32>| {
        let data = std.map(|std| Data::Seeded { distribution: Distribution::Normal { std } });
        graph.add_tensor(Tensor { name: name.into(), shape: shape.to_vec(), dtype: DType::F32, quant: None, data })
    };
    let shape = [1, channels, size, size];
    let made = infer(&op, &[&shape, &weights]).expect("it fits");
    let (input, output) = (tensor("x", &shape, None), tensor("y", &made[0], None));
    let inputs = vec![input, tensor("w", &weights, Some(0.1))];
    (graph.inputs, graph.outputs) = (vec![input], vec![output]);
    let origins = vec!["layer".to_owned()];
    graph.add_node(Node { name: "layer".into(), op, inputs, outputs: vec![output], clamp: None, origins });
    Imported::of(graph).expect("a sound graph")
}

fn upsampling(kernel: usize, stride: usize, pad: usize, groups: usize) -> ConvTranspose {
    ConvTranspose {
        kernel: [kernel; 2],
        stride: [stride; 2],
        dilation: [1; 2],
        pads: [pad; 4],
        output_padding: [0; 2],
        groups,
    }
}

/// Cycles on a machine, after golden and the fast engine agreed and the layers' work added up to the node's.
fn exact_cycles(imported: &Imported, preset: &str) -> u64 {
    let network = Network::quantised_for(imported.clone(), &machine(preset));
    let mapped = network.on(preset);
    let (timing, memories) = mapped.run(Engine::Fast);
    mapped.assert_exact(&memories);
    let layers = &mapped.compiled.program.layers;
    assert!(layers.iter().all(|layer| layer.nodes == ["layer"]), "{layers:?}");
    let macs: u64 = layers.iter().map(|layer| layer.macs).sum();
    assert_eq!(macs, count::node_macs(&imported.graph, NodeId(0)));
    timing.total_cycles
}

#[test]
fn fcn_upsamples_exactly() {
    for preset in MACHINES {
        for (kernel, stride, size) in [(64, 32, 6), (16, 8, 8), (4, 2, 12)] {
            let op = Op::ConvTranspose(upsampling(kernel, stride, 0, 1));
            exact_cycles(&one_layer(op, 21, size, [21, 21, kernel, kernel]), preset);
        }
        // A class by itself, cut to the multiple of the size.
        let op = Op::ConvTranspose(upsampling(8, 4, 2, 21));
        exact_cycles(&one_layer(op, 21, 9, [21, 1, 8, 8]), preset);
    }
}

#[test]
fn inserted_zeros_would_cost_more() {
    for preset in MACHINES {
        for (kernel, stride, size) in [(16, 8, 5), (4, 2, 12)] {
            let op = Op::ConvTranspose(upsampling(kernel, stride, 0, 1));
            let phases = exact_cycles(&one_layer(op, 21, size, [21, 21, kernel, kernel]), preset);
            let conv = Conv { kernel: [kernel; 2], stride: [1; 2], dilation: [1; 2], pads: [kernel - 1; 4], groups: 1 };
            let spread = one_layer(Op::Conv(conv), 21, (size - 1) * stride + 1, [21, 21, kernel, kernel]);
            let zeros = exact_cycles(&spread, preset);
            println!("{preset}, {kernel}x{kernel} by {stride}: {phases} cycles, {zeros} over inserted zeros");
            assert!(phases < zeros, "{preset}, {kernel}x{kernel} by {stride}: {phases} and {zeros}");
        }
    }
}

#[test]
fn dilated_convolutions_are_exact_up_to_sixteen() {
    for preset in MACHINES {
        for dilation in [1, 2, 4, 8, 16] {
            let (kernel, stride) = ([3; 2], [1; 2]);
            let conv = Conv { kernel, stride, dilation: [dilation; 2], pads: [dilation; 4], groups: 1 };
            let cycles = exact_cycles(&one_layer(Op::Conv(conv), 21, 64, [21, 21, 3, 3]), preset);
            println!("{preset}, dilation {dilation}: {cycles} cycles");
        }
    }
}
