//! `systole asm`: assembly to program.

use std::path::PathBuf;

use systole_machine::isa::assembler::assemble;

use super::console::Console;
use crate::files;
use crate::problem::{Failure, Problem};

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Assembly (docs/assembly.md); `-` is standard input
    source: PathBuf,
    /// The program
    #[arg(short, long, value_name = "P.sysb")]
    output: PathBuf,
}

/// Runs the verb.
pub(super) fn run(args: &Args, console: &Console) -> Result<(), Failure> {
    let (text, path) = match args.source.to_str() {
        Some("-") => (files::read_standard_input()?, "standard input".to_owned()),
        _ => (files::read_text(&args.source)?, args.source.display().to_string()),
    };
    let program = assemble(&text).map_err(|errors| {
        Failure::Input(errors.iter().map(|error| Problem::Rendered(error.render(&text, &path))).collect())
    })?;
    files::write(&args.output, &program.to_bytes())?;
    console.note(&format!("{} instructions written to {}", program.instructions.len(), args.output.display()));
    Ok(())
}
