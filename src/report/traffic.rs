//! Bytes that instructions move (M-4 to M-7), bursts on the DRAM bus (T-7) and what they touch on chip (M-9): the basis of bandwidths and energy.
//!
//! Counts what the rules name: an operand in padding is not read; a weight tile is read whole; a softmax reads its input once. No time here.

mod convolution;
mod taps;

use systole_machine::isa::{Flag, Instruction, Operation, OutputFormat, RequantMode, Space, Unit, VectorOperand};
use systole_machine::spec::Machine;

use convolution::{Axis, Convolution};

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
    /// Bytes that a copy would have had on the bus beside these.
    pub(super) dram_saved: u64,
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
    /// Bytes of an element of a, b, out, less one.
    wide: [u64; 3],
    /// How results are stored (M-14).
    format: OutputFormat,
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
            wide: [0; 3],
            format: OutputFormat::Plain,
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
            Operation::LoadDecode { dram, buffer, bytes } => {
                let (memory, row) = (Memory::of_weights(self.machine), self.load.row_bytes);
                let of_row = |address, row_bytes| {
                    self.bus_bytes(&Transfer { row_bytes, rows: 1, planes: 1, ..Transfer::default() }, address)
                };
                moved.dram_read = of_row(dram.get(), bytes.get());
                // Copies would begin with a burst.
                moved.dram_saved = of_row(0, row).saturating_sub(moved.dram_read);
                moved.written[memory as usize] = row;
                moved.touched.push((memory, buffer.get(), buffer.get() + row));
            }
            Operation::StoreRun { dram, buffer } => {
                moved.dram_write = self.bus_bytes(&self.store, dram.get());
                moved.read[Memory::Activation as usize] = self.store.bytes();
                self.store.touch(Memory::Activation, buffer.get(), &mut moved);
            }
            operation @ Operation::ArrayRun { .. } => {
                self.arrays[number(&operation)].run(self.machine, &operation, &mut moved);
            }
            operation if taps::moves_taps(&operation) => self.taps_work(&operation, &mut moved),
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
            _ if operation.unit().array().is_some() => self.arrays[number(operation)].configure(operation),
            _ => self.configure_vector(operation),
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
            Operation::VectorFormat { out } => self.format = out,
            Operation::VectorQuant { wide_a, wide_b, wide_out, .. } => {
                self.wide = [wide_a, wide_b, wide_out].map(|wide| u64::from(wide.0));
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
                let dilation = self.pool.map(|axis| axis.dilation);
                let axis = |n: usize, input, kernel, stride, pad| Axis {
                    input,
                    output: 0,
                    kernel,
                    stride,
                    dilation: dilation[n].max(1),
                    pad,
                };
                self.pool = [
                    axis(0, in_height.get(), kernel_h.get(), stride_h.get(), pad_top.get()),
                    axis(1, in_width.get(), kernel_w.get(), stride_w.get(), pad_left.get()),
                ];
            }
            Operation::VectorDilation { dilation_h, dilation_w } => {
                self.pool[0].dilation = dilation_h.get().max(1);
                self.pool[1].dilation = dilation_w.get().max(1);
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

    /// M-6, M-7.
    fn vector_work(&self, operation: &Operation, moved: &mut Moved) {
        let Some(run) = vector_run(operation) else { return };
        let [height, width, channels, block_channels] = self.vector;
        let elements = height * width * channels;
        let [of_a, of_b, of_out] = self.wide.map(|wide| 1 + wide);
        let act = Memory::Activation as usize;
        moved.vector_elements = elements;
        let out_pixel = match self.format {
            OutputFormat::Binary => channels.div_ceil(8),
            OutputFormat::Sum => 4 * channels,
            OutputFormat::Plain | OutputFormat::Sign => of_out * channels,
        };
        moved.written[act] = height * width * out_pixel;
        let mut touch = |memory, first: u64, bytes: u64| moved.touched.push((memory, first, first + bytes));
        touch(Memory::Activation, run.out, extent(height, width, self.vector_pitch[2], out_pixel));
        if let Some(params) = run.params {
            let weights = if run.weights { self.pool.iter().map(|axis| axis.kernel).product() } else { 0 };
            let bytes = (record_bytes(operation) + weights) * run.tensors.unwrap_or(channels);
            touch(Memory::Activation, params, bytes);
            moved.read[act] += bytes;
        }
        if let Some(accumulator) = run.accumulator {
            let vector = self.machine.accumulator_vector_bytes();
            let columns = u64::from(self.machine.array.columns).max(1);
            let block = if is_transposed(operation) {
                (height * width).div_ceil(columns) * block_channels
            } else {
                height * width
            };
            let vectors = channels.div_ceil(block_channels.max(1)) * block;
            touch(Memory::Accumulator, accumulator * vector, vectors * vector);
            moved.read[Memory::Accumulator as usize] = self.machine.array.accumulator_bytes() * elements;
        }
        for (operand, (address, bytes)) in [(run.a, of_a), (run.b, of_b)].into_iter().enumerate() {
            let Some(address) = address else { continue };
            let pitch = self.vector_pitch[operand];
            if run.pools {
                let [mut v, mut h] = self.pool;
                (v.output, h.output) = (height, width);
                moved.read[act] += v.inside() * h.inside() * channels * bytes;
                touch(Memory::Activation, address, extent(v.input, h.input, pitch, bytes * channels));
            } else {
                let tensors = run.tensors.unwrap_or(1);
                moved.read[act] += tensors * elements * bytes;
                touch(Memory::Activation, address, extent(tensors * height, width, pitch, bytes * channels));
            }
        }
    }
}

