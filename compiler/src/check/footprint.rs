//! The bytes that an instruction touches (M-9), from its fields and the registers before it.

use systole_machine::isa::{
    ActivationFormat, DataflowChoice, Operation, OutputFormat, RequantMode, Space, Unit, VectorOperand, WeightFormat,
};
use systole_machine::spec::Machine;

use crate::schedule::Memory;

/// Bytes (accumulators: vectors) touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) memory: Memory,
    pub(super) first: u64,
    pub(super) end: u64,
    pub(super) write: bool,
}

/// Rows of a DMA run.
#[derive(Clone, Copy, Debug, Default)]
struct Dma {
    row_bytes: u64,
    rows: u64,
    planes: u64,
    dram: [u64; 2],
    buffer: [u64; 2],
}

/// Registers of an array.
#[derive(Clone, Copy, Debug, Default)]
struct Array {
    /// Input height, width, row pitch, pixel pitch.
    input: [u64; 4],
    /// Kernel height, width; packed.
    window: [u64; 3],
    /// Output height, width, channels, block step, outputs.
    output: [u64; 5],
    /// Bytes of an element of the input, less one.
    wide: u64,
    formats: (WeightFormat, ActivationFormat),
}

/// All registers of all units.
#[derive(Debug)]
pub(super) struct Registers {
    array_rows: u64,
    array_columns: u64,
    dot_product_width: u64,
    /// Where weights are: in the one memory, or in their buffer.
    weights: Memory,
    load: Dma,
    store: Dma,
    arrays: [Array; Unit::ARRAYS.len()],
    /// Height, width, channels, block channels.
    shape: [u64; 4],
    /// Row and pixel pitch of a, b, out.
    pitch: [[u64; 2]; 3],
    /// Bytes of an element of a, b, out.
    element: [u64; 3],
    /// How results are stored.
    format: OutputFormat,
    /// Pooling input height, width.
    pool_input: [u64; 2],
    /// Taps of a window.
    taps: u64,
}

impl Registers {
    pub(super) fn new(machine: &Machine) -> Self {
        Registers {
            array_rows: u64::from(machine.array.rows),
            array_columns: u64::from(machine.array.columns),
            dot_product_width: u64::from(machine.array.dot_product_width),
            weights: if machine.unified { Memory::Activation } else { Memory::Weight },
            load: Dma::default(),
            store: Dma::default(),
            arrays: Default::default(),
            shape: [0; 4],
            pitch: [[0; 2]; 3],
            element: [1; 3],
            format: OutputFormat::Plain,
            pool_input: [0; 2],
            taps: 0,
        }
    }

    /// Sets registers, or gives the footprint of a run; reads before writes.
    pub(super) fn step(&mut self, operation: &Operation) -> Vec<Range> {
        let array = &mut self.arrays[operation.unit().array().unwrap_or(0)];
        match *operation {
            Operation::LoadShape { row_bytes, rows, planes } => {
                (self.load.row_bytes, self.load.rows, self.load.planes) = (row_bytes.get(), rows.get(), planes.get());
            }
            Operation::StoreShape { row_bytes, rows, planes } => {
                (self.store.row_bytes, self.store.rows, self.store.planes) =
                    (row_bytes.get(), rows.get(), planes.get());
            }
            Operation::LoadDramPitch { row_pitch, plane_pitch } => {
                self.load.dram = [row_pitch.get(), plane_pitch.get()]
            }
            Operation::StoreDramPitch { row_pitch, plane_pitch } => {
                self.store.dram = [row_pitch.get(), plane_pitch.get()]
            }
            Operation::LoadBufferPitch { row_pitch, plane_pitch } => {
                self.load.buffer = [row_pitch.get(), plane_pitch.get()]
            }
            Operation::StoreBufferPitch { row_pitch, plane_pitch } => {
                self.store.buffer = [row_pitch.get(), plane_pitch.get()];
            }
            Operation::ArrayInput { height, width, row_pitch, pixel_pitch, .. } => {
                array.input = [height.get(), width.get(), row_pitch.get(), pixel_pitch.get()];
            }
            Operation::ArrayWindow { kernel_h, kernel_w, packed, .. } => {
                array.window = [kernel_h.get(), kernel_w.get(), u64::from(packed.0)];
            }
            Operation::ArrayOutput { height, width, channels, block_step, outputs, .. } => {
                array.output = [height.get(), width.get(), channels.get(), block_step.get(), outputs.get()];
            }
            Operation::ArrayQuant { wide_activation, .. } => array.wide = u64::from(wide_activation.0),
            Operation::ArrayFormats { weight, activation, .. } => array.formats = (weight, activation),
            Operation::VectorFormat { out } => self.format = out,
            Operation::VectorQuant { wide_a, wide_b, wide_out, .. } => {
                self.element = [wide_a, wide_b, wide_out].map(|wide| 1 + u64::from(wide.0));
            }
            Operation::VectorShape { height, width, channels, block_channels } => {
                self.shape = [height.get(), width.get(), channels.get(), block_channels.get()];
            }
            Operation::VectorPitch { operand, row_pitch, pixel_pitch } => {
                self.pitch[operand as usize] = [row_pitch.get(), pixel_pitch.get()];
            }
            Operation::VectorWindow { kernel_h, kernel_w, in_height, in_width, .. } => {
                self.pool_input = [in_height.get(), in_width.get()];
                self.taps = kernel_h.get() * kernel_w.get();
            }
            _ => return self.run(operation),
        }
        vec![]
    }

