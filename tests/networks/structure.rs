//! `estimate` compiles without values: its program is the real one but for fields that hold values, and takes the same time.

use std::collections::BTreeMap;

use rayon::prelude::*;
use systole::compiler::compile::{Compiled, Constants, Header, compile};
use systole::compiler::passes::{Values, legalise, prepare_float};
use systole::machine::isa::{Instruction, Operation, UnitMask};
use systole::machine::program::{ModelEntry, Program, TensorEntry};
use systole::machine::spec::Machine;
use systole::network::graph::Graph;
use systole::network::zoo;
use systole::pipeline::{self, Engine};
use systole::simulator::contract::{Outcome, Timing};

use crate::chain::{EDGE, machine};

/// Parameters from which on a network is made narrower, so that drawing weights does not take the time; one large network stays as it is.
const MANY: u64 = 15_000_000;
const LARGE: &str = "vgg-d";

/// Smallest and largest values that no two neighbours share; calibration would take minutes, and no structure may depend on it.
fn made_up_ranges(graph: &Graph) -> BTreeMap<String, (f64, f64)> {
    let prepared = prepare_float(graph, false, 0).expect("a float network");
    let activations = prepared.tensors.iter().filter(|tensor| tensor.data.is_none()).enumerate();
    activations
        .map(|(index, tensor)| (tensor.name.clone(), (-((index % 5) as f64), 0.5 + (index % 7) as f64)))
        .collect()
}

fn graph(entry: &zoo::Entry) -> Graph {
    let divisor = if entry.parameters < MANY || entry.name == LARGE { 1 } else { 4 };
    zoo::build_scaled(entry.name, divisor, entry.input[1]).expect("large enough")
}

fn compiled(graph: &Graph, machine: &Machine, values: &Values) -> Compiled {
    let quantised = legalise(graph, &pipeline::policy(machine), values).expect("it has integer rules");
    let header = Header { machine_yaml: String::new(), model: ModelEntry::default() };
    let constants = if *values == Values::Structure { Constants::None } else { Constants::Real };
    compile(&quantised, machine, header, constants).expect("it fits")
}

/// An instruction without the fields that hold values: zero points, clamps, scales (docs/isa.md).
fn structure(instruction: &Instruction) -> (UnitMask, UnitMask, &'static str, Vec<u64>) {
    let mut bits = instruction.operation.field_bits();
    let values = match instruction.operation {
        Operation::ArrayQuant { .. } => 2,
        Operation::VectorQuant { .. } => 5,
        Operation::VectorScale { .. } => 3,
        _ => 0,
    };
    bits.drain(..values);
    (instruction.wait, instruction.signal, instruction.operation.mnemonic(), bits)
}

fn without_values(entry: &TensorEntry) -> TensorEntry {
    TensorEntry { scale: 0.0, zero_point: 0, ..entry.clone() }
}

fn time(program: &Program, machine: &Machine) -> Timing {
    let timing = pipeline::time(program, machine, Engine::Fast).expect("it runs");
    assert_eq!(timing.outcome, Outcome::Halted);
    timing
}

fn assert_same_structure(name: &str, bare: &Compiled, real: &Compiled) {
    let (bare, real) = (&bare.program, &real.program);
    let pairs = bare.instructions.iter().zip(&real.instructions);
    let differing = pairs.enumerate().find(|(_, (bare, real))| structure(bare) != structure(real));
    assert_eq!(differing, None, "{name}: the first instruction that differs");
    assert_eq!(bare.instructions.len(), real.instructions.len(), "{name}");
    assert_ne!(bare.instructions, real.instructions, "{name}: the real program has values");
    assert!(bare.source == real.source && bare.layers == real.layers, "{name}: its layers differ");
    assert_eq!(bare.dram_bytes, real.dram_bytes, "{name}");
    let tensors = |program: &Program| program.tensors.iter().map(without_values).collect::<Vec<_>>();
    assert_eq!(tensors(bare), tensors(real), "{name}");
    assert!(bare.image.is_empty() && !real.image.is_empty(), "{name}");
}

#[test]
fn estimates_are_of_the_real_program() {
    let machine = machine(EDGE);
    assert!(zoo::entries().iter().any(|entry| entry.name == LARGE));
    zoo::entries().par_iter().for_each(|entry| {
        let (name, graph) = (entry.name, graph(entry));
        let bare = compiled(&graph, &machine, &Values::Structure);
        let calibration = Some(made_up_ranges(&graph));
        let real = compiled(&graph, &machine, &Values::Real { calibration, seed: 0 });
        assert_same_structure(name, &bare, &real);
        assert!(time(&bare.program, &machine) == time(&real.program, &machine), "{name}: the timing differs");
    });
}
