//! M-10: the traps of one instruction by itself.

use systole_machine::isa::{DataflowChoice, Instruction, OutputFormat, RequantMode, Unit, UnitMask};
use systole_machine::spec::{Dataflow, Machine, Requantisation};

use super::footprint::{Access, extents};
use super::scaling::shifts;
use super::work::{Convolution, Kind, Memory, Tensor, Transfer, VectorWork, Work};
use crate::contract::{Job, Trap};

/// The first trap of M-10 that applies.
pub(super) fn trap_of(job: &Job, instruction: &Instruction, work: &Work) -> Option<Trap> {
    if [instruction.wait, instruction.signal].iter().any(|&mask| bad_mask(job.machine, instruction, mask)) {
        Some(Trap::BadToken)
    } else if unsupported(job.machine, instruction, work) {
        Some(Trap::Unsupported)
    } else if bad_shape(job.machine, work) {
        Some(Trap::BadShape)
    } else if extents(job.machine, work).iter().any(|access| outside(job, access)) {
        Some(Trap::OutOfBounds)
    } else {
        None
    }
}

/// Whether the machine has a unit: of the arrays, the first ones.
fn present(machine: &Machine, unit: Unit) -> bool {
    unit.array().is_none_or(|number| (number as u64) < u64::from(machine.array.count))
}

fn bad_mask(machine: &Machine, instruction: &Instruction, mask: UnitMask) -> bool {
    let absent = Unit::ALL.into_iter().any(|unit| mask.contains(unit) && !present(machine, unit));
    mask.contains(instruction.unit()) || absent || mask.0 >= 1 << Unit::ALL.len()
}

fn unsupported(machine: &Machine, instruction: &Instruction, work: &Work) -> bool {
    if !present(machine, instruction.unit()) {
        return true;
    }
    match work {
        Work::Array(convolution) => {
            let dataflow = match convolution.dataflow {
                DataflowChoice::WeightStationary => Dataflow::WeightStationary,
                DataflowChoice::OutputStationary => Dataflow::OutputStationary,
                DataflowChoice::InputStationary => Dataflow::InputStationary,
            };
            let lacks = |bits: u32| machine.array.operands.iter().all(|width| width.bits != bits);
            !machine.array.supports(dataflow)
                || lacks(convolution.width_bits())
                || (convolution.weight_format.bits() < 8 && lacks(convolution.weight_format.bits()))
                || (convolution.binary_activation() && lacks(1))
        }
        Work::Vector(vector) => unsupported_vector(machine, vector),
        Work::Load(transfer) => transfer.decoded.is_some() && machine.weight_decoder.is_none(),
        _ => false,
    }
}

fn unsupported_vector(machine: &Machine, v: &VectorWork) -> bool {
    let requantisation = machine.vector.requantisation;
    let stores = match v.format {
        OutputFormat::Plain => true,
        OutputFormat::Sign | OutputFormat::Binary => matches!(v.kind, Kind::Requant | Kind::Affine | Kind::Rescale),
        OutputFormat::Sum => v.kind == Kind::Requant,
    };
    if !stores {
        return true;
    }
    match (v.kind, v.mode) {
        (Kind::MaxPool | Kind::ArgMax | Kind::Unpool, _) => false,
        (Kind::Table { .. }, _) => v.tensors().any(|tensor| tensor.wide),
        (Kind::Depthwise, _) if !machine.vector.depthwise => true,
        (_, None | Some(RequantMode::Float32)) => !machine.vector.float32,
        (_, Some(RequantMode::Fixed)) => {
            !matches!(requantisation, Requantisation::FixedPoint { double_rounding: false, .. })
        }
        (_, Some(RequantMode::FixedDouble)) => {
            !matches!(requantisation, Requantisation::FixedPoint { double_rounding: true, .. })
        }
        (_, Some(RequantMode::Shift)) => requantisation != Requantisation::Shift,
    }
}

fn outside(job: &Job, access: &Access) -> bool {
    let size = match access.memory {
        Memory::Dram => job.dram_bytes,
        Memory::Activation => job.machine.activation.capacity_bytes,
        Memory::Weight => job.machine.weight.capacity_bytes,
        Memory::Accumulator => job.machine.accumulator_vectors(),
    };
    access.end > i128::from(size)
}

fn bad_shape(machine: &Machine, work: &Work) -> bool {
    match work {
        Work::Control => false,
        Work::Load(transfer) => bad_transfer(transfer, false),
        Work::Store(transfer) => bad_transfer(transfer, true),
        Work::Array(convolution) => bad_convolution(convolution),
        Work::Vector(vector) => bad_vector(machine, vector),
    }
}

