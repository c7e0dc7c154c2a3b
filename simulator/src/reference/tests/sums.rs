//! M-5 and N-20: the words that every dataflow leaves, on arrays of all kinds, against the convolution by its definition; saturation in the order of M-5.

use systole_machine::isa::DataflowChoice::{InputStationary, OutputStationary, WeightStationary};

use super::*;

const FLOWS: [DataflowChoice; 3] = [WeightStationary, OutputStationary, InputStationary];
const ZERO_ACTIVATION: i64 = 7;
const ZERO_WEIGHT: i64 = -3;

/// A 3 × 2 kernel with stride 1 × 2, padded by one on top and two on the left, over 4 × 5 pixels of a group of channels; outputs 3 × 3.
struct Layer {
    channels: i64,
    packed: bool,
    blocks: i64,
    /// Of a block: C, or N.
    outputs: i64,
    /// Whether each block has a group of input channels of its own.
    grouped: bool,
}

impl Layer {
    fn pitch(&self) -> i64 {
        if self.grouped { self.blocks * self.channels } else { self.channels }
    }

    fn input(&self) -> Vec<u8> {
        (0..20 * self.pitch()).map(|at| (at * at * 7 + at * 13) as u8).collect()
    }

    fn weight(&self, block: i64, output: i64, [ky, kx, channel]: [i64; 3]) -> i64 {
        let at = (((block * self.outputs + output) * 3 + ky) * 2 + kx) * self.channels + channel;
        i64::from((at * 37 + at * at * 11) as i8)
    }

    fn sum(&self, block: i64, output: i64, pixel: i64) -> i64 {
        let mut sum = 0;
        for (ky, kx) in (0..3).flat_map(|ky| (0..2).map(move |kx| (ky, kx))) {
            let (row, column) = (pixel / 3 + ky - 1, pixel % 3 * 2 + kx - 2);
            if !(0..4).contains(&row) || !(0..5).contains(&column) {
                continue;
            }
            for channel in 0..self.channels {
                let group = if self.grouped { block * self.channels } else { 0 };
                let at = (row * 5 + column) * self.pitch() + group + channel;
                let weight = self.weight(block, output, [ky, kx, channel]) - ZERO_WEIGHT;
                sum += (i64::from(self.input()[at as usize]) - ZERO_ACTIVATION) * weight;
            }
        }
        sum
    }

    /// Chunk by chunk of `length` elements, 99 where it must not matter: outputs innermost, or elements (input-stationary).
    fn tiles(&self, length: i64, flow: DataflowChoice) -> Vec<u8> {
        let (taps, run) = if self.packed { (1, 2 * self.channels) } else { (2, self.channels) };
        let mut bytes = Vec::new();
        for block in 0..self.blocks {
            for (ky, tap) in (0..3).flat_map(|ky| (0..taps).map(move |tap| (ky, tap))) {
                for first in (0..run).step_by(length as usize) {
                    for inner in 0..length * self.outputs {
                        let (j, output) = match flow {
                            InputStationary => (inner % length, inner / length),
                            _ => (inner / self.outputs, inner % self.outputs),
                        };
                        let k = first + j;
                        let place = if self.packed { [ky, k / self.channels, k % self.channels] } else { [ky, tap, k] };
                        bytes.push(if k < run { self.weight(block, output, place) as u8 } else { 99 });
                    }
                }
            }
        }
        bytes
    }

    fn program(&self, flow: DataflowChoice, input: u64, tiles: u64) -> Vec<Instruction> {
        let (channels, pitch) = (self.channels as u64, self.pitch() as u64);
        vec![
            ld_shape(input, 1, 1),
            ld_run(0, 0, Space::Activation),
            ld_shape(tiles, 1, 1),
            ld_run(4096, 0, Space::Weight).signals(Unit::Array),
            ar_input(4, 5, 5 * pitch, pitch),
            ar_window([3, 2], [1, 2], [1, 1], [1, 2], self.packed),
            with_outputs(self.outputs as u64, ar_output(3, 3, channels, if self.grouped { channels } else { 0 })),
            plain(Operation::ArrayQuant {
                zero_activation: i(ZERO_ACTIVATION),
                zero_weight: i(ZERO_WEIGHT),
                signed_activation: Flag(false),
                signed_weight: Flag(true),
                wide_activation: Flag(false),
                array: u(0),
            }),
            in_dataflow(flow, ar_run(0, 0, 1, self.blocks as u64, false).waits(Unit::Load)),
            in_dataflow(flow, ar_run(0, 0, 1, self.blocks as u64, true)),
        ]
    }

