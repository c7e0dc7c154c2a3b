//! T-1 to T-11.

use super::*;

/// A 1×1 convolution of `pixels` pixels of `channels` channels, runs at accumulator 0. The run is instruction 3; fetched at 3 it starts at 4.
fn pointwise(pixels: u64, channels: u64) -> Vec<Instruction> {
    vec![
        ar_input(1, pixels, 0, channels),
        ar_window([1, 1], [1, 1], [1, 1], [0, 0], false),
        ar_output(1, pixels, channels, 0),
        ar_run(0, 0, 0, 1, false),
    ]
}

#[test]
fn one_register_costs_2r_c_m_minus_2_a_fold() {
    let mut machine = machine();
    machine.array.weight_registers = 1;
    let program = [pointwise(6, 12), vec![sync(Unit::Array)]].concat();
    // Three folds of 2·4 + 4 + 6 − 2 = 16 cycles.
    let spans = spans(&machine, &program);
    assert_eq!(spans[3], (3, 4, 4 + 3 * 16));
    assert_eq!(spans[4], (4, 52, 53));
    // M = 1: 2·4 + 4 + 1 − 2 = 11.
    assert_eq!(super::spans(&machine, &pointwise(1, 9))[3], (3, 4, 4 + 3 * 11));
}

#[test]
fn one_register_slow_vectors_do_not_lengthen_the_drain() {
    let mut machine = machine();
    machine.array = Array { rows: 1, columns: 1, weight_registers: 1, ..machine.array };
    machine.accumulator.port_bytes = 1;
    // v = ceil(4·1 / 1) = 4, W = 1: a fold ends at S + (3 − 1)·4 + 1 + 1 − 1.
    assert_eq!(spans(&machine, &pointwise(3, 2))[3], (3, 4, 4 + 2 * (1 + 8 + 1)));
}

#[test]
fn two_registers_have_the_cadence_max_m_r() {
    let machine = machine();
    let long = [pointwise(6, 12), vec![ar_run(0, 0, 8, 1, false), sync(Unit::Array)]].concat();
    let spans = spans(&machine, &long);
    // S = 8, 14, 20; release 20; end 20 + 5 + 4 + 4 − 1.
    assert_eq!(spans[3], (3, 4, 32));
    // S(0) = max(20 + 4, 26), S = 26, 32, 38; end 38 + 12.
    assert_eq!(spans[4], (4, 20, 50));
    // Released at 38, retired in order.
    assert_eq!(spans[5], (5, 38, 50));
    // M = 1: S = 8, 12, 16; end 16 + 0 + 7.
    assert_eq!(super::spans(&machine, &pointwise(1, 12))[3], (3, 4, 23));
}

#[test]
fn narrow_ports_slow_rows_and_vectors() {
    let mut machine = machine();
    machine.weight.port_bytes = 3;
    machine.activation.port_bytes = 2;
    // wl = 2, W = 8; v = 2; S = 12, 12 + max(12, 8) = 24; end 24 + 5·2 + 7.
    assert_eq!(spans(&machine, &pointwise(6, 8))[3], (3, 4, 41));
    // Runs of 2 bytes: v = 1, one fold: S = 12, end 12 + 5 + 7.
    assert_eq!(spans(&machine, &pointwise(6, 2))[3], (3, 4, 24));
}

