//! Signals of the banks: which units hold a port of each (T-4).

use systole_machine::isa::{UNITS, Unit};

use super::changes::{Stretches, layered};
use super::names::Names;
use super::scope::{Scope, Signal};
use super::source::Source;

/// When each unit holds a port of a bank.
type Holders = [Vec<(u64, u64)>; UNITS];

/// A scope for each buffer, a signal for each bank: the set of units that hold a port, bit 0 for the first of [`Unit::ALL`].
pub(super) fn scope<'a>(source: Source<'a>) -> Scope<'a> {
    let machine = source.machine;
    let buffers = [
        ("activation", machine.activation.banks),
        ("weight", if machine.unified { 0 } else { machine.weight.banks }),
        ("accumulator", machine.accumulator.banks),
    ];
    let mut holders = holders(source, buffers.iter().map(|buffer| buffer.1 as usize).sum()).into_iter();
    let mut scope = Scope::new("ports", "T-4: units that hold a port of a bank", vec![]);
    for (name, banks) in buffers.into_iter().filter(|buffer| buffer.1 > 0) {
        let signals = holders.by_ref().take(banks as usize).enumerate().map(|(bank, holders)| {
            let units = Unit::ALL.into_iter().zip(holders).filter(|(_, held)| !held.is_empty());
            let layers = units.map(|(unit, held)| -> Stretches {
                Box::new(held.into_iter().map(move |(start, end)| (start, end, 1 << unit as u64)))
            });
            let set = layered(layers.collect(), |active| Some(active.iter().flatten().sum()));
            Signal::named(format!("bank{bank}"), Names::Holders, set)
        });
        scope.scopes.push(Scope::new(name, "T-4", signals.collect()));
    }
    scope
}

fn holders(source: Source, banks: usize) -> Vec<Holders> {
    let mut all = vec![Holders::default(); banks];
    let mut hold = |banks: &std::ops::Range<u32>, unit: Unit, start: u64, end: u64| {
        for holders in &mut all[banks.start as usize..banks.end as usize] {
            let held = &mut holders[unit as usize];
            match held.last_mut() {
                // A unit holds one port of a bank, however much its instructions overlap.
                Some(last) if last.1 >= start => last.1 = last.1.max(end),
                _ => held.push((start, end)),
            }
        }
    };
    for held in &source.trace.held {
        if let Some(span) = source.timing.spans.get(held.instruction).copied().flatten() {
            let unit = source.program.instructions[held.instruction].unit();
            hold(&held.banks, unit, span.start, span.end);
        }
    }
    for (channel, unit) in source.trace.channels.iter().zip([Unit::Load, Unit::Store]) {
        channel.moves.iter().for_each(|burst| hold(&burst.banks, unit, burst.start, burst.end));
    }
    all
}
