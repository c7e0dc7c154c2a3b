//! Retires: what the machine shows when an instruction ends, for those who ask; and runs that may take the units in any order.

use systole_machine::isa::Unit;

use super::footprint::{Access, footprint};
use super::order::Order;
use super::work::{Memory, Work};
use super::{Engine, hazards, initial, work};
use crate::contract::{self, EngineError, Job, Memories, Retire, Timing, Written, digest, in_order};

/// As [`run`](super::run), with the end of every instruction, in order of cycle and index. With `shuffle`, units are evaluated in orders drawn from it, other
/// ones in every part of every cycle: nothing may depend on that.
///
/// # Errors
/// As [`run`](super::run).
pub fn run_with_retires(
    job: &Job,
    image: &[(u64, &[u8])],
    fuel_cycles: u64,
    shuffle: Option<u64>,
) -> Result<(Timing, Memories, Vec<Retire>), EngineError> {
    let memories = initial(job, image)?;
    let works = work::resolve(job.machine, job.instructions);
    let stop = hazards::stop_of(job, &works);
    let count = stop.map_or(job.instructions.len(), |(index, _)| index);
    let mut engine = Engine::new(job, &works[..count], memories);
    engine.order = Order::new(shuffle);
    engine.retires = Some(Retires::new(job, &works[..count]));
    while engine.cycle() {
        if engine.now >= fuel_cycles {
            return Err(EngineError::OutOfFuel(fuel_cycles));
        }
    }
    let retires = engine.retires.take().map(|retires| retires.seen).unwrap_or_default();
    let (timing, memories) = engine.finish(job.instructions.len(), stop);
    Ok((timing, memories, in_order(retires)))
}

/// The ends seen so far.
pub(super) struct Retires {
    /// By instruction: what it writes.
    writes: Vec<Vec<Access>>,
    columns: usize,
    seen: Vec<Retire>,
}

impl Retires {
    fn new(job: &Job, works: &[Work]) -> Self {
        let writes = |work| footprint(job.machine, work).into_iter().filter(|access| access.write).collect();
        Retires {
            writes: works.iter().map(writes).collect(),
            columns: job.machine.array.columns as usize,
            seen: Vec::new(),
        }
    }

    fn contents(&self, access: &Access, memories: &Memories) -> Written {
        let (first, end) = (access.first as u64, access.end as u64);
        let bytes = |memory: &[u8]| digest(memory[first as usize..end as usize].iter().map(|&byte| i64::from(byte)));
        let (memory, digest) = match access.memory {
            Memory::Dram => (contract::Memory::Dram, bytes(&memories.dram)),
            Memory::Activation => (contract::Memory::Activation, bytes(&memories.activation)),
            Memory::Weight => (contract::Memory::Weight, bytes(&memories.weight)),
            Memory::Accumulator => {
                let words = first as usize * self.columns..end as usize * self.columns;
                (contract::Memory::Accumulator, digest(words.map(|word| memories.accumulator.get(word))))
            }
        };
        Written { memory, first, end, digest }
    }
}

impl Engine<'_> {
    /// An instruction has just left its unit's flight.
    pub(super) fn show_retire(&mut self, unit: Unit, index: usize) {
        let Some(retires) = &mut self.retires else { return };
        // What follows it in its unit may have begun to write.
        let mut left = retires.writes[index].clone();
        for flight in &self.lanes[unit as usize].in_flight {
            for taken in &retires.writes[flight.instruction] {
                left = left.into_iter().flat_map(|access| without(access, taken)).collect();
            }
        }
        let written = left.iter().map(|access| retires.contents(access, &self.memories)).collect();
        let unit = self.counters.unit_so_far(unit);
        retires.seen.push(Retire { cycle: self.now, instruction: index, written, unit });
    }
}

/// What is left of an access beside another one, in order.
fn without(access: Access, taken: &Access) -> Vec<Access> {
    if access.memory != taken.memory {
        return vec![access];
    }
    let below = Access { end: access.end.min(taken.first), ..access };
    let above = Access { first: access.first.max(taken.end), ..access };
    if below.end >= access.end {
        return vec![access];
    }
    [below, above].into_iter().filter(|part| part.first < part.end).collect()
}
