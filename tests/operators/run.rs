//! A case on a machine: from the float graph to the program, its data compared with golden.

use std::collections::{BTreeMap, BTreeSet};

use systole::compare::compare;
use systole::golden::{self, Keep, Options, Value};
use systole::machine::spec::Machine;
use systole::network::graph::Graph;
use systole::network::tensor::DType;
use systole::pipeline::{self, Engine, Imported, ModelOptions};
use systole::problem::Failure;
use systole::simulator::contract::Outcome;
use systole::tensors::value;

/// What a case came to.
pub(crate) enum Verdict {
    /// It ran and equals golden; the run instructions of array and vector unit, none where only views and copies are left.
    Runs(BTreeSet<&'static str>),
    /// It is refused, in these words.
    Refused(String),
}

/// Whether golden runs it in float.
pub(crate) fn float(graph: &Graph) -> Result<(), String> {
    let mut inputs = pipeline::float_inputs(graph, None, 0).map_err(|failure| words(&failure))?;
    let integers = graph.inputs.iter().filter(|&&id| graph.tensor(id).dtype != DType::F32);
    inputs.extend(integers.map(|&id| (id, Value::U8(spread(graph.tensor(id).elements())))));
    golden::run(graph, &inputs, Options { seed: 0, keep: Keep::Outputs }).map(drop).map_err(|error| error.to_string())
}

/// Runs it; the instructions are those of layers with a node of this operator.
pub(crate) fn on(graph: &Graph, operator: &str, machine: &Machine) -> Verdict {
    let options = ModelOptions::default();
    let imported = match Imported::of(graph.clone()) {
        Ok(imported) => imported,
        Err(failure) => return Verdict::Refused(words(&failure)),
    };
    let quantised = match pipeline::quantise(&imported, machine, &options, true) {
        Ok(quantised) => quantised,
        Err(failure) => return Verdict::Refused(words(&failure)),
    };
    let compiled = match pipeline::compile_model(&imported, &quantised, machine, true) {
        Ok(compiled) => compiled,
        Err(failure) => return Verdict::Refused(words(&failure)),
    };
    let ports = pipeline::ports(&quantised.graph, &quantised.inputs);
    let (mut inputs, _) = pipeline::input_bytes(&ports, None, 0).expect("seeded");
    if graph.tensor(graph.inputs[0]).dtype != DType::F32 {
        inputs.iter_mut().for_each(|bytes| *bytes = spread(bytes.len()));
    }
    let mut values: BTreeMap<_, _> = BTreeMap::new();
    for (at, (port, bytes)) in quantised.inputs.iter().zip(ports.iter().zip(&inputs)) {
        values.insert(at.tensor, value(bytes.clone(), port.element));
    }
    let run = golden::run(&quantised.graph, &values, Options { seed: 0, keep: Keep::All });
    let mut expected = run.expect("golden runs what compiles").tensors;
    expected.extend(values);
    let (timing, memories) = pipeline::run(&compiled.program, machine, &inputs, Engine::Fast).expect("it runs");
    assert_eq!(timing.outcome, Outcome::Halted);
    let (verification, _) = compare(&quantised, &compiled, &expected, &memories.dram);
    assert!(
        verification.bit_exact && verification.tensors_unobservable.is_empty(),
        "{}: {verification:?}",
        graph.nodes[0].name
    );
    let program = &compiled.program;
    let asked: BTreeSet<&str> =
        graph.nodes.iter().filter(|node| node.op.name() == operator).map(|node| node.name.as_str()).collect();
    let of_operator = |layer: u32| {
        let layer = program.layers.get(layer as usize);
        layer.is_some_and(|layer| layer.nodes.iter().any(|node| asked.contains(node.as_str())))
    };
    let own = program.instructions.iter().zip(&program.source).filter(|(_, layer)| of_operator(**layer));
    Verdict::Runs(own.map(|(instruction, _)| instruction.operation.mnemonic()).filter(|name| computes(name)).collect())
}

/// Bytes of every size.
fn spread(count: usize) -> Vec<u8> {
    (0..count).map(|index| (index * 91 + index / 5) as u8).collect()
}

/// Configuration, tokens and copies between memories compute nothing.
fn computes(mnemonic: &str) -> bool {
    let configures = [
        "shape", "pitch", "quant", "scale", "window", "norm", "fixed", "sync", "format", "formats", "dilation", "axis",
    ];
    match mnemonic.split_once('.') {
        Some(("ar", name)) => name == "run",
        Some(("ve", name)) => !configures.contains(&name),
        _ => false,
    }
}

fn words(failure: &Failure) -> String {
    let problems = failure.problems();
    problems.first().map_or_else(|| "refused".into(), |problem| problem.message().to_owned())
}
