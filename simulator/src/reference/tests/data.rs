//! M-2 to M-5 and N-1: whole convolutions from DRAM to DRAM against loops from the definition.

use super::*;

/// A convolution: input `height × width × channels`, output channels, window.
#[derive(Clone, Copy)]
struct Case {
    height: i64,
    width: i64,
    channels: i64,
    outputs: i64,
    kernel: [i64; 2],
    stride: [i64; 2],
    dilation: [i64; 2],
    pad: [i64; 2],
    size_out: [i64; 2],
    packed: bool,
}

const ZERO_ACTIVATION: i64 = 7;
const ZERO_WEIGHT: i64 = -3;
const WEIGHTS_AT: u64 = 1024;
const PARAMS_AT: u64 = 2048;
const OUT_AT: u64 = 3072;
const MULTIPLIER: f32 = 0.004;

/// Numbers without order.
fn noise(seed: u32, count: usize) -> Vec<u8> {
    let mut state = seed;
    let mut draw = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..count).map(|_| draw()).collect()
}

impl Case {
    fn input(&self) -> Vec<u8> {
        noise(1, (self.height * self.width * self.channels) as usize)
    }

    /// Weight of an output channel, tap and input channel.
    fn weight(&self, output: i64, ky: i64, kx: i64, channel: i64) -> i64 {
        let at = ((output * self.kernel[0] + ky) * self.kernel[1] + kx) * self.channels + channel;
        i64::from(noise(2 + at as u32, 1)[0] as i8)
    }

    /// From the definition, padding contributing zero.
    fn sum(&self, y: i64, x: i64, output: i64) -> i64 {
        let input = self.input();
        let mut sum = 0;
        for ky in 0..self.kernel[0] {
            for kx in 0..self.kernel[1] {
                let row = y * self.stride[0] + ky * self.dilation[0] - self.pad[0];
                let column = x * self.stride[1] + kx * self.dilation[1] - self.pad[1];
                if row < 0 || row >= self.height || column < 0 || column >= self.width {
                    continue;
                }
                for channel in 0..self.channels {
                    let value = input[((row * self.width + column) * self.channels + channel) as usize];
                    let weight = self.weight(output, ky, kx, channel) - ZERO_WEIGHT;
                    sum += (i64::from(value) - ZERO_ACTIVATION) * weight;
                }
            }
        }
        sum
    }

    /// Tiles of `rows × columns`, block by block of output channels, kernel row, tap, chunk; 99 where it must not matter.
    fn tiles(&self, rows: i64, columns: i64) -> Vec<u8> {
        let taps = if self.packed { 1 } else { self.kernel[1] };
        let run = self.channels * if self.packed { self.kernel[1] } else { 1 };
        let mut bytes = Vec::new();
        for block in 0..(self.outputs + columns - 1) / columns {
            for ky in 0..self.kernel[0] {
                for tap in 0..taps {
                    for k in 0..(run + rows - 1) / rows * rows {
                        for output in block * columns..(block + 1) * columns {
                            let kx = if self.packed { k / self.channels } else { tap };
                            let inside = k < run && output < self.outputs;
                            bytes.push(if inside { self.weight(output, ky, kx, k % self.channels) as u8 } else { 99 });
                        }
                    }
                }
            }
        }
        bytes
    }

