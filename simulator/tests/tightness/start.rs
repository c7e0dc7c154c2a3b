//! T-2 and T-3: starts, configuration and sync.

use super::harness::{ar_run, ld_run, ld_shape, machine, pointwise, repeat, st_run, st_shape, times, ve_shape};

#[test]
fn t_02_a_token_is_taken_in_the_cycle_in_which_it_is_given() {
    for later in 0..5 {
        let text = format!("ar.sync wait(vector)\n{}ve.sync signal(array)", repeat("ve.sync", later));
        let times = times(&machine(), &text);
        // The giver is instruction `later` + 1: fetched at that cycle, start one later, end two later.
        let end = later as u64 + 3;
        assert_eq!((times[0], times[later + 1].1), ((end, end + 1), end));
    }
}

#[test]
fn t_02_the_last_of_several_tokens_decides() {
    let giver = |unit: &str, later| format!("{}{unit}.sync signal(array)\n", repeat(&format!("{unit}.sync"), later));
    for [first, last] in [["ld", "st"], ["st", "ld"]] {
        for later in 0..3 {
            let text = format!("ar.sync wait(load, store)\n{}{}", giver(first, 0), giver(last, later));
            // The last giver is instruction 2 + `later`: it ends two cycles after its fetch.
            assert_eq!(times(&machine(), &text)[0].0, 4 + later as u64);
        }
    }
}

#[test]
fn t_02_a_token_serves_once() {
    // Two waits, two gifts: the second waits for the second token although the first came early.
    for later in 0..3 {
        let text = format!(
            "ar.sync wait(store)\nar.sync wait(store)\nst.sync signal(array)\n{}st.sync signal(array)",
            repeat("st.sync", later)
        );
        let times = times(&machine(), &text);
        assert_eq!((times[0].0, times[1].0), (4, 5 + later as u64));
    }
}

#[test]
fn t_02_the_units_release_is_waited_for() {
    // q = 4, latency 2: 16 + 2 cycles for 64 channels from 2 on, one more for 65.
    for (channels, end) in [(63, 20), (64, 20), (65, 21), (69, 22)] {
        let text = format!("{}ve.rescale a=0, out=128\nve.sync", ve_shape(channels));
        assert_eq!(times(&machine(), &text)[1..], [(2, end), (end, end + 1)]);
    }
}

#[test]
fn t_03_configuration_takes_a_cycle() {
    let registers = ["ld.dram row_pitch=0, plane_pitch=0", "ar.sync", "ve.sync", "st.sync"];
    for line in registers {
        assert_eq!(times(&machine(), &repeat(line, 3)), [(1, 2), (2, 3), (3, 4)]);
    }
}

#[test]
fn t_03_it_retires_behind_the_instruction_before() {
    // A load of 8 + 16 + 12 bytes ends at 27, of 8 + 16 + 16 at 28; both are released at 5.
    for (bytes, end) in [(36, 27), (40, 28)] {
        let text = format!("{}{}ld.sync\nld.sync", ld_shape(bytes), ld_run(8, 0));
        assert_eq!(times(&machine(), &text)[1..], [(2, end), (5, end), (6, end)]);
    }
    // A store of one burst: read by 6, done at 20; of 12 bytes: read by 5, done at 19.
    for (bytes, release) in [(16, 6), (12, 5)] {
        let text = format!("{}{}st.sync", st_shape(bytes), st_run(0, 0));
        assert_eq!(times(&machine(), &text)[1..], [(2, release + 14), (release, release + 14)]);
    }
    // The array: S = 8, end 8 + M − 1 + 7; released at 8. One that starts at the end or later ends a cycle after its start.
    for (pixels, syncs) in [(1, 8), (2, 8)] {
        let end = 14 + pixels;
        let text = format!("{}{}\n{}", pointwise(pixels, 4), ar_run(0, 0), repeat("ar.sync", syncs));
        let times = times(&machine(), &text);
        for (k, time) in times.iter().skip(4).enumerate() {
            let start = 8 + k as u64;
            assert_eq!(*time, (start, end.max(start + 1)));
        }
    }
}

#[test]
fn t_03_registers_set_behind_a_run_do_not_touch_it() {
    // M-3: a load of 8 + 16 + 12 bytes, requested at 2, 3 and 4, ends at 27 whatever the shape set at 5; the next one takes that: its burst is requested at 6,
    // has the bus in [14, 18) and is written from 28 on.
    for (bytes, cycles) in [(4, 1), (5, 2), (16, 4)] {
        let text = ld_shape(36) + &ld_run(8, 0) + &ld_shape(bytes) + &ld_run(64, 64);
        assert_eq!(times(&machine(), &text)[1..], [(2, 27), (5, 27), (6, 28 + cycles)]);
    }
}
