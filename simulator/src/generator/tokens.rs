//! Order between units: tokens as a compiler would place them, from what instructions touch, and the semaphores' largest counts.

use systole_machine::isa::{Instruction, UNITS, Unit};

use super::builder::Step;
use super::draw::Draw;
use super::footprint::conflict;

/// How many instructions of each unit come before an instruction, or are it (M-11).
type Clock = [usize; UNITS];

/// Orders every two steps that conflict. `redundant` in a hundred chances to add a token that nothing needs.
pub(super) fn synchronise(draw: &mut Draw, steps: &mut [Step], redundant: u64) {
    let mut clocks: Vec<Clock> = Vec::with_capacity(steps.len());
    let mut of_unit: [Vec<usize>; UNITS] = Default::default();
    // By giver and taker: instructions of the giver up to its last signal.
    let mut signalled = [[0; UNITS]; UNITS];
    for index in 0..steps.len() {
        let unit = steps[index].instruction.unit();
        let mut clock = of_unit[unit as usize].last().map_or([0; UNITS], |&previous: &usize| clocks[previous]);
        let mut others: Vec<Unit> = Unit::ALL.into_iter().filter(|other| *other != unit).collect();
        draw.shuffle(&mut others);
        for other in others {
            let queue = &of_unit[other as usize];
            let needed = latest_conflict(steps, index, queue).filter(|needed| *needed >= clock[other as usize]);
            let spare = queue.len().checked_sub(1).filter(|last| *last >= signalled[other as usize][unit as usize]);
            let giver = match needed {
                Some(needed) if draw.chance(85) => Some(needed),
                Some(needed) => spare.or(Some(needed)),
                None => spare.filter(|_| draw.chance(redundant)),
            };
            let Some(giver) = giver else { continue };
            signalled[other as usize][unit as usize] = giver + 1;
            let from = queue[giver];
            give(&mut steps[from].instruction, unit);
            take(&mut steps[index].instruction, other);
            clock = std::array::from_fn(|k| clock[k].max(clocks[from][k]));
        }
        of_unit[unit as usize].push(index);
        clock[unit as usize] = of_unit[unit as usize].len();
        clocks.push(clock);
    }
}

fn give(instruction: &mut Instruction, to: Unit) {
    instruction.signal = instruction.signal.with(to);
}

fn take(instruction: &mut Instruction, from: Unit) {
    instruction.wait = instruction.wait.with(from);
}

/// Position in its unit's queue of the latest step there that conflicts with step `index`.
fn latest_conflict(steps: &[Step], index: usize, queue: &[usize]) -> Option<usize> {
    queue.iter().rposition(|&earlier| conflict(&steps[earlier].accesses, &steps[index].accesses))
}

/// The smallest `token_max` with which a program without dangling tokens does not overflow (M-12).
pub(super) fn pressure(steps: &[Step]) -> u32 {
    let mut clocks: Vec<Clock> = Vec::with_capacity(steps.len());
    let mut of_unit: [Vec<usize>; UNITS] = Default::default();
    let mut signals: [[Vec<usize>; UNITS]; UNITS] = Default::default();
    let mut waits: [[Vec<usize>; UNITS]; UNITS] = Default::default();
    let mut most = 1;
    for (index, step) in steps.iter().enumerate() {
        let instruction = &step.instruction;
        let unit = instruction.unit() as usize;
        let mut clock = of_unit[unit].last().map_or([0; UNITS], |&previous: &usize| clocks[previous]);
        for from in Unit::ALL.into_iter().filter(|from| instruction.wait.contains(*from)) {
            let taken = &mut waits[from as usize][unit];
            if let Some(&giver) = signals[from as usize][unit].get(taken.len()) {
                clock = std::array::from_fn(|k| clock[k].max(clocks[giver][k]));
            }
            taken.push(of_unit[unit].len());
        }
        for to in Unit::ALL.into_iter().filter(|to| instruction.signal.contains(*to)) {
            signals[unit][to as usize].push(index);
            let before = waits[unit][to as usize].iter().filter(|position| **position < clock[to as usize]).count();
            most = most.max(signals[unit][to as usize].len() - before);
        }
        of_unit[unit].push(index);
        clock[unit] = of_unit[unit].len();
        clocks.push(clock);
    }
    most as u32
}
