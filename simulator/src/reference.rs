//! The reference engine: every PE register, queue, token, port and burst, one cycle after the other.
//!
//! A cycle has three parts. *Settle*: what the last cycle did becomes visible, instructions end, tokens are given. *Decide*: fetch, starts and bursts are
//! chosen on what is visible; who comes first is `arbitration`'s alone, so that units may be looked at in any order (`order`). *Step*: every datapath takes its
//! cycle. It knows no durations in advance, except how long DRAM's latency is; nothing is skipped but the PEs of an array through which no vector moves.
//!
//! The laws are `docs/machine.md` (M-x), `docs/timing.md` (T-x) and `docs/numerics.md` (N-x). Reading order: `work`, `footprint`, `traps`, `hazards` are what can be
//! said without time; `fetch`, `tokens`, `ports`, `dram`, `banked`, `load`, `store`, `address_generator`, `sums`, `scaling`, `grid`, `output_grid`, `array`, `operations`, `vector`, `counters` the parts of the machine.

mod address_generator;
mod arbitration;
mod array;
mod banked;
mod counters;
mod decoder;
mod dram;
mod edges;
mod fetch;
mod float;
mod footprint;
mod grid;
mod hazards;
mod load;
mod operations;
mod order;
mod output_grid;
mod ports;
mod probe;
mod recorder;
mod resize;
mod retires;
mod scaling;
mod store;
mod sums;
mod taps;
mod tokens;
mod traps;
mod vector;
mod vector_work;
mod work;

#[cfg(test)]
mod tests;

use systole_machine::isa::{Instruction, UNITS, Unit};

pub use self::edges::{ArrayCycle, Edges, Leaving, Watcher};

use self::array::Array;
pub use self::banked::commands;
use self::counters::{Counters, Doing, token_stall};
use self::dram::Bus;
use self::fetch::{Fetch, Lane};
use self::footprint::{footprint, operands};
use self::load::Load;
use self::order::Order;
use self::ports::{Bank, Ports};
pub use self::probe::{pe_registers, probed_run};
use self::recorder::Recorder;
pub use self::recorder::traced_run;
use self::retires::Retires;
pub use self::retires::run_with_retires;
use self::store::Store;
use self::tokens::Tokens;
use self::vector::VectorUnit;
use self::work::Work;
use crate::contract::{
    Accumulators, EngineError, Job, Memories, Outcome, Span, Stall, Timing, Trap, Waiting, zeroed_dram,
};

/// Runs a program cycle by cycle, at most `fuel_cycles` of them. `image` is what DRAM holds at first: addresses and bytes; the rest of DRAM and all buffers
/// are zero.
///
/// # Errors
/// A segment of the image beyond `job.dram_bytes`; a program that states more DRAM than there is; a program that still runs after the fuel.
pub fn run(job: &Job, image: &[(u64, &[u8])], fuel_cycles: u64) -> Result<(Timing, Memories), EngineError> {
    run_to_end(job, image, fuel_cycles, None)
}

/// As [`run`], and tells a watcher what passes the edges of the array in each cycle.
///
/// # Errors
/// As [`run`].
pub fn run_watched(
    job: &Job,
    image: &[(u64, &[u8])],
    fuel_cycles: u64,
    watcher: &mut dyn Watcher,
) -> Result<(Timing, Memories), EngineError> {
    run_to_end(job, image, fuel_cycles, Some(watcher))
}

fn run_to_end(
    job: &Job,
    image: &[(u64, &[u8])],
    fuel_cycles: u64,
    mut watcher: Option<&mut dyn Watcher>,
) -> Result<(Timing, Memories), EngineError> {
    job.fits()?;
    let memories = initial(job, image)?;
    let works = work::resolve(job.machine, job.instructions);
    let stop = hazards::stop_of(job, &works);
    let count = stop.map_or(job.instructions.len(), |(index, _)| index);
    let mut engine = Engine::new(job, &works[..count], memories);
    if let (Some(_), Some(array)) = (&watcher, engine.arrays.first_mut()) {
        array.watch();
    }
    while engine.cycle() {
        if let Some(watcher) = &mut watcher {
            engine.show(*watcher);
        }
        if engine.now >= fuel_cycles {
            return Err(EngineError::OutOfFuel(fuel_cycles));
        }
    }
    Ok(engine.finish(job.instructions.len(), stop))
}

