//! What is measured, named once: two networks, a machine, and a layer that is little but a matrix product.

use std::collections::BTreeMap;

use systole::compiler::compile::{Compiled, Constants, Header, compile};
use systole::compiler::passes::{Boundary, Quantised, Values, legalise};
use systole::golden::Value;
use systole::machine::program::{ModelEntry, Role};
use systole::machine::spec::Machine;
use systole::network::graph::{Form, Graph, Node};
use systole::network::op::{Conv, Op};
use systole::network::policy::NumericPolicy;
use systole::network::tensor::{DType, Data, Quant, Tensor, TensorId};
use systole::network::zoo;
use systole::{export, source, tensors};

/// The network of the acceptance figures.
pub(crate) const NETWORK: &str = "resnet-50";

/// The machine of the acceptance figures.
const MACHINE: &str = "edge-16x16";

/// The layer: channels in and out, and rows and columns of its images; a 3×3 of the third stage of a ResNet.
const CHANNELS: usize = 256;
const SIDE: usize = 14;

/// Multiply-accumulates of [`Layer`].
pub(crate) const LAYER_MACS: u64 = (SIDE * SIDE * 9 * CHANNELS * CHANNELS) as u64;

pub(crate) fn machine() -> Machine {
    source::machine(MACHINE).expect("a preset").machine
}

pub(crate) fn network() -> Graph {
    zoo::build(NETWORK).expect("in the zoo")
}

/// The network as an ONNX file, weights included.
pub(crate) fn onnx() -> Vec<u8> {
    export::onnx(&network(), 0).expect("a float network")
}

/// Structure alone, as `systole estimate` has it.
pub(crate) fn quantised(graph: &Graph) -> Quantised {
    legalise(graph, &NumericPolicy::default(), &Values::Structure).expect("legal")
}

pub(crate) fn compiled(quantised: &Quantised, machine: &Machine, constants: Constants) -> Compiled {
    let header = Header { machine_yaml: String::new(), model: ModelEntry::default() };
    compile(quantised, machine, header, constants).expect("it fits")
}

/// A convolution with everything that golden and the fast engine need.
pub(crate) struct Layer {
    pub(crate) graph: Graph,
    pub(crate) compiled: Compiled,
    /// For golden.
    pub(crate) input: BTreeMap<TensorId, Value>,
    /// For the engine: the input's place and bytes, constants apart.
    pub(crate) pieces: Vec<(u64, Vec<u8>)>,
}

pub(crate) fn layer(machine: &Machine) -> Layer {
    let graph = layer_graph();
    let boundary = |&tensor: &TensorId| Boundary { float_name: graph.tensor(tensor).name.clone(), tensor };
    let quantised = Quantised {
        inputs: graph.inputs.iter().map(boundary).collect(),
        outputs: graph.outputs.iter().map(boundary).collect(),
        graph: graph.clone(),
    };
    let compiled = compiled(&quantised, machine, Constants::Real);
    let bytes = pattern(CHANNELS * SIDE * SIDE);
    let entry = compiled.program.tensors.iter().find(|entry| entry.role == Role::Input).expect("there is an input");
    let pieces = tensors::scatter(entry, &bytes);
    let input = BTreeMap::from([(graph.inputs[0], Value::U8(bytes))]);
    Layer { graph, compiled, input, pieces }
}

fn layer_graph() -> Graph {
    let mut graph = Graph::new("layer", Form::Quantised);
    let quant = |scale, zero_point| Some(Quant::per_tensor(scale, zero_point));
    let activation = |name: &str, scale| Tensor {
        name: name.into(),
        shape: vec![1, CHANNELS, SIDE, SIDE],
        dtype: DType::U8,
        quant: quant(scale, 128),
        data: None,
    };
    let input = graph.add_tensor(activation("input", 0.02));
    let output = graph.add_tensor(activation("output", 0.5));
    let weights = graph.add_tensor(Tensor {
        name: "weights".into(),
        shape: vec![CHANNELS, CHANNELS, 3, 3],
        dtype: DType::I8,
        quant: quant(0.01, 0),
        data: Some(Data::Stored(pattern(CHANNELS * CHANNELS * 9).into())),
    });
    let conv = Conv { kernel: [3, 3], stride: [1, 1], dilation: [1, 1], pads: [1; 4], groups: 1 };
    graph.add_node(Node {
        name: "layer".into(),
        op: Op::Conv(conv),
        inputs: vec![input, weights],
        outputs: vec![output],
        clamp: None,
        origins: vec![],
    });
    graph.inputs.push(input);
    graph.outputs.push(output);
    graph
}

/// Bytes of all values, none of them special.
fn pattern(count: usize) -> Vec<u8> {
    (0..count as u32).map(|index| (index.wrapping_mul(0x9e37_79b1) >> 24) as u8).collect()
}