#[test]
fn the_stepped_array_keeps_the_formulas() {
    let mut cases = 0;
    for (rows, columns) in [(1, 1), (4, 4), (2, 5), (7, 3)] {
        for (pixels, channels) in [(1, 1), (2, 7), (5, 3), (8, 16)] {
            for (registers, port) in [(1, 1), (1, 2), (1, 4), (2, 1), (2, 3), (2, 16)] {
                let mut machine = machine();
                machine.array = Array { rows, columns, weight_registers: registers, ..machine.array };
                machine.activation.port_bytes = port;
                machine.weight.port_bytes = port;
                machine.accumulator = Buffer { capacity_bytes: 4096, banks: 4, port_bytes: 4 * port, ports: 1 };
                let (r, c, m, port) = (u64::from(rows), u64::from(columns), pixels, u64::from(port));
                let load = r * c.div_ceil(port);
                let v = r.min(channels).div_ceil(port).max((4 * c).div_ceil(4 * port));
                let folds = channels.div_ceil(r);
                let drain = (m - 1) * v + r + c - 1;
                let (release, end) = if registers == 1 {
                    let end = 4 + folds * (load + drain);
                    (end, end)
                } else {
                    let last = 4 + load + (folds - 1) * load.max(m * v);
                    (last, last + drain)
                };
                let program = [pointwise(pixels, channels), vec![sync(Unit::Array)]].concat();
                let spans = spans(&machine, &program);
                assert_eq!((spans[3].2, spans[4].1), (end, release.max(5)), "{rows} {columns} {m} {channels} {port}");
                cases += 1;
            }
        }
    }
    assert_eq!(cases, 96);
}

#[test]
fn a_load_requests_moves_and_ends() {
    let machine = machine();
    // 40 bytes from 8 are bursts of 8, 16, 16, requested at 2, 3, 4; off the bus at 6, 10, 14; there at 16, 20, 24.
    let program = [ld_shape(40, 1, 1), ld_run(8, 0, Space::Activation), sync(Unit::Load)];
    let timing = timing_of(&machine, &program);
    let span = timing.spans[1].unwrap();
    assert_eq!((span.start, span.end), (2, 28));
    // Released after the last request, retired in order.
    let span = timing.spans[2].unwrap();
    assert_eq!((span.start, span.end), (5, 28));
    let load = timing.units[0];
    // Busy: cycle 1 (shape), cycle 5 (sync), 16–18, 20–28.
    assert_eq!((load.idle, load.busy, load.stalls), (1, 12, [0, 0, 0, 0, 0, 0, 0, 0, 15]));
    assert_eq!((timing.total_cycles, timing.dram_bus_bytes), (28, [48, 0]));
}

#[test]
fn outstanding_bursts_bound_the_requests() {
    let mut machine = machine();
    machine.outstanding_bursts = 1;
    let program = [ld_shape(40, 1, 1), ld_run(8, 0, Space::Activation)];
    // Requested at 2, 18, 36; there at 16, 32, 50; written by 18, 36, 54.
    assert_eq!(spans(&machine, &program)[1], (1, 2, 54));
}

#[test]
fn the_bus_keeps_fractions_of_cycles() {
    let mut machine = machine();
    machine.dram = Dram::Simple { bandwidth_bytes_per_s: 3_000_000_000, latency_cycles: 10, burst_bytes: 16 };
    let program = [ld_shape(40, 1, 1), ld_run(8, 0, Space::Activation)];
    // Off the bus at 7 1/3, 12 2/3, 18: there at 18, 23, 28; the last write takes 4.
    assert_eq!(spans(&machine, &program)[1], (1, 2, 32));
}

#[test]
fn ideal_dram_answers_in_a_cycle() {
    let mut machine = machine();
    machine.dram = Dram::Ideal { burst_bytes: 16 };
    let program = [ld_shape(32, 1, 1), ld_run(0, 0, Space::Activation), st_shape(16, 1, 1), st_run(64, 128)];
    let timing = timing_of(&machine, &program);
    let spans: Vec<_> = timing.spans.iter().flatten().map(|span| (span.start, span.end)).collect();
    // Load: there at 3, 4; written 3–7, 7–11. The store may begin at 4, in bank 0 too: 11–15, done at 16.
    assert_eq!(spans, [(1, 2), (2, 11), (3, 4), (4, 16)]);
    assert_eq!(timing.dram_bus_bytes, [32, 16]);
    assert_eq!((timing.units[3].busy, timing.units[3].stalls), (5, [0, 0, 0, 0, 0, 0, 0, 7, 1]));
}

