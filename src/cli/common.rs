//! Flags that several verbs have, and what follows from them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use systole_compiler::compile::Compiled;
use systole_compiler::passes::Quantised;

use super::console::{Console, Progress};
use crate::files;
use crate::pipeline::{self, Imported, ModelOptions, Seconds, timed};
use crate::problem::{Failure, Problem, not_available};
use crate::report::{Report, layers_csv, text};
use crate::source::{self, DEFAULT_MACHINE, LoadedMachine};

/// Flags about the model and the machine.
#[derive(Debug, clap::Args)]
pub(super) struct ModelArgs {
    /// A preset (`systole hw list`) or a YAML file
    #[arg(long, default_value = DEFAULT_MACHINE)]
    pub(super) hw: String,
    /// Images per run
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    batch: Option<usize>,
    /// Shape of an input, for example `data=1x3x299x299`
    #[arg(long = "shape", value_name = "NAME=DIMS", value_parser = parse_shape)]
    shapes: Vec<(String, Vec<usize>)>,
    /// Images to calibrate a float model with (default: 8 seeded ones)
    #[arg(long, value_name = "F.npz")]
    calibration: Option<PathBuf>,
    /// What becomes of operators without an integer rule
    #[arg(long, value_enum, default_value_t = FloatIslands::Run, value_name = "HOW")]
    float_islands: FloatIslands,
    #[command(flatten)]
    pub(super) seed: SeedArg,
}

/// The seed.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct SeedArg {
    /// Seed of weights and inputs that no file gives
    #[arg(long, default_value_t = 0, value_name = "S", allow_negative_numbers = true)]
    pub(super) seed: u64,
}

/// What becomes of float islands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum FloatIslands {
    /// In single precision on the vector unit
    Run,
    /// As integers (not available in this version)
    Quantise,
    /// An error that names each
    Refuse,
}

fn parse_shape(text: &str) -> Result<(String, Vec<usize>), String> {
    let (name, dims) = text.rsplit_once('=').ok_or("expected NAME=DIMS, for example data=1x3x224x224")?;
    let dims: Result<Vec<usize>, _> = dims.split('x').map(str::parse).collect();
    match dims {
        Ok(dims) if !name.is_empty() && !dims.contains(&0) => Ok((name.to_owned(), dims)),
        _ => Err("expected positive numbers with `x` between them, for example data=1x3x224x224".into()),
    }
}

impl ModelArgs {
    /// The options of the pipeline.
    ///
    /// # Errors
    /// What is not built.
    pub(super) fn options(&self) -> Result<ModelOptions, Failure> {
        match self.float_islands {
            FloatIslands::Run | FloatIslands::Refuse => {}
            FloatIslands::Quantise => return Err(not_available("`--float-islands quantise`")),
        }
        let mut shapes = BTreeMap::new();
        for (name, dims) in &self.shapes {
            if shapes.insert(name.clone(), dims.clone()).is_some() {
                return Err(Problem::new(format!("`--shape` is given twice for `{name}`")).into());
            }
        }
        Ok(ModelOptions {
            batch: self.batch,
            shapes,
            calibration: self.calibration.clone(),
            seed: self.seed.seed,
            refuse_float_islands: self.float_islands == FloatIslands::Refuse,
        })
    }
}

/// Flags about where results go.
#[derive(Debug, clap::Args)]
pub(super) struct ReportArgs {
    /// Writes report.json and layers.csv there
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// What is printed; `json` is report.json
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
}

/// What is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

impl ReportArgs {
    /// Fails before long work where results could not be written after it.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub(super) fn prepare(&self) -> Result<(), Failure> {
        self.out.as_deref().map_or(Ok(()), files::prepare_directory)
    }

    /// Whether somebody wants a report.
    pub(super) fn wanted(&self) -> bool {
        self.out.is_some() || self.format == Format::Json
    }

    /// Writes the files.
    ///
    /// # Errors
    /// A file cannot be written.
    pub(super) fn write(&self, report: &Report) -> Result<(), Failure> {
        let Some(directory) = &self.out else { return Ok(()) };
        files::write(&directory.join("report.json"), json(report)?.as_bytes())?;
        files::write(&directory.join("layers.csv"), layers_csv(report).as_bytes())
    }

    /// Prints the report.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub(super) fn print(&self, report: &Report, console: &Console) -> Result<(), Failure> {
        match self.format {
            Format::Json => console.print(&json(report)?),
            Format::Text if console.quiet => console.print(&text::headline(report)),
            Format::Text => console.print(&text::render(report, console.verbose)),
        }
    }
}

fn json(report: &Report) -> Result<String, Failure> {
    report
        .to_json()
        .map_err(|error| Problem::new("the report cannot be written as JSON").because(error.to_string()).into())
}

/// A model compiled for a machine.
pub(super) struct Built {
    pub(super) machine: LoadedMachine,
    pub(super) imported: Imported,
    pub(super) quantised: Quantised,
    pub(super) compiled: Compiled,
    pub(super) seconds: Seconds,
}

/// Steps that [`build`] takes on a progress bar.
pub(super) const BUILD_STEPS: u64 = 3;

/// Imports, quantises and compiles; with `real` numbers or for timing alone.
///
/// # Errors
/// Whatever is wrong with model or machine.
pub(super) fn build(model: &str, args: &ModelArgs, real: bool, progress: &mut Progress) -> Result<Built, Failure> {
    let options = args.options()?;
    let machine = source::machine(&args.hw)?;
    let mut seconds = Seconds::default();
    progress.step("reading the model");
    let imported = timed(&mut seconds.import, || pipeline::import(model, &options))?;
    progress.step(if real { "calibrating, quantising" } else { "quantising" });
    let quantised = timed(&mut seconds.compile, || pipeline::quantise(&imported, &machine.machine, &options, real))?;
    progress.step("compiling");
    let compiled =
        timed(&mut seconds.compile, || pipeline::compile_model(&imported, &quantised, &machine.machine, real))?;
    Ok(Built { machine, imported, quantised, compiled, seconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_read_or_refused() {
        assert_eq!(parse_shape("in=put=1x3x4"), Ok(("in=put".into(), vec![1, 3, 4])));
        for bad in ["data", "data=", "=1x2", "data=1x0", "data=1xx2", "data=-1x2"] {
            assert!(parse_shape(bad).is_err(), "{bad}");
        }
    }
}
