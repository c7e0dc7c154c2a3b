//! Signals of a unit: what it does (T-10), which instructions are under way (T-2, T-3), its queue (T-1).

use systole_machine::isa::Unit;

use super::changes::{Changes, Stretches, count, layered, uppermost};
use super::names::Names;
use super::scope::{Scope, Signal, bits_for};
use super::source::Source;
use super::{dma, states};

/// Bits of an instruction's index.
pub(super) const INDEX_BITS: u32 = 32;

/// A unit's scope.
pub(super) fn scope<'a>(source: Source<'a>, unit: Unit) -> Scope<'a> {
    let signals = vec![
        Signal::named("state", Names::States, states::state(source, unit)),
        Signal::new("instruction", INDEX_BITS, youngest(source, unit, |index| Some(index as u64))),
        Signal::named("mnemonic", Names::Mnemonics, youngest(source, unit, move |index| mnemonic(source, index))),
        Signal::named("layer", Names::Layers, youngest(source, unit, move |index| layer(source, index))),
        Signal::new("retiring", INDEX_BITS, oldest(source, unit)),
        Signal::new("under_way", INDEX_BITS, under_way(source, unit)),
        Signal::new("queue", bits_for(source.machine.control.queue_depth_of(unit).into()), queue(source, unit)),
    ];
    let mut scope = Scope::new(unit.name(), "T-1, T-2, T-3, T-10", signals);
    match unit {
        Unit::Load => scope.signals.extend(dma::signals(source, 0)),
        Unit::Store => scope.signals.extend(dma::signals(source, 1)),
        _ => {}
    }
    scope
}

/// The value of the instruction that started last and has not ended.
fn youngest<'a>(source: Source<'a>, unit: Unit, value: impl Fn(usize) -> Option<u64> + 'a) -> Changes<'a> {
    let mut started = source.started(unit).peekable();
    let stretches: Stretches = Box::new(std::iter::from_fn(move || {
        let (index, _, span) = started.next()?;
        let next = started.peek().map_or(span.end, |next| next.2.start);
        Some((span.start, span.end.min(next), index as u64))
    }));
    layered(vec![stretches], move |active| uppermost(active).and_then(|index| value(index as usize)))
}

/// The earliest instruction that has started and not ended: the next to retire.
fn oldest<'a>(source: Source<'a>, unit: Unit) -> Changes<'a> {
    let stretches = source.started(unit).scan(0, |retired, (index, _, span)| {
        let start = span.start.max(*retired);
        *retired = span.end;
        Some((start, span.end, index as u64))
    });
    layered(vec![Box::new(stretches.filter(|&(start, end, _)| start < end))], uppermost)
}

fn under_way<'a>(source: Source<'a>, unit: Unit) -> Changes<'a> {
    let ends = source.started(unit).map(|one| one.2.end);
    count(source.started(unit).map(|one| one.2.start), ends)
}

/// As counted at the beginning of a cycle: in from f + 1 on, out from s + 1 on.
fn queue<'a>(source: Source<'a>, unit: Unit) -> Changes<'a> {
    let fetched = source.fetched(unit).map(|one| one.2 + 1);
    count(fetched, source.started(unit).map(|one| one.2.start + 1))
}

fn mnemonic(source: Source, index: usize) -> Option<u64> {
    source.program.instructions.get(index).map(|instruction| (instruction.encode() & 0xff) as u64)
}

fn layer(source: Source, index: usize) -> Option<u64> {
    let layer = *source.program.source.get(index)?;
    ((layer as usize) < source.program.layers.len()).then_some(layer.into())
}
