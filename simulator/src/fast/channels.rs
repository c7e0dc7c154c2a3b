//! When bursts move: the load channel (T-8) and the store channel (T-9), one cycle with an event at a time.
//!
//! A step reports whether tokens, queues or anything else that another part waits for has changed.

use systole_machine::isa::Unit;

use super::dma::{Bursts, StoreChannel};
use super::mutant::{Mutant, on};
use super::timeline::{NEVER, Timeline};
use super::work::Work;
use crate::contract::{ChannelTrace, Move};

impl Timeline<'_> {
    fn outstanding_limit(&self) -> usize {
        self.machine.outstanding_bursts as usize + usize::from(on(Mutant::OneMoreOutstanding))
    }

    /// T-8: the write is decided before the request.
    pub(super) fn load_step(&mut self, now: u64) -> bool {
        let mut touched = self.load_write(now);
        touched |= self.load_start(now);
        self.load_request(now);
        touched
    }

    fn load_write(&mut self, now: u64) -> bool {
        let load = &mut self.load;
        let Some(&(arrival, burst, index)) = load.arriving.front() else { return false };
        let channel = &mut load.channel;
        if arrival.saturating_add(burst.delay) > now || channel.move_end > now {
            return false;
        }
        let blocked = self.ports.blocked_until(burst.banks(), Unit::Load, now);
        if blocked > now {
            channel.refused_since.get_or_insert(now);
            channel.retry = blocked;
            return false;
        }
        load.arriving.pop_front();
        channel.move_end = now + burst.cycles;
        self.ports.hold(burst.banks(), Unit::Load, channel.move_end);
        if let Some(trace) = &mut self.trace {
            let ready = channel.refused_since.unwrap_or(now);
            trace.channels[0].moves.push(Move { ready, start: now, end: channel.move_end, banks: burst.banks() });
        }
        self.account.moved(Unit::Load, channel, now, burst.cycles);
        if burst.last {
            let end = channel.move_end;
            self.own_end(Unit::Load, index, end);
        }
        burst.last
    }

    fn load_request(&mut self, now: u64) {
        let limit = self.outstanding_limit();
        let load = &mut self.load;
        let Some((index, bursts)) = &mut load.channel.current else { return };
        let waiting = load.arriving.len() + usize::from(load.channel.move_end > now);
        if now < load.next_request || waiting >= limit {
            return;
        }
        let burst = bursts.next(&self.ports);
        let arrival = self.bus.request(now, false, burst.dram);
        load.arriving.push_back((arrival, burst, *index));
        if let Some(trace) = &mut self.trace {
            note_request(&mut trace.channels[0], now, arrival);
        }
        load.channel.bursts += 1;
        load.next_request = now + 1;
        if burst.last {
            load.channel.current = None;
            self.units[Unit::Load as usize].release = now + 1 + u64::from(on(Mutant::LoadReleaseLate));
        }
    }

    fn load_start(&mut self, now: u64) -> bool {
        if self.load.channel.current.is_some() || self.head_ready(Unit::Load) > now {
            return false;
        }
        let Some(index) = self.start(Unit::Load, now) else { return false };
        let bursts = match &self.steps[index].work {
            Work::Load(transfer) => Some(Bursts::new(transfer, self.machine)),
            Work::Decode(stream) => Some(Bursts::decoding(stream, self.machine)),
            _ => None,
        };
        if let Some(bursts) = bursts {
            self.load.channel.current = Some((index, bursts));
            self.load.channel.retiring.push_back((index, None));
        } else {
            self.configure(Unit::Load, index, now);
        }
        true
    }

    /// T-3 on a DMA channel.
    fn configure(&mut self, unit: Unit, index: usize, now: u64) {
        let channel = if unit == Unit::Load { &mut self.load.channel } else { &mut self.store.channel };
        self.units[unit as usize].release = now + 1;
        self.account.configured(unit, channel, now);
        channel.retiring.push_back((index, None));
        self.own_end(unit, index, now + 1);
    }

    /// An instruction's own end is known; those that nothing earlier holds back retire.
    fn own_end(&mut self, unit: Unit, index: usize, end: u64) {
        let retiring = |timeline: &mut Self| match unit {
            Unit::Load => std::mem::take(&mut timeline.load.channel.retiring),
            _ => std::mem::take(&mut timeline.store.channel.retiring),
        };
        let mut queue = retiring(self);
        if let Some(entry) = queue.iter_mut().rev().find(|entry| entry.0 == index) {
            entry.1 = Some(end);
        }
        while let Some(&(first, Some(end))) = queue.front() {
            self.finish(first, end);
            queue.pop_front();
        }
        match unit {
            Unit::Load => self.load.channel.retiring = queue,
            _ => self.store.channel.retiring = queue,
        }
    }

    pub(super) fn load_wake(&self, now: u64) -> u64 {
        let load = &self.load;
        let channel = &load.channel;
        let write = load.arriving.front().map_or(NEVER, |&(arrival, burst, _)| {
            let retry = if channel.refused_since.is_some() { channel.retry } else { 0 };
            arrival.saturating_add(burst.delay).max(channel.move_end).max(retry)
        });
        let issue = match &channel.current {
            None => self.head_ready(Unit::Load),
            Some(_) => match self.outstanding_limit().saturating_sub(load.arriving.len()) {
                0 => NEVER,
                1 => load.next_request.max(channel.move_end),
                _ => load.next_request,
            },
        };
        debug_assert!(write.min(issue) > now);
        write.min(issue)
    }

    /// T-9.
    pub(super) fn store_step(&mut self, now: u64) -> bool {
        let mut touched = self.store_request(now);
        while self.store.done.front().is_some_and(|&done| done <= now) {
            self.store.done.pop_front();
        }
        touched |= self.store_start(now);
        self.store_read(now);
        touched
    }

    /// A burst that was read goes to the bus in the cycle in which the read has ended.
    fn store_request(&mut self, now: u64) -> bool {
        let store = &mut self.store;
        let Some((burst, index)) = store.reading.take_if(|_| store.channel.move_end <= now) else { return false };
        let done = self.bus.request(now, true, burst.dram);
        if let Some(trace) = &mut self.trace {
            note_request(&mut trace.channels[1], now, done);
        }
        store.done.push_back(done);
        store.channel.bursts += 1;
        if done == NEVER {
            store.lasts.push_back(burst.last.then_some(index));
            return false;
        }
        if burst.last {
            self.own_end(Unit::Store, index, done);
        }
        burst.last
    }

    /// A banked DRAM's commands of a cycle; whether the arrival of a burst has become known.
    pub(super) fn dram_step(&mut self, now: u64) -> bool {
        self.bus.step(now);
        let mut touched = false;
        while let Some(at) = self.bus.arrival(false) {
            let arriving = &mut self.load.arriving;
            let known = arriving.partition_point(|(arrival, ..)| *arrival != NEVER);
            if let Some(entry) = arriving.get_mut(known) {
                entry.0 = at;
            }
            if let Some(trace) = &mut self.trace {
                trace.channels[0].arrivals.push(at);
            }
            touched = true;
        }
        while let Some(at) = self.bus.arrival(true) {
            let known = self.store.done.partition_point(|done| *done != NEVER);
            if let Some(done) = self.store.done.get_mut(known) {
                *done = at;
            }
            if let Some(trace) = &mut self.trace {
                trace.channels[1].arrivals.push(at);
            }
            if let Some(index) = self.store.lasts.pop_front().flatten() {
                self.own_end(Unit::Store, index, at);
            }
            touched = true;
        }
        touched
    }

    fn store_start(&mut self, now: u64) -> bool {
        if self.store.channel.current.is_some() || self.head_ready(Unit::Store) > now {
            return false;
        }
        let Some(index) = self.start(Unit::Store, now) else { return false };
        if let Work::Store(transfer) = &self.steps[index].work {
            self.store.channel.current = Some((index, Bursts::new(transfer, self.machine)));
            self.store.channel.retiring.push_back((index, None));
        } else {
            self.configure(Unit::Store, index, now);
        }
        true
    }

    fn store_read(&mut self, now: u64) {
        let limit = self.outstanding_limit();
        let StoreChannel { channel, reading, next, done, .. } = &mut self.store;
        let Some((index, bursts)) = &mut channel.current else { return };
        if reading.is_some() || done.len() >= limit {
            return;
        }
        // A refused burst keeps its place.
        let burst = *next.get_or_insert_with(|| bursts.next(&self.ports));
        let blocked = self.ports.blocked_until(burst.banks(), Unit::Store, now);
        if blocked > now {
            channel.refused_since.get_or_insert(now);
            channel.retry = blocked;
            return;
        }
        *next = None;
        *reading = Some((burst, *index));
        channel.move_end = now + burst.cycles;
        self.ports.hold(burst.banks(), Unit::Store, channel.move_end);
        if let Some(trace) = &mut self.trace {
            let ready = channel.refused_since.unwrap_or(now);
            trace.channels[1].moves.push(Move { ready, start: now, end: channel.move_end, banks: burst.banks() });
        }
        self.account.moved(Unit::Store, channel, now, burst.cycles);
        if burst.last {
            self.units[Unit::Store as usize].release = channel.move_end + u64::from(on(Mutant::StoreReleaseLate));
            channel.current = None;
        }
    }

    pub(super) fn store_wake(&self, now: u64) -> u64 {
        let store = &self.store;
        let wake = if store.reading.is_some() {
            store.channel.move_end
        } else if store.channel.current.is_none() {
            self.head_ready(Unit::Store)
        } else if store.done.len() >= self.outstanding_limit() {
            store.done.front().copied().unwrap_or(NEVER)
        } else {
            store.channel.retry
        };
        debug_assert!(wake > now);
        wake
    }
}

/// A burst asked for, and its arrival where that is known at once.
fn note_request(channel: &mut ChannelTrace, now: u64, arrival: u64) {
    channel.requests.push(now);
    if arrival != NEVER {
        channel.arrivals.push(arrival);
    }
}
