//! Each trap of M-10 and M-12, deadlocks, and where programs stop (M-13).

use super::*;
use crate::contract::{Outcome, Trap, Waiting};

fn trap_of(machine: &Machine, program: &[Instruction]) -> Option<(Trap, usize)> {
    match timing(machine, program).outcome {
        Outcome::Trap { trap, instruction } => Some((trap, instruction)),
        _ => None,
    }
}

#[test]
fn m10_bad_token() {
    let mut strange = sync(Unit::Load);
    strange.signal.0 = 0x10;
    for bad in [sync(Unit::Load).wait(Unit::Load), sync(Unit::Store).signal(Unit::Store), strange] {
        assert_eq!(trap_of(&machine(), &[sync(Unit::Load), bad]), Some((Trap::BadToken, 1)));
    }
}

#[test]
fn m10_unsupported_comes_before_bad_shape() {
    let mut plain = machine();
    plain.vector.float32 = false;
    assert_eq!(trap_of(&plain, &[ve_rescale(0, 0)]), Some((Trap::Unsupported, 0)));
    assert_eq!(trap_of(&plain, &[ve_maxpool(0, 0)]), Some((Trap::BadShape, 0)));
    assert_eq!(trap_of(&machine(), &[ve_rescale(0, 0)]), Some((Trap::BadShape, 0)));
}

#[test]
fn m10_bad_shape() {
    let window = ar_window((1, 1), (1, 1), (1, 1), (0, 0), false);
    let packed = |dilation| ar_window((1, 2), (1, 1), (1, dilation), (0, 0), true);
    let run = ar_run(0, 0, 0, 1, false);
    let (input, output) = (ar_input(2, 2, 8, 4), ar_output(1, 1, 4, 0));
    let fine: [&[Instruction]; 3] =
        [&[input, window, output, run], &[input, packed(1), output, run], &[ar_input(1, 1, 0, 0), window, output, run]];
    for program in fine {
        assert_eq!(trap_of(&machine(), program), None);
    }
    let bad: [&[Instruction]; 12] = [
        &[input, window, output, ar_run(0, 0, 0, 0, false)],
        &[input, ar_window((1, 1), (1, 0), (1, 1), (0, 0), false), output, run],
        &[input, ar_window((1, 1), (1, 1), (0, 1), (0, 0), false), output, run],
        &[input, packed(2), output, run],
        &[input, packed(1), ar_output(1, 1, 3, 0), run],
        &[ar_input(1, 2, 0, 3), window, output, run],
        &[ar_input(2, 2, 7, 4), window, output, run],
        &[ar_input(0, 2, 8, 4), window, output, run],
        &[st_shape(16, 2, 1), sync(Unit::Load), sync(Unit::Load), st_run(0, 0)],
        &[ld_shape(16, 2, 1), sync(Unit::Load), sync(Unit::Load), ld_run(0, 0, Space::Weight)],
        &[ld_shape(16, 2, 2), ld_buffer(16, 31), sync(Unit::Load), ld_run(0, 0, Space::Weight)],
        &[ve_shape(1, 1, 4, 5), sync(Unit::Load), sync(Unit::Load), ve_requant(0, 0, 0)],
    ];
    for program in bad {
        assert_eq!(trap_of(&machine(), program), Some((Trap::BadShape, 3)), "{program:?}");
    }
    // Loads may repeat DRAM rows.
    assert_eq!(trap_of(&machine(), &[ld_shape(16, 2, 1), ld_buffer(16, 0), ld_run(0, 0, Space::Weight)]), None);
    let clamp = Instruction::new(Operation::VectorQuant {
        zero_a: i(0),
        zero_b: i(0),
        zero_out: i(0),
        low: i(1),
        high: i(0),
        signed_a: Flag(false),
        signed_b: Flag(false),
        signed_out: Flag(false),
        wide_a: Flag(false),
        wide_b: Flag(false),
        wide_out: Flag(false),
    });
    assert_eq!(trap_of(&machine(), &[ve_shape(1, 1, 4, 4), clamp, ve_rescale(0, 0)]), Some((Trap::BadShape, 2)));
}

