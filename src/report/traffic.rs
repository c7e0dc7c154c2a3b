//! Bytes that instructions move (M-4 to M-7), bursts on the DRAM bus (T-7) and what they touch on chip (M-9): the basis of bandwidths and energy.
//!
//! Counts what the rules name: an operand in padding is not read; a weight tile is read whole; a softmax reads its input once. No time here.

use systole_machine::isa::{Instruction, Operation, Space, Unit, VectorOperand};
use systole_machine::spec::Machine;

/// On-chip memories, in the order of reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Memory {
    Activation = 0,
    Weight = 1,
    Accumulator = 2,
}

impl Memory {
    pub(super) const ALL: [Memory; 3] = [Memory::Activation, Memory::Weight, Memory::Accumulator];

    pub(super) fn name(self, machine: &Machine) -> &'static str {
        match self {
            Memory::Activation if machine.unified => "unified",
            Memory::Activation => "activation",
            Memory::Weight => "weight",
            Memory::Accumulator => "accumulator",
        }
    }

    /// Where weights are.
    fn of_weights(machine: &Machine) -> Memory {
        if machine.unified { Memory::Activation } else { Memory::Weight }
    }
}

/// What one instruction moves.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Moved {
    /// Bytes on the DRAM bus, whole bursts.
    pub(super) dram_read: u64,
    pub(super) dram_write: u64,
    /// Bytes by [`Memory`].
    pub(super) read: [u64; 3],
    pub(super) written: [u64; 3],
    /// Elements that the vector unit makes.
    pub(super) vector_elements: u64,
    /// Byte ranges `[first, end)` touched on chip.
    pub(super) touched: Vec<(Memory, u64, u64)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Transfer {
    row_bytes: u64,
    rows: u64,
    planes: u64,
    dram: [u64; 2],
    buffer: [u64; 2],
}

/// A window that walks over an image, one axis.
#[derive(Clone, Copy, Debug, Default)]
struct Axis {
    input: u64,
    output: u64,
    kernel: u64,
    stride: u64,
    dilation: u64,
    pad: u64,
}

impl Axis {
    /// Pairs of output and tap whose input lies inside the image.
    fn inside(&self) -> u64 {
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
struct Convolution {
    axes: [Axis; 2],
    pitch: [u64; 2],
    channels: u64,
    block_step: u64,
    packed: bool,
}

/// Registers of all units (M-3), as far as traffic depends on them.
#[derive(Debug)]
pub(super) struct Traffic<'a> {
    machine: &'a Machine,
    load: Transfer,
    store: Transfer,
    arrays: [Convolution; Unit::ARRAYS.len()],
    vector: [u64; 4],
    vector_pitch: [[u64; 2]; 3],
    pool: [Axis; 2],
}

impl<'a> Traffic<'a> {
    pub(super) fn new(machine: &'a Machine) -> Self {
        Traffic {
            machine,
            load: Transfer::default(),
            store: Transfer::default(),
            arrays: Default::default(),
            vector: [0; 4],
            vector_pitch: Default::default(),
            pool: Default::default(),
        }
    }

    /// Takes the next instruction of the program.
    pub(super) fn next(&mut self, instruction: &Instruction) -> Moved {
        let mut moved = Moved::default();
        match instruction.operation {
            Operation::LoadRun { dram, buffer, space } => {
                let weights = Memory::of_weights(self.machine);
                let memory = if space == Space::Weight { weights } else { Memory::Activation };
                moved.dram_read = self.bus_bytes(&self.load, dram.get());
                moved.written[memory as usize] = self.load.bytes();
                self.load.touch(memory, buffer.get(), &mut moved);
            }
            Operation::StoreRun { dram, buffer } => {
                moved.dram_write = self.bus_bytes(&self.store, dram.get());
                moved.read[Memory::Activation as usize] = self.store.bytes();
                self.store.touch(Memory::Activation, buffer.get(), &mut moved);
            }
            Operation::ArrayRun { activation, weight, accumulator, blocks, accumulate, .. } => {
                let at = [activation.get(), weight.get(), accumulator.get()];
                let run = self.arrays[number(&instruction.operation)];
                self.convolve(&run, at, blocks.get(), accumulate.0, &mut moved);
            }
            operation if vector_run(&operation).is_some() => self.vector_work(&operation, &mut moved),
            operation => self.configure(&operation),
        }
        moved
    }

