//! `ve.resize` on both engines (N-30, M-7, T-6), with results and cycles worked out by hand.

#[path = "tightness/harness.rs"]
#[expect(dead_code, reason = "only the machine is used here")]
mod harness;

use systole_machine::isa::assembler::assemble;
use systole_simulator::contract::{Job, Outcome, Timing, Trap};
use systole_simulator::{fast, reference};

const FUEL_CYCLES: u64 = 100_000;
/// Where results go.
const OUT: usize = 256;

/// An axis of an image.
#[derive(Clone, Copy)]
struct Axis {
    input: u64,
    output: u64,
    first_out: u64,
    first_in: u64,
    factor: f32,
    divisor: f32,
    centred: bool,
}

/// An axis of one line.
const FLAT: Axis = Axis { input: 1, output: 1, first_out: 0, first_in: 0, factor: 1.0, divisor: 1.0, centred: false };

/// A whole axis of which centres correspond.
fn centred(input: u64, output: u64) -> Axis {
    Axis { input, output, divisor: output as f32 / input as f32, centred: true, ..FLAT }
}

/// The program for an image of one channel in the first bytes of DRAM; `quant` has scales and zero points.
fn program([rows, columns]: [Axis; 2], quant: &str) -> String {
    let axis = |name: &str, a: Axis| {
        let Axis { first_out, first_in, factor, divisor, centred, .. } = a;
        format!(
            "ve.axis axis={name}, first_out={first_out}, first_in={first_in}, factor={factor}, divisor={divisor}, centred={centred}\n"
        )
    };
    let bytes = rows.input * columns.input;
    format!(
        "ld.shape row_bytes={bytes}, rows=1, planes=1\nld.run dram=0, buffer=0, space=act signal(vector)\n\
         ve.shape height={}, width={}, channels=1, block_channels=0\n\
         ve.pitch operand=a, row_pitch={}, pixel_pitch=1\nve.pitch operand=out, row_pitch={}, pixel_pitch=1\n{quant}\
         ve.window kernel_h=0, kernel_w=0, stride_h=0, stride_w=0, pad_top=0, pad_left=0, pad_bottom=0, pad_right=0, in_height={}, in_width={}\n\
         {}{}ve.resize a=0, out={OUT} wait(load)\n",
        rows.output,
        columns.output,
        columns.input,
        columns.output,
        rows.input,
        columns.input,
        axis("rows", rows),
        axis("columns", columns)
    )
}

const PLAIN: &str = "ve.scale a=1, b=1, out=1\n\
     ve.quant zero_a=0, zero_b=0, zero_out=0, low=0, high=255, signed_a=false, signed_b=false, signed_out=false\n";

/// What both engines leave, and how long they take.
fn resized(image: &[u8], axes: [Axis; 2], quant: &str) -> (Timing, Vec<u8>) {
    let text = program(axes, quant);
    let program = assemble(&text).unwrap_or_else(|errors| panic!("{text}\n{errors:?}"));
    let machine = harness::machine();
    let job = Job { machine: &machine, instructions: &program.instructions, dram_bytes: 4096 };
    let slow = reference::run(&job, &[(0, image)], FUEL_CYCLES).expect("fuel enough");
    let quick = fast::run(&job, &[(0, image)]).expect("the image fits");
    assert_eq!(slow.0, quick.0, "{text}");
    assert_eq!(slow.1.activation, quick.1.activation, "{text}");
    let count = (axes[0].output * axes[1].output) as usize;
    (slow.0, slow.1.activation[OUT..OUT + count].to_vec())
}

fn values(image: &[u8], axes: [Axis; 2]) -> Vec<u8> {
    let (timing, values) = resized(image, axes, PLAIN);
    assert_eq!(timing.outcome, Outcome::Halted);
    values
}

#[test]
fn twice_the_size() {
    // Columns at 0, ¼, ¾, 1; ties go to even numbers.
    let expected = [
        [10, 12, 18, 20], // 10, 12.5, 17.5, 20
        [15, 18, 22, 25], // 15, 17.5, 22.5, 25
        [25, 28, 32, 35],
        [30, 32, 38, 40],
    ];
    assert_eq!(values(&[10, 20, 30, 40], [centred(2, 4); 2]), expected.concat());
}

#[test]
fn scales_and_zero_points() {
    let quant = "ve.scale a=0.5, b=1, out=0.25\n\
         ve.quant zero_a=10, zero_b=0, zero_out=3, low=4, high=40, signed_a=false, signed_b=false, signed_out=false\n";
    // Of 0, 2.5, 7.5, 10: twice that and 3, clamped.
    assert_eq!(resized(&[10, 20], [FLAT, centred(2, 4)], quant).1, [4, 8, 18, 23]);
}

#[test]
fn corners_aligned_and_first_corners() {
    let rows = |output: u64, factor: f32, divisor: f32| Axis { input: 4, output, factor, divisor, ..FLAT };
    // 0, 1½, 3.
    assert_eq!(values(&[0, 10, 20, 30], [rows(3, 3.0, 2.0), FLAT]), [0, 15, 30]);
    // 0, ⅔, 4/3.
    assert_eq!(values(&[0, 10, 20, 30], [rows(3, 1.0, 1.5), FLAT]), [0, 7, 13]);
    // One line of places at 0.
    assert_eq!(values(&[7, 10, 20, 30], [rows(1, 0.0, 1.0), FLAT]), [7]);
}

#[test]
fn a_tile_is_a_part_of_the_whole() {
    let whole = values(&[0, 10, 20, 30], [centred(4, 8), FLAT]);
    // 0, 2.5, 7.5, 12.5, 17.5, 22.5, 27.5, 30.
    assert_eq!(whole, [0, 2, 8, 12, 18, 22, 28, 30]);
    let tile = Axis { input: 2, output: 3, first_out: 5, first_in: 2, ..centred(4, 8) };
    assert_eq!(values(&[20, 30], [tile, FLAT]), whole[5..]);
    // Row 4 lies at 1.75, which this tile does not hold: its first line counts.
    assert_eq!(values(&[20, 30], [Axis { first_out: 4, ..tile }, FLAT]), [20, 22, 28]);
    // 0 / 0.
    assert_eq!(values(&[20, 30], [Axis { factor: 0.0, divisor: 0.0, centred: false, ..tile }, FLAT]), [20, 20, 20]);
}

#[test]
fn a_pixel_takes_four_runs_of_channels() {
    // Sixteen pixels of one channel, 16·4·1 cycles and a latency of 2.
    let (timing, _) = resized(&[10, 20, 30, 40], [centred(2, 4); 2], PLAIN);
    let span = timing.spans.last().copied().flatten().expect("it ran");
    assert_eq!(span.end - span.start, 16 * 4 + 2);
}

#[test]
fn no_lines_are_no_tile() {
    let (timing, _) = resized(&[1, 2], [Axis { input: 0, ..FLAT }, FLAT], PLAIN);
    assert!(matches!(timing.outcome, Outcome::Trap { trap: Trap::BadShape, .. }), "{:?}", timing.outcome);
}