#[test]
fn m10_out_of_bounds_by_one() {
    let [a, b, c] = pointwise(3);
    let at = |run: Instruction| trap_of(&machine(), &[a, b, c, run]);
    let outside = Some((Trap::OutOfBounds, 3));
    assert_eq!(at(ar_run(4096 - 12, 1024 - 16, 61, 1, false)), None);
    assert_eq!(at(ar_run(4096 - 11, 0, 0, 1, false)), outside);
    assert_eq!(at(ar_run(0, 1024 - 15, 0, 1, false)), outside);
    assert_eq!(at(ar_run(0, 0, 62, 1, false)), outside);
    let load = |dram, buffer| trap_of(&machine(), &[ld_shape(64, 1, 1), ld_run(dram, buffer, Space::Weight)]);
    assert_eq!(load(DRAM - 64, 1024 - 64), None);
    assert_eq!(load(DRAM - 63, 0), Some((Trap::OutOfBounds, 1)));
    assert_eq!(load(0, 1024 - 63), Some((Trap::OutOfBounds, 1)));
    // Largest registers do not overflow anything.
    let huge = [
        ar_input(0xffff, 1, 0xffff_ffff, 0xff_ffff),
        ar_window((4095, 4095), (255, 255), (255, 255), (255, 255), false),
        ar_output(0xffff, 0xffff, 0xff_ffff, 0xff_ffff),
        ar_run(0xffff_ffff, 0xffff_ffff, 0x3f_ffff, 4095, false),
    ];
    assert_eq!(trap_of(&machine(), &huge), outside);
}

#[test]
fn m12_race_unless_a_token_orders() {
    let load = [ld_shape(16, 1, 1), ld_run(0, 8, Space::Activation)];
    let [a, b, c] = pointwise(3);
    let run = ar_run(0, 0, 0, 1, false);
    assert_eq!(trap_of(&machine(), &[load[0], load[1], a, b, c, run]), Some((Trap::Race, 5)));
    // One byte further, the load is behind the input.
    let far = ld_run(0, 12, Space::Activation);
    assert_eq!(trap_of(&machine(), &[load[0], far, a, b, c, run]), None);
    assert_eq!(
        trap_of(&machine(), &[load[0], load[1].signal(Unit::Array), a, b, c, run.wait(Unit::Array)]),
        Some((Trap::BadToken, 5))
    );
    assert_eq!(trap_of(&machine(), &[load[0], load[1].signal(Unit::Array), a, b, c, run.wait(Unit::Load)]), None);
    // By way of a third unit.
    let program = [
        load[0],
        load[1].signal(Unit::Store),
        sync(Unit::Store).wait(Unit::Load).signal(Unit::Array),
        a,
        b,
        c.wait(Unit::Store),
        run,
    ];
    assert_eq!(trap_of(&machine(), &program), None);
    // The later instruction in the program may come first by a token.
    let program = [a, b, c, run.wait(Unit::Load), load[0], load[1].signal(Unit::Array)];
    assert_eq!(trap_of(&machine(), &program), None);
    // Two reads are no race, in any number of units.
    assert_eq!(trap_of(&machine(), &[st_shape(16, 1, 1), st_run(0, 0), a, b, c, run]), None);
}

#[test]
fn m12_rows_between_rows_do_not_touch() {
    // A store reads 4 of every 16 bytes, a load writes 4 others; then one that touches the third row of the second plane.
    let store = |dram| {
        [
            st_shape(4, 4, 2),
            Instruction::new(Operation::StoreDramPitch { row_pitch: u(4), plane_pitch: u(16) }),
            Instruction::new(Operation::StoreBufferPitch { row_pitch: u(16), plane_pitch: u(100) }),
            st_run(dram, 0),
        ]
    };
    let [a, b, c, d] = store(0);
    let load = |buffer| [ld_shape(4, 4, 2), ld_dram(4, 16), ld_buffer(16, 100), ld_run(512, buffer, Space::Activation)];
    for (buffer, expected) in
        [(4, None), (8, None), (12, None), (13, Some((Trap::Race, 7))), (3, Some((Trap::Race, 7)))]
    {
        let [e, f, g, h] = load(buffer);
        assert_eq!(trap_of(&machine(), &[a, b, c, d, e, f, g, h]), expected, "{buffer}");
    }
    let one = |buffer| [ld_shape(2, 1, 1), ld_run(512, buffer, Space::Activation)];
    for (buffer, race) in [(131, true), (132, true), (135, true), (136, false), (146, false), (147, true), (152, false)]
    {
        let [e, f] = one(buffer);
        assert_eq!(trap_of(&machine(), &[a, b, c, d, e, f]).is_some(), race, "{buffer}");
    }
}

