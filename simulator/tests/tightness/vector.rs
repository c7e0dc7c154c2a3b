//! T-6: the vector unit. Four lanes, three requantised a cycle, latency 2.

use systole_machine::spec::Machine;

use super::harness::{machine, times, with};

/// Start of the run to its end, and to the start of an instruction behind it.
fn duration(machine: &Machine, (width, channels): (u64, u64), run: &str) -> u64 {
    let pitches: String = ["a", "b", "out"]
        .map(|operand| format!("ve.pitch operand={operand}, row_pitch=0, pixel_pitch={channels}\n"))
        .concat();
    let text = format!(
        "ve.shape height=1, width={width}, channels={channels}, block_channels=4\n{pitches}
         ve.window kernel_h=1, kernel_w=2, stride_h=1, stride_w=1, pad_top=0, pad_left=0, pad_bottom=0, pad_right=0, in_height=1, in_width={width}
         {run}\nve.sync"
    );
    let times = times(machine, &text);
    let (start, end) = times[5];
    assert_eq!(times[6], (end, end + 1), "T-6: release = end");
    end - start
}

#[test]
fn t_06_elements_of_two_tensors() {
    for run in ["ve.add a=0, b=256, out=512", "ve.mul a=0, b=256, out=512", "ve.rescale a=0, out=512"] {
        // ceil(16 / 4) + 2, ceil(17 / 4) + 2; pixels and channels count alike.
        assert_eq!(duration(&machine(), (1, 16), run), 6);
        assert_eq!(duration(&machine(), (1, 17), run), 7);
        assert_eq!(duration(&machine(), (17, 1), run), 7);
        assert_eq!(duration(&machine(), (4, 5), run), 7);
        assert_eq!(duration(&machine(), (7, 3), run), 8);
    }
}

#[test]
fn t_06_parameters_are_fetched_first() {
    for name in ["addc", "mulc", "affine"] {
        let run = format!("ve.{name} a=0, params=256, out=512");
        // ceil(16 / 4) + ceil(128 / 4) + 2; one channel more: 5 + 34 + 2.
        assert_eq!(duration(&machine(), (1, 16), &run), 38);
        assert_eq!(duration(&machine(), (1, 17), &run), 41);
        // A pixel more fetches no parameters: ceil(32 / 4) + 32 + 2.
        assert_eq!(duration(&machine(), (2, 16), &run), 42);
    }
}

#[test]
fn t_06_tables_are_fetched_whole() {
    // ceil(256 / 4) + ceil(16 / 4) + 2, whatever the channels.
    let run = "ve.table a=0, params=256, out=512";
    assert_eq!(duration(&machine(), (16, 1), run), 70);
    assert_eq!(duration(&machine(), (1, 16), run), 70);
    assert_eq!(duration(&machine(), (1, 17), run), 71);
    // Two of them.
    let run = "ve.table a=0, params=256, out=768, per_channel=true";
    assert_eq!(duration(&machine(), (8, 2), run), 134);
}

#[test]
fn t_06_pairs_are_as_sums() {
    for name in ["max", "min", "div"] {
        let run = format!("ve.{name} a=0, b=256, out=512");
        assert_eq!(duration(&machine(), (1, 17), &run), 7);
        let run = format!("ve.{name} a=0, b=256, out=512, per_channel=true");
        assert_eq!(duration(&machine(), (1, 17), &run), 41);
    }
}

#[test]
fn t_06_requantisation_goes_block_by_block() {
    let run = "ve.requant accumulator=0, params=256, out=512, mode=float32";
    // A block of n channels: 2·n + ceil(pixels·n / 3). 4 channels, 3 pixels: 8 + 4 + 2.
    assert_eq!(duration(&machine(), (3, 4), run), 14);
    // A fifth channel is a block of its own: 2 + 1 more.
    assert_eq!(duration(&machine(), (3, 5), run), 17);
    // 4 pixels: 8 + ceil(16 / 3) + 2 + ceil(4 / 3) + 2: each block is rounded up.
    assert_eq!(duration(&machine(), (4, 5), run), 20);
}

#[test]
fn t_06_the_slowest_port_limits_requantisation() {
    let run = "ve.requant accumulator=0, params=256, out=512, mode=float32";
    let rate = |requantise, accumulator, activation| {
        let machine = with(|machine| {
            machine.vector.requantise_per_cycle = requantise;
            machine.accumulator.port_bytes = accumulator;
            machine.activation.port_bytes = activation;
        });
        duration(&machine, (6, 4), run)
    };
    // 24 elements: 8 + 24 / 4 + 2.
    assert_eq!(rate(4, 16, 4), 16);
    // Each limit at 3 makes it 8 cycles of elements; parameters through a port of 3 bytes take ceil(32 / 3) = 11.
    assert_eq!((rate(3, 16, 4), rate(4, 12, 4), rate(4, 16, 3)), (18, 18, 21));
    // A wider limit than the others changes nothing.
    assert_eq!((rate(5, 16, 4), rate(4, 20, 4)), (16, 16));
}

#[test]
fn t_06_windows_count_all_their_elements() {
    for run in ["ve.maxpool a=0, out=512", "ve.avgpool a=0, out=512, include_pad=false"] {
        // A window of 2: ceil(1·8·2 / 4) + 2, ceil(1·9·2 / 4) + 2.
        assert_eq!(duration(&machine(), (1, 8), run), 6);
        assert_eq!(duration(&machine(), (1, 9), run), 7);
        assert_eq!(duration(&machine(), (2, 5), run), 7);
    }
}

#[test]
fn t_06_softmax_passes_three_times_over_each_pixel() {
    let run = "ve.softmax a=0, out=512";
    // 3 pixels · 3 · ceil(4 / 4) + 2; a fifth channel makes each pass two cycles.
    assert_eq!(duration(&machine(), (3, 4), run), 11);
    assert_eq!(duration(&machine(), (3, 5), run), 20);
    assert_eq!(duration(&machine(), (4, 4), run), 14);
}

#[test]
fn t_06_lanes_port_and_latency() {
    let run = "ve.add a=0, b=256, out=512";
    let lanes = |lanes, port, latency| {
        let machine = with(|machine| {
            (machine.vector.lanes, machine.vector.latency_cycles) = (lanes, latency);
            machine.activation.port_bytes = port;
        });
        duration(&machine, (1, 16), run)
    };
    assert_eq!(lanes(4, 4, 2), 4 + 2);
    assert_eq!(lanes(4, 4, 3), 4 + 3);
    assert_eq!(lanes(3, 4, 2), 6 + 2);
    assert_eq!(lanes(4, 3, 2), 6 + 2);
    assert_eq!(lanes(5, 4, 2), 4 + 2);
}

#[test]
fn t_06_sums_are_written_in_four_bytes() {
    let text = "ve.shape height=1, width=1, channels=4, block_channels=4\nve.format out=sum
                ve.requant accumulator=0, params=256, out=512, mode=float32\nve.sync";
    let cycles = |port| {
        let times = times(&with(|machine| machine.activation.port_bytes = port), text);
        times[2].1 - times[2].0
    };
    // ceil(32 / port) + ceil(4 / min(3, port / 4)) + 2.
    assert_eq!([4, 8, 12, 16].map(cycles), [8 + 4 + 2, 4 + 2 + 2, 3 + 2 + 2, 2 + 2 + 2]);
}