/// M-1.
fn initial(job: &Job, image: &[(u64, &[u8])]) -> Result<Memories, EngineError> {
    let end = image.iter().map(|(address, bytes)| address.saturating_add(bytes.len() as u64)).max().unwrap_or(0);
    if end > job.dram_bytes {
        return Err(EngineError::ImageTooLarge { image: end, dram: job.dram_bytes });
    }
    let machine = job.machine;
    let mut dram = zeroed_dram(job.dram_bytes)?;
    for (address, bytes) in image {
        dram[*address as usize..][..bytes.len()].copy_from_slice(bytes);
    }
    Ok(Memories {
        dram,
        activation: vec![0; machine.activation.capacity_bytes as usize],
        weight: vec![0; if machine.unified { 0 } else { machine.weight.capacity_bytes as usize }],
        accumulator: Accumulators::zeroed(machine),
    })
}

/// T-2: whether an `ar.run` of another dataflow than this one's is still under way.
fn dataflow_changes(works: &[Work], lane: &Lane, index: usize) -> bool {
    let Work::Array(next) = &works[index] else { return false };
    lane.in_flight
        .iter()
        .any(|flight| matches!(&works[flight.instruction], Work::Array(before) if before.dataflow != next.dataflow))
}

struct Engine<'a> {
    /// The program up to where it stops (M-13).
    instructions: &'a [Instruction],
    works: &'a [Work],
    /// Banks that array and vector instructions hold.
    banks: Vec<Vec<Bank>>,
    /// T-5: whether a bank holds both operands of an array instruction.
    one_bank: Vec<bool>,
    now: u64,
    fetch: Fetch,
    lanes: [Lane; UNITS],
    tokens: Tokens,
    ports: Ports,
    bus: Bus,
    load: Load,
    /// By number.
    arrays: Vec<Array>,
    vector: VectorUnit,
    store: Store,
    memories: Memories,
    counters: Counters,
    order: Order,
    /// Where somebody wants them.
    retires: Option<Retires>,
    recorder: Option<Recorder>,
    fetches: Vec<u64>,
    starts: Vec<Option<u64>>,
    ends: Vec<Option<u64>>,
}

impl<'a> Engine<'a> {
    fn new(job: &Job<'a>, works: &'a [Work], memories: Memories) -> Self {
        let machine = job.machine;
        let ports = Ports::new(machine);
        let banks = works
            .iter()
            .map(|work| match work {
                Work::Array(_) | Work::Vector(_) => ports.banks(&footprint(machine, work)),
                _ => Vec::new(),
            })
            .collect();
        let one_bank = works
            .iter()
            .map(|work| match work {
                Work::Array(convolution) => {
                    let (activations, weights) = operands(machine, convolution);
                    ports.share(&activations, &[weights])
                }
                _ => false,
            })
            .collect();
        Engine {
            instructions: &job.instructions[..works.len()],
            works,
            banks,
            one_bank,
            now: 0,
            fetch: Fetch::new(
                machine.control.issue_interval_cycles,
                Unit::ALL.map(|unit| machine.control.queue_depth_of(unit)),
            ),
            lanes: Default::default(),
            tokens: Tokens::default(),
            ports,
            bus: Bus::new(machine),
            load: Load::new(machine),
            arrays: (0..machine.array.count).map(|_| Array::new(machine)).collect(),
            vector: VectorUnit::new(machine),
            store: Store::new(machine),
            memories,
            counters: Counters::default(),
            order: Order::new(None),
            retires: None,
            recorder: None,
            fetches: Vec::new(),
            starts: vec![None; works.len()],
            ends: vec![None; works.len()],
        }
    }

