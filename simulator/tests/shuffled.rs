//! The reference engine gives the same of a program whatever the order in which it evaluates its units: outcome, spans, counters, memories, every retire.
//!
//! `SYSTOLE_PROGRAMS` random programs (400 without it), each in the order of the table and in several drawn ones.

use rayon::prelude::*;
use systole_simulator::compare::lockstep;
use systole_simulator::contract::{Job, Outcome, Retire};
use systole_simulator::generator::case;
use systole_simulator::reference;

const FUEL_CYCLES: u64 = 2_000_000;
/// Seed of the first program.
const FIRST: u64 = 3_000_000;
/// Seeds of the orders.
const ORDERS: [u64; 3] = [1, 2, 0xdead_beef];

/// Retires of a program that share their cycle with another unit's.
fn together(retires: &[Retire]) -> usize {
    retires.windows(2).filter(|pair| pair[0].cycle == pair[1].cycle).count()
}

/// What a program reached: retires in the same cycle, whether it halted.
fn program(seed: u64) -> Result<(usize, bool), String> {
    let case = case(seed);
    let job = Job { machine: &case.machine, instructions: &case.instructions, dram_bytes: case.dram_bytes };
    let image = case.image();
    let run = |shuffle| {
        reference::run_with_retires(&job, &image, FUEL_CYCLES, shuffle).map_err(|error| format!("seed {seed}: {error}"))
    };
    let plain = run(None)?;
    for order in ORDERS {
        let shuffled = run(Some(order))?;
        if let Some(divergence) = lockstep(&case.instructions, &plain, &shuffled) {
            return Err(format!("seed {seed}, order {order} (as the fast engine): {divergence}"));
        }
        if plain != shuffled {
            return Err(format!("seed {seed}, order {order}: the runs differ"));
        }
    }
    let alone = reference::run(&job, &image, FUEL_CYCLES).map_err(|error| format!("seed {seed}: {error}"))?;
    if alone != (plain.0.clone(), plain.1) {
        return Err(format!("seed {seed}: it runs differently when retires are asked for"));
    }
    Ok((together(&plain.2), plain.0.outcome == Outcome::Halted))
}

#[test]
fn the_order_of_evaluation_does_not_matter() {
    let programs: u64 = match std::env::var("SYSTOLE_PROGRAMS") {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("SYSTOLE_PROGRAMS is no number: {text}")),
        Err(_) => 400,
    };
    let results: Result<Vec<(usize, bool)>, String> = (FIRST..FIRST + programs).into_par_iter().map(program).collect();
    let results = results.unwrap_or_else(|failure| panic!("{failure}"));
    let together: usize = results.iter().map(|(together, _)| together).sum();
    let halted = results.iter().filter(|(_, halted)| *halted).count();
    println!("{programs} programs, {halted} halted, {together} retires in the same cycle as another");
    assert!(halted as u64 >= programs / 3 && together as u64 >= programs / 2, "the programs reach too little");
}
