//! `ar.run`, loads and stores against plain loops written from M-4 and M-5.

use super::*;
use crate::contract::{Accumulators, EngineError, Outcome};

/// A random convolution; the fields are those of the rule.
struct Case {
    input: (u64, u64, u64, u64),
    kernel: (u64, u64),
    stride: (u64, u64),
    dilation: (u64, u64),
    pad: (u64, u64),
    packed: bool,
    output: (u64, u64),
    channels: u64,
    block_step: u64,
    zeros: (i64, i64),
    signed: (bool, bool),
    addresses: (u64, u64, u64),
    blocks: u64,
    accumulate: bool,
}

fn case(random: &mut Random) -> Case {
    let packed = random.flag();
    let channels = random.range(1, 9);
    let pixel = if packed { channels } else { channels + random.range(0, 3) };
    let (height, width) = (random.range(1, 7), random.range(1, 7));
    let extreme = [-32768, 32767, -32700, 32641];
    let zero = |random: &mut Random, signed: bool| match random.range(0, 9) {
        0 => extreme[random.range(0, 3) as usize],
        _ if signed => random.range(0, 255) as i64 - 128,
        _ => random.range(0, 255) as i64,
    };
    let signed = (random.flag(), random.flag());
    Case {
        input: (height, width, (width - 1) * pixel + channels + random.range(0, 4), pixel),
        kernel: (random.range(1, 3), random.range(1, 4)),
        stride: (random.range(1, 3), random.range(1, 3)),
        dilation: (random.range(1, 2), if packed { 1 } else { random.range(1, 2) }),
        pad: (random.range(0, 3), random.range(0, 3)),
        packed,
        output: (random.range(1, 6), random.range(1, 6)),
        channels,
        block_step: if random.flag() { 0 } else { random.range(1, 20) },
        zeros: (zero(random, signed.0), zero(random, signed.1)),
        signed,
        addresses: (random.range(0, 50), random.range(0, 50), random.range(0, 5)),
        blocks: random.range(1, 4),
        accumulate: random.flag(),
    }
}

fn program(case: &Case) -> Vec<Instruction> {
    let first = |blocks| ar_run(case.addresses.0, case.addresses.1, case.addresses.2, blocks, false);
    let quant = Instruction::new(Operation::ArrayQuant {
        zero_activation: i(case.zeros.0),
        zero_weight: i(case.zeros.1),
        signed_activation: Flag(case.signed.0),
        signed_weight: Flag(case.signed.1),
        wide_activation: Flag(false),
        array: u(0),
    });
    let (height, width, row, pixel) = case.input;
    vec![
        ld_shape(4096, 1, 1),
        ld_run(0, 0, Space::Activation),
        ld_shape(16384, 1, 1),
        ld_run(4096, 0, Space::Weight).signal(Unit::Array),
        ar_input(height, width, row, pixel).wait(Unit::Load),
        ar_window(case.kernel, case.stride, case.dilation, case.pad, case.packed),
        ar_output(case.output.0, case.output.1, case.channels, case.block_step),
        quant,
        first(case.blocks),
        ar_run(case.addresses.0, case.addresses.1, case.addresses.2, case.blocks, case.accumulate),
    ]
}

fn operand(byte: u8, signed: bool, zero: i64) -> i64 {
    (if signed { i64::from(byte as i8) } else { i64::from(byte) }) - zero
}

