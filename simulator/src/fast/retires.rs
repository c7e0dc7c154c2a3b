//! Retires: the end of each instruction, what it wrote, and what its unit did up to then; noted down only where somebody asks.
//!
//! The time of a unit is logged as intervals while the timeline runs, and counted up to each end afterwards.

use systole_machine::isa::{UNITS, Unit};
use systole_machine::spec::Machine;

use super::footprint::{self, footprint};
use super::mutant::{Mutant, on};
use super::timeline::Timeline;
use super::work::Step;
use super::{data, prepare, timed};
use crate::contract::{
    EngineError, Job, Memories, Memory, Retire, STALLS, Span, Stall, Timing, UnitCycles, Written, digest, in_order,
};

/// Ranges `[first, end)` in order of time; none overlap.
type Intervals = Vec<(u64, u64)>;

/// What a unit did, and when (T-10); the names are those of `account`.
#[derive(Default)]
pub(super) struct UnitLog {
    pub(super) under_way: Intervals,
    pub(super) moving: Intervals,
    pub(super) refused: Intervals,
    /// Cycles of `refused` in which a configuration instruction started: busy all the same.
    refused_busy: Intervals,
    pub(super) waits: [Intervals; STALLS],
}

impl UnitLog {
    /// A configuration instruction started in a cycle in which no burst moved.
    pub(super) fn configured(&mut self, now: u64, refused: bool) {
        self.moving.push((now, now + 1));
        if refused {
            self.refused_busy.push((now, now + 1));
        }
    }
}

/// By unit.
#[derive(Default)]
pub(super) struct Log {
    units: [UnitLog; UNITS],
}

impl Log {
    pub(super) fn of(&mut self, unit: Unit) -> &mut UnitLog {
        &mut self.units[unit as usize]
    }
}

/// Counts the cycles of intervals before a cycle that rises from call to call.
struct Count<'a> {
    left: &'a [(u64, u64)],
    sum: u64,
}

impl Count<'_> {
    fn before(&mut self, cycle: u64) -> u64 {
        while let Some((&(first, end), rest)) = self.left.split_first()
            && end <= cycle
        {
            self.sum += end - first;
            self.left = rest;
        }
        self.sum + self.left.first().map_or(0, |&(first, _)| cycle.saturating_sub(first))
    }
}

/// The counters of a unit up to a cycle that rises from call to call.
struct Counts<'a> {
    unit: Unit,
    under_way: Count<'a>,
    moving: Count<'a>,
    refused: Count<'a>,
    refused_busy: Count<'a>,
    waits: [Count<'a>; STALLS],
}

impl<'a> Counts<'a> {
    fn new(unit: Unit, log: &'a UnitLog) -> Self {
        let count = |left: &'a Intervals| Count { left, sum: 0 };
        Counts {
            unit,
            under_way: count(&log.under_way),
            moving: count(&log.moving),
            refused: count(&log.refused),
            refused_busy: count(&log.refused_busy),
            waits: std::array::from_fn(|cause| count(&log.waits[cause])),
        }
    }

    fn before(&mut self, cycle: u64) -> UnitCycles {
        let mut stalls: [u64; STALLS] = std::array::from_fn(|cause| self.waits[cause].before(cycle));
        let under_way = self.under_way.before(cycle);
        let mut busy = under_way;
        if matches!(self.unit, Unit::Load | Unit::Store) {
            busy = self.moving.before(cycle);
            let refused = self.refused.before(cycle).saturating_sub(self.refused_busy.before(cycle));
            let refused = if on(Mutant::RefusalIsMemory) { 0 } else { refused };
            stalls[Stall::Port as usize] += refused;
            stalls[Stall::Dram as usize] += under_way.saturating_sub(busy + refused);
        }
        UnitCycles { busy, idle: cycle.saturating_sub(busy + stalls.iter().sum::<u64>()), stalls }
    }
}

/// As [`run`](super::run), with the end of every instruction, in order of cycle and index.
///
/// # Errors
/// As [`run`](super::run).
pub fn run_with_retires(job: &Job, image: &[(u64, &[u8])]) -> Result<(Timing, Memories, Vec<Retire>), EngineError> {
    let mut memories = data::memories(job, image)?;
    let (steps, trap) = prepare(job);
    let mut timeline = Timeline::new(job.machine, &steps, job.instructions.len());
    timeline.account.log = Some(Log::default());
    let (timing, log) = timed(job, timeline, trap);
    let ranges = written(job.machine, &steps, &timing.spans);
    let mut contents = vec![Vec::new(); steps.len()];
    data::execute_and(job, &steps, &timing.spans, &mut memories, |index, memories| {
        contents[index] = ranges[index].iter().map(|range| with_contents(job.machine, *range, memories)).collect();
    });
    let retires = retires(&steps, &timing.spans, &log.unwrap_or_default(), contents);
    Ok((timing, memories, retires))
}

fn retires(steps: &[Step], spans: &[Option<Span>], log: &Log, mut contents: Vec<Vec<Written>>) -> Vec<Retire> {
    let mut counts = Unit::ALL.map(|unit| Counts::new(unit, &log.units[unit as usize]));
    let ended = spans.iter().enumerate().filter_map(|(index, span)| Some((index, (*span)?.end)));
    // Ends of one unit rise from instruction to instruction.
    let all = ended.map(|(instruction, cycle)| Retire {
        cycle,
        instruction,
        written: std::mem::take(&mut contents[instruction]),
        unit: counts[steps[instruction].unit as usize].before(cycle),
    });
    in_order(all.collect())
}

type Range = (footprint::Memory, u64, u64);

/// What each instruction writes and no later one of its unit that starts before its end does.
fn written(machine: &Machine, steps: &[Step], spans: &[Option<Span>]) -> Vec<Vec<Range>> {
    let mut all: Vec<Vec<Range>> = steps.iter().map(|step| footprint(&step.work, machine).written(machine)).collect();
    for index in 0..steps.len() {
        let Some(span) = spans[index] else { continue };
        let (own, later) = all.split_at_mut(index + 1);
        for (offset, ranges) in later.iter().enumerate() {
            let other = index + 1 + offset;
            if steps[other].unit != steps[index].unit {
                continue;
            }
            if spans[other].is_none_or(|other| other.start >= span.end) {
                break;
            }
            ranges.iter().for_each(|range| remove(&mut own[index], *range));
        }
    }
    all
}

/// Takes a range out of sorted ranges.
fn remove(ranges: &mut Vec<Range>, (memory, first, end): Range) {
    let old = std::mem::take(ranges);
    for range in old {
        if range.0 != memory || range.2 <= first || range.1 >= end {
            ranges.push(range);
            continue;
        }
        if range.1 < first {
            ranges.push((memory, range.1, first));
        }
        if range.2 > end {
            ranges.push((memory, end, range.2));
        }
    }
}

fn with_contents(machine: &Machine, (memory, first, end): Range, memories: &Memories) -> Written {
    let bytes = |memory: &[u8]| digest(memory[first as usize..end as usize].iter().map(|&byte| byte.into()));
    let columns = machine.array.columns as usize;
    let (memory, digest) = match memory {
        footprint::Memory::Dram => (Memory::Dram, bytes(&memories.dram)),
        footprint::Memory::Activation => (Memory::Activation, bytes(&memories.activation)),
        footprint::Memory::Weight => (Memory::Weight, bytes(&memories.weight)),
        footprint::Memory::Accumulator => {
            let words = first as usize * columns..end as usize * columns;
            (Memory::Accumulator, digest(words.map(|word| memories.accumulator.get(word))))
        }
    };
    Written { memory, first, end, digest }
}
