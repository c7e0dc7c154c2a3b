//! Sets of ranges against sets of numbers, and the hazard search against the rules M-11 and M-12 written out pair by pair.

use std::collections::BTreeSet;

use super::*;
use crate::contract::Trap;
use crate::fast::footprint::{Memory, footprint};
use crate::fast::work::{Registers, Step, Work};
use crate::fast::{hazard, prepare};

fn addresses(step: &Step, machine: &Machine) -> Vec<(u8, bool, BTreeSet<u64>)> {
    let all = footprint(&step.work, machine);
    let memory = |memory: Memory| match memory {
        Memory::Weight if machine.unified => Memory::Activation as u8,
        other => other as u8,
    };
    all.iter()
        .map(|a| (memory(a.memory), a.write, a.ranges.iter().flat_map(|(first, end)| first..end).collect()))
        .collect()
}

fn transfer(random: &mut Random, store: bool) -> Vec<Instruction> {
    let (row, rows, planes) = (random.range(1, 5), random.range(1, 4), random.range(1, 4));
    let pitch = row + random.range(0, 6);
    let plane = (rows - 1) * pitch + row + random.range(0, 9);
    let (dram_row, dram_plane) = if store { (pitch, plane) } else { (random.range(0, 9), random.range(0, 30)) };
    let (dram, buffer) = (random.range(0, 60), random.range(0, 60));
    if store {
        vec![
            st_shape(row, rows, planes),
            Instruction::new(Operation::StoreDramPitch { row_pitch: u(dram_row), plane_pitch: u(dram_plane) }),
            Instruction::new(Operation::StoreBufferPitch { row_pitch: u(pitch), plane_pitch: u(plane) }),
            st_run(dram, buffer),
        ]
    } else {
        let space = if random.range(0, 3) == 0 { Space::Weight } else { Space::Activation };
        vec![
            ld_shape(row, rows, planes),
            ld_dram(dram_row, dram_plane),
            ld_buffer(pitch, plane),
            ld_run(dram, buffer, space),
        ]
    }
}

pub(super) fn resolve(program: &[Instruction]) -> Vec<Step> {
    let mut registers = Registers::default();
    program.iter().map(|instruction| registers.resolve(instruction)).collect()
}

#[test]
fn m9_conflicts_of_strided_sets() {
    let mut random = Random(16);
    let mut hits = [0; 2];
    for _ in 0..3000 {
        let load = resolve(&transfer(&mut random, false))[3];
        let store = resolve(&transfer(&mut random, true))[3];
        let machine = Machine { unified: random.flag(), ..machine() };
        let expected = naive_conflict(&load, &store, &machine);
        let (a, b) = (footprint(&load.work, &machine), footprint(&store.work, &machine));
        assert_eq!((a.conflicts(&b, &machine), b.conflicts(&a, &machine)), (expected, expected), "{load:?} {store:?}");
        hits[usize::from(expected)] += 1;
    }
    assert!(hits.iter().all(|&hits| hits > 300), "{hits:?}");
}

fn naive_conflict(a: &Step, b: &Step, machine: &Machine) -> bool {
    let (a, b) = (addresses(a, machine), addresses(b, machine));
    a.iter().any(|a| b.iter().any(|b| a.0 == b.0 && (a.1 || b.1) && !a.2.is_disjoint(&b.2)))
}

/// Tokens at random, but a wait only where the program has given a token before: most of these programs end.
fn tokens(random: &mut Random, program: &mut [Instruction]) {
    let mut given = [[0u32; UNITS]; UNITS];
    for instruction in program {
        let unit = instruction.unit() as usize;
        for other in (0..UNITS).filter(|&other| other != unit) {
            if given[other][unit] > 0 && random.range(0, 1) == 0 {
                *instruction = instruction.wait(Unit::ALL[other]);
                given[other][unit] -= 1;
            }
            if random.range(0, 3) == 0 {
                *instruction = instruction.signal(Unit::ALL[other]);
                given[unit][other] += 1;
            }
        }
    }
}

/// Units of the programs here, which are for machines of two arrays: the first ones in order of index.
const UNITS: usize = 5;

