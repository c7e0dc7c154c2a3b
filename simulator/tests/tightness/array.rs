//! T-5: the array. R = C = 4, so W = 4·wl; the run of `pointwise` is instruction 3, fetched at 3, and starts at 4.

use systole_machine::spec::Machine;

use super::harness::{ar_run, machine, pointwise, times, with};

/// Two runs of `pixels` pixels with `channels` channels, then a sync, whose start is the second's release.
fn two(machine: &Machine, pixels: u64, channels: u64) -> Vec<(u64, u64)> {
    let text = format!("{}{}\n{}\nar.sync", pointwise(pixels, channels), ar_run(0, 0), ar_run(0, 16));
    times(machine, &text)[3..].to_vec()
}

/// End of one run.
fn end(machine: &Machine, pixels: u64, channels: u64) -> u64 {
    times(machine, &(pointwise(pixels, channels) + &ar_run(0, 0)))[3].1
}

#[test]
fn t_05_two_registers_have_the_cadence_of_vectors_or_of_tiles() {
    // Three folds; S(0) = 8, then every max(M, 4); end S(2) + M − 1 + 7.
    // M = 3: S = 8, 12, 16; end 25.
    assert_eq!(end(&machine(), 3, 12), 25);
    // M = 4: the same S; one vector more to drain.
    assert_eq!(end(&machine(), 4, 12), 26);
    // M = 5: S = 8, 13, 18; end 29.
    assert_eq!(end(&machine(), 5, 12), 29);
    // M = 6: S = 8, 14, 20; end 32.
    assert_eq!(end(&machine(), 6, 12), 32);
}

#[test]
fn t_05_a_fold_begins_with_the_first_channel_beyond_r() {
    // M = 1: a fold every W = 4. 12 channels: S = 8, 12, 16, end 23; 13: one more, end 27.
    assert_eq!(end(&machine(), 1, 12), 23);
    assert_eq!(end(&machine(), 1, 13), 27);
}

#[test]
fn t_05_the_next_run_waits_for_the_stream_of_the_one_before() {
    // M = 3: S = 8, 12, 16, released at 16, E = 19: S(0) = 16 + 4 = 20, S = 20, 24, 28, end 28 + 2 + 7.
    assert_eq!(two(&machine(), 3, 12), [(4, 25), (16, 37), (28, 37)]);
    // M = 4: released at 16, E = 20: S(0) = 20 by either; end 28 + 3 + 7.
    assert_eq!(two(&machine(), 4, 12), [(4, 26), (16, 38), (28, 38)]);
    // M = 5: released at 18, E = 23 > 18 + 4: S = 23, 28, 33, end 33 + 4 + 7.
    assert_eq!(two(&machine(), 5, 12), [(4, 29), (18, 44), (33, 44)]);
    // M = 6: released at 20, E = 26: S = 26, 32, 38, end 38 + 5 + 7.
    assert_eq!(two(&machine(), 6, 12), [(4, 32), (20, 50), (38, 50)]);
}

#[test]
fn t_05_one_register_serialises_folds() {
    let machine = with(|machine| machine.array.weight_registers = 1);
    // A fold costs 2R + C + M − 2 = 10 + M, three folds a run; released at the end.
    for pixels in [1, 2, 6, 7] {
        let run = 3 * (10 + pixels);
        let (first, second) = (4 + run, 4 + 2 * run);
        assert_eq!(two(&machine, pixels, 12), [(4, first), (first, second), (second, second + 1)]);
    }
    // One channel more: one fold more.
    assert_eq!(end(&machine, 6, 12), 4 + 3 * 16);
    assert_eq!(end(&machine, 6, 13), 4 + 4 * 16);
}

#[test]
fn t_05_a_narrower_weight_port_doubles_the_load_of_a_row() {
    // wl = ceil(4 / 4) = 1, wl = ceil(4 / 3) = 2: W = 8, S = 12, 20, 28, end 28 + 5 + 7.
    let narrow = with(|machine| machine.weight.port_bytes = 3);
    assert_eq!((end(&machine(), 6, 12), end(&narrow, 6, 12)), (32, 40));
    // One register: W more a fold.
    let single = |port| {
        with(|machine| {
            machine.array.weight_registers = 1;
            machine.weight.port_bytes = port;
        })
    };
    assert_eq!((end(&single(4), 6, 12), end(&single(3), 6, 12)), (4 + 3 * 16, 4 + 3 * 20));
    // wl = 2 still, wl = 4.
    assert_eq!((end(&single(2), 6, 12), end(&single(1), 6, 12)), (4 + 3 * 20, 4 + 3 * 28));
}

#[test]
fn t_05_a_narrower_port_slows_vectors() {
    // v = 2: S = 8, 20, 32, end 32 + 5·2 + 7.
    let read = with(|machine| machine.activation.port_bytes = 3);
    let write = with(|machine| machine.accumulator.port_bytes = 15);
    assert_eq!((end(&machine(), 6, 12), end(&read, 6, 12), end(&write, 6, 12)), (32, 49, 49));
    // One fold, S = 8, end 8 + 5·v + 7: runs of 3 bytes go through a port of 3 in a cycle, runs of 4 do not.
    assert_eq!((end(&read, 6, 3), end(&read, 6, 4)), (20, 25));
    // Longer runs have chunks of R = 4 bytes.
    assert_eq!((end(&machine(), 6, 4), end(&machine(), 6, 5)), (20, 26));
}

#[test]
fn t_05_rows_and_columns_drain() {
    // One fold, M = 1: S = 4 + R·ceil(C / 4); end S + R + C − 1.
    let sized = |rows, columns| {
        with(|machine| {
            (machine.array.rows, machine.array.columns) = (rows, columns);
            machine.accumulator.port_bytes = 64;
        })
    };
    assert_eq!(end(&sized(4, 4), 1, 1), 4 + 4 + 7);
    assert_eq!(end(&sized(5, 4), 1, 1), 4 + 5 + 8);
    assert_eq!(end(&sized(4, 3), 1, 1), 4 + 4 + 6);
    // A row of 5 bytes takes two cycles.
    assert_eq!(end(&sized(4, 5), 1, 1), 4 + 8 + 8);
}
