//! The fast engine: time and data computed apart, time from events and closed forms, data as large integer matrix products.
//!
//! Models everything that `docs/machine.md`, `docs/timing.md` and `docs/numerics.md` state; steps no cycle and no PE.

mod account;
mod banked;
mod channels;
mod check;
mod data;
mod decode;
mod depthwise;
mod dma;
mod duration;
mod elementwise;
mod folds;
mod footprint;
mod gemm;
mod general;
mod hazard;
pub mod mutant;
mod normalise;
mod operation;
mod plain;
mod pool;
mod ports;
mod resize;
mod retires;
mod scaled;
mod simd;
mod table;
mod taps;
mod timeline;
mod traced;
mod unpack;
mod work;

use systole_machine::isa::Unit;
use systole_machine::spec::Banked;

use crate::contract::{DramCounts, DramRequest, EngineError, Job, Memories, Outcome, Timing, Trap, Waiting};
pub use retires::run_with_retires;
use timeline::Timeline;
pub use traced::{traced_run, traced_timing};
use work::{Registers, Step};

/// When everything happens: outcome, spans and counters, without touching data. Total over all programs: what is wrong with one is its outcome.
pub fn timing(job: &Job) -> Timing {
    let (steps, trap) = prepare(job);
    time(job, &steps, trap)
}

/// Timing and data. `image` is written into the zeroed DRAM first: pairs of address and bytes.
///
/// # Errors
/// [`EngineError::ImageTooLarge`] where a piece of the image ends beyond `dram_bytes`, [`EngineError::DramTooSmall`].
pub fn run(job: &Job, image: &[(u64, &[u8])]) -> Result<(Timing, Memories), EngineError> {
    job.fits()?;
    let mut memories = data::memories(job, image)?;
    let (steps, trap) = prepare(job);
    let timing = time(job, &steps, trap);
    data::execute(job, &steps, &timing.spans, &mut memories);
    Ok((timing, memories))
}

/// A banked DRAM by itself: when each of these requests, in order of their cycles, arrives (D-8), and counts.
pub fn dram_arrivals(dram: &Banked, core_hz: u64, requests: &[DramRequest]) -> (Vec<u64>, DramCounts) {
    banked::Memory::new(dram, core_hz).serve(requests)
}

/// The instructions before the first trap (M-13), resolved, and the trap with its index.
fn prepare(job: &Job) -> (Vec<Step>, Option<(usize, Trap)>) {
    let mut registers = Registers::default();
    let mut steps = Vec::with_capacity(job.instructions.len());
    let mut trap = None;
    for (index, instruction) in job.instructions.iter().enumerate() {
        let step = registers.resolve(instruction);
        if let Some(found) = check::check(&step, job.machine, job.dram_bytes) {
            trap = Some((index, found));
            break;
        }
        steps.push(step);
    }
    if let Some(found) = hazard::find(&steps, job.machine) {
        steps.truncate(found.0);
        trap = Some(found);
    }
    (steps, trap)
}

fn time(job: &Job, steps: &[Step], trap: Option<(usize, Trap)>) -> Timing {
    timed(job, &mut Timeline::new(job.machine, steps, job.instructions.len()), trap)
}

/// Runs a timeline, which keeps what else it has noted down, if it was to.
fn timed(job: &Job, timeline: &mut Timeline, trap: Option<(usize, Trap)>) -> Timing {
    let steps = timeline.steps;
    timeline.run();
    let waiting = waiting(timeline);
    let outcome = match trap {
        Some((instruction, trap)) if timeline.fetched == steps.len() => Outcome::Trap { trap, instruction },
        _ if waiting.is_empty() && timeline.fetched == steps.len() => Outcome::Halted,
        _ => Outcome::Deadlock { waiting },
    };
    let burst_bytes = u64::from(job.machine.dram.burst_bytes());
    Timing {
        outcome,
        total_cycles: timeline.account.total(),
        units: Unit::ALL.map(|unit| timeline.account.cycles(unit)),
        dram_bus_bytes: [timeline.load.channel.bursts, timeline.store.channel.bursts]
            .map(|bursts| bursts * burst_bytes),
        dram: timeline.bus.counts(),
        spans: std::mem::take(&mut timeline.spans),
    }
}

/// The heads of queues that never start, and the cycles that they wait.
fn waiting(timeline: &mut Timeline) -> Vec<Waiting> {
    let mut all = Vec::new();
    for unit in Unit::ALL {
        let Some(&(instruction, fetch)) = timeline.units[unit as usize].queue.front() else { continue };
        let wait = timeline.steps[instruction].wait;
        let tokens = std::array::from_fn(|from| &timeline.tokens[from][unit as usize]);
        timeline.account.stuck(unit, fetch + 1, wait, tokens);
        let lacks = |from: &Unit| wait.contains(*from) && tokens[*from as usize].is_empty();
        all.push(Waiting { unit, instruction, missing: Unit::ALL.into_iter().filter(lacks).collect() });
    }
    all
}

#[cfg(test)]
mod tests;
