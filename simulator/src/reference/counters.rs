//! T-10, T-11: what each unit does in each cycle, and the total.
//!
//! A cycle in which nothing is under way and nothing fetched counts only if a later one is not like that: the total ends with the last end or fetch.

use systole_machine::isa::{UNITS, Unit};

use crate::contract::{Stall, UnitCycles};

/// What a unit does in a cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    Busy,
    Stalled(Stall),
    Idle,
}

/// Sums so far.
#[derive(Default)]
pub(super) struct Counters {
    pub(super) units: [UnitCycles; UNITS],
    pub(super) total: u64,
    /// Quiet cycles since the last that counts.
    quiet: Vec<[Doing; UNITS]>,
}

impl Counters {
    /// One cycle; `quiet` when nothing is under way and nothing was fetched.
    pub(super) fn count(&mut self, doing: [Doing; UNITS], quiet: bool) {
        self.quiet.push(doing);
        if quiet {
            return;
        }
        for doing in std::mem::take(&mut self.quiet) {
            self.total += 1;
            self.units.iter_mut().zip(doing).for_each(|(unit, doing)| add(unit, doing));
        }
    }

    /// The cycles of a unit so far, quiet ones too.
    pub(super) fn unit_so_far(&self, unit: Unit) -> UnitCycles {
        let mut cycles = self.units[unit as usize];
        self.quiet.iter().for_each(|doing| add(&mut cycles, doing[unit as usize]));
        cycles
    }
}

fn add(unit: &mut UnitCycles, doing: Doing) {
    match doing {
        Doing::Busy => unit.busy += 1,
        Doing::Stalled(stall) => unit.stalls[stall as usize] += 1,
        Doing::Idle => unit.idle += 1,
    }
}

/// The cause for lacking this unit's token.
pub(super) fn token_stall(unit: Unit) -> Stall {
    Stall::ALL[unit as usize]
}
