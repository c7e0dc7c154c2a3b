//! T-2, T-5, T-6 and M-10 of output- and input-stationary arrays, of PEs with several products and stages. Cycles are worked out from the rules.

use systole_machine::isa::DataflowChoice::{InputStationary, OutputStationary, WeightStationary};

use super::*;
use crate::contract::{Accumulators, Trap};
use crate::reference::grid::{Grid, Streamed, Tag};
use crate::reference::output_grid::{Entering, OutputGrid, Step, Target};
use crate::reference::sums::Words;

/// A 1×1 convolution of `pixels` pixels of `channels` channels, N = 5; the run is instruction 3, which starts at 4; another run and a sync follow.
fn two_runs(flow: DataflowChoice, pixels: u64, channels: u64, pitch: u64) -> Vec<Instruction> {
    let run = in_dataflow(flow, ar_run(0, 0, 0, 1, false));
    vec![
        ar_input(1, pixels, 0, pitch),
        ar_window([1, 1], [1, 1], [1, 1], [0, 0], false),
        with_outputs(5, ar_output(1, pixels, channels, 0)),
        run,
        run,
        sync(Unit::Array),
    ]
}

/// Start and end of both runs, and the release of the second: the start of the sync.
fn times(machine: &Machine, program: &[Instruction]) -> ([(u64, u64); 2], u64) {
    let spans = spans(machine, program);
    ([(spans[3].1, spans[3].2), (spans[4].1, spans[4].2)], spans[5].1)
}

#[test]
fn output_stationary_folds_follow_their_steps() {
    // K = 8, two folds: S = 4, 12; end 12 + 7 + 4 + 4 + 3. Then S(0) = max(12, E = 20, B + 4 − 7 = 16), S(1) = 28, end 28 + 18.
    let program = two_runs(OutputStationary, 6, 8, 8);
    assert_eq!(times(&every_dataflow(), &program), ([(4, 30), (12, 46)], 28));
    // Pixels one by one: va = ceil(4·ceil(8 / 2) / 8) = 2; S = 4, 20; end 20 + 14 + 11. S(0) = max(20, 36, …), S(1) = 52, end 52 + 25.
    let mut machine = every_dataflow();
    machine.activation.port_bytes = 2;
    assert_eq!(times(&machine, &two_runs(OutputStationary, 6, 8, 9)), ([(4, 45), (20, 77)], 52));
}

#[test]
fn output_stationary_drains_keep_apart() {
    // K = 1, two folds: S = 4, 8; end 8 + 0 + 8 + 3. S(0) = max(8, E = 9, B + 4 = 12), S(1) = 16, end 16 + 11.
    let program = two_runs(OutputStationary, 8, 1, 1);
    assert_eq!(times(&every_dataflow(), &program), ([(4, 19), (8, 27)], 16));
    // d = 2: S = 4, 12; end 12 + 8 + 3·2. S(0) = max(12, 13, 12 + 8), S(1) = 28, end 28 + 14.
    let mut machine = every_dataflow();
    machine.accumulator.port_bytes = 8;
    assert_eq!(times(&machine, &program), ([(4, 26), (12, 42)], 28));
    // Every other cycle of a PE that takes two: v = 2, K = 2, S = 4, 8; end 8 + 2 + 11. S(0) = max(8, 12, 10 + 4 − 2), S(1) = 16.
    let mut machine = every_dataflow();
    machine.array.operands[0].rate_milli = 500;
    assert_eq!(times(&machine, &two_runs(OutputStationary, 8, 2, 2)), ([(4, 21), (8, 29)], 16));
}

#[test]
fn output_stationary_releases_a_cycle_after_its_start() {
    // One fold: S(0) = 4, so that the release would be 4. S(0) of the second is E = 12; end 12 + 7 + 8 + 3.
    assert_eq!(times(&every_dataflow(), &two_runs(OutputStationary, 3, 8, 8)), ([(4, 22), (5, 30)], 12));
}

