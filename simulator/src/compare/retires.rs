//! Lockstep: both engines side by side from retire to retire, and the first at which they part.

use std::fmt;

use systole_machine::isa::Instruction;
use systole_machine::isa::assembler::disassemble_instruction;

use super::EVENTS;
use crate::contract::{Memories, Retire, Span, Stall, Timing, UnitCycles, Written};

/// A run as an engine gives it where retires are asked for.
pub type Run = (Timing, Memories, Vec<Retire>);

/// The first retire that differs. Everything that ended before it agrees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetireDifference {
    /// The instruction whose end, on the side where it comes first, has no equal on the other side.
    pub instruction: usize,
    /// Its end in the reference engine, if it ended.
    pub reference: Option<Retire>,
    /// Its end in the fast engine, if it ended.
    pub fast: Option<Retire>,
    /// What differs in it, in words.
    pub differences: Vec<String>,
    /// The reference engine's last retires, this one included: a line each.
    pub reference_events: Vec<String>,
    /// The same of the fast engine.
    pub fast_events: Vec<String>,
}

/// The first retire that differs, in order of cycle and index.
pub fn compare_retires(instructions: &[Instruction], reference: &Run, fast: &Run) -> Option<RetireDifference> {
    let (a, b) = (&reference.2, &fast.2);
    let place = (0..a.len().max(b.len())).find(|&place| a.get(place) != b.get(place))?;
    let heads = [a.get(place), b.get(place)];
    let first = heads.into_iter().flatten().min_by_key(|retire| (retire.cycle, retire.instruction))?;
    let instruction = first.instruction;
    let of = |run: &Run| run.2.iter().find(|retire| retire.instruction == instruction).cloned();
    let (in_reference, in_fast) = (of(reference), of(fast));
    Some(RetireDifference {
        instruction,
        differences: differences(in_reference.as_ref(), in_fast.as_ref()),
        reference_events: last_events(instructions, reference, place, first),
        fast_events: last_events(instructions, fast, place, first),
        reference: in_reference,
        fast: in_fast,
    })
}

/// What both sides retired in common, and then whatever this side has up to where the other one parts from it: at least its next retire.
fn last_events(instructions: &[Instruction], run: &Run, place: usize, first: &Retire) -> Vec<String> {
    let parted = run.2[place.min(run.2.len())..].iter();
    let beyond = parted.take_while(|retire| (retire.cycle, retire.instruction) <= (first.cycle, first.instruction));
    let until = (place + beyond.count().max(1)).min(run.2.len());
    let events = &run.2[until.saturating_sub(EVENTS)..until];
    events.iter().map(|retire| line(instructions, &run.0, retire)).collect()
}

fn line(instructions: &[Instruction], timing: &Timing, retire: &Retire) -> String {
    let text = instructions.get(retire.instruction).map(disassemble_instruction).unwrap_or_default();
    let span = match timing.spans.get(retire.instruction).copied().flatten() {
        Some(Span { fetch, start, end }) => format!("{fetch} [{start}, {end})"),
        None => "no span".to_owned(),
    };
    format!("{:>8}  {:>4}  {text}   ; {span}", retire.cycle, retire.instruction)
}

fn differences(reference: Option<&Retire>, fast: Option<&Retire>) -> Vec<String> {
    let (Some(a), Some(b)) = (reference, fast) else {
        let side = if reference.is_none() { "reference" } else { "fast" };
        return vec![format!("never ended in the {side} engine")];
    };
    let mut all = Vec::new();
    if a.cycle != b.cycle {
        all.push(format!("ended at {} (reference), {} (fast)", a.cycle, b.cycle));
    }
    if a.written != b.written {
        all.push(writes(&a.written, &b.written));
    }
    cycles(&a.unit, &b.unit, &mut all);
    all
}

/// The first range that differs.
fn writes(reference: &[Written], fast: &[Written]) -> String {
    let count = reference.len().max(fast.len());
    let place = (0..count).find(|&place| reference.get(place) != fast.get(place)).unwrap_or(0);
    let show = |range: Option<&Written>| match range {
        Some(Written { memory, first, end, digest }) => format!("{memory:?} [{first}, {end}) digest {digest:016x}"),
        None => "nothing".to_owned(),
    };
    let same = |a: &Written, b: &Written| (a.memory, a.first, a.end) == (b.memory, b.first, b.end);
    match (reference.get(place), fast.get(place)) {
        (Some(a), Some(b)) if same(a, b) => {
            format!("wrote other contents to {:?} [{}, {})", a.memory, a.first, a.end)
        }
        (a, b) => format!("wrote {} (reference), {} (fast)", show(a), show(b)),
    }
}

fn cycles(a: &UnitCycles, b: &UnitCycles, all: &mut Vec<String>) {
    let mut counters = vec![("busy", a.busy, b.busy), ("idle", a.idle, b.idle)];
    counters.extend(Stall::ALL.map(|stall| (stall.name(), a.stalls[stall as usize], b.stalls[stall as usize])));
    for (name, a, b) in counters.into_iter().filter(|(_, a, b)| a != b) {
        all.push(format!("its unit's cycles {name} until then: {a} (reference), {b} (fast)"));
    }
}

impl fmt::Display for RetireDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "first retire that differs: instruction {}", self.instruction)?;
        self.differences.iter().try_for_each(|difference| writeln!(f, "  {difference}"))?;
        for (name, events) in [("reference", &self.reference_events), ("fast", &self.fast_events)] {
            write!(f, "  last retires of the {name} engine (cycle, instruction; fetch and span):")?;
            events.iter().try_for_each(|event| write!(f, "\n    {event}"))?;
            if name == "reference" {
                writeln!(f)?;
            }
        }
        Ok(())
    }
}