    fn program(&self, machine: &Machine, tiles: u64, params: u64) -> Vec<Instruction> {
        let [height, width, channels, outputs] =
            [self.height, self.width, self.channels, self.outputs].map(|value| value as u64);
        let positive = |values: [i64; 2]| values.map(|value| value as u64);
        let [out_height, out_width] = positive(self.size_out);
        let columns = u64::from(machine.array.columns);
        let blocks = outputs.div_ceil(columns);
        let input_bytes = height * width * channels;
        let out_bytes = out_height * out_width * outputs;
        let pitch = plain(Operation::VectorPitch {
            operand: systole_machine::isa::VectorOperand::Out,
            row_pitch: u(out_width * outputs),
            pixel_pitch: u(outputs),
        });
        vec![
            ld_shape(input_bytes, 1, 1),
            ld_run(0, 0, Space::Activation),
            ld_shape(tiles, 1, 1),
            ld_run(WEIGHTS_AT, 0, Space::Weight).signals(Unit::Array),
            ld_shape(params, 1, 1),
            ld_run(PARAMS_AT, 512, Space::Activation).signals(Unit::Vector),
            ar_input(height, width, width * channels, channels),
            ar_window(
                positive(self.kernel),
                positive(self.stride),
                positive(self.dilation),
                positive(self.pad),
                self.packed,
            ),
            ar_output(out_height, out_width, channels, 0),
            plain(Operation::ArrayQuant {
                wide_activation: Flag(false),
                array: u(0),
                zero_activation: i(ZERO_ACTIVATION),
                zero_weight: i(ZERO_WEIGHT),
                signed_activation: Flag(false),
                signed_weight: Flag(true),
            }),
            ar_run(0, 0, 1, blocks, false).waits(Unit::Load),
            sync(Unit::Array).signals(Unit::Vector),
            ve_shape(out_height, out_width, outputs, columns),
            pitch,
            ve_quant([0, 0, 5], [-100, 100], true),
            ve_requant(1, 512, 768).waits(Unit::Load).waits(Unit::Array).signals(Unit::Store),
            st_shape(out_bytes, 1, 1),
            st_run(OUT_AT, 768).waits(Unit::Vector),
        ]
    }

    fn check(&self, machine: &Machine) {
        let (rows, columns) = (i64::from(machine.array.rows), i64::from(machine.array.columns));
        let (input, tiles) = (self.input(), self.tiles(rows, columns));
        let bias = |output: i64| (output * 1000 - 2000) as i32;
        let params: Vec<u8> =
            (0..self.outputs).flat_map(|n| [bias(n).to_le_bytes(), MULTIPLIER.to_le_bytes()].concat()).collect();
        let program = self.program(machine, tiles.len() as u64, params.len() as u64);
        let image: [(u64, &[u8]); 3] = [(0, &input), (WEIGHTS_AT, &tiles), (PARAMS_AT, &params)];
        let (timing, memories) = simulate(machine, &program, &image);
        assert_eq!(timing.outcome, Outcome::Halted);
        for y in 0..self.size_out[0] {
            for x in 0..self.size_out[1] {
                for output in 0..self.outputs {
                    let sum = self.sum(y, x, output);
                    let pixel = y * self.size_out[1] + x;
                    let vector = 1 + output / columns * self.size_out[0] * self.size_out[1] + pixel;
                    let word = memories.accumulator.get((vector * columns + output % columns) as usize) as i32;
                    assert_eq!(i64::from(word), sum, "accumulator of {y} {x} {output}");
                    let value = (sum as i32 + bias(output)) as f32 * MULTIPLIER;
                    let expected = (value.round_ties_even() as i64 + 5).clamp(-100, 100) as u8;
                    let at = OUT_AT as i64 + pixel * self.outputs + output;
                    assert_eq!(memories.dram[at as usize], expected, "output {y} {x} {output}");
                }
            }
        }
    }
}

fn cases() -> Vec<Case> {
    let case = Case {
        height: 5,
        width: 6,
        channels: 3,
        outputs: 6,
        kernel: [3, 3],
        stride: [2, 2],
        dilation: [1, 1],
        pad: [1, 1],
        size_out: [3, 3],
        packed: false,
    };
    vec![
        case,
        Case { packed: true, ..case },
        // Dilated, uneven strides, more channels than rows; hanging over the far edges.
        Case { channels: 5, kernel: [2, 2], stride: [1, 3], dilation: [2, 3], pad: [0, 2], size_out: [4, 3], ..case },
        Case { channels: 1, kernel: [2, 5], stride: [1, 1], pad: [0, 2], size_out: [4, 3], packed: true, ..case },
        Case { height: 1, width: 1, channels: 16, outputs: 5, kernel: [1, 1], pad: [0, 0], size_out: [1, 1], ..case },
    ]
}

