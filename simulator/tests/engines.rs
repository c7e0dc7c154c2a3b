//! The two engines agree on every program: outcome, trap, start and end of every instruction, cycles of every cause, bytes on the bus, memories.
//!
//! `SYSTOLE_PROGRAMS` random programs (10 000 without it) from the seed `SYSTOLE_SEED` (1) on. What the programs reach is counted, and a run that misses a
//! kind of event fails too: agreement on what never happened proves nothing. The comparison is at every retire: a failure names the first that differs.
//!
//! `long_run`, ignored otherwise, does the same with 200 000 programs (`SYSTOLE_PROGRAMS`) in portions, telling how far it is.

#[path = "engines/counted.rs"]
mod counted;
#[path = "engines/invariants.rs"]
mod invariants;
#[path = "engines/packed.rs"]
mod packed;
#[path = "engines/rarely.rs"]
mod rarely;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

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
/// Programs of a portion of the long run.
const PORTION: u64 = 5_000;
/// Failures shown in full.
const SHOWN: usize = 3;

#[test]
fn engines_agree_on_every_program() {
    let programs: u64 = environment("SYSTOLE_PROGRAMS", 10_000);
    agree(programs, programs);
}

#[test]
#[ignore = "an hour or so: the long run of CONTRIBUTING.md"]
fn long_run() {
    agree(environment("SYSTOLE_PROGRAMS", 200_000), PORTION);
}

/// Runs programs in portions; at the first portion with failures shows them and stops.
fn agree(programs: u64, portion: u64) {
    let first: u64 = environment("SYSTOLE_SEED", 1) * 1_000_000;
    let begin = Instant::now();
    let mut counted = Counted::default();
    let mut work = Work::default();
    for done in (0..programs).step_by(portion.max(1) as usize) {
        let portion = portion.min(programs - done);
        let seeds = first + done..first + done + portion;
        let results: Vec<(u64, Checked)> = seeds.into_par_iter().map(|seed| (seed, program(seed))).collect();
        let mut failures = Vec::new();
        for (seed, result) in results {
            match result {
                Ok((one, did)) => {
                    counted.add(&one);
                    work.add(&did);
                }
                Err(failure) => failures.push((seed, failure)),
            }
        }
        println!("{} of {programs} programs: {}", done + portion, work.report(begin.elapsed()));
        for (seed, failure) in failures.iter().take(SHOWN) {
            println!("{}", report(*seed, failure));
        }
        let summary: Vec<String> = failures.iter().map(|(seed, failure)| format!("seed {seed}: {failure}")).collect();
        assert!(failures.is_empty(), "{} of {portion} programs fail\n{}", failures.len(), summary.join("\n"));
    }
    println!("{counted}");
    let missed = counted.missed(programs);
    assert!(missed.is_empty(), "never or hardly reached: {missed:#?}");
}

/// What a program reached and what it took, or how it failed.
type Checked = Result<(Counted, Work), String>;

/// What was compared, and how long each engine took for it (over all threads).
#[derive(Default)]
struct Work {
    retires: u64,
    cycles: u64,
    reference: Duration,
    fast: Duration,
}

impl Work {
    fn add(&mut self, other: &Work) {
        self.retires += other.retires;
        self.cycles += other.cycles;
        self.reference += other.reference;
        self.fast += other.fast;
    }

    fn report(&self, elapsed: Duration) -> String {
        format!(
            "{} retires, {} cycles compared in {:.1} s (reference engine {:.1} s, fast engine {:.1} s)",
            self.retires,
            self.cycles,
            elapsed.as_secs_f64(),
            self.reference.as_secs_f64(),
            self.fast.as_secs_f64()
        )
    }
}

fn environment(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")),
        Err(_) => default,
    }
}

/// One program in both engines: what it reached, or how it failed.
fn program(seed: u64) -> Checked {
    let case = case(seed);
    let (timing, work) = check(&case, &case.instructions)?;
    if case.must_halt() && timing.outcome != Outcome::Halted {
        return Err(format!("a {:?} program must halt; both engines say {:?}", case.style, timing.outcome));
    }
    Ok((Counted::of(&case, &timing), work))
}

/// Both engines on these instructions of a case. An error is a failure of an engine.
fn check(case: &Case, instructions: &[Instruction]) -> Result<(Timing, Work), String> {
    let job = Job { machine: &case.machine, instructions, dram_bytes: case.dram_bytes };
    let image = case.image();
    let begin = Instant::now();
    let slow = guarded("reference", || reference::run_with_retires(&job, &image, FUEL_CYCLES, None))?;
    let reference = begin.elapsed();
    let begin = Instant::now();
    let quick = guarded("fast", || fast::run_with_retires(&job, &image))?;
    let fast = begin.elapsed();
    let slow: Run = slow.map_err(|error| format!("reference: {error}"))?;
    let quick: Run = quick.map_err(|error| format!("fast: {error}"))?;
    if let Some(divergence) = lockstep(instructions, &slow, &quick) {
        return Err(divergence.to_string());
    }
    invariants::check(&job, &slow.0)?;
    invariants::retires(&slow.0, &slow.2)?;
    let work = Work { retires: slow.2.len() as u64, cycles: slow.0.total_cycles, reference, fast };
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
    Ok((slow.0, work))
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