    fn configure(&mut self, operation: &Operation) {
        match *operation {
            Operation::LoadShape { row_bytes, rows, planes } => {
                self.load.shape(row_bytes.get(), rows.get(), planes.get());
            }
            Operation::LoadDramPitch { row_pitch, plane_pitch } => {
                self.load.dram = [row_pitch.get(), plane_pitch.get()]
            }
            Operation::LoadBufferPitch { row_pitch, plane_pitch } => {
                self.load.buffer = [row_pitch.get(), plane_pitch.get()];
            }
            Operation::StoreShape { row_bytes, rows, planes } => {
                self.store.shape(row_bytes.get(), rows.get(), planes.get());
            }
            Operation::StoreDramPitch { row_pitch, plane_pitch } => {
                self.store.dram = [row_pitch.get(), plane_pitch.get()]
            }
            Operation::StoreBufferPitch { row_pitch, plane_pitch } => {
                self.store.buffer = [row_pitch.get(), plane_pitch.get()];
            }
            Operation::ArrayInput { .. } | Operation::ArrayWindow { .. } | Operation::ArrayOutput { .. } => {
                self.configure_array(operation);
            }
            _ => self.configure_vector(operation),
        }
    }

    fn configure_array(&mut self, operation: &Operation) {
        let array = &mut self.arrays[number(operation)];
        match *operation {
            Operation::ArrayInput { height, width, row_pitch, pixel_pitch, .. } => {
                (array.axes[0].input, array.axes[1].input) = (height.get(), width.get());
                array.pitch = [row_pitch.get(), pixel_pitch.get()];
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
                let [v, h] = &mut array.axes;
                (v.kernel, v.stride, v.dilation, v.pad) =
                    (kernel_h.get(), stride_h.get(), dilation_h.get(), pad_top.get());
                (h.kernel, h.stride, h.dilation, h.pad) =
                    (kernel_w.get(), stride_w.get(), dilation_w.get(), pad_left.get());
                array.packed = packed.0;
            }
            Operation::ArrayOutput { height, width, channels, block_step, .. } => {
                (array.axes[0].output, array.axes[1].output) = (height.get(), width.get());
                (array.channels, array.block_step) = (channels.get(), block_step.get());
            }
            _ => {}
        }
    }

    fn configure_vector(&mut self, operation: &Operation) {
        match *operation {
            Operation::VectorShape { height, width, channels, block_channels } => {
                self.vector = [height.get(), width.get(), channels.get(), block_channels.get()];
            }
            Operation::VectorPitch { operand, row_pitch, pixel_pitch, .. } => {
                let operand = match operand {
                    VectorOperand::A => 0,
                    VectorOperand::B => 1,
                    VectorOperand::Out => 2,
                };
                self.vector_pitch[operand] = [row_pitch.get(), pixel_pitch.get()];
            }
            Operation::VectorWindow {
                kernel_h,
                kernel_w,
                stride_h,
                stride_w,
                pad_top,
                pad_left,
                in_height,
                in_width,
                ..
            } => {
                let axis = |input, kernel, stride, pad| Axis { input, output: 0, kernel, stride, dilation: 1, pad };
                self.pool = [
                    axis(in_height.get(), kernel_h.get(), stride_h.get(), pad_top.get()),
                    axis(in_width.get(), kernel_w.get(), stride_w.get(), pad_left.get()),
                ];
            }
            _ => {}
        }
    }

