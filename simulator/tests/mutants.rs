//! The comparison of the engines finds wrong rules: each mutant of the fast engine differs from the reference engine on one of the random programs.
//!
//! `SYSTOLE_MUTANTS` mutants, spread over the list (all without it) of those whose names begin with `SYSTOLE_MUTANT`, each on at most `SYSTOLE_PROGRAMS` programs (100 000), the same as those of `engines`. Prints
//! the table of `docs/mutants.md`. Needs the feature `mutants`.

#[path = "tightness/harness.rs"]
#[expect(dead_code, reason = "only the machine and lines of assembly are used here")]
mod harness;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;
use systole_machine::isa::assembler::assemble;
use systole_simulator::compare::{Divergence, compare, lockstep};
use systole_simulator::contract::{Job, Memories, Timing};
use systole_simulator::fast::mutant::{Mutant, choose};
use systole_simulator::generator::{Case, case};
use systole_simulator::{fast, reference};

const FUEL_CYCLES: u64 = 2_000_000;
/// Seed of the first program.
const FIRST: u64 = 1_000_000;
/// Programs whose reference results are kept for all mutants.
const KEPT: u64 = 2_000;
/// Programs that run before the next look whether one was enough.
const STRIDE: usize = 50;

/// The mutant is the whole process's: one test at a time chooses.
static CHOOSING: Mutex<()> = Mutex::new(());

struct Known {
    case: Case,
    reference: (Timing, Memories),
}

impl Known {
    fn new(seed: u64) -> Known {
        let case = case(seed);
        let reference = reference::run(&job(&case), &case.image(), FUEL_CYCLES).expect("fuel enough");
        Known { case, reference }
    }

    /// Whether the fast engine, as it is now, differs. A panic is a difference.
    fn differs(&self) -> bool {
        let run = || fast::run(&job(&self.case), &self.case.image());
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(Ok(fast)) => compare(&self.reference, &fast).is_some(),
            _ => true,
        }
    }
}

fn job(case: &Case) -> Job<'_> {
    Job { machine: &case.machine, instructions: &case.instructions, dram_bytes: case.dram_bytes }
}

/// How many programs it takes to find a difference.
fn needed(kept: &[Known], programs: u64) -> Option<usize> {
    for (index, part) in kept.chunks(STRIDE).enumerate() {
        if let Some(position) = part.par_iter().position_first(Known::differs) {
            return Some(index * STRIDE + position + 1);
        }
    }
    let rest = FIRST + kept.len() as u64..FIRST + programs;
    let seed = rest.into_par_iter().find_first(|seed| Known::new(*seed).differs());
    seed.map(|seed| (seed - FIRST) as usize + 1)
}

fn environment(name: &str, default: usize) -> usize {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")),
        Err(_) => default,
    }
}

#[test]
fn every_mutant_is_caught() {
    let _alone = CHOOSING.lock().unwrap_or_else(PoisonError::into_inner);
    let count = environment("SYSTOLE_MUTANTS", Mutant::ALL.len()).clamp(1, Mutant::ALL.len());
    let programs = environment("SYSTOLE_PROGRAMS", 100_000) as u64;
    let kept: Vec<Known> = (FIRST..FIRST + KEPT.min(programs)).into_par_iter().map(Known::new).collect();
    choose(None);
    assert!(!kept.par_iter().any(Known::differs), "the engines differ without a mutant");
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut table =
        String::from("| rule | mutant | what it does instead | programs until it is caught |\n|---|---|---|---|\n");
    let mut survivors = Vec::new();
    let named = std::env::var("SYSTOLE_MUTANT").unwrap_or_default();
    let all: Vec<Mutant> =
        Mutant::ALL.iter().copied().filter(|mutant| format!("{mutant:?}").starts_with(&named)).collect();
    let count = count.min(all.len());
    assert!(count > 0, "no mutant begins with {named}");
    for k in 0..count {
        let mutant = all[k * all.len() / count];
        choose(Some(mutant));
        let needed = needed(&kept, programs);
        let told = needed.map_or("not caught".to_owned(), |needed| needed.to_string());
        table += &format!("| {} | {mutant:?} | {} | {told} |\n", mutant.rule(), mutant.what());
        if needed.is_none() {
            survivors.push(mutant);
        }
    }
    choose(None);
    std::panic::set_hook(hook);
    println!("{table}");
    assert!(survivors.is_empty(), "not caught: {survivors:?}");
}

