//! T-8 and T-9: the load and the store channel.

use systole_machine::spec::{Machine, WeightDecoder};

use super::harness::{ld_run, ld_shape, machine, simple, st_run, st_shape, times, with};

/// The end of a load of bursts of 16 bytes, the first one shorter, that starts at 2.
fn load(machine: &Machine, first: u64, bytes: u64) -> u64 {
    times(machine, &(ld_shape(bytes) + &ld_run(16 - first, 0)))[1].1
}

fn outstanding(bursts: u32) -> Machine {
    with(|machine| machine.outstanding_bursts = bursts)
}

#[test]
fn t_08_outstanding_bursts_bound_the_requests() {
    // Bursts of 8, 16 and 16 bytes. One at a time: requested at 2, 18, 36; there at 16, 32, 50; written by 18, 36, 54.
    assert_eq!(load(&outstanding(1), 8, 40), 54);
    // Two: requested at 2, 3, 18; there at 16, 20, 32; written by 18, 24, 36.
    assert_eq!(load(&outstanding(2), 8, 40), 36);
    // Three, and more: requested at 2, 3, 4; there at 16, 20, 24.
    assert_eq!(load(&outstanding(3), 8, 40), 28);
    assert_eq!(load(&outstanding(4), 8, 40), 28);
}

#[test]
fn t_08_a_burst_counts_until_the_end_of_its_write() {
    // The first burst of 12 bytes is written by 19, of 13 by 20: the next request is then, or with two in flight the third.
    assert_eq!((load(&outstanding(1), 12, 28), load(&outstanding(1), 13, 29)), (37, 38));
    assert_eq!((load(&outstanding(2), 12, 44), load(&outstanding(2), 13, 45)), (37, 38));
}

#[test]
fn t_08_a_write_begins_at_the_arrival() {
    for latency in [0, 9, 10, 11] {
        let machine = with(|machine| machine.dram = simple(4_000_000_000, latency));
        // Off the bus at 6, there `latency` later, written in 4 cycles.
        assert_eq!(load(&machine, 16, 16), 6 + latency + 4);
    }
}

#[test]
fn t_08_a_write_begins_after_the_one_before() {
    let port = |bytes| with(|machine| machine.activation.port_bytes = bytes);
    // There at 16 and 20. Four cycles a write: [16, 20), [20, 24). Six: [16, 22), [22, 28). Three: [16, 19), [20, 23).
    assert_eq!([4, 3, 6].map(|bytes| load(&port(bytes), 16, 32)), [24, 28, 23]);
}

#[test]
fn t_08_one_request_a_cycle_then_the_release() {
    // Bursts requested at 2, 3, …: a sync starts in the cycle after the last, and so does the next load.
    for (bytes, release) in [(16, 3), (17, 4), (32, 4), (33, 5), (49, 6)] {
        for next in ["ld.sync\n".to_owned(), ld_run(128, 256)] {
            let text = ld_shape(bytes) + &ld_run(0, 0) + &next;
            assert_eq!(times(&machine(), &text)[2].0, release);
        }
    }
    // With one burst in flight the second request is at 20, when the first is written.
    let text = ld_shape(32) + &ld_run(0, 0) + "ld.sync";
    assert_eq!(times(&outstanding(1), &text)[2].0, 21);
}

#[test]
fn t_08_outstanding_bursts_are_those_of_the_channel() {
    // Two loads of a burst: the second starts at 3, but with one in flight asks at 20, when the first is written.
    let text = ld_shape(16) + &ld_run(0, 0) + &ld_run(16, 16);
    assert_eq!(times(&outstanding(2), &text)[1..], [(2, 20), (3, 24)]);
    assert_eq!(times(&outstanding(1), &text)[1..], [(2, 20), (3, 38)]);
}

/// Times of a store of bursts of 16 bytes, the first one shorter, and of a sync behind it.
fn store(machine: &Machine, first: u64, bytes: u64) -> [(u64, u64); 2] {
    let times = times(machine, &(st_shape(bytes) + &st_run(16 - first, 0) + "st.sync"));
    [times[1], times[2]]
}