#[test]
fn convolutions_on_every_kind_of_array() {
    for registers in [1, 2] {
        for (rows, columns) in [(4, 4), (4, 3), (3, 5), (8, 2), (1, 1)] {
            for ports in [1, 4, 16] {
                let mut machine = machine();
                machine.array.weight_registers = registers;
                (machine.array.rows, machine.array.columns) = (rows, columns);
                machine.accumulator.capacity_bytes = 16384;
                machine.weight.port_bytes = ports;
                machine.activation.port_bytes = ports;
                cases().iter().for_each(|case| case.check(&machine));
            }
        }
    }
}

#[test]
fn accumulate_adds_to_what_is_there() {
    let image: [(u64, &[u8]); 2] = [(0, &[3, 4]), (16, &[10])];
    let mut machine = machine();
    (machine.array.rows, machine.array.columns) = (1, 1);
    let program = [
        ld_shape(2, 1, 1),
        ld_run(0, 0, Space::Activation),
        ld_run(16, 0, Space::Weight).signals(Unit::Array),
        ar_input(1, 1, 0, 1),
        ar_window([1, 1], [1, 1], [1, 1], [0, 0], false),
        ar_output(1, 1, 1, 0),
        ar_run(0, 0, 0, 1, false).waits(Unit::Load),
        ar_run(1, 0, 0, 1, true),
        ar_run(1, 0, 1, 1, false),
        ar_run(0, 0, 1, 1, false),
    ];
    let (timing, memories) = simulate(&machine, &program, &image);
    assert_eq!(timing.outcome, Outcome::Halted);
    // 3·10 + 4·10; the second vector is replaced.
    assert_eq!([0, 1].map(|at| memories.accumulator.get(at)), [70, 30]);
}

#[test]
fn blocks_step_through_the_input() {
    let image: [(u64, &[u8]); 2] = [(0, &[3, 4, 5]), (16, &[10, 100])];
    let mut machine = machine();
    (machine.array.rows, machine.array.columns) = (1, 1);
    let program = [
        ld_shape(3, 1, 1),
        ld_run(0, 0, Space::Activation),
        ld_run(16, 0, Space::Weight).signals(Unit::Array),
        ar_input(1, 1, 0, 1),
        ar_window([1, 1], [1, 1], [1, 1], [0, 0], false),
        ar_output(1, 1, 1, 2),
        ar_run(0, 0, 4, 2, false).waits(Unit::Load),
    ];
    let memories = simulate(&machine, &program, &image).1;
    assert_eq!([4, 5].map(|at| memories.accumulator.get(at)), [30, 500]);
}

#[test]
fn strided_rows_and_planes_move() {
    let bytes: Vec<u8> = (0..=255).collect();
    let program = [
        ld_shape(3, 2, 2),
        plain(Operation::LoadDramPitch { row_pitch: u(10), plane_pitch: u(100) }),
        plain(Operation::LoadBufferPitch { row_pitch: u(4), plane_pitch: u(8) }),
        ld_run(14, 0, Space::Activation).signals(Unit::Store),
        st_shape(3, 4, 1),
        plain(Operation::StoreDramPitch { row_pitch: u(5), plane_pitch: u(0) }),
        plain(Operation::StoreBufferPitch { row_pitch: u(4), plane_pitch: u(0) }),
        st_run(512, 0).waits(Unit::Load),
    ];
    let memories = simulate(&machine(), &program, &[(0, &bytes)]).1;
    let expected = [14, 15, 16, 0, 24, 25, 26, 0, 114, 115, 116, 0, 124, 125, 126, 0];
    assert_eq!(memories.activation[..16], expected);
    assert_eq!(memories.dram[512..520], [14, 15, 16, 0, 0, 24, 25, 26]);
    assert_eq!(memories.dram[522..525], [114, 115, 116]);
}