/// M-5, one term after the other.
fn naive(case: &Case, rows: u64, columns: u64, activation: &[u8], weight: &[u8], accumulator: &mut [i32], add: bool) {
    let (height, width, row_pitch, pixel_pitch) = case.input;
    let length = if case.packed { case.kernel.1 * case.channels } else { case.channels };
    let taps = if case.packed { 1 } else { case.kernel.1 };
    let chunks = length.div_ceil(rows);
    let folds = case.kernel.0 * taps * chunks;
    for block in 0..case.blocks {
        for fold in 0..folds {
            let (ky, tap, chunk) = (fold / (taps * chunks), fold / chunks % taps, fold % chunks);
            for (y, x, c) in positions(case.output.0, case.output.1, columns) {
                let mut sum = 0i64;
                for r in (0..rows).filter(|r| chunk * rows + r < length) {
                    let k = chunk * rows + r;
                    let (kx, ch) = if case.packed { (k / case.channels, k % case.channels) } else { (tap, k) };
                    let iy = (y * case.stride.0 + ky * case.dilation.0) as i64 - case.pad.0 as i64;
                    let ix = (x * case.stride.1 + kx * case.dilation.1) as i64 - case.pad.1 as i64;
                    if iy < 0 || ix < 0 || iy >= height as i64 || ix >= width as i64 {
                        continue;
                    }
                    let at =
                        case.addresses.0 + block * case.block_step + iy as u64 * row_pitch + ix as u64 * pixel_pitch;
                    let x = operand(activation[(at + ch) as usize], case.signed.0, case.zeros.0);
                    let at = case.addresses.1 + ((block * folds + fold) * rows + r) * columns + c;
                    sum += x * operand(weight[at as usize], case.signed.1, case.zeros.1);
                }
                let vector = case.addresses.2 + block * case.output.0 * case.output.1 + y * case.output.1 + x;
                let word = &mut accumulator[(vector * columns + c) as usize];
                let before = if fold == 0 && !add { 0 } else { *word };
                *word = before.wrapping_add(sum as i32);
            }
        }
    }
}

fn positions(height: u64, width: u64, columns: u64) -> impl Iterator<Item = (u64, u64, u64)> {
    (0..height * width * columns).map(move |n| (n / columns / width, n / columns % width, n % columns))
}

#[test]
fn m5_random_convolutions() {
    let mut random = Random(3);
    let (mut halted, mut stepped, mut wide) = (0, 0, 0);
    for round in 0..400 {
        let mut machine = machine();
        machine.array.rows = [4, 3, 16, 7][round % 4];
        machine.array.columns = [4, 5, 16, 33, 18][round % 5];
        machine.weight.capacity_bytes = 16384;
        machine.accumulator.capacity_bytes = 1 << 16;
        let case = case(&mut random);
        let image = random.bytes(4096 + 16384);
        let program = program(&case);
        let job = Job { machine: &machine, instructions: &program, dram_bytes: 4096 + 16384 };
        let (timing, memories) = crate::fast::run(&job, &[(0, &image)]).expect("the image fits");
        if timing.outcome != Outcome::Halted {
            continue;
        }
        halted += 1;
        stepped += usize::from(case.block_step > 0 && case.blocks > 1);
        wide += usize::from(case.zeros.0.abs() > 32000 || case.zeros.1.abs() > 32000);
        let (rows, columns) = (u64::from(machine.array.rows), u64::from(machine.array.columns));
        let mut expected = vec![0; memories.accumulator.len()];
        for add in [false, case.accumulate] {
            naive(&case, rows, columns, &image[..4096], &image[4096..], &mut expected, add);
        }
        assert_eq!(memories.accumulator, Accumulators::Narrow(expected), "round {round}: {program:?}");
    }
    assert!(halted > 300 && stepped > 80 && wide > 40, "too few cases: {halted} {stepped} {wide}");
}

