//! The command line: one file a verb, and what they share in `common` and `console`.
//!
//! What the interface names and this version does not have exists here too, and is refused by name.

mod asm;
mod common;
mod compile;
mod console;
mod disasm;
mod emit;
mod estimate;
mod golden;
mod hw;
mod outcome;
mod simulate;
mod verify;
mod zoo;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use crate::problem::{Failure, Problem, not_available};
use console::{Console, Ui};

/// Simulator and reference compiler for CNN accelerators: how fast, starved by what, and is it still right.
#[derive(Debug, Parser)]
#[command(name = "systole", version, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    ui: Ui,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Latency, utilisation, bandwidths and energy of a network on a machine, without computing any tensor
    Estimate(estimate::Args),
    /// Network to program
    Compile(compile::Args),
    /// Runs a program: data and time
    Simulate(simulate::Args),
    /// Compiles, simulates and compares with the CPU reference, element by element
    Verify(verify::Args),
    /// The CPU reference's tensors
    Golden(golden::Args),
    /// Assembly to program
    Asm(asm::Args),
    /// Program to assembly
    Disasm(disasm::Args),
    /// The built-in networks
    Zoo(zoo::Args),
    /// Machines: presets, checks, derived figures
    Hw(hw::Args),
    /// Many machines at once (not available in this version)
    Sweep(NotBuilt),
    /// What changed between two reports (not available in this version)
    Diff(NotBuilt),
}

/// Arguments of a verb that is not built: any.
#[derive(Debug, clap::Args)]
struct NotBuilt {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    _rest: Vec<OsString>,
}

/// Parses the process's arguments, runs the verb, and gives the exit code of the interface.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Where nobody listens there is nobody to tell.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = write!(anstream::stderr(), "{}", failure.render());
            ExitCode::from(failure.exit_code())
        }
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    let console = Console::new(&cli.ui);
    if let Some(threads) = cli.ui.threads {
        set_threads(threads)?;
    }
    match cli.verb {
        Verb::Estimate(args) => estimate::run(&args, &console),
        Verb::Compile(args) => compile::run(&args, &console),
        Verb::Simulate(args) => simulate::run(&args, &console),
        Verb::Verify(args) => verify::run(&args, &console),
        Verb::Golden(args) => golden::run(&args, &console),
        Verb::Asm(args) => asm::run(&args, &console),
        Verb::Disasm(args) => disasm::run(&args, &console),
        Verb::Zoo(args) => zoo::run(&args, &console),
        Verb::Hw(args) => hw::run(&args, &console),
        Verb::Sweep(_) => Err(not_available("the verb `sweep`")),
        Verb::Diff(_) => Err(not_available("the verb `diff`")),
    }
}

fn set_threads(threads: usize) -> Result<(), Failure> {
    /// More would only cost memory.
    const MOST: usize = 1024;
    if !(1..=MOST).contains(&threads) {
        return Err(Problem::new(format!("`--threads {threads}` is out of range"))
            .help(format!("give 1 to {MOST}"))
            .into());
    }
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .map_err(|error| Problem::new("the threads cannot be started").because(error.to_string()).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