    /// Runs it twice, the second time on top of the first.
    fn check(&self, machine: &Machine, flow: DataflowChoice, wrap: u32) {
        let [rows, columns, products] =
            [machine.array.rows, machine.array.columns, machine.array.dot_product_width].map(i64::from);
        let length = if flow == OutputStationary { products } else { rows * products };
        let (input, tiles) = (self.input(), self.tiles(length, flow));
        let program = self.program(flow, input.len() as u64, tiles.len() as u64);
        let job = Job { machine, instructions: &program, dram_bytes: 32768 };
        let (timing, memories) = run(&job, &[(0, &input), (4096, &tiles)], 1_000_000).unwrap();
        assert_eq!(timing.outcome, Outcome::Halted);
        let groups = (9 + columns - 1) / columns;
        for (block, output) in (0..self.blocks).flat_map(|b| (0..self.outputs).map(move |n| (b, n))) {
            for pixel in 0..9 {
                let (vector, lane) = match flow {
                    InputStationary => ((block * groups + pixel / columns) * self.outputs + output, pixel % columns),
                    _ => (block * 9 + pixel, output),
                };
                let word = memories.accumulator.get(((1 + vector) * columns + lane) as usize);
                let exact = 2 * self.sum(block, output, pixel);
                assert_eq!(word, exact << (64 - wrap) >> (64 - wrap), "{flow:?} {block} {output} {pixel}");
            }
        }
    }
}

#[test]
fn every_dataflow_computes_the_convolution() {
    let mut cases = 0;
    for (rows, columns, products, latency) in [(1, 1, 1, 1), (4, 3, 1, 1), (3, 5, 2, 2), (2, 4, 3, 1), (5, 2, 1, 3)] {
        for (registers, port, bits) in [(1, 4, 32), (2, 4, 32), (2, 1, 16), (1, 3, 17), (2, 16, 40)] {
            let mut machine = every_dataflow();
            machine.array = Array {
                rows,
                columns,
                dot_product_width: products,
                pe_latency_cycles: latency,
                weight_registers: registers,
                accumulator_bits: bits,
                ..machine.array
            };
            (machine.accumulator.capacity_bytes, machine.accumulator.port_bytes) = (16384, 4 * port);
            (machine.activation.port_bytes, machine.weight.port_bytes) = (port, port);
            machine.weight.capacity_bytes = 16384;
            for (flow, packed) in FLOWS.into_iter().flat_map(|flow| [(flow, false), (flow, true)]) {
                let outputs = if flow == InputStationary { 6 } else { i64::from(columns) };
                Layer { channels: 5, packed, blocks: 2, outputs, grouped: false }.check(&machine, flow, bits);
                Layer { channels: 2, packed: false, blocks: 3, outputs, grouped: true }.check(&machine, flow, bits);
                cases += 2;
            }
        }
    }
    assert_eq!(cases, 5 * 5 * 12);
}

/// One output of one pixel whose three channels are 255, times 127, 127, −128: run, then run on top. The word after each.
fn three_products(machine: &Machine, flow: DataflowChoice) -> [i64; 2] {
    let program = |on_top: bool| {
        let mut program = vec![
            ld_shape(3, 1, 1),
            ld_run(0, 0, Space::Activation),
            ld_run(16, 0, Space::Weight).signals(Unit::Array),
            ar_input(1, 1, 0, 3),
            ar_window([1, 1], [1, 1], [1, 1], [0, 0], false),
            with_outputs(1, ar_output(1, 1, 3, 0)),
            plain(Operation::ArrayQuant {
                zero_activation: i(0),
                zero_weight: i(0),
                signed_activation: Flag(false),
                signed_weight: Flag(true),
                wide_activation: Flag(false),
                array: u(0),
            }),
            in_dataflow(flow, ar_run(0, 0, 0, 1, false).waits(Unit::Load)),
        ];
        program.extend(on_top.then(|| in_dataflow(flow, ar_run(0, 0, 0, 1, true))));
        program
    };
    let image: [(u64, &[u8]); 2] = [(0, &[255; 3]), (16, &[127, 127, 0x80])];
    [false, true].map(|on_top| simulate(machine, &program(on_top), &image).1.accumulator.get(0))
}

#[test]
fn narrow_sums_saturate_in_their_order() {
    for registers in [1, 2] {
        let mut machine = every_dataflow();
        machine.array =
            Array { rows: 1, columns: 1, weight_registers: registers, accumulator_bits: 16, ..machine.array };
        machine.array.overflow = Overflow::Saturate;
        // 32385, clamped 32767, 32767 − 32640; then 32512, clamped, 127 again. In a PE's register the same, then 127 + 127.
        assert_eq!(FLOWS.map(|flow| three_products(&machine, flow)), [[127, 127], [127, 254], [127, 127]]);
        // One chunk of three: the exact sum 32130, then clamped.
        machine.array.dot_product_width = 3;
        assert_eq!(FLOWS.map(|flow| three_products(&machine, flow)), [[32130, 32767]; 3]);
        // Modulo 2^16: 64260 − 65536.
        machine.array.overflow = Overflow::Wrap;
        assert_eq!(FLOWS.map(|flow| three_products(&machine, flow)), [[32130, -1276]; 3]);
        machine.array.accumulator_bits = 48;
        assert_eq!(FLOWS.map(|flow| three_products(&machine, flow)), [[32130, 64260]; 3]);
    }
}

