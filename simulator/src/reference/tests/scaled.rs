//! N-17, M-5 to M-7, M-10, T-6: integer scalings and operands of two bytes, with values worked out by hand.

use systole_machine::isa::VectorOperand;

use super::*;
use crate::contract::Trap;
use crate::reference::scaling::{Scaling, scaled};

const HALF: i64 = 1 << 30;
const OUT: u64 = 256;

fn z(mode: RequantMode, multiplier: i64, shift: i64, x: i128) -> i128 {
    scaled(mode, Scaling { multiplier, shift }, x)
}

#[test]
fn one_rounding_takes_ties_upwards() {
    let fixed = |multiplier, shift, x| z(RequantMode::Fixed, multiplier, shift, x);
    // 1000 · 0.75 / 64 = 11.72
    assert_eq!(fixed(3 << 29, 37, 1000), 12);
    assert_eq!([3, -3, 5, -5].map(|x| fixed(HALF, 31, x)), [2, -1, 3, -2]);
    // Beyond 64 bits on the way: 2^40 · 2^30 / 2^62.
    assert_eq!(fixed(HALF, 62, 1 << 40), 256);
    // Shifts 0 and 63 count as 1 and 62; a negative multiplier as 0.
    assert_eq!([fixed(1, 0, 3), fixed(HALF, 63, 1 << 40), fixed(-5, 1, 1000)], [2, 256, 0]);
}

#[test]
fn two_roundings() {
    let double = |multiplier, shift, x| z(RequantMode::FixedDouble, multiplier, shift, x);
    let most = i64::from(i32::MAX);
    // 750, then 750 / 64.
    assert_eq!(double(3 << 29, 37, 1000), 12);
    // The first rounding takes ties upwards, the second away from zero.
    assert_eq!([3, -3].map(|x| double(HALF, 31, x)), [2, -1]);
    assert_eq!([3, -3].map(|x| double(most, 32, x)), [2, -2]);
    assert_eq!(z(RequantMode::Fixed, most, 32, -3), -1);
    // A quarter: to a half, tie upwards, to 1; and that halved, tie away from zero.
    assert_eq!(double(HALF, 32, 1), 1);
    assert_eq!(z(RequantMode::Fixed, HALF, 32, 1), 0);
    // Values saturate to 32 bits before and after the shift to the left.
    assert_eq!([double(HALF, 31, 1 << 40), double(HALF, 0, 1)], [1 << 30, 1 << 30]);
    assert_eq!(double(HALF, 0, -1), -(1 << 30));
}

#[test]
fn powers_of_two() {
    let shift = |shift, x| z(RequantMode::Shift, 0, shift, x);
    assert_eq!([3, -3, 1, -1].map(|x| shift(1, x)), [2, -1, 1, 0]);
    assert_eq!([shift(0, -7), shift(-3, 5), shift(-40, 1), shift(70, 1 << 61)], [-7, 40, 1 << 31, 1]);
}

fn integer_machine(requantisation: Requantisation) -> Machine {
    let mut machine = machine();
    (machine.vector.float32, machine.vector.requantisation) = (false, requantisation);
    machine
}

fn of_mode(mode: RequantMode) -> Machine {
    let fixed = |double_rounding| Requantisation::FixedPoint { multiplier_bits: 32, double_rounding };
    integer_machine(match mode {
        RequantMode::Float32 => Requantisation::Float32,
        RequantMode::Fixed => fixed(false),
        RequantMode::FixedDouble => fixed(true),
        RequantMode::Shift => Requantisation::Shift,
    })
}

fn ve_fixed(operand: VectorOperand, multiplier: i64, shift: i64) -> Instruction {
    plain(Operation::VectorFixed { operand, multiplier: i(multiplier), shift: i(shift) })
}

