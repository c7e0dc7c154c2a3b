//! T-1: the fetch stream, and the queue and retirement order of one unit (T-2, T-3).

use std::collections::VecDeque;

use systole_machine::isa::{Instruction, UNITS};

/// An instruction that has started and not ended.
pub(super) struct Flight {
    pub(super) instruction: usize,
    /// Configuration or sync: done one cycle after its start.
    pub(super) control: bool,
    /// Its work is done; it ends when all earlier ones of its unit have.
    pub(super) done: bool,
}

/// A unit as control sees it.
#[derive(Default)]
pub(super) struct Lane {
    /// Fetched and not started.
    pub(super) queue: VecDeque<usize>,
    /// Started and not ended, in order.
    pub(super) in_flight: VecDeque<Flight>,
    /// A configuration or sync instruction has not released the unit.
    pub(super) engaged: bool,
}

impl Lane {
    pub(super) fn start(&mut self, instruction: usize, control: bool) {
        self.queue.pop_front();
        self.in_flight.push_back(Flight { instruction, control, done: false });
        self.engaged = control;
    }

    /// What a configuration or sync instruction of the last cycle does at the beginning of this one.
    pub(super) fn settle_control(&mut self) {
        if let Some(flight) = self.in_flight.back_mut().filter(|flight| flight.control && !flight.done) {
            flight.done = true;
            self.engaged = false;
        }
    }

    /// The work of the earliest instruction with work left is done.
    pub(super) fn finish(&mut self) {
        if let Some(flight) = self.in_flight.iter_mut().find(|flight| !flight.done) {
            flight.done = true;
        }
    }

    /// The next instruction to end, in order.
    pub(super) fn retire(&mut self) -> Option<Flight> {
        self.in_flight.front().is_some_and(|flight| flight.done).then(|| self.in_flight.pop_front()).flatten()
    }
}

/// The fetch stream.
pub(super) struct Fetch {
    next: usize,
    /// Cycles until the interval is over.
    wait: u64,
    interval: u64,
    depth: [u32; UNITS],
}

impl Fetch {
    pub(super) fn new(interval: u32, depth: [u32; UNITS]) -> Self {
        Fetch { next: 0, wait: 0, interval: interval.into(), depth }
    }

    /// Instructions fetched so far.
    pub(super) fn fetched(&self) -> usize {
        self.next
    }

    /// Whether it can go on once the interval is over.
    pub(super) fn has_room(&self, instructions: &[Instruction], lanes: &[Lane; UNITS]) -> bool {
        instructions.get(self.next).is_some_and(|instruction| {
            let unit = instruction.unit() as usize;
            (lanes[unit].queue.len() as u64) < u64::from(self.depth[unit])
        })
    }

    /// The instruction fetched in this cycle, judged on the queues at its beginning.
    pub(super) fn decide(&self, instructions: &[Instruction], lanes: &[Lane; UNITS]) -> Option<usize> {
        (self.wait == 0 && self.has_room(instructions, lanes)).then_some(self.next)
    }

    /// The end of a cycle.
    pub(super) fn commit(&mut self, fetched: Option<usize>) {
        if fetched.is_some() {
            self.next += 1;
            self.wait = self.interval;
        }
        self.wait = self.wait.saturating_sub(1);
    }
}
