//! Loads and stores that fit (M-4).

use systole_machine::isa::{Operation, Space, Unit};
use systole_machine::spec::Machine;

use super::builder::{Builder, Piece, u};
use super::footprint::{Access, Memory};
use super::weights;

/// Rows and planes on one side of a transfer.
#[derive(Clone, Copy)]
pub(super) struct Side {
    row: u64,
    plane: u64,
}

/// A transfer without its addresses.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    row_bytes: u64,
    rows: u64,
    planes: u64,
}

impl Shape {
    fn extent(&self, side: Side) -> u64 {
        (self.planes - 1) * side.plane + (self.rows - 1) * side.row + self.row_bytes
    }

    fn accesses(&self, memory: Memory, write: bool, first: u64, side: Side) -> Vec<Access> {
        let rows = (0..self.planes).flat_map(|plane| (0..self.rows).map(move |row| (plane, row)));
        rows.map(|(plane, row)| Access::new(memory, write, first + plane * side.plane + row * side.row, self.row_bytes))
            .collect()
    }
}

/// A load into either buffer; at times one like the last, which needs no configuration.
pub(super) fn load(b: &mut Builder) -> Option<Piece> {
    if let Some((shape, dram_side, buffer_side, space)) = b.last.load
        && b.draw.chance(40)
        && let Some(piece) = placed_load(b, &shape, (dram_side, buffer_side), space)
    {
        return Some(piece);
    }
    let space = b.draw.weighted(&[(60, Space::Activation), (40, Space::Weight)]);
    for attempt in 0..6 {
        let shape = shape(b, Unit::Load, memory(b.machine, space), attempt);
        let buffer_side = apart(b, &shape);
        let dram_side = if b.draw.chance(25) { anyhow_apart(b, &shape) } else { apart(b, &shape) };
        if let Some(piece) = placed_load(b, &shape, (dram_side, buffer_side), space) {
            note(b, &shape, dram_side);
            b.last.load = Some((shape, dram_side, buffer_side, space));
            return Some(piece);
        }
    }
    None
}

fn placed_load(b: &mut Builder, shape: &Shape, (dram_side, buffer_side): (Side, Side), space: Space) -> Option<Piece> {
    let buffer = b.place(Unit::Load, memory(b.machine, space), shape.extent(buffer_side))?;
    let dram = b.place(Unit::Load, Memory::Dram, shape.extent(dram_side))?;
    Some(load_piece(b.machine, shape, (dram, dram_side), (buffer, buffer_side), space))
}

/// A load of one row from here to there.
pub(super) fn load_row(machine: &Machine, dram: u64, buffer: u64, bytes: u64, space: Space) -> Piece {
    let none = Side { row: 0, plane: 0 };
    load_piece(machine, &Shape { row_bytes: bytes, rows: 1, planes: 1 }, (dram, none), (buffer, none), space)
}

fn memory(machine: &Machine, space: Space) -> Memory {
    match space {
        Space::Activation => Memory::Activation,
        Space::Weight => weights(machine),
    }
}

fn load_piece(
    machine: &Machine,
    shape: &Shape,
    (dram, dram_side): (u64, Side),
    (buffer, buffer_side): (u64, Side),
    space: Space,
) -> Piece {
    let mut accesses = shape.accesses(Memory::Dram, false, dram, dram_side);
    accesses.extend(shape.accesses(memory(machine, space), true, buffer, buffer_side));
    Piece {
        configuration: vec![
            Operation::LoadShape { row_bytes: u(shape.row_bytes), rows: u(shape.rows), planes: u(shape.planes) },
            Operation::LoadDramPitch { row_pitch: u(dram_side.row), plane_pitch: u(dram_side.plane) },
            Operation::LoadBufferPitch { row_pitch: u(buffer_side.row), plane_pitch: u(buffer_side.plane) },
        ],
        run: Operation::LoadRun { dram: u(dram), buffer: u(buffer), space },
        accesses,
    }
}

/// A store; at times one like the last.
pub(super) fn store(b: &mut Builder) -> Option<Piece> {
    if let Some((shape, dram_side, buffer_side)) = b.last.store
        && b.draw.chance(40)
        && let Some(piece) = placed_store(b, &shape, (dram_side, buffer_side))
    {
        return Some(piece);
    }
    for attempt in 0..6 {
        let shape = shape(b, Unit::Store, Memory::Activation, attempt);
        let (buffer_side, dram_side) = (apart(b, &shape), apart(b, &shape));
        if let Some(piece) = placed_store(b, &shape, (dram_side, buffer_side)) {
            b.last.store = Some((shape, dram_side, buffer_side));
            return Some(piece);
        }
    }
    None
}

fn placed_store(b: &mut Builder, shape: &Shape, (dram_side, buffer_side): (Side, Side)) -> Option<Piece> {
    let buffer = b.place(Unit::Store, Memory::Activation, shape.extent(buffer_side))?;
    let dram = b.place(Unit::Store, Memory::Dram, shape.extent(dram_side))?;
    let mut accesses = shape.accesses(Memory::Activation, false, buffer, buffer_side);
    accesses.extend(shape.accesses(Memory::Dram, true, dram, dram_side));
    Some(Piece {
        configuration: vec![
            Operation::StoreShape { row_bytes: u(shape.row_bytes), rows: u(shape.rows), planes: u(shape.planes) },
            Operation::StoreDramPitch { row_pitch: u(dram_side.row), plane_pitch: u(dram_side.plane) },
            Operation::StoreBufferPitch { row_pitch: u(buffer_side.row), plane_pitch: u(buffer_side.plane) },
        ],
        run: Operation::StoreRun { dram: u(dram), buffer: u(buffer) },
        accesses,
    })
}

fn shape(b: &mut Builder, unit: Unit, memory: Memory, attempt: u64) -> Shape {
    let most = b.limits.row.min(b.rooms[unit as usize].length(memory)) >> attempt;
    let (rows, planes) = if b.draw.chance(40) { (1, 1) } else { (b.draw.range(1, 4), b.draw.small(1, 4)) };
    let row_bytes = if b.draw.chance(50) { b.draw.range(1, most) } else { b.draw.small(1, most) };
    Shape { row_bytes, rows, planes }
}

/// Pitches with which rows do not overlap; a single row's or plane's may be anything.
fn apart(b: &mut Builder, shape: &Shape) -> Side {
    let mut gap = |most| if b.draw.chance(60) { 0 } else { b.draw.small(0, most) };
    let (row_gap, plane_gap) = (gap(20), gap(40));
    let garbage = b.draw.chance(30);
    let row = if shape.rows == 1 && garbage { b.garbage() & 0xffff_ffff } else { shape.row_bytes + row_gap };
    let plane = (shape.rows - 1) * row + shape.row_bytes;
    let plane = if shape.planes == 1 && garbage { b.garbage() & 0xffff_ffff } else { plane + plane_gap };
    Side { row, plane }
}

/// Loads may repeat DRAM rows: pitches from 0 up.
fn anyhow_apart(b: &mut Builder, shape: &Shape) -> Side {
    let most = shape.row_bytes * 2;
    Side { row: b.draw.small(0, most), plane: b.draw.small(0, most) }
}

fn note(b: &mut Builder, shape: &Shape, dram: Side) {
    if shape.rows > 1 && dram.row < shape.row_bytes {
        b.notes.insert("load repeats DRAM bytes");
    }
    if shape.planes > 1 && shape.rows > 1 {
        b.notes.insert("load of planes of rows");
    }
}
