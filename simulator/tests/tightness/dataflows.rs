//! T-2, T-5 and T-6 of the other dataflows, and of slow and wide PEs. R = C = 4; the run of `pointwise` is instruction 3 and starts at 4.

use systole_machine::spec::{Dataflow, Machine, OperandWidth};

use super::harness::{ar_run, pointwise, times, with};

/// The machine with these dataflows, changed.
fn flowing(dataflows: &[Dataflow], change: impl FnOnce(&mut Machine)) -> Machine {
    with(|machine| {
        machine.array.dataflows = dataflows.to_vec();
        change(machine);
    })
}

fn output_stationary(change: impl FnOnce(&mut Machine)) -> Machine {
    flowing(&[Dataflow::OutputStationary], change)
}

fn input_stationary(change: impl FnOnce(&mut Machine)) -> Machine {
    flowing(&[Dataflow::InputStationary], change)
}

/// Two runs of this dataflow, then a sync, whose start is the second's release.
fn two(machine: &Machine, registers: &str, dataflow: &str) -> Vec<(u64, u64)> {
    let run = |accumulator| format!("{}, dataflow={dataflow}\n", ar_run(0, accumulator));
    times(machine, &format!("{registers}{}{}ar.sync", run(0), run(16)))[3..].to_vec()
}

/// End of one run.
fn end(machine: &Machine, registers: &str, dataflow: &str) -> u64 {
    times(machine, &format!("{registers}{}, dataflow={dataflow}", ar_run(0, 0)))[3].1
}

/// End of an output-stationary run: K = `channels` steps a fold of four pixels.
fn os(machine: &Machine, pixels: u64, channels: u64) -> u64 {
    end(machine, &pointwise(pixels, channels), "os")
}

/// The registers of an input-stationary run.
fn outputs(pixels: u64, channels: u64, outputs: u64) -> String {
    pointwise(pixels, channels).trim_end().to_owned() + &format!(", outputs={outputs}\n")
}

fn is(machine: &Machine, (pixels, channels): (u64, u64), count: u64) -> u64 {
    end(machine, &outputs(pixels, channels, count), "is")
}

#[test]
fn t_05_output_stationary_steps_and_drain() {
    // One fold: S = 4, end S + (K − 1) + R + C + (R − 1) = 14 + K.
    let machine = output_stationary(|_| {});
    assert_eq!((os(&machine, 3, 4), os(&machine, 4, 4), os(&machine, 4, 5)), (18, 18, 19));
    // A fifth pixel is a second fold, max(K, R·d) later.
    assert_eq!((os(&machine, 5, 3), os(&machine, 5, 4), os(&machine, 5, 5)), (8 + 13, 8 + 14, 9 + 15));
    // d = 2: three cycles more for the drain; cadence max(K, 8).
    let slow = output_stationary(|machine| machine.accumulator.port_bytes = 15);
    assert_eq!((os(&slow, 4, 4), os(&slow, 5, 4)), (21, 12 + 17));
    assert_eq!((os(&slow, 5, 7), os(&slow, 5, 8), os(&slow, 5, 9)), (12 + 20, 12 + 21, 13 + 22));
}

#[test]
fn t_05_output_stationary_feed() {
    // v = 2 through a port of 3: vw = ceil(4 / 3), and va = ceil(ceil(16 / 3) / 4).
    let weight = output_stationary(|machine| machine.weight.port_bytes = 3);
    let activation = output_stationary(|machine| machine.activation.port_bytes = 3);
    assert_eq!((os(&weight, 4, 4), os(&activation, 4, 4)), (21, 21));
    // Pixels with a gap are read one by one: 4 accesses in 4 steps, 8 in 5. Dense ones are 4 and 5.
    let apart = |channels: u64| {
        let registers = pointwise(4, channels).replacen(&format!("pixel_pitch={channels}"), "pixel_pitch=9", 1);
        end(&output_stationary(|_| {}), &registers, "os")
    };
    assert_eq!((apart(4), apart(5)), (18, 14 + 5 + 4));
    assert_eq!(os(&output_stationary(|_| {}), 4, 5), 14 + 5);
}

