//! M-9: the bytes of an instruction that count for ports, bounds and races. No judgement on them.

use systole_machine::isa::DataflowChoice;
use systole_machine::spec::Machine;

use super::address_generator::Shape;
use super::work::{Convolution, Memory, Transfer, VectorWork, Work, div_ceil};

/// A range `[first, end)` of a memory: bytes, or vectors of the accumulators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Access {
    pub(super) memory: Memory,
    pub(super) write: bool,
    pub(super) first: i128,
    pub(super) end: i128,
}

/// The ranges of an instruction whose shape is valid, in order and joined where they touch. Rows of a DMA run one by one: in bounds, there are no more of
/// them than the buffer has bytes.
pub(super) fn footprint(machine: &Machine, work: &Work) -> Vec<Access> {
    match work {
        Work::Control => Vec::new(),
        Work::Load(transfer) => joined(rows_of(transfer, false)),
        Work::Store(transfer) => joined(rows_of(transfer, true)),
        Work::Array(convolution) => joined(of_array(machine, convolution)),
        Work::Vector(vector) => joined(of_vector(machine, vector)),
    }
}

/// As [`footprint`], but with one range from the first to the last byte for each side of a DMA run: enough to judge bounds, and small for every shape.
pub(super) fn extents(machine: &Machine, work: &Work) -> Vec<Access> {
    match work {
        Work::Load(transfer) => hull(transfer, false),
        Work::Store(transfer) => hull(transfer, true),
        _ => footprint(machine, work),
    }
}

fn access(memory: Memory, write: bool, first: i64, length: i128) -> Access {
    Access { memory, write, first: i128::from(first), end: i128::from(first) + length }
}

fn hull(t: &Transfer, store: bool) -> Vec<Access> {
    let length = |bytes: i64, row: i64, plane: i64| {
        i128::from(t.planes - 1) * i128::from(plane) + i128::from(t.rows - 1) * i128::from(row) + i128::from(bytes)
    };
    vec![
        access(Memory::Dram, store, t.dram, length(t.row_bytes, t.dram_row, t.dram_plane)),
        access(t.memory(), !store, t.buffer, length(t.buffer_row_bytes(), t.buffer_row, t.buffer_plane)),
    ]
}

fn rows_of(t: &Transfer, store: bool) -> Vec<Access> {
    let mut ranges = Vec::new();
    for plane in 0..t.planes {
        for row in 0..t.rows {
            let dram = t.dram + plane * t.dram_plane + row * t.dram_row;
            let buffer = t.buffer + plane * t.buffer_plane + row * t.buffer_row;
            ranges.push(access(Memory::Dram, store, dram, t.row_bytes.into()));
            ranges.push(access(t.memory(), !store, buffer, t.buffer_row_bytes().into()));
        }
    }
    ranges
}

/// What an `ar.run` reads: its activations, and its weights.
pub(super) fn operands(machine: &Machine, c: &Convolution) -> (Vec<Access>, Access) {
    let tile = (c.height - 1) * c.row_pitch + (c.width - 1) * c.pixel_pitch + c.activation_bytes(c.channels);
    let activations = (0..c.blocks)
        .map(|block| access(Memory::Activation, false, c.activation + block * c.block_step, tile.into()))
        .collect();
    let shape = Shape::of(machine);
    let length = shape.chunk(c.dataflow);
    let chunks = i128::from(c.blocks) * i128::from(c.kernel_h * c.runs()) * i128::from(c.chunks(length));
    // Rows of weights in a chunk, and the bytes of one.
    let (rows, row) = match c.dataflow {
        DataflowChoice::WeightStationary | DataflowChoice::OutputStationary => (length, c.weight_bytes(shape.columns)),
        DataflowChoice::InputStationary => (c.outputs, c.weight_bytes(length)),
    };
    let memory = if machine.unified { Memory::Activation } else { Memory::Weight };
    (activations, access(memory, false, c.weight, chunks * i128::from(rows) * i128::from(row)))
}

fn of_array(machine: &Machine, c: &Convolution) -> Vec<Access> {
    let (mut ranges, weights) = operands(machine, c);
    ranges.push(weights);
    let vectors = match c.dataflow {
        DataflowChoice::WeightStationary | DataflowChoice::OutputStationary => c.pixels().into(),
        DataflowChoice::InputStationary => i128::from(Shape::of(machine).groups(c)) * i128::from(c.outputs),
    };
    ranges.push(access(Memory::Accumulator, true, c.accumulator, i128::from(c.blocks) * vectors));
    ranges
}

fn of_vector(machine: &Machine, v: &VectorWork) -> Vec<Access> {
    let mut ranges = Vec::new();
    for (tensor, write) in [(v.a, false), (v.b, false), (Some(v.out), true)] {
        if let Some(tensor) = tensor {
            ranges.push(access(Memory::Activation, write, tensor.address, (tensor.end() - tensor.address).into()));
        }
    }
    if let Some(params) = v.params {
        let length = i128::from(v.records()) * i128::from(v.record_bytes());
        ranges.push(access(Memory::Activation, false, params, length));
    }
    if let Some(accumulator) = v.accumulator {
        let pixels = v.height * v.width;
        let of_block = if v.transposed {
            i128::from(div_ceil(pixels, machine.array.columns.into())) * i128::from(v.block_channels)
        } else {
            pixels.into()
        };
        let vectors = i128::from(div_ceil(v.channels, v.block_channels)) * of_block;
        ranges.push(access(Memory::Accumulator, false, accumulator, vectors));
    }
    ranges
}

/// Sorted by memory, kind and address; ranges of one kind that touch or overlap become one.
fn joined(mut ranges: Vec<Access>) -> Vec<Access> {
    ranges.sort_unstable();
    let mut result: Vec<Access> = Vec::new();
    for range in ranges {
        match result.last_mut() {
            Some(last) if (last.memory, last.write) == (range.memory, range.write) && range.first <= last.end => {
                last.end = last.end.max(range.end);
            }
            _ => result.push(range),
        }
    }
    result
}
