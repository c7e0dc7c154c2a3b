//! `systole verify`: compiles, simulates, runs golden, and compares every tensor; cycles against a baseline too.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use systole_compiler::passes::Quantised;
use systole_golden::{Keep, Options, Value};
use systole_network::tensor::TensorId;

use super::common::{BUILD_STEPS, Built, Format, ModelArgs, ReportArgs, build};
use super::console::Console;
use super::outcome::halted;
use crate::compare::{TensorResult, Verification, against_baseline, compare};
use crate::files;
use crate::pipeline::{self, Engine, timed};
use crate::problem::{Failure, Problem};
use crate::report::Report;
use crate::report::build::{Subject, report};
use crate::report::text::grouped;
use crate::sqnr::sqnr_db;
use crate::tensors::{Port, value};

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// `zoo:NAME` (`systole zoo` lists them), or the path of an `.onnx` file
    model: String,
    #[command(flatten)]
    model_args: ModelArgs,
    #[command(flatten)]
    report_args: ReportArgs,
    /// Inputs: `.npz` by tensor name, or `.npy` for a single input (default: seeded)
    #[arg(long, value_name = "F")]
    input: Option<PathBuf>,
    /// Which simulator
    #[arg(long, value_enum, default_value_t = Engine::Fast)]
    engine: Engine,
    /// Lists every tensor (all are compared in any case)
    #[arg(long)]
    layers: bool,
    /// Fails on any cycle count that differs from this earlier report
    #[arg(long, value_name = "report.json")]
    baseline: Option<PathBuf>,
}

/// Runs the verb.
pub(super) fn run(args: &Args, console: &Console) -> Result<(), Failure> {
    args.report_args.prepare()?;
    let baseline = args.baseline.as_deref().map(read_baseline).transpose()?;
    let mut progress = console.progress(BUILD_STEPS + 3);
    let mut built = build(&args.model, &args.model_args, true, &mut progress)?;
    let seed = args.model_args.seed.seed;
    let ports = pipeline::ports(&built.quantised.graph, &built.quantised.inputs);
    let (inputs, _) = pipeline::input_bytes(&ports, args.input.as_deref(), seed)?;
    progress.step("simulating");
    let table_order = in_table_order(&built, &ports, &inputs);
    let (program, machine) = (&built.compiled.program, &built.machine.machine);
    let (timing, memories) =
        timed(&mut built.seconds.data, || pipeline::run(program, machine, &table_order, args.engine))?;
    halted(&timing, program)?;
    progress.step("running the reference");
    let golden = timed(&mut built.seconds.golden, || golden_values(&built.quantised, &ports, inputs, seed))?;
    let (mut verification, tensors) = compare(&built.quantised, &built.compiled, &golden, &memories.dram);
    progress.step("running the float network");
    let sqnr = sqnr_db(&built.imported.graph, &built.quantised, &golden, seed);
    drop(progress);
    // A figure beside the verdict: a float network that does not run takes nothing from it.
    verification.sqnr_db = sqnr.unwrap_or_else(|_| {
        console.note("no signal to noise ratio: the float network does not run");
        None
    });
    let subject = Subject {
        program,
        machine,
        timing: &timing,
        model_source: &args.model,
        hardware_source: &built.machine.source,
        seed,
    };
    let report = report(&subject, Some(verification.clone()), built.seconds);
    args.report_args.write(&report)?;
    args.report_args.print(&report, console)?;
    if console.quiet && args.report_args.format == Format::Text {
        console.print(&verdict(&verification))?;
    }
    if args.layers && args.report_args.format == Format::Text {
        console.print(&tensor_table(&tensors, &verification))?;
    }
    let mut problems = mismatch(&verification);
    if let (Some(old), Some(path)) = (&baseline, &args.baseline) {
        problems.extend(baseline_problems(old, path, &report)?);
    }
    if !problems.is_empty() {
        return Err(Failure::Check(problems));
    }
    if let Some(path) = &args.baseline {
        console.note(&format!("every cycle count is as in {}", path.display()));
    }
    Ok(())
}

/// What a quiet run says of the comparison; the report has its own line.
fn verdict(verification: &Verification) -> String {
    let words = if verification.bit_exact { "bit-exact" } else { "not bit-exact" };
    let (elements, tensors) = (grouped(verification.elements), verification.tensors_compared);
    format!("{words}: {elements} elements compared, tensors: {tensors}\n")
}

