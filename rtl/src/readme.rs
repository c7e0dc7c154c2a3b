//! The page beside the generated files.

use std::fmt::Write;

use systole_machine::spec::Machine;

use super::top::{Parameters, stated};

/// Its text.
pub(crate) fn text(machine: &Machine, p: &Parameters, names: &[&str]) -> String {
    let mut out = format!(
        "# The array of `{}` in SystemVerilog\n\n\
         {} × {} PEs, {} product(s) each, sums of {} bits. The top is `systole_top`; its behaviour, cycle by cycle, is that of Systole's `docs/timing.md` (T-5) and \
         `docs/machine.md` (M-5), and is compared with Systole's reference engine there.\n\n",
        machine.name, p.rows, p.columns, p.products, p.word_bits
    );
    out += "Parameters of `systole_array`, from the machine's file:\n\n| parameter | value |\n|---|---|\n";
    for (name, value) in stated(p) {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "| `{name}` | {value} |");
    }
    out += "\nThe files, in the order in which a tool should read them:\n\n```text\n";
    for name in names {
        let _ = writeln!(out, "{name}");
    }
    out += "```\n\n`systole_testbench.sv` runs one convolution for each dataflow of the machine, and compares all sums and the number of cycles:\n\n```sh\n";
    let _ =
        writeln!(out, "verilator --binary -Wno-fatal --top systole_testbench {} systole_testbench.sv", names.join(" "));
    out += "./obj_dir/Vsystole_testbench\n```\n\n";
    out += include_str!("ports.md");
    out
}
