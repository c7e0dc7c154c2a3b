//! M-1, M-3, M-10: arrays with registers of their own, whose sums lie side by side, and one memory for activations and weights. Values by hand.

use super::*;
use crate::contract::Trap;

/// The same instruction for another array.
fn on(number: u64, mut instruction: Instruction) -> Instruction {
    match &mut instruction.operation {
        Operation::ArrayInput { array, .. }
        | Operation::ArrayWindow { array, .. }
        | Operation::ArrayOutput { array, .. }
        | Operation::ArrayRun { array, .. }
        | Operation::ArraySync { array } => *array = u(number),
        other => panic!("{other:?} is for no array"),
    }
    instruction
}

fn arrays(count: u32) -> Machine {
    let mut machine = machine();
    machine.array.count = count;
    (machine.weight, machine.unified) = (machine.activation, true);
    machine
}

/// One pixel of so many channels from 0 on, weights from 16 on, sums to a vector.
fn pixel(number: u64, channels: u64) -> [Instruction; 4] {
    [
        ar_input(1, 1, 0, channels),
        ar_window([1, 1], [1, 1], [1, 1], [0, 0], false),
        ar_output(1, 1, channels, 0),
        ar_run(0, 16, number, 1, false).waits(Unit::Load),
    ]
    .map(|instruction| on(number, instruction))
}

#[test]
fn arrays_have_registers_of_their_own_and_operands_one_memory() {
    // Activations through the space of weights, weights through that of activations: weight j, n is 4·j + n + 1.
    let weights: Vec<u8> = (1..=16).collect();
    let mut program = vec![ld_shape(16, 1, 1), ld_run(0, 0, Space::Weight), ld_run(64, 16, Space::Activation)];
    program[2] = program[2].signals(Unit::Array).signals(Unit::Array1);
    let [[a, b, c, run], [d, e, f, other]] = [pixel(0, 2), pixel(1, 3)];
    program.extend([a, d, b, e, c, f, run, other]);
    let (timing, memories) = simulate(&arrays(2), &program, &[(0, &[1, 2, 3, 4]), (64, &weights)]);
    assert_eq!(timing.outcome, Outcome::Halted);
    assert_eq!((&memories.activation[..4], &memories.activation[16..32]), (&[1, 2, 3, 4][..], &weights[..]));
    assert!(memories.weight.is_empty());
    // 1·(1 + n) + 2·(5 + n), and for the second array + 3·(9 + n).
    let sums: Vec<i64> = (0..8).map(|at| memories.accumulator.get(at)).collect();
    assert_eq!(sums, [11, 14, 17, 20, 38, 44, 50, 56]);
}

#[test]
fn arrays_beyond_the_count_are_traps() {
    let outcome = |count, instruction| timing_of(&arrays(count), &[instruction]).outcome;
    let trap = |trap| Outcome::Trap { trap, instruction: 0 };
    assert_eq!(outcome(4, on(3, sync(Unit::Array))), Outcome::Halted);
    assert_eq!(outcome(3, on(3, sync(Unit::Array))), trap(Trap::Unsupported));
    assert_eq!(outcome(3, sync(Unit::Load).signals(Unit::Array3)), trap(Trap::BadToken));
    assert_eq!(outcome(4, sync(Unit::Load).signals(Unit::Array3)), Outcome::Halted);
    // Its own token is named first, whether or not the array is there.
    assert_eq!(outcome(3, on(3, sync(Unit::Array)).waits(Unit::Array3)), trap(Trap::BadToken));
}
