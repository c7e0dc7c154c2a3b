//! The event simulation of time: fetch and queues (T-1), starts (T-2, T-3), tokens (M-8), array and vector unit; and the loop over events.
//!
//! The DMA channels are `channels`, what is counted is `account`. A cycle without an event is never looked at: each part of the machine
//! states the next cycle at which it could act unless another part acts before.

use std::collections::VecDeque;

use systole_machine::isa::{UNITS, Unit};
use systole_machine::spec::Machine;

use super::account::Account;
use super::dma::{Bus, LoadChannel, StoreChannel};
use super::duration::{self, ArrayStart, ArrayState};
use super::footprint::footprint;
use super::mutant::{Mutant, on};
use super::ports::Ports;
use super::work::{Step, Work};
use crate::contract::Span;

/// Never, unless another part of the machine acts.
pub(super) const NEVER: u64 = u64::MAX;

/// A unit's queue and what it has started.
#[derive(Default)]
pub(super) struct UnitState {
    /// Fetched and not started: instruction and fetch cycle.
    pub(super) queue: VecDeque<(usize, u64)>,
    /// From when on the next instruction may start; meaningless while a DMA instruction is being issued.
    pub(super) release: u64,
    /// Banks of the head of the queue, once it was looked at (array and vector).
    head_banks: Option<Vec<u32>>,
    /// Not before this cycle does the head get its ports.
    retry: u64,
}

/// Everything that changes with time.
pub(super) struct Timeline<'a> {
    pub(super) machine: &'a Machine,
    pub(super) steps: &'a [Step],
    pub(super) spans: Vec<Option<Span>>,
    pub(super) units: [UnitState; UNITS],
    /// By giver and taker: when the tokens not taken are or will be given, in order.
    pub(super) tokens: [[VecDeque<u64>; UNITS]; UNITS],
    pub(super) ports: Ports,
    pub(super) bus: Bus,
    pub(super) load: LoadChannel,
    pub(super) store: StoreChannel,
    pub(super) account: Account,
    pub(super) fetched: usize,
    next_fetch: u64,
    /// What each array's runs leave to its next (T-5).
    arrays: [ArrayState; Unit::ARRAYS.len()],
}

/// Numbers of parts: units, and fetch.
const FETCH: usize = UNITS;
const PARTS: usize = UNITS + 1;

/// The parts that the machine has, in the order in which they act within a cycle (T-4, T-7).
pub(super) fn order(machine: &Machine) -> Vec<usize> {
    let mut arrays = Unit::ARRAYS[..machine.array.count as usize].to_vec();
    if on(Mutant::ArraysBackwards) {
        arrays.reverse();
    }
    let mut order = vec![FETCH];
    order.extend(arrays.into_iter().map(|unit| unit as usize));
    order.extend([Unit::Vector as usize, Unit::Load as usize, Unit::Store as usize]);
    let vector = order.len() - 3;
    if on(Mutant::VectorBeforeArray) {
        order.swap(vector - 1, vector);
    }
    if on(Mutant::StoreBeforeLoad) {
        order.swap(vector + 1, vector + 2);
    }
    order
}

impl<'a> Timeline<'a> {
    pub(super) fn new(machine: &'a Machine, steps: &'a [Step], instructions: usize) -> Self {
        Timeline {
            machine,
            steps,
            spans: vec![None; instructions],
            units: Default::default(),
            tokens: Default::default(),
            ports: Ports::new(machine),
            bus: Bus::new(machine),
            load: LoadChannel::default(),
            store: StoreChannel::default(),
            account: Account::default(),
            fetched: 0,
            next_fetch: 0,
            arrays: Default::default(),
        }
    }

