//! One case: compile, run golden and both engines, compare. Tensors are moved by loops of its own, not by those of the pipeline.

use std::collections::BTreeMap;

use systole_compiler::compile::{Compiled, Constants, Header, compile};
use systole_compiler::error::{CompileError, ErrorKind};
use systole_compiler::passes::{Boundary, Quantised};
use systole_golden::{Keep, Options, Value};
use systole_machine::isa::{DataflowChoice, Flag, Operation, RequantMode};
use systole_machine::program::{ElementType, ModelEntry, Program, TensorEntry};
use systole_machine::spec::{Machine, Overflow, Requantisation};
use systole_network::graph::Graph;
use systole_network::tensor::{Tensor, TensorId};
use systole_simulator::contract::{Job, Memories, Outcome, Timing};
use systole_simulator::{fast, reference};

use crate::dice::Dice;
use crate::machine::machine;
use crate::network::network;
use crate::{packed, sums, taps};

/// How a case without a fault went.
pub(crate) enum Verdict {
    /// It ran, and hit this.
    Ran(Vec<&'static str>),
    /// The compiler said that the machine is this.
    Refused(&'static str),
}

/// What a refusal says, and what it means.
pub(crate) const REFUSALS: [(&str, &str); 3] = [
    ("smallest tile", "too small"),
    ("rule N-20", "too narrow in its sums"),
    ("float island", "without single precision"),
];

/// Runs the case of a seed; an error says what differs or failed.
pub(crate) fn run_case(seed: u64) -> Result<Verdict, String> {
    let mut dice = Dice::new(seed);
    let machine = machine(&mut dice);
    let mut network = network(dice, &machine);
    let graph = &network.graph;
    systole_network::verify::verify(graph).map_err(|errors| format!("the test made a bad graph: {errors:?}"))?;
    let compiled = match compiled(graph, &machine)? {
        Ok(compiled) => compiled,
        Err(why) => return Ok(Verdict::Refused(why)),
    };
    let input = graph.tensor(graph.inputs[0]);
    let raw = network.dice.bytes(input.elements() * input.dtype.bytes());
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
    let sampled = taps::hits(&network.graph, &golden);
    network.hits.extend(sampled);
    network.hits.extend(mapping_hits(program));
    network.hits.extend(packed::hits(program));
    network.hits.extend(sums::hits(&machine, program));
    network.hits.extend(depthwise_hits(program));
    network.hits.extend(resize_hits(program));
    network.hits.extend(arithmetic_hits(&machine, program));
    network.hits.push(if machine.array.weight_registers == 1 { "one weight register" } else { "two weight registers" });
    network.hits.extend(machine.unified.then_some("one scratchpad"));
    network.hits.extend((machine.unified && machine.weight.banks == 1).then_some("one scratchpad of one bank"));
    Ok(Verdict::Ran(network.hits))
}

/// The program, or why the machine cannot run it, where the compiler says so.
fn compiled(graph: &Graph, machine: &Machine) -> Result<Result<Compiled, &'static str>, String> {
    let boundary = |id: &TensorId| Boundary { float_name: graph.tensor(*id).name.clone(), tensor: *id };
    let quantised = Quantised {
        inputs: graph.inputs.iter().map(boundary).collect(),
        outputs: graph.outputs.iter().map(boundary).collect(),
        graph: graph.clone(),
    };
    let header = Header { machine_yaml: String::new(), model: ModelEntry::default() };
    match compile(&quantised, machine, header, Constants::Real) {
        Ok(compiled) => Ok(Ok(compiled)),
        Err(errors) if errors.iter().all(|e| refusal(e).is_some()) => {
            Ok(Err(errors.first().and_then(refusal).unwrap_or("refused without a reason")))
        }
        Err(errors) => Err(format!("compile: {errors:?}")),
    }
}

fn refusal(error: &CompileError) -> Option<&'static str> {
    let said = REFUSALS.iter().find(|(text, _)| error.message.contains(text));
    said.filter(|_| error.kind == ErrorKind::Unsupported).map(|&(_, why)| why)
}

/// All activations by golden, for the input's bytes in logical order.
fn golden(graph: &Graph, raw: &[u8]) -> Result<BTreeMap<TensorId, Value>, String> {
    let value = Value::from_le_bytes(graph.tensor(graph.inputs[0]).dtype, raw);
    let values = BTreeMap::from([(graph.inputs[0], value)]);
    let options = Options { seed: 0, keep: Keep::All };
    let run = systole_golden::run(graph, &values, options).map_err(|error| format!("golden: {error}"))?;
    Ok(run.tensors)
}

