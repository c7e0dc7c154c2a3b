//! T-4: bank ports. Each bank counts what every unit holds of it; a unit needs one port however much it overlaps itself.

use systole_machine::isa::{UNITS, Unit};
use systole_machine::spec::Machine;

use super::footprint::Access;
use super::work::Memory;

/// Number of a bank, over all three memories.
pub(super) type Bank = usize;

struct Region {
    memory: Memory,
    /// Addresses of one bank: bytes, or vectors.
    length: u64,
    banks: u32,
    ports: u32,
}

/// The banks and who holds them.
pub(super) struct Ports {
    regions: [Region; 3],
    /// By unit and bank: instructions or bursts that hold it.
    held: [Vec<u32>; UNITS],
    /// By bank.
    ports: Vec<u32>,
}

impl Ports {
    pub(super) fn new(machine: &Machine) -> Self {
        let region = |memory, length, buffer: &systole_machine::spec::Buffer| Region {
            memory,
            length,
            banks: buffer.banks,
            ports: buffer.ports,
        };
        let mut regions = [
            region(Memory::Activation, machine.activation.bank_bytes(), &machine.activation),
            region(Memory::Weight, machine.weight.bank_bytes(), &machine.weight),
            region(Memory::Accumulator, machine.accumulator_vectors_per_bank(), &machine.accumulator),
        ];
        if machine.unified {
            // Weights lie in the other one's banks.
            regions[1].banks = 0;
        }
        let ports: Vec<u32> = regions.iter().flat_map(|r| (0..r.banks).map(|_| r.ports)).collect();
        Ports { regions, held: std::array::from_fn(|_| vec![0; ports.len()]), ports }
    }

    /// The banks that these ranges touch (M-1), in order, each once. DRAM has none. The ranges are in bounds.
    pub(super) fn banks(&self, ranges: &[Access]) -> Vec<Bank> {
        let mut touched = Vec::new();
        for range in ranges {
            let mut first_bank = 0;
            for region in &self.regions {
                if region.memory == range.memory {
                    let length = i128::from(region.length);
                    let (low, high) = (range.first / length, (range.end - 1) / length);
                    touched.extend((low..=high).map(|bank| first_bank + bank as usize));
                }
                first_bank += region.banks as usize;
            }
        }
        touched.sort_unstable();
        touched.dedup();
        touched
    }

    /// Whether some bank is touched by both.
    pub(super) fn share(&self, left: &[Access], right: &[Access]) -> bool {
        let theirs = self.banks(right);
        self.banks(left).iter().any(|bank| theirs.contains(bank))
    }

    /// Whether each bank has, beside the other units' holders, a free port.
    pub(super) fn free(&self, unit: Unit, banks: &[Bank]) -> bool {
        banks.iter().all(|&bank| {
            let others = Unit::ALL.iter().filter(|&&other| other != unit && self.held[other as usize][bank] > 0);
            (others.count() as u64) < u64::from(self.ports[bank])
        })
    }

    pub(super) fn hold(&mut self, unit: Unit, banks: &[Bank]) {
        banks.iter().for_each(|&bank| self.held[unit as usize][bank] += 1);
    }

    pub(super) fn release(&mut self, unit: Unit, banks: &[Bank]) {
        banks.iter().for_each(|&bank| self.held[unit as usize][bank] -= 1);
    }
}