#[test]
fn t_09_a_burst_is_read_then_asks_for_the_bus() {
    // n bytes: read by 2 + ceil(n / 4), 4 cycles of the bus, done 10 later. Released at the end of the read.
    for (bytes, read) in [(4, 3), (5, 4), (12, 5), (13, 6), (16, 6)] {
        assert_eq!(store(&machine(), 16, bytes), [(2, read + 14), (read, read + 14)]);
    }
    // A second burst of one byte: read by 7, off the bus at 14.
    assert_eq!(store(&machine(), 16, 17), [(2, 24), (7, 24)]);
}

#[test]
fn t_09_outstanding_bursts_bound_the_reads() {
    // Bursts of 8, 16 and 16 bytes. One at a time: read in [2, 4), [18, 22), [36, 40); done at 18, 36, 54.
    assert_eq!(store(&outstanding(1), 8, 40), [(2, 54), (40, 54)]);
    // Two: [2, 4), [4, 8), [18, 22); done at 18, 22, 36.
    assert_eq!(store(&outstanding(2), 8, 40), [(2, 36), (22, 36)]);
    // Three: [8, 12) for the third; done at 26.
    assert_eq!(store(&outstanding(3), 8, 40), [(2, 26), (12, 26)]);
}

#[test]
fn t_09_a_burst_counts_until_it_is_done() {
    // The first is done at 18 with a latency of 10; each cycle more delays the third read.
    for latency in [9, 10, 11] {
        let machine = with(|machine| {
            machine.outstanding_bursts = 2;
            machine.dram = simple(4_000_000_000, latency);
        });
        let read = 8 + latency;
        assert_eq!(store(&machine, 8, 40), [(2, read + 8 + latency), (read + 4, read + 8 + latency)]);
    }
}

#[test]
fn t_09_the_next_store_reads_from_the_release_on() {
    // Bursts of 16 bytes: read in [2, 6), [6, 10); of 12: [2, 5), [5, 8), where the bus is free at 9 only.
    for (bytes, second) in [(16, (6, 24)), (12, (5, 23))] {
        let text = st_shape(bytes) + &st_run(0, 0) + &st_run(16, 16);
        assert_eq!(times(&machine(), &text)[2], second);
    }
    // With one in flight the second waits for the first's end at 20: read in [20, 24), off the bus at 28.
    let text = st_shape(16) + &st_run(0, 0) + &st_run(16, 16);
    assert_eq!(times(&outstanding(1), &text)[1..], [(2, 20), (6, 38)]);
}

/// The end of a decode of a stream of 16 and 8 bytes into `decoded` ones, over a weight port of 4 bytes a cycle.
fn decode(output_bytes: u32, latency_cycles: u32, decoded: u64) -> u64 {
    let machine = with(|machine| machine.weight_decoder = Some(WeightDecoder { output_bytes, latency_cycles }));
    times(&machine, &(ld_shape(decoded) + "ld.decode dram=16, buffer=0, bytes=24"))[1].1
}

#[test]
fn t_08_a_decoded_burst_is_written_after_the_latency() {
    // There at 16 and 20; 96 bytes are shares of 64 and 32: 16 and 8 cycles, one after the other.
    assert_eq!([0, 1, 7].map(|latency| decode(4, latency, 96)), [40, 41, 47]);
    // 24 bytes: 4 and 2 cycles, the second from its own arrival or the end of the first on.
    assert_eq!([0, 1].map(|latency| decode(4, latency, 24)), [22, 23]);
}

#[test]
fn t_08_the_decoder_or_the_port_limits_a_write() {
    // A wider decoder waits for the port; a narrower one has shares of 64 and 32 in 22 + 11 (3 a cycle), 32 + 16 (2), 64 + 32 cycles (1).
    assert_eq!([16, 4, 3, 2, 1].map(|width| decode(width, 0, 96)), [40, 40, 49, 64, 112]);
}

#[test]
fn t_08_shares_are_rounded_down() {
    // Of 25 bytes the first burst's share is 16: 4 cycles, the second's 9: 3. Of 31 it is 20 and 11: 5 and 3.
    assert_eq!([25, 31].map(|decoded| decode(4, 0, decoded)), [23, 24]);
}
