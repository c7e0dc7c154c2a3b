//! M-10: the traps of one instruction by itself.

use systole_machine::isa::{Instruction, UnitMask};
use systole_machine::spec::Machine;

use super::footprint::{Access, extents};
use super::work::{Convolution, Kind, Memory, Tensor, Transfer, VectorWork, Work};
use crate::contract::{Job, Trap};

/// The first trap of M-10 that applies.
pub(super) fn trap_of(job: &Job, instruction: &Instruction, work: &Work) -> Option<Trap> {
    if bad_mask(instruction, instruction.wait) || bad_mask(instruction, instruction.signal) {
        Some(Trap::BadToken)
    } else if unsupported(job.machine, work) {
        Some(Trap::Unsupported)
    } else if bad_shape(job.machine, work) {
        Some(Trap::BadShape)
    } else if extents(job.machine, work).iter().any(|access| outside(job, access)) {
        Some(Trap::OutOfBounds)
    } else {
        None
    }
}

fn bad_mask(instruction: &Instruction, mask: UnitMask) -> bool {
    mask.contains(instruction.unit()) || mask.0 >= 1 << 4
}

fn unsupported(machine: &Machine, work: &Work) -> bool {
    match work {
        Work::Vector(vector) => !machine.vector.float32 && vector.kind != Kind::MaxPool,
        _ => false,
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
    let overlaps = |row: i64, plane: i64| {
        (t.rows > 1 && row < t.row_bytes) || (t.planes > 1 && plane < (t.rows - 1) * row + t.row_bytes)
    };
    [t.row_bytes, t.rows, t.planes].contains(&0)
        || overlaps(t.buffer_row, t.buffer_plane)
        || (store && overlaps(t.dram_row, t.dram_plane))
}

fn bad_tensor(t: &Tensor) -> bool {
    (t.width > 1 && t.pixel_pitch < t.channels)
        || (t.height > 1 && t.row_pitch < (t.width - 1) * t.pixel_pitch + t.channels)
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
    };
    sizes.contains(&0) || (c.packed && !(c.dilation_w == 1 && c.channels == c.pixel_pitch)) || bad_tensor(&input)
}

fn bad_vector(machine: &Machine, v: &VectorWork) -> bool {
    let w = &v.window;
    let window = [w.kernel_h, w.kernel_w, w.stride_h, w.stride_w, w.in_height, w.in_width];
    [v.height, v.width, v.channels].contains(&0)
        || (v.kind.pools() && window.contains(&0))
        || (v.kind == Kind::Lrn && v.norm.size == 0)
        || v.kind.tensors() == 0
        || [v.a, v.b, Some(v.out)].iter().flatten().any(bad_tensor)
        || (v.kind == Kind::Requant && !(1..=i64::from(machine.array.columns)).contains(&v.block_channels))
        || v.quant.low > v.quant.high
}