#[test]
fn output_stationary_with_one_register() {
    let mut machine = every_dataflow();
    machine.array.weight_registers = 1;
    // A fold: 7 + 4 + 4 + 3.
    assert_eq!(times(&machine, &two_runs(OutputStationary, 6, 8, 8)), ([(4, 40), (40, 76)], 76));
    // d = 16: a fold of one step takes 0 + 8 + 3·16, also where the next drain comes sooner than d after the last row.
    machine.accumulator.port_bytes = 1;
    assert_eq!(times(&machine, &two_runs(OutputStationary, 8, 1, 1)), ([(4, 116), (116, 228)], 228));
}

#[test]
fn products_and_stages() {
    let mut machine = every_dataflow();
    (machine.array.dot_product_width, machine.array.pe_latency_cycles) = (2, 2);
    // Q = 8, two folds; wl = max(2, 8 / 4), T = 8, v = 8 / 4; S = 12, 24; end 24 + 5·2 + 4·2 + 3. S(0) = max(24 + 8, 36), S(1) = 48, end 48 + 21.
    assert_eq!(times(&machine, &two_runs(WeightStationary, 6, 12, 12)), ([(4, 45), (24, 69)], 48));
    // K = 4, v = 2, two folds: S = 4, 12; end 12 + 3·2 + 1 + 8 + 3. S(0) = max(12, 20, 18 + 4 − 6), S(1) = 28, end 28 + 18.
    assert_eq!(times(&machine, &two_runs(OutputStationary, 6, 8, 8)), ([(4, 30), (12, 46)], 28));
    // Two groups of two chunks; wl = max(2, ceil(4·2 / 4)), T = 8, v = 2, V = 5; S = 12, 22, 32, 42; end 42 + 8 + 8 + 3. S(0) = max(50, 52), S(3) = 82.
    assert_eq!(times(&machine, &two_runs(InputStationary, 6, 12, 12)), ([(4, 61), (42, 101)], 82));
    // A slow sum alone: wl = L = 3, T = 12, v = 1; S = 16, 28; end 28 + 5 + 12 + 3. S(0) = max(40, 34), S(1) = 52, end 52 + 20.
    machine.array.pe_latency_cycles = 3;
    (machine.weight.port_bytes, machine.activation.port_bytes) = (16, 16);
    assert_eq!(times(&machine, &two_runs(WeightStationary, 6, 12, 12)), ([(4, 48), (28, 72)], 52));
}

#[test]
fn input_stationary_tiles_are_pixels() {
    // Two groups of two chunks; T = 4, V = 5: S = 8, 13, 18, 23; end 23 + 4 + 7. S(0) = max(23 + 4, 28), S(3) = 43, end 54.
    let program = two_runs(InputStationary, 6, 8, 8);
    let mut machine = every_dataflow();
    assert_eq!(times(&machine, &program), ([(4, 34), (23, 54)], 43));
    // wl = ceil(4·4 / 4), T = 16: S = 20, 36, 52, 68; end 68 + 11. S(0) = max(84, 73), S(3) = 132.
    machine.activation.port_bytes = 1;
    assert_eq!(times(&machine, &program), ([(4, 79), (68, 143)], 132));
    // Weights stream at a byte a cycle: v = 4; S = 8, 28, 48, 68; end 68 + 16 + 7. S(0) = max(72, 88), S(3) = 148.
    (machine.activation.port_bytes, machine.weight.port_bytes) = (4, 1);
    assert_eq!(times(&machine, &program), ([(4, 91), (68, 171)], 148));
    // One register: a fold takes 4 + 4 + 7.
    machine.weight.port_bytes = 4;
    machine.array.weight_registers = 1;
    assert_eq!(times(&machine, &program), ([(4, 64), (64, 124)], 124));
}

#[test]
fn a_change_of_dataflow_drains_first() {
    let machine = every_dataflow();
    let mut program = two_runs(OutputStationary, 6, 8, 8);
    program[3] = ar_run(0, 0, 0, 1, false);
    // S = 8, 14; release 14, end 14 + 5 + 7; then S = 26, 34, end 34 + 18.
    assert_eq!(times(&machine, &program), ([(4, 26), (26, 52)], 34));
    let mut program = two_runs(OutputStationary, 6, 8, 8);
    program[4] = ar_run(0, 0, 0, 1, false);
    // Ends at 30; S = 34, 40, end 40 + 12.
    assert_eq!(times(&machine, &program), ([(4, 30), (30, 52)], 40));
}

