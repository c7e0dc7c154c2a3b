//! Array instructions that fit (M-5).

use systole_machine::isa::{ActivationFormat, DataflowChoice, Flag, Operation, Unit, WeightFormat};
use systole_machine::spec::{Dataflow, Machine, Overflow};

use super::arrays_of;
use super::builder::{Builder, Limits, Piece, Tensor, i, u};
use super::footprint::{Access, Memory};

/// A convolution without its addresses.
#[derive(Clone)]
pub(super) struct Shape {
    kernel: (u64, u64),
    stride: (u64, u64),
    dilation: (u64, u64),
    pad: (u64, u64),
    packed: bool,
    input: (u64, u64),
    output: (u64, u64),
    channels: u64,
    tensor: Tensor,
    blocks: u64,
    block_step: u64,
    dataflow: DataflowChoice,
    /// N, input-stationary.
    outputs: u64,
    /// Activations of two bytes.
    wide: bool,
    /// Activations of one bit, whatever `wide` says.
    binary: bool,
    weights: WeightFormat,
}

impl Shape {
    /// Q of M-5.
    fn chunk(&self, machine: &Machine) -> u64 {
        let width = u64::from(machine.array.dot_product_width);
        if self.dataflow == DataflowChoice::OutputStationary { width } else { width * u64::from(machine.array.rows) }
    }

    /// blocks · F.
    fn chunks(&self, machine: &Machine) -> u64 {
        let (kernel_h, kernel_w) = self.kernel;
        let chunk = self.chunk(machine);
        let row = if self.packed {
            (kernel_w * self.channels).div_ceil(chunk)
        } else {
            kernel_w * self.channels.div_ceil(chunk)
        };
        self.blocks * kernel_h * row
    }

    fn pixels(&self) -> u64 {
        self.output.0 * self.output.1
    }

    /// Bytes of weights and accumulator vectors.
    fn sizes(&self, machine: &Machine) -> (u64, u64) {
        let columns = u64::from(machine.array.columns);
        let (chunks, chunk) = (self.chunks(machine), self.chunk(machine));
        let row = |weights: u64| (weights * u64::from(self.weights.bits())).div_ceil(8);
        if self.dataflow == DataflowChoice::InputStationary {
            let vectors = self.blocks * self.pixels().div_ceil(columns) * self.outputs;
            (chunks * self.outputs * row(chunk), vectors)
        } else {
            (chunks * chunk * row(columns), self.blocks * self.pixels())
        }
    }

    /// Bits whose rate the array has.
    fn width(&self) -> u32 {
        if self.wide && !self.binary { 16 } else { self.weights.bits() }
    }

    /// Folds, and the vectors or steps of one.
    fn folds(&self, machine: &Machine) -> (u64, u64) {
        let (rows, columns) = (u64::from(machine.array.rows), u64::from(machine.array.columns));
        let chunks = self.chunks(machine);
        match self.dataflow {
            DataflowChoice::WeightStationary => (chunks, self.pixels()),
            DataflowChoice::InputStationary => (chunks * self.pixels().div_ceil(columns), self.outputs),
            DataflowChoice::OutputStationary => (self.blocks * self.pixels().div_ceil(rows), chunks / self.blocks),
        }
    }

    /// Whether it takes no more than the budget, about.
    fn affordable(&self, machine: &Machine, limits: &Limits) -> bool {
        let (rows, columns) = (u64::from(machine.array.rows), u64::from(machine.array.columns));
        let width = u64::from(machine.array.dot_product_width);
        let ports = [&machine.activation, &machine.weight].map(|buffer| u64::from(buffer.port_bytes));
        let rate = machine.array.interval_cycles(self.width()).unwrap_or(1);
        let latency = u64::from(machine.array.pe_latency_cycles);
        let sums = (6 * columns).div_ceil(machine.accumulator.port_bytes.into());
        let bytes = if self.wide { 2 } else { 1 };
        let tile = rows * (bytes * columns * width).div_ceil(ports[0].min(ports[1])).max(latency);
        let beat = (bytes * rows * width).div_ceil(ports[0].min(ports[1])).max(sums).max(rate);
        let beat = if self.dataflow == DataflowChoice::OutputStationary { beat + tile / rows + rows } else { beat };
        let (folds, vectors) = self.folds(machine);
        let fold = tile + vectors * beat + rows * latency + columns + rows * sums;
        folds * fold <= limits.cycles && folds * vectors * rows * columns * width <= limits.steps
    }
}

