//! T-4, T-7: who comes first where units want the same ports, or the bus, in the same cycle.
//!
//! Each unit says what it wants, looking only at what was visible at the beginning of the cycle; then wants are granted in the order of the rule; then each
//! unit takes what it was granted. In which order units are asked and take does not matter.

use systole_machine::isa::{UNITS, Unit};

use super::Engine;
use super::ports::Bank;

/// The order in which ports and the bus are given. Array and vector instructions take their ports when they start, channels burst by burst, later in the
/// cycle: also the first burst of a run that starts in it.
const PRIORITY: [Unit; UNITS] =
    [Unit::Array, Unit::Array1, Unit::Array2, Unit::Array3, Unit::Vector, Unit::Load, Unit::Store];

impl Engine<'_> {
    /// T-2: the instructions that start in this cycle.
    pub(super) fn start_instructions(&mut self) {
        let mut ready = [None; UNITS];
        for unit in self.order.units() {
            ready[unit as usize] = self.ready(unit);
        }
        for unit in PRIORITY {
            let start = &mut ready[unit as usize];
            *start = start.filter(|&index| self.ports.free(unit, &self.banks[index]));
            if let Some(index) = *start {
                self.ports.hold(unit, &self.banks[index]);
            }
        }
        for unit in self.order.units() {
            if let Some(index) = ready[unit as usize] {
                self.start(unit, index);
            }
        }
    }

    /// T-8, T-9: the bursts that move from this cycle on, and those requested of the bus in it. Returns whether a burst of the load and of the store channel is
    /// refused a port.
    pub(super) fn move_bursts(&mut self) -> (bool, bool) {
        let mut wanted: [Option<Vec<Bank>>; UNITS] = Default::default();
        let mut requests = [false; UNITS];
        for unit in self.order.units() {
            let (banks, request) = match unit {
                Unit::Load => (self.load.wants(&self.ports), self.load.wants_bus()),
                Unit::Store => (self.store.wants(&self.ports), self.store.wants_bus()),
                _ => continue,
            };
            (wanted[unit as usize], requests[unit as usize]) = (banks, request);
        }
        let mut refused = [false; UNITS];
        for unit in PRIORITY {
            if let Some(banks) = &wanted[unit as usize] {
                refused[unit as usize] = !self.ports.free(unit, banks);
                if !refused[unit as usize] {
                    self.ports.hold(unit, banks);
                }
            }
            if requests[unit as usize] {
                self.bus.request(unit);
            }
        }
        for unit in self.order.units() {
            let banks = wanted[unit as usize].take().filter(|_| !refused[unit as usize]);
            match unit {
                Unit::Load => self.load.commit(banks, requests[unit as usize]),
                Unit::Store => self.store.commit(banks),
                _ => {}
            }
        }
        (refused[Unit::Load as usize], refused[Unit::Store as usize])
    }
}
