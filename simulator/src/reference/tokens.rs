//! M-8: one counting semaphore for each ordered pair of units. Its maximum is judged before the run (`hazards`).

use systole_machine::isa::{UNITS, Unit, UnitMask};

/// Tokens given and not taken, by giver and taker.
#[derive(Default)]
pub(super) struct Tokens {
    held: [[u64; UNITS]; UNITS],
}

impl Tokens {
    /// The units in `wait` whose semaphore towards `unit` holds no token.
    pub(super) fn missing(&self, unit: Unit, wait: UnitMask) -> Vec<Unit> {
        Unit::ALL
            .into_iter()
            .filter(|&other| wait.contains(other) && self.held[other as usize][unit as usize] == 0)
            .collect()
    }

    /// Takes one from each; all must be there.
    pub(super) fn take(&mut self, unit: Unit, wait: UnitMask) {
        for other in Unit::ALL.into_iter().filter(|&other| wait.contains(other)) {
            self.held[other as usize][unit as usize] -= 1;
        }
    }

    /// Gives one to each.
    pub(super) fn give(&mut self, unit: Unit, signal: UnitMask) {
        for other in Unit::ALL.into_iter().filter(|&other| signal.contains(other)) {
            self.held[unit as usize][other as usize] += 1;
        }
    }
}
