//! One case: compile, run golden and both engines, compare. Tensors are moved by loops of its own, not by those of the pipeline.

use std::collections::BTreeMap;

use systole_compiler::compile::{Compiled, Constants, Header, compile};
use systole_compiler::error::ErrorKind;
use systole_compiler::passes::{Boundary, Quantised};
use systole_golden::{Keep, Options, Value};
use systole_machine::program::{ModelEntry, Program, TensorEntry};
use systole_machine::spec::Machine;
use systole_network::graph::Graph;
use systole_network::tensor::{DType, Tensor, TensorId};
use systole_simulator::contract::{Job, Memories, Outcome, Timing};
use systole_simulator::{fast, reference};

use crate::dice::Dice;
use crate::machine::machine;
use crate::network::network;

/// How a case without a fault went.
pub(crate) enum Verdict {
    /// It ran, and hit this.
    Ran(Vec<&'static str>),
    /// The compiler said that the machine is too small.
    TooSmall,
}

/// Runs the case of a seed; an error says what differs or failed.
pub(crate) fn run_case(seed: u64) -> Result<Verdict, String> {
    let mut dice = Dice::new(seed);
    let machine = machine(&mut dice);
    let mut network = network(dice);
    let graph = &network.graph;
    systole_network::verify::verify(graph).map_err(|errors| format!("the test made a bad graph: {errors:?}"))?;
    let Some(compiled) = compiled(graph, &machine)? else { return Ok(Verdict::TooSmall) };
    let input = graph.tensor(graph.inputs[0]);
    let raw = network.dice.bytes(input.elements());
    let golden = golden(graph, &raw)?;
    let program = &compiled.program;
    let nhwc = nhwc(input, &raw);
    let image = segments(program, &nhwc);
    let job = Job { machine: &machine, instructions: &program.instructions, dram_bytes: program.dram_bytes };
    let fast = fast::run(&job, &image).map_err(|error| error.to_string())?;
    if fast.0.outcome != Outcome::Halted {
        return Err(format!("fast: {:?}", fast.0.outcome));
    }
    compare_golden(graph, program, &golden, &fast.1.dram)?;
    compare_reference(&job, &image, &fast)?;
    network.hits.extend(mapping_hits(program));
    network.hits.push(if machine.array.weight_registers == 1 { "one weight register" } else { "two weight registers" });
    network.hits.extend(machine.unified.then_some("one scratchpad"));
    network.hits.extend((machine.unified && machine.weight.banks == 1).then_some("one scratchpad of one bank"));
    Ok(Verdict::Ran(network.hits))
}

/// The program, or nothing where the machine is too small and the compiler says so.
fn compiled(graph: &Graph, machine: &Machine) -> Result<Option<Compiled>, String> {
    let boundary = |id: &TensorId| Boundary { float_name: graph.tensor(*id).name.clone(), tensor: *id };
    let quantised = Quantised {
        inputs: graph.inputs.iter().map(boundary).collect(),
        outputs: graph.outputs.iter().map(boundary).collect(),
        graph: graph.clone(),
    };
    let header = Header { machine_yaml: String::new(), model: ModelEntry::default() };
    match compile(&quantised, machine, header, Constants::Real) {
        Ok(compiled) => Ok(Some(compiled)),
        Err(errors)
            if errors.iter().all(|e| e.kind == ErrorKind::Unsupported && e.message.contains("smallest tile")) =>
        {
            Ok(None)
        }
        Err(errors) => Err(format!("compile: {errors:?}")),
    }
}

/// All activations by golden, for the input's bytes in logical order.
fn golden(graph: &Graph, raw: &[u8]) -> Result<BTreeMap<TensorId, Value>, String> {
    let value = match graph.tensor(graph.inputs[0]).dtype {
        DType::I8 => Value::I8(raw.iter().map(|&b| b as i8).collect()),
        _ => Value::U8(raw.to_vec()),
    };
    let values = BTreeMap::from([(graph.inputs[0], value)]);
    let options = Options { seed: 0, keep: Keep::All };
    let run = systole_golden::run(graph, &values, options).map_err(|error| format!("golden: {error}"))?;
    Ok(run.tensors)
}

/// The input's bytes as DRAM holds them (M-2).
fn nhwc(input: &Tensor, raw: &[u8]) -> Vec<u8> {
    let [n, c, h, w] = input.nchw().expect("rank 4");
    let mut bytes = vec![0; raw.len()];
    for image in 0..n {
        for channel in 0..c {
            for pixel in 0..h * w {
                bytes[(image * h * w + pixel) * c + channel] = raw[(image * c + channel) * h * w + pixel];
            }
        }
    }
    bytes
}

/// Bytes of a tensor in the program's DRAM, in logical order.
fn read(dram: &[u8], entry: &TensorEntry) -> Vec<u8> {
    let [n, c, h, w] = entry.dims;
    let mut bytes = vec![];
    for image in 0..n {
        for channel in 0..c {
            for pixel in 0..h * w {
                bytes.push(dram[(entry.address + (image * h * w + pixel) * entry.pixel_pitch + channel) as usize]);
            }
        }
    }
    bytes
}

/// Constants and input.
fn segments<'a>(program: &'a Program, input: &'a [u8]) -> Vec<(u64, &'a [u8])> {
    let entry = program.tensors.iter().find(|entry| entry.name == "input").expect("the input is in the table");
    let mut segments: Vec<(u64, &[u8])> = program.image.iter().map(|s| (s.address, s.bytes.as_slice())).collect();
    segments.push((entry.address, input));
    segments
}