/// The inputs in the order of the program's tensor table, which need not be the graph's.
fn in_table_order(built: &Built, ports: &[Port], inputs: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let by_name: BTreeMap<&str, &Vec<u8>> = ports.iter().map(|port| port.name.as_str()).zip(inputs).collect();
    let entries = built.compiled.program.tensors.iter();
    let entries = entries.filter(|entry| entry.role == systole_machine::program::Role::Input);
    entries.map(|entry| by_name.get(entry.name.as_str()).map_or(vec![], |bytes| (*bytes).clone())).collect()
}

/// All activations by golden, inputs included.
fn golden_values(
    quantised: &Quantised,
    ports: &[Port],
    inputs: Vec<Vec<u8>>,
    seed: u64,
) -> Result<BTreeMap<TensorId, Value>, Failure> {
    let graph = &quantised.graph;
    let boundaries = quantised.inputs.iter().zip(ports);
    let values: BTreeMap<TensorId, Value> =
        boundaries.zip(inputs).map(|((boundary, port), bytes)| (boundary.tensor, value(bytes, port.element))).collect();
    let run =
        systole_golden::run(graph, &values, Options { seed, keep: Keep::All }).map_err(pipeline::golden_failure)?;
    let mut all = run.tensors;
    all.extend(values);
    Ok(all)
}

fn mismatch(verification: &Verification) -> Vec<Problem> {
    if verification.bit_exact {
        return vec![];
    }
    let problem = Problem::new(format!(
        "{} of {} elements differ from the CPU reference",
        grouped(verification.mismatches),
        grouped(verification.elements)
    ));
    vec![match &verification.first_mismatch {
        None => problem,
        Some(first) => problem
            .at(format!("layer `{}`, tensor `{}`, index {:?}", first.layer, first.tensor, first.index))
            .because(format!("the first in order of execution: expected {}, got {}", first.expected, first.got)),
    }]
}

fn read_baseline(path: &Path) -> Result<serde_json::Value, Failure> {
    serde_json::from_str(&files::read_text(path)?).map_err(|error| bad_baseline(path, &error.to_string()))
}

fn bad_baseline(path: &Path, cause: &str) -> Failure {
    Problem::new("this is not a report to compare with")
        .at(path.display().to_string())
        .because(cause)
        .help("give a `report.json` that `systole verify --out` or `systole estimate --out` wrote")
        .into()
}

fn baseline_problems(old: &serde_json::Value, path: &Path, report: &Report) -> Result<Vec<Problem>, Failure> {
    let changes = against_baseline(old, report).map_err(|cause| bad_baseline(path, &cause))?;
    let place = path.display().to_string();
    let cause = other_subject(old, report);
    Ok(changes
        .into_iter()
        .map(|change| Problem::new(format!("cycles changed: {change}")).at(&place).because(&cause))
        .collect())
}

/// Says so where the earlier report is of another network, machine or batch; empty otherwise.
fn other_subject(old: &serde_json::Value, report: &Report) -> String {
    let text = |pointer: &str| old.pointer(pointer).and_then(serde_json::Value::as_str).unwrap_or("?").to_owned();
    let batch = old.pointer("/model/batch").and_then(serde_json::Value::as_u64);
    let before = (text("/model/name"), text("/hardware/name"), batch);
    let now = (report.model.name.clone(), report.hardware.name.clone(), Some(report.model.batch));
    if before == now {
        return String::new();
    }
    let shown = |(model, machine, batch): (String, String, Option<u64>)| {
        format!("{model} on {machine}, batch {}", batch.map_or("?".into(), |batch| batch.to_string()))
    };
    format!("that report is of {}; this run is of {}", shown(before), shown(now))
}

fn tensor_table(tensors: &[TensorResult], verification: &Verification) -> String {
    let mut out = format!("\n\x1b[1m{:<34} {:<34} {:>14} {:>14}\x1b[0m\n", "layer", "tensor", "elements", "differ");
    for tensor in tensors {
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "{:<34} {:<34} {:>14} {:>14}",
            tensor.layer,
            tensor.tensor,
            grouped(tensor.elements),
            grouped(tensor.mismatches)
        );
    }
    for tensor in &verification.tensors_unobservable {
        let _ = writeln!(out, "{}: not compared, {}", tensor.name, tensor.reason);
    }
    out
}