#[test]
fn m12_token_overflow_and_race_in_one() {
    let give = sync(Unit::Load).signal(Unit::Array);
    assert_eq!(trap_of(&machine(), &[give, give, give]), None);
    assert_eq!(trap_of(&machine(), &[give, give, give, give]), Some((Trap::TokenOverflow, 3)));
    let take = sync(Unit::Array).wait(Unit::Load);
    // Taken, but nothing orders the fourth signal after it.
    assert_eq!(trap_of(&machine(), &[give, take, give, give, give]), Some((Trap::TokenOverflow, 4)));
    let back = take.signal(Unit::Load);
    assert_eq!(trap_of(&machine(), &[give, back, give.wait(Unit::Array), give, give]), None);
    let store = [st_shape(16, 1, 1), st_run(0, 0)];
    let race = ld_run(64, 0, Space::Activation).signal(Unit::Array);
    let program = [store[0], store[1], ld_shape(16, 1, 1), give, give, give, race];
    assert_eq!(trap_of(&machine(), &program), Some((Trap::Race, 6)));
}

#[test]
fn m13_instructions_before_a_trap_run() {
    let program = [ld_shape(16, 1, 1), ld_run(0, 0, Space::Activation), ve_rescale(0, 0), sync(Unit::Load)];
    let found = timing(&machine(), &program);
    assert_eq!(found.outcome, Outcome::Trap { trap: Trap::BadShape, instruction: 2 });
    assert_eq!(spans(&found), [(1, 2), (2, 5)]);
    assert_eq!(found.spans[2..], [None, None]);
    assert_eq!(found.total_cycles, 5);
}

#[test]
fn m13_deadlock_names_heads_and_tokens() {
    let program = [
        sync(Unit::Array).wait(Unit::Load).wait(Unit::Store),
        sync(Unit::Load).signal(Unit::Array),
        sync(Unit::Vector).wait(Unit::Array),
        sync(Unit::Array),
    ];
    let found = timing(&machine(), &program);
    let waiting = vec![
        Waiting { unit: Unit::Array, instruction: 0, missing: vec![Unit::Store] },
        Waiting { unit: Unit::Vector, instruction: 2, missing: vec![Unit::Array] },
    ];
    assert_eq!(found.outcome, Outcome::Deadlock { waiting });
    // The load's sync is [2, 3), its token there at 3; the last fetch at 3.
    assert_eq!(found.total_cycles, 4);
    assert_eq!(found.units[1].stalls, [2, 0, 0, 1, 0, 0, 0, 0, 0]);
    assert_eq!(found.units[2].stalls, [0, 1, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn m13_a_trap_that_fetch_does_not_reach_is_a_deadlock() {
    let mut machine = machine();
    machine.control.queue_depth = [1; 4];
    let stuck = sync(Unit::Array).wait(Unit::Load);
    let bad = sync(Unit::Load).wait(Unit::Load);
    let found = timing(&machine, &[stuck, sync(Unit::Array), bad]);
    assert!(matches!(found.outcome, Outcome::Deadlock { .. }), "{found:?}");
    assert_eq!(trap_of(&machine, &[stuck, bad]), Some((Trap::BadToken, 1)));
}

#[test]
fn m11_only_instructions_that_start_can_race() {
    let [a, b, c] = pointwise(3);
    let stuck = ar_run(0, 0, 0, 1, false).wait(Unit::Store);
    let program = [a, b, c, stuck, ld_shape(16, 1, 1), ld_run(0, 0, Space::Activation)];
    assert!(matches!(timing(&machine(), &program).outcome, Outcome::Deadlock { .. }));
}

#[test]
fn m14_sums_are_of_requantisation_alone_and_take_four_bytes() {
    let sum = Instruction::new(Operation::VectorFormat { out: systole_machine::isa::OutputFormat::Sum });
    let shape = ve_shape(1, 2, 3, 3);
    let of_pitch = |pixel| ve_pitch(VectorOperand::Out, 0, pixel);
    let at = |pixel: u64, out: u64| trap_of(&machine(), &[shape, of_pitch(pixel), sum, ve_requant(0, 0, out)]);
    assert_eq!((at(12, 512), at(11, 512)), (None, Some((Trap::BadShape, 3))));
    assert_eq!((at(12, 4096 - 24), at(12, 4096 - 23)), (None, Some((Trap::OutOfBounds, 3))));
    assert_eq!(trap_of(&machine(), &[shape, sum, ve_rescale(0, 0)]), Some((Trap::Unsupported, 2)));
}