fn bad_transfer(t: &Transfer, store: bool) -> bool {
    if let Some(decoded) = t.decoded {
        return t.rows != 1 || t.planes != 1 || t.row_bytes == 0 || t.row_bytes > decoded;
    }
    let overlaps = |row: i64, plane: i64| {
        (t.rows > 1 && row < t.row_bytes) || (t.planes > 1 && plane < (t.rows - 1) * row + t.row_bytes)
    };
    [t.row_bytes, t.rows, t.planes].contains(&0)
        || overlaps(t.buffer_row, t.buffer_plane)
        || (store && overlaps(t.dram_row, t.dram_plane))
}

fn bad_tensor(t: &Tensor) -> bool {
    let pixel_bytes = t.pixel_bytes();
    (t.width > 1 && t.pixel_pitch < pixel_bytes)
        || (t.height > 1 && t.row_pitch < (t.width - 1) * t.pixel_pitch + pixel_bytes)
}

/// The same for an operand whose pixels or rows may repeat (M-6).
fn bad_repeating(t: &Tensor) -> bool {
    let pixel_bytes = t.pixel_bytes();
    let row_bytes = (t.width - 1) * t.pixel_pitch + pixel_bytes;
    (t.width > 1 && t.pixel_pitch != 0 && t.pixel_pitch < pixel_bytes)
        || (t.height > 1 && t.row_pitch != 0 && t.row_pitch < row_bytes)
}

fn bad_tensors(v: &VectorWork) -> bool {
    let pairs = matches!(v.kind, Kind::Add | Kind::Mul | Kind::Max | Kind::Min | Kind::Div);
    if let (true, Some(a), Some(b)) = (pairs, v.a, v.b) {
        return bad_repeating(&a) || bad_repeating(&b) || bad_tensor(&v.out);
    }
    v.tensors().any(|tensor| bad_tensor(&tensor))
}

fn bad_convolution(c: &Convolution) -> bool {
    let sizes = [
        c.height,
        c.width,
        c.kernel_h,
        c.kernel_w,
        c.stride_h,
        c.stride_w,
        c.dilation_h,
        c.dilation_w,
        c.height_out,
        c.width_out,
        c.channels,
        c.blocks,
    ];
    let input = Tensor {
        address: c.activation,
        row_pitch: c.row_pitch,
        pixel_pitch: c.pixel_pitch,
        height: c.height,
        width: c.width,
        channels: c.channels,
        wide: c.wide_activation,
        binary: c.binary_activation(),
        sum: false,
    };
    sizes.contains(&0)
        || (c.dataflow == DataflowChoice::InputStationary && c.outputs == 0)
        || (c.packed && !(c.dilation_w == 1 && c.activation_bytes(c.channels) == c.pixel_pitch))
        || (c.packed && c.binary_activation() && c.channels % 8 != 0)
        || bad_tensor(&input)
}

fn bad_vector(machine: &Machine, v: &VectorWork) -> bool {
    let w = &v.window;
    let window = [w.kernel_h, w.kernel_w, w.stride_h, w.stride_w, w.in_height, w.in_width];
    [v.height, v.width, v.channels].contains(&0)
        || (v.kind.pools() && window.contains(&0))
        || (v.kind.has_input_tile() && [w.in_height, w.in_width].contains(&0))
        || (v.kind == Kind::Lrn && v.norm.size == 0)
        || v.kind.tensors() == 0
        || bad_tensors(v)
        || (v.kind == Kind::Requant && v.block_channels == 0)
        || (v.kind == Kind::Requant && !v.transposed && v.block_channels > i64::from(machine.array.columns))
        || bad_shift(v)
        || v.quant.low > v.quant.high
}

/// Whether a register of `ve.fixed` that the operation reads has a shift without meaning.
fn bad_shift(v: &VectorWork) -> bool {
    let Some(range) = v.mode.and_then(shifts) else { return false };
    let [a, b, out] = v.fixed;
    let read = match v.kind {
        Kind::Add | Kind::AddChannel => vec![a, b, out],
        Kind::Mul | Kind::MulChannel | Kind::Rescale => vec![out],
        Kind::Max | Kind::Min => vec![a, b],
        _ => Vec::new(),
    };
    read.iter().any(|scaling| !range.contains(&scaling.shift))
}
