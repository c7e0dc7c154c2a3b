//! What a wave is made of, and the walks through it that several signals share.

use systole_machine::isa::{Instruction, Unit};
use systole_machine::program::Program;
use systole_machine::spec::Machine;
use systole_simulator::contract::{Span, Timing, Trace};

/// A run to be drawn: it needs not have halted.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The program.
    pub program: &'a Program,
    /// Its machine.
    pub machine: &'a Machine,
    /// When everything happened.
    pub timing: &'a Timing,
    /// What else was recorded.
    pub trace: &'a Trace,
}

impl<'a> Source<'a> {
    /// The units that the machine has.
    pub(super) fn units(self) -> impl Iterator<Item = Unit> + 'a {
        let has = move |unit: &Unit| unit.array().is_none_or(|number| number < self.machine.array.count as usize);
        Unit::ALL.into_iter().filter(has)
    }

    /// The instructions of a unit that were fetched, with their index and fetch cycle.
    pub(super) fn fetched(self, unit: Unit) -> impl Iterator<Item = (usize, &'a Instruction, u64)> + 'a {
        let all = self.program.instructions.iter().zip(&self.trace.fetches).enumerate();
        all.map(|(index, (instruction, &fetch))| (index, instruction, fetch)).filter(move |one| one.1.unit() == unit)
    }

    /// Those that started.
    pub(super) fn started(self, unit: Unit) -> impl Iterator<Item = (usize, &'a Instruction, Span)> + 'a {
        self.fetched(unit).map_while(move |(index, instruction, _)| {
            self.timing.spans.get(index).copied().flatten().map(|span| (index, instruction, span))
        })
    }

    /// When tokens are given from one unit to another.
    pub(super) fn given(self, from: Unit, to: Unit) -> impl Iterator<Item = u64> + 'a {
        self.started(from).filter(move |one| one.1.signal.contains(to)).map(|one| one.2.end)
    }

    /// When they are taken.
    pub(super) fn taken(self, from: Unit, to: Unit) -> impl Iterator<Item = u64> + 'a {
        self.started(to).filter(move |one| one.1.wait.contains(from)).map(|one| one.2.start)
    }
}
