//! Integer scalings and operands of two bytes: N-17 as it is written, in numbers of any size; values by hand; wide products against plain loops.

use super::*;
use crate::contract::{Outcome, Trap};
use crate::fast::scaled::{Factor, Mode, Scale};

/// N-17, literally.
fn law(mode: Mode, multiplier: i128, shift: i128, x: i128) -> i128 {
    let m = multiplier.max(0);
    let down = |value: i128, s: i128| value.div_euclid(1 << s);
    match mode {
        Mode::Fixed => {
            let s = shift.clamp(1, 62);
            down(x * m + (1 << (s - 1)), s)
        }
        Mode::FixedDouble => {
            let s = shift.clamp(0, 62);
            let (l, r) = ((31 - s).max(0), (s - 31).max(0));
            let sat = |value: i128| value.clamp(-(1 << 31), (1 << 31) - 1);
            let product = sat(sat(x) * (1 << l)) * m;
            let h = (product + if product >= 0 { 1 << 30 } else { 1 - (1 << 30) }) / (1 << 31);
            let rest = h - down(h, r) * (1 << r);
            down(h, r) + i128::from(rest > ((1 << r) - 1) / 2 + i128::from(h < 0))
        }
        Mode::Shift if shift >= 1 => {
            let s = shift.min(62);
            down(x + (1 << (s - 1)), s)
        }
        _ => x * (1 << (-shift).min(31)),
    }
}

#[test]
fn n17_is_the_law() {
    let mut random = Random(17);
    let mut large = 0;
    for round in 0..200_000 {
        let mode = [Mode::Fixed, Mode::FixedDouble, Mode::Shift][round % 3];
        let multiplier = match random.range(0, 3) {
            0 => 1 << random.range(0, 30),
            _ => i64::from(random.next() as i32 >> random.range(0, 31)),
        };
        let shift = random.range(0, 110) as i64 - 40;
        let x = (random.next() as i64) >> random.range(10, 63);
        large += u64::from(i32::try_from(x).is_err());
        let got = Scale::new(mode, Factor { multiplier, shift }).apply(x.into());
        let expected = law(mode, multiplier.into(), shift.into(), x.into());
        assert_eq!(got, expected, "{mode:?} M {multiplier} s {shift} x {x}");
    }
    assert!(large > 20_000);
}

#[test]
fn n17_by_hand() {
    let z = |mode, multiplier, shift, x| Scale::new(mode, Factor { multiplier, shift }).apply(x);
    let half = 1 << 30;
    // 11.72; 1.5 and −1.5 by each rounding.
    assert_eq!([Mode::Fixed, Mode::FixedDouble].map(|mode| z(mode, 1_610_612_736, 37, 1000)), [12, 12]);
    assert_eq!([3, -3].map(|x| z(Mode::Fixed, half, 31, x)), [2, -1]);
    assert_eq!([3, -3].map(|x| z(Mode::FixedDouble, half, 31, x)), [2, -1]);
    assert_eq!([3, -3].map(|x| z(Mode::FixedDouble, (1 << 31) - 1, 32, x)), [2, -2]);
    assert_eq!([3, -3].map(|x| z(Mode::Shift, 0, 1, x)), [2, -1]);
    // A quarter rounds twice to 1.
    assert_eq!([Mode::Fixed, Mode::FixedDouble].map(|mode| z(mode, half, 32, 1)), [0, 1]);
    // −2^31 · 2^31 and beyond.
    assert_eq!(z(Mode::Shift, 0, -31, i128::from(i32::MIN)), -(1 << 62));
    assert_eq!(z(Mode::FixedDouble, half, 31, -(1 << 50)), -(1 << 30));
}

fn with(requantisation: Requantisation) -> Machine {
    let mut machine = machine();
    (machine.vector.float32, machine.vector.requantisation) = (false, requantisation);
    machine
}

fn quant(zeros: [i64; 3], wide: [bool; 3]) -> Instruction {
    Instruction::new(Operation::VectorQuant {
        zero_a: i(zeros[0]),
        zero_b: i(zeros[1]),
        zero_out: i(zeros[2]),
        low: i(-32768),
        high: i(32767),
        signed_a: Flag(true),
        signed_b: Flag(true),
        signed_out: Flag(true),
        wide_a: Flag(wide[0]),
        wide_b: Flag(wide[1]),
        wide_out: Flag(wide[2]),
    })
}

fn fixed(operand: VectorOperand, multiplier: i64, shift: i64) -> Instruction {
    Instruction::new(Operation::VectorFixed { operand, multiplier: i(multiplier), shift: i(shift) })
}

/// The image at 0, the operation, and what it leaves at 1024.
fn results(machine: &Machine, image: &[u8], setup: &[Instruction], operation: Operation, count: usize) -> Vec<u8> {
    let mut program = vec![ld_shape(image.len() as u64, 1, 1), ld_run(0, 0, Space::Activation).signal(Unit::Vector)];
    program.extend(setup);
    program.push(Instruction::new(operation).wait(Unit::Load));
    let (timing, memories) = run(machine, &program, &[(0, image)]);
    assert_eq!(timing.outcome, Outcome::Halted);
    memories.activation[1024..][..count].to_vec()
}