    /// One cycle. False when nothing can happen any more.
    fn cycle(&mut self) -> bool {
        self.settle();
        self.record_settled();
        let fetched = self.fetch.decide(self.instructions, &self.lanes);
        self.start_instructions();
        let (load_refused, store_refused) = self.move_bursts();
        self.record_decided([load_refused, store_refused]);
        let quiet = fetched.is_none() && self.lanes.iter().all(|lane| lane.in_flight.is_empty());
        let doing = Unit::ALL.map(|unit| self.doing(unit, load_refused, store_refused));
        self.counters.count(doing, quiet);
        // A quiet machine changes only by fetch: no port is held, no token on its way.
        let over = quiet && !self.fetch.has_room(self.instructions, &self.lanes);
        self.step();
        self.commit_fetch(fetched);
        self.now += 1;
        !over
    }

    /// The cycle that has passed on the first array, to a watcher.
    fn show(&self, watcher: &mut dyn Watcher) {
        let Some(array) = self.arrays.first() else { return };
        let Some((edges, ended)) = array.watched() else { return };
        let cycle = self.now - 1;
        // An array instruction is in flight in the cycle that it starts in.
        let lane = &self.lanes[Unit::Array as usize];
        let mut in_flight = lane.in_flight.iter().map(|flight| flight.instruction);
        let started =
            in_flight.rfind(|&index| self.starts[index] == Some(cycle) && matches!(self.works[index], Work::Array(_)));
        let engaged = array.engaged();
        watcher.cycle(&ArrayCycle { cycle, started, engaged, ended, edges, memories: &self.memories });
    }

    /// The beginning of the cycle.
    fn settle(&mut self) {
        self.lanes.iter_mut().for_each(Lane::settle_control);
        while let Some(channel) = self.bus.arrive(self.now) {
            self.record_arrival(channel);
            if channel == Unit::Load {
                self.load.arrive();
            } else if self.store.arrive(&mut self.memories) {
                self.lanes[Unit::Store as usize].finish();
            }
        }
        for unit in self.order.units() {
            if self.settle_unit(unit) {
                self.lanes[unit as usize].finish();
            }
        }
        for unit in self.order.units() {
            while let Some(flight) = self.lanes[unit as usize].retire() {
                self.end(unit, flight.instruction);
            }
        }
    }

    /// Beginning of a cycle, in a unit's datapath. True when the work of an instruction is done.
    fn settle_unit(&mut self, unit: Unit) -> bool {
        match unit {
            Unit::Load => self.load.settle(&mut self.ports, &mut self.memories),
            Unit::Store => {
                self.store.settle(&mut self.ports, &self.memories);
                false
            }
            Unit::Vector => self.vector.settle(&mut self.memories),
            Unit::Array | Unit::Array1 | Unit::Array2 | Unit::Array3 => {
                unit.array().and_then(|number| self.arrays.get_mut(number)).is_some_and(Array::settle)
            }
        }
    }

    /// M-8, T-4: tokens are given and ports returned at the beginning of e.
    fn end(&mut self, unit: Unit, index: usize) {
        self.ends[index] = Some(self.now);
        self.tokens.give(unit, self.instructions[index].signal);
        self.ports.release(unit, &self.banks[index]);
        self.show_retire(unit, index);
    }

    /// T-2: the unit's next instruction, if nothing but ports can keep it.
    fn ready(&self, unit: Unit) -> Option<usize> {
        let lane = &self.lanes[unit as usize];
        let index = *lane.queue.front()?;
        let engaged = match unit {
            Unit::Load => self.load.engaged(),
            Unit::Array | Unit::Array1 | Unit::Array2 | Unit::Array3 => {
                unit.array().and_then(|number| self.arrays.get(number)).is_some_and(Array::engaged)
            }
            Unit::Vector => self.vector.engaged(),
            Unit::Store => self.store.engaged(),
        };
        let waits = engaged
            || lane.engaged
            || dataflow_changes(self.works, lane, index)
            || !self.tokens.missing(unit, self.instructions[index].wait).is_empty();
        (!waits).then_some(index)
    }