/// The same for the second array.
fn second(instruction: Instruction) -> Instruction {
    let mut bits = instruction.operation.field_bits();
    *bits.last_mut().expect("its array") = 1;
    let operation = Operation::from_field_bits(instruction.encode() as u8, &bits).expect("an array");
    Instruction { operation, ..instruction }
}

pub(super) fn random_program(random: &mut Random) -> Vec<Instruction> {
    let [a, b, c] = pointwise(2);
    let mut program = vec![a, b, c, ve_shape(1, 1, 4, 4)];
    program.extend(pointwise(2).map(second));
    for _ in 0..random.range(2, 12) {
        match random.range(0, 5) {
            0 => program.extend(transfer(random, false)),
            1 => program.extend(transfer(random, true)),
            2 => {
                let run = ar_run(random.range(0, 80), random.range(0, 3) * 16, random.range(0, 6), 1, false);
                program.push(if random.flag() { second(run) } else { run });
            }
            3 => program.push(ve_rescale(random.range(0, 80), random.range(0, 80))),
            4 => program.push(ve_requant(random.range(0, 6), random.range(40, 80), random.range(0, 80))),
            _ => program.push(sync(Unit::WITH_ONE_ARRAY[random.range(0, 3) as usize])),
        }
    }
    tokens(random, &mut program);
    program
}

/// M-11 and M-12 pair by pair. All instructions must start.
fn naive_hazard(steps: &[Step], machine: &Machine) -> Option<(usize, Trap)> {
    let n = steps.len();
    let signals = |from: usize, to: usize| {
        (0..n).filter(move |&k| steps[k].unit as usize == from && steps[k].signal.0 & (1 << to) != 0)
    };
    let waits = |from: usize, to: usize| {
        (0..n).filter(move |&k| steps[k].unit as usize == to && steps[k].wait.0 & (1 << from) != 0)
    };
    let mut before = vec![vec![false; n]; n];
    for i in 0..n {
        (i + 1..n).filter(|&j| steps[i].unit == steps[j].unit).for_each(|j| before[i][j] = true);
    }
    for (from, to) in (0..UNITS * UNITS).map(|k| (k / UNITS, k % UNITS)) {
        signals(from, to).zip(waits(from, to)).for_each(|(i, j)| before[i][j] = true);
    }
    for k in 0..n {
        for i in 0..n {
            for j in 0..n {
                before[i][j] |= before[i][k] && before[k][j];
            }
        }
    }
    (0..n).find_map(|j| {
        let races = |i: usize| {
            steps[i].unit != steps[j].unit
                && !before[i][j]
                && !before[j][i]
                && naive_conflict(&steps[i], &steps[j], machine)
        };
        if (0..j).any(races) {
            return Some((j, Trap::Race));
        }
        let unit = steps[j].unit as usize;
        let overflows = |to: usize| {
            let given = signals(unit, to).position(|k| k == j).map_or(0, |k| k + 1);
            let taken = waits(unit, to).filter(|&k| before[k][j]).count();
            given.saturating_sub(taken) > machine.control.token_max as usize
        };
        (0..UNITS).any(overflows).then_some((j, Trap::TokenOverflow))
    })
}

#[test]
fn m12_random_programs() {
    let mut random = Random(17);
    let (mut races, mut overflows, mut clean) = (0, 0, 0);
    for _ in 0..3000 {
        let mut machine = machine();
        machine.control.queue_depth = [64; 4];
        machine.array.count = 2;
        let program = random_program(&mut random);
        let steps = resolve(&program);
        let job = Job { machine: &machine, instructions: &program, dram_bytes: DRAM };
        if prepare(&job).1.is_some_and(|(_, trap)| !matches!(trap, Trap::Race | Trap::TokenOverflow)) {
            continue;
        }
        let found = hazard::find(&steps, &machine);
        assert_eq!(found, naive_hazard(&steps, &machine), "{program:?}");
        match found {
            Some((_, Trap::Race)) => races += 1,
            Some(_) => overflows += 1,
            None => clean += 1,
        }
        assert!(steps.iter().any(|step| matches!(step.work, Work::Configure)));
    }
    assert!(races > 300 && overflows > 100 && clean > 300, "too few cases: {races} {overflows} {clean}");
}