/// A convolution for one of the arrays, or one for each, as if they shared a layer.
pub(super) fn array(b: &mut Builder) -> Vec<Piece> {
    let arrays = arrays_of(b.machine);
    let chosen = [b.draw.pick(arrays)];
    let each = arrays.len() > 1 && b.draw.chance(40);
    let units: &[Unit] = if each { arrays } else { &chosen };
    units.iter().filter_map(|unit| convolution(b, *unit)).collect()
}

/// A convolution; at times one like the array's last.
fn convolution(b: &mut Builder, unit: Unit) -> Option<Piece> {
    let number = unit.array().unwrap_or(0);
    if let Some((shape, configuration)) = b.last.array[number].clone()
        && b.draw.chance(40)
        && let Some(piece) = placed(b, unit, &shape, configuration)
    {
        return Some(piece);
    }
    for attempt in 0..10 {
        let shape = shape(b, attempt);
        if !shape.affordable(b.machine, &b.limits) {
            continue;
        }
        let configuration = configuration(b, number as u64, &shape);
        if let Some(piece) = placed(b, unit, &shape, configuration.clone()) {
            b.last.array[number] = Some((shape, configuration));
            return Some(piece);
        }
    }
    None
}

fn shape(b: &mut Builder, attempt: u64) -> Shape {
    let less = |most: u64| (most.saturating_sub(attempt / 2)).max(1);
    let rows = u64::from(b.machine.array.rows) * u64::from(b.machine.array.dot_product_width);
    let mut limits = b.limits;
    let dataflow = dataflow(b);
    let wide = wide(b);
    let (binary, weights) = formats(b, wide);
    let d = &mut b.draw;
    let outputs = match () {
        () if dataflow == DataflowChoice::InputStationary => d.range(1, less(2 * u64::from(b.machine.array.columns))),
        () => d.range(0, 65535),
    };
    // Deep and narrow, or wide and shallow.
    let deep = limits.channels > 100 && d.chance(50);
    if deep {
        limits.side = 4;
    }
    let kernel = if deep { (d.range(1, 3), d.range(1, 3)) } else { (d.small(1, less(4)), d.small(1, less(4))) };
    let stride = (d.small(1, 3), d.small(1, 3));
    let packed = d.chance(35);
    let dilation = (d.small(1, 3), if packed { 1 } else { d.small(1, 3) });
    let pad = if d.chance(50) { (0, 0) } else { (d.small(0, 3), d.small(0, 3)) };
    let most_channels = match attempt {
        _ if deep => limits.channels,
        0..6 => (2 * rows + 3).min(limits.channels),
        _ => rows,
    };
    let mut channels = d.range(if deep { 100 } else { 1 }, most_channels);
    if binary && packed {
        channels = channels.next_multiple_of(8);
    }
    let input = (d.range(1, less(limits.side)), d.range(1, less(limits.side)));
    let output = (d.range(1, less(limits.side - 1)), d.range(1, less(limits.side - 1)));
    let blocks = d.small(1, less(4));
    let bytes = match () {
        () if binary => channels.div_ceil(8),
        () if wide => 2 * channels,
        () => channels,
    };
    let mut tensor = b.tensor(input.0, input.1, bytes);
    if packed {
        tensor.pixel_pitch = bytes;
        tensor.row_pitch = tensor.row_pitch.max(input.1 * bytes);
        tensor.extent = (input.0 - 1) * tensor.row_pitch + input.1 * bytes;
    }
    // With holes between blocks, where others may work, or without.
    let hole = if b.draw.chance(30) { tensor.extent } else { 0 };
    let block_step = if b.draw.chance(30) { 0 } else { hole + b.draw.small(0, 40) };
    Shape {
        kernel,
        stride,
        dilation,
        pad,
        packed,
        input,
        output,
        channels,
        tensor,
        blocks,
        block_step,
        dataflow,
        outputs,
        wide,
        binary,
        weights,
    }
}

/// Whether activations are bits, and how weights are stored: what the machine lists.
fn formats(b: &mut Builder, wide: bool) -> (bool, WeightFormat) {
    let lists = |bits| b.machine.array.interval_cycles(bits).is_some();
    let packed = |format: &WeightFormat| format.bits() < 8 && lists(format.bits());
    let packed: Vec<WeightFormat> = WeightFormat::ALL.iter().copied().filter(packed).collect();
    let (bytes, bits) = (lists(8), lists(1));
    let weights = if packed.is_empty() || b.draw.chance(35) { WeightFormat::Byte } else { b.draw.pick(&packed) };
    // Bits beside weights of bytes need 8 bits, which wide activations alone do not.
    let binary = bits && (bytes || weights != WeightFormat::Byte || !wide) && b.draw.chance(50);
    (binary, weights)
}

