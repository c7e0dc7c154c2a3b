//! Traps of one instruction (M-10), in the order of the rule.
//!
//! Traps that need two instructions are `hazard`.

use systole_machine::isa::{OutputFormat, Unit};
use systole_machine::spec::{Dataflow, Machine, Requantisation};

use super::footprint::{Memory, footprint};
use super::scaled::Mode;
use super::work::{Convolution, Pitch, Step, Transfer, VectorKind, VectorWork, Work};
use crate::contract::Trap;

/// The trap of an instruction, if any.
pub(super) fn check(step: &Step, machine: &Machine, dram_bytes: u64) -> Option<Trap> {
    let count = machine.array.count as usize;
    let missing = Unit::ARRAYS.iter().skip(count).fold(0x80, |mask, &unit| mask | 1 << unit as u8);
    if (step.wait.0 | step.signal.0) & (missing | 1 << step.unit as u8) != 0 {
        return Some(Trap::BadToken);
    }
    if step.unit.array().is_some_and(|index| index >= count) || !supported(&step.work, machine) {
        return Some(Trap::Unsupported);
    }
    let shape = match &step.work {
        Work::Configure => true,
        Work::Load(transfer) => buffer_shape(transfer),
        Work::Decode(stream) => stream.one_row && (1..=stream.decoded).contains(&stream.bytes),
        Work::Store(transfer) => buffer_shape(transfer) && dram_shape(transfer),
        Work::Array(run) => array_shape(run),
        Work::Vector(work) => vector_shape(work, u64::from(machine.array.columns)),
    };
    if !shape {
        return Some(Trap::BadShape);
    }
    let outside = footprint(&step.work, machine).iter().any(|access| {
        let capacity = match access.memory {
            Memory::Activation => machine.activation.capacity_bytes,
            Memory::Weight => machine.weight.capacity_bytes,
            Memory::Accumulator => machine.accumulator_vectors(),
            Memory::Dram => dram_bytes,
        };
        access.ranges.hull().1 > capacity
    });
    outside.then_some(Trap::OutOfBounds)
}

/// Whether the operation can store its results in the format that is set (M-14).
fn stores(work: &VectorWork) -> bool {
    let signs = matches!(work.kind, VectorKind::Requant | VectorKind::Affine | VectorKind::Rescale);
    match work.format {
        OutputFormat::Plain => true,
        OutputFormat::Sum => work.kind == VectorKind::Requant,
        OutputFormat::Sign | OutputFormat::Binary => signs,
    }
}

/// Whether the machine has what the operation needs.
fn supported(work: &Work, machine: &Machine) -> bool {
    match work {
        Work::Decode(_) => machine.weight_decoder.is_some(),
        Work::Array(run) => {
            let lists = |bits: u32| machine.array.interval_cycles(bits).is_some();
            let bits = run.weights.bits();
            let weights = bits == 8 || lists(bits);
            machine.array.supports(run.dataflow) && lists(run.width()) && weights && (!run.binary || lists(1))
        }
        Work::Vector(work) if !stores(work) => false,
        Work::Vector(work) if work.kind.has_table() => work.widest() == 1,
        Work::Vector(work) => {
            let own = match machine.vector.requantisation {
                Requantisation::Float32 => Mode::Float,
                Requantisation::FixedPoint { double_rounding: false, .. } => Mode::Fixed,
                Requantisation::FixedPoint { double_rounding: true, .. } => Mode::FixedDouble,
                Requantisation::Shift => Mode::Shift,
            };
            let chooses = matches!(work.kind, VectorKind::MaxPool | VectorKind::ArgMax | VectorKind::Unpool);
            let float = machine.vector.float32 || chooses;
            let has = work.kind != VectorKind::Depthwise || machine.vector.depthwise;
            has && if work.mode == Mode::Float { float } else { work.mode == own }
        }
        _ => true,
    }
}

fn rows_fit(t: &Transfer, row_pitch: u64, plane_pitch: u64) -> bool {
    (t.rows == 1 || row_pitch >= t.row_bytes)
        && (t.planes == 1 || plane_pitch >= (t.rows - 1) * row_pitch + t.row_bytes)
}

fn buffer_shape(t: &Transfer) -> bool {
    t.row_bytes > 0 && t.rows > 0 && t.planes > 0 && rows_fit(t, t.buffer_row, t.buffer_plane)
}

fn dram_shape(t: &Transfer) -> bool {
    rows_fit(t, t.dram_row, t.dram_plane)
}

fn tensor_fits(height: u64, width: u64, bytes: u64, pitch: Pitch) -> bool {
    (width == 1 || pitch.pixel >= bytes) && (height == 1 || pitch.row >= (width - 1) * pitch.pixel + bytes)
}

fn array_shape(r: &Convolution) -> bool {
    let sizes = [r.height, r.width, r.height_out, r.width_out, r.channels, r.blocks];
    let window = [r.kernel_h, r.kernel_w, r.stride_h, r.stride_w, r.dilation_h, r.dilation_w];
    let outputs = r.dataflow != Dataflow::InputStationary || r.outputs > 0;
    outputs
        && !sizes.contains(&0)
        && !window.contains(&0)
        && (!r.packed || (r.dilation_w == 1 && r.pixel_bytes() == r.pixel_pitch))
        && (!r.packed || !r.binary || r.channels.is_multiple_of(8))
        && tensor_fits(r.height, r.width, r.pixel_bytes(), Pitch { row: r.row_pitch, pixel: r.pixel_pitch })
}

fn vector_shape(w: &VectorWork, columns: u64) -> bool {
    if [w.height, w.width, w.channels].contains(&0) || w.low > w.high {
        return false;
    }
    let window = [w.kernel_h, w.kernel_w, w.stride_h, w.stride_w, w.in_height, w.in_width];
    if w.kind.pools() && window.contains(&0) {
        return false;
    }
    if w.kind == VectorKind::Resize && (w.in_height == 0 || w.in_width == 0) {
        return false;
    }
    let too_wide = !w.transposed && w.block_channels > columns;
    if w.kind == VectorKind::Requant && (w.block_channels == 0 || too_wide) {
        return false;
    }
    let scaled: &[usize] = match w.kind {
        VectorKind::Add | VectorKind::AddChannel => &[0, 1, 2],
        VectorKind::Mul | VectorKind::MulChannel | VectorKind::Rescale => &[2],
        VectorKind::Max | VectorKind::MaxChannel | VectorKind::Min | VectorKind::MinChannel => &[0, 1],
        _ => &[],
    };
    if !scaled.iter().all(|&operand| w.mode.takes(w.fixed[operand].shift)) {
        return false;
    }
    let pairs =
        matches!(w.kind, VectorKind::Add | VectorKind::Mul | VectorKind::Max | VectorKind::Min | VectorKind::Div);
    let fits = |operand: usize| {
        let ((mut height, mut width), pitch) = (w.size(operand), w.pitch[operand]);
        // What repeats (M-6) is one pixel, or one row.
        if pairs && operand < 2 {
            width = if pitch.pixel == 0 { 1 } else { width };
            height = if pitch.row == 0 { 1 } else { height };
        }
        tensor_fits(height, width, w.pixel_bytes(operand), pitch)
    };
    if (w.kind == VectorKind::Lrn && w.norm_size == 0) || (w.kind == VectorKind::Sum && w.operands == 0) {
        return false;
    }
    (!w.kind.has_a() || fits(0)) && (!w.kind.has_b() || fits(1)) && fits(2)
}
