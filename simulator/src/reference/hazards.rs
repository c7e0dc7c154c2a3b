//! M-11 to M-13: untimed execution, happens-before, races, token overflow, and where the program stops.
//!
//! Happens-before is kept as one set of predecessors for each instruction: quadratic space, which is what a reference may cost.

use std::collections::{BTreeMap, VecDeque};

use systole_machine::isa::{Instruction, UNITS, Unit};

use super::footprint::{Access, footprint};
use super::traps::trap_of;
use super::work::Work;
use crate::contract::{Job, Trap};

/// M-13: the instruction before which the program stops.
pub(super) fn stop_of(job: &Job, works: &[Work]) -> Option<(usize, Trap)> {
    let alone = job
        .instructions
        .iter()
        .zip(works)
        .enumerate()
        .find_map(|(index, (instruction, work))| Some((index, trap_of(job, instruction, work)?)));
    let count = alone.map_or(job.instructions.len(), |(index, _)| index);
    let instructions = &job.instructions[..count];
    let order = started(instructions, Unit::ALL.map(|unit| job.machine.control.queue_depth_of(unit)));
    let history = History::of(instructions, &order);
    let footprints: Vec<Vec<Access>> = works[..count].iter().map(|work| footprint(job.machine, work)).collect();
    let mut in_program_order = order;
    in_program_order.sort_unstable();
    in_program_order
        .iter()
        .find_map(|&index| {
            let trap = if history.races(instructions, &footprints, &in_program_order, index) {
                Trap::Race
            } else if history.overflows(index, u64::from(job.machine.control.token_max)) {
                Trap::TokenOverflow
            } else {
                return None;
            };
            Some((index, trap))
        })
        .or(alone)
}

/// Instructions that start in the untimed execution (M-11), in an order in which they can.
fn started(instructions: &[Instruction], depth: [u32; UNITS]) -> Vec<usize> {
    let mut queues: [VecDeque<usize>; UNITS] = Default::default();
    let mut tokens = [[0u64; UNITS]; UNITS];
    let (mut fetched, mut order) = (0, Vec::new());
    loop {
        let before = (fetched, order.len());
        while let Some(instruction) = instructions.get(fetched) {
            let unit = instruction.unit() as usize;
            if queues[unit].len() as u64 >= u64::from(depth[unit]) {
                break;
            }
            queues[unit].push_back(fetched);
            fetched += 1;
        }
        for unit in Unit::ALL {
            let Some(&head) = queues[unit as usize].front() else { continue };
            let instruction = &instructions[head];
            let from: Vec<Unit> = Unit::ALL.into_iter().filter(|&other| instruction.wait.contains(other)).collect();
            if from.iter().all(|&other| tokens[other as usize][unit as usize] > 0) {
                queues[unit as usize].pop_front();
                from.iter().for_each(|&other| tokens[other as usize][unit as usize] -= 1);
                for to in Unit::ALL.into_iter().filter(|&to| instruction.signal.contains(to)) {
                    tokens[unit as usize][to as usize] += 1;
                }
                order.push(head);
            }
        }
        if before == (fetched, order.len()) {
            return order;
        }
    }
}

/// A semaphore: from, to.
type Semaphore = (Unit, Unit);

struct History {
    /// By instruction: bit i says that instruction i comes before it.
    before: Vec<Vec<u64>>,
    /// By instruction: the semaphores it signals, each with k.
    signals: Vec<Vec<(Semaphore, u64)>>,
    /// The instructions that wait on a semaphore, in order.
    waits: BTreeMap<Semaphore, Vec<usize>>,
}

impl History {
    /// `order` is one in which every instruction follows those that come before it.
    fn of(instructions: &[Instruction], order: &[usize]) -> Self {
        let words = instructions.len().div_ceil(64);
        let mut history = History {
            before: vec![vec![0; words]; instructions.len()],
            signals: vec![Vec::new(); instructions.len()],
            waits: BTreeMap::new(),
        };
        let mut signallers: BTreeMap<Semaphore, Vec<usize>> = BTreeMap::new();
        let mut previous = [None; UNITS];
        for &index in order {
            let unit = instructions[index].unit();
            let mut direct: Vec<usize> = previous[unit as usize].replace(index).into_iter().collect();
            for other in Unit::ALL {
                if instructions[index].wait.contains(other) {
                    let waits = history.waits.entry((other, unit)).or_default();
                    // The k-th wait follows the k-th signal.
                    direct.extend(signallers.get(&(other, unit)).and_then(|list| list.get(waits.len())));
                    waits.push(index);
                }
                if instructions[index].signal.contains(other) {
                    let list = signallers.entry((unit, other)).or_default();
                    list.push(index);
                    history.signals[index].push(((unit, other), list.len() as u64));
                }
            }
            for predecessor in direct {
                history.inherit(index, predecessor);
            }
        }
        history
    }

    fn inherit(&mut self, index: usize, predecessor: usize) {
        let theirs = self.before[predecessor].clone();
        let own = &mut self.before[index];
        own.iter_mut().zip(&theirs).for_each(|(own, theirs)| *own |= theirs);
        own[predecessor / 64] |= 1 << (predecessor % 64);
    }

    fn comes_before(&self, first: usize, second: usize) -> bool {
        self.before[second][first / 64] & (1 << (first % 64)) != 0
    }

    /// M-12, `Race` at `index`.
    fn races(&self, instructions: &[Instruction], footprints: &[Vec<Access>], started: &[usize], index: usize) -> bool {
        started.iter().take_while(|&&earlier| earlier < index).any(|&earlier| {
            instructions[earlier].unit() != instructions[index].unit()
                && !self.comes_before(earlier, index)
                && !self.comes_before(index, earlier)
                && conflict(&footprints[earlier], &footprints[index])
        })
    }

    /// M-12, `TokenOverflow` at `index`.
    fn overflows(&self, index: usize, token_max: u64) -> bool {
        self.signals[index].iter().any(|(semaphore, signalled)| {
            let waits = self
                .waits
                .get(semaphore)
                .map_or(0, |waits| waits.iter().filter(|&&waiting| self.comes_before(waiting, index)).count() as u64);
            signalled - waits > token_max
        })
    }
}

/// Whether a byte is in both, written by one. Both are sorted, ranges of one memory and kind apart from each other.
fn conflict(left: &[Access], right: &[Access]) -> bool {
    right.iter().any(|b| {
        [false, true].into_iter().filter(|&write| write || b.write).any(|write| {
            let reaching = left.partition_point(|a| (a.memory, a.write, a.end) <= (b.memory, write, b.first));
            left.get(reaching).is_some_and(|a| (a.memory, a.write) == (b.memory, write) && a.first < b.end)
        })
    })
}
