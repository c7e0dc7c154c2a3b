//! T-4: bank ports.

use systole_machine::spec::Machine;

use super::harness::{
    ar_run, halted, ld_run, ld_shape, machine, pointwise, repeat, st_run, st_shape, times, ve_shape, with,
};

/// A vector instruction on bank 0 from 2 on, for 2 + channels / 4 cycles; an array instruction on this activation address, otherwise ready at 6.
/// The start of the latter.
fn array_behind_vector(machine: &Machine, channels: u64, activation: u64) -> u64 {
    let text = format!("{}ve.rescale a=0, out=80\n{}{}", ve_shape(channels), pointwise(1, 4), ar_run(activation, 0));
    times(machine, &text)[5].0
}

#[test]
fn t_04_a_port_is_free_at_the_end_of_its_holder() {
    // 64 channels: [2, 20). One more: [2, 21).
    assert_eq!(array_behind_vector(&machine(), 64, 192), 20);
    assert_eq!(array_behind_vector(&machine(), 65, 192), 21);
    // A second port.
    let two = with(|machine| machine.activation.ports = 2);
    assert_eq!(array_behind_vector(&two, 64, 192), 6);
}

#[test]
fn t_04_one_byte_in_a_bank_takes_its_port() {
    // Bank 0 ends at 256, the array reads 4 bytes.
    assert_eq!(array_behind_vector(&machine(), 64, 255), 20);
    assert_eq!(array_behind_vector(&machine(), 64, 256), 6);
    // The parameters, too: the vector instruction has them at 256 to 272, in bank 1.
    let behind_parameters = |activation| {
        let text =
            format!("{}ve.affine a=0, params=256, out=32\n{}{}", ve_shape(2), pointwise(1, 4), ar_run(activation, 0));
        times(&machine(), &text)[5].0
    };
    // ceil(2 / 4) + ceil(16 / 4) + 2 from 2 on.
    assert_eq!((behind_parameters(508), behind_parameters(512)), (9, 6));
}

#[test]
fn t_04_accumulator_banks_have_ports() {
    // The array on accumulator 0 from 4 to 15; a requantisation on bank 0 (vectors 0 to 7) or bank 1, of activations elsewhere, ready at 6.
    let start = |accumulator| {
        let text = format!(
            "{}{}\n{}ve.requant accumulator={accumulator}, params=256, out=512, mode=float32",
            pointwise(1, 4),
            ar_run(0, 0),
            ve_shape(4)
        );
        times(&machine(), &text)[5].0
    };
    assert_eq!((start(7), start(8)), (15, 6));
}

#[test]
fn t_04_a_unit_holds_one_port_for_all_its_instructions() {
    // Runs of 6 pixels and 12 channels: [4, 32), and the second starts at the first's release though both are on the same banks: [20, 50).
    // A vector instruction on bank 0 waits for the end of the second. A pixel more: [4, 35), [22, 56).
    for (pixels, first, second) in [(6, (4, 32), (20, 50)), (7, (4, 35), (22, 56))] {
        let runs = format!("{}{}\n{}", pointwise(pixels, 12), ar_run(0, 0), ar_run(0, 8));
        let times = times(&machine(), &format!("{runs}\n{}ve.rescale a=128, out=192", ve_shape(4)));
        assert_eq!((times[3], times[4], times[6].0), (first, second, second.1));
    }
}

#[test]
fn t_04_the_array_comes_before_the_vector_unit() {
    // A vector instruction holds bank 0 in [2, 20); another one and the array wait for it, the array for a token at 8 + `syncs` too.
    let run = |syncs: usize| {
        let text = format!(
            "{}ve.rescale a=0, out=64\n{}{} wait(store)\nve.rescale a=0, out=64\n{}st.sync signal(array)",
            ve_shape(64),
            pointwise(1, 4),
            ar_run(192, 0),
            repeat("st.sync", syncs - 1)
        );
        let times = times(&machine(), &text);
        (times[5].0, times[6].0)
    };
    // Token at 20: the array takes the port in [20, 31). Token at 21: too late, the vector unit has it in [20, 38).
    assert_eq!(run(12), (20, 31));
    assert_eq!(run(13), (38, 20));
}

/// A burst that arrives at 16 for bank 0, and a vector instruction there for 18 cycles, ready at 4 + `syncs`.
fn burst_and_vector(syncs: usize) -> String {
    let (load, shape) = (ld_shape(16) + &ld_run(0, 128), ve_shape(64));
    format!("{load}{shape}{}ve.rescale a=0, out=64", repeat("ve.sync", syncs))
}

#[test]
fn t_04_the_vector_unit_comes_before_bursts() {
    let run = |syncs| {
        let times = times(&machine(), &burst_and_vector(syncs));
        (times[1].1, times[3 + syncs].0)
    };
    // Ready at 15 or 16: the burst is written in [33, 37) or [34, 38). Ready at 17: the burst has the port in [16, 20).
    assert_eq!(run(11), (37, 15));
    assert_eq!(run(12), (38, 16));
    assert_eq!(run(13), (20, 20));
    assert_eq!(run(16), (20, 20));
    assert_eq!(run(17), (20, 21));
}

#[test]
fn t_04_loads_come_before_stores() {
    // A burst that arrives at 16 for bank 0; a store that reads bank 0 from 4 + `syncs` on, and is done 14 cycles after its read.
    let run = |syncs| {
        let load = ld_shape(16) + &ld_run(0, 128);
        let text = format!("{load}{}{}{}", st_shape(16), repeat("st.sync", syncs), st_run(1024, 0));
        let times = times(&machine(), &text);
        assert_eq!(times[3 + syncs].0, 4 + syncs as u64);
        (times[1].1, times[3 + syncs].1)
    };
    // Both at 16: written in [16, 20), read in [20, 24). The store at 15: read in [15, 19), written in [19, 23).
    assert_eq!(run(12), (20, 38));
    assert_eq!(run(11), (23, 33));
}

#[test]
fn t_04_a_burst_holds_its_port_for_its_own_bytes() {
    // The burst of n bytes is written in [16, 16 + ceil(n / 4)); the vector instruction is ready at 17.
    for (bytes, free) in [(8, 18), (12, 19), (13, 20), (16, 20)] {
        let load = ld_shape(bytes) + &ld_run(0, 128);
        let text = format!("{load}{}{}ve.rescale a=0, out=64", ve_shape(64), repeat("ve.sync", 13));
        let timing = halted(&machine(), &text);
        assert_eq!(timing.spans[16].map(|span| span.start), Some(free));
        assert_eq!(timing.units[2].stalls[7], free - 17);
    }
}
