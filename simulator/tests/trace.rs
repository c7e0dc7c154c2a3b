//! Both engines record the same trace of every program, and it is that of the run: what is drawn is what happened.
//!
//! `SYSTOLE_TRACES` random programs (3 000 without it).

use rayon::prelude::*;
use systole_machine::isa::Unit;
use systole_simulator::contract::{ChannelTrace, Job, Timing, Trace};
use systole_simulator::generator::case;
use systole_simulator::{fast, reference};

/// No generated program takes nearly as long.
const FUEL_CYCLES: u64 = 2_000_000;

/// How many programs had each of these.
#[derive(Default)]
struct Reached {
    refused: usize,
    held: usize,
    stored: usize,
    never_started: usize,
}

#[test]
fn both_engines_record_the_same_trace() {
    let programs = std::env::var("SYSTOLE_TRACES").ok().and_then(|text| text.parse().ok()).unwrap_or(3_000);
    let all: Vec<(Timing, Trace)> = (7_000_000..7_000_000 + programs).into_par_iter().map(record).collect();
    let mut reached = Reached::default();
    for (timing, trace) in &all {
        let moves = || trace.channels.iter().flat_map(|channel| &channel.moves);
        reached.refused += usize::from(moves().any(|burst| burst.ready < burst.start));
        reached.held += usize::from(!trace.held.is_empty());
        reached.stored += usize::from(!trace.channels[1].moves.is_empty());
        reached.never_started += usize::from(trace.fetches.len() > timing.spans.iter().flatten().count());
    }
    let counts = [reached.refused, reached.held, reached.stored, reached.never_started];
    assert!(counts.iter().all(|&count| count * 100 > all.len()), "hardly reached: {counts:?} of {}", all.len());
}

/// One program in both engines.
fn record(seed: u64) -> (Timing, Trace) {
    let case = case(seed);
    let job = Job { machine: &case.machine, instructions: &case.instructions, dram_bytes: case.dram_bytes };
    let image = case.image();
    let (timing, trace, _) = reference::traced_run(&job, &image, FUEL_CYCLES).expect("runs");
    let (fast_timing, fast_trace, _) = fast::traced_run(&job, &image).expect("runs");
    assert_eq!(timing, fast_timing, "seed {seed}");
    assert_eq!(trace, fast_trace, "seed {seed}");
    assert_eq!((&timing, &trace), (&fast::traced_timing(&job).0, &fast::traced_timing(&job).1), "seed {seed}");
    for (unit, channel) in [Unit::Load, Unit::Store].into_iter().zip(&trace.channels) {
        check_channel(channel, &timing, unit, seed);
    }
    for (index, span) in timing.spans.iter().enumerate() {
        assert!(span.is_none_or(|span| trace.fetches[index] == span.fetch), "seed {seed}");
    }
    (timing, trace)
}

/// As many requests as arrivals as moves, one after the other; refusals no more than the stall counter says.
fn check_channel(channel: &ChannelTrace, timing: &Timing, unit: Unit, seed: u64) {
    let ChannelTrace { requests, arrivals, moves } = channel;
    assert!(requests.len() == arrivals.len() && arrivals.len() == moves.len(), "seed {seed}");
    assert!(requests.is_sorted() && arrivals.is_sorted(), "seed {seed}");
    assert!(moves.iter().all(|burst| burst.ready <= burst.start && burst.start < burst.end), "seed {seed}");
    assert!(moves.windows(2).all(|pair| pair[0].end <= pair[1].ready), "seed {seed}");
    let moved: u64 = moves.iter().map(|burst| burst.end - burst.start).sum();
    assert!(moved <= timing.units[unit as usize].busy, "seed {seed}");
}
