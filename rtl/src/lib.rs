//! SystemVerilog of a machine's array: the modules in `sv/`, a top with the machine's parameters, a testbench and a page that explains them.
//!
//! The modules are written from `docs/timing.md` T-5, `docs/machine.md` M-5 and `docs/numerics.md` N-20; the crate `cosim` compares them with the reference
//! engine. Here is text only: nothing is run.

mod readme;
mod run;
mod testbench;
mod timing;
mod top;

pub use run::Run;
pub use timing::{drain_cycles, run_cycles, step_cycles, tile_row_cycles};
pub use top::{OPERAND_BITS, Parameters};

use systole_machine::spec::Machine;

/// A file of the RTL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its name.
    pub name: &'static str,
    /// Its text.
    pub text: String,
}

/// What the RTL does not model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    /// One memory for both operands has loads of its own in T-5.
    #[error("a unified scratchpad (`buffers.unified`)")]
    Unified,
    /// Arrays share their accumulators (M-1).
    #[error("{0} arrays that share their accumulators (`array.count`)")]
    Arrays(u32),
}

macro_rules! modules {
    ($($name:literal),+ $(,)?) => {
        /// The modules, in an order in which they can be read: the package first.
        const MODULES: &[(&str, &str)] = &[$(($name, include_str!(concat!("../sv/", $name)))),+];
    };
}
modules![
    "systole_types.sv",
    "systole_delay.sv",
    "systole_dot.sv",
    "systole_add.sv",
    "systole_pe.sv",
    "systole_grid.sv",
    "systole_output_pe.sv",
    "systole_drain.sv",
    "systole_output_grid.sv",
    "systole_pixels.sv",
    "systole_next_chunk.sv",
    "systole_next_fold.sv",
    "systole_addresses.sv",
    "systole_operands.sv",
    "systole_sequencer.sv",
    "systole_accumulators.sv",
    "systole_array.sv",
];

/// Name of the top module.
pub const TOP: &str = "systole_top";

/// The synthesizable files, in an order in which they can be read; the last is the top.
///
/// # Errors
/// The machine has something that the RTL does not model.
pub fn design(machine: &Machine) -> Result<Vec<File>, Unsupported> {
    let parameters = Parameters::of(machine)?;
    let mut files: Vec<File> = MODULES.iter().map(|(name, text)| File { name, text: (*text).to_owned() }).collect();
    files.push(File { name: "systole_top.sv", text: top::text(&parameters) });
    Ok(files)
}

/// All files: the design, the testbench, `README.md`.
///
/// # Errors
/// As [`design`].
pub fn files(machine: &Machine) -> Result<Vec<File>, Unsupported> {
    let mut files = design(machine)?;
    let names: Vec<&str> = files.iter().map(|file| file.name).collect();
    let readme = readme::text(machine, &Parameters::of(machine)?, &names);
    files.push(File { name: "systole_testbench.sv", text: testbench::text(machine, &Parameters::of(machine)?) });
    files.push(File { name: "README.md", text: readme });
    Ok(files)
}
