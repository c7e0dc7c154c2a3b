//! Durations in closed form: the array (T-5) and the vector unit (T-6).
//!
//! Nothing here depends on what else runs, but for the end of the array's previous stream, which is handed in.

use systole_machine::spec::Machine;

use super::mutant::{Mutant, on};
use super::work::{Convolution, VectorKind, VectorWork};

/// When an `ar.run` that starts at a given cycle releases its unit, ends, and has streamed its last vector in.
pub(super) struct ArrayTimes {
    pub(super) release: u64,
    pub(super) end: u64,
    pub(super) stream_end: u64,
}

/// T-5.
pub(super) fn array(run: &Convolution, machine: &Machine, start: u64, previous_stream_end: u64) -> ArrayTimes {
    let (rows, columns) = (u64::from(machine.array.rows), u64::from(machine.array.columns));
    let port = |bytes: u32| u64::from(bytes.max(1));
    let mut row = columns.div_ceil(port(machine.weight.port_bytes));
    if on(Mutant::TileRowFloor) {
        row = (columns / port(machine.weight.port_bytes)).max(1);
    }
    let tile = rows * row - u64::from(on(Mutant::TileShorter));
    let chunk = if on(Mutant::ChunkUnlimited) { run.run_length() } else { run.run_length().min(rows) };
    let read = chunk.div_ceil(port(machine.activation.port_bytes));
    let write = (4 * columns).div_ceil(port(machine.accumulator.port_bytes));
    let vector = if on(Mutant::WritePortIgnored) { read.max(1) } else { read.max(write).max(1) };
    let pixels = run.pixels();
    let folds = run.blocks * run.folds(rows);
    let drain = (pixels - 1) * vector + rows + columns - 1 + u64::from(on(Mutant::DrainLonger))
        - u64::from(on(Mutant::DrainShorter));
    if machine.array.weight_registers >= 2 {
        let first = (start + tile).max(if on(Mutant::StreamEndIgnored) { 0 } else { previous_stream_end });
        let cadence = if on(Mutant::CadenceWithoutTile) { pixels * vector } else { (pixels * vector).max(tile) };
        let last = first + (folds - 1) * cadence;
        let release = if on(Mutant::ReleaseAtStreamEnd) { last + pixels * vector } else { last };
        ArrayTimes { release, end: last + drain, stream_end: last + pixels * vector }
    } else {
        let tiles = if on(Mutant::OneRegisterPrefetches) { 1 } else { folds };
        let end = start + tiles * tile + folds * drain;
        ArrayTimes { release: end, end, stream_end: end - drain + pixels * vector }
    }
}

/// T-6: the duration of a vector instruction.
pub(super) fn vector(work: &VectorWork, machine: &Machine) -> u64 {
    let port = u64::from(machine.activation.port_bytes.max(1));
    let pixels = work.height * work.width;
    let params = |channels: u64| if on(Mutant::ParametersFree) { 0 } else { (8 * channels).div_ceil(port) };
    let latency = if on(Mutant::LatencyDropped) { 0 } else { u64::from(machine.vector.latency_cycles) };
    let lanes = u64::from(machine.vector.lanes).min(if on(Mutant::LanesBeyondPort) { u64::MAX } else { port }).max(1);
    let elements = pixels * work.channels;
    let cycles = match work.kind {
        VectorKind::Requant => {
            let words =
                if on(Mutant::RequantBeyondPort) { u64::MAX } else { u64::from(machine.accumulator.port_bytes / 4) };
            let rate = u64::from(machine.vector.requantise_per_cycle).min(words).min(port).max(1);
            let block = |channels: u64| params(channels) + (pixels * channels).div_ceil(rate);
            let (whole, rest) = (work.channels / work.block_channels, work.channels % work.block_channels);
            let paid = if on(Mutant::RestBlockMerged) { params(rest) } else { 0 };
            whole * block(work.block_channels) + if rest > 0 { block(rest) - paid } else { 0 }
        }
        VectorKind::Add | VectorKind::Mul | VectorKind::Rescale => elements.div_ceil(lanes),
        VectorKind::AddChannel | VectorKind::MulChannel | VectorKind::Affine => {
            elements.div_ceil(lanes) + params(work.channels)
        }
        VectorKind::MaxPool | VectorKind::AveragePool => {
            let columns = if on(Mutant::WindowFlat) { 1 } else { work.kernel_w };
            (elements * work.kernel_h * columns).div_ceil(lanes)
        }
        VectorKind::Lrn => {
            let window = if on(Mutant::LrnWindowFree) { 1 } else { work.norm_size };
            pixels * (window + 2) * work.channels.div_ceil(lanes)
        }
        VectorKind::Sum => params(work.operands) + work.operands * elements.div_ceil(lanes),
        VectorKind::Softmax => pixels * (3 - u64::from(on(Mutant::SoftmaxTwoPasses))) * work.channels.div_ceil(lanes),
    };
    cycles + latency
}
