//! What a generated instruction touches (M-9), as lists of ranges, made where its shape is chosen. A third reading of the law beside the engines' two.

/// A memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Memory {
    Activation = 0,
    Weight = 1,
    /// Addressed by vector.
    Accumulator = 2,
    Dram = 3,
}

/// Addresses `first..end` of a memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Access {
    pub(super) memory: Memory,
    pub(super) write: bool,
    pub(super) first: u64,
    pub(super) end: u64,
}

impl Access {
    pub(super) fn new(memory: Memory, write: bool, first: u64, length: u64) -> Self {
        Access { memory, write, first, end: first + length }
    }
}

/// Whether two instructions touch a common address that one of them writes.
pub(super) fn conflict(a: &[Access], b: &[Access]) -> bool {
    a.iter()
        .any(|x| b.iter().any(|y| x.memory == y.memory && (x.write || y.write) && x.first < y.end && y.first < x.end))
}

/// Where an instruction of a unit may put its operands: a range of each memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room(pub(super) [(u64, u64); 4]);

impl Room {
    pub(super) fn length(&self, memory: Memory) -> u64 {
        let (first, end) = self.0[memory as usize];
        end - first
    }
}
