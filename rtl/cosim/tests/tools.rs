//! What other tools say of the files that `hw rtl` writes: yosys reads and checks them, verilator runs the testbench.

mod machines;

use std::path::Path;
use std::process::{Command, Output};

use systole_machine::spec::{Dataflow, Machine};
use systole_rtl::TOP;
use systole_rtl_cosim::tools;

/// Writes all files of a machine.
fn written(machine: &Machine, folder: &Path) -> Vec<&'static str> {
    let files = systole_rtl::files(machine).expect("a machine that the RTL models");
    files.iter().for_each(|file| std::fs::write(folder.join(file.name), &file.text).expect("writable"));
    let sources = files.iter().map(|file| file.name).filter(|name| name.ends_with(".sv"));
    sources.filter(|name| *name != "systole_testbench.sv").collect()
}

fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Reads the design, and fails on what `check` finds, and on latches.
fn yosys(machine: &Machine, sabotage: &str) -> Output {
    let folder = tempfile::tempdir().expect("a directory");
    let sources = written(machine, folder.path());
    let top = folder.path().join("systole_top.sv");
    let text = std::fs::read_to_string(&top)
        .expect("readable")
        .replace("  systole_types::run_t run;\n", &format!("  systole_types::run_t run;\n{sabotage}"));
    std::fs::write(&top, text).expect("writable");
    let script = format!(
        "read_verilog -sv {}; hierarchy -check -top {TOP}; proc; check -assert; select -assert-none t:$dlatch t:$_DLATCH_*",
        sources.join(" ")
    );
    Command::new("yosys").current_dir(folder.path()).args(["-q", "-p", &script]).output().expect("yosys starts")
}

#[test]
fn yosys_reads_every_machine_without_errors_or_latches() {
    if !tools(&["yosys"]).present("the RTL with yosys") {
        return;
    }
    let mut all = machines::all();
    // Grids that a machine does not have are not there.
    for dataflow in [Dataflow::WeightStationary, Dataflow::OutputStationary] {
        let mut machine = all[1].1.clone();
        machine.array.dataflows = vec![dataflow];
        all.push(("one dataflow", machine));
    }
    for (name, machine) in &all {
        let output = yosys(machine, "");
        assert!(output.status.success(), "{name}: {}", told(&output));
    }
    // The test can fail: a latch, and two drivers.
    for sabotage in ["  logic latched;\n  always @* if (start) latched = reset;\n", "  assign ready = start;\n"] {
        assert!(!yosys(&all[1].1, sabotage).status.success(), "{sabotage}");
    }
}

#[test]
fn the_testbench_passes() {
    if !tools(&["verilator", "g++"]).present("the testbench of the RTL") {
        return;
    }
    for (name, machine) in machines::all().into_iter().filter(|(name, _)| ["4 x 4", "slow"].contains(name)) {
        let folder = tempfile::tempdir().expect("a directory");
        let sources = written(&machine, folder.path());
        let mut verilator = Command::new("verilator");
        verilator.current_dir(folder.path()).args(["--binary", "-Wno-fatal", "-O0", "--top", "systole_testbench"]);
        let built = verilator.args(sources).arg("systole_testbench.sv").output().expect("verilator starts");
        assert!(built.status.success(), "{name}: {}", told(&built));
        let run =
            Command::new(folder.path().join("obj_dir/Vsystole_testbench")).output().expect("the testbench starts");
        let told = told(&run);
        assert!(
            run.status.success() && told.contains("PASSED") && told.matches("sums compared").count() == 3,
            "{name}: {told}"
        );
    }
}
