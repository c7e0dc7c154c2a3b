//! T-10 and T-11: what a unit does in each cycle, and the total.

use systole_machine::spec::Machine;
use systole_simulator::contract::{Outcome, Trap, UnitCycles};

use super::harness::{
    ar_run, halted, ld_run, ld_shape, machine, pointwise, repeat, st_run, st_shape, timing, ve_shape, with,
};

fn cycles(busy: u64, idle: u64, stalls: [u64; 9]) -> UnitCycles {
    UnitCycles { busy, idle, stalls }
}

#[test]
fn t_10_a_missing_token_is_the_cause_until_it_is_given() {
    // The array waits from 1 on; a load from 3 on ends at 21 (or 22, with a burst of one byte more).
    for (bytes, end) in [(16, 21), (17, 22)] {
        let run = ld_run(0, 0).trim_end().to_owned();
        let timing = halted(&machine(), &format!("ar.sync wait(load)\n{}{run} signal(array)", ld_shape(bytes)));
        assert_eq!(timing.units[1], cycles(1, 1, [end - 1, 0, 0, 0, 0, 0, 0, 0, 0]));
    }
}

#[test]
fn t_10_the_first_missing_token_is_named() {
    let stalls = |first: &str, second: &str, later: usize| {
        let text = format!(
            "ar.sync wait(load, store)\n{first}.sync signal(array)\n{}{second}.sync signal(array)",
            repeat(&format!("{second}.sync"), later)
        );
        halted(&machine(), &text).units[1].stalls
    };
    // Store's token at 3, load's at 4 + later: cycles 1 to 3 + later lack the load's.
    assert_eq!(stalls("st", "ld", 0), [3, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(stalls("st", "ld", 1), [4, 0, 0, 0, 0, 0, 0, 0, 0]);
    // Load's at 3: cycles 1 and 2, then the store's.
    assert_eq!(stalls("ld", "st", 0), [2, 0, 0, 1, 0, 0, 0, 0, 0]);
    assert_eq!(stalls("ld", "st", 1), [2, 0, 0, 2, 0, 0, 0, 0, 0]);
}

#[test]
fn t_10_with_all_tokens_it_waits_for_a_port() {
    // The vector unit holds bank 0 from 2 to 20 or 21. The array: three registers in 3 to 5, its run fetched at 5, ready at 6.
    for (channels, free) in [(64, 20), (65, 21)] {
        let text = format!("{}ve.rescale a=0, out=80\n{}{}", ve_shape(channels), pointwise(1, 4), ar_run(192, 0));
        let timing = halted(&machine(), &text);
        assert_eq!(timing.units[1], cycles(3 + 11, 3, [0, 0, 0, 0, 0, 0, 0, free - 6, 0]));
        assert_eq!(timing.units[2], cycles(1 + free - 2, 12, [0; 9]));
    }
}

/// The load unit's cycles.
fn load(machine: &Machine, text: &str) -> UnitCycles {
    halted(machine, text).units[0]
}

#[test]
fn t_10_a_load_is_busy_while_a_burst_moves() {
    // Cycle 1 configures; under way from 2 on; written in [16, 18), [20, 24), [24, 28).
    let text = ld_shape(40) + &ld_run(8, 0);
    assert_eq!(load(&machine(), &text), cycles(1 + 10, 1, [0, 0, 0, 0, 0, 0, 0, 0, 16]));
    // A sync starts at 5, while nothing moves: a cycle of work, not of waiting.
    assert_eq!(load(&machine(), &(text.clone() + "ld.sync")), cycles(1 + 10 + 1, 1, [0, 0, 0, 0, 0, 0, 0, 0, 15]));
    // 36 bytes: the last write is a cycle shorter.
    assert_eq!(load(&machine(), &(ld_shape(36) + &ld_run(8, 0))), cycles(1 + 9, 1, [0, 0, 0, 0, 0, 0, 0, 0, 16]));
}

#[test]
fn t_10_a_burst_that_has_arrived_waits_for_its_port() {
    // The burst is there at 16; the vector instruction holds bank 0 in [4, 22) or [4, 23).
    for (channels, port) in [(64, 6), (65, 7)] {
        let text = format!("{}{}{}ve.rescale a=0, out=80", ld_shape(16), ld_run(0, 192), ve_shape(channels));
        assert_eq!(load(&machine(), &text), cycles(1 + 4, 1, [0, 0, 0, 0, 0, 0, 0, port, 14]));
    }
}

#[test]
fn t_10_a_store_waits_for_ports_and_for_memory() {
    // Read in [2, 6), done at 20.
    let store = |machine: &Machine, text: &str| halted(machine, text).units[3];
    assert_eq!(store(&machine(), &(st_shape(16) + &st_run(0, 0))), cycles(1 + 4, 1, [0, 0, 0, 0, 0, 0, 0, 0, 14]));
    assert_eq!(store(&machine(), &(st_shape(12) + &st_run(0, 0))), cycles(1 + 3, 1, [0, 0, 0, 0, 0, 0, 0, 0, 14]));
    // The vector instruction holds bank 0 in [2, 20) or [2, 21): the store, from 4 on, is refused the port.
    for (channels, port) in [(64, 16), (65, 17)] {
        let text = format!("{}ve.rescale a=0, out=80\n{}{}", ve_shape(channels), st_shape(16), st_run(0, 192));
        assert_eq!(store(&machine(), &text), cycles(1 + 4, 3, [0, 0, 0, 0, 0, 0, 0, port, 14]));
    }
    // With one in flight, the second burst is not refused a port but waits for memory: read in [2, 6) and [20, 24), done at 38.
    let single = with(|machine| machine.outstanding_bursts = 1);
    assert_eq!(store(&single, &(st_shape(32) + &st_run(0, 0))), cycles(1 + 8, 1, [0, 0, 0, 0, 0, 0, 0, 0, 28]));
}

#[test]
fn t_11_the_total_is_the_last_end() {
    assert_eq!(halted(&machine(), "").total_cycles, 0);
    assert_eq!(halted(&machine(), "ar.sync").total_cycles, 2);
    for (channels, end) in [(64, 20), (65, 21)] {
        assert_eq!(halted(&machine(), &(ve_shape(channels) + "ve.rescale a=0, out=80")).total_cycles, end);
        // An end of another unit before it does not count.
        let text = ve_shape(channels) + "ve.rescale a=0, out=80\nar.sync";
        assert_eq!(halted(&machine(), &text).total_cycles, end);
    }
}

#[test]
fn t_11_a_deadlock_counts_what_was_fetched() {
    let total = |machine: &Machine, text: &str| {
        let timing = timing(machine, text);
        assert!(matches!(timing.outcome, Outcome::Deadlock { .. }));
        timing.total_cycles
    };
    // Fetched at 0; a second one at 1, or at 5.
    assert_eq!(total(&machine(), "ar.sync wait(load)"), 1);
    assert_eq!(total(&machine(), "ar.sync wait(load)\nar.sync"), 2);
    let slow = with(|machine| machine.control.issue_interval_cycles = 5);
    assert_eq!(total(&slow, "ar.sync wait(load)\nar.sync"), 6);
    // With room for one the second is never fetched.
    let narrow = with(|machine| machine.control.queue_depth[1] = 1);
    assert_eq!(total(&narrow, "ar.sync wait(load)\nar.sync"), 1);
    // What has started ends: at 3.
    assert_eq!(total(&machine(), "ar.sync wait(load)\nst.sync"), 3);
}

#[test]
fn t_11_a_trap_counts_what_came_before() {
    // The instruction behind none, one or two names its own unit: neither it nor what follows exists.
    for before in 0..3 {
        let timing = timing(&machine(), &format!("{}ar.sync wait(array)\nld.sync", repeat("ar.sync", before)));
        assert_eq!(timing.outcome, Outcome::Trap { trap: Trap::BadToken, instruction: before });
        assert_eq!(timing.total_cycles, [0, 2, 3][before]);
    }
}