#[test]
fn t_05_output_stationary_drains_are_kept_apart() {
    // Released at s + 1 = 5. E = 4 + K decides: S(0) = 8, 9.
    let machine = output_stationary(|_| {});
    assert_eq!(two(&machine, &pointwise(4, 4), "os"), [(4, 18), (5, 22), (8, 22)]);
    assert_eq!(two(&machine, &pointwise(4, 5), "os"), [(4, 19), (5, 24), (9, 24)]);
    // K = 3: E = 7, B + 4 − 2 = 6 + 2 = 8: the drain decides.
    assert_eq!(two(&machine, &pointwise(4, 3), "os"), [(4, 17), (5, 21), (8, 21)]);
    // d = 2: B + 8 − (K − 1) = 12 for every K, until E = 4 + K = 13.
    let slow = output_stationary(|machine| machine.accumulator.port_bytes = 15);
    for (channels, first) in [(4, 12), (7, 12), (8, 12), (9, 13)] {
        let tail = channels - 1 + 8 + 6;
        let expected = [(4, 4 + tail), (5, first + tail), (first, first + tail)];
        assert_eq!(two(&slow, &pointwise(4, channels), "os"), expected);
    }
}

#[test]
fn t_05_output_stationary_one_register() {
    let machine = output_stationary(|machine| machine.array.weight_registers = 1);
    // A fold costs K + 2R + C − 2 = K + 10; two folds a run.
    for channels in [3, 4, 5] {
        let run = 2 * (channels + 10);
        let (first, second) = (4 + run, 4 + 2 * run);
        let expected = [(4, first), (first, second), (second, second + 1)];
        assert_eq!(two(&machine, &pointwise(5, channels), "os"), expected);
    }
}

#[test]
fn t_05_input_stationary() {
    // T = 4, S(0) = 8, folds every max(N, 4), end S + N + 6.
    let machine = input_stationary(|_| {});
    assert_eq!((is(&machine, (4, 4), 3), is(&machine, (4, 4), 4)), (17, 18));
    // A fifth pixel, or a fifth channel, is a second fold.
    for shape in [(5, 4), (4, 5)] {
        assert_eq!([3, 4, 5].map(|count| is(&machine, shape, count)), [12 + 9, 12 + 10, 13 + 11]);
    }
    // Operands stream over the weight port: v = 2 for chunks of 4 through a port of 3.
    let weight = input_stationary(|machine| machine.weight.port_bytes = 3);
    assert_eq!((is(&weight, (4, 4), 3), is(&weight, (4, 3), 3)), (8 + 4 + 7, 17));
    // Tiles load over the activation port: wl = ceil(4·2 / 4).
    let activation = input_stationary(|machine| machine.activation.port_bytes = 3);
    assert_eq!((is(&activation, (4, 4), 3), is(&activation, (4, 3), 3)), (12 + 9, 17));
    // Released at S(0) = 8; then max(8 + T, E = 8 + N).
    assert_eq!(two(&machine, &outputs(4, 4, 4), "is"), [(4, 18), (8, 22), (12, 22)]);
    assert_eq!(two(&machine, &outputs(4, 4, 5), "is"), [(4, 19), (8, 24), (13, 24)]);
    // One register: a fold costs T + N − 1 + R + C − 1.
    let single = input_stationary(|machine| machine.array.weight_registers = 1);
    assert_eq!((is(&single, (5, 4), 3), is(&single, (5, 4), 4)), (4 + 26, 4 + 28));
}

/// End of a weight-stationary run.
fn ws(machine: &Machine, pixels: u64, channels: u64) -> u64 {
    end(machine, &pointwise(pixels, channels), "ws")
}

