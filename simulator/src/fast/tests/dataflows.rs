//! Dataflows beyond weight-stationary: cycles by hand from T-2 and T-5, values against M-5 term by term.

use super::*;
use crate::contract::Accumulators;
use crate::fast::folds::Folds;
use crate::fast::plain;
use crate::fast::work::Convolution;
use crate::fast::{gemm::Gemm, simd::Level};

use Dataflow::{InputStationary, OutputStationary, WeightStationary};

fn flow(dataflow: DataflowChoice, blocks: u64) -> Instruction {
    Instruction::new(Operation::ArrayRun {
        activation: u(0),
        weight: u(0),
        accumulator: u(0),
        blocks: u(blocks),
        accumulate: Flag(false),
        dataflow,
        array: u(0),
    })
}

fn all() -> Machine {
    let mut machine = machine();
    machine.array.dataflows = vec![WeightStationary, OutputStationary, InputStationary];
    machine
}

fn program(pixels: u64, outputs: u64, runs: &[Instruction]) -> Vec<Instruction> {
    let [a, b, _] = pointwise(pixels);
    let output = Instruction::new(Operation::ArrayOutput {
        height: u(1),
        width: u(pixels),
        channels: u(4),
        block_step: u(0),
        outputs: u(outputs),
        array: u(0),
    });
    [&[a, b, output], runs].concat()
}

fn run_spans(machine: &Machine, pixels: u64, outputs: u64, runs: &[Instruction]) -> Vec<(u64, u64)> {
    spans(&timing(machine, &program(pixels, outputs, runs)))[3..].to_vec()
}

#[test]
fn t5_output_stationary() {
    let os = flow(DataflowChoice::OutputStationary, 1);
    let mut machine = all();
    // K = 4, va = ceil(4·1 / 4) = 1, v = d = 1: fold 3 + 0 + 8 + 3 = 14. Next: S = max(4 + 1, E = 8, B + 4 − 3 = 8).
    assert_eq!(run_spans(&machine, 3, 0, &[os, os]), [(4, 18), (5, 22)]);
    // Two groups of 4 and 1 pixels: S(1) = 4 + max(4, 4).
    assert_eq!(run_spans(&machine, 5, 0, &[os]), [(4, 22)]);
    machine.array.weight_registers = 1;
    assert_eq!(run_spans(&machine, 5, 0, &[os, os]), [(4, 32), (32, 60)]);
    // D = 2, L = 3: K = 2, va = ceil(4 / 2) = 2, vw = 2; 2 + 2 + 8 + 3.
    (machine.array.dot_product_width, machine.array.pe_latency_cycles) = (2, 3);
    assert_eq!(run_spans(&machine, 3, 0, &[os]), [(4, 19)]);
}

#[test]
fn t5_input_stationary_and_t2_change_of_dataflow() {
    let (ws, os, is) = (
        flow(DataflowChoice::WeightStationary, 1),
        flow(DataflowChoice::OutputStationary, 1),
        flow(DataflowChoice::InputStationary, 1),
    );
    // wl = ceil(4·1 / 4) = 1, T = 4, v = 1, V = 6, G = 2: S = 8, 14; end = 14 + 5 + 4 + 3.
    assert_eq!(run_spans(&all(), 5, 6, &[is]), [(4, 26)]);
    // Weight-stationary [4, 17) as before, then each waits for the end of the one before.
    assert_eq!(run_spans(&all(), 3, 6, &[ws, os, ws]), [(4, 17), (17, 31), (31, 44)]);
}

/// Every dataflow, exact or saturating at each step, word by word.
#[test]
fn m5_values_of_both_paths_agree_and_saturate_in_order() {
    let mut random = Random(21);
    let (mut clamped, mut cases) = (0, 0);
    for round in 0..300 {
        let dataflow = [WeightStationary, OutputStationary, InputStationary][round % 3];
        let mut array = all().array;
        (array.rows, array.columns) = ([4, 3, 7][round % 7 % 3], [4, 5, 18][round % 5 % 3]);
        array.dot_product_width = [1, 2, 3][round % 4 % 3];
        array.accumulator_bits = [32, 20, 16][round % 11 % 3];
        let channels = random.range(1, 9);
        let run = Convolution {
            dataflow,
            height: 4,
            width: 5,
            row_pitch: 50,
            pixel_pitch: channels,
            kernel_h: 2,
            kernel_w: 3,
            stride_h: 1,
            stride_w: 1,
            dilation_h: 1,
            dilation_w: 1,
            pad_top: 1,
            pad_left: 1,
            packed: random.flag(),
            height_out: 3,
            width_out: random.range(1, 5),
            channels,
            outputs: random.range(1, 19),
            zero_activation: 100,
            zero_weight: 3,
            signed_weight: true,
            blocks: 2,
            accumulate: random.flag(),
            ..Convolution::default()
        };
        let folds = Folds::new(&run, &array);
        let activation = random.bytes(300);
        let weight = random.bytes(folds.weight_bytes(&run) as usize);
        let words = (folds.vectors(dataflow) * u64::from(array.columns)) as usize;
        let before: Vec<i32> = (0..words).map(|_| i32::from(random.next() as i16)).collect();
        let mut fast = before.clone();
        Gemm::new(Level::detect()).run(&run, &array, &activation, &weight, &mut fast);
        let mut slow = Accumulators::Narrow(before.clone());
        plain::run(&run, &array, &activation, &weight, &mut slow);
        assert_eq!(Accumulators::Narrow(fast), slow, "round {round}: {run:?}");
        array.overflow = Overflow::Saturate;
        let mut saturated = Accumulators::Narrow(before);
        plain::run(&run, &array, &activation, &weight, &mut saturated);
        clamped += usize::from(saturated != slow);
        cases += 1;
    }
    assert!(cases == 300 && clamped > 30, "too few cases: {clamped}");
}

#[test]
fn n20_words_of_48_bits() {
    let mut array = all().array;
    array.accumulator_bits = 48;
    let one = Convolution {
        height: 1,
        width: 1,
        kernel_h: 1,
        kernel_w: 1,
        stride_h: 1,
        stride_w: 1,
        dilation_h: 1,
        dilation_w: 1,
        height_out: 1,
        width_out: 1,
        channels: 1,
        blocks: 1,
        accumulate: true,
        ..Convolution::default()
    };
    let high = (1i64 << 47) - 1;
    for (overflow, expected) in [(Overflow::Wrap, -(1i64 << 47) + 5), (Overflow::Saturate, high)] {
        array.overflow = overflow;
        let mut words = Accumulators::Wide(vec![high; 4]);
        plain::run(&one, &array, &[2], &[3; 16], &mut words);
        assert_eq!(words, Accumulators::Wide(vec![expected; 4]));
    }
}

#[test]
fn t6_transposed_requantisation() {
    let transposed = Instruction::new(Operation::VectorRequant {
        accumulator: u(0),
        params: u(0),
        out: u(1024),
        mode: RequantMode::Float32,
        transposed: Flag(true),
    });
    let pitch = ve_pitch(VectorOperand::Out, 60, 6);
    // One block of 6 channels in turns of 4 and 2, pixels in groups of 4 and 1, q = 2:
    // (4 + 4·2 + 4·1) + (2 + 2·2 + 4·1) + (4 + 4·1 + 1) + (2 + 2·1 + 1), + 5.
    let found = timing(&machine(), &[ve_shape(1, 5, 6, 6), pitch, transposed]);
    assert_eq!(spans(&found)[2], (3, 3 + 16 + 10 + 9 + 5 + 5));
}
