//! `systole estimate`: compile and time, no tensors.

use super::common::{BUILD_STEPS, Format, ModelArgs, ReportArgs, build};
use super::console::Console;
use super::outcome::halted;
use crate::pipeline::{Engine, time, timed};
use crate::problem::{Failure, Problem, did_you_mean};
use crate::report::build::{Subject, report};
use crate::report::{Report, text};

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// `zoo:NAME` (`systole zoo` lists them), or the path of an `.onnx` file
    model: String,
    #[command(flatten)]
    model_args: ModelArgs,
    #[command(flatten)]
    report_args: ReportArgs,
    /// Says why a layer is mapped as it is and what limits it; a layer's name, or a node's
    #[arg(long, value_name = "LAYER")]
    explain: Option<String>,
}

/// Runs the verb.
pub(super) fn run(args: &Args, console: &Console) -> Result<(), Failure> {
    if args.explain.is_some() && args.report_args.format == Format::Json {
        return Err(Problem::new("`--explain` is for people, `--format json` for programs")
            .help("leave out one of them")
            .into());
    }
    args.report_args.prepare()?;
    let mut progress = console.progress(BUILD_STEPS + 1);
    let mut built = build(&args.model, &args.model_args, false, &mut progress)?;
    progress.step("timing");
    let (program, machine) = (&built.compiled.program, &built.machine.machine);
    let timing = timed(&mut built.seconds.timing, || time(program, machine, Engine::Fast))?;
    drop(progress);
    halted(&timing, program)?;
    let subject = Subject {
        program,
        machine,
        timing: &timing,
        model_source: &args.model,
        hardware_source: &built.machine.source,
        seed: args.model_args.seed.seed,
    };
    let report = report(&subject, None, built.seconds);
    args.report_args.write(&report)?;
    match &args.explain {
        Some(layer) => explain(&report, layer, console),
        None => args.report_args.print(&report, console),
    }
}

/// The layer of that name, or the layers that hold a node of that name.
fn explain(report: &Report, name: &str, console: &Console) -> Result<(), Failure> {
    let exact = report.layers.iter().filter(|layer| layer.name == name);
    let mut found: Vec<_> = exact.collect();
    if found.is_empty() {
        found = report.layers.iter().filter(|layer| layer.nodes.iter().any(|node| node == name)).collect();
    }
    if found.is_empty() {
        let layers = report.layers.iter().map(|layer| layer.name.as_str());
        let nodes = report.layers.iter().flat_map(|layer| layer.nodes.iter().map(String::as_str));
        let names: Vec<&str> = layers.chain(nodes).collect();
        return Err(Problem::new(format!("there is no layer `{name}`")).help(did_you_mean(name, &names)).into());
    }
    found.into_iter().try_for_each(|layer| console.print(&text::explain(report, layer)))
}