    /// T-7: every burst that a row touches is on the bus as a whole.
    fn bus_bytes(&self, transfer: &Transfer, dram: u64) -> u64 {
        let burst = u64::from(self.machine.dram.burst_bytes()).max(1);
        let bursts = |address: u64| match transfer.row_bytes {
            0 => 0,
            bytes => (address + bytes - 1) / burst - address / burst + 1,
        };
        let aligned = transfer.dram.iter().all(|pitch| pitch.is_multiple_of(burst));
        if aligned {
            return transfer.planes * transfer.rows * bursts(dram) * burst;
        }
        let rows = (0..transfer.planes).flat_map(|plane| (0..transfer.rows).map(move |row| (plane, row)));
        rows.map(|(plane, row)| bursts(dram + plane * transfer.dram[1] + row * transfer.dram[0])).sum::<u64>() * burst
    }

    /// M-5.
    fn convolve(&self, run: &Convolution, at: [u64; 3], blocks: u64, accumulate: bool, moved: &mut Moved) {
        let Convolution { axes: [v, h], channels, .. } = run;
        let [activation, weight, accumulator] = at;
        let (rows, columns) = (u64::from(self.machine.array.rows), u64::from(self.machine.array.columns));
        let folds = v.kernel
            * if run.packed { (h.kernel * channels).div_ceil(rows) } else { h.kernel * channels.div_ceil(rows) };
        let pixels = v.output * h.output;
        let vector = self.machine.accumulator_vector_bytes();
        let weights = blocks * folds * rows * columns;
        moved.read[Memory::Activation as usize] = blocks * v.inside() * h.inside() * channels;
        let memory = Memory::of_weights(self.machine);
        moved.read[memory as usize] += weights;
        moved.read[Memory::Accumulator as usize] =
            blocks * pixels * (folds - u64::from(!accumulate && folds > 0)) * vector;
        moved.written[Memory::Accumulator as usize] = blocks * pixels * folds * vector;
        let extent = extent(v.input, h.input, run.pitch, *channels);
        for block in 0..blocks {
            let first = activation + block * run.block_step;
            moved.touched.push((Memory::Activation, first, first + extent));
        }
        moved.touched.push((memory, weight, weight + weights));
        moved.touched.push((Memory::Accumulator, accumulator * vector, (accumulator + blocks * pixels) * vector));
    }

    /// M-6, M-7.
    fn vector_work(&self, operation: &Operation, moved: &mut Moved) {
        let Some(run) = vector_run(operation) else { return };
        let [height, width, channels, block_channels] = self.vector;
        let elements = height * width * channels;
        let act = Memory::Activation as usize;
        moved.vector_elements = elements;
        moved.written[act] = elements;
        let mut touch = |memory, first: u64, bytes: u64| moved.touched.push((memory, first, first + bytes));
        touch(Memory::Activation, run.out, extent(height, width, self.vector_pitch[2], channels));
        if let Some(params) = run.params {
            let entries = run.tensors.unwrap_or(channels);
            touch(Memory::Activation, params, 8 * entries);
            moved.read[act] += 8 * entries;
        }
        if let Some(accumulator) = run.accumulator {
            let vector = self.machine.accumulator_vector_bytes();
            let vectors = channels.div_ceil(block_channels.max(1)) * height * width;
            touch(Memory::Accumulator, accumulator * vector, vectors * vector);
            moved.read[Memory::Accumulator as usize] = 4 * elements;
        }
        for (operand, address) in [run.a, run.b].into_iter().enumerate() {
            let Some(address) = address else { continue };
            let pitch = self.vector_pitch[operand];
            if run.pools {
                let [mut v, mut h] = self.pool;
                (v.output, h.output) = (height, width);
                moved.read[act] += v.inside() * h.inside() * channels;
                touch(Memory::Activation, address, extent(v.input, h.input, pitch, channels));
            } else {
                let tensors = run.tensors.unwrap_or(1);
                moved.read[act] += tensors * elements;
                touch(Memory::Activation, address, extent(tensors * height, width, pitch, channels));
            }
        }
    }
}

impl Transfer {
    fn shape(&mut self, row_bytes: u64, rows: u64, planes: u64) {
        (self.row_bytes, self.rows, self.planes) = (row_bytes, rows, planes);
    }

