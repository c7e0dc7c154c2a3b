//! `systole disasm`: program to assembly.

use std::path::PathBuf;

use systole_machine::isa::assembler::disassemble;

use super::console::Console;
use super::simulate::read_program;
use crate::files;
use crate::problem::Failure;

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The program: what `systole compile` or `systole asm` wrote
    program: PathBuf,
    /// The text (default: standard output)
    #[arg(short, long, value_name = "F.s")]
    output: Option<PathBuf>,
}

/// Runs the verb.
pub(super) fn run(args: &Args, console: &Console) -> Result<(), Failure> {
    let text = disassemble(&read_program(&args.program)?);
    match &args.output {
        Some(path) => files::write(path, text.as_bytes()),
        None => console.print(&text),
    }
}
