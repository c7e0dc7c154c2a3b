//! What an array run moves (M-5) and touches (M-9) in each dataflow.
//!
//! An operand is read once for each fold or step that uses it, weights whole, a word of the accumulators for each addition to it. No time here.

use systole_machine::isa::{ActivationFormat, DataflowChoice, Operation, WeightFormat};
use systole_machine::spec::Machine;

use super::{Memory, Moved, extent};

/// A window that walks over an image, one axis.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Axis {
    pub(super) input: u64,
    pub(super) output: u64,
    pub(super) kernel: u64,
    pub(super) stride: u64,
    pub(super) dilation: u64,
    pub(super) pad: u64,
}

impl Axis {
    /// Pairs of output and tap whose input lies inside the image.
    pub(super) fn inside(&self) -> u64 {
        let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let (stride, last) = (signed(self.stride.max(1)), signed(self.input) - 1);
        let taps = (0..self.kernel).map(|tap| {
            let offset = signed(tap * self.dilation) - signed(self.pad);
            // Outputs o with 0 <= o * stride + offset <= last.
            let first = (-offset).max(0).div_euclid(stride) + i64::from((-offset).max(0).rem_euclid(stride) != 0);
            let end = if last < offset { 0 } else { (last - offset).div_euclid(stride) + 1 };
            (end.min(signed(self.output)) - first).max(0) as u64
        });
        taps.sum()
    }
}

/// Registers of an array.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Convolution {
    axes: [Axis; 2],
    pitch: [u64; 2],
    channels: u64,
    block_step: u64,
    outputs: u64,
    packed: bool,
    /// Bytes of an element of the input, less one.
    wide: u64,
    formats: (WeightFormat, ActivationFormat),
}

/// What a block of an array run does.
struct Block {
    /// Bytes of its weights.
    weights: u64,
    /// How often they are read.
    passes: u64,
    /// Accumulator vectors that it adds to.
    vectors: u64,
    /// Additions to each of them.
    additions: u64,
}

impl Convolution {
    pub(super) fn configure(&mut self, operation: &Operation) {
        let [v, h] = &mut self.axes;
        match *operation {
            Operation::ArrayInput { height, width, row_pitch, pixel_pitch, .. } => {
                (v.input, h.input) = (height.get(), width.get());
                self.pitch = [row_pitch.get(), pixel_pitch.get()];
            }
            Operation::ArrayWindow {
                kernel_h,
                kernel_w,
                stride_h,
                stride_w,
                dilation_h,
                dilation_w,
                pad_top,
                pad_left,
                packed,
                ..
            } => {
                (v.kernel, v.stride, v.dilation, v.pad) =
                    (kernel_h.get(), stride_h.get(), dilation_h.get(), pad_top.get());
                (h.kernel, h.stride, h.dilation, h.pad) =
                    (kernel_w.get(), stride_w.get(), dilation_w.get(), pad_left.get());
                self.packed = packed.0;
            }
            Operation::ArrayOutput { height, width, channels, block_step, outputs, .. } => {
                (v.output, h.output) = (height.get(), width.get());
                (self.channels, self.block_step, self.outputs) = (channels.get(), block_step.get(), outputs.get());
            }
            Operation::ArrayFormats { weight, activation, .. } => self.formats = (weight, activation),
            Operation::ArrayQuant { wide_activation, .. } => self.wide = u64::from(wide_activation.0),
            _ => {}
        }
    }

    /// Chunks of `elements` in a block: F.
    fn chunks(&self, elements: u64) -> u64 {
        let [v, h] = &self.axes;
        let run = h.kernel * self.channels;
        v.kernel * if self.packed { run.div_ceil(elements) } else { h.kernel * self.channels.div_ceil(elements) }
    }

    /// Bytes of a row of weights (M-14).
    fn row(&self, weights: u64) -> u64 {
        (weights * u64::from(self.formats.0.bits())).div_ceil(8)
    }

    fn block(&self, machine: &Machine, dataflow: DataflowChoice) -> Block {
        let array = &machine.array;
        let [rows, columns, width] = [array.rows, array.columns, array.dot_product_width].map(u64::from);
        let pixels = self.axes[0].output * self.axes[1].output;
        match dataflow {
            DataflowChoice::WeightStationary => {
                let chunks = self.chunks(rows * width);
                Block {
                    weights: chunks * rows * width * self.row(columns),
                    passes: 1,
                    vectors: pixels,
                    additions: chunks,
                }
            }
            DataflowChoice::OutputStationary => {
                let weights = self.chunks(width) * width * self.row(columns);
                Block { weights, passes: pixels.div_ceil(rows), vectors: pixels, additions: 1 }
            }
            DataflowChoice::InputStationary => {
                let (chunks, groups) = (self.chunks(rows * width), pixels.div_ceil(columns));
                let weights = chunks * self.outputs * self.row(rows * width);
                Block { weights, passes: groups, vectors: groups * self.outputs, additions: chunks }
            }
        }
    }

