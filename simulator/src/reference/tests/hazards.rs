//! M-8 to M-13.

use systole_machine::isa::UnitMask;

use super::*;
use crate::contract::{Trap, Waiting};

fn outcome(machine: &Machine, program: &[Instruction]) -> Outcome {
    timing_of(machine, program).outcome
}

fn trap(machine: &Machine, program: &[Instruction]) -> Option<(Trap, usize)> {
    match outcome(machine, program) {
        Outcome::Trap { trap, instruction } => Some((trap, instruction)),
        _ => None,
    }
}

#[test]
fn bad_tokens() {
    let machine = machine();
    assert_eq!(trap(&machine, &[sync(Unit::Load), sync(Unit::Load).waits(Unit::Load)]), Some((Trap::BadToken, 1)));
    let beyond = Instruction { signal: UnitMask(0x20), ..sync(Unit::Store) };
    assert_eq!(trap(&machine, &[beyond]), Some((Trap::BadToken, 0)));
}

#[test]
fn unsupported_without_float32() {
    let mut machine = machine();
    machine.vector.float32 = false;
    assert_eq!(trap(&machine, &[ve_shape(0, 0, 0, 0), ve_rescale(0, 0)]), Some((Trap::Unsupported, 1)));
    let pool = plain(Operation::VectorMaxPool { a: u(0), out: u(0) });
    assert_eq!(trap(&machine, &[ve_shape(1, 1, 1, 0), pool]), Some((Trap::BadShape, 1)));
}

#[test]
fn bad_shapes() {
    let machine = machine();
    let bad = |program: &[Instruction]| trap(&machine, program) == Some((Trap::BadShape, program.len() - 1));
    let load = ld_run(0, 0, Space::Weight);
    assert!(bad(&[load]));
    assert!(!bad(&[ld_shape(4, 1, 1), load]));
    // Two rows need a pitch in the buffer; in DRAM only a store does.
    assert!(bad(&[ld_shape(4, 2, 1), load]));
    let pitch = |row, plane| plain(Operation::LoadBufferPitch { row_pitch: u(row), plane_pitch: u(plane) });
    assert!(!bad(&[ld_shape(4, 2, 2), pitch(5, 9), load]));
    assert!(bad(&[ld_shape(4, 2, 2), pitch(5, 8), load]));
    let pitch = plain(Operation::StoreBufferPitch { row_pitch: u(4), plane_pitch: u(0) });
    assert!(bad(&[st_shape(4, 2, 1), pitch, st_run(0, 0)]));
    let window = |dilation, packed| ar_window([1, 1], [1, 1], [1, dilation], [0, 0], packed);
    let array = |input, window| [input, window, ar_output(1, 1, 4, 0), ar_run(0, 0, 0, 1, false)];
    assert!(!bad(&array(ar_input(2, 2, 8, 4), window(1, true))));
    assert!(bad(&array(ar_input(2, 2, 8, 4), window(2, true))));
    assert!(bad(&array(ar_input(2, 2, 9, 5), window(1, true))));
    assert!(bad(&array(ar_input(2, 2, 7, 4), window(1, false))));
    assert!(bad(&array(ar_input(2, 2, 8, 3), window(1, false))));
    assert!(bad(&array(ar_input(2, 2, 8, 4), window(0, false))));
    assert!(bad(&[ve_shape(1, 1, 4, 5), ve_requant(0, 0, 0)]));
    assert!(!bad(&[ve_shape(1, 1, 4, 4), ve_requant(0, 0, 64)]));
    assert!(bad(&[ve_shape(1, 1, 4, 4), ve_quant([0; 3], [3, 2], false), ve_requant(0, 0, 64)]));
}

