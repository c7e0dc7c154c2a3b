//! What is drawn of a run: looks at the machine twice a cycle, after *settle* and after *decide*, and changes nothing.

use systole_machine::isa::Unit;

use super::dram::Bus;
use super::load::Load;
use super::ports::Bank;
use super::store::Store;
use super::{Engine, hazards, initial, work};
use crate::contract::{ChannelTrace, EngineError, Job, Memories, Move, Timing, Trace};

/// As [`run`](super::run), with what else there is to draw.
///
/// # Errors
/// As [`run`](super::run).
pub fn traced_run(
    job: &Job,
    image: &[(u64, &[u8])],
    fuel_cycles: u64,
) -> Result<(Timing, Trace, Memories), EngineError> {
    let memories = initial(job, image)?;
    let works = work::resolve(job.machine, job.instructions);
    let stop = hazards::stop_of(job, &works);
    let count = stop.map_or(job.instructions.len(), |(index, _)| index);
    let mut engine = Engine::new(job, &works[..count], memories);
    engine.recorder = Some(Recorder::default());
    while engine.cycle() {
        if engine.now >= fuel_cycles {
            return Err(EngineError::OutOfFuel(fuel_cycles));
        }
    }
    let trace = engine.trace();
    let (timing, memories) = engine.finish(job.instructions.len(), stop);
    Ok((timing, trace, memories))
}

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
    trace: Trace,
    seen: [Seen; 2],
}

fn number(channel: Unit) -> usize {
    usize::from(channel == Unit::Store)
}

impl Recorder {
    /// A burst has arrived, or is done, at the beginning of `now`.
    fn arrived(&mut self, channel: Unit, now: u64) {
        self.trace.channels[number(channel)].arrivals.push(now);
    }

    /// After *settle*: moves that have ended.
    fn settled(&mut self, load: &Load, store: &Store, now: u64) {
        for (channel, moving) in [load.moving(), store.moving()].into_iter().enumerate() {
            let ended = self.seen[channel].moving && !moving;
            self.seen[channel].moving = moving;
            if let Some(last) = self.trace.channels[channel].moves.last_mut().filter(|_| ended) {
                last.end = now;
            }
        }
    }

    /// After *decide*: moves that begin or are refused, bursts requested.
    fn decided(&mut self, load: &Load, store: &Store, refused: [bool; 2], bus: &Bus, now: u64) {
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

impl Engine<'_> {
    pub(super) fn record_arrival(&mut self, channel: Unit) {
        if let Some(recorder) = &mut self.recorder {
            recorder.arrived(channel, self.now);
        }
    }

    pub(super) fn record_settled(&mut self) {
        if let Some(recorder) = &mut self.recorder {
            recorder.settled(&self.load, &self.store, self.now);
        }
    }

    pub(super) fn record_decided(&mut self, refused: [bool; 2]) {
        if let Some(recorder) = &mut self.recorder {
            recorder.decided(&self.load, &self.store, refused, &self.bus, self.now);
        }
    }

    /// What was recorded, and the fetches and held banks that the engine knows anyway.
    fn trace(&mut self) -> Trace {
        let Some(recorder) = self.recorder.take() else { return Trace::default() };
        let mut trace = recorder.trace;
        trace.fetches.clone_from(&self.fetches);
        for (index, banks) in self.banks.iter().enumerate().filter(|(index, _)| self.starts[*index].is_some()) {
            trace.hold(index, banks.iter().map(|&bank| bank as u32));
        }
        trace
    }
}
