//! The comparison of the engines finds wrong rules: each mutant of the fast engine differs from the reference engine on one of the random programs.
//!
//! `SYSTOLE_MUTANTS` mutants, spread over the list (all without it), each on at most `SYSTOLE_PROGRAMS` programs (100 000), the same as those of `engines`. Prints
//! the table of `docs/mutants.md`. Needs the feature `mutants`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use rayon::prelude::*;
use systole_simulator::compare::compare;
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
    for k in 0..count {
        let mutant = Mutant::ALL[k * Mutant::ALL.len() / count];
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
