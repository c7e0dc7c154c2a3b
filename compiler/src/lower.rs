//! Mapped layers → items: the steps of one piece of work, ready to be put in program order.
//!
//! [`order`] interleaves items so that the loads of the next stand before the work of the present wherever nothing forbids it.

use systole_machine::isa::{Operation, RangeError, Space, Unsigned};

use crate::error::CompileError;
use crate::memory::Place;
use crate::schedule::{Access, Memory, Step};

pub mod conv;
mod layout;
pub mod moves;
pub(crate) mod resize;
mod setup;
pub(crate) mod shuffle;
pub(crate) mod taps;
pub mod vector;

/// One piece of work: what it needs, what it does, what it leaves.
#[derive(Clone, Debug, Default)]
pub struct Item {
    /// Loads.
    pub loads: Vec<Step>,
    /// Array and vector steps.
    pub work: Vec<Step>,
    /// Stores.
    pub stores: Vec<Step>,
}

impl Item {
    /// Bytes of weights are bytes of the one memory (M-1).
    pub(crate) fn unify(&mut self) {
        let steps = self.loads.iter_mut().chain(&mut self.work).chain(&mut self.stores);
        for access in steps.flat_map(|step| &mut step.accesses).filter(|access| access.memory == Memory::Weight) {
            access.memory = Memory::Activation;
        }
    }
}

/// Regions used in turn, at least one.
#[derive(Clone, Debug)]
pub(crate) struct Turn {
    slots: Vec<u64>,
    next: usize,
}

impl Turn {
    pub(crate) fn new(slots: &[u64]) -> Self {
        Turn { slots: slots.to_vec(), next: 0 }
    }

    pub(crate) fn take(&mut self) -> u64 {
        let slot = self.slots.get(self.next).copied().unwrap_or(0);
        self.next = (self.next + 1) % self.slots.len().max(1);
        slot
    }
}

/// A value for a field of an instruction.
pub(crate) fn field<const B: u32>(value: u64, layer: &str) -> Result<Unsigned<B>, CompileError> {
    Unsigned::new(value).map_err(|error| too_large(layer, &error))
}

pub(crate) fn too_large(layer: &str, error: &RangeError) -> CompileError {
    CompileError::unsupported(layer, format!("needs an instruction field beyond its range: {error}"))
}

/// A box of an activation: image, first row and column, rows and columns, first channel and channels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    pub(crate) image: usize,
    pub(crate) first: [usize; 2],
    pub(crate) size: [usize; 2],
    pub(crate) channels: (usize, usize),
}

/// How a box lies in DRAM and, densely or with a pitch, in a buffer: rows and planes of a DMA run.
pub(crate) struct Rows {
    pub(crate) row_bytes: u64,
    pub(crate) rows: u64,
    pub(crate) planes: u64,
    /// Bytes from row to row and from plane to plane.
    pub(crate) dram: [u64; 2],
    pub(crate) buffer: [u64; 2],
}

/// `pitch`: bytes from pixel to pixel in the buffer.
fn rows(place: &Place, cut: &Cut, pitch: u64) -> Rows {
    let [height, width] = cut.size.map(|size| size as u64);
    let channels = place.pixel_bytes(cut.channels.1);
    if place.pixel_pitch == channels && pitch == channels {
        let row = width * channels;
        let contiguous = place.row_pitch == row || height == 1;
        if contiguous && height * row <= Unsigned::<24>::MAX {
            return Rows { row_bytes: height * row, rows: 1, planes: 1, dram: [0, 0], buffer: [0, 0] };
        }
        return Rows { row_bytes: row, rows: height, planes: 1, dram: [place.row_pitch, 0], buffer: [row, 0] };
    }
    Rows {
        row_bytes: channels,
        rows: width,
        planes: height,
        dram: [place.pixel_pitch, place.row_pitch],
        buffer: [pitch, width * pitch],
    }
}

fn extent(row_bytes: u64, rows: u64, planes: u64, pitch: [u64; 2]) -> u64 {
    (planes - 1) * pitch[1] + (rows - 1) * pitch[0] + row_bytes
}

/// Loads a box into the activation buffer, dense.
pub(crate) fn load_cut(layer: u32, name: &str, place: &Place, cut: &Cut, buffer: u64) -> Result<Step, CompileError> {
    let rows = rows(place, cut, place.pixel_bytes(cut.channels.1));
    let dram = place.at(cut.image, cut.first[0], cut.first[1], cut.channels.0);
    load(layer, name, dram, buffer, Space::Activation, &rows)
}

/// Loads contiguous bytes.
pub(crate) fn load_bytes(
    layer: u32,
    name: &str,
    dram: u64,
    buffer: u64,
    space: Space,
    bytes: u64,
) -> Result<Step, CompileError> {
    load(layer, name, dram, buffer, space, &Rows { row_bytes: bytes, rows: 1, planes: 1, dram: [0, 0], buffer: [0, 0] })
}

