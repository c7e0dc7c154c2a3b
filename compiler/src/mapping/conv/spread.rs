//! How a layer is spread over several arrays, and how long their runs wait for one another's ports (T-4).
//!
//! Arrays that run at the same time work either on chunks of one tile, which read the same input, or on tiles under one chunk, which read the same
//! weights. What they have in common is in one bank, so that they run together where it has a port for each, and one after the other where it has not;
//! or each has a copy in banks of its own, which takes room and bursts. What is best depends on layer and memories: the search tries all.

use std::collections::BTreeSet;

use systole_machine::spec::{Buffer, Machine};

use super::{ConvMapping, block_vectors};

/// What arrays work on at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Chunks of one tile.
    Chunks,
    /// Tiles, of one chunk.
    Tiles,
}

/// How a layer is spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    /// Arrays in use.
    pub arrays: usize,
    /// What they work on at the same time.
    pub side: Side,
    /// Each has a copy of what they would otherwise have in common.
    pub copies: bool,
}

/// Regions of each kind that are in use at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lanes {
    /// Input, output, parameters.
    pub(super) activation: [usize; 3],
    /// Weights.
    pub(super) weight: usize,
}

impl Spread {
    /// All on the first array.
    pub const ONE: Spread = Spread { arrays: 1, side: Side::Chunks, copies: false };

    /// What to try on a machine of that many arrays, one array first.
    pub(super) fn all(count: usize) -> Vec<Spread> {
        let mut all = vec![Spread::ONE];
        for arrays in BTreeSet::from([count, 2]).into_iter().filter(|&arrays| arrays > 1 && arrays <= count) {
            for side in [Side::Tiles, Side::Chunks] {
                all.extend([false, true].map(|copies| Spread { arrays, side, copies }));
            }
        }
        all
    }

    pub(super) fn lanes(self, shared: bool, whole_output: bool) -> Lanes {
        let Spread { arrays, side, copies } = self;
        let of = |each: bool| if each { arrays } else { 1 };
        let tiles = side == Side::Tiles;
        Lanes {
            activation: [of(tiles || copies || !shared), of(tiles && whole_output), of(!tiles)],
            weight: of(!tiles || copies),
        }
    }

    /// Copies of resident weights.
    pub fn weight_copies(self) -> usize {
        if self.side == Side::Tiles && self.copies { self.arrays } else { 1 }
    }
}

/// Bytes `[first, end)`.
type Range = (u64, u64);

/// By how much ports stretch the time that runs of all arrays together take: over some rounds, turns and rounds.
pub(super) fn turns(machine: &Machine, mapping: &ConvMapping) -> (u64, u64) {
    let arrays = mapping.spread.arrays;
    if arrays == 1 {
        return (1, 1);
    }
    let rounds = match mapping.spread.side {
        Side::Tiles => 1,
        Side::Chunks => mapping.chunks.len().div_ceil(arrays).min(MOST_ROUNDS),
    };
    let turns: u64 = (0..rounds).map(|round| turns_of_round(machine, mapping, round * arrays)).sum();
    (turns, rounds as u64)
}

/// Rounds looked at: what a few say holds for all.
const MOST_ROUNDS: usize = 8;

/// `first`: the round's first chunk.
fn turns_of_round(machine: &Machine, mapping: &ConvMapping, first: usize) -> u64 {
    let runs = || (0..mapping.spread.arrays).map(|lane| footprint(machine, mapping, first, lane));
    let sums = {
        let buffer = &machine.accumulator;
        let bank = machine.accumulator_vectors_per_bank().max(1);
        turns_of_banks(buffer, runs().map(|(_, _, sums)| banks(sums, bank)))
    };
    let (activation, weight) = (&machine.activation, &machine.weight);
    let of_bytes = |range: Range, buffer: &Buffer| banks(range, buffer.bank_bytes().max(1));
    let operands = if machine.unified {
        let both = |(input, weights, _)| &of_bytes(input, activation) | &of_bytes(weights, activation);
        turns_of_banks(activation, runs().map(both))
    } else {
        let inputs = turns_of_banks(activation, runs().map(|(input, _, _)| of_bytes(input, activation)));
        inputs.max(turns_of_banks(weight, runs().map(|(_, weights, _)| of_bytes(weights, weight))))
    };
    sums.max(operands)
}

/// What the run of a lane reads and writes: input, weights, sums.
fn footprint(machine: &Machine, mapping: &ConvMapping, first: usize, lane: usize) -> (Range, Range, Range) {
    let (chunks, places) = (&mapping.chunks, &mapping.place);
    let tiles = mapping.spread.side == Side::Tiles;
    // Beyond the tile's last chunk stands the next tile's first.
    let (tile, chunk) = match mapping.spread.side {
        Side::Tiles => (lane, 0),
        Side::Chunks => ((first + lane) / chunks.len(), (first + lane) % chunks.len()),
    };
    let slot = |slots: &[u64], index: usize| slots[index % slots.len()];
    let own_input = mapping.spread.copies || !mapping.shared;
    let input = slot(&places.regions[0], if own_input { lane } else { tile });
    let part = &chunks[chunk].parts[0];
    let weights = match (places.resident, tiles) {
        (true, _) => slot(&places.weight, lane) + part.weight_offset,
        (false, true) if !mapping.spread.copies => places.weight[0],
        (false, _) => slot(&places.weight, lane),
    };
    let pixels = mapping.tile[0] * mapping.tile[1];
    let block = block_vectors(machine, mapping.dataflow, chunks[chunk].block_channels, pixels);
    let sums = slot(&places.sums, lane);
    (
        (input, input + mapping.region_bytes[0]),
        (weights, weights + part.weight_bytes),
        (sums, sums + chunks[chunk].blocks as u64 * block),
    )
}

fn banks((first, end): Range, bank: u64) -> BTreeSet<u64> {
    (first / bank..=end.max(first + 1).saturating_sub(1) / bank).collect()
}

/// Turns in which a memory serves runs that touch these banks, each holding a port of every one.
fn turns_of_banks(buffer: &Buffer, runs: impl Iterator<Item = BTreeSet<u64>>) -> u64 {
    let mut holders = std::collections::BTreeMap::<u64, u64>::new();
    for bank in runs.flatten() {
        *holders.entry(bank).or_default() += 1;
    }
    holders.into_values().max().unwrap_or(1).div_ceil(u64::from(buffer.ports.max(1)))
}