    fn run(&self, operation: &Operation) -> Vec<Range> {
        match *operation {
            Operation::LoadRun { dram, buffer, space } => {
                let to = if space == Space::Weight { self.weights } else { Memory::Activation };
                let mut ranges = rows(&self.load, Memory::Dram, dram.get(), self.load.dram, false);
                ranges.extend(rows(&self.load, to, buffer.get(), self.load.buffer, true));
                ranges
            }
            Operation::LoadDecode { dram, buffer, bytes } => vec![
                range(Memory::Dram, dram.get(), bytes.get(), false),
                range(self.weights, buffer.get(), self.load.row_bytes, true),
            ],
            Operation::StoreRun { dram, buffer } => {
                let mut ranges = rows(&self.store, Memory::Activation, buffer.get(), self.store.buffer, false);
                ranges.extend(rows(&self.store, Memory::Dram, dram.get(), self.store.dram, true));
                ranges
            }
            Operation::ArrayRun { activation, weight, accumulator, blocks, accumulate, dataflow, .. } => {
                let addresses = [activation.get(), weight.get(), accumulator.get()];
                let array = &self.arrays[operation.unit().array().unwrap_or(0)];
                self.array(array, addresses, blocks.get(), accumulate.0, dataflow)
            }
            _ => self.vector(operation),
        }
    }

    fn array(
        &self,
        registers: &Array,
        [activation, weight, accumulator]: [u64; 3],
        blocks: u64,
        accumulate: bool,
        dataflow: DataflowChoice,
    ) -> Vec<Range> {
        let [height, width, row_pitch, pixel_pitch] = registers.input;
        let [out_height, out_width, channels, step, outputs] = registers.output;
        let [kernel_h, kernel_w, packed] = registers.window;
        let pixels = out_height * out_width;
        let whole = self.array_rows * self.dot_product_width;
        // Elements of a chunk, rows of its weights and weights of a row, accumulator vectors of a block.
        let (chunk, weights, vectors) = match dataflow {
            DataflowChoice::WeightStationary => (whole, [whole, self.array_columns], pixels),
            DataflowChoice::OutputStationary => {
                (self.dot_product_width, [self.dot_product_width, self.array_columns], pixels)
            }
            DataflowChoice::InputStationary => (whole, [outputs, whole], pixels.div_ceil(self.array_columns) * outputs),
        };
        let folds = kernel_h
            * if packed != 0 { (kernel_w * channels).div_ceil(chunk) } else { kernel_w * channels.div_ceil(chunk) };
        let pixel = match registers.formats.1 {
            ActivationFormat::Binary => channels.div_ceil(8),
            ActivationFormat::Byte => (1 + registers.wide) * channels,
        };
        let bytes = (height - 1) * row_pitch + (width - 1) * pixel_pitch + pixel;
        let mut ranges: Vec<Range> = (0..if step == 0 { 1 } else { blocks })
            .map(|block| range(Memory::Activation, activation + block * step, bytes, false))
            .collect();
        let [rows, lanes] = weights;
        let row = (lanes * u64::from(registers.formats.0.bits())).div_ceil(8);
        ranges.push(range(self.weights, weight, blocks * folds * rows * row, false));
        if accumulate {
            ranges.push(range(Memory::Accumulator, accumulator, blocks * vectors, false));
        }
        ranges.push(range(Memory::Accumulator, accumulator, blocks * vectors, true));
        ranges
    }

