//! A banked DRAM (`docs/dram.md`, D-x), one DRAM cycle after the other: the channels' controllers, the two clocks, and arrivals in order.
//!
//! What a channel chooses is `channel`, which distances it keeps is `rules`.

mod channel;
mod rules;

use std::collections::VecDeque;

use systole_machine::isa::Unit;
use systole_machine::spec::{Banked, Dram, Field, Machine};

use self::channel::{Channel, Request, Served};
use crate::contract::{DramCommand, DramCounts, DramRequest, LATENCIES};

/// Where a burst lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    channel: usize,
    rank: usize,
    group: usize,
    bank: usize,
    row: u32,
}

/// D-2: the fields of an address, bit by bit from the lowest.
fn place(dram: &Banked, address: u64) -> Place {
    let mut number = address / u64::from(dram.burst_bytes);
    let (mut values, mut taken) = ([0u64; 6], [0u32; 6]);
    for &(field, bits) in dram.mapping.iter().rev() {
        for _ in 0..bits {
            values[field as usize] |= (number & 1) << taken[field as usize];
            taken[field as usize] += 1;
            number >>= 1;
        }
    }
    let value = |field: Field| values[field as usize] as usize;
    Place {
        channel: value(Field::Channel),
        rank: value(Field::Rank),
        group: value(Field::Group),
        bank: value(Field::Bank),
        row: values[Field::Row as usize] as u32,
    }
}

/// All channels.
pub(super) struct Controllers {
    dram: Banked,
    core_hz: u64,
    channels: Vec<Channel>,
    /// Requests of the cycle.
    inbox: Vec<Request>,
    /// By load and store, in order of request: arrival, once it is known.
    underway: [VecDeque<Option<u64>>; 2],
    /// Requests by load and store that have arrived.
    arrived: [u64; 2],
    requested: [u64; 2],
    /// The next DRAM cycle.
    cycle: u64,
    latency: [u64; LATENCIES],
    trace: Vec<DramCommand>,
    /// Whether the trace is kept.
    traced: bool,
}

impl Controllers {
    /// Of a machine with a banked DRAM.
    pub(super) fn of(machine: &Machine) -> Option<Self> {
        match &machine.dram {
            Dram::Banked(dram) => Some(Controllers::new(dram, machine.clock_hz)),
            _ => None,
        }
    }

    fn new(dram: &Banked, core_hz: u64) -> Self {
        Controllers {
            channels: (0..dram.channels).map(|index| Channel::new(dram, index)).collect(),
            dram: dram.clone(),
            core_hz,
            inbox: Vec::new(),
            underway: Default::default(),
            arrived: [0; 2],
            requested: [0; 2],
            cycle: 0,
            latency: [0; LATENCIES],
            trace: Vec::new(),
            traced: false,
        }
    }

    /// A request of this cycle.
    pub(super) fn request(&mut self, unit: Unit, address: u64) {
        let side = usize::from(unit == Unit::Store);
        let (index, place) = (self.requested[side], place(&self.dram, address));
        self.requested[side] += 1;
        self.underway[side].push_back(None);
        self.inbox.push(Request { write: side == 1, index, place, since: 0, activated: false, precharged: false });
    }

    /// D-1: the DRAM cycles that begin within core cycle `now`, behind its requests.
    pub(super) fn step(&mut self, now: u64) {
        for mut request in self.inbox.drain(..) {
            request.since = now;
            self.channels[request.place.channel].requests.push_back(request);
        }
        let end = u128::from(now + 1) * u128::from(self.dram.clock_hz);
        while u128::from(self.cycle) * u128::from(self.core_hz) < end {
            for channel in 0..self.channels.len() {
                let (command, served) = self.channels[channel].cycle(self.cycle);
                self.trace.extend(command.filter(|_| self.traced));
                if let Some(served) = served {
                    self.serve(&served);
                }
            }
            self.cycle += 1;
        }
    }

    /// D-8: when the data of a read or write is there.
    fn serve(&mut self, served: &Served) {
        let Request { write, index, since, .. } = served.request;
        let product = u128::from(served.done) * u128::from(self.core_hz);
        let at = product.div_ceil(u128::from(self.dram.clock_hz)) as u64;
        let side = usize::from(write);
        self.underway[side][(index - self.arrived[side]) as usize] = Some(at);
        if !write {
            let digits = u64::BITS - (at - since).leading_zeros();
            self.latency[(digits as usize).min(LATENCIES - 1)] += 1;
        }
    }

    /// The unit of a burst that has arrived at the beginning of `now`; of each unit in order of request.
    pub(super) fn arrive(&mut self, now: u64) -> Option<Unit> {
        for (side, unit) in [Unit::Load, Unit::Store].into_iter().enumerate() {
            if self.underway[side].front().is_some_and(|at| at.is_some_and(|at| at <= now)) {
                self.underway[side].pop_front();
                self.arrived[side] += 1;
                return Some(unit);
            }
        }
        None
    }

    pub(super) fn counts(&self) -> DramCounts {
        let mut all = DramCounts { latency: self.latency, ..DramCounts::default() };
        for channel in &self.channels {
            let counts = &channel.counts;
            all.bursts.extend(&counts.bursts);
            all.hits += counts.hits;
            all.misses += counts.misses;
            all.conflicts += counts.conflicts;
            all.refreshes += counts.refreshes;
            all.turnarounds += counts.turnarounds;
            all.reordered += counts.reordered;
            all.starved += counts.starved;
        }
        all
    }
}

/// A DRAM by itself: requests in order of their cycles, at most `fuel_cycles` core cycles. Commands, arrivals by request (D-8, without the order of
/// units; `None` where the fuel did not last), and counts.
pub fn commands(
    dram: &Banked,
    core_hz: u64,
    requests: &[DramRequest],
    fuel_cycles: u64,
) -> (Vec<DramCommand>, Vec<Option<u64>>, DramCounts) {
    let mut controllers = Controllers::new(dram, core_hz);
    controllers.traced = true;
    let mut next = 0;
    let mut now = 0;
    let done = |c: &Controllers| c.underway.iter().all(|side| side.iter().all(Option::is_some));
    while now < fuel_cycles && (next < requests.len() || !done(&controllers)) {
        while let Some(request) = requests.get(next).filter(|request| request.cycle <= now) {
            controllers.request(if request.write { Unit::Store } else { Unit::Load }, request.address);
            next += 1;
        }
        controllers.step(now);
        now += 1;
    }
    let mut sides = controllers.underway.each_ref().map(|side| side.iter());
    let arrivals = requests.iter().map(|request| *sides[usize::from(request.write)].next()?).collect();
    (controllers.trace.clone(), arrivals, controllers.counts())
}