    /// What an `ar.run` moves; nothing for another instruction.
    pub(super) fn run(&self, machine: &Machine, operation: &Operation, moved: &mut Moved) {
        let Operation::ArrayRun { activation, weight, accumulator, blocks, accumulate, dataflow, .. } = *operation
        else {
            return;
        };
        let (blocks, [v, h]) = (blocks.get(), &self.axes);
        let vector = machine.accumulator_vector_bytes();
        let pixel = match self.formats.1 {
            ActivationFormat::Binary => self.channels.div_ceil(8),
            ActivationFormat::Byte => self.channels * (1 + self.wide),
        };
        let block = self.block(machine, dataflow);
        let words = blocks * block.vectors * vector;
        moved.read[Memory::Activation as usize] = blocks * v.inside() * h.inside() * pixel;
        let memory = Memory::of_weights(machine);
        moved.read[memory as usize] += blocks * block.weights * block.passes;
        // The first addition to a word that counts as 0 reads nothing.
        let read = block.additions - u64::from(!accumulate.0 && block.additions > 0);
        moved.read[Memory::Accumulator as usize] = words * read;
        moved.written[Memory::Accumulator as usize] = words * block.additions;
        let extent = extent(v.input, h.input, self.pitch, pixel);
        for number in 0..blocks {
            let first = activation.get() + number * self.block_step;
            moved.touched.push((Memory::Activation, first, first + extent));
        }
        moved.touched.push((memory, weight.get(), weight.get() + blocks * block.weights));
        let first = accumulator.get() * vector;
        moved.touched.push((Memory::Accumulator, first, first + words));
    }
}

#[cfg(test)]
mod tests {
    use systole_machine::isa::{Flag, Unsigned};

    use super::*;

    /// Against counting one by one.
    #[test]
    fn taps_inside_the_image_are_counted_exactly() {
        let mut hits = 0;
        for index in 0..3u64.pow(6) {
            let digit = |place: u32| index / 3u64.pow(place) % 3;
            let axis = Axis {
                input: 1 + 2 * digit(0),
                output: 1 + 2 * digit(1),
                kernel: 1 + digit(2),
                stride: 1 + digit(3),
                dilation: 1 + digit(4),
                pad: digit(5),
            };
            let mut expected = 0;
            for output in 0..axis.output {
                for tap in 0..axis.kernel {
                    let place = (output * axis.stride + tap * axis.dilation) as i64 - axis.pad as i64;
                    expected += u64::from((0..axis.input as i64).contains(&place));
                }
            }
            hits += u64::from(expected < axis.output * axis.kernel && expected > 0);
            assert_eq!(axis.inside(), expected, "{axis:?}");
        }
        assert!(hits > 200, "only {hits} cases with padding");
    }

    /// 1 × 1, 8 channels, 6 pixels, N = 3 outputs input-stationary, two blocks, on 4 × 4 PEs: F = 2 chunks of 4 elements, 8 steps output-stationary.
    #[test]
    fn each_dataflow_moves_its_own_bytes() {
        let yaml = systole_machine::config::preset("edge-16x16").expect("a preset");
        let mut machine = systole_machine::config::load(yaml, "edge").expect("valid");
        (machine.array.rows, machine.array.columns) = (4, 4);
        let axis = |length| Axis { input: length, output: length, kernel: 1, stride: 1, dilation: 1, pad: 0 };
        let run =
            Convolution { axes: [axis(2), axis(3)], pitch: [24, 8], channels: 8, outputs: 3, ..Default::default() };
        let cases = [
            // Weights 2 chunks · 4 rows · 4 columns; 6 vectors of 16 bytes twice, read before the second addition.
            (DataflowChoice::WeightStationary, 2 * 32, 2 * 6 * 16, 2 * 6 * 16 * 2),
            // 8 steps · 4 columns for each of 2 groups of 4 pixels; each vector once, never read.
            (DataflowChoice::OutputStationary, 2 * 32 * 2, 0, 2 * 6 * 16),
            // 2 chunks · 4 rows · 3 outputs for each of 2 groups of 4 pixels; 2 · 3 vectors twice.
            (DataflowChoice::InputStationary, 2 * 24 * 2, 2 * 6 * 16, 2 * 6 * 16 * 2),
        ];
        for (dataflow, weights, read, written) in cases {
            let mut moved = Moved::default();
            let operation = Operation::ArrayRun {
                activation: Unsigned::new(0).expect("it fits"),
                weight: Unsigned::new(0).expect("it fits"),
                accumulator: Unsigned::new(0).expect("it fits"),
                blocks: Unsigned::new(2).expect("it fits"),
                accumulate: Flag(false),
                dataflow,
                array: Unsigned::new(0).expect("it fits"),
            };
            run.run(&machine, &operation, &mut moved);
            assert_eq!(moved.read, [2 * 6 * 8, weights, read], "{dataflow:?}");
            assert_eq!(moved.written, [0, 0, written], "{dataflow:?}");
        }
    }
}
