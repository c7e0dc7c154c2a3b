//! What each unit does in each cycle (T-10), counted at events, and the total (T-11).
//!
//! Decides nothing: it is told of starts, moves and ends.

use std::collections::VecDeque;

use systole_machine::isa::{UNITS, Unit, UnitMask};

use super::dma::Channel;
use super::mutant::{Mutant, on};
use super::retires::Log;
use crate::contract::{STALLS, Stall, UnitCycles};

#[derive(Clone, Copy, Default)]
struct Counted {
    /// Largest end so far.
    end: u64,
    /// Cycles with an instruction under way, up to `end`.
    under_way: u64,
    /// Cycles of these with a burst moving or a configuration instruction starting (DMA).
    moving: u64,
    /// Cycles of these in which a port was refused (DMA).
    refused: u64,
    /// By [`Stall`], with nothing under way.
    waits: [u64; STALLS],
}

/// The counters.
#[derive(Default)]
pub(super) struct Account {
    units: [Counted; UNITS],
    total: u64,
    /// When it was, where somebody wants to know.
    pub(super) log: Option<Log>,
}

/// Spreads the cycles `from..to` over the tokens that are lacked (T-10): for each unit waited for, when its token is given. What is left
/// over waits for a port. Calls `wait(cause, from, to)` in order of time.
fn spread(from: u64, given: [Option<u64>; UNITS], to: u64, mut wait: impl FnMut(usize, u64, u64)) {
    let mut cursor = from;
    for k in 0..UNITS {
        let unit = if on(Mutant::StallOrder) { UNITS - 1 - k } else { k };
        let time = given[unit];
        let until = time.unwrap_or(0).min(to);
        if until > cursor {
            wait(unit, cursor, until);
            cursor = until;
        }
    }
    if to > cursor {
        wait(Stall::Port as usize, cursor, to);
    }
}

impl Account {
    /// An instruction was fetched.
    pub(super) fn fetched(&mut self, now: u64) {
        if !on(Mutant::TotalWithoutFetch) {
            self.total = self.total.max(now + 1);
        }
    }

    /// An instruction starts at `now` that could have done so from `ready` on, as far as fetch is concerned. Only where no earlier
    /// instruction is under way without a known end.
    pub(super) fn waited(&mut self, unit: Unit, ready: u64, given: [Option<u64>; UNITS], now: u64) {
        self.spread(unit, ready, given, now);
    }

    /// The end of an instruction is known; in order of the unit. Returns the end after retirement in order.
    pub(super) fn ended(&mut self, unit: Unit, start: u64, own_end: u64) -> u64 {
        let counted = &mut self.units[unit as usize];
        if on(Mutant::RetireOutOfOrder) {
            counted.end = counted.end.min(own_end);
        }
        let end = own_end.max(counted.end);
        let from = start.max(counted.end);
        counted.under_way += end - from;
        counted.end = end;
        if let Some(log) = &mut self.log {
            log.of(unit).under_way.push((from, end));
        }
        self.total = self.total.max(end);
        end
    }

    /// A burst begins to move over a port.
    pub(super) fn moved(&mut self, unit: Unit, channel: &mut Channel, now: u64, cycles: u64) {
        let counted = &mut self.units[unit as usize];
        counted.moving += cycles;
        let since = channel.refused_since.take();
        if let Some(since) = since {
            counted.refused += now - since - channel.refused_busy;
        }
        if let Some(log) = &mut self.log {
            log.of(unit).refused.extend(since.map(|since| (since, now)));
            log.of(unit).moving.push((now, now + cycles));
        }
        channel.refused_busy = 0;
    }

    /// A configuration instruction starts on a DMA channel.
    pub(super) fn configured(&mut self, unit: Unit, channel: &mut Channel, now: u64) {
        if channel.move_end <= now {
            self.units[unit as usize].moving += 1;
            channel.refused_busy += u64::from(channel.refused_since.is_some());
            if let Some(log) = &mut self.log {
                log.of(unit).configured(now, channel.refused_since.is_some());
            }
        }
    }

    /// The head of a queue never starts: `tokens` by giver, as far as given.
    pub(super) fn stuck(&mut self, unit: Unit, ready: u64, wait: UnitMask, tokens: [&VecDeque<u64>; UNITS]) {
        let given: [Option<u64>; UNITS] = std::array::from_fn(|from| {
            (wait.0 & (1 << from) != 0).then(|| tokens[from].front().copied().unwrap_or(u64::MAX))
        });
        self.spread(unit, ready, given, self.total);
    }

    fn spread(&mut self, unit: Unit, ready: u64, given: [Option<u64>; UNITS], to: u64) {
        let (counted, log) = (&mut self.units[unit as usize], &mut self.log);
        spread(ready.max(counted.end), given, to, |cause, from, to| {
            counted.waits[cause] += to - from;
            if let Some(log) = log {
                log.of(unit).waits[cause].push((from, to));
            }
        });
    }

    /// T-11.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// The counters at the end.
    pub(super) fn cycles(&self, unit: Unit) -> UnitCycles {
        let counted = &self.units[unit as usize];
        let mut stalls = counted.waits;
        let mut busy = counted.under_way;
        if matches!(unit, Unit::Load | Unit::Store) {
            busy = counted.moving;
            let refused = if on(Mutant::RefusalIsMemory) { 0 } else { counted.refused };
            stalls[Stall::Port as usize] += refused;
            stalls[Stall::Dram as usize] += counted.under_way - counted.moving - refused;
        }
        UnitCycles { busy, idle: self.total - busy - stalls.iter().sum::<u64>(), stalls }
    }
}