#[test]
fn t_05_slow_pes() {
    // L: T = 4·L, and R·L of skew. M = 1: S = 4 + 4·L, end S + 4·L + 3.
    for latency in [1, 2, 3] {
        let machine = with(|machine| machine.array.pe_latency_cycles = latency);
        assert_eq!(ws(&machine, 1, 4), 7 + 8 * u64::from(latency));
        // Output-stationary: L − 1 later, once.
        let machine = output_stationary(|machine| machine.array.pe_latency_cycles = latency);
        assert_eq!(os(&machine, 4, 4), 17 + u64::from(latency));
    }
    // τ = 2: a vector, or step, every two cycles.
    let half = |machine: &mut Machine| machine.array.operands = vec![OperandWidth { bits: 8, rate_milli: 500 }];
    assert_eq!((ws(&with(|_| {}), 6, 4), ws(&with(half), 6, 4)), (20, 25));
    assert_eq!(os(&output_stationary(half), 4, 4), 21);
    assert_eq!(is(&input_stationary(half), (4, 4), 3), 8 + 4 + 7);
}

#[test]
fn t_05_wide_pes() {
    // D = 2 and ports of 8: chunks of 8 weight-stationary, steps of 2 output-stationary.
    let wide = |machine: &mut Machine| {
        machine.array.dot_product_width = 2;
        (machine.activation.port_bytes, machine.weight.port_bytes) = (8, 8);
    };
    assert_eq!((ws(&with(wide), 1, 8), ws(&with(wide), 1, 9)), (15, 19));
    let machine = output_stationary(wide);
    assert_eq!((os(&machine, 4, 8), os(&machine, 4, 9)), (18, 19));
    // A port of 7 loads a row of eight weights in two cycles.
    let narrow = with(|machine| {
        wide(machine);
        machine.weight.port_bytes = 7;
    });
    assert_eq!(ws(&narrow, 1, 8), 12 + 7);
}

#[test]
fn t_02_a_change_of_dataflow_drains_the_array() {
    let machine = flowing(&[Dataflow::WeightStationary, Dataflow::OutputStationary], |_| {});
    let runs = |pixels: u64, first: &str, second: &str| {
        let run = |accumulator, dataflow| format!("{}, dataflow={dataflow}\n", ar_run(0, accumulator));
        times(&machine, &(pointwise(pixels, 4) + &run(0, first) + &run(16, second)))[3..].to_vec()
    };
    // Weight-stationary [4, 14 + M): the next of its kind starts at its release, another at its end, and needs 14 cycles.
    for pixels in [1, 2, 3] {
        let end = 14 + pixels;
        assert_eq!(runs(pixels, "ws", "ws")[1].0, 8);
        assert_eq!(runs(pixels, "ws", "os"), [(4, end), (end, end + 14)]);
    }
    // Output-stationary [4, 18): the other way round; S(0) = 18 + 4.
    assert_eq!(runs(2, "os", "os")[1].0, 5);
    assert_eq!(runs(2, "os", "ws"), [(4, 18), (18, 22 + 1 + 7)]);
}

#[test]
fn t_06_a_transposer_is_filled_and_emptied() {
    let machine = with(|_| {});
    let duration = |machine: &Machine, width: u64, channels: u64, block: u64| {
        let text = format!(
            "ve.shape height=1, width={width}, channels={channels}, block_channels={block}
             ve.pitch operand=out, row_pitch=0, pixel_pitch={channels}
             ve.requant accumulator=0, params=256, out=512, mode=float32, transposed=true\nve.sync"
        );
        let times = times(machine, &text);
        assert_eq!(times[3].0, times[2].1, "T-6: release = end");
        times[2].1 - times[2].0
    };
    // P(4) + 4·ceil(3 / 3) + 3·1 + 2; a fourth pixel: 4·2 and 4·1; a fifth is a group: P(4) + 4 + 1 more.
    assert_eq!([3, 4, 5].map(|width| duration(&machine, width, 4, 4)), [17, 22, 35]);
    // A fifth channel is a block, or a turn, of its own: 2 + 1 + 3 more.
    assert_eq!((duration(&machine, 3, 5, 4), duration(&machine, 3, 5, 8)), (23, 23));
    // A pixel of four channels through a port of 3: P(4) = 11, and two cycles each.
    let narrow = with(|machine| machine.activation.port_bytes = 3);
    assert_eq!((duration(&narrow, 3, 4, 4), duration(&narrow, 3, 3, 4)), (11 + 4 + 6 + 2, 8 + 3 + 3 + 2));
}
