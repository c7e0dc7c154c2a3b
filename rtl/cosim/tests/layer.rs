//! A whole layer of ResNet-50 at 16 × 16: the 3×3 convolution of its second stage, 64 to 64 channels at 56 × 56 (115.6 M multiply-accumulates), compiled for
//! the preset machine with loads, requantisation and stores around it.

use systole_compiler::compile::{Compiled, Constants, Header, compile as compile_graph};
use systole_compiler::passes::{Boundary, Quantised};
use systole_machine::config;
use systole_machine::program::ModelEntry;
use systole_machine::spec::Machine;
use systole_network::graph::{Form, Graph, Node};
use systole_network::op::{Conv, Op};
use systole_network::tensor::{DType, Data, Quant, Tensor, TensorId};
use systole_rtl_cosim::{compare, tools};
use systole_simulator::contract::Job;

const CHANNELS: usize = 64;
const SIDE: usize = 56;

/// Bytes without a pattern.
fn bytes(count: usize, seed: u32) -> Vec<u8> {
    let mut state = seed;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..count).map(next).collect()
}

fn layer() -> Graph {
    let mut graph = Graph::new("res2 3x3", Form::Quantised);
    let mut tensor = |name: &str, shape: &[usize], dtype, quant, data| {
        graph.add_tensor(Tensor { name: name.into(), shape: shape.to_vec(), dtype, quant: Some(quant), data })
    };
    let shape = [1, CHANNELS, SIDE, SIDE];
    let input = tensor("input", &shape, DType::U8, Quant::per_tensor(0.02, 3), None);
    let weights = bytes(CHANNELS * CHANNELS * 9, 1);
    let data = Some(Data::Stored(weights.into()));
    let weight = tensor("weight", &[CHANNELS, CHANNELS, 3, 3], DType::I8, Quant::per_tensor(0.004, 0), data);
    let output = tensor("output", &shape, DType::U8, Quant::per_tensor(0.1, 128), None);
    let conv = Conv { kernel: [3, 3], stride: [1, 1], dilation: [1, 1], pads: [1; 4], groups: 1 };
    graph.add_node(Node {
        name: "conv".into(),
        op: Op::Conv(conv),
        inputs: vec![input, weight],
        outputs: vec![output],
        clamp: None,
        origins: vec![],
    });
    (graph.inputs, graph.outputs) = (vec![input], vec![output]);
    graph
}

fn compiled(machine: &Machine) -> Compiled {
    let graph = layer();
    let boundary = |id: &TensorId| Boundary { float_name: graph.tensor(*id).name.clone(), tensor: *id };
    let quantised = Quantised {
        inputs: graph.inputs.iter().map(boundary).collect(),
        outputs: graph.outputs.iter().map(boundary).collect(),
        graph: graph.clone(),
    };
    let header = Header { machine_yaml: String::new(), model: ModelEntry::default() };
    compile_graph(&quantised, machine, header, Constants::Real).expect("it compiles")
}

#[test]
fn a_layer_of_resnet_50_at_16_by_16() {
    if !tools(&["verilator", "g++"]).present("a layer of ResNet-50 on the RTL") {
        return;
    }
    let yaml = config::preset("edge-16x16").expect("a preset");
    let machine = config::load(yaml, "edge-16x16").expect("a machine");
    let program = compiled(&machine).program;
    let input = bytes(CHANNELS * SIDE * SIDE, 2);
    let entry = program.tensors.iter().find(|entry| entry.name == "input").expect("the input");
    let mut image: Vec<(u64, &[u8])> = program.image.iter().map(|s| (s.address, s.bytes.as_slice())).collect();
    image.push((entry.address, &input));
    let job = Job { machine: &machine, instructions: &program.instructions, dram_bytes: program.dram_bytes };
    let lockstep = compare(&job, &image, 10_000_000).expect("a model");
    assert_eq!(lockstep.difference, None);
    // Every sum of every fold: 64 channels, 3136 pixels, 36 chunks of 16.
    let sums = (CHANNELS * SIDE * SIDE * CHANNELS * 9 / 16) as u64;
    assert!(lockstep.sums >= sums && lockstep.cycles > 400_000, "{lockstep:?}");
    println!("{} cycles equal, {} sums", lockstep.cycles, lockstep.sums);
}
