//! Vector instructions that fit (M-6, M-7).

use systole_machine::isa::{Flag, Operation, Real, RequantMode, Unit, VectorOperand};
use systole_machine::spec::{Machine, Requantisation};

use super::builder::{Builder, Piece, Table, Tensor, i, u};
use super::footprint::{Access, Memory};
use super::{parameters, transfers};

/// Operations.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Requant,
    Add,
    Mul,
    AddChannel,
    MulChannel,
    Affine,
    Rescale,
    MaxPool,
    AveragePool,
    Softmax,
    Lrn,
    Sum,
    Depthwise,
}

impl Kind {
    fn pools(self) -> bool {
        matches!(self, Kind::MaxPool | Kind::AveragePool | Kind::Depthwise)
    }

    /// Whether it scales by the rules of a field `mode`.
    fn has_mode(self) -> bool {
        !matches!(self, Kind::Affine | Kind::MaxPool | Kind::Softmax | Kind::Lrn | Kind::Sum)
    }

    /// The operands whose integer scalings it reads.
    fn scaled(self) -> &'static [VectorOperand] {
        match self {
            Kind::Add | Kind::AddChannel => VectorOperand::ALL,
            Kind::Mul | Kind::MulChannel | Kind::Rescale => &[VectorOperand::Out],
            _ => &[],
        }
    }

    /// The table of parameters that it takes ([`Builder::tables`]).
    fn table(self, mode: RequantMode) -> Option<usize> {
        match self {
            Kind::Requant | Kind::Depthwise => Some(match mode {
                RequantMode::Float32 => 0,
                RequantMode::Fixed | RequantMode::FixedDouble => 4,
                RequantMode::Shift => 5,
            }),
            Kind::Affine => Some(1),
            Kind::AddChannel | Kind::MulChannel => Some(2),
            Kind::Sum => Some(3),
            _ => None,
        }
    }
}

const KINDS: [(u64, Kind); 13] = [
    (30, Kind::Requant),
    (10, Kind::Add),
    (10, Kind::Mul),
    (8, Kind::AddChannel),
    (8, Kind::MulChannel),
    (8, Kind::Affine),
    (8, Kind::Rescale),
    (10, Kind::MaxPool),
    (10, Kind::AveragePool),
    (8, Kind::Softmax),
    (10, Kind::Lrn),
    (12, Kind::Sum),
    (16, Kind::Depthwise),
];

/// A pooling window.
#[derive(Clone, Copy)]
pub(super) struct Window {
    kernel: (u64, u64),
    stride: (u64, u64),
    pad: [u64; 4],
    input: (u64, u64),
    /// As the register has it.
    dilation: (u64, u64),
}

/// An operation without its addresses.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    kind: Kind,
    mode: RequantMode,
    /// Whether elements of a, b and the output have two bytes.
    wide: [bool; 3],
    height: u64,
    width: u64,
    channels: u64,
    block_channels: u64,
    /// Accumulator vectors of pixels.
    transposed: bool,
    window: Window,
    /// Tensors of a sum.
    operands: u64,
    /// Channels of a normalisation's window.
    norm: u64,
}

impl Shape {
    /// Height and width of operand a.
    fn input(&self) -> (u64, u64) {
        match self.kind {
            kind if kind.pools() => self.window.input,
            Kind::Sum => (self.operands * self.height, self.width),
            _ => (self.height, self.width),
        }
    }

    /// Records of parameters.
    fn entries(&self) -> u64 {
        if self.kind == Kind::Sum { self.operands } else { self.channels }
    }

    /// Bytes of parameters; those of weights are whatever lies behind the records.
    fn parameter_bytes(&self, record: u64) -> u64 {
        let weights = if self.kind == Kind::Depthwise { self.window.kernel.0 * self.window.kernel.1 } else { 0 };
        (record + weights) * self.entries()
    }

    /// Operands a, b, out that it has.
    fn used(&self) -> [bool; 3] {
        [self.kind != Kind::Requant, matches!(self.kind, Kind::Add | Kind::Mul), true]
    }

    fn affordable(&self, b: &Builder) -> bool {
        let bytes = if self.wide.contains(&true) { 2 } else { 1 };
        let rate = u64::from(b.machine.vector.lanes.min(b.machine.activation.port_bytes / bytes).max(1));
        let (pixels, taps) = (self.height * self.width, self.window.kernel.0 * self.window.kernel.1);
        let cycles = match self.kind {
            // At most a cycle for each result of a turn.
            Kind::Depthwise => pixels * self.channels.div_ceil(rate) * taps.max(rate),
            kind if kind.pools() => pixels * self.channels * taps / rate,
            Kind::Sum => pixels * self.channels * self.operands / rate,
            Kind::Lrn => pixels * self.channels * (self.norm + 2) / rate,
            _ => pixels * self.channels / rate,
        };
        cycles <= b.limits.cycles
    }
}

