//! Where two runs of one program differ, told so that the cause is near: not all that differs, but the first thing that could have caused the rest.
//!
//! Knows no rule: it compares numbers. [`shrink`] makes a failing program smaller.

mod memories;
mod retires;
mod shrink;

use std::fmt;

use systole_machine::isa::{Instruction, Unit};

pub use crate::contract::Memory;
use crate::contract::{Memories, Outcome, Span, Stall, Timing};
pub use memories::MemoryDifference;
pub use retires::{RetireDifference, Run, compare_retires};
pub use shrink::shrink;

/// Events shown before the first that differs.
const EVENTS: usize = 8;

/// The first difference, in the order of the variants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Divergence {
    /// An instruction's end (lockstep).
    Retire(Box<RetireDifference>),
    /// Another end; with the first instruction that ran differently, if any.
    Outcome {
        /// Of the reference engine.
        reference: Outcome,
        /// Of the fast engine.
        fast: Outcome,
        /// What may have caused it.
        span: Option<SpanDifference>,
    },
    /// An instruction ran at another time.
    Span(SpanDifference),
    /// A unit's cycles are counted otherwise.
    Cycles {
        /// The unit.
        unit: Unit,
        /// Its counters that differ: name, reference, fast.
        counters: Vec<(&'static str, u64, u64)>,
    },
    /// Another total.
    Total {
        /// Of the reference engine.
        reference: u64,
        /// Of the fast engine.
        fast: u64,
    },
    /// Other bytes over the DRAM bus: read, written.
    BusBytes {
        /// Of the reference engine.
        reference: [u64; 2],
        /// Of the fast engine.
        fast: [u64; 2],
    },
    /// A memory holds something else.
    Memory(MemoryDifference),
}

/// The instruction that ran differently and started first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpanDifference {
    /// Its index.
    pub instruction: usize,
    /// Of the reference engine.
    pub reference: Option<Span>,
    /// Of the fast engine.
    pub fast: Option<Span>,
    /// The reference engine's last events up to then.
    pub reference_events: Vec<Event>,
    /// The fast engine's last events up to then.
    pub fast_events: Vec<Event>,
}

/// Something that an instruction did; in order of cycle, ends before starts before fetches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Event {
    /// When.
    pub cycle: u64,
    /// What.
    pub what: What,
    /// The instruction's index.
    pub instruction: usize,
}

/// Kinds of [`Event`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// It ended.
    End,
    /// It started.
    Start,
    /// It was fetched.
    Fetch,
}

/// The first difference of two runs; `None` where they agree on everything.
pub fn compare(reference: &(Timing, Memories), fast: &(Timing, Memories)) -> Option<Divergence> {
    compare_timing(&reference.0, &fast.0).or_else(|| memories::compare(&reference.1, &fast.1).map(Divergence::Memory))
}

/// The first difference of two runs with retires: the first retire that differs, if any, and otherwise what [`compare`] finds.
pub fn lockstep(instructions: &[Instruction], reference: &Run, fast: &Run) -> Option<Divergence> {
    let retire = compare_retires(instructions, reference, fast).map(|retire| Divergence::Retire(Box::new(retire)));
    retire
        .or_else(|| compare_timing(&reference.0, &fast.0))
        .or_else(|| memories::compare(&reference.1, &fast.1).map(Divergence::Memory))
}

/// The same of time alone.
pub fn compare_timing(reference: &Timing, fast: &Timing) -> Option<Divergence> {
    let span = span_difference(reference, fast);
    if reference.outcome != fast.outcome {
        return Some(Divergence::Outcome { reference: reference.outcome.clone(), fast: fast.outcome.clone(), span });
    }
    if let Some(span) = span {
        return Some(Divergence::Span(span));
    }
    for unit in Unit::ALL {
        let counters = cycle_differences(reference, fast, unit);
        if !counters.is_empty() {
            return Some(Divergence::Cycles { unit, counters });
        }
    }
    let (total, bus) = (reference.total_cycles, reference.dram_bus_bytes);
    if total != fast.total_cycles {
        return Some(Divergence::Total { reference: total, fast: fast.total_cycles });
    }
    (bus != fast.dram_bus_bytes).then_some(Divergence::BusBytes { reference: bus, fast: fast.dram_bus_bytes })
}

