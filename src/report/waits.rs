//! Why the array and the vector unit stood still, cycle by cycle (T-10), from the spans of a finished run.
//!
//! Needs no engine: a token's time is the end of the instruction that gave it. Of load and store it tells what they wait for while nothing is
//! under way; the causes beyond that lie within bursts, which spans do not show.

use systole_machine::isa::{Instruction, Unit};
use systole_simulator::contract::{STALLS, Span, Stall};

/// A stretch of cycles `[start, end)` of one unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// `None`: busy.
    pub(crate) stall: Option<Stall>,
}

/// The busy and stalled stretches of `unit` in order, not overlapping; the cycles between them are idle. *Busy* is an instruction under way.
pub(crate) fn stretches(instructions: &[Instruction], spans: &[Option<Span>], unit: Unit) -> Vec<Stretch> {
    let mut tokens = Unit::ALL.map(|from| given(instructions, spans, from, unit).into_iter());
    let mut stretches: Vec<Stretch> = vec![];
    let mut covered = 0;
    for (instruction, span) in instructions.iter().zip(spans).filter(|(instruction, _)| instruction.unit() == unit) {
        let Some(span) = span else { break };
        let mut now = covered.max(span.fetch + 1);
        let mut wait_until = |until: u64, stall: Option<Stall>| {
            if until > now {
                push(&mut stretches, Stretch { start: now, end: until, stall });
                now = until;
            }
        };
        for (from, stall) in Unit::ALL.into_iter().zip(Stall::ALL) {
            if instruction.wait.contains(from)
                && let Some(given) = tokens[from as usize].next()
            {
                wait_until(given.min(span.start), Some(stall));
            }
        }
        wait_until(span.start, Some(Stall::Port));
        wait_until(span.end, None);
        covered = covered.max(span.end);
    }
    stretches
}

/// The cycles at which `from` gave its tokens to `to`.
fn given(instructions: &[Instruction], spans: &[Option<Span>], from: Unit, to: Unit) -> Vec<u64> {
    let gives = |instruction: &Instruction| instruction.unit() == from && instruction.signal.contains(to);
    instructions.iter().zip(spans).filter(|(i, _)| gives(i)).filter_map(|(_, span)| span.map(|span| span.end)).collect()
}

fn push(stretches: &mut Vec<Stretch>, next: Stretch) {
    match stretches.last_mut() {
        Some(last) if last.stall == next.stall && last.end == next.start => last.end = next.end,
        _ => stretches.push(next),
    }
}

/// Cycles within `[from, to)`: busy, and by [`Stall`].
pub(super) fn cycles_within(stretches: &[Stretch], from: u64, to: u64) -> (u64, [u64; STALLS]) {
    let mut busy = 0;
    let mut stalls = [0; STALLS];
    let first = stretches.partition_point(|stretch| stretch.end <= from);
    for stretch in stretches[first..].iter().take_while(|stretch| stretch.start < to) {
        let cycles = stretch.end.min(to) - stretch.start.max(from);
        match stretch.stall {
            None => busy += cycles,
            Some(stall) => stalls[stall as usize] += cycles,
        }
    }
    (busy, stalls)
}

#[cfg(test)]
mod tests {
    use super::*;
    use systole_machine::isa::{Operation, UnitMask};

    #[test]
    fn tokens_explain_waiting_in_the_order_of_the_rule() {
        let sync = |operation, wait: &[Unit], signal: &[Unit]| Instruction {
            wait: wait.iter().fold(UnitMask::default(), |mask, &unit| mask.with(unit)),
            signal: signal.iter().fold(UnitMask::default(), |mask, &unit| mask.with(unit)),
            operation,
        };
        let instructions = [
            sync(Operation::LoadSync {}, &[], &[Unit::Array]),
            sync(Operation::VectorSync {}, &[], &[Unit::Array]),
            sync(Operation::ArraySync { array: Default::default() }, &[Unit::Load, Unit::Vector], &[]),
        ];
        let span = |fetch, start, end| Some(Span { fetch, start, end });
        // The load's token comes at 10, the vector unit's at 14; a port is free at 15.
        let spans = [span(0, 1, 10), span(1, 2, 14), span(2, 15, 16)];
        let found = stretches(&instructions, &spans, Unit::Array);
        let stretch = |start, end, stall| Stretch { start, end, stall };
        let expected = [
            stretch(3, 10, Some(Stall::TokenLoad)),
            stretch(10, 14, Some(Stall::TokenVector)),
            stretch(14, 15, Some(Stall::Port)),
            stretch(15, 16, None),
        ];
        assert_eq!(found, expected);
        assert_eq!(cycles_within(&found, 9, 15), (0, [1, 0, 4, 0, 0, 0, 0, 1, 0]));
    }
}