/// A vector operation that the machine has, with a load of its parameters before it, where there is one.
pub(super) fn vector(b: &mut Builder, even_unsupported: bool) -> Option<Vec<Piece>> {
    if let Some((shape, tensors, configuration)) = b.last.vector.clone()
        && b.draw.chance(30)
        && let Some(pieces) = placed(b, &shape, &tensors, configuration)
    {
        return Some(pieces);
    }
    for attempt in 0..10 {
        let (kind, mode) = kind_and_mode(b, even_unsupported);
        let shape = shape(b, (kind, mode), attempt);
        if !shape.affordable(b) {
            continue;
        }
        let tensors = tensors(b, &shape);
        let configuration = configuration(b, &shape, &tensors);
        if let Some(pieces) = placed(b, &shape, &tensors, configuration.clone()) {
            b.last.vector = Some((shape, tensors, configuration));
            return Some(pieces);
        }
    }
    None
}

/// The mode of integer scalings that the machine has.
pub(super) fn own_mode(machine: &Machine) -> Option<RequantMode> {
    match machine.vector.requantisation {
        Requantisation::Float32 => None,
        Requantisation::FixedPoint { double_rounding: false, .. } => Some(RequantMode::Fixed),
        Requantisation::FixedPoint { double_rounding: true, .. } => Some(RequantMode::FixedDouble),
        Requantisation::Shift => Some(RequantMode::Shift),
    }
}

/// One that the machine has, or at times any.
fn kind_and_mode(b: &mut Builder, even_unsupported: bool) -> (Kind, RequantMode) {
    if even_unsupported && b.draw.chance(15) {
        return (b.draw.weighted(&KINDS), b.draw.pick(RequantMode::ALL));
    }
    let (float, own) = (b.machine.vector.float32, own_mode(b.machine));
    let depthwise = b.machine.vector.depthwise;
    let has = |kind: Kind| {
        let computes = kind == Kind::MaxPool || float || (kind.has_mode() && own.is_some());
        computes && (depthwise || kind != Kind::Depthwise)
    };
    let kinds: Vec<(u64, Kind)> = KINDS.into_iter().filter(|(_, kind)| has(*kind)).collect();
    let kind = b.draw.weighted(&kinds);
    let mode = match own {
        Some(own) if kind.has_mode() && (!float || b.draw.chance(75)) => own,
        _ => RequantMode::Float32,
    };
    (kind, mode)
}

fn shape(b: &mut Builder, (kind, mode): (Kind, RequantMode), attempt: u64) -> Shape {
    let less = |most: u64| (most.saturating_sub(attempt / 2)).max(1);
    let columns = u64::from(b.machine.array.columns);
    let limits = b.limits;
    let d = &mut b.draw;
    let pooled = if kind.pools() { 3 } else { 1 };
    let window = Window {
        kernel: (d.range(1, less(pooled)), d.range(1, less(pooled + 1))),
        stride: (d.small(1, 3), d.small(1, 3)),
        pad: if d.chance(40) { [0; 4] } else { std::array::from_fn(|_| d.small(0, 4)) },
        input: (d.range(1, less(limits.side)), d.range(1, less(limits.side))),
        dilation: if d.chance(60) { (1, 1) } else { (d.range(0, 4), d.range(0, 4)) },
    };
    let most_channels = if kind == Kind::Requant { 2 * columns + 3 } else { limits.channels };
    let transposed = kind == Kind::Requant && d.chance(35);
    let block_channels = match () {
        () if kind != Kind::Requant => d.range(0, 65535),
        () if transposed => d.range(1, 2 * columns + 3),
        () if d.chance(70) => columns,
        () => d.range(1, columns),
    };
    let (height, width) = (d.range(1, less(limits.side - 1)), d.range(1, less(limits.side - 1)));
    let channels = d.range(1, most_channels >> (attempt / 4));
    let (operands, norm) = (d.range(1, 5), d.small(1, 12));
    // All of them, as nets have it, or some.
    let wide = match d.range(0, 9) {
        0..2 => [true; 3],
        2 | 3 => std::array::from_fn(|_| d.chance(50)),
        _ => [false; 3],
    };
    let channels = channels.max(1);
    let shape = Shape { kind, mode, wide, height, width, channels, block_channels, transposed, window, operands, norm };
    let used = shape.used();
    Shape { wide: std::array::from_fn(|operand| used[operand] && wide[operand]), ..shape }
}

