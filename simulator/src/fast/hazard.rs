//! Traps between instructions (M-11, M-12): vector clocks over the untimed execution, and for each run instruction a search of the
//! instructions of other units that are concurrent with it.
//!
//! Knows no durations. Bounding ranges in a tree keep the search short; exact ranges decide.

use std::collections::VecDeque;

use systole_machine::isa::UNITS;
use systole_machine::spec::Machine;

use super::footprint::{Memory, footprint};
use super::mutant::{Mutant, on};
use super::work::{Step, Work};
use crate::contract::Trap;

/// What the untimed execution knows of one instruction.
#[derive(Clone, Copy)]
struct Clock {
    /// For each unit, how many of its instructions come before this one or are it; 0 in the own entry for one that never starts.
    seen: [u32; UNITS],
    /// For each unit, how many tokens from it this unit has taken, this instruction's included.
    taken: [u32; UNITS],
}

/// The untimed execution: clocks by instruction, instructions by unit in order.
struct Untimed {
    clocks: Vec<Clock>,
    started: [Vec<u32>; UNITS],
}

/// The earliest instruction with a trap of M-12. `steps` have no trap of their own.
pub(super) fn find(steps: &[Step], machine: &Machine) -> Option<(usize, Trap)> {
    let untimed = execute(steps, machine);
    let overflow = overflow(steps, &untimed, machine.control.token_max);
    let limit = overflow.map_or(steps.len(), |index| index + 1);
    match race(&steps[..limit], &untimed, machine) {
        Some(index) => Some((index, Trap::Race)),
        None => overflow.map(|index| (index, Trap::TokenOverflow)),
    }
}

fn execute(steps: &[Step], machine: &Machine) -> Untimed {
    let none = Clock { seen: [0; UNITS], taken: [0; UNITS] };
    let mut untimed = Untimed { clocks: vec![none; steps.len()], started: Default::default() };
    // By giver and taker: the instructions whose tokens wait.
    let mut tokens: [[VecDeque<u32>; UNITS]; UNITS] = Default::default();
    let mut queues: [VecDeque<u32>; UNITS] = Default::default();
    let mut last = [none; UNITS];
    let mut fetched = 0;
    loop {
        let mut moved = false;
        while let Some(step) = steps.get(fetched)
            && queues[step.unit as usize].len() < machine.control.queue_depth_of(step.unit) as usize
        {
            queues[step.unit as usize].push_back(fetched as u32);
            fetched += 1;
            moved = true;
        }
        for unit in 0..UNITS {
            while let Some(&index) = queues[unit].front() {
                let step = &steps[index as usize];
                let waits = |from: &usize| step.wait.0 & (1 << from) != 0;
                if (0..UNITS).filter(waits).any(|from| tokens[from][unit].is_empty()) {
                    break;
                }
                let mut clock = last[unit];
                clock.seen[unit] += 1;
                for from in (0..UNITS).filter(waits) {
                    clock.taken[from] += 1;
                    if let Some(giver) = tokens[from][unit].pop_front() {
                        let giver = untimed.clocks[giver as usize].seen;
                        (0..UNITS).for_each(|other| clock.seen[other] = clock.seen[other].max(giver[other]));
                    }
                }
                for to in (0..UNITS).filter(|to| step.signal.0 & (1 << to) != 0) {
                    tokens[unit][to].push_back(index);
                }
                untimed.clocks[index as usize] = clock;
                untimed.started[unit].push(index);
                last[unit] = clock;
                queues[unit].pop_front();
                moved = true;
            }
        }
        if !moved {
            return untimed;
        }
    }
}

/// The earliest instruction after which a semaphore could pass its maximum.
fn overflow(steps: &[Step], untimed: &Untimed, token_max: u32) -> Option<usize> {
    let mut earliest: Option<usize> = None;
    for unit in 0..UNITS {
        let mut given = [0u32; UNITS];
        for &index in &untimed.started[unit] {
            let step = &steps[index as usize];
            for to in (0..UNITS).filter(|to| step.signal.0 & (1 << to) != 0) {
                given[to] += 1;
                let before = untimed.clocks[index as usize].seen[to] as usize;
                let taken = before
                    .checked_sub(1)
                    .map_or(0, |last| untimed.clocks[untimed.started[to][last] as usize].taken[unit]);
                if given[to].saturating_sub(taken) > token_max + u32::from(on(Mutant::TokenMaxLoose)) {
                    earliest = Some(earliest.map_or(index as usize, |other| other.min(index as usize)));
                }
            }
        }
    }
    earliest
}

/// Those of an array's instructions.
const ARRAY: [Option<(Memory, bool)>; 3] =
    [Some((Memory::Activation, false)), Some((Memory::Weight, false)), Some((Memory::Accumulator, true))];

/// The kinds of access that a unit's instructions have, one bounding range kept for each.
const LANES: [[Option<(Memory, bool)>; 3]; UNITS] = [
    [Some((Memory::Dram, false)), Some((Memory::Activation, true)), Some((Memory::Weight, true))],
    ARRAY,
    [Some((Memory::Activation, false)), Some((Memory::Activation, true)), Some((Memory::Accumulator, false))],
    [Some((Memory::Activation, false)), Some((Memory::Dram, true)), None],
    ARRAY,
    ARRAY,
    ARRAY,
];