#[test]
fn transposed_results_are_requantised_by_pixel() {
    // 6 pixels 1, 2, … 6 of one channel; outputs 10·x, 20·x in a block, 3·x in the next; C = 4. The weight bytes: N = 2 runs of Q = 4.
    let weights = [10, 0, 0, 0, 20, 0, 0, 0, 3, 0, 0, 0];
    let params: Vec<u8> = [(1i32, 1f32), (2, 1.0), (0, 2.0)]
        .iter()
        .flat_map(|(b, m)| [b.to_le_bytes(), m.to_le_bytes()].concat())
        .collect();
    let operand = systole_machine::isa::VectorOperand::Out;
    let mut requant = ve_requant(0, 64, 512).waits(Unit::Array);
    if let Operation::VectorRequant { transposed, .. } = &mut requant.operation {
        *transposed = Flag(true);
    }
    let program = [
        ld_shape(6, 1, 1),
        ld_run(0, 0, Space::Activation),
        ld_shape(24, 1, 1),
        ld_run(64, 64, Space::Activation).signals(Unit::Vector),
        ld_shape(12, 1, 1),
        ld_run(32, 0, Space::Weight).signals(Unit::Array),
        ar_input(1, 6, 0, 1),
        ar_window([1, 1], [1, 1], [1, 1], [0, 0], false),
        with_outputs(2, ar_output(1, 6, 1, 0)),
        in_dataflow(InputStationary, ar_run(0, 0, 0, 2, false).waits(Unit::Load).signals(Unit::Vector)),
        ve_shape(1, 6, 3, 2).waits(Unit::Load),
        plain(Operation::VectorPitch { operand, row_pitch: u(0), pixel_pitch: u(3) }),
        ve_quant([0, 0, 0], [0, 255], false),
        requant,
    ];
    let (timing, memories) =
        simulate(&every_dataflow(), &program, &[(0, &[1, 2, 3, 4, 5, 6]), (32, &weights), (64, &params)]);
    assert_eq!(timing.outcome, Outcome::Halted);
    let expected: Vec<u8> = (1..=6).flat_map(|x| [10 * x + 1, 20 * x + 2, 6 * x]).collect();
    assert_eq!(memories.activation[512..530], expected);
}

/// The sum 255 · 127 = 32 385 and a bias as `ve.requant` stores them with the format `sum`; the clamp 0 … 10 and the factor 2 play no part.
fn stored_sum(machine: &Machine, bias: i32) -> i32 {
    let params = [bias.to_le_bytes(), 2f32.to_le_bytes()].concat();
    let out = systole_machine::isa::OutputFormat::Sum;
    let program = [
        ld_shape(1, 1, 1),
        ld_run(0, 0, Space::Activation),
        ld_run(16, 0, Space::Weight).signals(Unit::Array),
        ld_shape(8, 1, 1),
        ld_run(32, 64, Space::Activation).signals(Unit::Vector),
        ar_input(1, 1, 0, 1),
        ar_window([1, 1], [1, 1], [1, 1], [0, 0], false),
        ar_output(1, 1, 1, 0),
        ar_run(0, 0, 0, 1, false).waits(Unit::Load).signals(Unit::Vector),
        ve_shape(1, 1, 1, 1).waits(Unit::Load),
        ve_quant([0, 0, 3], [0, 10], false),
        plain(Operation::VectorFormat { out }),
        ve_requant(0, 64, 512).waits(Unit::Array),
    ];
    let image: [(u64, &[u8]); 3] = [(0, &[255]), (16, &[127]), (32, &params)];
    let (timing, memories) = simulate(machine, &program, &image);
    assert_eq!(timing.outcome, Outcome::Halted);
    assert_eq!(memories.activation[516..520], [0; 4]);
    i32::from_le_bytes(std::array::from_fn(|byte| memories.activation[512 + byte]))
}

#[test]
fn n16_sums_are_stored_with_their_bias_and_nothing_else() {
    let mut machine = every_dataflow();
    machine.array = Array { rows: 1, columns: 1, accumulator_bits: 32, ..machine.array };
    // 32385 + 1; modulo 2^32 from the largest bias on.
    assert_eq!([1, i32::MAX].map(|bias| stored_sum(&machine, bias)), [32386, i32::MIN + 32384]);
    // The low 32 of 48 bits.
    machine.array.accumulator_bits = 48;
    assert_eq!([1, i32::MAX].map(|bias| stored_sum(&machine, bias)), [32386, i32::MIN + 32384]);
    // 33385 − 65536 keeps its sign; saturated.
    machine.array.accumulator_bits = 16;
    assert_eq!([1, 1000].map(|bias| stored_sum(&machine, bias)), [32386, -32151]);
    machine.array.overflow = Overflow::Saturate;
    assert_eq!([1, 1000].map(|bias| stored_sum(&machine, bias)), [32386, 32767]);
}