fn span_difference(reference: &Timing, fast: &Timing) -> Option<SpanDifference> {
    let count = reference.spans.len().max(fast.spans.len());
    let at = |timing: &Timing, index: usize| timing.spans.get(index).copied().flatten();
    let start = |index: usize| {
        let starts = [reference, fast].map(|timing| at(timing, index).map_or(u64::MAX, |span| span.start));
        starts[0].min(starts[1])
    };
    let differs = |index: &usize| {
        at(reference, *index) != at(fast, *index)
            || reference.spans.get(*index).is_some() != fast.spans.get(*index).is_some()
    };
    let instruction = (0..count).filter(differs).min_by_key(|&index| (start(index), index))?;
    Some(SpanDifference {
        instruction,
        reference: at(reference, instruction),
        fast: at(fast, instruction),
        reference_events: last_events(reference, start(instruction)),
        fast_events: last_events(fast, start(instruction)),
    })
}

/// The last events up to a cycle, it included.
fn last_events(timing: &Timing, cycle: u64) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    for (instruction, span) in timing.spans.iter().enumerate() {
        let Some(span) = span else { continue };
        for (cycle, what) in [(span.fetch, What::Fetch), (span.start, What::Start), (span.end, What::End)] {
            events.push(Event { cycle, what, instruction });
        }
    }
    events.retain(|event| event.cycle <= cycle);
    events.sort_unstable();
    events.split_off(events.len().saturating_sub(EVENTS))
}

fn cycle_differences(reference: &Timing, fast: &Timing, unit: Unit) -> Vec<(&'static str, u64, u64)> {
    let (a, b) = (&reference.units[unit as usize], &fast.units[unit as usize]);
    let mut all = vec![("busy", a.busy, b.busy), ("idle", a.idle, b.idle)];
    all.extend(Stall::ALL.map(|stall| (stall.name(), a.stalls[stall as usize], b.stalls[stall as usize])));
    all.retain(|(_, a, b)| a != b);
    all
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Divergence::Retire(difference) => difference.fmt(f),
            Divergence::Outcome { reference, fast, span } => {
                write!(f, "outcome: reference {reference:?}, fast {fast:?}")?;
                span.as_ref().map_or(Ok(()), |span| write!(f, "\n{span}"))
            }
            Divergence::Span(span) => span.fmt(f),
            Divergence::Cycles { unit, counters } => {
                write!(f, "cycles of the {} unit:", unit.name())?;
                counters.iter().try_for_each(|(name, a, b)| write!(f, " {name} reference {a}, fast {b};"))
            }
            Divergence::Total { reference, fast } => write!(f, "total cycles: reference {reference}, fast {fast}"),
            Divergence::BusBytes { reference, fast } => {
                write!(f, "DRAM bus bytes (read, written): reference {reference:?}, fast {fast:?}")
            }
            Divergence::Memory(difference) => difference.fmt(f),
        }
    }
}

impl fmt::Display for SpanDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "instruction {}:", self.instruction)?;
        let sides = [("reference", &self.reference, &self.reference_events), ("fast", &self.fast, &self.fast_events)];
        for (k, (name, span, events)) in sides.into_iter().enumerate() {
            match span {
                Some(Span { fetch, start, end }) => {
                    write!(f, "  {name:9} fetch {fetch}, start {start}, end {end}; before:")?
                }
                None => write!(f, "  {name:9} never started; before:")?,
            }
            for Event { cycle, what, instruction } in events {
                write!(f, " {cycle}:{what:?} {instruction}")?;
            }
            if k == 0 {
                writeln!(f)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
