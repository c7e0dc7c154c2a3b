//! Cycles computed by hand from `docs/timing.md`.

use super::*;
use crate::contract::{Outcome, Stall};

#[test]
fn t11_an_empty_program_takes_no_time() {
    let timing = timing(&machine(), &[]);
    assert_eq!((timing.total_cycles, timing.outcome), (0, Outcome::Halted));
}

#[test]
fn t1_t3_fetch_and_configuration() {
    let mut machine = machine();
    let program = [sync(Unit::Load); 3];
    let found = timing(&machine, &program);
    assert_eq!((spans(&found), found.total_cycles), (vec![(1, 2), (2, 3), (3, 4)], 4));
    assert_eq!((found.units[0].busy, found.units[0].idle), (3, 1));
    machine.control.issue_interval_cycles = 3;
    assert_eq!(spans(&timing(&machine, &program)), [(1, 2), (4, 5), (7, 8)]);
}

#[test]
fn t1_a_full_queue_holds_fetch_until_the_cycle_after_a_start() {
    let mut machine = machine();
    machine.control.queue_depth = [1; 4];
    let timing = timing(&machine, &[sync(Unit::Vector); 3]);
    let fetches: Vec<u64> = timing.spans.iter().flatten().map(|span| span.fetch).collect();
    assert_eq!(fetches, [0, 2, 4]);
    assert_eq!(timing.total_cycles, 6);
}

#[test]
fn t8_ideal_load() {
    // Run: s = 2, requests at 2 to 5, writes [3,5) [5,7) [7,9) [9,11).
    let timing = timing(&machine(), &[ld_shape(64, 1, 1), ld_run(0, 0, Space::Activation), sync(Unit::Load)]);
    // The sync starts at the release, 6, and retires with the load.
    assert_eq!(spans(&timing), [(1, 2), (2, 11), (6, 11)]);
    let load = timing.units[0];
    assert_eq!((load.busy, load.stalls[Stall::Dram as usize], load.idle), (9, 1, 1));
    assert_eq!(timing.dram_bus_bytes, [64, 0]);
}

#[test]
fn t8_one_burst_outstanding() {
    let mut machine = machine();
    machine.outstanding_bursts = 1;
    // Requests 2, 5, 8, 11; writes [3,5) [6,8) [9,11) [12,14).
    let timing = timing(&machine, &[ld_shape(64, 1, 1), ld_run(0, 0, Space::Activation)]);
    assert_eq!(spans(&timing), [(1, 2), (2, 14)]);
    assert_eq!((timing.units[0].busy, timing.units[0].stalls[Stall::Dram as usize]), (9, 4));
}

#[test]
fn t7_rows_are_cut_at_burst_boundaries() {
    // Two rows of 16 bytes from 8 and 40 on: 8 + 8 bytes each, four bursts of one cycle.
    let program = [ld_shape(16, 2, 1), ld_dram(32, 0), ld_buffer(16, 0), ld_run(8, 0, Space::Activation)];
    let timing = timing(&machine(), &program);
    // Requests 4 to 7, writes at 5, 6, 7, 8.
    assert_eq!(spans(&timing)[3], (4, 9));
    assert_eq!(timing.dram_bus_bytes, [64, 0]);
}

#[test]
fn t7_bus_time_is_an_exact_fraction() {
    let mut machine = machine();
    // 2.5 cycles a burst, latency 10.
    machine.dram = Dram::Simple { bandwidth_bytes_per_s: 6_400_000_000, latency_cycles: 10, burst_bytes: 16 };
    // Requests 2, 3, 4; bus [2, 4.5) [4.5, 7) [7, 9.5); arrivals 15, 17, 20; writes [15,17) [17,19) [20,22).
    let timing = timing(&machine, &[ld_shape(48, 1, 1), ld_run(0, 0, Space::Weight)]);
    // Weight port: 4 bytes, four cycles a burst: [15,19) [19,23) [23,27).
    assert_eq!(spans(&timing)[1], (2, 27));
    machine.weight.port_bytes = 8;
    let timing = super::timing(&machine, &[ld_shape(48, 1, 1), ld_run(0, 0, Space::Weight)]);
    assert_eq!(spans(&timing)[1], (2, 22));
    assert_eq!(timing.units[0].stalls[Stall::Dram as usize], 20 - 6);
}

#[test]
fn t9_store_reads_then_requests() {
    // s = 2; reads [2,4) [4,6) [6,8), requests at 4, 6, 8, done at 5, 7, 9; the sync starts at the release, 8.
    let found = timing(&machine(), &[st_shape(48, 1, 1), st_run(0, 0), sync(Unit::Store)]);
    assert_eq!(spans(&found), [(1, 2), (2, 9), (8, 9)]);
    assert_eq!(found.units[3].busy, 1 + 6 + 1);
    assert_eq!(found.dram_bus_bytes, [0, 48]);
    let mut slow = machine();
    slow.outstanding_bursts = 1;
    slow.dram = Dram::Simple { bandwidth_bytes_per_s: 16_000_000_000, latency_cycles: 3, burst_bytes: 16 };
    // Read [2,4), bus [4,5), done 8; read [8,10), bus [10,11), done 14; read [14,16), done 20.
    let found = timing(&slow, &[st_shape(48, 1, 1), st_run(0, 0)]);
    assert_eq!(spans(&found)[1], (2, 20));
    assert_eq!(found.units[3].stalls[Stall::Dram as usize], 18 - 6);
}