/// Addresses of the operands that the kind has.
struct Placed {
    a: u64,
    b: u64,
    out: u64,
    params: u64,
    accumulator: u64,
    accesses: Vec<Access>,
}

/// Operands a, b and the output.
fn tensors(builder: &mut Builder, shape: &Shape) -> [Tensor; 3] {
    let (in_height, in_width) = shape.input();
    let [a, b, out] = shape.wide.map(|wide| if wide { 2 * shape.channels } else { shape.channels });
    [
        builder.tensor(in_height, in_width, a),
        builder.tensor(shape.height, shape.width, b),
        builder.tensor(shape.height, shape.width, out),
    ]
}

fn placed(
    builder: &mut Builder,
    shape: &Shape,
    tensors: &[Tensor; 3],
    configuration: Vec<Operation>,
) -> Option<Vec<Piece>> {
    let placed = operands(builder, shape, tensors)?;
    let mut pieces = Vec::new();
    if let Some(table) = shape.kind.table(shape.mode)
        && builder.draw.chance(75)
    {
        pieces.extend(parameters(builder, table, shape.entries(), placed.params));
    }
    note(builder, shape);
    let run = run(builder, shape, &placed);
    pieces.push(Piece { configuration, run, accesses: placed.accesses });
    Some(pieces)
}

fn operands(builder: &mut Builder, shape: &Shape, tensors: &[Tensor; 3]) -> Option<Placed> {
    let mut placed = Placed { a: 0, b: 0, out: 0, params: 0, accumulator: 0, accesses: Vec::new() };
    let columns = u64::from(builder.machine.array.columns);
    let tables = builder.tables;
    let mut put = |memory, write, length| {
        let first = builder.place(Unit::Vector, memory, length)?;
        placed.accesses.push(Access::new(memory, write, first, length));
        Some(first)
    };
    if shape.kind == Kind::Requant {
        let pixels = shape.height * shape.width;
        let of_block = if shape.transposed { pixels.div_ceil(columns) * shape.block_channels } else { pixels };
        let vectors = shape.channels.div_ceil(shape.block_channels) * of_block;
        placed.accumulator = put(Memory::Accumulator, false, vectors)?;
    } else {
        placed.a = put(Memory::Activation, false, tensors[0].extent)?;
    }
    if matches!(shape.kind, Kind::Add | Kind::Mul) {
        placed.b = put(Memory::Activation, false, tensors[1].extent)?;
    }
    if let Some(table) = shape.kind.table(shape.mode) {
        placed.params = put(Memory::Activation, false, shape.parameter_bytes(tables[table].record))?;
    }
    placed.out = put(Memory::Activation, true, tensors[2].extent)?;
    Some(placed)
}

/// A load of parameters from their table, if the load unit reaches both.
fn parameters(builder: &mut Builder, table: usize, channels: u64, address: u64) -> Option<Piece> {
    let Table { first, entries, record } = builder.tables[table];
    let room = builder.rooms[Unit::Load as usize].0[Memory::Activation as usize];
    let bytes = record * channels;
    if entries < channels || address < room.0 || address + bytes > room.1 {
        return None;
    }
    let entry = builder.draw.range(0, entries - channels);
    builder.notes.insert("vector: parameters loaded");
    let space = systole_machine::isa::Space::Activation;
    Some(transfers::load_row(builder.machine, first + record * entry, address, bytes, space))
}

