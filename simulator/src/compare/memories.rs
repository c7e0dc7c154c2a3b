//! Where memories differ: the first place, and how many.

use std::fmt;

use crate::contract::{Accumulators, Memories, Memory};

/// The first place where a memory differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryDifference {
    /// The memory.
    pub memory: Memory,
    /// Byte, or word of the accumulators; where one side is shorter, its length.
    pub address: usize,
    /// What the reference engine left there, if it has the place.
    pub reference: Option<i64>,
    /// What the fast engine left there, if it has the place.
    pub fast: Option<i64>,
    /// Places that differ in all.
    pub places: usize,
}

/// The first difference: accumulators, activations and weights before DRAM, which holds what came of them.
pub(super) fn compare(reference: &Memories, fast: &Memories) -> Option<MemoryDifference> {
    words(&reference.accumulator, &fast.accumulator)
        .or_else(|| first(Memory::Activation, &reference.activation, &fast.activation))
        .or_else(|| first(Memory::Weight, &reference.weight, &fast.weight))
        .or_else(|| first(Memory::Dram, &reference.dram, &fast.dram))
}

fn words(reference: &Accumulators, fast: &Accumulators) -> Option<MemoryDifference> {
    let all = |side: &Accumulators| (0..side.len()).map(|at| side.get(at)).collect::<Vec<i64>>();
    if reference == fast { None } else { first(Memory::Accumulator, &all(reference), &all(fast)) }
}

fn first<T: Copy + PartialEq + Into<i64>>(memory: Memory, reference: &[T], fast: &[T]) -> Option<MemoryDifference> {
    if reference == fast {
        return None;
    }
    let length = reference.len().max(fast.len());
    let mut places = (0..length).filter(|&at| reference.get(at) != fast.get(at));
    let address = places.next()?;
    let value = |side: &[T]| side.get(address).map(|value| (*value).into());
    Some(MemoryDifference {
        memory,
        address,
        reference: value(reference),
        fast: value(fast),
        places: 1 + places.count(),
    })
}

impl fmt::Display for MemoryDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = |side: Option<i64>| side.map_or("nothing".to_owned(), |value| value.to_string());
        write!(
            f,
            "{:?} memory at {}: reference {}, fast {} ({} places differ)",
            self.memory,
            self.address,
            value(self.reference),
            value(self.fast),
            self.places
        )
    }
}