/// Bounding ranges by lane; first ≥ end for none.
type Hulls = [(u64, u64); 3];
const EMPTY: Hulls = [(u64::MAX, 0); 3];

fn join(a: &Hulls, b: &Hulls) -> Hulls {
    std::array::from_fn(|lane| (a[lane].0.min(b[lane].0), a[lane].1.max(b[lane].1)))
}

fn hulls(step: &Step, machine: &Machine) -> Hulls {
    let mut hulls = EMPTY;
    for access in footprint(&step.work, machine).iter() {
        for (lane, kind) in LANES[step.unit as usize].iter().enumerate() {
            if *kind == Some((access.memory, access.write)) {
                let (first, end) = access.ranges.hull();
                hulls[lane] = (hulls[lane].0.min(first), hulls[lane].1.max(end));
            }
        }
    }
    hulls
}

/// The pairs of lanes of two units that can conflict.
fn pairs(a: usize, b: usize, machine: &Machine) -> Vec<(usize, usize)> {
    let conflict = |x: Option<(Memory, bool)>, y: Option<(Memory, bool)>| match (x, y) {
        (Some(x), Some(y)) => x.0.aliases(y.0, machine) && (x.1 || y.1),
        _ => false,
    };
    (0..9).map(|k| (k / 3, k % 3)).filter(|&(x, y)| conflict(LANES[a][x], LANES[b][y])).collect()
}

/// The run instructions of a unit that started, with a binary tree of bounding ranges over them.
struct Runs {
    /// Index in the program.
    index: Vec<u32>,
    /// The tree: node 1 is the root, node `width + k` run k.
    tree: Vec<Hulls>,
    width: usize,
}

impl Runs {
    fn new(started: &[u32], steps: &[Step], machine: &Machine) -> Self {
        let is_run = |index: &&u32| !matches!(steps[**index as usize].work, Work::Configure);
        let in_range = started.iter().filter(|index| (**index as usize) < steps.len());
        let index: Vec<u32> = in_range.filter(is_run).copied().collect();
        let width = index.len().next_power_of_two();
        let mut tree = vec![EMPTY; 2 * width];
        for (k, &i) in index.iter().enumerate() {
            tree[width + k] = hulls(&steps[i as usize], machine);
        }
        for node in (1..width).rev() {
            tree[node] = join(&tree[2 * node], &tree[2 * node + 1]);
        }
        Runs { index, tree, width }
    }

    /// Whether `exact` holds for a run among `low..high` whose bounding ranges meet those of `own`.
    fn any(&self, low: usize, high: usize, near: &dyn Fn(&Hulls) -> bool, exact: &dyn Fn(u32) -> bool) -> bool {
        low < high && self.descend(1, (0, self.width), (low, high), near, exact)
    }

    fn descend(
        &self,
        node: usize,
        (first, end): (usize, usize),
        window: (usize, usize),
        near: &dyn Fn(&Hulls) -> bool,
        exact: &dyn Fn(u32) -> bool,
    ) -> bool {
        if end <= window.0 || window.1 <= first || !near(&self.tree[node]) {
            return false;
        }
        if end - first == 1 {
            return self.index.get(first).is_some_and(|&index| exact(index));
        }
        let middle = first.midpoint(end);
        self.descend(2 * node, (first, middle), window, near, exact)
            || self.descend(2 * node + 1, (middle, end), window, near, exact)
    }
}

/// The earliest instruction with a race.
fn race(steps: &[Step], untimed: &Untimed, machine: &Machine) -> Option<usize> {
    let runs: [Runs; UNITS] = std::array::from_fn(|unit| Runs::new(&untimed.started[unit], steps, machine));
    let lanes: [[Vec<(usize, usize)>; UNITS]; UNITS] =
        std::array::from_fn(|a| std::array::from_fn(|b| pairs(a, b, machine)));
    let clock = |index: u32| &untimed.clocks[index as usize];
    (0..steps.len()).find(|&j| {
        let (step, own) = (&steps[j], clock(j as u32));
        let unit = step.unit as usize;
        if matches!(step.work, Work::Configure) || own.seen[unit] == 0 {
            return false;
        }
        let here = hulls(step, machine);
        let whole = footprint(&step.work, machine);
        (0..UNITS).filter(|&other| other != unit && !lanes[unit][other].is_empty()).any(|other| {
            let all = &runs[other];
            let pairs = &lanes[unit][other];
            // Concurrent: not among those that this one has seen, and not having seen this one; both bounds rise along the unit.
            let low = all.index.partition_point(|&i| clock(i).seen[other] <= own.seen[other]);
            let high = all.index.partition_point(|&i| (i as usize) < j && clock(i).seen[unit] < own.seen[unit]);
            let near = |there: &Hulls| pairs.iter().any(|&(x, y)| here[x].0 < there[y].1 && there[y].0 < here[x].1);
            let exact = |i: u32| whole.conflicts(&footprint(&steps[i as usize].work, machine), machine);
            all.any(low, high, &near, &exact)
        })
    })
}
