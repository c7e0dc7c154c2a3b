//! Several arrays and the one memory for activations and weights: what programs for them hold, accepted by the checker; and that it sees what goes wrong there.

use std::collections::{BTreeMap, BTreeSet};

use systole_compiler::check::check;
use systole_compiler::compile::{Compiled, Constants, Header, Mapping, compile};
use systole_compiler::mapping::conv::{Side, Spread};
use systole_compiler::passes::{Values, legalise};
use systole_machine::config::{load_with, preset};
use systole_machine::isa::{Instruction, Operation, Space, Unit, UnitMask, Unsigned};
use systole_machine::program::ModelEntry;
use systole_machine::spec::{Buffer, Machine};
use systole_network::policy::NumericPolicy;
use systole_network::zoo;

fn edge(settings: &[(&str, &str)]) -> Machine {
    load_with(preset("edge-16x16").expect("a preset"), "edge-16x16", settings)
        .unwrap_or_else(|errors| panic!("{errors:?}"))
}

fn arrays(count: &str, more: &[(&str, &str)]) -> Machine {
    let banks = [("array.count", count), ("buffers.accumulator.banks", "8")];
    edge(&[&banks[..], more].concat())
}

/// The preset's buffers as one.
fn unified(capacity_bytes: u64, banks: u32) -> Machine {
    let machine = edge(&[]);
    let one = Buffer { capacity_bytes, banks, ..machine.activation };
    Machine { activation: one, weight: one, unified: true, ..machine }
}

/// Compiling runs the checker.
fn built(name: &str, machine: &Machine) -> Compiled {
    let graph = zoo::build_scaled(name, 4, 64).expect("in the zoo");
    let quantised = legalise(&graph, &NumericPolicy::default(), &Values::Structure).expect("legal");
    let header = Header { machine_yaml: String::new(), model: ModelEntry::default() };
    compile(&quantised, machine, header, Constants::None).unwrap_or_else(|errors| panic!("{name}: {errors:?}"))
}

fn spreads(compiled: &Compiled) -> Vec<Spread> {
    let conv = |mapping: &Mapping| match mapping {
        Mapping::Conv(conv) => Some(conv.spread),
        Mapping::Vector(_) | Mapping::Move(_) => None,
    };
    compiled.mappings.iter().filter_map(conv).collect()
}

/// Array runs by unit.
fn runs(compiled: &Compiled) -> BTreeMap<Unit, usize> {
    let mut runs = BTreeMap::new();
    for instruction in &compiled.program.instructions {
        if let Operation::ArrayRun { .. } = instruction.operation {
            *runs.entry(instruction.unit()).or_default() += 1;
        }
    }
    runs
}

#[test]
fn work_is_spread_over_all_arrays_in_every_dataflow() {
    for dataflow in ["weight_stationary", "output_stationary", "input_stationary"] {
        for (count, units) in [("2", 2), ("3", 3), ("4", 4)] {
            let more = [("array.dataflow", dataflow), ("buffers.weight.ports", count)];
            let runs = runs(&built("resnet-18", &arrays(count, &more)));
            assert_eq!(runs.len(), units, "{dataflow}: {runs:?}");
            let (least, most) = (runs.values().min(), runs.values().max());
            assert!(least.zip(most).is_some_and(|(least, most)| 3 * least > *most), "{dataflow}: {runs:?}");
        }
    }
}

/// Where weights have ports for all arrays, tiles share them; where activations alone have, chunks of a tile share those.
#[test]
fn arrays_share_what_has_ports_for_them() {
    let share = |side| move |spread: &Spread| spread.arrays == 4 && spread.side == side && !spread.copies;
    let tiles = spreads(&built("resnet-18", &arrays("4", &[("buffers.weight.ports", "4")])));
    assert!(tiles.iter().any(share(Side::Tiles)), "{tiles:?}");
    assert!(!tiles.iter().any(share(Side::Chunks)), "one port of an activation bank: {tiles:?}");
    let more = [("buffers.activation.ports", "4"), ("buffers.weight.banks", "8")];
    let chunks = spreads(&built("resnet-18", &arrays("4", &more)));
    assert!(chunks.iter().any(share(Side::Chunks)), "{chunks:?}");
    assert!(!chunks.iter().any(share(Side::Tiles)), "one port of a weight bank: {chunks:?}");
}

/// With one port everywhere arrays work together on copies alone.
#[test]
fn banks_of_one_port_hold_copies() {
    let spreads = spreads(&built("resnet-18", &arrays("2", &[("buffers.weight.banks", "4")])));
    assert!(spreads.iter().any(|spread| spread.copies), "{spreads:?}");
}

