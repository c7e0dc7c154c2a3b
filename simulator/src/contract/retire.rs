//! What an engine tells of the end of an instruction, where it is asked to: when, what the instruction has written, what its unit has done until then.

use super::UnitCycles;

/// A memory, as reports name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Memory {
    /// DRAM, by byte.
    Dram,
    /// Activation buffer, by byte; with one memory for both operands, that memory.
    Activation,
    /// Weight buffer, by byte.
    Weight,
    /// Accumulators: by vector in footprints, by word in contents.
    Accumulator,
}

/// The end of an instruction. Equal for both engines, on every program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retire {
    /// When it ended: its effects are visible from this cycle on.
    pub cycle: u64,
    /// Its index in the program.
    pub instruction: usize,
    /// The ranges of its footprint that it writes (M-9), by memory and address, joined where they touch; without what a later instruction of its unit that
    /// had started before this cycle writes too, since that one may have begun to.
    pub written: Vec<Written>,
    /// What its unit did in the cycles before this one (T-10).
    pub unit: UnitCycles,
}

/// A range of a memory and what was in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// The memory.
    pub memory: Memory,
    /// First byte, or vector of the accumulators.
    pub first: u64,
    /// The one after the last.
    pub end: u64,
    /// [`digest`] of the contents: bytes, or words.
    pub digest: u64,
}

/// A number that tells contents apart: FNV-1a over the values, 64 bits each. Says nothing about any machine.
pub(crate) fn digest(values: impl Iterator<Item = i64>) -> u64 {
    values.fold(0xcbf2_9ce4_8422_2325, |hash, value| (hash ^ value as u64).wrapping_mul(0x0000_0100_0000_01b3))
}

/// Both engines give their retires in this order, whatever order they found them in.
pub(crate) fn in_order(mut retires: Vec<Retire>) -> Vec<Retire> {
    retires.sort_by_key(|retire| (retire.cycle, retire.instruction));
    retires
}
