//! `systole simulate`: runs a program file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use systole_machine::program::{Program, Role};
use systole_machine::spec::Machine;
use systole_simulator::contract::{Memories, Timing, Trace};

use super::common::{ReportArgs, SeedArg};
use super::console::Console;
use super::outcome::halted;
use crate::pipeline::{self, Engine, Seconds, timed};
use crate::problem::{Failure, Problem};
use crate::report::build::{Subject, report};
use crate::tensors::{self, Array, Port};
use crate::waves::{self, Source};
use crate::{files, source};

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The program: what `systole compile` or `systole asm` wrote
    program: PathBuf,
    /// Inputs: `.npz` by tensor name, or `.npy` for a single input (default: seeded)
    #[arg(long, value_name = "F", conflicts_with = "timing_only")]
    input: Option<PathBuf>,
    /// Writes the outputs
    #[arg(long, value_name = "F.npz", conflicts_with = "timing_only")]
    output: Option<PathBuf>,
    /// Time alone: no tensor is computed
    #[arg(long)]
    timing_only: bool,
    /// Which simulator
    #[arg(long, value_enum, default_value_t = Engine::Fast)]
    engine: Engine,
    /// Writes waves for GTKWave or Surfer (docs/waves.md)
    #[arg(long, value_name = "F")]
    fst: Option<PathBuf>,
    /// Waves with the registers of the PEs; needs `--engine reference`
    #[arg(long, requires = "fst", conflicts_with = "timing_only")]
    fst_pe: bool,
    #[command(flatten)]
    seed: SeedArg,
    #[command(flatten)]
    report_args: ReportArgs,
}

/// Runs the verb.
pub(super) fn run(args: &Args, console: &Console) -> Result<(), Failure> {
    if args.fst_pe && args.engine != Engine::Reference {
        return Err(Problem::new("only the reference engine has the registers of PEs that `--fst-pe` asks for")
            .help("add `--engine reference`, or leave `--fst-pe` out: all other signals are the same from both engines")
            .into());
    }
    args.report_args.prepare()?;
    args.fst.as_deref().map_or(Ok(()), files::check_writable)?;
    args.output.as_deref().map_or(Ok(()), files::check_archive)?;
    let place = args.program.display().to_string();
    let program = read_program(&args.program)?;
    if program.machine_yaml.trim().is_empty() {
        return Err(Problem::new("this program states no machine to run on")
            .at(place)
            .help("in assembly, the machine's YAML stands below `.machine` (docs/assembly.md)")
            .into());
    }
    let machine = source::parse_machine(&program.machine_yaml, &format!("{place} (its machine)"))?;
    let mut seconds = Seconds::default();
    let mut progress = console.progress(1 + u64::from(args.fst.is_some()));
    progress.step("simulating");
    let inputs = inputs(args, &program, console)?;
    let (timing, trace, memories) = execute(args, &program, &machine, &inputs, &mut seconds)?;
    if let Some(path) = &args.fst {
        // Before the outcome is judged: a run that gets stuck is the one to look at.
        progress.step("writing waves");
        let source = Source { program: &program, machine: &machine, timing: &timing, trace: &trace };
        if args.fst_pe {
            waves::write_with_registers(path, source, |probe| {
                pipeline::probed_run(&program, &machine, &inputs, probe)
            })?;
        } else {
            waves::write(path, source)?;
        }
    }
    drop(progress);
    halted(&timing, &program)?;
    if let (Some(path), Some(memories)) = (&args.output, memories) {
        tensors::write(path, &outputs(&program, &memories.dram)?)?;
    }
    let subject = Subject {
        program: &program,
        machine: &machine,
        timing: &timing,
        model_source: &place,
        hardware_source: &place,
        seed: args.seed.seed,
    };
    let report = report(&subject, None, seconds);
    args.report_args.write(&report)?;
    args.report_args.print(&report, console)
}

fn execute(
    args: &Args,
    program: &Program,
    machine: &Machine,
    inputs: &[Vec<u8>],
    seconds: &mut Seconds,
) -> Result<(Timing, Trace, Option<Memories>), Failure> {
    let waves = args.fst.is_some();
    if args.timing_only {
        let run = || match waves {
            true => pipeline::traced_time(program, machine, args.engine),
            false => pipeline::time(program, machine, args.engine).map(|timing| (timing, Trace::default())),
        };
        let (timing, trace) = timed(&mut seconds.timing, run)?;
        return Ok((timing, trace, None));
    }
    let run = || match waves {
        true => pipeline::traced_run(program, machine, inputs, args.engine),
        false => pipeline::run(program, machine, inputs, args.engine)
            .map(|(timing, memories)| (timing, Trace::default(), memories)),
    };
    let (timing, trace, memories) = timed(&mut seconds.data, run)?;
    Ok((timing, trace, Some(memories)))
}

/// The bytes of each input; none where nobody computes with them.
fn inputs(args: &Args, program: &Program, console: &Console) -> Result<Vec<Vec<u8>>, Failure> {
    if args.timing_only {
        return Ok(vec![]);
    }
    let ports: Vec<Port> = program.tensors.iter().filter(|entry| entry.role == Role::Input).map(Port::from).collect();
    let (inputs, seeded) = pipeline::input_bytes(&ports, args.input.as_deref(), args.seed.seed)?;
    if !seeded.is_empty() {
        console.note(&format!("no file gives {}: seeded with {}", seeded.join(", "), args.seed.seed));
    }
    Ok(inputs)
}

/// Reads a program file.
///
/// # Errors
/// No program, or a damaged one.
pub(super) fn read_program(path: &Path) -> Result<Program, Failure> {
    Program::from_bytes(&files::read(path)?).map_err(|error| {
        Problem::new("this is not a program that can be run")
            .at(path.display().to_string())
            .because(error.to_string())
            .into()
    })
}

/// The outputs as integers under their names, and as floats under the model's float names where those differ.
fn outputs(program: &Program, dram: &[u8]) -> Result<BTreeMap<String, Array>, Failure> {
    let mut arrays = BTreeMap::new();
    for entry in program.tensors.iter().filter(|entry| entry.role == Role::Output) {
        let bytes = tensors::gather(entry, dram)
            .ok_or_else(|| Failure::from(Problem::new(format!("output `{}` lies outside DRAM", entry.name))))?;
        insert_output(&mut arrays, &Port::from(entry), bytes);
    }
    Ok(arrays)
}

/// See [`outputs`].
pub(super) fn insert_output(arrays: &mut BTreeMap<String, Array>, port: &Port, bytes: Vec<u8>) {
    if let Some(float_name) = port.float_name.as_ref().filter(|name| **name != port.name) {
        let value = systole_golden::Value::F32(port.dequantise(&bytes));
        arrays.insert(float_name.clone(), Array { shape: port.shape.clone(), value });
    }
    arrays.insert(port.name.clone(), port.array(bytes));
}