#[test]
fn large_runs_are_the_same_on_any_number_of_threads() {
    let mut machine = machine();
    (machine.array.rows, machine.array.columns) = (16, 16);
    machine.activation.capacity_bytes = 1 << 18;
    machine.weight.capacity_bytes = 1 << 18;
    machine.accumulator.capacity_bytes = 1 << 18;
    let mut random = Random(4);
    let image = random.bytes(1 << 19);
    let program = [
        ld_shape(1 << 18, 1, 1),
        ld_run(0, 0, Space::Activation),
        ld_run(1 << 18, 0, Space::Weight).signal(Unit::Array),
        ar_input(20, 20, 20 * 33, 33).wait(Unit::Load),
        ar_window((3, 3), (1, 1), (1, 1), (1, 1), false),
        ar_output(20, 20, 33, 0),
        ar_run(5, 3, 7, 5, false),
        ar_output(20, 20, 33, 1000),
        ar_run(5, 3, 7, 5, true).signal(Unit::Vector),
        ve_shape(20, 20, 70, 16).wait(Unit::Array),
        ve_pitch(VectorOperand::Out, 20 * 70, 70),
        ve_scale(0.1, 0.2, 0.3),
        ve_requant(7, 1 << 17, 0),
    ];
    let job = Job { machine: &machine, instructions: &program, dram_bytes: 1 << 19 };
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        pool.install(|| crate::fast::run(&job, &[(0, &image)]).expect("the image fits"))
    };
    let one = with(1);
    assert_eq!(one.0.outcome, Outcome::Halted);
    assert!((0..one.1.accumulator.len()).any(|word| one.1.accumulator.get(word) != 0));
    for threads in [2, 3, 8] {
        assert!(with(threads) == one, "{threads} threads");
    }
}

#[test]
fn m4_strided_loads_and_stores() {
    let image: Vec<u8> = (0..200).map(|k| k as u8).collect();
    let program = [
        ld_shape(3, 2, 2),
        ld_dram(10, 50),
        ld_buffer(5, 20),
        ld_run(7, 100, Space::Activation).signal(Unit::Store),
        st_shape(2, 2, 2).wait(Unit::Load),
        Instruction::new(Operation::StoreDramPitch { row_pitch: u(2), plane_pitch: u(100) }),
        Instruction::new(Operation::StoreBufferPitch { row_pitch: u(5), plane_pitch: u(20) }),
        st_run(1000, 101),
    ];
    let (timing, memories) = run(&machine(), &program, &[(0, &image)]);
    assert_eq!(timing.outcome, Outcome::Halted);
    assert_eq!(memories.activation[100..108], [7, 8, 9, 0, 0, 17, 18, 19]);
    assert_eq!(memories.activation[120..128], [57, 58, 59, 0, 0, 67, 68, 69]);
    assert_eq!(memories.dram[1000..1004], [8, 9, 18, 19]);
    assert_eq!(memories.dram[1100..1104], [58, 59, 68, 69]);
    assert_eq!(memories.dram[..200], image);
    assert_eq!(memories.dram.len() as u64, DRAM);
}

#[test]
fn data_follow_tokens_and_not_the_order_of_the_program() {
    // The store, earlier in the program, waits for the load.
    let program = [
        st_shape(4, 1, 1).wait(Unit::Load),
        st_run(500, 0),
        ld_shape(4, 1, 1),
        ld_run(0, 0, Space::Activation).signal(Unit::Store),
    ];
    let (timing, memories) = run(&machine(), &program, &[(0, &[1, 2, 3, 4])]);
    assert_eq!((timing.outcome, &memories.dram[500..504]), (Outcome::Halted, &[1u8, 2, 3, 4][..]));
}

#[test]
fn a_trap_leaves_what_was_done_before() {
    let program = [
        ld_shape(4, 1, 1),
        ld_run(0, 0, Space::Weight),
        sync(Unit::Load).wait(Unit::Load),
        ld_run(0, 8, Space::Weight),
    ];
    let (_, memories) = run(&machine(), &program, &[(0, &[1, 2, 3, 4])]);
    assert_eq!(memories.weight[..12], [1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn an_image_beyond_dram_is_refused() {
    let job = Job { machine: &machine(), instructions: &[], dram_bytes: 10 };
    let error = crate::fast::run(&job, &[(8, &[0; 3])]).err();
    assert_eq!(error, Some(EngineError::ImageTooLarge { image: 11, dram: 10 }));
    assert!(crate::fast::run(&job, &[(8, &[0; 2])]).is_ok());
}