    fn bytes(&self) -> u64 {
        self.planes * self.rows * self.row_bytes
    }

    /// Its rows in a buffer; a plane of rows without gaps is one range.
    fn touch(&self, memory: Memory, buffer: u64, moved: &mut Moved) {
        let joined = self.buffer[0] <= self.row_bytes || self.rows <= 1;
        let (rows, bytes) = if joined {
            (1, self.rows.saturating_sub(1) * self.buffer[0] + self.row_bytes)
        } else {
            (self.rows, self.row_bytes)
        };
        for plane in 0..self.planes {
            for row in 0..rows {
                let first = buffer + plane * self.buffer[1] + row * self.buffer[0];
                moved.touched.push((memory, first, first + bytes));
            }
        }
    }
}

/// The array of an instruction, by number.
fn number(operation: &Operation) -> usize {
    operation.unit().array().unwrap_or(0)
}

/// M-9: bytes from an operand's first to its last.
fn extent(height: u64, width: u64, [row, pixel]: [u64; 2], channels: u64) -> u64 {
    height.saturating_sub(1) * row + width.saturating_sub(1) * pixel + channels
}

/// The addresses of a vector operation.
#[derive(Clone, Copy, Debug, Default)]
struct VectorRun {
    a: Option<u64>,
    b: Option<u64>,
    params: Option<u64>,
    accumulator: Option<u64>,
    out: u64,
    pools: bool,
    /// Tensors in a, of a sum of many.
    tensors: Option<u64>,
}

/// `None` for what is no vector operation.
fn vector_run(operation: &Operation) -> Option<VectorRun> {
    let run = VectorRun::default();
    Some(match *operation {
        Operation::VectorRequant { accumulator, params, out, .. } => {
            VectorRun { accumulator: Some(accumulator.get()), params: Some(params.get()), out: out.get(), ..run }
        }
        Operation::VectorAdd { a, b, out, .. } | Operation::VectorMul { a, b, out, .. } => {
            VectorRun { a: Some(a.get()), b: Some(b.get()), out: out.get(), ..run }
        }
        Operation::VectorAddChannel { a, params, out, .. }
        | Operation::VectorMulChannel { a, params, out, .. }
        | Operation::VectorAffine { a, params, out } => {
            VectorRun { a: Some(a.get()), params: Some(params.get()), out: out.get(), ..run }
        }
        Operation::VectorRescale { a, out, .. } | Operation::VectorSoftmax { a, out, .. } => {
            VectorRun { a: Some(a.get()), out: out.get(), ..run }
        }
        Operation::VectorLrn { a, out } => VectorRun { a: Some(a.get()), out: out.get(), ..run },
        Operation::VectorSum { a, params, out, operands } => VectorRun {
            a: Some(a.get()),
            params: Some(params.get()),
            tensors: Some(operands.get()),
            out: out.get(),
            ..run
        },
        Operation::VectorMaxPool { a, out } | Operation::VectorAveragePool { a, out, .. } => {
            VectorRun { a: Some(a.get()), out: out.get(), pools: true, ..run }
        }
        _ => return None,
    })
}

/// Bytes in the union of ranges.
pub(super) fn union(mut ranges: Vec<(u64, u64)>) -> u64 {
    ranges.sort_unstable();
    let mut bytes = 0;
    let mut covered = 0;
    for (first, end) in ranges {
        bytes += end.saturating_sub(first.max(covered));
        covered = covered.max(end);
    }
    bytes
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn unions_count_bytes_once() {
        assert_eq!(union(vec![(10, 20), (0, 5), (15, 30), (16, 17)]), 25);
        assert_eq!(union(vec![]), 0);
    }
}
