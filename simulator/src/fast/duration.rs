//! Durations in closed form: the array (T-5) and the vector unit (T-6).
//!
//! Nothing here depends on what else runs, but for what the array's previous run left, which is handed in.

use systole_machine::spec::{Dataflow, Machine};

use super::folds::Folds;
use super::mutant::{Mutant, on};
use super::work::{Convolution, VectorKind, VectorWork};

/// What a run leaves to the array's next one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ArrayState {
    /// Of the last run; `None` before the first.
    pub(super) dataflow: Option<Dataflow>,
    /// E: the end of its stream.
    pub(super) stream_end: u64,
    /// B: its last step (output-stationary).
    pub(super) last_step: u64,
    /// Its end.
    pub(super) end: u64,
}

impl ArrayStart<'_> {
    /// E.
    fn stream_end(&self) -> u64 {
        if on(Mutant::StreamEndIgnored) { 0 } else { self.previous.stream_end }
    }
}

/// When an `ar.run` that starts at a given cycle releases its unit, and what it leaves.
pub(super) struct ArrayTimes {
    pub(super) release: u64,
    pub(super) state: ArrayState,
}

/// When and on what a run starts.
pub(super) struct ArrayStart<'a> {
    /// s.
    pub(super) cycle: u64,
    /// Whether some bank holds both of its operands.
    pub(super) one_bank: bool,
    /// What the run before left.
    pub(super) previous: &'a ArrayState,
}

/// T-5.
pub(super) fn array(run: &Convolution, machine: &Machine, start: &ArrayStart) -> ArrayTimes {
    let folds = Folds::new(run, &machine.array);
    match run.dataflow {
        Dataflow::OutputStationary => sums_stay(run, &folds, machine, start),
        _ => operands_stay(run, &folds, machine, start),
    }
}

fn port(bytes: u32) -> u64 {
    u64::from(bytes.max(1))
}

/// τ: cycles of a PE at the run's operand width.
fn interval(run: &Convolution, machine: &Machine) -> u64 {
    let bits = if on(Mutant::WideAtByteRate) && run.wide { 8 } else { run.width() };
    machine.array.interval_cycles(bits).unwrap_or(1)
}

/// Bytes of so many activations on the port.
fn moved(run: &Convolution, elements: u64) -> u64 {
    match () {
        () if run.binary => elements.div_ceil(8),
        () if on(Mutant::WideTimedAsByte) => elements,
        () => elements * run.bytes(),
    }
}

/// Bytes of so many weights on the port.
fn weight_bytes(run: &Convolution, weights: u64) -> u64 {
    (weights * u64::from(run.weights.bits())).div_ceil(8)
}

/// Cycles to write a vector of accumulators.
fn write_cycles(machine: &Machine) -> u64 {
    machine.accumulator_vector_bytes().div_ceil(port(machine.accumulator.port_bytes))
}

/// What a fold of a weight- or input-stationary run takes.
struct Stationary {
    /// T: a tile loads.
    tile: u64,
    /// v: from one streamed vector to the next.
    vector: u64,
    /// V: streamed vectors.
    vectors: u64,
    /// n: folds.
    folds: u64,
}

fn stationary(run: &Convolution, folds: &Folds, machine: &Machine) -> Stationary {
    let array = &machine.array;
    let (rows, columns) = (u64::from(array.rows), u64::from(array.columns));
    let (activation, weight) = (port(machine.activation.port_bytes), port(machine.weight.port_bytes));
    let chunk = if on(Mutant::ChunkUnlimited) { run.run_length() } else { run.run_length().min(folds.chunk) };
    let operands = moved(run, chunk).div_ceil(activation);
    let (row, read, vectors, count) = if run.dataflow == Dataflow::InputStationary {
        let row = (columns * operands).div_ceil(rows);
        (row, weight_bytes(run, chunk).div_ceil(weight), folds.outputs, run.blocks * folds.groups * folds.chunks)
    } else {
        let bytes = weight_bytes(run, columns * u64::from(array.dot_product_width));
        let row = if on(Mutant::TileRowFloor) { (bytes / weight).max(1) } else { bytes.div_ceil(weight) };
        (row, operands, folds.pixels, run.blocks * folds.chunks)
    };
    let row = row.max(u64::from(array.pe_latency_cycles));
    let vector =
        read.max(if on(Mutant::WritePortIgnored) { 1 } else { write_cycles(machine) }).max(interval(run, machine));
    Stationary { tile: rows * row - u64::from(on(Mutant::TileShorter)), vector, vectors, folds: count }
}