#[test]
fn out_of_bounds() {
    let machine = machine();
    let out = |program: &[Instruction]| trap(&machine, program) == Some((Trap::OutOfBounds, program.len() - 1));
    assert!(!out(&[ld_shape(16, 1, 1), ld_run(DRAM_BYTES - 16, 1008, Space::Activation)]));
    assert!(out(&[ld_shape(16, 1, 1), ld_run(DRAM_BYTES - 15, 1008, Space::Activation)]));
    assert!(out(&[ld_shape(16, 1, 1), ld_run(0, 1009, Space::Weight)]));
    let requant = |accumulator| [ve_shape(1, 2, 8, 4), ve_requant(accumulator, 0, 512)];
    let pitched = |accumulator| {
        let operand = systole_machine::isa::VectorOperand::Out;
        let pitch = plain(Operation::VectorPitch { operand, row_pitch: u(0), pixel_pitch: u(8) });
        let [shape, run] = requant(accumulator);
        [shape, pitch, run]
    };
    // Two blocks of two vectors; there are 32.
    assert!(!out(&pitched(28)));
    assert!(out(&pitched(29)));
    let array = |weight| {
        [
            ar_input(1, 1, 0, 4),
            ar_window([1, 1], [1, 1], [1, 1], [0, 0], false),
            ar_output(1, 1, 4, 0),
            ar_run(0, weight, 0, 2, false),
        ]
    };
    assert!(!out(&array(1024 - 32)));
    assert!(out(&array(1024 - 31)));
    // The largest fields must not overflow anything.
    let huge = u32::MAX.into();
    let program = [
        ar_input(0xffff, 0xffff, huge, 0xff_ffff),
        ar_window([0xfff, 0xfff], [255, 255], [255, 255], [255, 255], false),
        ar_output(0xffff, 0xffff, 0xff_ffff, 0xff_ffff),
        ar_run(huge, huge, 0x3f_ffff, 0xfff, true),
    ];
    assert!(trap(&machine, &program).is_some());
    let pitch = plain(Operation::LoadBufferPitch { row_pitch: u(huge), plane_pitch: u(huge) });
    assert!(trap(&machine, &[ld_shape(0xff_ffff, 0xffff, 0xffff), pitch, ld_run(0, 0, Space::Weight)]).is_some());
}

/// A load into 0..16 and a store from `buffer`, with the given order.
fn load_and_store(buffer: u64, ordered: bool) -> Vec<Instruction> {
    let (mut load, mut store) = (ld_run(0, 0, Space::Activation), st_run(64, buffer));
    if ordered {
        (load, store) = (load.signals(Unit::Vector), store.waits(Unit::Vector));
    }
    let between = sync(Unit::Vector).waits(Unit::Load).signals(Unit::Store);
    let between = if ordered { between } else { sync(Unit::Vector) };
    vec![ld_shape(16, 1, 1), load, between, st_shape(16, 1, 1), store]
}

#[test]
fn races() {
    let machine = machine();
    assert_eq!(trap(&machine, &load_and_store(15, false)), Some((Trap::Race, 4)));
    assert_eq!(outcome(&machine, &load_and_store(16, false)), Outcome::Halted);
    // Transitively, over a unit that touches nothing.
    assert_eq!(outcome(&machine, &load_and_store(15, true)), Outcome::Halted);
    // In DRAM too.
    let mut dram = load_and_store(16, false);
    dram[4] = st_run(15, 16);
    assert_eq!(trap(&machine, &dram), Some((Trap::Race, 4)));
    // A later instruction may come first.
    let reversed = [
        ld_shape(16, 1, 1),
        ld_run(0, 0, Space::Activation).waits(Unit::Store),
        st_shape(16, 1, 1),
        st_run(64, 0).signals(Unit::Load),
    ];
    assert_eq!(outcome(&machine, &reversed), Outcome::Halted);
    // Two reads are none.
    let reads = [st_shape(16, 1, 1), st_run(0, 0), ve_shape(1, 1, 16, 0), ve_rescale(0, 16)];
    assert_eq!(outcome(&machine, &reads), Outcome::Halted);
}