#[test]
fn a_store_reads_then_uses_the_bus() {
    let program = [st_shape(40, 1, 1), st_run(8, 0), sync(Unit::Store)];
    // Read by 4, 8, 12; off the bus at 8, 12, 16; done at 18, 22, 26.
    assert_eq!(spans(&machine(), &program), [(0, 1, 2), (1, 2, 26), (2, 12, 26)]);
}

#[test]
fn loads_use_the_bus_before_stores_of_the_same_cycle() {
    let mut machine = machine();
    machine.activation.port_bytes = 16;
    // The store reads 16 bytes in cycle 2, so requests at 3; the load requests at 3 or 4.
    let program = |first: Instruction| {
        [st_shape(16, 1, 1), st_run(0, 512), first, ld_shape(16, 1, 1), ld_run(64, 0, Space::Activation)]
    };
    let late = spans(&machine, &program(sync(Unit::Load)));
    assert_eq!((late[1], late[4]), ((1, 2, 17), (4, 5, 22)));
    let early = [ld_shape(16, 1, 1), st_shape(16, 1, 1), st_run(0, 512), ld_run(64, 0, Space::Activation)];
    let early = spans(&machine, &early);
    // Both request at 4: the load is off the bus at 8, the store at 12.
    assert_eq!((early[2], early[3]), ((2, 3, 22), (3, 4, 19)));
}

/// A load burst that arrives at 16 in bank 0, and an 18-cycle vector instruction there that is ready at 4 + `syncs`.
fn burst_against_vector(syncs: usize) -> Vec<Instruction> {
    let mut program = vec![ld_shape(16, 1, 1), ld_run(0, 128, Space::Activation), ve_shape(1, 1, 64, 0)];
    program.extend(vec![sync(Unit::Vector); syncs]);
    program.push(ve_rescale(0, 64));
    program
}

#[test]
fn a_burst_waits_for_the_port_of_a_vector_instruction() {
    let mut machine = machine();
    let timing = timing_of(&machine, &burst_against_vector(0));
    let span = timing.spans[3].unwrap();
    // q = 4: 16 cycles and latency 2.
    assert_eq!((span.start, span.end), (4, 22));
    assert_eq!(timing.spans[1].unwrap().end, 26);
    assert_eq!(timing.units[0].stalls, [0, 0, 0, 0, 0, 0, 0, 6, 14]);
    machine.activation.ports = 2;
    assert_eq!(spans(&machine, &burst_against_vector(0))[1].2, 20);
}

#[test]
fn a_vector_instruction_ready_in_the_same_cycle_wins() {
    let timing = timing_of(&machine(), &burst_against_vector(12));
    assert_eq!(timing.spans[15].unwrap().start, 16);
    assert_eq!(timing.spans[1].unwrap().end, 38);
}

#[test]
fn a_burst_that_came_a_cycle_earlier_keeps_its_port() {
    let timing = timing_of(&machine(), &burst_against_vector(13));
    assert_eq!(timing.spans[1].unwrap().end, 20);
    assert_eq!(timing.spans[16].unwrap().start, 20);
    assert_eq!(timing.units[2].stalls, [0, 0, 0, 0, 0, 0, 0, 3, 0]);
}