fn pairs(values: &[i16]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

#[test]
fn n5_integer_averages() {
    let shift = with(Requantisation::Shift);
    let window = time::window((1, 2), (1, 2), (0, 1, 0, 2), (1, 3));
    let pitch = |operand, bytes| ve_pitch(operand, 0, bytes);
    let setup = |bytes, wide| {
        let pitches = [VectorOperand::A, VectorOperand::Out].map(|operand| pitch(operand, bytes));
        [ve_shape(1, 3, 1, 0), window, pitches[0], pitches[1], quant([4, 0, 50], wide)]
    };
    let average = |include_pad| Operation::VectorAveragePool {
        a: u(0),
        out: u(1024),
        include_pad: Flag(include_pad),
        mode: RequantMode::Shift,
    };
    // 7; (−2 − 1) / 2 away from zero; the zero point where there is nothing.
    assert_eq!(results(&shift, &[7, 0xfe, 0xff], &setup(1, [false; 3]), average(false), 3), [7, 0xfe, 4]);
    // (4 + 7) / 2 = 5.5.
    assert_eq!(results(&shift, &[7, 0xfe, 0xff], &setup(1, [false; 3]), average(true), 3), [6, 0xfe, 4]);
    let wide = pairs(&[-3000, 255, 256]);
    assert_eq!(results(&shift, &wide, &setup(2, [true; 3]), average(true), 6), pairs(&[-1498, 256, 4]));
    let max = Operation::VectorMaxPool { a: u(0), out: u(1024) };
    assert_eq!(results(&shift, &wide, &setup(2, [true; 3]), max, 6), pairs(&[-3000, 256, -32768]));
}

#[test]
fn n6_sums_have_fewer_bits_below_the_point_when_wide() {
    let single = with(Requantisation::FixedPoint { multiplier_bits: 32, double_rounding: false });
    let half = 1 << 30;
    let setup = |wide| {
        let scales = [(VectorOperand::A, 31), (VectorOperand::B, 32), (VectorOperand::Out, 47)];
        let [a, b, out] = scales.map(|(operand, shift)| fixed(operand, half, shift));
        [ve_shape(1, 1, 1, 0), quant([0; 3], wide), a, b, out]
    };
    let add = Operation::VectorAdd { a: u(0), b: u(2), out: u(1024), mode: RequantMode::Fixed, subtract: Flag(false) };
    // 6 / 2 + 4 / 4 = 4, times 2^(20 + 30 − 47) or 2^(15 + 30 − 47).
    assert_eq!(results(&single, &[6, 0, 4, 0], &setup([false; 3]), add, 1), [32]);
    for wide in [[true, false, false], [false, true, false], [true, true, false]] {
        assert_eq!(results(&single, &[6, 0, 4, 0], &setup(wide), add, 1), [1], "{wide:?}");
    }
    assert_eq!(results(&single, &[6, 0, 4, 0], &setup([false, false, true]), add, 2), [1, 0]);
}

#[test]
fn n1_records_of_three_words() {
    let words: Vec<u8> =
        [1000, 1_610_612_736, 37, -3, i32::MAX, 32].iter().flat_map(|w: &i32| w.to_le_bytes()).collect();
    let requant = |mode| Operation::VectorRequant {
        accumulator: u(0),
        params: u(0),
        out: u(1024),
        mode,
        transposed: Flag(false),
    };
    let setup = [ve_shape(1, 1, 2, 4), quant([0; 3], [false, false, true])];
    for (double_rounding, mode, second) in [(false, RequantMode::Fixed, -1), (true, RequantMode::FixedDouble, -2)] {
        let machine = with(Requantisation::FixedPoint { multiplier_bits: 32, double_rounding });
        assert_eq!(results(&machine, &words, &setup, requant(mode), 4), pairs(&[12, second]));
    }
}

#[test]
fn m10_modes_shifts_and_widths() {
    let trap = |machine: &Machine, program: &[Instruction]| match timing(machine, program).outcome {
        Outcome::Trap { trap, instruction } => Some((trap, instruction)),
        _ => None,
    };
    let rescale = |mode| Instruction::new(Operation::VectorRescale { a: u(0), out: u(1024), mode });
    let program = |shift| [ve_shape(1, 1, 1, 0), fixed(VectorOperand::Out, 0, shift), rescale(RequantMode::Shift)];
    let shift = with(Requantisation::Shift);
    let found = [-32, -31, 0, 62, 63].map(|at| trap(&shift, &program(at)));
    assert_eq!(found, [Some((Trap::BadShape, 2)), None, None, None, Some((Trap::BadShape, 2))]);
    assert_eq!(trap(&machine(), &program(1)), Some((Trap::Unsupported, 2)));
    assert_eq!(trap(&shift, &[rescale(RequantMode::Fixed)]), Some((Trap::Unsupported, 0)));
    // The array must list wide operands; the vector unit has them always.
    let [input, window, output] = pointwise(1);
    let run = [input, window, output, wide_quant(0), ar_run(0, 0, 0, 1, false)];
    assert_eq!(trap(&machine(), &run), Some((Trap::Unsupported, 4)));
    let wide = [ve_shape(1, 1, 1, 0), quant([0; 3], [true; 3]), rescale(RequantMode::Float32)];
    assert_eq!(trap(&machine(), &wide), None);
}

fn wide_quant(zero_activation: i64) -> Instruction {
    Instruction::new(Operation::ArrayQuant {
        zero_activation: i(zero_activation),
        zero_weight: i(3),
        signed_activation: Flag(false),
        signed_weight: Flag(true),
        wide_activation: Flag(true),
        array: u(0),
    })
}

#[test]
fn m5_wide_products() {
    let mut random = Random(5);
    for round in 0..60 {
        let channels = random.range(1, 9);
        let packed = random.flag();
        let pixel = 2 * channels + if packed { 0 } else { random.range(0, 3) };
        let zero = [0, 5, -32768, 32767][random.range(0, 3) as usize];
        let (activations, weights) = (random.bytes(400), random.bytes(1024));
        let chunks = if packed { (2 * channels).div_ceil(4) } else { 2 * channels.div_ceil(4) };
        let program = [
            ld_shape(400, 1, 1),
            ld_run(0, 0, Space::Activation),
            ld_shape(1024, 1, 1),
            ld_run(1024, 0, Space::Weight).signal(Unit::Array),
            ar_input(2, 4, 5 + 4 * pixel, pixel).wait(Unit::Load),
            ar_window((1, 2), (1, 1), (1, 1), (0, 1), packed),
            ar_output(2, 4, channels, 0),
            wide_quant(zero),
            ar_run(3, 1, 0, 1, false),
        ];
        let sums = |overflow, bits| {
            let mut machine = machine();
            machine.array.operands = vec![OperandWidth { bits: 16, rate_milli: 1000 }];
            (machine.array.overflow, machine.array.accumulator_bits) = (overflow, bits);
            machine.accumulator.capacity_bytes = 2048;
            let (timing, memories) = run(&machine, &program, &[(0, &activations), (1024, &weights)]);
            assert_eq!(timing.outcome, Outcome::Halted);
            (0..32).map(|at| memories.accumulator.get(at)).collect::<Vec<_>>()
        };
        let element = |y: u64, x: u64, k: u64| {
            let at = (3 + y * (5 + 4 * pixel) + x * pixel + 2 * k) as usize;
            i64::from(i16::from_le_bytes([activations[at], activations[at + 1]])) - zero
        };
        let expected = |y: u64, x: u64, n: u64| -> i64 {
            let taps = (0..2).filter(|kx| (1..=4).contains(&(x + kx)));
            let product = |kx: u64, k: u64| {
                let row = if packed { kx * channels + k } else { kx * (chunks / 2) * 4 + k };
                let weight = i64::from(weights[(1 + row * 4 + n) as usize] as i8) - 3;
                element(y, x + kx - 1, k) * weight
            };
            taps.flat_map(|kx| (0..channels).map(move |k| product(kx, k))).sum()
        };
        let all: Vec<i64> = (0..32).map(|at| expected(at / 16, at / 4 % 4, at % 4)).collect();
        // None of these sums leaves 32 bits: matrix product and plain additions agree.
        assert_eq!(sums(Overflow::Wrap, 32), all, "round {round}");
        assert_eq!(sums(Overflow::Saturate, 48), all, "round {round}");
    }
}

#[test]
fn t5_t6_wide_operands() {
    let mut machine = machine();
    machine.array.operands.push(OperandWidth { bits: 16, rate_milli: 400 });
    machine.activation.port_bytes = 4;
    let [input, window, output] = [ar_input(1, 3, 0, 8), pointwise(3)[1], ar_output(1, 3, 4, 0)];
    let program = [input, window, output, wide_quant(0), ar_run(0, 0, 0, 1, false)];
    // T = 4; 8 bytes of a port of 4 take 2 cycles, τ = 3: 4 + 2 · 3 + 4 + 4 − 1.
    let (start, end) = spans(&timing(&machine, &program))[4];
    assert_eq!(end - start, 17);
    // q = min(4, 4 / 2): 12 / 2 + 5; with bytes alone 12 / 4 + 5.
    for (wide, cycles) in [([false, true, false], 8), ([true, false, false], 11), ([false, false, true], 11)] {
        let pitch = |operand, bytes| ve_pitch(operand, 0, bytes);
        let program = [
            ve_shape(1, 3, 4, 0),
            quant([0; 3], wide),
            pitch(VectorOperand::A, 8),
            pitch(VectorOperand::Out, 8),
            ve_rescale(0, 1024),
        ];
        let (start, end) = spans(&timing(&machine, &program))[4];
        assert_eq!(end - start, cycles, "{wide:?}");
    }
}