/// Weight- and input-stationary.
fn operands_stay(run: &Convolution, folds: &Folds, machine: &Machine, start: &ArrayStart) -> ArrayTimes {
    let (rows, columns) = (u64::from(machine.array.rows), u64::from(machine.array.columns));
    let Stationary { tile, vector, vectors, folds } = stationary(run, folds, machine);
    let latency = u64::from(machine.array.pe_latency_cycles);
    let down = if on(Mutant::PeLatencyUnskewed) { rows + latency - 1 } else { rows * latency };
    let stream = vectors * vector;
    let drain = (vectors - 1) * vector + down + columns - 1 + u64::from(on(Mutant::DrainLonger))
        - u64::from(on(Mutant::DrainShorter));
    let (last, release) = if machine.array.weight_registers >= 2 {
        let stream_end = start.stream_end();
        // A bank that serves the stream loads no tile at the same time.
        let after = start.one_bank && !on(Mutant::OneBankLoadsEarly);
        let first = if after { start.cycle.max(stream_end) + tile } else { (start.cycle + tile).max(stream_end) };
        let cadence = match start.one_bank {
            true => stream + tile,
            false if on(Mutant::CadenceWithoutTile) => stream,
            false => stream.max(tile),
        };
        let last = first + (folds - 1) * cadence;
        (last, if on(Mutant::ReleaseAtStreamEnd) { last + stream } else { last })
    } else {
        let tiles = if on(Mutant::OneRegisterPrefetches) { 1 } else { folds };
        let last = start.cycle + tiles * tile + (folds - 1) * drain;
        (last, last + drain)
    };
    let state = ArrayState {
        dataflow: Some(run.dataflow),
        stream_end: last + stream,
        last_step: last + stream - vector,
        end: last + drain,
    };
    ArrayTimes { release, state }
}

/// A of T-5: port cycles for the runs of as many neighbouring pixels as the array has rows.
fn accesses(run: &Convolution, rows: u64, port: u64) -> u64 {
    let alone = rows * moved(run, run.run_length()).div_ceil(port);
    if run.pixel_pitch != run.pixel_bytes() || on(Mutant::FeedersApart) {
        return alone;
    }
    let taps = if run.packed { run.kernel_w } else { 1 };
    let pixel = moved(run, run.channels);
    alone.min((pixel * ((rows - 1) * run.stride_w + taps)).div_ceil(port))
}

/// Output-stationary.
fn sums_stay(run: &Convolution, folds: &Folds, machine: &Machine, start: &ArrayStart) -> ArrayTimes {
    let array = &machine.array;
    let (rows, columns) = (u64::from(array.rows), u64::from(array.columns));
    let width = u64::from(array.dot_product_width);
    let length = run.run_length();
    let feed = accesses(run, rows, port(machine.activation.port_bytes)).div_ceil(length.div_ceil(width));
    let weights = weight_bytes(run, columns * width).div_ceil(port(machine.weight.port_bytes));
    let fed = if start.one_bank { feed + weights } else { feed.max(weights) };
    let step = fed.max(interval(run, machine));
    let write = write_cycles(machine);
    let (stream, to_last) = (folds.chunks * step, (folds.chunks - 1) * step);
    let drained = rows - 1 - u64::from(on(Mutant::SumsDrainShorter) && rows > 1);
    let fold = to_last + u64::from(array.pe_latency_cycles) - 1 + rows + columns + drained * write;
    let count = run.blocks * folds.groups;
    let (last, release) = if array.weight_registers >= 2 {
        // Only sums drain: the last step of a run of another dataflow keeps nothing apart.
        let previous = start.previous;
        let drains = previous.dataflow == Some(Dataflow::OutputStationary) && !on(Mutant::DrainsOverlap);
        let apart = if drains { (previous.last_step + rows * write).saturating_sub(to_last) } else { 0 };
        let last = start.cycle.max(start.stream_end()).max(apart) + (count - 1) * stream.max(rows * write);
        (last, last.max(start.cycle + 1))
    } else {
        let last = start.cycle + (count - 1) * fold;
        (last, last + fold)
    };
    let state = ArrayState {
        dataflow: Some(run.dataflow),
        stream_end: last + stream,
        last_step: last + to_last,
        end: last + fold,
    };
    ArrayTimes { release, state }
}

