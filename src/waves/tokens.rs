//! Signals of the semaphores that the program uses (M-8).

use systole_machine::isa::Unit;

use super::changes::count;
use super::scope::{Scope, Signal, bits_for};
use super::source::Source;

/// One signal a semaphore: the tokens that it holds at the beginning of a cycle. One that is taken at s is gone from s + 1 on.
pub(super) fn scope<'a>(source: Source<'a>) -> Scope<'a> {
    let bits = bits_for(source.machine.control.token_max.into());
    let pairs = source.units().flat_map(|from| source.units().map(move |to| (from, to)));
    let used = pairs.filter(|&(from, to)| is_used(source, from, to));
    let signal = |(from, to): (Unit, Unit)| {
        let tokens = count(source.given(from, to), source.taken(from, to).map(|cycle| cycle + 1));
        Signal::new(format!("{}_to_{}", from.name(), to.name()), bits, tokens)
    };
    Scope::new("tokens", "M-8, T-2: tokens of a semaphore", used.map(signal).collect())
}

fn is_used(source: Source, from: Unit, to: Unit) -> bool {
    source.program.instructions.iter().any(|instruction| {
        let unit = instruction.unit();
        (unit == from && instruction.signal.contains(to)) || (unit == to && instruction.wait.contains(from))
    })
}