#[test]
fn t7_load_goes_first_on_the_bus() {
    let mut machine = machine();
    machine.dram = Dram::Simple { bandwidth_bytes_per_s: 1_600_000_000, latency_cycles: 0, burst_bytes: 16 };
    // Store: f 1, s 3 (its shape at 2), read [3,5), request at 5. Load: shape at 2 (f 2, s 3), run f 4, s 5, request at 5.
    let program =
        [st_shape(16, 1, 1), st_run(0, 0), ld_shape(16, 1, 1), sync(Unit::Array), ld_run(64, 1024, Space::Activation)];
    // Store: fetched 1, starts 2, read [2,4), request at 4. Load: shape 2 → 3, run fetched 4, starts 5: bus after the store, [14, 24).
    assert_eq!(spans(&timing(&machine, &program)), [(1, 2), (2, 14), (3, 4), (4, 5), (5, 26)]);
    // Without the sync both ask at 4: the load has [4, 14), the store [14, 24).
    let program = [program[0], program[1], program[2], program[4]];
    assert_eq!(spans(&timing(&machine, &program)), [(1, 2), (2, 24), (3, 4), (4, 16)]);
}

#[test]
fn t5_two_weight_registers() {
    let [a, b, c] = pointwise(3);
    let program = [a, b, c, ar_run(0, 0, 0, 1, false), ar_run(0, 0, 0, 1, false)];
    // W = 4, v = 1: S = 8, end = 8 + 2 + 4 + 4 − 1; the next starts at 8: S = max(12, 11).
    assert_eq!(spans(&timing(&machine(), &program))[3..], [(4, 17), (8, 21)]);
    // Three blocks: S = 8, 12, 16; release 16, stream end 19; the next: S = max(20, 19).
    let program = [a, b, c, ar_run(0, 0, 0, 3, false), ar_run(0, 0, 0, 1, false)];
    assert_eq!(spans(&timing(&machine(), &program))[3..], [(4, 25), (16, 29)]);
    // Long streams: S(0) = 8, stream end 8 + 20 over 8 + 4.
    let [a, b, c] = pointwise(20);
    let program = [a, b, c, ar_run(0, 0, 0, 1, false), ar_run(0, 0, 0, 1, false)];
    assert_eq!(spans(&timing(&machine(), &program))[3..], [(4, 34), (8, 54)]);
}

#[test]
fn t5_one_weight_register_and_narrow_ports() {
    let mut machine = machine();
    machine.array.weight_registers = 1;
    let [a, b, c] = pointwise(3);
    // 2R + C + M − 2 = 13 a fold.
    let program = [a, b, c, ar_run(0, 0, 0, 2, false), sync(Unit::Array)];
    assert_eq!(spans(&timing(&machine, &program))[3..], [(4, 30), (30, 31)]);
    machine.array.weight_registers = 2;
    machine.weight.port_bytes = 3;
    machine.activation.port_bytes = 1;
    // wl = 2, W = 8, v = 4: S = 4 + 8, end = 12 + 8 + 7.
    assert_eq!(spans(&timing(&machine, &program[..3])).len(), 3);
    let program = [a, b, c, ar_run(0, 0, 0, 1, false)];
    assert_eq!(spans(&timing(&machine, &program))[3], (4, 27));
}

#[test]
fn t6_vector_durations() {
    let duration = |program: &[Instruction]| {
        let (start, end) = spans(&timing(&machine(), program))[program.len() - 1];
        end - start
    };
    let pitches = [ve_pitch(VectorOperand::A, 60, 10), ve_pitch(VectorOperand::Out, 60, 10)];
    let (p, q) = (pitches[0], pitches[1]);
    // q = 4: ceil(2·3·10 / 4) + 5.
    assert_eq!(duration(&[ve_shape(2, 3, 10, 4), p, q, ve_rescale(0, 1024)]), 15 + 5);
    // Blocks of 4, 4, 2 channels: P = 4, 4, 2 and ceil(6·4 / 2) = 12, 12, 6.
    assert_eq!(duration(&[ve_shape(2, 3, 10, 4), p, q, ve_requant(0, 0, 1024)]), 40 + 5);
    let addc = Instruction::new(Operation::VectorAddChannel {
        a: u(0),
        params: u(2048),
        out: u(1024),
        mode: RequantMode::Float32,
        subtract: Flag(false),
    });
    assert_eq!(duration(&[ve_shape(2, 3, 10, 4), p, q, addc]), 15 + 10 + 5);
    let softmax = Instruction::new(Operation::VectorSoftmax { a: u(0), out: u(1024) });
    assert_eq!(duration(&[ve_shape(2, 3, 10, 4), p, q, softmax]), 6 * 3 * 3 + 5);
    let window = window((2, 3), (1, 1), (0, 0, 0, 0), (2, 3));
    assert_eq!(duration(&[ve_shape(2, 3, 10, 4), window, p, q, ve_maxpool(0, 1024)]), 90 + 5);
}