/// Loads, a vector instruction, two array runs on the same accumulators, a store; each line is an instruction.
const LOCKSTEP: &str = "\
ld.shape row_bytes=16, rows=1, planes=1
ld.run dram=0, buffer=0, space=act signal(vector)
ve.shape height=1, width=1, channels=16, block_channels=4
ve.scale a=0.5, b=0.25, out=0.75
ve.quant zero_a=0, zero_b=0, zero_out=0, low=-128, high=127, signed_a=true, signed_b=true, signed_out=true
ve.add a=0, b=0, out=512 wait(load) signal(store)
ld.run dram=64, buffer=256, space=act signal(array)
ld.run dram=128, buffer=0, space=wgt signal(array)
ar.input height=1, width=3, row_pitch=0, pixel_pitch=4
ar.window kernel_h=1, kernel_w=1, stride_h=1, stride_w=1, dilation_h=1, dilation_w=1, pad_top=0, pad_left=0, packed=false
ar.output height=1, width=3, channels=4, block_step=0
ar.sync wait(load)
ar.run activation=256, weight=0, accumulator=0, blocks=1, accumulate=false wait(load)
ar.run activation=256, weight=0, accumulator=0, blocks=1, accumulate=true
st.shape row_bytes=16, rows=1, planes=1
st.run dram=256, buffer=512 wait(vector)
ar.sync
";

/// What the comparison says of that program, and the instruction that it names.
fn first_retire() -> Option<(usize, String)> {
    let machine = harness::machine();
    let program = assemble(LOCKSTEP).expect("assembly");
    let job = Job { machine: &machine, instructions: &program.instructions, dram_bytes: 4096 };
    let bytes: Vec<u8> = (0..256).map(|k: u32| (k * 37 + 11) as u8).collect();
    let image = [(0, bytes.as_slice())];
    let reference = reference::run_with_retires(&job, &image, FUEL_CYCLES, None).expect("fuel enough");
    let fast = fast::run_with_retires(&job, &image).expect("the image fits");
    match lockstep(&program.instructions, &reference, &fast)? {
        Divergence::Retire(difference) => Some((difference.instruction, difference.to_string())),
        other => panic!("no retire is named: {other}"),
    }
}

#[test]
fn the_first_retire_that_differs_is_named() {
    let _alone = CHOOSING.lock().unwrap_or_else(PoisonError::into_inner);
    choose(None);
    assert_eq!(first_retire(), None);
    // Of memory's time, of the vector unit's; of values, of sums; of the array's time.
    for (mutant, instruction, told) in [
        (Mutant::LatencyLonger, 1, "ended at"),
        (Mutant::LatencyDropped, 5, "ended at"),
        (Mutant::SignedZeroOff, 5, "wrote other contents to Activation [512, 528)"),
        (Mutant::AccumulateIgnored, 13, "wrote other contents to Accumulator [0, 3)"),
        (Mutant::DrainLonger, 12, "ended at"),
    ] {
        choose(Some(mutant));
        let found = first_retire();
        choose(None);
        let Some((found, text)) = found else { panic!("{mutant:?} is not found") };
        println!("{mutant:?}: {text}");
        assert_eq!(found, instruction, "{mutant:?}: {text}");
        assert!(text.contains(told), "{mutant:?}: {text}");
        // The last retires of both sides, the one that is named among them, as assembly.
        let line = LOCKSTEP.lines().nth(instruction).and_then(|line| line.split(' ').next()).unwrap_or_default();
        assert!(text.matches(line).count() >= 2, "{mutant:?}: {text}");
    }
}

#[test]
fn the_page_lists_all_mutants() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/mutants.md");
    let page = std::fs::read_to_string(page).expect("docs/mutants.md");
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| rule"));
    let listed: Vec<Vec<&str>> =
        rows.map(|row| row.split(" | ").map(|cell| cell.trim_matches(['|', ' '])).collect()).collect();
    let expected: Vec<[String; 3]> =
        Mutant::ALL.iter().map(|mutant| [mutant.rule().into(), format!("{mutant:?}"), mutant.what().into()]).collect();
    assert_eq!(listed.iter().map(|row| row[..3].to_vec()).collect::<Vec<_>>(), expected);
}