#[test]
fn sums_leave_the_rows_and_columns_in_their_cycles() {
    let words = Words::of(&machine());
    let written = |accumulator: &Accumulators| (0..4).map(|at| accumulator.get(at) != 0).collect::<Vec<_>>();
    // 2 × 2, L = 2: vector 0 enters in cycle 0; column c is accumulated at the end of cycle R·L − 1 + c.
    let mut grid = Grid::new([2, 2, 1], 2, false, words);
    let mut accumulator = Accumulators::Narrow(vec![0; 4]);
    for row in 0..2 {
        assert!(!grid.step(None, Some((row, vec![1, 1])), &mut accumulator, None));
    }
    assert!(!grid.step(None, None, &mut accumulator, None));
    let mut vector =
        Some((Streamed { elements: vec![5, 6], first: true }, Tag { vector: 1, replaces: true, last: true }));
    let seen: Vec<_> =
        (0..5).map(|_| (grid.step(vector.take(), None, &mut accumulator, None), written(&accumulator))).collect();
    let none = vec![false; 4];
    let one = vec![false, false, true, false];
    let both = vec![false, false, true, true];
    assert_eq!(seen, [(false, none.clone()), (false, none.clone()), (false, none.clone()), (false, one), (true, both)]);
    assert_eq!((accumulator.get(2), accumulator.get(3)), (11, 11));
    // 2 × 2, L = 2, d = 2, one step in cycle 0: Z = 0 + L − 1 + R + c = 3 + c; row 1 at the end of Z, row 0 of Z + 2.
    let mut grid = OutputGrid::new([2, 2, 1], 2, 2, words);
    let mut accumulator = Accumulators::Narrow(vec![0; 4]);
    let target = Target { vector: 0, pixel_rows: 2, replaces: true, last: true };
    let step = Step { first: true, last: true, target };
    let mut entering = Some(Entering { operands: vec![2, 3], weights: vec![5, 7], step });
    let mut cycles = [0; 4];
    for cycle in 0..8 {
        let ended = grid.step(entering.take(), &mut accumulator, None);
        assert_eq!(ended, cycle == 6, "the last is that of row 0, column 1");
        for (at, first) in cycles.iter_mut().enumerate() {
            if accumulator.get(at) != 0 && *first == 0 {
                *first = cycle;
            }
        }
    }
    assert_eq!(cycles, [5, 6, 3, 4]);
    assert_eq!([0, 1, 2, 3].map(|at| accumulator.get(at)), [10, 14, 15, 21]);
    assert!(grid.drained());
}

#[test]
fn transposed_requantisation_takes_turns() {
    let mut run = ve_requant(0, 0, 512);
    if let Operation::VectorRequant { transposed, .. } = &mut run.operation {
        *transposed = Flag(true);
    }
    let operand = systole_machine::isa::VectorOperand::Out;
    let pitch = plain(Operation::VectorPitch { operand, row_pitch: u(0), pixel_pitch: u(8) });
    let duration = |channels, block| {
        let span = timing_of(&machine(), &[ve_shape(1, 6, channels, block), pitch, run]).spans[2].unwrap();
        span.end - span.start
    };
    // q = 3, groups of 4 and 2 pixels. Two channels: 4 + 2·2 + 4·1, 4 + 2·1 + 2·1; one channel: 2 + 2 + 4, 2 + 1 + 2.
    assert_eq!(duration(3, 2), 12 + 8 + 8 + 5 + 2);
    // A block of 6 channels in turns of 4 and 2: 8 + 4·2 + 4, 12; 8 + 4 + 2, 8.
    assert_eq!(duration(6, 6), 20 + 12 + 14 + 8 + 2);
}