/// T-6: the duration of a vector instruction.
pub(super) fn vector(work: &VectorWork, machine: &Machine) -> u64 {
    let port = port(machine.activation.port_bytes);
    let pixels = work.height * work.width;
    let params = |channels: u64| params(work, channels, port);
    let latency = if on(Mutant::LatencyDropped) { 0 } else { u64::from(machine.vector.latency_cycles) };
    let widest = if on(Mutant::WideLanesAsByte) { 1 } else { work.widest() };
    let port_lanes = if on(Mutant::LanesBeyondPort) { u64::MAX } else { port / widest };
    let lanes = u64::from(machine.vector.lanes).min(port_lanes).max(1);
    let elements = pixels * work.channels;
    let cycles = match work.kind {
        VectorKind::Requant => {
            let words = u64::from(machine.accumulator.port_bytes) / machine.array.accumulator_bytes();
            let words = if on(Mutant::RequantBeyondPort) { u64::MAX } else { words };
            let rate = u64::from(machine.vector.requantise_per_cycle).min(words).min(port / written(work)).max(1);
            if work.transposed {
                return transposed(work, machine, rate) + latency;
            }
            let block = |channels: u64| params(channels) + (pixels * channels).div_ceil(rate);
            let (whole, rest) = (work.channels / work.block_channels, work.channels % work.block_channels);
            let paid = if on(Mutant::RestBlockMerged) { params(rest) } else { 0 };
            whole * block(work.block_channels) + if rest > 0 { block(rest) - paid } else { 0 }
        }
        VectorKind::Add | VectorKind::Mul | VectorKind::Rescale => elements.div_ceil(lanes),
        VectorKind::AddChannel | VectorKind::MulChannel | VectorKind::Affine => {
            elements.div_ceil(lanes) + params(work.channels)
        }
        VectorKind::Max | VectorKind::Min | VectorKind::Div => elements.div_ceil(lanes),
        VectorKind::MaxChannel
        | VectorKind::MinChannel
        | VectorKind::DivChannel
        | VectorKind::Table
        | VectorKind::ChannelTable => elements.div_ceil(lanes) + params(work.entries()),
        VectorKind::Gather => {
            let runs = if on(Mutant::NeighboursReadOnce) { 2 } else { 4 };
            pixels * work.kernel_h * work.kernel_w * (runs * work.channels.div_ceil(lanes) + 1)
        }
        VectorKind::Resize => {
            let runs = if on(Mutant::ResizedRowsReadOnce) { 2 } else { 4 };
            runs * pixels * work.channels.div_ceil(lanes)
        }
        VectorKind::Unpool => {
            let compared = work.in_height * work.in_width * work.channels * work.kernel_h * work.kernel_w;
            elements.div_ceil(lanes) + compared.div_ceil(lanes)
        }
        VectorKind::MaxPool | VectorKind::AveragePool | VectorKind::ArgMax => {
            let columns = if on(Mutant::WindowFlat) { 1 } else { work.kernel_w };
            (elements * work.kernel_h * columns).div_ceil(lanes)
        }
        VectorKind::Lrn => {
            let window = if on(Mutant::LrnWindowFree) { 1 } else { work.norm_size };
            pixels * (window + 2) * work.channels.div_ceil(lanes)
        }
        VectorKind::Sum => params(work.operands) + work.operands * elements.div_ceil(lanes),
        VectorKind::Depthwise => depthwise(work, machine, lanes),
        VectorKind::Softmax => pixels * (3 - u64::from(on(Mutant::SoftmaxTwoPasses))) * work.channels.div_ceil(lanes),
    };
    cycles + latency
}

/// Bytes of an element that `ve.requant` writes.
fn written(work: &VectorWork) -> u64 {
    if on(Mutant::SumTimedAsWide) { work.bytes(2).min(2) } else { work.bytes(2) }
}

/// P(n): cycles to fetch the parameters of n channels.
fn params(work: &VectorWork, channels: u64, port: u64) -> u64 {
    let record = if on(Mutant::RecordsOfEight) { 8 } else { work.record() };
    if on(Mutant::ParametersFree) { 0 } else { ((record + work.weights()) * channels).div_ceil(port) }
}

/// `total` in parts of `size`: how many whole ones, and the rest, as `(count, size)`.
fn parts(total: u64, size: u64) -> [(u64, u64); 2] {
    [(total / size, size), (u64::from(!total.is_multiple_of(size)), total % size)]
}

/// `ve.depthwise` without the latency, on so many lanes.
fn depthwise(work: &VectorWork, machine: &Machine, lanes: u64) -> u64 {
    let port = port(machine.activation.port_bytes);
    let results = u64::from(machine.vector.requantise_per_cycle).min(port / work.bytes(2)).max(1);
    let pixel = |channels: u64| match on(Mutant::DepthwiseResultsFree) {
        true => work.weights(),
        false => work.weights().max(channels.div_ceil(results)),
    };
    let turn = |channels: u64| params(work, channels, port) + work.height * work.width * pixel(channels);
    parts(work.channels, lanes).into_iter().filter(|part| part.0 > 0).map(|(turns, size)| turns * turn(size)).sum()
}

/// `ve.requant` with `transposed`, without the latency; `rate` elements a cycle go into the transposer.
fn transposed(work: &VectorWork, machine: &Machine, rate: u64) -> u64 {
    let port = port(machine.activation.port_bytes);
    let lanes = u64::from(machine.vector.lanes).max(1);
    let turn = |channels: u64, pixels: u64| {
        let empty =
            if on(Mutant::TransposerEmptiesFree) { 0 } else { pixels * (written(work) * channels).div_ceil(port) };
        params(work, channels, port) + channels * pixels.div_ceil(rate) + empty
    };
    let mut cycles = 0;
    for (blocks, channels) in parts(work.channels, work.block_channels) {
        for (groups, pixels) in parts(work.height * work.width, u64::from(machine.array.columns)) {
            for (turns, channels) in parts(channels, lanes) {
                cycles += blocks * groups * turns * turn(channels, pixels);
            }
        }
    }
    cycles
}
