//! The comparison notices a wrong RTL: one wrong rule at a time, each must be caught.

mod machines;
mod programs;

use systole_machine::spec::{Dataflow, Machine};
use systole_rtl_cosim::{Edit, compare_edited, tools};
use systole_simulator::contract::Job;

/// What is wrong, with which dataflow it shows, the machine, the edit.
const MUTANTS: [(&str, Dataflow, &str, Edit<'static>); 5] = [
    (
        "the shadow register is taken over a vector late",
        Dataflow::WeightStationary,
        "a column",
        ("systole_pe.sv", "assign staying = first_in ? shadow : active;", "assign staying = active;"),
    ),
    (
        "the skew is a cycle a row whatever L",
        Dataflow::InputStationary,
        "a column",
        ("systole_grid.sv", ".DEPTH(r * LATENCY)", ".DEPTH(r)"),
    ),
    (
        "padding at the right is read",
        Dataflow::WeightStationary,
        "one PE",
        ("systole_addresses.sv", "at >= 0 && at < row_bytes", "at >= 0"),
    ),
    (
        "sums wrap where they should clamp",
        Dataflow::OutputStationary,
        "a column",
        ("systole_add.sv", "assign sum = fits ? exact", "assign sum = fits || 1 ? exact"),
    ),
    (
        "a fold's last step comes too early for the drain",
        Dataflow::OutputStationary,
        "a column",
        ("systole_sequencer.sv", "SHADOWED ? since_last_step", "SHADOWED ? 1 + since_last_step"),
    ),
];

fn caught(machine: &Machine, dataflow: Dataflow, edit: Edit<'_>) -> Option<String> {
    (0..60).find_map(|seed| {
        let program = programs::program(machine, dataflow, seed);
        let job = Job { machine, instructions: &program.instructions, dram_bytes: program.dram.len() as u64 };
        assert!(program.runs > 0 && program.tiles > 0);
        compare_edited(&job, &[(0, &program.dram)], 10_000_000, &[edit]).expect("a model").difference
    })
}

#[test]
fn a_wrong_rtl_is_caught() {
    if !tools(&["verilator", "g++"]).present("that a wrong RTL is noticed") {
        return;
    }
    let machines = machines::all();
    for (what, dataflow, name, edit) in MUTANTS {
        let machine = &machines.iter().find(|machine| machine.0 == name).expect("a machine").1;
        let difference = caught(machine, dataflow, edit);
        assert!(difference.is_some(), "not noticed: {what}");
        println!("{what}: {}", difference.unwrap_or_default());
    }
}
