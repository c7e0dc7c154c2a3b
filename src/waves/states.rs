//! T-10: what a unit does in each cycle, as a signal. Its cycles add up to the counters of the report.

use systole_machine::isa::{Operation, Unit};
use systole_simulator::contract::{STALLS, Stall};

use super::changes::{Changes, Stretches, layered, uppermost};
use super::source::Source;
use crate::report::waits::stretches;

/// Code of *idle*.
pub(super) const IDLE: u64 = 0;
/// Code of *busy*.
pub(super) const BUSY: u64 = 1;

/// Code of a cause to stand still.
pub(super) fn code(stall: Stall) -> u64 {
    2 + stall as u64
}

/// Names in order of code.
pub(super) fn names() -> Vec<String> {
    let mut names = vec!["idle".to_owned(), "busy".to_owned()];
    names.extend(Stall::ALL.map(|stall| stall.name().to_owned()));
    debug_assert_eq!(names.len(), 2 + STALLS);
    names
}

/// The state of a unit.
pub(super) fn state<'a>(source: Source<'a>, unit: Unit) -> Changes<'a> {
    let mut layers = match unit {
        Unit::Load => channel(source, unit, 0),
        Unit::Store => channel(source, unit, 1),
        _ => vec![],
    };
    let under_way = if layers.is_empty() { BUSY } else { code(Stall::Dram) };
    let waits = stretches(&source.program.instructions, &source.timing.spans, unit).into_iter();
    layers.push(Box::new(waits.map(move |one| (one.start, one.end, one.stall.map_or(under_way, code)))));
    layers.push(Box::new(stuck(source, unit).into_iter()));
    layered(layers, |active| Some(uppermost(active).unwrap_or(IDLE)))
}

/// What hides the waiting for DRAM of a channel that has an instruction under way, uppermost first.
fn channel<'a>(source: Source<'a>, unit: Unit, number: usize) -> Vec<Stretches<'a>> {
    let moves = &source.trace.channels[number].moves;
    let transfers = |operation| {
        matches!(operation, Operation::LoadRun { .. } | Operation::LoadDecode { .. } | Operation::StoreRun { .. })
    };
    let configuration = source.started(unit).filter(move |one| !transfers(one.1.operation));
    vec![
        Box::new(moves.iter().map(|burst| (burst.start, burst.end, BUSY))),
        Box::new(configuration.map(|one| (one.2.start, one.2.start + 1, BUSY))),
        Box::new(moves.iter().map(|burst| (burst.ready, burst.start, code(Stall::Port)))),
    ]
}

/// The head of the queue that never starts, from when nothing is under way any more: a stretch for each token that it lacks.
fn stuck(source: Source, unit: Unit) -> Vec<(u64, u64, u64)> {
    let started = source.started(unit).count();
    let Some((_, instruction, fetch)) = source.fetched(unit).nth(started) else { return vec![] };
    let last_end = source.started(unit).last().map_or(0, |one| one.2.end);
    let mut now = last_end.max(fetch + 1);
    let mut stretches = vec![];
    for (from, stall) in Unit::ALL.into_iter().zip(Stall::ALL).filter(|(from, _)| instruction.wait.contains(*from)) {
        let given = source.given(from, unit).nth(source.taken(from, unit).count()).unwrap_or(u64::MAX);
        let until = given.min(source.timing.total_cycles);
        if until > now {
            stretches.push((now, until, code(stall)));
            now = until;
        }
    }
    stretches
}