    /// Starts the unit's next instruction, whose ports it has.
    fn start(&mut self, unit: Unit, index: usize) {
        self.lanes[unit as usize].start(index, matches!(self.works[index], Work::Control));
        self.tokens.take(unit, self.instructions[index].wait);
        self.starts[index] = Some(self.now);
        match &self.works[index] {
            Work::Control => {}
            Work::Load(transfer) => self.load.start(*transfer),
            Work::Array(convolution) => {
                // An array that the machine lacks is a trap (M-10).
                if let Some(array) = unit.array().and_then(|number| self.arrays.get_mut(number)) {
                    array.start(**convolution, self.one_bank[index]);
                }
            }
            Work::Vector(work) => self.vector.start(work),
            Work::Store(transfer) => self.store.start(*transfer),
        }
    }

    /// T-10.
    fn doing(&self, unit: Unit, load_refused: bool, store_refused: bool) -> Doing {
        let lane = &self.lanes[unit as usize];
        if !lane.in_flight.is_empty() {
            let (moving, refused) = match unit {
                Unit::Load => (self.load.moving(), load_refused),
                Unit::Store => (self.store.moving(), store_refused),
                _ => return Doing::Busy,
            };
            return if moving || lane.engaged {
                Doing::Busy
            } else if refused {
                Doing::Stalled(Stall::Port)
            } else {
                Doing::Stalled(Stall::Dram)
            };
        }
        let Some(&index) = lane.queue.front() else { return Doing::Idle };
        let missing = self.tokens.missing(unit, self.instructions[index].wait);
        Doing::Stalled(missing.first().map_or(Stall::Port, |&from| token_stall(from)))
    }

    /// All datapaths. No two of them touch the same word (M-12).
    fn step(&mut self) {
        self.bus.step(self.now);
        for unit in self.order.units() {
            match unit {
                Unit::Load => self.load.step(),
                Unit::Store => self.store.step(),
                Unit::Vector => self.vector.step(),
                Unit::Array | Unit::Array1 | Unit::Array2 | Unit::Array3 => {
                    if let Some(array) = unit.array().and_then(|number| self.arrays.get_mut(number)) {
                        array.step(&mut self.memories);
                    }
                }
            }
        }
    }

    fn commit_fetch(&mut self, fetched: Option<usize>) {
        if let Some(index) = fetched {
            self.lanes[self.instructions[index].unit() as usize].queue.push_back(index);
            self.fetches.push(self.now);
        }
        self.fetch.commit(fetched);
    }

    fn outcome(&self, stop: Option<(usize, Trap)>) -> Outcome {
        let reached = self.fetch.fetched() == self.instructions.len();
        match stop {
            Some((instruction, trap)) if reached => return Outcome::Trap { trap, instruction },
            None if self.ends.iter().all(Option::is_some) => return Outcome::Halted,
            _ => {}
        }
        let waiting = Unit::ALL.into_iter().filter_map(|unit| {
            let instruction = *self.lanes[unit as usize].queue.front()?;
            let missing = self.tokens.missing(unit, self.instructions[instruction].wait);
            Some(Waiting { unit, instruction, missing })
        });
        Outcome::Deadlock { waiting: waiting.collect() }
    }

    fn finish(self, instructions: usize, stop: Option<(usize, Trap)>) -> (Timing, Memories) {
        let outcome = self.outcome(stop);
        let mut spans = vec![None; instructions];
        for (index, fetch) in self.fetches.iter().enumerate() {
            if let (Some(start), Some(end)) = (self.starts[index], self.ends[index]) {
                spans[index] = Some(Span { fetch: *fetch, start, end });
            }
        }
        let burst_bytes = u64::from(self.bus.burst_bytes());
        let timing = Timing {
            outcome,
            total_cycles: self.counters.total,
            spans,
            units: self.counters.units,
            dram_bus_bytes: self.bus.bursts.map(|bursts| bursts * burst_bytes),
            dram: self.bus.counts(),
        };
        (timing, self.memories)
    }
}
