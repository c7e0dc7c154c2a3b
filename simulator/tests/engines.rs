//! The two engines agree on every program: outcome, trap, start and end of every instruction, cycles of every cause, bytes on the bus, memories.
//!
//! `SYSTOLE_PROGRAMS` random programs (10 000 without it) from the seed `SYSTOLE_SEED` (1) on. What the programs reach is counted, and a run that misses a
//! kind of event fails too: agreement on what never happened proves nothing.

#[path = "engines/counted.rs"]
mod counted;
#[path = "engines/invariants.rs"]
mod invariants;

use std::panic::{AssertUnwindSafe, catch_unwind};

use rayon::prelude::*;
use systole_machine::isa::Instruction;
use systole_simulator::compare::{Run, compare, compare_timing, lockstep, shrink};
use systole_simulator::contract::{Job, Memories, Outcome, Timing};
use systole_simulator::generator::{Case, case};
use systole_simulator::{fast, reference};

use counted::Counted;

/// No generated program takes nearly as long.
const FUEL_CYCLES: u64 = 2_000_000;
/// Trials to make a failing program smaller.
const TRIALS: usize = 1500;
/// Failures shown in full.
const SHOWN: usize = 3;

#[test]
fn engines_agree_on_every_program() {
    let programs: u64 = environment("SYSTOLE_PROGRAMS", 10_000);
    let first: u64 = environment("SYSTOLE_SEED", 1) * 1_000_000;
    let results: Vec<(u64, Result<Counted, String>)> =
        (first..first + programs).into_par_iter().map(|seed| (seed, program(seed))).collect();
    let mut counted = Counted::default();
    let mut failures = Vec::new();
    for (seed, result) in results {
        match result {
            Ok(one) => counted.add(&one),
            Err(failure) => failures.push((seed, failure)),
        }
    }
    println!("{counted}");
    for (seed, failure) in failures.iter().take(SHOWN) {
        println!("{}", report(*seed, failure));
    }
    let summary: Vec<String> = failures.iter().map(|(seed, failure)| format!("seed {seed}: {failure}")).collect();
    assert!(failures.is_empty(), "{} of {programs} programs fail\n{}", failures.len(), summary.join("\n"));
    let missed = counted.missed(programs);
    assert!(missed.is_empty(), "never or hardly reached: {missed:#?}");
}

fn environment(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")),
        Err(_) => default,
    }
}

/// One program in both engines: what it reached, or how it failed.
fn program(seed: u64) -> Result<Counted, String> {
    let case = case(seed);
    let timing = check(&case, &case.instructions)?;
    if case.must_halt() && timing.outcome != Outcome::Halted {
        return Err(format!("a {:?} program must halt; both engines say {:?}", case.style, timing.outcome));
    }
    Ok(Counted::of(&case, &timing))
}

/// Both engines on these instructions of a case. An error is a failure of an engine.
fn check(case: &Case, instructions: &[Instruction]) -> Result<Timing, String> {
    let job = Job { machine: &case.machine, instructions, dram_bytes: case.dram_bytes };
    let image = case.image();
    let slow = guarded("reference", || reference::run_with_retires(&job, &image, FUEL_CYCLES, None))?;
    let quick = guarded("fast", || fast::run_with_retires(&job, &image))?;
    let slow: Run = slow.map_err(|error| format!("reference: {error}"))?;
    let quick: Run = quick.map_err(|error| format!("fast: {error}"))?;
    if let Some(divergence) = lockstep(instructions, &slow, &quick) {
        return Err(divergence.to_string());
    }
    invariants::check(&job, &slow.0)?;
    invariants::retires(&slow.0, &slow.2)?;
    // Without retires the fast engine does the same.
    let plain = guarded("fast::run", || fast::run(&job, &image))?.map_err(|error| format!("fast::run: {error}"))?;
    let slow: (Timing, Memories) = (slow.0, slow.1);
    if let Some(divergence) = compare(&slow, &plain) {
        return Err(format!("fast::run alone: {divergence}"));
    }
    let timed = guarded("fast::timing", || fast::timing(&job))?;
    if let Some(divergence) = compare_timing(&slow.0, &timed) {
        return Err(format!("fast::timing alone: {divergence}"));
    }
    Ok(slow.0)
}

fn guarded<T>(name: &str, run: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| text.to_string()));
        format!("{name} panicked: {}", text.unwrap_or_default())
    })
}

/// The failing program, as small as it gets.
fn report(seed: u64, failure: &str) -> String {
    let case = case(seed);
    let mut text = format!("=== seed {seed}, {:?}: {failure}\n", case.style);
    let small = shrink(&case.instructions, |part| check(&case, part).is_err(), TRIALS);
    let (now, listing) = match check(&case, &small) {
        Err(now) => (now, small),
        Ok(_) => (failure.to_owned(), case.instructions.clone()),
    };
    text += &format!("--- {} of {} instructions: {now}\n", listing.len(), case.instructions.len());
    text += &format!("{:?}\nDRAM {} bytes\n", case.machine, case.dram_bytes);
    for (index, instruction) in listing.iter().enumerate() {
        let Instruction { wait, signal, operation } = instruction;
        text += &format!("{index:4} wait {:04b} signal {:04b} {operation:?}\n", wait.0, signal.0);
    }
    text
}
