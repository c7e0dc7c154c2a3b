//! What is drawn of a run: looks at the machine twice a cycle, after *settle* and after *decide*, and changes nothing.

use systole_machine::isa::Unit;

use super::dram::Bus;
use super::load::Load;
use super::ports::Bank;
use super::store::Store;
use crate::contract::{ChannelTrace, Move, Trace};

/// One channel as the recorder saw it last.
#[derive(Default)]
struct Seen {
    bursts: u64,
    moving: bool,
    refused_since: Option<u64>,
}

/// Fills a [`Trace`] while the machine runs.
#[derive(Default)]
pub(super) struct Recorder {
    pub(super) trace: Trace,
    seen: [Seen; 2],
}

fn number(channel: Unit) -> usize {
    usize::from(channel == Unit::Store)
}

impl Recorder {
    /// A burst has arrived, or is done, at the beginning of `now`.
    pub(super) fn arrived(&mut self, channel: Unit, now: u64) {
        self.trace.channels[number(channel)].arrivals.push(now);
    }

    /// After *settle*: moves that have ended.
    pub(super) fn settled(&mut self, load: &Load, store: &Store, now: u64) {
        for (channel, moving) in [load.moving(), store.moving()].into_iter().enumerate() {
            let ended = self.seen[channel].moving && !moving;
            self.seen[channel].moving = moving;
            if let Some(last) = self.trace.channels[channel].moves.last_mut().filter(|_| ended) {
                last.end = now;
            }
        }
    }

    /// After *decide*: moves that begin or are refused, bursts requested.
    pub(super) fn decided(&mut self, load: &Load, store: &Store, refused: [bool; 2], bus: &Bus, now: u64) {
        let banks = [load.moving_banks(), store.moving_banks()];
        for (channel, (banks, refused)) in banks.into_iter().zip(refused).enumerate() {
            let (seen, trace) = (&mut self.seen[channel], &mut self.trace.channels[channel]);
            seen.decided(trace, banks, refused, now);
            let bursts = bus.bursts[channel];
            trace.requests.extend((seen.bursts..bursts).map(|_| now));
            seen.bursts = bursts;
        }
    }
}

impl Seen {
    fn decided(&mut self, trace: &mut ChannelTrace, banks: Option<&[Bank]>, refused: bool, now: u64) {
        if refused {
            self.refused_since.get_or_insert(now);
        }
        let Some(banks) = banks.filter(|_| !self.moving) else { return };
        let ready = self.refused_since.take().unwrap_or(now);
        // A burst's bytes follow one another, and so do its banks.
        let first = banks.first().map_or(0, |&bank| bank as u32);
        let banks = first..first + banks.len() as u32;
        trace.moves.push(Move { ready, start: now, end: now, banks });
        self.moving = true;
    }
}