    fn vector(&self, operation: &Operation) -> Vec<Range> {
        let [height, width, channels, block] = self.shape;
        let of_elements = |address: u64, which: VectorOperand, [h, w]: [u64; 2], elements: u64, write| {
            let [row, pixel] = self.pitch[which as usize];
            let own = match (which, self.format) {
                (VectorOperand::Out, OutputFormat::Binary) => channels.div_ceil(8),
                (VectorOperand::Out, OutputFormat::Sum) => 4 * elements,
                _ => self.element[which as usize] * elements,
            };
            let bytes = (h - 1) * row + (w - 1) * pixel + own;
            range(Memory::Activation, address, bytes, write)
        };
        let tensor = |address, which, size, write| of_elements(address, which, size, channels, write);
        let image = [height, width];
        let a = |address: u64| tensor(address, VectorOperand::A, image, false);
        let b = |address: u64| tensor(address, VectorOperand::B, image, false);
        let out = |address: u64| tensor(address, VectorOperand::Out, image, true);
        let params = |address: u64| range(Memory::Activation, address, 8 * channels, false);
        let pooled = |address: u64| tensor(address, VectorOperand::A, self.pool_input, false);
        match *operation {
            Operation::VectorRequant { accumulator, params: table, out: to, mode, transposed } => {
                let pixels = height * width;
                let vectors = if transposed.0 { pixels.div_ceil(self.array_columns) * block } else { pixels };
                let sums = channels.div_ceil(block) * vectors;
                let records = range(Memory::Activation, table.get(), record(mode) * channels, false);
                vec![range(Memory::Accumulator, accumulator.get(), sums, false), records, out(to.get())]
            }
            Operation::VectorAdd { a: x, b: y, out: to, .. } | Operation::VectorMul { a: x, b: y, out: to, .. } => {
                vec![a(x.get()), b(y.get()), out(to.get())]
            }
            Operation::VectorAddChannel { a: x, params: table, out: to, .. }
            | Operation::VectorMulChannel { a: x, params: table, out: to, .. }
            | Operation::VectorAffine { a: x, params: table, out: to } => {
                vec![a(x.get()), params(table.get()), out(to.get())]
            }
            Operation::VectorTable { a: x, params: table, out: to, per_channel } => {
                let tables = if per_channel.0 { channels } else { 1 };
                vec![a(x.get()), range(Memory::Activation, table.get(), 256 * tables, false), out(to.get())]
            }
            Operation::VectorMax { a: x, b: y, out: to, per_channel, .. }
            | Operation::VectorMin { a: x, b: y, out: to, per_channel, .. }
            | Operation::VectorDiv { a: x, b: y, out: to, per_channel } => {
                let second = if per_channel.0 { params(y.get()) } else { b(y.get()) };
                vec![a(x.get()), second, out(to.get())]
            }
            Operation::VectorSum { a: x, params: table, out: to, operands } => {
                let rows = [operands.get() * height, width];
                let table = range(Memory::Activation, table.get(), 8 * operands.get(), false);
                vec![tensor(x.get(), VectorOperand::A, rows, false), table, out(to.get())]
            }
            Operation::VectorRescale { a: x, out: to, .. }
            | Operation::VectorSoftmax { a: x, out: to }
            | Operation::VectorLrn { a: x, out: to } => {
                vec![a(x.get()), out(to.get())]
            }
            Operation::VectorMaxPool { a: x, out: to }
            | Operation::VectorArgMax { a: x, out: to }
            | Operation::VectorResize { a: x, out: to }
            | Operation::VectorAveragePool { a: x, out: to, .. } => {
                vec![pooled(x.get()), out(to.get())]
            }
            Operation::VectorGather { a: x, b: y, out: to } => {
                let offsets = of_elements(y.get(), VectorOperand::B, image, 2 * self.taps, false);
                let samples = of_elements(to.get(), VectorOperand::Out, image, self.taps * channels, true);
                vec![pooled(x.get()), offsets, samples]
            }
            Operation::VectorUnpool { a: x, b: y, out: to } => {
                let switches = tensor(y.get(), VectorOperand::B, self.pool_input, false);
                vec![pooled(x.get()), switches, out(to.get())]
            }
            Operation::VectorDepthwise { a: x, params: table, out: to, mode } => {
                let bytes = (record(mode) + self.taps) * channels;
                vec![pooled(x.get()), range(Memory::Activation, table.get(), bytes, false), out(to.get())]
            }
            _ => vec![],
        }
    }
}

/// ρ of sums.
fn record(mode: RequantMode) -> u64 {
    if matches!(mode, RequantMode::Fixed | RequantMode::FixedDouble) { 12 } else { 8 }
}

fn range(memory: Memory, first: u64, count: u64, write: bool) -> Range {
    Range { memory, first, end: first + count, write }
}

/// Neighbouring rows are joined.
fn rows(dma: &Dma, memory: Memory, address: u64, pitch: [u64; 2], write: bool) -> Vec<Range> {
    let mut ranges: Vec<Range> = vec![];
    for plane in 0..dma.planes {
        for row in 0..dma.rows {
            let first = address + plane * pitch[1] + row * pitch[0];
            match ranges.last_mut() {
                Some(last) if last.end == first => last.end += dma.row_bytes,
                _ => ranges.push(range(memory, first, dma.row_bytes, write)),
            }
        }
    }
    ranges
}
