//! T-7: how rows become bursts, and the bus.

use systole_machine::spec::Dram;

use super::harness::{halted, ld_run, ld_shape, machine, simple, st_run, st_shape, times, ve_shape, with};

/// End of a load that starts at 2, and the bytes over the bus.
fn load(bytes: u64, dram: u64) -> (u64, u64) {
    let timing = halted(&machine(), &(ld_shape(bytes) + &ld_run(dram, 0)));
    (timing.spans[1].expect("it ran").end, timing.dram_bus_bytes[0])
}

#[test]
fn t_07_rows_are_cut_at_addresses_of_dram() {
    // One burst: off the bus at 6, there at 16, written by 20.
    assert_eq!(load(16, 0), (20, 16));
    // A byte more, or a byte further: a second burst of one byte: off the bus at 10, there at 20, written by 21.
    assert_eq!(load(17, 0), (21, 32));
    assert_eq!(load(16, 1), (21, 32));
    // 15 bytes from 1 on are one burst again, 15 from 2 on two.
    assert_eq!(load(15, 1), (20, 16));
    assert_eq!(load(15, 2), (21, 32));
}

#[test]
fn t_07_each_row_begins_a_burst() {
    // Four rows of 4 bytes that follow each other, against one of 16: bursts requested at 4 to 7, the last off the bus at 20, there
    // at 30.
    let pitches = "ld.buffer row_pitch=4, plane_pitch=8\nld.dram row_pitch=4, plane_pitch=8\n";
    let run = |shape: &str| {
        let timing = halted(&machine(), &format!("{pitches}{shape}\n{}", ld_run(0, 0)));
        (timing.spans[3].expect("it ran").end, timing.dram_bus_bytes[0])
    };
    assert_eq!(run("ld.shape row_bytes=4, rows=2, planes=2"), (31, 64));
    assert_eq!(run("ld.shape row_bytes=4, rows=4, planes=1"), (31, 64));
    assert_eq!(run("ld.shape row_bytes=16, rows=1, planes=1"), (22, 16));
}

#[test]
fn t_07_bursts_go_by_plane_then_row() {
    // Two planes of two bursts, the first in bank 0, the second in bank 1, which the vector unit holds in [6, 28) or [6, 29). There at 18, 22, 26, 30: both
    // rows of the first plane are written before that, so two bursts are left for later, not three.
    for (channels, free) in [(80, 28), (84, 29)] {
        let text = format!(
            "ld.buffer row_pitch=16, plane_pitch=256\nld.dram row_pitch=16, plane_pitch=32\nld.shape row_bytes=16, rows=2, planes=2
             {}{}ve.rescale a=300, out=400",
            ld_run(0, 0),
            ve_shape(channels)
        );
        let times = times(&machine(), &text);
        assert_eq!((times[3].1, times[5].1), (free + 8, free));
    }
}

#[test]
fn t_07_the_bus_keeps_fractions() {
    let end = |bandwidth, latency| {
        let machine = with(|machine| machine.dram = simple(bandwidth, latency));
        times(&machine, &(ld_shape(40) + &ld_run(8, 0)))[1].1
    };
    // 4 cycles a burst: off the bus at 6, 10, 14; the last is there at 24, written by 28.
    assert_eq!(end(4_000_000_000, 10), 28);
    // 5 1/3 cycles: off at 7 1/3, 12 2/3, 18 (not at 20, as whole cycles would have it); there at 28.
    assert_eq!(end(3_000_000_000, 10), 32);
    // A byte a second less, and the third is off just after 18.
    assert_eq!(end(2_999_999_999, 10), 33);
    assert_eq!(end(3_000_000_000, 11), 33);
    // A byte a second more changes nothing: off just before 18.
    assert_eq!(end(3_000_000_001, 10), 32);
}

#[test]
fn t_07_loads_use_the_bus_first() {
    // The store reads in [2, 3) through a port of 16 bytes and asks for the bus at 3; the load asks in the cycle of its start.
    let wide = with(|machine| machine.activation.port_bytes = 16);
    // The load at 4: the store is off the bus at 7 and done at 17; the load off at 11, there at 21, written by 22.
    let late = times(&wide, &(st_shape(16) + &st_run(0, 512) + &ld_shape(16) + &ld_run(64, 0)));
    assert_eq!((late[1], late[3]), ((2, 17), (4, 22)));
    // Both at 4: the load is off the bus at 8, the store at 12.
    let same = times(&wide, &(ld_shape(16) + &st_shape(16) + &st_run(0, 512) + &ld_run(64, 0)));
    assert_eq!((same[2], same[3]), ((3, 22), (4, 19)));
}

#[test]
fn t_07_a_free_bus_starts_at_the_request() {
    // Two loads of a burst, the second after syncs: requested at 2 and at 3 + `syncs`; the bus is free at 6.
    for (syncs, end) in [(0, 24), (3, 24), (4, 25), (5, 26)] {
        let text = format!("{}{}{}{}", ld_shape(16), ld_run(0, 0), "ld.sync\n".repeat(syncs), ld_run(16, 16));
        assert_eq!(times(&machine(), &text)[2 + syncs].1, end, "{syncs}");
    }
}

#[test]
fn t_07_ideal_memory_answers_in_the_next_cycle() {
    let ideal = with(|machine| machine.dram = Dram::Ideal { burst_bytes: 16 });
    // Requested at 2, there at 3, written by 7; the second there at 4, written in [7, 11).
    assert_eq!(times(&ideal, &(ld_shape(16) + &ld_run(0, 0)))[1], (2, 7));
    assert_eq!(times(&ideal, &(ld_shape(32) + &ld_run(0, 0)))[1], (2, 11));
    // Read by 6, done at 7.
    assert_eq!(times(&ideal, &(st_shape(16) + &st_run(0, 0)))[1], (2, 7));
}
