//! Each kind of difference is found, and the more telling one first.

use systole_machine::isa::{Instruction, Operation};

use super::*;
use crate::contract::{Accumulators, UnitCycles};

fn run() -> (Timing, Memories) {
    let span = |start| Some(Span { fetch: start - 1, start, end: start + 10 });
    let timing = Timing {
        outcome: Outcome::Halted,
        total_cycles: 100,
        spans: vec![span(1), span(20), span(5), None],
        units: [UnitCycles { busy: 60, idle: 40, stalls: [0; 9] }; 7],
        dram_bus_bytes: [64, 0],
        dram: Default::default(),
    };
    let memories = Memories {
        dram: vec![1, 2],
        activation: vec![3, 4],
        weight: vec![5],
        accumulator: Accumulators::Narrow(vec![-6, 7]),
    };
    (timing, memories)
}

fn changed(change: impl FnOnce(&mut Timing, &mut Memories)) -> Option<Divergence> {
    let (mut timing, mut memories) = run();
    change(&mut timing, &mut memories);
    compare(&run(), &(timing, memories))
}

#[test]
fn equal_runs_do_not_diverge() {
    assert_eq!(changed(|_, _| {}), None);
}

#[test]
fn the_span_that_starts_first_is_named_with_what_came_before() {
    let found = changed(|timing, memories| {
        timing.spans[1] = None;
        timing.spans[2] = Some(Span { fetch: 4, start: 5, end: 16 });
        timing.total_cycles = 7;
        memories.dram[0] = 9;
    });
    let Some(Divergence::Span(span)) = found else { panic!("{found:?}") };
    assert_eq!((span.instruction, span.reference.unwrap().end, span.fast.unwrap().end), (2, 15, 16));
    assert_eq!(span.reference_events.last(), Some(&Event { cycle: 5, what: What::Start, instruction: 2 }));
    assert!(
        span.to_string()
            .contains("reference fetch 4, start 5, end 15; before: 0:Fetch 0 1:Start 0 4:Fetch 2 5:Start 2")
    );
}

#[test]
fn an_outcome_comes_with_its_span() {
    let found = changed(|timing, _| {
        timing.outcome = Outcome::Deadlock { waiting: vec![] };
        timing.spans[1] = None;
    });
    assert!(
        matches!(found, Some(Divergence::Outcome { span: Some(SpanDifference { instruction: 1, .. }), .. })),
        "{found:?}"
    );
}

#[test]
fn counters_are_named() {
    let found = changed(|timing, _| {
        timing.units[2].busy = 59;
        timing.units[2].stalls[Stall::Port as usize] = 1;
        timing.dram_bus_bytes = [0, 0];
    });
    let text = found.unwrap().to_string();
    assert_eq!(text, "cycles of the vector unit: busy reference 60, fast 59; port reference 0, fast 1;");
    assert!(matches!(
        changed(|timing, _| timing.total_cycles = 1),
        Some(Divergence::Total { reference: 100, fast: 1 })
    ));
    let bus = changed(|timing, _| timing.dram_bus_bytes = [0, 64]);
    assert!(matches!(bus, Some(Divergence::BusBytes { fast: [0, 64], .. })), "{bus:?}");
    let dram = changed(|timing, _| timing.dram.hits = 1);
    assert!(matches!(dram, Some(Divergence::Dram { .. })), "{dram:?}");
}

#[test]
fn memories_come_with_address_and_values() {
    let text = changed(|_, memories| memories.accumulator.set(1, -1)).unwrap().to_string();
    assert_eq!(text, "Accumulator memory at 1: reference 7, fast -1 (1 places differ)");
    let shorter = changed(|_, memories| memories.dram.clear()).unwrap().to_string();
    assert_eq!(shorter, "Dram memory at 0: reference 1, fast nothing (2 places differ)");
}

#[test]
fn shrinking_keeps_what_fails() {
    let sync = Instruction::new(Operation::LoadSync {});
    let other = Instruction::new(Operation::StoreSync {});
    let mut program = vec![sync; 50];
    program[17] = other;
    program[31] = other;
    let fails = |part: &[Instruction]| part.iter().filter(|instruction| **instruction == other).count() == 2;
    assert_eq!(shrink(&program, fails, 1000), vec![other; 2]);
    // Out of trials: still a program that fails.
    assert!(fails(&shrink(&program, fails, 5)));
}
