//! Vector instructions that fit (M-6, M-7).

mod notes;
mod setup;

use systole_machine::isa::{Flag, Operation, OutputFormat, RequantMode, Unit, VectorOperand};
use systole_machine::spec::{Machine, Requantisation};

use super::builder::{Builder, Piece, Table, Tensor, u};
use super::footprint::{Access, Memory};
use super::resize::{self, Axis};
use super::{taps, transfers};
use notes::note;
use setup::configuration;

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
    Table,
    Max,
    Min,
    Div,
    Gather,
    ArgMax,
    Unpool,
    Resize,
    Depthwise,
}

impl Kind {
    fn pools(self) -> bool {
        matches!(self, Kind::MaxPool | Kind::AveragePool | Kind::Depthwise) || self.has_taps()
    }

    /// Whether it deals in single taps of the window.
    pub(super) fn has_taps(self) -> bool {
        matches!(self, Kind::Gather | Kind::ArgMax | Kind::Unpool | Kind::Resize)
    }

    /// Whether it scales by the rules of a field `mode`.
    fn has_mode(self) -> bool {
        use Kind::{Affine, Div, Lrn, MaxPool, Softmax, Sum, Table};
        !matches!(self, Affine | MaxPool | Softmax | Lrn | Sum | Table | Div) && !self.has_taps()
    }

    /// The operands whose integer scalings it reads.
    fn scaled(self) -> &'static [VectorOperand] {
        match self {
            Kind::Add | Kind::AddChannel => VectorOperand::ALL,
            Kind::Mul | Kind::MulChannel | Kind::Rescale => &[VectorOperand::Out],
            Kind::Max | Kind::Min => &[VectorOperand::A, VectorOperand::B],
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

const KINDS: [(u64, Kind); 21] = [
    (50, Kind::Requant),
    (10, Kind::Add),
    (10, Kind::Mul),
    (10, Kind::AddChannel),
    (10, Kind::MulChannel),
    (8, Kind::Affine),
    (10, Kind::Rescale),
    (10, Kind::MaxPool),
    (10, Kind::AveragePool),
    (8, Kind::Softmax),
    (10, Kind::Lrn),
    (12, Kind::Sum),
    (14, Kind::Table),
    (13, Kind::Max),
    (13, Kind::Min),
    (8, Kind::Div),
    (16, Kind::Gather),
    (6, Kind::ArgMax),
    (6, Kind::Unpool),
    (18, Kind::Resize),
    (20, Kind::Depthwise),
];

/// A pooling window.
#[derive(Clone, Copy)]
pub(super) struct Window {
    pub(super) kernel: (u64, u64),
    pub(super) stride: (u64, u64),
    pad: [u64; 4],
    pub(super) input: (u64, u64),
    /// As the register has it.
    dilation: (u64, u64),
}

/// An operation without its addresses.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) kind: Kind,
    mode: RequantMode,
    /// Whether elements of a, b and the output have two bytes.
    wide: [bool; 3],
    pub(super) format: OutputFormat,
    pub(super) height: u64,
    pub(super) width: u64,
    pub(super) channels: u64,
    block_channels: u64,
    /// Accumulator vectors of pixels.
    transposed: bool,
    pub(super) window: Window,
    /// Tensors of a sum.
    operands: u64,
    /// Channels of a normalisation's window.
    norm: u64,
    /// Of those that have it: the flag `per_channel`.
    per_channel: bool,
    /// Of sums.
    subtract: bool,
    /// How a resized image's rows and columns find theirs.
    pub(super) axes: [Axis; 2],
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
        match self.kind {
            Kind::Sum => self.operands,
            Kind::Table if !self.per_channel => 1,
            _ => self.channels,
        }
    }

    /// The table of parameters that it takes ([`Builder::tables`]).
    fn table(&self) -> Option<usize> {
        let pair = matches!(self.kind, Kind::Max | Kind::Min | Kind::Div);
        if pair && self.per_channel { Some(2) } else { self.kind.table(self.mode) }
    }

    /// Whether there is a second tensor.
    fn has_b(&self) -> bool {
        let pair = matches!(self.kind, Kind::Max | Kind::Min | Kind::Div);
        matches!(self.kind, Kind::Add | Kind::Mul | Kind::Gather | Kind::Unpool) || (pair && !self.per_channel)
    }

    /// Whether it is an operation of two tensors of one shape, element by element.
    fn is_pair(&self) -> bool {
        self.has_b() && !self.kind.has_taps()
    }

