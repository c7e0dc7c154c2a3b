//! `systole compile`: network to program, and a look at every stage between.

use std::path::{Path, PathBuf};

use systole_compiler::passes::PASSES;
use systole_machine::isa::assembler::disassemble;
use systole_network::text;

use super::common::{BUILD_STEPS, Built, Format, ModelArgs, ReportArgs, build};
use super::console::{Console, beside};
use super::emit::{Stage, stage_text};
use super::outcome::halted;
use crate::pipeline::{self, Engine, time, timed};
use crate::problem::{Failure, Problem, not_available};
use crate::report::build::{Subject, report};
use crate::{files, source};

/// Name of the program in `--out DIR`.
const PROGRAM: &str = "program.sysb";

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// `zoo:NAME` (`systole zoo` lists them), or the path of an `.onnx` file
    #[arg(required_unless_present = "list_passes")]
    model: Option<String>,
    #[command(flatten)]
    model_args: ModelArgs,
    #[command(flatten)]
    report_args: ReportArgs,
    /// The program; with `--emit asm` the assembly, unless it ends in `.sysb`
    #[arg(short, long, value_name = "P.sysb")]
    output: Option<PathBuf>,
    /// Prints a stage of the compilation
    #[arg(long, value_enum, value_name = "STAGE")]
    emit: Option<Stage>,
    /// Prints the graph after this pass and ends
    #[arg(long, value_name = "PASS", conflicts_with_all = ["emit", "output", "out"])]
    stop_after: Option<String>,
    /// Lists the passes and ends
    #[arg(long)]
    list_passes: bool,
    /// How long to search (not available in this version)
    #[arg(long, value_name = "0..9", value_parser = clap::value_parser!(u8).range(0..=9))]
    effort: Option<u8>,
}

/// Runs the verb.
pub(super) fn run(args: &Args, console: &Console) -> Result<(), Failure> {
    if args.effort.is_some() {
        return Err(not_available("`--effort`"));
    }
    if args.list_passes {
        return console.print(&list_passes());
    }
    let Some(model) = &args.model else { return Err(Problem::new("no model is given").into()) };
    if let Some(pass) = &args.stop_after {
        return stop_after(args, model, pass, console);
    }
    check_usage(args)?;
    args.report_args.prepare()?;
    args.output.as_deref().map_or(Ok(()), files::check_writable)?;
    let mut progress = console.progress(BUILD_STEPS);
    let built = build(model, &args.model_args, true, &mut progress)?;
    drop(progress);
    write_program(args, &built, console)?;
    if args.report_args.wanted() {
        write_report(args, model, built, console)?;
    }
    Ok(())
}

fn check_usage(args: &Args) -> Result<(), Failure> {
    if args.output.is_none() && args.emit.is_none() && !args.report_args.wanted() {
        return Err(Problem::new("nothing to do with the program")
            .help("write it with `-o P.sysb`, or print a stage with `--emit`")
            .into());
    }
    if args.emit.is_some() && args.report_args.format == Format::Json {
        return Err(Problem::new("`--emit` and `--format json` both print").help("leave out one of them").into());
    }
    Ok(())
}

fn list_passes() -> String {
    PASSES.iter().map(|pass| beside(&format!("{:<18} ", pass.name), pass.doc)).collect()
}

fn stop_after(args: &Args, model: &str, pass: &str, console: &Console) -> Result<(), Failure> {
    let options = args.model_args.options()?;
    let machine = source::machine(&args.model_args.hw)?;
    let imported = pipeline::import(model, &options)?;
    let graph = pipeline::after_pass(&imported, &machine.machine, &options, pass)?;
    console.print(&text::to_text(&graph))
}

/// The binary, and what `--emit` asks for.
fn write_program(args: &Args, built: &Built, console: &Console) -> Result<(), Failure> {
    let program = &built.compiled.program;
    let is_binary = |path: &Path| path.extension().is_some_and(|extension| extension == "sysb");
    let assembly_file = args.output.as_deref().filter(|path| args.emit == Some(Stage::Asm) && !is_binary(path));
    let bytes = if args.output.is_some() || args.report_args.out.is_some() { program.to_bytes() } else { vec![] };
    if let Some(directory) = &args.report_args.out {
        files::write(&directory.join(PROGRAM), &bytes)?;
    }
    if let Some(path) = assembly_file {
        files::write(path, disassemble(program).as_bytes())?;
    } else if let Some(path) = &args.output {
        files::write(path, &bytes)?;
    }
    if let Some(path) = &args.output {
        console.note(&format!(
            "{} instructions for {} layers written to {}",
            program.instructions.len(),
            program.layers.len(),
            path.display()
        ));
    }
    match args.emit {
        Some(stage) if assembly_file.is_none() => console.print(&stage_text(stage, built)),
        _ => Ok(()),
    }
}

fn write_report(args: &Args, model: &str, mut built: Built, console: &Console) -> Result<(), Failure> {
    let (program, machine) = (&built.compiled.program, &built.machine.machine);
    let timing = timed(&mut built.seconds.timing, || time(program, machine, Engine::Fast))?;
    halted(&timing, program)?;
    let subject = Subject {
        program,
        machine,
        timing: &timing,
        model_source: model,
        hardware_source: &built.machine.source,
        seed: args.model_args.seed.seed,
    };
    let report = report(&subject, None, built.seconds);
    args.report_args.write(&report)?;
    if args.report_args.format == Format::Json { args.report_args.print(&report, console) } else { Ok(()) }
}
