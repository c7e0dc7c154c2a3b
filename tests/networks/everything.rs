//! Every network of the zoo on the four machines of acceptance, each tensor against golden: reduced in width and size in every run, as
//! published on request:
//!
//! `cargo test --release --test networks -- --ignored --nocapture every_network_as_published`
//!
//! prints a table. `SYSTOLE_NETWORKS=fcn,nas` takes those whose names begin so.

use std::time::Instant;

use systole::compare::compare;
use systole::network::zoo::{self, Entry};
use systole::pipeline::{Engine, Imported};

use crate::chain::{Network, machine};

pub(crate) const MACHINES: [&str; 4] = ["edge-16x16", "tpu-v1", "output-stationary-32x32", "tflite-16x16"];

/// How much narrower the layers of a reduced network are.
const DIVISOR: usize = 4;

fn chosen() -> impl Iterator<Item = &'static Entry> {
    let names = std::env::var("SYSTOLE_NETWORKS").unwrap_or_default();
    let prefixes: Vec<String> = names.split(',').map(str::to_owned).collect();
    zoo::entries().iter().filter(move |entry| prefixes.iter().any(|prefix| entry.name.starts_with(prefix.as_str())))
}

/// Cycles on each machine, and how many elements of how many tensors were compared there; or what went wrong.
fn verified(imported: &Imported, name: &str) -> Result<(Vec<u64>, u64, u64), String> {
    let mut quantised: Vec<Network> = vec![];
    let (mut cycles, mut elements, mut tensors) = (vec![], 0, 0);
    for preset in MACHINES {
        let machine = machine(preset);
        if !quantised.iter().any(|network| network.suits(&machine)) {
            quantised.push(Network::quantised_for(imported.clone(), &machine));
        }
        let network = quantised.iter().find(|network| network.suits(&machine)).expect("just made");
        let mapped = network.on(preset);
        let (timing, memories) = mapped.run(Engine::Fast);
        let (verification, _) = compare(&network.quantised, &mapped.compiled, &network.golden, &memories.dram);
        let all = verification.tensors_compared == network.golden.len() as u64;
        if !verification.bit_exact || !verification.tensors_unobservable.is_empty() || !all {
            return Err(format!("{name} on {preset}: {verification:?}"));
        }
        cycles.push(timing.total_cycles);
        (elements, tensors) = (verification.elements, verification.tensors_compared);
    }
    Ok((cycles, elements, tensors))
}

#[test]
fn every_network_is_exact_when_reduced() {
    let mut wrong = vec![];
    for entry in zoo::entries() {
        let graph = zoo::build_scaled(entry.name, DIVISOR, entry.small_input).expect("large enough");
        let imported = Imported::of(graph).expect("sound");
        wrong.extend(verified(&imported, entry.name).err());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
#[ignore = "half an hour: every network as published on four machines"]
fn every_network_as_published() {
    println!(
        "| network | elements | tensors | {} | seconds |",
        MACHINES.map(|name| format!("{name} cycles")).join(" | ")
    );
    println!("|---|--:|--:|{}--:|", "--:|".repeat(MACHINES.len()));
    let (mut wrong, mut run) = (vec![], 0);
    for entry in chosen() {
        let start = Instant::now();
        let imported = Imported::of(zoo::build(entry.name).expect("in the zoo")).expect("sound");
        run += 1;
        match verified(&imported, entry.name) {
            Ok((cycles, elements, tensors)) => {
                let cycles: Vec<String> = cycles.iter().map(u64::to_string).collect();
                let seconds = start.elapsed().as_secs();
                println!("| {} | {elements} | {tensors} | {} | {seconds} |", entry.name, cycles.join(" | "));
            }
            Err(error) => {
                println!("| {} | {error} |", entry.name);
                wrong.push(error);
            }
        }
    }
    assert!(run > 0, "no network is called so");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{run} networks, every tensor bit-exact on {} machines", MACHINES.len());
}