/// The input's bytes as DRAM holds them (M-2).
fn nhwc(input: &Tensor, raw: &[u8]) -> Vec<u8> {
    let [n, c, h, w] = input.nchw().expect("rank 4");
    let e = input.dtype.bytes();
    let mut bytes = vec![0; raw.len()];
    for image in 0..n {
        for channel in 0..c {
            for pixel in 0..h * w {
                for byte in 0..e {
                    bytes[((image * h * w + pixel) * c + channel) * e + byte] =
                        raw[((image * c + channel) * h * w + pixel) * e + byte];
                }
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
                let row = entry.address + image * entry.image_pitch + pixel / w * entry.row_pitch;
                let pixel = row + pixel % w * entry.pixel_pitch;
                if entry.element == ElementType::B1 {
                    let byte = dram[(pixel + channel / 8) as usize];
                    bytes.push(if byte >> (channel % 8) & 1 == 1 { 1 } else { 0xff });
                    continue;
                }
                let first = (pixel + channel * entry.element.bytes()) as usize;
                bytes.extend(&dram[first..first + entry.element.bytes() as usize]);
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

fn compare_golden(
    graph: &Graph,
    program: &Program,
    golden: &BTreeMap<TensorId, Value>,
    dram: &[u8],
) -> Result<(), String> {
    for entry in &program.tensors {
        let id = graph.tensors.iter().position(|t| t.name == entry.name).expect("a tensor of the graph");
        let Some(expected) = golden.get(&TensorId(id as u32)) else { continue };
        let (expected, got) = (expected.to_le_bytes(), read(dram, entry));
        if let Some(index) = (0..expected.len()).find(|&i| expected[i] != got[i]) {
            return Err(format!(
                "tensor {} differs at byte {index}: golden {}, fast {}",
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

/// What the machine computes with, where the program used it.
fn arithmetic_hits(machine: &Machine, program: &Program) -> Vec<&'static str> {
    let array = &machine.array;
    let mut hits = vec![match machine.vector.requantisation {
        Requantisation::Float32 => "float32",
        Requantisation::FixedPoint { double_rounding: true, .. } => "fixed point, two roundings",
        Requantisation::FixedPoint { multiplier_bits: 32, .. } => "fixed point, one rounding",
        Requantisation::FixedPoint { .. } => "fixed point, narrow multiplier",
        Requantisation::Shift => "shift",
    }];
    if !machine.vector.float32 {
        hits.push("no single precision");
    }
    for instruction in &program.instructions {
        match instruction.operation {
            Operation::ArrayRun { dataflow, .. } => {
                hits.push(match dataflow {
                    DataflowChoice::WeightStationary => "weight-stationary",
                    DataflowChoice::OutputStationary => "output-stationary",
                    DataflowChoice::InputStationary => "input-stationary",
                });
                hits.push(match array.accumulator_bits {
                    ..32 => "sums under 32 bits",
                    32 => "sums of 32 bits",
                    _ => "sums over 32 bits",
                });
                hits.extend((array.overflow == Overflow::Saturate).then_some("saturating sums"));
                hits.extend((array.dataflows.len() > 1).then_some("several dataflows"));
                hits.extend((array.dot_product_width > 1).then_some("dot products"));
            }
            Operation::ArrayQuant { wide_activation: Flag(true), .. } => hits.push("16-bit input of the array"),
            Operation::VectorQuant { wide_a: Flag(true), .. } => hits.push("16-bit operand of the vector unit"),
            Operation::VectorQuant { wide_out: Flag(true), .. } => hits.push("16-bit result"),
            _ => {}
        }
    }
    hits.sort_unstable();
    hits.dedup();
    hits
}

/// How depthwise convolutions ran on the vector unit (N-31).
fn depthwise_hits(program: &Program) -> Vec<&'static str> {
    let (mut hits, mut wide, mut dilated) = (vec![], false, false);
    for instruction in &program.instructions {
        match instruction.operation {
            Operation::VectorQuant { wide_a, .. } => wide = wide_a.0,
            Operation::VectorDilation { dilation_h, dilation_w } => {
                dilated = dilation_h.get().max(dilation_w.get()) > 1
            }
            Operation::VectorDepthwise { mode, .. } => {
                hits.push("depthwise on the vector unit");
                hits.extend(wide.then_some("depthwise on the vector unit, 16 bit"));
                hits.extend(dilated.then_some("depthwise on the vector unit, dilated"));
                hits.extend((mode != RequantMode::Float32).then_some("depthwise on the vector unit, integer scaling"));
            }
            _ => {}
        }
    }
    hits.sort_unstable();
    hits.dedup();
    hits
}

/// How images are resized between pixels: in tiles, and in slices of their channels.
fn resize_hits(program: &Program) -> Vec<&'static str> {
    let (mut hits, mut wide, mut first) = (vec![], false, [0; 2]);
    for (instruction, &layer) in program.instructions.iter().zip(&program.source) {
        match instruction.operation {
            Operation::VectorQuant { wide_a, .. } => wide = wide_a.0,
            Operation::VectorAxis { axis, first_out, .. } => first[axis as usize] = first_out.get(),
            Operation::VectorShape { channels, .. } => {
                let layer = &program.layers[layer as usize];
                let output = format!("{}_out", layer.name);
                let whole = program.tensors.iter().find(|entry| entry.name == output).map(|entry| entry.dims[1]);
                let sliced = layer.op == "Resize" && whole.is_some_and(|whole| channels.get() < whole);
                hits.extend(sliced.then_some("linear, several slices of channels"));
            }
            Operation::VectorResize { .. } => {
                hits.extend((first[0] > 0).then_some("linear, several tiles of rows"));
                hits.extend((first[1] > 0).then_some("linear, several tiles of a row"));
                hits.extend(wide.then_some("linear, wide operand"));
            }
            _ => {}
        }
    }
    hits.sort_unstable();
    hits.dedup();
    hits
}

/// What the mappings of the layers say that they do.
fn mapping_hits(program: &Program) -> Vec<&'static str> {
    let words: &[(&str, &str)] = &[
        ("packed", "packed taps"),
        ("streamed", "streamed weights"),
        ("sliced", "sliced input channels"),
        ("chunks over", "chunks over arrays"),
        ("tiles over", "tiles over arrays"),
        ("each with its", "copies for each array"),
        ("phases apart", "phases apart"),
        ("phases side by side", "phases side by side"),
    ];
    let said = |layer: &str| words.iter().filter(|(word, _)| layer.contains(word)).map(|&(_, hit)| hit).collect();
    program.layers.iter().flat_map(|layer| -> Vec<&'static str> { said(&layer.mapping) }).collect()
}