    /// Bytes of parameters; those of weights are whatever lies behind the records.
    fn parameter_bytes(&self, record: u64) -> u64 {
        let weights = if self.kind == Kind::Depthwise { self.window.kernel.0 * self.window.kernel.1 } else { 0 };
        (record + weights) * self.entries()
    }

    /// Operands a, b, out that it has.
    fn used(&self) -> [bool; 3] {
        [self.kind != Kind::Requant, self.has_b(), true]
    }

    fn affordable(&self, b: &Builder) -> bool {
        let bytes = if self.wide.contains(&true) { 2 } else { 1 };
        let rate = u64::from(b.machine.vector.lanes.min(b.machine.activation.port_bytes / bytes).max(1));
        let (pixels, taps) = (self.height * self.width, self.window.kernel.0 * self.window.kernel.1);
        let cycles = match self.kind {
            // At most a cycle for each result of a turn.
            Kind::Depthwise => pixels * self.channels.div_ceil(rate) * taps.max(rate),
            kind if kind.has_taps() => pixels * self.channels * taps::passes(self) / rate,
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
        let mut shape = shape(b, (kind, mode), attempt);
        if even_unsupported && b.draw.chance(4) {
            shape.format = b.draw.pick(&[OutputFormat::Sign, OutputFormat::Sum]);
        }
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
    let chooses = |kind: Kind| matches!(kind, Kind::MaxPool | Kind::ArgMax | Kind::Unpool | Kind::Table);
    let has = |kind: Kind| {
        let computes = chooses(kind) || float || (kind.has_mode() && own.is_some());
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
    let pooled = match kind {
        Kind::ArgMax | Kind::Unpool => 5,
        _ if kind.pools() => 3,
        _ => 1,
    };
    // There is nothing between the pixels of one line.
    let least = if kind == Kind::Resize && d.chance(85) { 3 } else { 1 };
    let window = Window {
        kernel: (d.range(1, less(pooled)), d.range(1, less(pooled + 1))),
        stride: (d.small(1, 3), d.small(1, 3)),
        pad: if d.chance(40) { [0; 4] } else { std::array::from_fn(|_| d.small(0, 4)) },
        input: (d.range(least, less(limits.side)), d.range(least, less(limits.side))),
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
    let (height, width) = (d.range(least, less(limits.side - 1)), d.range(least, less(limits.side - 1)));
    let channels = d.range(1, most_channels >> (attempt / 4));
    let (operands, norm) = (d.range(1, 5), d.small(1, 12));
    // 256 bytes a channel leave no room for many.
    let per_channel = d.chance(45);
    let most_tables = if per_channel { d.range(2, 3) } else { u64::MAX };
    let channels = if kind == Kind::Table { channels.min(most_tables) } else { channels };
    // All of them, as nets have it, or some.
    let wide = match d.range(0, 9) {
        _ if kind == Kind::Table => [false; 3],
        0..2 => [true; 3],
        2 | 3 => std::array::from_fn(|_| d.chance(50)),
        _ => [false; 3],
    };
    let channels = channels.max(1);
    let subtract = matches!(kind, Kind::Add | Kind::AddChannel) && d.chance(40);
    let format = match kind {
        Kind::Requant if d.chance(40) => {
            d.pick(&[OutputFormat::Sign, OutputFormat::Binary, OutputFormat::Sum, OutputFormat::Sum])
        }
        Kind::Affine | Kind::Rescale if d.chance(30) => d.pick(&[OutputFormat::Sign, OutputFormat::Binary]),
        _ => OutputFormat::Plain,
    };
    let axes = match kind {
        Kind::Resize => [(window.input.0, height), (window.input.1, width)].map(|sizes| resize::axis(d, sizes)),
        _ => Default::default(),
    };
    let window = if kind == Kind::Resize { resize::window(d, window) } else { window };
    let shape = Shape {
        kind,
        mode,
        wide,
        format,
        height,
        width,
        channels,
        block_channels,
        transposed,
        window,
        operands,
        norm,
        per_channel,
        subtract,
        axes,
    };
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
    let [of_b, of_out] = taps::elements(shape);
    let bytes = |operand: usize, elements: u64| if shape.wide[operand] { 2 * elements } else { elements };
    let [a, b, mut out] = [bytes(0, shape.channels), bytes(1, of_b), bytes(2, of_out)];
    match shape.format {
        OutputFormat::Binary => out = shape.channels.div_ceil(8),
        OutputFormat::Sum => out = 4 * of_out,
        OutputFormat::Plain | OutputFormat::Sign => {}
    }
    let (b_height, b_width) = if shape.kind == Kind::Unpool { shape.window.input } else { (shape.height, shape.width) };
    if shape.is_pair() {
        let [a, b] = [a, b].map(|bytes| builder.repeating(shape.height, shape.width, bytes));
        return [a, b, builder.tensor(shape.height, shape.width, out)];
    }
    [
        builder.tensor(in_height, in_width, a),
        builder.tensor(b_height, b_width, b),
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
    if shape.kind == Kind::Table {
        pieces.extend(bytes_of_tables(builder, 256 * shape.entries(), placed.params));
    } else if let Some(table) = shape.table()
        && builder.draw.chance(75)
    {
        pieces.extend(parameters(builder, table, shape.entries(), placed.params));
    }
    note(builder, shape, tensors);
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
    if shape.kind == Kind::Table {
        placed.params = put(Memory::Activation, false, 256 * shape.entries())?;
    }
    if shape.has_b() {
        placed.b = put(Memory::Activation, false, tensors[1].extent)?;
    }
    if let Some(table) = shape.table() {
        placed.params = put(Memory::Activation, false, shape.parameter_bytes(tables[table].record))?;
    }
    placed.out = put(Memory::Activation, true, tensors[2].extent)?;
    Some(placed)
}

/// A load of any bytes as tables of `ve.table`, mostly, if the load unit reaches both.
fn bytes_of_tables(builder: &mut Builder, bytes: u64, address: u64) -> Option<Piece> {
    let rooms = builder.rooms[Unit::Load as usize];
    let (room, dram) = (rooms.0[Memory::Activation as usize], rooms.0[Memory::Dram as usize]);
    if address < room.0 || address + bytes > room.1 || rooms.length(Memory::Dram) < bytes || !builder.draw.chance(85) {
        return None;
    }
    let from = builder.draw.range(dram.0, dram.1 - bytes);
    let space = systole_machine::isa::Space::Activation;
    Some(transfers::load_row(builder.machine, from, address, bytes, space))
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

fn run(builder: &mut Builder, shape: &Shape, placed: &Placed) -> Operation {
    let (a, out, params) = (u(placed.a), u(placed.out), u(placed.params));
    let (mode, subtract, per_channel) = (shape.mode, Flag(shape.subtract), Flag(shape.per_channel));
    let b = if shape.has_b() { u(placed.b) } else { params };
    match shape.kind {
        Kind::Requant => Operation::VectorRequant {
            accumulator: u(placed.accumulator),
            params,
            out,
            mode,
            transposed: Flag(shape.transposed),
        },
        Kind::Add => Operation::VectorAdd { a, b: u(placed.b), out, mode, subtract },
        Kind::Mul => Operation::VectorMul { a, b: u(placed.b), out, mode },
        Kind::AddChannel => Operation::VectorAddChannel { a, params, out, mode, subtract },
        Kind::MulChannel => Operation::VectorMulChannel { a, params, out, mode },
        Kind::Affine => Operation::VectorAffine { a, params, out },
        Kind::Rescale => Operation::VectorRescale { a, out, mode },
        Kind::MaxPool => Operation::VectorMaxPool { a, out },
        Kind::AveragePool => Operation::VectorAveragePool { a, out, include_pad: Flag(builder.draw.chance(50)), mode },
        Kind::Softmax => Operation::VectorSoftmax { a, out },
        Kind::Lrn => Operation::VectorLrn { a, out },
        Kind::Gather => Operation::VectorGather { a, b: u(placed.b), out },
        Kind::ArgMax => Operation::VectorArgMax { a, out },
        Kind::Unpool => Operation::VectorUnpool { a, b: u(placed.b), out },
        Kind::Resize => Operation::VectorResize { a, out },
        Kind::Sum => Operation::VectorSum { a, params, out, operands: u(shape.operands) },
        Kind::Table => Operation::VectorTable { a, params, out, per_channel },
        Kind::Max => Operation::VectorMax { a, b, out, mode, per_channel },
        Kind::Min => Operation::VectorMin { a, b, out, mode, per_channel },
        Kind::Div => Operation::VectorDiv { a, b, out, per_channel },
        Kind::Depthwise => Operation::VectorDepthwise { a, params, out, mode },
    }
}