/// `ve.quant` for signed operands with these widths; no clamp within 16 bits.
fn quant(zeros: [i64; 3], wide: [bool; 3]) -> Instruction {
    let mut quant = ve_quant(zeros, [-32768, 32767], true);
    if let Operation::VectorQuant { wide_a, wide_b, wide_out, .. } = &mut quant.operation {
        (*wide_a, *wide_b, *wide_out) = (Flag(wide[0]), Flag(wide[1]), Flag(wide[2]));
    }
    quant
}

/// `data` at 0, then the operation; what it leaves at 256.
fn compute(machine: &Machine, data: &[u8], setup: &[Instruction], run: Operation, count: usize) -> Vec<u8> {
    let mut program = vec![ld_shape(data.len() as u64, 1, 1), ld_run(0, 0, Space::Activation).signals(Unit::Vector)];
    program.extend(setup);
    program.push(plain(run).waits(Unit::Load));
    let (timing, memories) = simulate(machine, &program, &[(0, data)]);
    assert_eq!(timing.outcome, Outcome::Halted);
    memories.activation[256..256 + count].to_vec()
}

fn words(words: &[i32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn halves(elements: &[i16]) -> Vec<u8> {
    elements.iter().flat_map(|element| element.to_le_bytes()).collect()
}

fn signed(bytes: Vec<u8>) -> Vec<i8> {
    bytes.into_iter().map(|byte| byte as i8).collect()
}

#[test]
fn requantisation_reads_records_of_three_words_or_two() {
    let run =
        |mode| Operation::VectorRequant { accumulator: u(0), params: u(0), out: u(OUT), mode, transposed: Flag(false) };
    let setup = [ve_shape(1, 1, 3, 4), quant([0, 0, 5], [false; 3])];
    // Accumulators are 0, so that biases are scaled: 11.7, −0.75 (−1.5 halved), and a shift and a multiplier out of range.
    let three = words(&[1000, 3 << 29, 37, -3, HALF as i32, 32, 3, -7, 99]);
    let result = |mode, data: &[u8]| signed(compute(&of_mode(mode), data, &setup, run(mode), 3));
    assert_eq!(result(RequantMode::Fixed, &three), [17, 4, 5]);
    // −1.5 to −1, −0.5 to −1.
    assert_eq!(result(RequantMode::FixedDouble, &three), [17, 4, 5]);
    // −1.5 to −1; 3 · 8; 2^61 has no place in a bias: 7 >> 62 is 0.
    assert_eq!(result(RequantMode::Shift, &words(&[-3, 1, 3, -3, 7, 1000])), [4, 29, 5]);
}

#[test]
fn sums_have_bits_below_the_point() {
    let [a, b, out] = [VectorOperand::A, VectorOperand::B, VectorOperand::Out];
    let setup = |wide_out| {
        let quant = quant([10, 20, 1], [false, false, wide_out]);
        [ve_shape(1, 1, 2, 0), quant, ve_fixed(a, HALF, 31), ve_fixed(b, HALF, 32), ve_fixed(out, HALF, 49)]
    };
    let data = [16, 7, 24, 23];
    for mode in [RequantMode::Fixed, RequantMode::FixedDouble] {
        let add = Operation::VectorAdd { a: u(0), b: u(2), out: u(OUT), mode, subtract: Flag(false) };
        // 6 / 2 + 4 / 4 = 4 and −3 / 2 + 3 / 4 = −0.75, each by 2^20, by 2^−19: twice that; −1.5 in one rounding up, in two away from zero.
        let below = if mode == RequantMode::Fixed { 0 } else { -1 };
        assert_eq!(signed(compute(&of_mode(mode), &data, &setup(false), add, 2)), [9, below]);
        // By 2^15 when the output is wide: 8 / 32 and −1.5 / 32.
        assert_eq!(compute(&of_mode(mode), &data, &setup(true), add, 4), halves(&[1, 1]));
    }
    // Shifts alone, nothing below the point: 6 >> 1 = 3, 4 << 1 = 8; −3 >> 1 = −1, 3 << 1 = 6; their sums by 2.
    let shifts = [ve_fixed(a, 0, 1), ve_fixed(b, 0, -1), ve_fixed(out, 0, 1)];
    let setup = [&[ve_shape(1, 1, 2, 0), quant([10, 20, 1], [false; 3])], &shifts[..]].concat();
    let add = Operation::VectorAdd { a: u(0), b: u(2), out: u(OUT), mode: RequantMode::Shift, subtract: Flag(false) };
    assert_eq!(signed(compute(&of_mode(RequantMode::Shift), &data, &setup, add, 2)), [7, 4]);
}

#[test]
fn products_are_exact() {
    let setup = [ve_shape(1, 1, 2, 0), quant([0; 3], [false; 3]), ve_fixed(VectorOperand::Out, HALF, 62)];
    let mode = RequantMode::Fixed;
    // 100 · 2^30 · 2^−32 = 25, beyond 32 bits in between.
    let data = [&[100, 0, 0, 0][..], &words(&[1 << 30, 0, 1 << 30, 0])].concat();
    let mul = Operation::VectorMulChannel { a: u(0), params: u(4), out: u(OUT), mode };
    assert_eq!(signed(compute(&of_mode(mode), &data, &setup, mul, 2)), [25, 0]);
    let setup = [ve_shape(1, 1, 2, 0), quant([1, 0, -3], [false; 3]), ve_fixed(VectorOperand::Out, HALF, 31)];
    // 2 / 2, −3 / 2.
    let rescale = Operation::VectorRescale { a: u(0), out: u(OUT), mode };
    assert_eq!(signed(compute(&of_mode(mode), &[3, 0xfe], &setup, rescale, 2)), [-2, -4]);
}

/// A window of 1 × 2 over 1 × 3 elements, from one element before to two behind.
fn pool(mode: RequantMode, data: &[u8], wide: [bool; 3], run: Operation) -> Vec<u8> {
    let window = plain(Operation::VectorWindow {
        kernel_h: u(1),
        kernel_w: u(2),
        stride_h: u(1),
        stride_w: u(2),
        pad_top: u(0),
        pad_left: u(1),
        pad_bottom: u(0),
        pad_right: u(2),
        in_height: u(1),
        in_width: u(3),
    });
    let bytes = |wide| if wide { 2 } else { 1 };
    let pitch = |operand, wide| plain(Operation::VectorPitch { operand, row_pitch: u(0), pixel_pitch: u(bytes(wide)) });
    let setup = [
        ve_shape(1, 3, 1, 0),
        window,
        pitch(VectorOperand::A, wide[0]),
        pitch(VectorOperand::Out, wide[2]),
        quant([4, 0, 99], wide),
    ];
    compute(&of_mode(mode), data, &setup, run, 3 * bytes(wide[2]) as usize)
}

#[test]
fn averages_round_half_away_from_zero() {
    let run = |include_pad| Operation::VectorAveragePool {
        a: u(0),
        out: u(OUT),
        include_pad: Flag(include_pad),
        mode: RequantMode::Fixed,
    };
    let average = |include_pad| signed(pool(RequantMode::Fixed, &[7, 0xfe, 0xff], [false; 3], run(include_pad)));
    // One element; −2 and −1; none, which is the zero point.
    assert_eq!(average(false), [7, -2, 4]);
    // Padding is the zero point: (4 + 7) / 2 = 5.5.
    assert_eq!(average(true), [6, -2, 4]);
}

#[test]
fn wide_elements_are_compared_by_value() {
    let max = Operation::VectorMaxPool { a: u(0), out: u(OUT) };
    let data = halves(&[-300, 255, 256]);
    assert_eq!(pool(RequantMode::Fixed, &data, [true, false, true], max), halves(&[-300, 256, -32768]));
}

#[test]
fn wide_elements_are_read_and_written() {
    let setup = |wide| [ve_shape(1, 1, 3, 0), quant([0, 0, 0], wide), ve_fixed(VectorOperand::Out, 0, 1)];
    let rescale = Operation::VectorRescale { a: u(0), out: u(OUT), mode: RequantMode::Shift };
    let shift = of_mode(RequantMode::Shift);
    let data = halves(&[-301, 32767, 2]);
    assert_eq!(compute(&shift, &data, &setup([true, false, true]), rescale, 6), halves(&[-150, 16384, 1]));
    // One byte of each.
    assert_eq!(compute(&shift, &data, &setup([true, false, false]), rescale, 3), [(-150i16) as u8, 0, 1]);
    assert_eq!(compute(&shift, &[0x80, 7, 2], &setup([false, false, true]), rescale, 6), halves(&[-64, 4, 1]));
}

/// Four elements of two bytes a pixel on an array that lists 16 bit at half rate.
#[test]
fn the_array_multiplies_wide_activations() {
    let mut machine = every_dataflow();
    machine.array.operands.push(OperandWidth { bits: 16, rate_milli: 500 });
    let quant = |zero_activation| {
        plain(Operation::ArrayQuant {
            zero_activation: i(zero_activation),
            zero_weight: i(0),
            signed_activation: Flag(false),
            signed_weight: Flag(true),
            wide_activation: Flag(true),
            array: u(0),
        })
    };
    let activations = halves(&[300, -2, 32767, -32768]);
    let weights: Vec<u8> = [3, 5, -1, 2].iter().flat_map(|weight: &i8| [*weight as u8, 0, 0, 0]).collect();
    let run = |zero, flow| {
        let program = [
            ld_shape(8, 1, 1),
            ld_run(0, 0, Space::Activation),
            ld_shape(16, 1, 1),
            ld_run(64, 0, Space::Weight).signals(Unit::Array),
            ar_input(1, 1, 0, 0),
            ar_window([1, 1], [1, 1], [1, 1], [0, 0], false),
            ar_output(1, 1, 4, 0),
            quant(zero),
            in_dataflow(flow, ar_run(0, 0, 0, 1, false)).waits(Unit::Load),
        ];
        let (timing, memories) = simulate(&machine, &program, &[(0, &activations), (64, &weights)]);
        let span = timing.spans[8].unwrap();
        (memories.accumulator.get(0), span.end - span.start)
    };
    let sum = 900 - 10 - 32767 - 65536;
    // Tile 4, then R + C − 1 = 7; one vector alone is not slowed.
    assert_eq!(run(0, DataflowChoice::WeightStationary), (sum, 11));
    assert_eq!(run(-32768, DataflowChoice::WeightStationary).0, sum + 9 * 32768);
    // K = 4 steps of 2 cycles: A = 4 · 2 accesses for four steps, as is the rate; 3 · 2 + 4 + 4 + 3 cycles.
    assert_eq!(run(0, DataflowChoice::OutputStationary), (sum, 17));
}

#[test]
fn what_the_machine_lacks_and_shifts_without_meaning() {
    let trap = |machine: &Machine, program: &[Instruction]| match timing_of(machine, program).outcome {
        Outcome::Trap { trap, instruction } => Some((trap, instruction)),
        _ => None,
    };
    let rescale = |mode| plain(Operation::VectorRescale { a: u(0), out: u(OUT), mode });
    let program = |mode, shift| [ve_shape(1, 1, 1, 0), ve_fixed(VectorOperand::Out, 1, shift), rescale(mode)];
    for own in RequantMode::ALL.iter().copied().filter(|mode| *mode != RequantMode::Float32) {
        for mode in RequantMode::ALL.iter().copied() {
            let expected = (mode != own).then_some((Trap::Unsupported, 2));
            assert_eq!(trap(&of_mode(own), &program(mode, 1)), expected, "{mode:?} on {own:?}");
        }
        let (least, most) = match own {
            RequantMode::Fixed => (1, 62),
            RequantMode::FixedDouble => (0, 62),
            _ => (-31, 62),
        };
        for (shift, bad) in [(least, false), (most, false), (least - 1, true), (most + 1, true)] {
            assert_eq!(
                trap(&of_mode(own), &program(own, shift)),
                bad.then_some((Trap::BadShape, 2)),
                "{own:?} {shift}"
            );
        }
    }
    // The vector unit takes wide operands where the array does not.
    let wide = [ve_shape(1, 1, 1, 0), quant([0; 3], [true; 3]), rescale(RequantMode::Float32)];
    assert_eq!(trap(&machine(), &wide), None);
}

#[test]
fn wide_operands_take_the_port_and_records_their_bytes() {
    let machine = of_mode(RequantMode::Fixed);
    let last = |program: &[Instruction]| {
        let (_, start, end) = *spans(&machine, program).last().unwrap();
        end - start
    };
    let pitch = |operand, bytes| plain(Operation::VectorPitch { operand, row_pitch: u(0), pixel_pitch: u(bytes) });
    let pixels = |channels: u64, wide: [bool; 3]| {
        let bytes = |wide| if wide { 2 * channels } else { channels };
        let [a, out] = [(VectorOperand::A, wide[0]), (VectorOperand::Out, wide[2])].map(|(o, w)| pitch(o, bytes(w)));
        vec![ve_shape(1, 2, channels, 4), quant([0; 3], wide), a, out, ve_fixed(VectorOperand::Out, 1, 1)]
    };
    let mode = RequantMode::Fixed;
    let rescale = plain(Operation::VectorRescale { a: u(0), out: u(OUT), mode });
    let requant =
        plain(Operation::VectorRequant { accumulator: u(0), params: u(0), out: u(OUT), mode, transposed: Flag(false) });
    let with = |setup: Vec<Instruction>, run| last(&[setup, vec![run]].concat());
    // Ten elements, 4 lanes, a port of 4 bytes: 3 + 2; two elements a cycle when either operand is wide.
    assert_eq!(with(pixels(5, [false; 3]), rescale), 5);
    assert_eq!(with(pixels(5, [true, false, false]), rescale), 7);
    assert_eq!(with(pixels(5, [false, false, true]), rescale), 7);
    // Blocks of 4 and 1 channels: 12 + ceil(8 / 3), 3 + ceil(2 / 3), + 2; a wide output leaves two a cycle.
    assert_eq!(with(pixels(5, [true, true, false]), requant), 12 + 3 + 3 + 1 + 2);
    assert_eq!(with(pixels(5, [false, false, true]), requant), 12 + 4 + 3 + 1 + 2);
}

#[test]
fn maxima_scale_each_operand_and_differences_subtract_what_is_scaled() {
    let [a, b, out] = [VectorOperand::A, VectorOperand::B, VectorOperand::Out];
    let setup = [ve_shape(1, 1, 2, 0), quant([10, 20, 1], [false; 3]), ve_fixed(a, HALF, 31), ve_fixed(b, HALF, 32)];
    // 6 and 4, −3 and 3: by a half and a quarter 3 and 1, −1.5 and 0.75.
    let data = [16, 7, 24, 23];
    for mode in [RequantMode::Fixed, RequantMode::FixedDouble] {
        let run = |least: bool| {
            let (a, b, out, per_channel) = (u(0), u(2), u(OUT), Flag(false));
            let max = Operation::VectorMax { a, b, out, mode, per_channel };
            if least { Operation::VectorMin { a, b, out, mode, per_channel } } else { max }
        };
        assert_eq!(signed(compute(&of_mode(mode), &data, &setup, run(false), 2)), [4, 2]);
        // One rounding takes −1.5 up, two roundings on the way to an integer too.
        assert_eq!(signed(compute(&of_mode(mode), &data, &setup, run(true), 2)), [2, 0]);
        let setup = [&setup[..], &[ve_fixed(out, HALF, 50)]].concat();
        let sub = Operation::VectorAdd { a: u(0), b: u(2), out: u(OUT), mode, subtract: Flag(true) };
        // 3 − 1, −1.5 − 0.75 = −2.25.
        assert_eq!(signed(compute(&of_mode(mode), &data, &setup, sub, 2)), [3, -1]);
    }
}
