//! Random convolutions on many machines: every value at every edge of the array, in every cycle, is the reference engine's.
//!
//! `SYSTOLE_RTL_RUNS=n` makes n programs a machine and dataflow instead of a few.

mod machines;
mod programs;

use std::collections::BTreeMap;

use systole_machine::spec::Dataflow;
use systole_rtl_cosim::{compare, tools};
use systole_simulator::contract::Job;

/// Programs of each machine and dataflow.
fn count() -> u64 {
    std::env::var("SYSTOLE_RTL_RUNS").ok().and_then(|text| text.parse().ok()).unwrap_or(12)
}

#[test]
fn every_edge_is_the_reference_engine_s() {
    if !tools(&["verilator", "g++"]).present("the RTL against the reference engine") {
        return;
    }
    let mut seen: BTreeMap<Dataflow, (u64, u64)> = BTreeMap::new();
    for (name, machine) in machines::all() {
        let mut cycles = 0;
        for &dataflow in &machine.array.dataflows {
            let total = seen.entry(dataflow).or_default();
            total.0 += 1;
            for seed in 0..count() {
                let program = programs::program(&machine, dataflow, seed);
                let job = Job {
                    machine: &machine,
                    instructions: &program.instructions,
                    dram_bytes: program.dram.len() as u64,
                };
                let lockstep = compare(&job, &[(0, &program.dram)], 10_000_000).expect("a model");
                assert_eq!(lockstep.difference, None, "machine {name}, {dataflow:?}, seed {seed}");
                assert_eq!(lockstep.runs, program.runs, "machine {name}, {dataflow:?}, seed {seed}");
                total.1 += program.tiles;
                cycles += lockstep.cycles;
            }
        }
        println!("{name}: {cycles} cycles equal");
    }
    for (dataflow, (machines, tiles)) in seen {
        println!("{dataflow:?}: {machines} machines, {tiles} tiles");
        assert!(machines >= 8 && tiles >= 200, "{dataflow:?}: {machines} machines, {tiles} tiles");
    }
}