fn configuration(builder: &mut Builder, shape: &Shape, tensors: &[Tensor; 3]) -> Vec<Operation> {
    let mut all = vec![Operation::VectorShape {
        height: u(shape.height),
        width: u(shape.width),
        channels: u(shape.channels),
        block_channels: u(shape.block_channels),
    }];
    for ((&operand, tensor), _) in VectorOperand::ALL.iter().zip(tensors).zip(shape.used()).filter(|(_, used)| *used) {
        let (row_pitch, pixel_pitch) = (u(tensor.row_pitch), u(tensor.pixel_pitch));
        all.push(Operation::VectorPitch { operand, row_pitch, pixel_pitch });
    }
    // Softmax in all 16 bits of its output, where the order of its sums shows.
    let fine = shape.kind == Kind::Softmax && builder.draw.chance(60);
    all.push(quant(builder, shape, fine));
    if shape.mode != RequantMode::Float32 {
        let sum = matches!(shape.kind, Kind::Add | Kind::AddChannel);
        all.extend(parameters::registers(builder.draw, shape.mode, sum, shape.kind.scaled()));
    } else if !matches!(shape.kind, Kind::Requant | Kind::Depthwise | Kind::MaxPool) {
        let fine_scales = [builder.draw.float(-8, -4), 1.0, builder.draw.float(-21, -14)];
        let [a, b, out] = if fine { fine_scales } else { scales(builder) }.map(Real::new);
        all.push(Operation::VectorScale { a, b, out });
    }
    if shape.kind == Kind::Lrn {
        all.push(norm(builder, shape));
    }
    if shape.kind.pools() {
        let window = &shape.window;
        all.push(Operation::VectorWindow {
            kernel_h: u(window.kernel.0),
            kernel_w: u(window.kernel.1),
            stride_h: u(window.stride.0),
            stride_w: u(window.stride.1),
            pad_top: u(window.pad[0]),
            pad_left: u(window.pad[1]),
            pad_bottom: u(window.pad[2]),
            pad_right: u(window.pad[3]),
            in_height: u(window.input.0),
            in_width: u(window.input.1),
        });
        all.push(Operation::VectorDilation { dilation_h: u(window.dilation.0), dilation_w: u(window.dilation.1) });
    }
    all
}

/// Attributes of a normalisation: mostly such that the power is near 1, at times any.
fn norm(builder: &mut Builder, shape: &Shape) -> Operation {
    let d = &mut builder.draw;
    let wild = d.chance(15);
    let [alpha, beta, bias] = match () {
        () if wild => [d.float(-40, 40), d.float(-3, 6), d.float(-130, 40)],
        () => [d.float(-14, 1), d.float(-2, 1), d.float(-3, 3)],
    };
    let sign = if wild && d.chance(30) { -1.0 } else { 1.0 };
    Operation::VectorNorm {
        size: u(shape.norm),
        alpha: Real::new(sign * alpha),
        beta: Real::new(beta),
        bias: Real::new(bias),
    }
}

/// Scales of a, b and the output. Results that lie on or near a tie show in which order an engine rounds, so many are small multiples of each other, or have
/// an output so fine that its 16 bits count.
fn scales(builder: &mut Builder) -> [f32; 3] {
    let d = &mut builder.draw;
    let base = d.float(-7, 1);
    let mut related = || base * d.pick(&[1.0, 2.0, 4.0, 8.0, 0.5, 0.25, 3.0, 1.0 / 3.0, 5.0, 10.0, 0.1, 1.5, 7.0]);
    match related() {
        out if out != base && out != base * 2.0 && out != base * 4.0 => [base, related(), out],
        out if out == base => [base, related(), base * d.float(-12, -6)],
        _ => [base, d.float(-7, 1), d.float(-13, 1)],
    }
}

fn quant(builder: &mut Builder, shape: &Shape, fine: bool) -> Operation {
    let d = &mut builder.draw;
    let wild = d.chance(5);
    let zeros = shape.wide.map(|wide| match () {
        () if wild => d.signed(-32768, 32767),
        () if d.chance(if wide { 60 } else { 30 }) => 0,
        () => d.signed(-128, 255),
    });
    // What an operation has no operand for does not count.
    let used = shape.used();
    let [wide_a, wide_b, wide_out] =
        std::array::from_fn(|operand| Flag(if used[operand] { shape.wide[operand] } else { d.chance(20) }));
    let signed_out = d.chance(50);
    let whole = if signed_out { (-128, 127) } else { (0, 255) };
    let (low, high) = match d.range(0, 9) {
        _ if fine => (-32768, 32767),
        3..9 if wide_out.0 => (-32768, 32767),
        0 if d.chance(50) => (0, 0),
        0 | 4 => (-32768, 32767),
        1 => (d.signed(-32768, 0), d.signed(0, 32767)),
        2 | 3 => (d.signed(whole.0, 60), d.signed(60, whole.1)),
        _ => whole,
    };
    Operation::VectorQuant {
        zero_a: i(zeros[0]),
        zero_b: i(zeros[1]),
        zero_out: i(zeros[2]),
        low: i(low),
        high: i(high),
        signed_a: Flag(d.chance(50)),
        signed_b: Flag(d.chance(50)),
        signed_out: Flag(signed_out),
        wide_a,
        wide_b,
        wide_out,
    }
}