/// ρ of M-7.
fn record_bytes(operation: &Operation) -> u64 {
    match operation {
        Operation::VectorRequant { mode: RequantMode::Fixed | RequantMode::FixedDouble, .. }
        | Operation::VectorDepthwise { mode: RequantMode::Fixed | RequantMode::FixedDouble, .. } => 12,
        Operation::VectorTable { .. } => 256,
        _ => 8,
    }
}

fn is_transposed(operation: &Operation) -> bool {
    matches!(operation, Operation::VectorRequant { transposed: Flag(true), .. })
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

/// M-9: bytes from an operand's first to its last; `bytes` are those of a pixel.
fn extent(height: u64, width: u64, [row, pixel]: [u64; 2], bytes: u64) -> u64 {
    height.saturating_sub(1) * row + width.saturating_sub(1) * pixel + bytes
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
    /// Weights of the window stand behind the records of parameters.
    weights: bool,
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
        // One record for all channels, as for one tensor.
        Operation::VectorTable { a, params, out, per_channel } => VectorRun {
            a: Some(a.get()),
            params: Some(params.get()),
            tensors: (!per_channel.0).then_some(1),
            out: out.get(),
            ..run
        },
        Operation::VectorMax { a, b, out, per_channel, .. }
        | Operation::VectorMin { a, b, out, per_channel, .. }
        | Operation::VectorDiv { a, b, out, per_channel } => VectorRun {
            a: Some(a.get()),
            b: (!per_channel.0).then_some(b.get()),
            params: per_channel.0.then_some(b.get()),
            out: out.get(),
            ..run
        },
        Operation::VectorSum { a, params, out, operands } => VectorRun {
            a: Some(a.get()),
            params: Some(params.get()),
            tensors: Some(operands.get()),
            out: out.get(),
            ..run
        },
        Operation::VectorMaxPool { a, out }
        | Operation::VectorArgMax { a, out }
        | Operation::VectorAveragePool { a, out, .. } => {
            VectorRun { a: Some(a.get()), out: out.get(), pools: true, ..run }
        }
        Operation::VectorDepthwise { a, params, out, .. } => VectorRun {
            a: Some(a.get()),
            params: Some(params.get()),
            out: out.get(),
            pools: true,
            weights: true,
            ..run
        },
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

    #[test]
    fn unions_count_bytes_once() {
        assert_eq!(union(vec![(10, 20), (0, 5), (15, 30), (16, 17)]), 25);
        assert_eq!(union(vec![]), 0);
    }
}