fn bytes_of(value: &Value) -> Vec<u8> {
    match value {
        Value::U8(values) => values.clone(),
        Value::I8(values) => values.iter().map(|&v| v as u8).collect(),
        other => panic!("an activation of type {other:?}"),
    }
}

fn compare_golden(
    graph: &Graph,
    program: &Program,
    golden: &BTreeMap<TensorId, Value>,
    dram: &[u8],
) -> Result<(), String> {
    for entry in &program.tensors {
        let id = graph.tensors.iter().position(|t| t.name == entry.name).expect("a tensor of the graph");
        let Some(expected) = golden.get(&TensorId(id as u32)) else { continue };
        let (expected, got) = (bytes_of(expected), read(dram, entry));
        if let Some(index) = (0..expected.len()).find(|&i| expected[i] != got[i]) {
            return Err(format!(
                "tensor {} differs at {index}: golden {}, fast {}",
                entry.name, expected[index], got[index]
            ));
        }
    }
    Ok(())
}

fn compare_reference(job: &Job<'_>, image: &[(u64, &[u8])], fast: &(Timing, Memories)) -> Result<(), String> {
    let reference = reference::run(job, image, u64::MAX).map_err(|error| error.to_string())?;
    if reference.1.dram != fast.1.dram {
        return Err("the reference engine left other bytes in DRAM than the fast engine".into());
    }
    if reference.0 != fast.0 {
        return Err(format!(
            "timing differs: reference {} cycles {:?}, fast {} cycles {:?}",
            reference.0.total_cycles, reference.0.units, fast.0.total_cycles, fast.0.units
        ));
    }
    Ok(())
}

/// What the mappings of the layers say that they do.
fn mapping_hits(program: &Program) -> Vec<&'static str> {
    let words = [
        ("packed", "packed taps"),
        ("streamed", "streamed weights"),
        ("sliced", "sliced input channels"),
        ("chunks over", "chunks over arrays"),
        ("tiles over", "tiles over arrays"),
        ("each with its", "copies for each array"),
    ];
    let said = |layer: &str| words.iter().filter(|(word, _)| layer.contains(word)).map(|&(_, hit)| hit).collect();
    program.layers.iter().flat_map(|layer| -> Vec<&'static str> { said(&layer.mapping) }).collect()
}
