//! Bank ports (T-4): for each bank and unit, until when the unit holds a port of it.
//!
//! Who asks first in a cycle is the caller's order.

use systole_machine::isa::{UNITS, Unit};
use systole_machine::spec::{Buffer, Machine};

use super::footprint::{Access, Footprint, Memory};
use super::mutant::{Mutant, on};

struct Bank {
    ports: u32,
    /// By unit: the cycle at which it gives its port back; past ones are free.
    held_until: [u64; UNITS],
}

#[derive(Clone, Copy)]
struct Banks {
    /// Addresses in a bank.
    size: u64,
    first: usize,
    count: u64,
}

/// The ports of all buffers.
pub(super) struct Ports {
    memories: [Banks; 3],
    banks: Vec<Bank>,
}

impl Ports {
    pub(super) fn new(machine: &Machine) -> Self {
        let mut banks = Vec::new();
        let mut memory = |buffer: &Buffer, size: u64| {
            let first = banks.len();
            banks.extend((0..buffer.banks).map(|_| Bank { ports: buffer.ports, held_until: [0; UNITS] }));
            Banks { size: size.max(1), first, count: u64::from(buffer.banks) }
        };
        let activation = memory(&machine.activation, machine.activation.bank_bytes());
        let weight = if machine.unified { activation } else { memory(&machine.weight, machine.weight.bank_bytes()) };
        let accumulator = memory(&machine.accumulator, machine.accumulator_vectors_per_bank());
        Ports { memories: [activation, weight, accumulator], banks }
    }

    /// Addresses in a bank of a memory.
    pub(super) fn bank_size(&self, memory: Memory) -> u64 {
        self.memories.get(memory as usize).map_or(u64::MAX, |m| m.size)
    }

    /// The banks of addresses `first..end`, as a range of numbers for [`Ports::blocked_until`].
    pub(super) fn banks_of(&self, memory: Memory, first: u64, end: u64) -> (u32, u32) {
        let Some(banks) = self.memories.get(memory as usize) else { return (0, 0) };
        let low = (first / banks.size).min(banks.count);
        let high = ((end - 1) / banks.size + 1).min(banks.count);
        ((banks.first as u64 + low) as u32, (banks.first as u64 + high) as u32)
    }

    /// All banks of a footprint, in order, without repetition.
    pub(super) fn banks_of_footprint(&self, footprint: &Footprint) -> Vec<u32> {
        let mut banks = Vec::new();
        for access in footprint.iter() {
            let all = self.memories.get(access.memory as usize).map_or(0, |m| m.count);
            let mut last = None;
            for (first, end) in access.ranges.iter() {
                let (low, high) = self.banks_of(access.memory, first, end);
                if last != Some((low, high)) {
                    banks.extend(low..high);
                    last = Some((low, high));
                }
                if banks.len() as u64 > 64 * (all + 1) {
                    banks.sort_unstable();
                    banks.dedup();
                }
            }
        }
        banks.sort_unstable();
        banks.dedup();
        banks
    }

    /// Whether some bank holds both activations and weights of an array's instruction (T-5); only a unified scratchpad has such banks.
    pub(super) fn one_bank(&self, footprint: &Footprint) -> bool {
        let reads = |memory: Memory| footprint.iter().filter(move |access| access.memory == memory && !access.write);
        let banks = |access: &Access| {
            let ranges = access.ranges.iter();
            ranges.map(|(first, end)| self.banks_of(access.memory, first, end)).collect::<Vec<_>>()
        };
        let weights: Vec<(u32, u32)> = reads(Memory::Weight).flat_map(banks).collect();
        let mut activations = reads(Memory::Activation).flat_map(banks);
        activations.any(|a| weights.iter().any(|w| a.0 < w.1 && w.0 < a.1))
    }

    /// 0 where `unit` may take a port of the bank at `now`, otherwise the first cycle at which another unit gives one back.
    fn bank_blocked_until(&self, bank: u32, unit: Unit, now: u64) -> u64 {
        let Bank { ports, held_until: held } = &self.banks[bank as usize];
        let holders = || (0..UNITS).filter(|&other| other != unit as usize && held[other] > now);
        if (holders().count() as u32) < *ports + u32::from(on(Mutant::PortMore)) {
            return 0;
        }
        holders().map(|other| held[other]).min().unwrap_or(u64::MAX)
    }

    /// 0 where `unit` may take a port of each bank at `now`, otherwise a later cycle before which it cannot.
    pub(super) fn blocked_until(&self, banks: impl Iterator<Item = u32>, unit: Unit, now: u64) -> u64 {
        banks.map(|bank| self.bank_blocked_until(bank, unit, now)).max().unwrap_or(0)
    }

    /// Takes a port of each bank until `end`.
    pub(super) fn hold(&mut self, banks: impl Iterator<Item = u32>, unit: Unit, end: u64) {
        for bank in banks {
            let held = &mut self.banks[bank as usize].held_until[unit as usize];
            *held = (end - u64::from(on(Mutant::PortHeldShorter))).max(*held);
        }
    }
}