fn trap(machine: &Machine, program: &[Instruction]) -> Option<(Trap, usize)> {
    match timing_of(machine, program).outcome {
        Outcome::Trap { trap, instruction } => Some((trap, instruction)),
        _ => None,
    }
}

#[test]
fn what_the_machine_lacks_is_unsupported() {
    for (flow, lacking) in [(WeightStationary, 0), (OutputStationary, 1), (InputStationary, 2)] {
        let mut machine = every_dataflow();
        assert_eq!(trap(&machine, &two_runs(flow, 1, 1, 1)), None);
        machine.array.dataflows.remove(lacking);
        assert_eq!(trap(&machine, &two_runs(flow, 1, 1, 1)), Some((Trap::Unsupported, 3)));
    }
    // Before the shape is looked at; and what is not for any array that there is.
    assert_eq!(
        trap(&machine(), &[in_dataflow(OutputStationary, ar_run(0, 0, 0, 0, false))]),
        Some((Trap::Unsupported, 0))
    );
    let beyond = plain(Operation::ArraySync { array: u(1) });
    assert_eq!(trap(&machine(), &[beyond]), Some((Trap::Unsupported, 0)));
    assert_eq!(trap(&machine(), &[sync(Unit::Load).signals(Unit::Array1)]), Some((Trap::BadToken, 0)));
    let wide = plain(Operation::ArrayQuant {
        zero_activation: i(0),
        zero_weight: i(0),
        signed_activation: Flag(false),
        signed_weight: Flag(false),
        wide_activation: Flag(true),
        array: u(0),
    });
    let program = [vec![wide], two_runs(WeightStationary, 1, 1, 1)].concat();
    assert_eq!(trap(&machine(), &program), Some((Trap::Unsupported, 4)));
}

#[test]
fn outputs_count_where_they_stream() {
    let machine = every_dataflow();
    let with = |flow, outputs| {
        let mut program = two_runs(flow, 1, 1, 1);
        program[2] = with_outputs(outputs, program[2]);
        trap(&machine, &program)
    };
    assert_eq!(with(InputStationary, 0), Some((Trap::BadShape, 3)));
    assert_eq!([WeightStationary, OutputStationary].map(|flow| with(flow, 0)), [None, None]);
    // 32 accumulator vectors, 1024 bytes of weights in tiles of Q·N = 4·N: one pixel takes N vectors.
    assert_eq!((with(InputStationary, 32), with(InputStationary, 33)), (None, Some((Trap::OutOfBounds, 3))));
    let transposed = |block| {
        let mut run = ve_requant(0, 0, 512);
        if let Operation::VectorRequant { transposed, .. } = &mut run.operation {
            *transposed = Flag(true);
        }
        trap(&machine, &[ve_shape(1, 1, 8, block), run])
    };
    // More channels than columns are a block; 33 vectors are not there.
    assert_eq!([0, 8, 32, 33].map(transposed), [Some((Trap::BadShape, 1)), None, None, Some((Trap::OutOfBounds, 1)),]);
}

#[test]
fn footprints_end_where_the_rules_say() {
    let machine = every_dataflow();
    // 6 pixels of 4 channels, two blocks. Output-stationary F = 4, Q = 1: 2·4·4 bytes of weights, 12 vectors; input-stationary F = 1, Q = 4, N = 5: 2·4·5 bytes, 2·2·5 vectors.
    for (flow, weights, vectors) in [(OutputStationary, 32, 12), (InputStationary, 40, 20)] {
        let at = |weight, accumulator| {
            let mut program = two_runs(flow, 6, 4, 4);
            program[3] = in_dataflow(flow, ar_run(0, weight, accumulator, 2, false));
            program.truncate(4);
            trap(&machine, &program)
        };
        assert_eq!(at(1024 - weights, 32 - vectors), None);
        assert_eq!(at(1024 - weights + 1, 32 - vectors), Some((Trap::OutOfBounds, 3)));
        assert_eq!(at(1024 - weights, 32 - vectors + 1), Some((Trap::OutOfBounds, 3)));
    }
}