/// Whether activations have two bytes; the machine lists one width or both.
fn wide(b: &mut Builder) -> bool {
    let lists = |bits| b.machine.array.interval_cycles(bits).is_some();
    lists(16) && (!lists(8) || b.draw.chance(50))
}

/// One that the machine lists.
fn dataflow(b: &mut Builder) -> DataflowChoice {
    match b.draw.pick(&b.machine.array.dataflows) {
        Dataflow::WeightStationary => DataflowChoice::WeightStationary,
        Dataflow::OutputStationary => DataflowChoice::OutputStationary,
        Dataflow::InputStationary => DataflowChoice::InputStationary,
    }
}

fn placed(b: &mut Builder, unit: Unit, shape: &Shape, configuration: Vec<Operation>) -> Option<Piece> {
    let (weights, vectors) = shape.sizes(b.machine);
    let input = (shape.blocks - 1) * shape.block_step + shape.tensor.extent;
    let activation = b.place(unit, Memory::Activation, input)?;
    let weight = b.place(unit, super::weights(b.machine), weights)?;
    let accumulator = b.place(unit, Memory::Accumulator, vectors)?;
    let mut accesses: Vec<Access> = (0..shape.blocks)
        .map(|block| Access::new(Memory::Activation, false, activation + block * shape.block_step, shape.tensor.extent))
        .collect();
    let weights = Access::new(super::weights(b.machine), false, weight, weights);
    note_bank(b, shape.dataflow, &accesses, &weights);
    accesses.push(weights);
    accesses.push(Access::new(Memory::Accumulator, true, accumulator, vectors));
    let accumulate = b.draw.chance(35);
    let number = unit.array().unwrap_or(0);
    note(b, number, shape, accumulate);
    let run = Operation::ArrayRun {
        activation: u(activation),
        weight: u(weight),
        accumulator: u(accumulator),
        blocks: u(shape.blocks),
        accumulate: Flag(accumulate),
        dataflow: shape.dataflow,
        array: u(number as u64),
    };
    Some(Piece { configuration, run, accesses })
}

fn configuration(b: &mut Builder, array: u64, shape: &Shape) -> Vec<Operation> {
    let d = &mut b.draw;
    let wild = d.chance(5);
    let mut zero = || match () {
        () if wild => d.signed(-32768, 32767),
        () if d.chance(40) => 0,
        () => d.signed(-128, 255),
    };
    let (mut zero_activation, zero_weight) = (zero(), zero());
    if shape.wide && d.chance(40) {
        zero_activation = 0;
    }
    vec![
        Operation::ArrayInput {
            height: u(shape.input.0),
            width: u(shape.input.1),
            row_pitch: u(shape.tensor.row_pitch),
            pixel_pitch: u(shape.tensor.pixel_pitch),
            array: u(array),
        },
        Operation::ArrayWindow {
            kernel_h: u(shape.kernel.0),
            kernel_w: u(shape.kernel.1),
            stride_h: u(shape.stride.0),
            stride_w: u(shape.stride.1),
            dilation_h: u(shape.dilation.0),
            dilation_w: u(shape.dilation.1),
            pad_top: u(shape.pad.0),
            pad_left: u(shape.pad.1),
            packed: Flag(shape.packed),
            array: u(array),
        },
        Operation::ArrayOutput {
            height: u(shape.output.0),
            width: u(shape.output.1),
            channels: u(shape.channels),
            block_step: u(shape.block_step),
            outputs: u(shape.outputs),
            array: u(array),
        },
        Operation::ArrayQuant {
            zero_activation: i(zero_activation),
            zero_weight: i(zero_weight),
            signed_activation: Flag(d.chance(50)),
            signed_weight: Flag(d.chance(70)),
            wide_activation: Flag(shape.wide),
            array: u(array),
        },
        Operation::ArrayFormats {
            weight: shape.weights,
            activation: if shape.binary { ActivationFormat::Binary } else { ActivationFormat::Byte },
            array: u(array),
        },
    ]
}