    /// Runs until nothing can happen any more.
    pub(super) fn run(&mut self) {
        let mut wakes = [NEVER; PARTS];
        let order = order(self.machine);
        wakes[FETCH] = if self.steps.is_empty() { NEVER } else { 0 };
        loop {
            let now = wakes.iter().copied().min().unwrap_or(NEVER);
            if now == NEVER {
                return;
            }
            let (mut acted, mut others) = (false, false);
            let due = wakes.map(|wake| wake <= now);
            for &part in order.iter().filter(|&&part| due[part]) {
                acted |= self.act(part, now);
            }
            for &part in &order {
                if acted || due[part] {
                    wakes[part] = self.wake(part, now);
                }
                others |= due[part] && part != Unit::Load as usize;
            }
            if !acted && !others {
                self.load_alone(&order, &mut wakes);
            }
        }
    }

    /// Lets the load unit act as long as no other part has anything to do, the most frequent case by far.
    fn load_alone(&mut self, order: &[usize], wakes: &mut [u64; PARTS]) {
        let others = wakes.iter().enumerate().filter(|(part, _)| *part != Unit::Load as usize);
        let horizon = others.map(|(_, &wake)| wake).min().unwrap_or(0);
        loop {
            let now = wakes[Unit::Load as usize];
            if now >= horizon {
                return;
            }
            let acted = self.load_step(now);
            wakes[Unit::Load as usize] = self.load_wake(now);
            if acted {
                // Tokens or room in a queue: all wakes may have changed.
                order.iter().for_each(|&part| wakes[part] = self.wake(part, now));
                return;
            }
        }
    }

    /// One part acts at `now`; whether others may be able to act earlier because of it.
    pub(super) fn act(&mut self, part: usize, now: u64) -> bool {
        match part {
            FETCH => self.fetch(now),
            _ => match Unit::ALL[part] {
                Unit::Load => self.load_step(now),
                Unit::Store => self.store_step(now),
                unit => self.compute_step(unit, now),
            },
        }
    }

    fn wake(&self, part: usize, now: u64) -> u64 {
        match part {
            FETCH => self.fetch_wake(now),
            _ => match Unit::ALL[part] {
                Unit::Load => self.load_wake(now),
                Unit::Store => self.store_wake(now),
                unit => self.compute_wake(unit),
            },
        }
    }

    /// T-1. Acts first in a cycle, so that it sees the queues as they were at its beginning.
    fn fetch(&mut self, now: u64) -> bool {
        let Some(step) = self.steps.get(self.fetched) else { return false };
        let unit = step.unit as usize;
        if now < self.next_fetch || !self.has_room(unit) {
            return false;
        }
        self.units[unit].queue.push_back((self.fetched, now));
        self.account.fetched(now);
        self.fetched += 1;
        let interval = self.machine.control.issue_interval_cycles.max(1) + u32::from(on(Mutant::IntervalLonger));
        self.next_fetch = now + u64::from(interval);
        true
    }

    fn has_room(&self, unit: usize) -> bool {
        let depth =
            self.machine.control.queue_depth_of(Unit::ALL[unit]) as usize + usize::from(on(Mutant::QueueOneDeeper));
        self.units[unit].queue.len() < depth
    }

    fn fetch_wake(&self, now: u64) -> u64 {
        match self.steps.get(self.fetched) {
            Some(step) => {
                if self.has_room(step.unit as usize) {
                    self.next_fetch.max(now + 1)
                } else {
                    NEVER
                }
            }
            None => NEVER,
        }
    }

    /// T-2 without ports: from when on the head of a queue may start, as far as is known.
    pub(super) fn head_ready(&self, unit: Unit) -> u64 {
        let state = &self.units[unit as usize];
        let Some(&(index, fetch)) = state.queue.front() else { return NEVER };
        let mut ready = state.release.max(fetch + u64::from(!on(Mutant::StartAtFetch)));
        let step = &self.steps[index];
        if let Work::Array(run) = &step.work
            && !on(Mutant::DataflowSwitchFree)
        {
            let before = &self.arrays[unit.array().unwrap_or(0)];
            if before.dataflow.is_some_and(|dataflow| dataflow != run.dataflow) {
                ready = ready.max(before.end);
            }
        }
        let wait = step.wait.0;
        for (from, tokens) in self.tokens.iter().enumerate().filter(|(from, _)| wait & (1 << from) != 0) {
            debug_assert_ne!(from, unit as usize);
            ready = ready.max(tokens[unit as usize].front().copied().unwrap_or(NEVER));
        }
        ready
    }

