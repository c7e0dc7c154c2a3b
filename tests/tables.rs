//! Every entry of every table (N-24): all 256 bytes through each function at many scales, on machines of each arithmetic; golden, fast engine and reference
//! engine agree. The image of 16 × 16 pixels has one channel, so that its layout is its order.

use std::collections::BTreeMap;

use systole::compiler::compile::{Constants, Header, compile};
use systole::compiler::passes::{Boundary, Quantised};
use systole::golden::{self, Options, Value};
use systole::machine::config;
use systole::machine::program::ModelEntry;
use systole::machine::spec::Machine;
use systole::network::graph::{Form, Graph, Node};
use systole::network::op::{Function, Op};
use systole::network::tensor::{DType, Data, Quant, Tensor, TensorId};
use systole::simulator::contract::{Job, Outcome};
use systole::simulator::{fast, reference};

fn machines() -> Vec<Machine> {
    let edge = config::preset("edge-16x16").expect("a preset");
    let changed = |settings: &[(&str, &str)]| config::load_with(edge, "edge-16x16", settings).expect("a valid machine");
    let tflite = config::preset("tflite-16x16").expect("a preset");
    let without = [("vector.requantisation", "shift"), ("vector.float32", "false")];
    vec![changed(&[]), config::load(tflite, "tflite-16x16").expect("a valid machine"), changed(&without)]
}

/// Functions, and the slope of a PRelu.
fn operators() -> Vec<(Op, Option<i8>)> {
    let functions = [
        Function::Sigmoid,
        Function::Tanh,
        Function::HardSwish,
        Function::HardSigmoid { alpha: 0.2, beta: 0.5 },
        Function::LeakyRelu { alpha: 0.01 },
        Function::LeakyRelu { alpha: -1.5 },
        Function::Elu { alpha: 1.0 },
    ];
    let slopes = [-128, -3, 0, 5, 127].map(|slope| (Op::PRelu, Some(slope)));
    functions.into_iter().map(|function| (Op::Function(function), None)).chain(slopes).collect()
}

struct Case {
    op: Op,
    slope: Option<i8>,
    from: (DType, Quant),
    to: (DType, Quant),
}

fn graph(case: &Case, machine: &Machine) -> Graph {
    let mut graph = Graph::new("table", Form::Quantised);
    graph.policy = systole::pipeline::policy(machine);
    let mut tensor = |name: &str, shape: &[usize], (dtype, quant): &(DType, Quant), data| {
        let (shape, quant) = (shape.to_vec(), Some(quant.clone()));
        graph.add_tensor(Tensor { name: name.into(), shape, dtype: *dtype, quant, data })
    };
    let (x, y) = (tensor("x", &[1, 1, 16, 16], &case.from, None), tensor("y", &[1, 1, 16, 16], &case.to, None));
    let slope = case.slope.map(|slope| {
        let data = Some(Data::Stored(vec![slope as u8].into()));
        tensor("slope", &[1], &(DType::I8, Quant::per_tensor(0.03125, 2)), data)
    });
    let inputs = [x].into_iter().chain(slope).collect();
    graph.add_node(Node {
        name: "f".into(),
        op: case.op.clone(),
        inputs,
        outputs: vec![y],
        clamp: None,
        origins: vec![],
    });
    (graph.inputs, graph.outputs) = (vec![x], vec![y]);
    graph
}

/// What the fast engine leaves in `y`, after the reference engine has agreed on all of DRAM and on time.
fn simulated(graph: &Graph, machine: &Machine, bytes: &[u8]) -> Vec<u8> {
    let boundary = |id: &TensorId| Boundary { float_name: graph.tensor(*id).name.clone(), tensor: *id };
    let quantised = Quantised {
        graph: graph.clone(),
        inputs: graph.inputs.iter().map(boundary).collect(),
        outputs: graph.outputs.iter().map(boundary).collect(),
    };
    let header = Header { machine_yaml: String::new(), model: ModelEntry::default() };
    let program = compile(&quantised, machine, header, Constants::Real).expect("it fits").program;
    let address = |name: &str| program.tensors.iter().find(|entry| entry.name == name).expect("in the table").address;
    let mut image: Vec<(u64, &[u8])> = program.image.iter().map(|s| (s.address, s.bytes.as_slice())).collect();
    image.push((address("x"), bytes));
    let job = Job { machine, instructions: &program.instructions, dram_bytes: program.dram_bytes };
    let (timing, memories) = fast::run(&job, &image).expect("it runs");
    assert_eq!(timing.outcome, Outcome::Halted);
    let (slow, other) = reference::run(&job, &image, u64::MAX).expect("it runs");
    assert_eq!(timing, slow);
    assert!(memories == other, "a memory differs");
    memories.dram[address("y") as usize..][..256].to_vec()
}

#[test]
fn every_entry_of_every_table() {
    let bytes: Vec<u8> = (0..=255).collect();
    let mut entries = 0;
    for machine in machines() {
        for (index, (op, slope)) in operators().into_iter().enumerate() {
            for (round, scale) in [2f32.powi(-9), 0.011, 0.05, 0.1873].into_iter().enumerate() {
                let types = [DType::U8, DType::I8];
                let (from, to) = (types[(index + round) % 2], types[(index + round / 2) % 2]);
                let low = |dtype: DType| dtype.range().expect("an activation type").0;
                let zeros = [1, 128, 77, 255].map(|zero| zero - index as i32 % 2);
                let from = (from, Quant::per_tensor(scale, low(from) + zeros[round]));
                let to =
                    (to, Quant::per_tensor([1.0 / 256.0, 1.0 / 128.0, 0.02, 0.1][round], low(to) + 5 * index as i32));
                let case = Case { op: op.clone(), slope, from, to };
                let graph = graph(&case, &machine);
                let value = Value::from_le_bytes(case.from.0, &bytes);
                let inputs = BTreeMap::from([(graph.inputs[0], value)]);
                let run = golden::run(&graph, &inputs, Options::default()).expect("golden runs it");
                let expected = run.tensors[&graph.outputs[0]].to_le_bytes();
                assert_eq!(simulated(&graph, &machine, &bytes), expected, "{op:?} {slope:?} on {}", machine.name);
                entries += expected.len();
            }
        }
    }
    assert_eq!(entries, 3 * 12 * 4 * 256);
}
