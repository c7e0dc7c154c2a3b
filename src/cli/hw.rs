//! `systole hw`: presets, checks, derived figures, schema and a file to start from.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use systole_machine::config::{self, Derived};
use systole_machine::spec::Machine;

use super::common::Format;
use super::console::Console;
use crate::files;
use crate::problem::{Failure, Problem, not_available};
use crate::report::text::grouped;
use crate::source;

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// The presets
    List,
    /// All errors of a file at once
    Check {
        /// A preset or a YAML file
        hw: String,
    },
    /// Derived figures
    Show {
        /// A preset or a YAML file
        hw: String,
        /// What is printed
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// JSON Schema of the file
    Schema,
    /// A commented YAML to start from
    Init {
        /// The file (default: standard output)
        #[arg(short, long, value_name = "F.yaml")]
        output: Option<PathBuf>,
    },
    /// SystemVerilog of the array, with a testbench
    Rtl {
        /// A preset or a YAML file
        hw: String,
        /// Directory for the files
        #[arg(short = 'o', long = "out", value_name = "DIR")]
        output: PathBuf,
    },
}

/// Runs the verb.
pub(super) fn run(args: &Args, console: &Console) -> Result<(), Failure> {
    match &args.action {
        Action::List => list(console),
        Action::Check { hw } => {
            let loaded = source::machine(hw)?;
            console.print(&format!("{hw}: machine `{}` is fine\n", loaded.machine.name))
        }
        Action::Show { hw, format } => show(hw, *format, console),
        Action::Schema => console.print(&(config::schema_json().trim_end().to_owned() + "\n")),
        Action::Init { output: None } => console.print(&config::init_yaml()),
        Action::Init { output: Some(path) } => files::write(path, config::init_yaml().as_bytes()),
        Action::Rtl { hw, output } => rtl(hw, output, console),
    }
}

/// All files or none.
fn rtl(hw: &str, output: &Path, console: &Console) -> Result<(), Failure> {
    let machine = source::machine(hw)?.machine;
    let made = systole_rtl::files(&machine).map_err(|error| not_available(&format!("the RTL of {error}")))?;
    files::prepare_directory(output)?;
    let contents: Vec<(&str, &[u8])> = made.iter().map(|file| (file.name, file.text.as_bytes())).collect();
    files::write_all(output, &contents)?;
    let out = output.display();
    console.print(&format!("{} files in {out}: the top is `{}`, see {out}/README.md\n", made.len(), systole_rtl::TOP))
}

fn list(console: &Console) -> Result<(), Failure> {
    let mut out = String::new();
    for (name, _) in config::presets() {
        let machine = source::machine(name)?.machine;
        let derived = config::derived(&machine);
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "{name:<18} {} x {} at {} MHz, {:.2} TOPS, DRAM {}",
            machine.array.rows,
            machine.array.columns,
            machine.clock_hz as f64 / 1e6,
            derived.peak_tops,
            dram(&machine, &derived)
        );
    }
    console.print(&out)
}

fn dram(machine: &Machine, derived: &Derived) -> String {
    match derived.dram_bytes_per_cycle {
        Some(bytes) => format!("{:.2} GB/s", bytes * machine.clock_hz as f64 / 1e9),
        None => "ideal".into(),
    }
}

fn show(hw: &str, format: Format, console: &Console) -> Result<(), Failure> {
    let machine = source::machine(hw)?.machine;
    let derived = config::derived(&machine);
    match format {
        Format::Json => {
            let text = serde_json::to_string_pretty(&json(&machine, &derived));
            let text = text.map_err(|error| Failure::from(Problem::new(error.to_string())))?;
            console.print(&(text + "\n"))
        }
        Format::Text => {
            console.print(&figures(&machine, &derived))?;
            if console.verbose { console.print(&format!("\n{}", config::to_yaml(&machine))) } else { Ok(()) }
        }
    }
}

fn figures(machine: &Machine, derived: &Derived) -> String {
    let mut out = format!("\x1b[1m{}\x1b[0m\n", machine.name);
    let mut line = |name: &str, text: String| {
        let _ = writeln!(out, "  {name:<14} {text}");
    };
    line(
        "peak",
        format!(
            "{:.3} TOPS (a MAC is two operations), {} MACs a cycle at {} MHz",
            derived.peak_tops,
            derived.peak_macs_per_cycle,
            machine.clock_hz as f64 / 1e6
        ),
    );
    line("DRAM", dram(machine, derived));
    line(
        "ridge point",
        derived
            .ridge_point_macs_per_byte
            .map_or("none: DRAM never limits".into(), |ridge| format!("{ridge:.2} MACs a byte")),
    );
    for buffer in &derived.buffers {
        let text = format!(
            "{} bytes = {} banks of {}, {} bytes a cycle",
            grouped(buffer.capacity_bytes),
            buffer.banks,
            grouped(buffer.bank_bytes),
            grouped(buffer.bytes_per_cycle)
        );
        line(buffer.name, text);
        line("", format!("{} {} of {} bytes", grouped(buffer.units), buffer.unit, grouped(buffer.unit_bytes)));
    }
    line("FPGA, about", format!("{} DSP, {} BRAM36", derived.fpga.dsp, derived.fpga.bram36));
    derived.fpga.assumption.split("; ").for_each(|each| line("", each.to_owned()));
    out
}

fn json(machine: &Machine, derived: &Derived) -> serde_json::Value {
    let buffers: Vec<serde_json::Value> = derived
        .buffers
        .iter()
        .map(|buffer| {
            serde_json::json!({
                "name": buffer.name, "capacity_bytes": buffer.capacity_bytes, "banks": buffer.banks, "bank_bytes": buffer.bank_bytes,
                "bytes_per_cycle": buffer.bytes_per_cycle, "unit": buffer.unit, "unit_bytes": buffer.unit_bytes, "units": buffer.units
            })
        })
        .collect();
    serde_json::json!({
        "name": machine.name, "clock_mhz": machine.clock_hz as f64 / 1e6, "peak_macs_per_cycle": derived.peak_macs_per_cycle,
        "peak_tops": derived.peak_tops, "dram_bytes_per_cycle": derived.dram_bytes_per_cycle,
        "ridge_point_macs_per_byte": derived.ridge_point_macs_per_byte, "buffers": buffers,
        "fpga": {"dsp": derived.fpga.dsp, "bram36": derived.fpga.bram36, "assumption": derived.fpga.assumption}
    })
}
