//! T-4 and T-5: several arrays, and a bank that holds both operands of one.

use systole_machine::spec::{Dataflow, Machine};

use super::harness::{ar_run, halted, pointwise, repeat, times, ve_shape, with};

/// The same instructions for array 1.
fn second(lines: &str) -> String {
    lines.lines().map(|line| format!("{line}, array=1\n")).collect()
}

#[test]
fn t_04_arrays_take_ports_in_their_order() {
    // A vector instruction holds bank 0 in [2, 20). Both arrays wait for it, `array1` from 10 on, `array` also for a token at 11 + `syncs`.
    let two = with(|machine| machine.array.count = 2);
    let run = |syncs: usize| {
        let text = format!(
            "{}ve.rescale a=0, out=64\n{}{}{} wait(store)\n{}{}st.sync signal(array)",
            ve_shape(64),
            pointwise(1, 4),
            second(&pointwise(1, 4)),
            ar_run(192, 0),
            second(&ar_run(192, 8)),
            repeat("st.sync", syncs - 1)
        );
        let times = times(&two, &text);
        (times[8].0, times[9].0)
    };
    // Token at 20: `array` has the port in [20, 31). Token at 21: too late, `array1` has it.
    assert_eq!(run(9), (20, 31));
    assert_eq!(run(10), (31, 20));
}

#[test]
fn t_04_arrays_share_a_bank_where_it_has_two_ports() {
    // `array` runs in [7, 18) on weight bank 0 and accumulator bank 0, `array1` could start at 8.
    let start = |machine: &Machine, accumulator: u64| {
        let runs = format!("{}\n{}", ar_run(0, 0), second(&ar_run(256, accumulator)));
        let text = format!("{}{}{runs}", pointwise(1, 4), second(&pointwise(1, 4)));
        let timing = halted(machine, &text);
        let refused = timing.units[4].stalls[7];
        (timing.spans[7].map(|span| span.start), refused)
    };
    let ports = |weight: u32, accumulator: u32| {
        with(|machine| {
            machine.array.count = 2;
            (machine.weight.ports, machine.accumulator.ports) = (weight, accumulator);
        })
    };
    // One port of either bank is one too few; vector 8 is in another bank than vector 7.
    assert_eq!(start(&ports(1, 2), 7), (Some(18), 10));
    assert_eq!(start(&ports(2, 1), 7), (Some(18), 10));
    assert_eq!(start(&ports(2, 2), 7), (Some(8), 0));
    assert_eq!(start(&ports(2, 1), 8), (Some(8), 0));
}

/// One memory of four banks of 256 bytes.
fn unified(registers: u32) -> Machine {
    with(|machine| {
        machine.array.dataflows = vec![Dataflow::WeightStationary, Dataflow::OutputStationary];
        machine.array.weight_registers = registers;
        (machine.unified, machine.weight) = (true, machine.activation);
    })
}

/// Runs of 3 pixels (12 bytes from 0 on): the first has its weights (16 bytes) in bank 2, the second from here on.
fn two_runs(weight: u64) -> String {
    let run = |weight, accumulator| {
        format!("ar.run activation=0, weight={weight}, accumulator={accumulator}, blocks=1, accumulate=false\n")
    };
    format!("{}{}{}", pointwise(3, 4), run(512, 0), run(weight, 8))
}

#[test]
fn t_05_one_bank_loads_no_tile_during_a_stream() {
    // First run: S = 4 + 4, released at 8, E = 8 + 3. Weights from 256 on are in bank 1: S = max(8 + 4, 11), end 12 + 9. A byte less: S = max(8, 11) + 4.
    let second = |weight| times(&unified(2), &two_runs(weight))[4];
    assert_eq!(second(256), (8, 21));
    assert_eq!(second(255), (8, 24));
    assert_eq!(second(12), (8, 24));
    // Two blocks in one bank: S = 8, then 8 + 3 + 4, end 15 + 9; in two banks S = 8, 12.
    let blocks = |weight| {
        let run = format!("ar.run activation=0, weight={weight}, accumulator=0, blocks=2, accumulate=false");
        times(&unified(2), &format!("{}{run}", pointwise(3, 4)))[3]
    };
    assert_eq!((blocks(255), blocks(256)), ((4, 24), (4, 21)));
    // With one register nothing overlaps anyway.
    let one = |weight| times(&unified(1), &two_runs(weight))[4];
    assert_eq!((one(255), one(256)), ((17, 30), (17, 30)));
}

#[test]
fn t_05_one_bank_feeds_a_step_one_operand_after_the_other() {
    // K = 4 steps of one cycle, end 4 + 3 + 4 + 4 + 3; from one bank va + vw = 2, end 4 + 6 + 11.
    for registers in [1, 2] {
        let end = |weight| {
            let run = format!("ar.run activation=0, weight={weight}, accumulator=0, blocks=1, accumulate=false");
            times(&unified(registers), &format!("{}{run}, dataflow=os", pointwise(3, 4)))[3]
        };
        assert_eq!((end(256), end(255)), ((4, 18), (4, 21)));
    }
}