pub(super) fn window(
    kernel: (u64, u64),
    stride: (u64, u64),
    pads: (u64, u64, u64, u64),
    input: (u64, u64),
) -> Instruction {
    Instruction::new(Operation::VectorWindow {
        kernel_h: u(kernel.0),
        kernel_w: u(kernel.1),
        stride_h: u(stride.0),
        stride_w: u(stride.1),
        pad_top: u(pads.0),
        pad_left: u(pads.1),
        pad_bottom: u(pads.2),
        pad_right: u(pads.3),
        in_height: u(input.0),
        in_width: u(input.1),
    })
}

/// A vector instruction that reads bank 0 and writes bank 1 in [2, 2 + 15 + 5), and others that want a port.
fn with_vector(rest: &[Instruction]) -> Vec<Instruction> {
    let mut program = vec![ve_shape(1, 1, 60, 4), ve_rescale(0, 1024)];
    program.extend(rest);
    program
}

#[test]
fn t4_an_array_instruction_waits_for_the_vector_units_bank() {
    let [a, b, c] = pointwise(3);
    // Fetched 5: ready at 6, starts at 22; bank 0 is only read, a port all the same.
    let found = timing(&machine(), &with_vector(&[a, b, c, ar_run(100, 0, 0, 1, false)]));
    assert_eq!(spans(&found)[1], (2, 22));
    assert_eq!(spans(&found)[5], (22, 22 + 13));
    assert_eq!(found.units[1].stalls[Stall::Port as usize], 22 - 6);
    let mut two = machine();
    two.activation.ports = 2;
    assert_eq!(spans(&timing(&two, &with_vector(&[a, b, c, ar_run(100, 0, 0, 1, false)])))[5], (6, 19));
}

#[test]
fn t4_bursts_wait_for_ports_and_the_array_goes_first() {
    let [a, b, c] = pointwise(3);
    // Load run: fetched 3, starts 4, arrives 5, refused until 22.
    let rest = [ld_shape(16, 1, 1), ld_run(0, 512, Space::Activation)];
    let found = timing(&machine(), &with_vector(&rest));
    assert_eq!(spans(&found)[3], (4, 24));
    assert_eq!((found.units[0].stalls[Stall::Port as usize], found.units[0].stalls[Stall::Dram as usize]), (17, 1));
    // The array starts at 22 in the same bank and holds it until 35.
    let rest = [rest[0], rest[1], a, b, c, ar_run(100, 0, 0, 1, false)];
    let found = timing(&machine(), &with_vector(&rest));
    assert_eq!((spans(&found)[7], spans(&found)[3]), ((22, 35), (4, 37)));
    // Load before store.
    let rest = [ld_shape(16, 1, 1), ld_run(0, 512, Space::Activation), st_shape(16, 1, 1), st_run(64, 600)];
    let found = timing(&machine(), &with_vector(&rest));
    // The store's read is [24, 26), its request at 26.
    assert_eq!((spans(&found)[3], spans(&found)[5]), ((4, 24), (6, 27)));
    assert_eq!(found.units[3].stalls[Stall::Port as usize], 24 - 6);
}

#[test]
fn t10_configuration_during_a_refusal_is_busy() {
    let rest = [ld_shape(16, 1, 1), ld_run(0, 512, Space::Activation), sync(Unit::Load), sync(Unit::Load)];
    let found = timing(&machine(), &with_vector(&rest));
    // The run starts at 4 and requests at 4; the syncs start at 5 and 6, while the burst is refused from 5 to 22.
    assert_eq!(spans(&found)[3..], [(4, 24), (5, 24), (6, 24)]);
    let load = found.units[0];
    assert_eq!((load.busy, load.stalls[Stall::Port as usize], load.stalls[Stall::Dram as usize]), (1 + 2 + 2, 15, 1));
}

#[test]
fn t2_t10_tokens_are_taken_together_and_named_in_order() {
    let program = [
        ld_shape(64, 1, 1),
        ld_run(0, 0, Space::Activation).signal(Unit::Array),
        ve_shape(1, 1, 60, 4),
        ve_rescale(2048, 3072).signal(Unit::Array),
        sync(Unit::Array).wait(Unit::Load).wait(Unit::Vector),
    ];
    let found = timing(&machine(), &program);
    // Load ends at 11, the vector instruction (s = 4) at 24.
    assert_eq!(spans(&found)[1..], [(2, 11), (3, 4), (4, 24), (24, 25)]);
    let array = found.units[1];
    assert_eq!(array.stalls[Stall::TokenLoad as usize], 11 - 5);
    assert_eq!(array.stalls[Stall::TokenVector as usize], 24 - 11);
    assert_eq!((array.busy, array.idle), (1, 5));
}