#[test]
fn a_token_is_seen_at_the_end_of_its_giver() {
    let program =
        [ld_shape(16, 1, 1), ld_run(0, 0, Space::Activation).signals(Unit::Array), sync(Unit::Array).waits(Unit::Load)];
    let timing = timing_of(&machine(), &program);
    assert_eq!(timing.spans[2], Some(crate::contract::Span { fetch: 2, start: 20, end: 21 }));
    assert_eq!(timing.units[1].stalls, [17, 0, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn the_first_missing_token_is_the_cause() {
    let program = [
        sync(Unit::Array).waits(Unit::Load).waits(Unit::Store),
        sync(Unit::Store).signals(Unit::Array),
        sync(Unit::Load).signals(Unit::Array),
    ];
    // Store ends at 3, load at 4: cycles 1 to 3 lack the load's token.
    let timing = timing_of(&machine(), &program);
    assert_eq!(timing.units[1].stalls, [3, 0, 0, 0, 0, 0, 0, 0, 0]);
    let program = [program[0], program[2], program[1]];
    assert_eq!(timing_of(&machine(), &program).units[1].stalls, [2, 0, 0, 1, 0, 0, 0, 0, 0]);
}

#[test]
fn fetch_waits_for_room_and_interval() {
    let mut machine = machine();
    machine.control.queue_depth = [1; 4];
    // The queue is empty again at the beginning of the cycle after the start.
    assert_eq!(spans(&machine, &[sync(Unit::Array); 3]), [(0, 1, 2), (2, 3, 4), (4, 5, 6)]);
    machine.control.issue_interval_cycles = 5;
    assert_eq!(spans(&machine, &[sync(Unit::Array); 2]), [(0, 1, 2), (5, 6, 7)]);
    // Cycles without anything count, before the last fetch.
    let timing = timing_of(&machine, &[sync(Unit::Array); 2]);
    assert_eq!((timing.total_cycles, timing.units[1].busy, timing.units[1].idle), (7, 2, 5));
}

#[test]
fn vector_durations() {
    let machine = machine();
    let window = plain(Operation::VectorWindow {
        kernel_h: u(2),
        kernel_w: u(3),
        stride_h: u(1),
        stride_w: u(1),
        pad_top: u(0),
        pad_left: u(0),
        pad_bottom: u(0),
        pad_right: u(0),
        in_height: u(2),
        in_width: u(3),
    });
    let pitch = |operand| plain(Operation::VectorPitch { operand, row_pitch: u(64), pixel_pitch: u(8) });
    let duration = |shape: Instruction, run: Instruction| {
        use systole_machine::isa::VectorOperand::{A, B, Out};
        let program = [shape, window, pitch(A), pitch(B), pitch(Out), run];
        let span = timing_of(&machine, &program).spans[5].unwrap();
        span.end - span.start
    };
    // Blocks of 4 and 1 channels, 3 pixels, q = 3: 8 + 4, 2 + 1, and the latency.
    assert_eq!(duration(ve_shape(1, 3, 5, 4), ve_requant(0, 0, 512)), 8 + 4 + 2 + 1 + 2);
    let (a, b, params, out) = (u(0), u(256), u(256), u(512));
    assert_eq!(
        duration(
            ve_shape(1, 3, 5, 0),
            plain(Operation::VectorAdd { a, b, out, mode: RequantMode::Float32, subtract: Flag(false) })
        ),
        4 + 2
    );
    assert_eq!(
        duration(
            ve_shape(1, 3, 5, 0),
            plain(Operation::VectorAddChannel { a, params, out, mode: RequantMode::Float32, subtract: Flag(false) })
        ),
        10 + 4 + 2
    );
    assert_eq!(duration(ve_shape(1, 3, 5, 0), plain(Operation::VectorMaxPool { a, out })), 23 + 2);
    // Three passes of two cycles for each of three pixels.
    assert_eq!(duration(ve_shape(1, 3, 5, 0), plain(Operation::VectorSoftmax { a, out })), 18 + 2);
}

#[test]
fn an_empty_program_takes_no_time() {
    let timing = timing_of(&machine(), &[]);
    assert_eq!((timing.outcome, timing.total_cycles), (Outcome::Halted, 0));
}

#[test]
fn the_fuel_bounds_the_run() {
    let machine = machine();
    let job = Job { machine: &machine, instructions: &[sync(Unit::Array)], dram_bytes: 0 };
    assert!(matches!(run(&job, &[], 1), Err(crate::contract::EngineError::OutOfFuel(1))));
    assert_eq!(run(&job, &[], 3).unwrap().0.total_cycles, 2);
    let job = Job { dram_bytes: 8, ..job };
    assert!(run(&job, &[(6, &[1, 2, 3])], 9).is_err());
}