/// Loads contiguous weights from a stream: its address and bytes.
pub(crate) fn decode_bytes(
    layer: u32,
    name: &str,
    (dram, stream): (u64, u64),
    buffer: u64,
    bytes: u64,
) -> Result<Step, CompileError> {
    let (rows, planes) = (field(1, name)?, field(1, name)?);
    let setup = vec![Operation::LoadShape { row_bytes: field(bytes, name)?, rows, planes }];
    let run =
        Operation::LoadDecode { dram: field(dram, name)?, buffer: field(buffer, name)?, bytes: field(stream, name)? };
    let accesses = vec![
        Access { memory: Memory::Dram, first: dram, end: dram + stream, write: false },
        Access { memory: Memory::Weight, first: buffer, end: buffer + bytes, write: true },
    ];
    Ok(Step::new(layer, setup, run, accesses))
}

fn load(layer: u32, name: &str, dram: u64, buffer: u64, space: Space, rows: &Rows) -> Result<Step, CompileError> {
    let setup = vec![
        Operation::LoadShape {
            row_bytes: field(rows.row_bytes, name)?,
            rows: field(rows.rows, name)?,
            planes: field(rows.planes, name)?,
        },
        Operation::LoadDramPitch { row_pitch: field(rows.dram[0], name)?, plane_pitch: field(rows.dram[1], name)? },
        Operation::LoadBufferPitch {
            row_pitch: field(rows.buffer[0], name)?,
            plane_pitch: field(rows.buffer[1], name)?,
        },
    ];
    let run = Operation::LoadRun { dram: field(dram, name)?, buffer: field(buffer, name)?, space };
    let memory = if space == Space::Weight { Memory::Weight } else { Memory::Activation };
    let (from, to) = (
        extent(rows.row_bytes, rows.rows, rows.planes, rows.dram),
        extent(rows.row_bytes, rows.rows, rows.planes, rows.buffer),
    );
    let accesses = vec![
        Access { memory: Memory::Dram, first: dram, end: dram + from, write: false },
        Access { memory, first: buffer, end: buffer + to, write: true },
    ];
    Ok(Step::new(layer, setup, run, accesses))
}

/// Stores a box from the activation buffer, where its pixels are `pitch` bytes apart.
pub(crate) fn store_cut(
    layer: u32,
    name: &str,
    place: &Place,
    cut: &Cut,
    buffer: u64,
    pitch: u64,
) -> Result<Step, CompileError> {
    let dram = place.at(cut.image, cut.first[0], cut.first[1], cut.channels.0);
    store_rows(layer, name, dram, buffer, &rows(place, cut, pitch))
}

/// Stores rows and planes that lie apart from each other.
pub(crate) fn store_rows(layer: u32, name: &str, dram: u64, buffer: u64, rows: &Rows) -> Result<Step, CompileError> {
    let setup = vec![
        Operation::StoreShape {
            row_bytes: field(rows.row_bytes, name)?,
            rows: field(rows.rows, name)?,
            planes: field(rows.planes, name)?,
        },
        Operation::StoreDramPitch { row_pitch: field(rows.dram[0], name)?, plane_pitch: field(rows.dram[1], name)? },
        Operation::StoreBufferPitch {
            row_pitch: field(rows.buffer[0], name)?,
            plane_pitch: field(rows.buffer[1], name)?,
        },
    ];
    let run = Operation::StoreRun { dram: field(dram, name)?, buffer: field(buffer, name)? };
    let (to, from) = (
        extent(rows.row_bytes, rows.rows, rows.planes, rows.dram),
        extent(rows.row_bytes, rows.rows, rows.planes, rows.buffer),
    );
    let accesses = vec![
        Access { memory: Memory::Dram, first: dram, end: dram + to, write: true },
        Access::activation(buffer, from, false),
    ];
    Ok(Step::new(layer, setup, run, accesses))
}

fn conflicts(a: &Step, b: &Step) -> bool {
    a.accesses.iter().any(|x| {
        b.accesses.iter().any(|y| x.memory == y.memory && (x.write || y.write) && x.first < y.end && y.first < x.end)
    })
}

/// Puts items in program order: each item's loads before the previous item's work where they touch nothing that it uses.
pub fn order(items: Vec<Item>) -> Vec<Step> {
    let mut steps = vec![];
    let mut items = items.into_iter().peekable();
    if let Some(first) = items.peek_mut() {
        steps.append(&mut first.loads);
    }
    while let Some(item) = items.next() {
        let mut late = vec![];
        if let Some(next) = items.peek_mut() {
            for load in std::mem::take(&mut next.loads) {
                let blocked = item.work.iter().chain(&item.stores).any(|step| conflicts(&load, step))
                    || late.iter().any(|earlier| conflicts(&load, earlier));
                if blocked { late.push(load) } else { steps.push(load) }
            }
        }
        steps.extend(item.work);
        steps.extend(item.stores);
        steps.extend(late);
    }
    steps
}