fn run(builder: &mut Builder, shape: &Shape, placed: &Placed) -> Operation {
    let (a, out, params) = (u(placed.a), u(placed.out), u(placed.params));
    let mode = shape.mode;
    match shape.kind {
        Kind::Requant => Operation::VectorRequant {
            accumulator: u(placed.accumulator),
            params,
            out,
            mode,
            transposed: Flag(shape.transposed),
        },
        Kind::Add => Operation::VectorAdd { a, b: u(placed.b), out, mode },
        Kind::Mul => Operation::VectorMul { a, b: u(placed.b), out, mode },
        Kind::AddChannel => Operation::VectorAddChannel { a, params, out, mode },
        Kind::MulChannel => Operation::VectorMulChannel { a, params, out, mode },
        Kind::Affine => Operation::VectorAffine { a, params, out },
        Kind::Rescale => Operation::VectorRescale { a, out, mode },
        Kind::MaxPool => Operation::VectorMaxPool { a, out },
        Kind::AveragePool => Operation::VectorAveragePool { a, out, include_pad: Flag(builder.draw.chance(50)), mode },
        Kind::Softmax => Operation::VectorSoftmax { a, out },
        Kind::Lrn => Operation::VectorLrn { a, out },
        Kind::Sum => Operation::VectorSum { a, params, out, operands: u(shape.operands) },
        Kind::Depthwise => Operation::VectorDepthwise { a, params, out, mode },
    }
}

fn note(builder: &mut Builder, shape: &Shape) {
    let columns = u64::from(builder.machine.array.columns);
    let (window, lanes) = (&shape.window, u64::from(builder.machine.vector.lanes));
    // The first window ends before the input begins, or the last begins after its end.
    let extent = |kernel: u64, dilation: u64| (kernel - 1) * dilation.max(1) + 1;
    let outside = extent(window.kernel.0, window.dilation.0) <= window.pad[0]
        || extent(window.kernel.1, window.dilation.1) <= window.pad[1]
        || (shape.height - 1) * window.stride.0 >= window.pad[0] + window.input.0
        || (shape.width - 1) * window.stride.1 >= window.pad[1] + window.input.1;
    let all = [
        ("requant: several blocks", shape.kind == Kind::Requant && shape.channels > shape.block_channels),
        ("requant: blocks under the columns", shape.kind == Kind::Requant && shape.block_channels < columns),
        ("lrn: a window beyond the channels", shape.kind == Kind::Lrn && shape.norm > shape.channels),
        ("lrn: an even window", shape.kind == Kind::Lrn && shape.norm.is_multiple_of(2)),
        ("sum: three or more tensors", shape.kind == Kind::Sum && shape.operands >= 3),
        ("requant: transposed", shape.transposed),
        ("requant: transposed, several groups", shape.transposed && shape.height * shape.width > columns),
        ("vector: large output", shape.height * shape.width * shape.channels > 70_000),
        ("vector: wide a", shape.wide[0]),
        ("vector: wide b", shape.wide[1]),
        ("vector: wide output", shape.wide[2]),
        ("vector: several widths", shape.wide != [shape.wide[2]; 3]),
        ("requant: wide, transposed", shape.transposed && shape.wide[2]),
        ("requant: records of 12, transposed", shape.transposed && shape.kind.table(shape.mode) == Some(4)),
        ("pool: wide", shape.kind.pools() && shape.wide[0]),
        ("depthwise: several taps", shape.kind == Kind::Depthwise && window.kernel.0 * window.kernel.1 > 1),
        ("depthwise: padding", shape.kind == Kind::Depthwise && window.pad[0] + window.pad[1] > 0),
        ("depthwise: dilation", shape.kind == Kind::Depthwise && window.dilation.0.max(window.dilation.1) > 1),
        ("depthwise: wide", shape.kind == Kind::Depthwise && shape.wide[0]),
        ("depthwise: several turns", shape.kind == Kind::Depthwise && shape.channels > lanes),
        ("pool: dilation", shape.kind.pools() && (window.dilation.0 > 1 || window.dilation.1 > 1)),
        ("pool: padding", shape.kind.pools() && window.pad != [0; 4]),
        ("pool: a window outside the input", shape.kind.pools() && outside),
    ];
    builder.notes.extend(all.iter().filter(|entry| entry.1).map(|entry| entry.0));
}