/// Banks that all arrays need let one run at a time: nothing is gained, and one array is enough.
#[test]
fn nothing_is_spread_where_one_bank_serves_all() {
    let one = [("buffers.activation.banks", "1"), ("buffers.weight.banks", "1"), ("buffers.accumulator.banks", "1")];
    let machine = edge(&[&[("array.count", "4")][..], &one].concat());
    let spreads = spreads(&built("resnet-18", &machine));
    assert!(spreads.iter().all(|&spread| spread == Spread::ONE), "{spreads:?}");
}

/// One token less between any two units is seen: also between an array beyond the first and the others.
#[test]
fn a_lost_token_of_any_array_is_refused() {
    let machine = arrays("4", &[("buffers.weight.ports", "4")]);
    let mut program = built("resnet-18", &machine).program;
    let mut tried = BTreeSet::new();
    for index in 0..program.instructions.len() {
        let original = program.instructions[index];
        let unit = original.unit();
        if original.wait.is_empty() || unit.array().is_none() || tried.len() > 40 {
            continue;
        }
        program.instructions[index] = Instruction { wait: UnitMask::default(), ..original };
        assert!(check(&program, &machine).is_err(), "instruction {index} (C-1)");
        program.instructions[index] = original;
        tried.insert((unit, index));
    }
    let units: BTreeSet<Unit> = tried.iter().map(|&(unit, _)| unit).collect();
    assert_eq!(units.len(), 4, "{units:?}");
}

/// Registers are an array's own: a run sent to another array finds others there, or none.
#[test]
fn a_run_on_another_array_is_refused() {
    let machine = arrays("2", &[("buffers.weight.ports", "2")]);
    let mut program = built("resnet-18", &machine).program;
    let moved = program.instructions.iter_mut().find_map(|instruction| match &mut instruction.operation {
        Operation::ArrayRun { array, .. } if array.get() == 0 => {
            *array = Unsigned::new(1).expect("fits");
            Some(())
        }
        _ => None,
    });
    assert!(moved.is_some());
    assert!(check(&program, &machine).is_err());
}

/// Banks of the run's activations and of its weights, as mapped.
fn one_bank_layers(compiled: &Compiled, machine: &Machine) -> usize {
    let bank = machine.activation.bank_bytes();
    let meets = |mapping: &&Mapping| {
        let Mapping::Conv(conv) = mapping else { return false };
        let last = conv.place.regions[0].iter().map(|first| (first + conv.region_bytes[0] - 1) / bank).max();
        last >= conv.place.weight.iter().map(|first| first / bank).min()
    };
    compiled.mappings.iter().filter(meets).count()
}

#[test]
fn activations_and_weights_of_one_memory_are_in_different_banks() {
    let machine = unified(2304 << 10, 18);
    let compiled = built("resnet-18", &machine);
    assert_eq!(one_bank_layers(&compiled, &machine), 0);
    let weights =
        |instruction: &&Instruction| matches!(instruction.operation, Operation::LoadRun { space: Space::Weight, .. });
    assert!(compiled.program.instructions.iter().filter(weights).count() > 20);
}

/// One bank, and memories that hold hardly anything: regions are apart all the same, or the checker would refuse.
#[test]
fn one_memory_of_one_bank_holds_both() {
    for capacity in [256 << 10, 12 << 10] {
        let machine = unified(capacity, 1);
        assert!(one_bank_layers(&built("resnet-18", &machine), &machine) > 20);
    }
}

/// In one memory a load of weights over activations that an array may still read is a race; in two memories it is none.
#[test]
fn weights_loaded_over_activations_in_use_are_refused() {
    let machine = unified(2304 << 10, 18);
    let two = Machine { unified: false, ..machine.clone() };
    let mut program = built("resnet-18", &machine).program;
    assert_eq!((check(&program, &machine), check(&program, &two)), (Ok(()), Ok(())));
    let run = program.instructions.iter().enumerate().find_map(|(index, instruction)| match instruction.operation {
        Operation::ArrayRun { activation, .. } => Some((index, activation.get())),
        _ => None,
    });
    let (index, activation) = run.expect("an array run");
    let dram = program.instructions.iter().find_map(|instruction| match instruction.operation {
        Operation::LoadRun { dram, space: Space::Weight, .. } => Some(dram),
        _ => None,
    });
    let buffer = Unsigned::new(activation).expect("a buffer address");
    let load = Operation::LoadRun { dram: dram.expect("weights"), buffer, space: Space::Weight };
    program.instructions.insert(index + 1, Instruction::new(load));
    program.source.insert(index + 1, program.source[index]);
    assert_eq!(check(&program, &two), Ok(()));
    let error = check(&program, &machine).expect_err("it is not ordered behind the run");
    assert!(error.message.contains("(C-2)"), "{error}");
}
