//! A banked DRAM (`docs/dram.md`) from command to command: which cycle the next one has is computed, none is stepped.
//!
//! Here are the clocks, addresses and the order of arrivals; a channel's choice is `channel`. Channels without requests stand still, and catch up with
//! their refreshes when the next request comes.

mod channel;

use std::collections::VecDeque;

use systole_machine::spec::{Banked, Field};

use self::channel::{Channel, Request};
use super::timeline::NEVER;
use crate::contract::{DramCounts, DramRequest, LATENCIES};

/// Requests of loads, or of stores.
#[derive(Default)]
struct Side {
    /// Those without a known arrival before them: their own, once it is known.
    open: VecDeque<Option<u64>>,
    /// Number of the first of these.
    first: u64,
    /// The last arrival that is known.
    last: u64,
    /// Arrivals not told yet.
    known: VecDeque<u64>,
}

/// All channels.
pub(super) struct Memory {
    channels: Vec<Channel>,
    core_hz: u128,
    clock_hz: u128,
    burst_bytes: u64,
    /// Pieces of an address from the lowest: field and bits.
    pieces: Vec<(Field, u32)>,
    sides: [Side; 2],
    latency: [u64; LATENCIES],
    /// Core cycle of the next command.
    wake: u64,
}

impl Memory {
    pub(super) fn new(dram: &Banked, core_hz: u64) -> Self {
        Memory {
            channels: (0..dram.channels).map(|_| Channel::new(dram)).collect(),
            core_hz: core_hz.into(),
            clock_hz: dram.clock_hz.max(1).into(),
            burst_bytes: dram.burst_bytes.max(1).into(),
            pieces: dram.mapping.iter().rev().copied().collect(),
            sides: Default::default(),
            latency: [0; LATENCIES],
            wake: NEVER,
        }
    }

    /// D-2.
    fn locate(&self, address: u64) -> [u64; 6] {
        let mut rest = address / self.burst_bytes;
        let (mut fields, mut widths) = ([0; 6], [0; 6]);
        for &(field, bits) in &self.pieces {
            let at = field as usize;
            fields[at] |= (rest & ((1 << bits) - 1)) << widths[at];
            widths[at] += bits;
            rest >>= bits;
        }
        fields
    }

    /// A request at core cycle `now`.
    pub(super) fn request(&mut self, now: u64, store: bool, address: u64) {
        let fields = self.locate(address);
        let side = &mut self.sides[usize::from(store)];
        let index = side.first + side.open.len() as u64;
        side.open.push_back(None);
        let seen = (u128::from(now) * self.clock_hz).div_ceil(self.core_hz) as u64;
        let channel = &mut self.channels[fields[Field::Channel as usize] as usize];
        channel.idle_until(seen);
        channel.push(Request::new(store, index, now, &fields));
        self.wake = self.next_wake();
    }

    /// The core cycle in which the next command is given.
    pub(super) fn wake(&self) -> u64 {
        self.wake
    }

    fn next_wake(&mut self) -> u64 {
        let next = self.channels.iter_mut().filter_map(Channel::next_cycle).min();
        next.map_or(NEVER, |cycle| (u128::from(cycle) * self.core_hz / self.clock_hz) as u64)
    }

    /// All commands that begin within core cycle `now`.
    pub(super) fn step(&mut self, now: u64) {
        let end = (u128::from(now + 1) * self.clock_hz).div_ceil(self.core_hz) as u64;
        for index in 0..self.channels.len() {
            while let Some((request, done)) = self.channels[index].run(end) {
                self.served(&request, done);
            }
        }
        self.wake = self.next_wake();
    }

    fn served(&mut self, request: &Request, done: u64) {
        let at = (u128::from(done) * self.core_hz).div_ceil(self.clock_hz) as u64;
        if !request.store {
            let taken = at - request.since;
            let bucket = (64 - taken.leading_zeros() as usize).min(LATENCIES - 1);
            self.latency[bucket] += 1;
        }
        let side = &mut self.sides[usize::from(request.store)];
        if let Some(own) = side.open.get_mut((request.index - side.first) as usize) {
            *own = Some(at);
        }
        while let Some(&Some(own)) = side.open.front() {
            side.open.pop_front();
            side.first += 1;
            side.last = side.last.max(own);
            side.known.push_back(side.last);
        }
    }

    /// The next arrival of a load or a store that has become known; in order of request.
    pub(super) fn arrival(&mut self, store: bool) -> Option<u64> {
        self.sides[usize::from(store)].known.pop_front()
    }

    /// Serves requests without a machine around; arrivals by request.
    pub(super) fn serve(mut self, requests: &[DramRequest]) -> (Vec<u64>, DramCounts) {
        let mut left = requests.iter().peekable();
        loop {
            let next = left.peek().map_or(NEVER, |request| request.cycle);
            let now = next.min(self.wake);
            if now == NEVER {
                break;
            }
            while let Some(request) = left.next_if(|request| request.cycle <= now) {
                self.request(now, request.write, request.address);
            }
            if self.wake <= now {
                self.step(now);
            }
        }
        let arrivals = requests.iter().filter_map(|request| self.arrival(request.write)).collect();
        (arrivals, self.counts())
    }

    pub(super) fn counts(&self) -> DramCounts {
        let mut sum = DramCounts { latency: self.latency, ..DramCounts::default() };
        for Channel { tally, .. } in &self.channels {
            sum.bursts.push(tally.hits + tally.misses + tally.conflicts);
            sum.hits += tally.hits;
            sum.misses += tally.misses;
            sum.conflicts += tally.conflicts;
            sum.refreshes += tally.refreshes;
            sum.turnarounds += tally.turnarounds;
            sum.reordered += tally.reordered;
            sum.starved += tally.starved;
        }
        sum
    }
}