/// T-5: whether some bank holds both operands.
fn note_bank(b: &mut Builder, dataflow: DataflowChoice, activations: &[Access], weights: &Access) {
    let bank = b.machine.activation.bank_bytes();
    let banks = |access: &Access| (access.first / bank, (access.end - 1) / bank);
    let own = banks(weights);
    let one = activations.iter().map(banks).any(|other| other.0 <= own.1 && own.0 <= other.1);
    let shadowed = b.machine.array.weight_registers == 2;
    let name = match (dataflow, shadowed) {
        _ if !b.machine.unified => return,
        _ if !one => "one memory: operands in different banks",
        (DataflowChoice::WeightStationary, false) => "one bank: weight-stationary, 1 register",
        (DataflowChoice::WeightStationary, true) => "one bank: weight-stationary, 2 registers",
        (DataflowChoice::OutputStationary, false) => "one bank: output-stationary, 1 register",
        (DataflowChoice::OutputStationary, true) => "one bank: output-stationary, 2 registers",
        (DataflowChoice::InputStationary, false) => "one bank: input-stationary, 1 register",
        (DataflowChoice::InputStationary, true) => "one bank: input-stationary, 2 registers",
    };
    b.notes.insert(name);
}

fn note(b: &mut Builder, number: usize, shape: &Shape, accumulate: bool) {
    let rows = shape.chunk(b.machine);
    let (columns, height) = (u64::from(b.machine.array.columns), u64::from(b.machine.array.rows));
    let (folds, vectors) = shape.folds(b.machine);
    let flows = |dataflow| shape.dataflow == dataflow;
    let changes = b.last.dataflow[number].replace(shape.dataflow).is_some_and(|last| last != shape.dataflow);
    let array = &b.machine.array;
    let (under, bits) = (shape.weights.bits() < 8, u64::from(shape.weights.bits()));
    let run = shape.channels * if shape.packed { shape.kernel.1 } else { 1 };
    let all = [
        ("array: several taps packed", shape.packed && shape.kernel.1 > 1),
        ("array: unpacked taps", !shape.packed && shape.kernel.1 > 1),
        ("array: padding", shape.pad != (0, 0)),
        ("array: stride", shape.stride != (1, 1)),
        ("array: dilation", shape.dilation != (1, 1)),
        ("array: several chunks", run > rows),
        ("array: last chunk short", run > rows && !run.is_multiple_of(rows)),
        ("array: several blocks", shape.blocks > 1),
        ("array: several folds", folds > 1),
        ("array: output-stationary", flows(DataflowChoice::OutputStationary)),
        (
            "array: output-stationary, last group short",
            flows(DataflowChoice::OutputStationary) && !shape.pixels().is_multiple_of(height),
        ),
        ("array: input-stationary", flows(DataflowChoice::InputStationary)),
        (
            "array: input-stationary, last group short",
            flows(DataflowChoice::InputStationary) && !shape.pixels().is_multiple_of(columns),
        ),
        ("array: another dataflow than before", changes),
        ("array: dot products", array.dot_product_width > 1),
        ("array: slow PEs", array.pe_latency_cycles > 1),
        ("array: reduced rate", shape.width() == 8 && array.interval_cycles(8) > Some(1)),
        ("array: wide activations", shape.wide),
        ("array: wide activations alone", array.interval_cycles(8).is_none()),
        ("array: wide at a rate of its own", shape.wide && array.interval_cycles(8) != array.interval_cycles(16)),
        ("array: wide, packed", shape.wide && shape.packed),
        ("array: wide, output-stationary", shape.wide && flows(DataflowChoice::OutputStationary)),
        ("array: wide, input-stationary", shape.wide && flows(DataflowChoice::InputStationary)),
        ("array: i4 weights", shape.weights == WeightFormat::Int4),
        ("array: i2 weights", shape.weights == WeightFormat::Int2),
        ("array: l2 weights", shape.weights == WeightFormat::Levels),
        ("array: b1 weights", shape.weights == WeightFormat::Binary),
        ("array: b1 activations", shape.binary),
        ("array: b1 activations, packed", shape.binary && shape.packed),
        ("array: b1 weights and activations", shape.binary && shape.weights == WeightFormat::Binary),
        ("array: weights under 8 bits, output-stationary", under && flows(DataflowChoice::OutputStationary)),
        ("array: weights under 8 bits, input-stationary", under && flows(DataflowChoice::InputStationary)),
        ("array: weights under 8 bits, wide activations", under && shape.wide && !shape.binary),
        ("array: rows of weights that end within a byte", under && !(columns * bits).is_multiple_of(8)),
        ("array: narrow sums", array.accumulator_bits < 32),
        ("array: wide sums", array.accumulator_bits > 32),
        ("array: saturating sums", array.overflow == Overflow::Saturate),
        ("array: accumulate", accumulate),
        ("array: large product", folds * vectors * u64::from(array.dot_product_width) * height * columns > 1_000_000),
        ("array: long reduction", run * shape.kernel.0 * if shape.packed { 1 } else { shape.kernel.1 } > 600),
    ];
    b.notes.extend(all.iter().filter(|entry| entry.1).map(|entry| entry.0));
}