    /// Starts the head of a queue: takes its tokens and accounts for what it waited for. Returns the instruction.
    pub(super) fn start(&mut self, unit: Unit, now: u64) -> Option<usize> {
        let (index, fetch) = self.units[unit as usize].queue.pop_front()?;
        let mut given = [None; UNITS];
        for (from, given) in given.iter_mut().enumerate() {
            if self.steps[index].wait.0 & (1 << from) != 0 {
                *given = self.tokens[from][unit as usize].pop_front();
            }
        }
        let under_way = match unit {
            Unit::Load => !self.load.channel.retiring.is_empty(),
            Unit::Store => !self.store.channel.retiring.is_empty(),
            _ => false,
        };
        if !under_way {
            self.account.waited(unit, fetch + 1, given, now);
        }
        self.spans[index] = Some(Span { fetch, start: now, end: now });
        Some(index)
    }

    /// The end of a started instruction is known: retirement in order, and its tokens.
    pub(super) fn finish(&mut self, index: usize, own_end: u64) {
        let step = &self.steps[index];
        if let Some(span) = &mut self.spans[index] {
            span.end = self.account.ended(step.unit, span.start, own_end);
            for to in (0..UNITS).filter(|to| step.signal.0 & (1 << to) != 0) {
                let given = span.end + u64::from(on(Mutant::TokenLate)) - u64::from(on(Mutant::TokenEarly));
                self.tokens[step.unit as usize][to].push_back(given);
            }
        }
    }

    /// Array and vector unit: starts the head of the queue if it can.
    fn compute_step(&mut self, unit: Unit, now: u64) -> bool {
        if self.head_ready(unit) > now {
            return false;
        }
        let state = &mut self.units[unit as usize];
        let Some(&(index, _)) = state.queue.front() else { return false };
        let work = &self.steps[index].work;
        let banks = match state.head_banks.take() {
            Some(banks) => banks,
            None => self.ports.banks_of_footprint(&footprint(work, self.machine)),
        };
        let number = if on(Mutant::StreamsShared) { 0 } else { unit.array().unwrap_or(0) };
        let blocked = self.ports.blocked_until(banks.iter().copied(), unit, now);
        if blocked > now {
            (state.head_banks, state.retry) = (Some(banks), blocked);
            return false;
        }
        self.start(unit, now);
        let (release, own_end) = match work {
            Work::Array(run) => {
                let one_bank = self.machine.unified
                    && self.ports.one_bank(&footprint(work, self.machine))
                    && !on(Mutant::OneBankServesBoth);
                let start = ArrayStart { cycle: now, one_bank, previous: &self.arrays[number] };
                let times = duration::array(run, self.machine, &start);
                self.arrays[number] = times.state;
                (times.release, times.state.end)
            }
            Work::Vector(work) => {
                let end = now + duration::vector(work, self.machine);
                (end, end)
            }
            _ => (now + 1, now + 1),
        };
        self.units[unit as usize].release = release;
        self.finish(index, own_end);
        let end = self.spans[index].map_or(own_end, |span| span.end);
        if matches!(work, Work::Array(_)) {
            self.arrays[number].end = end;
        }
        self.ports.hold(banks.iter().copied(), unit, end);
        true
    }

    fn compute_wake(&self, unit: Unit) -> u64 {
        let retry = if self.units[unit as usize].head_banks.is_some() { self.units[unit as usize].retry } else { 0 };
        self.head_ready(unit).max(retry)
    }
}