#[test]
fn rows_race_by_their_own_bytes() {
    let pitch = |row| plain(Operation::LoadBufferPitch { row_pitch: u(row), plane_pitch: u(0) });
    let program =
        |buffer| [ld_shape(4, 8, 1), pitch(8), ld_run(0, 0, Space::Activation), st_shape(4, 1, 1), st_run(64, buffer)];
    // Between two rows, and over the edge of one.
    assert_eq!(outcome(&machine(), &program(4)), Outcome::Halted);
    assert_eq!(trap(&machine(), &program(5)), Some((Trap::Race, 4)));
}

#[test]
fn token_overflow() {
    let give = sync(Unit::Load).signals(Unit::Store);
    let take = sync(Unit::Store).waits(Unit::Load);
    // The maximum is 2.
    assert_eq!(outcome(&machine(), &[give, give]), Outcome::Halted);
    assert_eq!(trap(&machine(), &[give, give, give]), Some((Trap::TokenOverflow, 2)));
    // A wait counts only when it comes before.
    assert_eq!(trap(&machine(), &[give, take, give, give]), Some((Trap::TokenOverflow, 3)));
    let program = [give, take.signals(Unit::Load), give, give.waits(Unit::Store)];
    assert_eq!(outcome(&machine(), &program), Outcome::Halted);
}

#[test]
fn the_earliest_trap_ends_the_program() {
    let mut program = load_and_store(15, false);
    program.push(ld_run(0, 2000, Space::Weight));
    assert_eq!(trap(&machine(), &program), Some((Trap::Race, 4)));
    // The instruction of M-10 takes away what would race after it.
    program.insert(1, sync(Unit::Load).waits(Unit::Load));
    assert_eq!(trap(&machine(), &program), Some((Trap::BadToken, 1)));
    // What comes before it ends.
    let program = [ld_shape(16, 1, 1), ld_run(0, 0, Space::Activation), st_run(0, 0), sync(Unit::Array)];
    let timing = timing_of(&machine(), &program);
    assert_eq!(timing.outcome, Outcome::Trap { trap: Trap::BadShape, instruction: 2 });
    assert_eq!((timing.total_cycles, timing.spans[1].unwrap().end), (20, 20));
    assert_eq!(timing.spans[2..], [None, None]);
}

#[test]
fn deadlocks() {
    let mut machine = machine();
    let waiting = sync(Unit::Array).waits(Unit::Load).waits(Unit::Vector);
    let program = [sync(Unit::Load).signals(Unit::Array), waiting, sync(Unit::Array), sync(Unit::Store)];
    let timing = timing_of(&machine, &program);
    let stuck = |instruction, missing| Waiting { unit: Unit::Array, instruction, missing };
    assert_eq!(timing.outcome, Outcome::Deadlock { waiting: vec![stuck(1, vec![Unit::Vector])] });
    // The store's sync is fetched at 3 and ends at 5.
    assert_eq!(timing.total_cycles, 5);
    // The load's token is there at 2, when the array's instruction is.
    assert_eq!(timing.units[1].stalls, [0, 0, 3, 0, 0, 0, 0, 0, 0]);
    // A full queue keeps the giver from being fetched.
    machine.control.queue_depth[Unit::Array as usize] = 1;
    let program = [waiting, sync(Unit::Array), sync(Unit::Load).signals(Unit::Array)];
    let timing = timing_of(&machine, &program);
    let missing = vec![Unit::Load, Unit::Vector];
    assert_eq!(timing.outcome, Outcome::Deadlock { waiting: vec![stuck(0, missing.clone())] });
    assert_eq!((timing.total_cycles, timing.spans), (1, vec![None; 3]));
    // A trap that fetch does not reach is none; one that it reaches is, whoever waits.
    let program = [waiting, sync(Unit::Array), st_run(0, 0)];
    assert_eq!(outcome(&machine, &program), Outcome::Deadlock { waiting: vec![stuck(0, missing)] });
    assert_eq!(trap(&machine, &[waiting, st_run(0, 0)]), Some((Trap::BadShape, 1)));
    assert_eq!(trap(&machine, &[waiting, ar_run(0, 0, 0, 0, false)]), Some((Trap::BadShape, 1)));
}
