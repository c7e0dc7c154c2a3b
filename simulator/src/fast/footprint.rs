//! What an instruction touches (M-9), as regular sets of ranges, and how such sets meet.
//!
//! Knows neither time nor order.

use systole_machine::spec::Machine;

use super::folds::Folds;
use super::mutant::{Mutant, on};
use super::work::{Convolution, Transfer, VectorWork, Work};

/// A memory of the machine. Units of address: bytes, but vectors for the accumulators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Memory {
    Activation = 0,
    Weight = 1,
    Accumulator = 2,
    Dram = 3,
}

impl Memory {
    /// Whether addresses in both can mean the same thing: with a unified scratchpad weights and activations are bytes of one memory (M-1).
    pub(super) fn aliases(self, other: Memory, machine: &Machine) -> bool {
        let bytes = |memory| matches!(memory, Memory::Activation | Memory::Weight);
        self == other || (machine.unified && !on(Mutant::SpacesApart) && bytes(self) && bytes(other))
    }
}

/// `planes` × `rows` ranges of `length` addresses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ranges {
    base: u64,
    length: u64,
    rows: u64,
    row_pitch: u64,
    planes: u64,
    plane_pitch: u64,
}

impl Ranges {
    /// One range.
    pub(super) fn one(base: u64, length: u64) -> Self {
        Ranges { base, length, rows: 1, row_pitch: 0, planes: 1, plane_pitch: 0 }
    }

    /// Ranges that touch or overlap are joined, so that `rows` and `planes` are as few as the regular form allows.
    fn new(base: u64, length: u64, (rows, row_pitch): (u64, u64), (planes, plane_pitch): (u64, u64)) -> Self {
        let mut set = Ranges { base, length, rows, row_pitch, planes, plane_pitch };
        if set.rows == 1 || set.row_pitch <= set.length {
            set.length += (set.rows - 1) * set.row_pitch;
            (set.rows, set.row_pitch) = (1, 0);
        }
        if set.rows == 1 {
            (set.rows, set.row_pitch, set.planes, set.plane_pitch) = (planes, plane_pitch, 1, 0);
            if set.rows == 1 || set.row_pitch <= set.length {
                set.length += (set.rows - 1) * set.row_pitch;
                (set.rows, set.row_pitch) = (1, 0);
            }
        }
        set
    }

    /// The smallest range around all: first address and the one after the last.
    pub(super) fn hull(&self) -> (u64, u64) {
        let last = (self.planes - 1) * self.plane_pitch + (self.rows - 1) * self.row_pitch;
        (self.base, self.base.saturating_add(last).saturating_add(self.length))
    }

    /// Every range, first address and the one after the last.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        (0..self.planes).flat_map(move |plane| {
            let base = self.base + plane * self.plane_pitch;
            (0..self.rows).map(move |row| (base + row * self.row_pitch, base + row * self.row_pitch + self.length))
        })
    }

    /// Whether planes follow each other, so that addresses rise from range to range.
    fn rises(&self) -> bool {
        self.planes == 1 || self.plane_pitch >= (self.rows - 1) * self.row_pitch + self.length
    }

    /// Whether some address of `first..end` is in the set. Only for a set that [`Ranges::rises`].
    fn meets(&self, first: u64, end: u64) -> bool {
        let Some(offset) = first.checked_sub(self.base) else { return end > self.base };
        let plane = offset.checked_div(self.plane_pitch).unwrap_or(0).min(self.planes - 1);
        let inside = offset - plane * self.plane_pitch;
        let row = inside.checked_div(self.row_pitch).unwrap_or(0).min(self.rows - 1);
        let within = inside - row * self.row_pitch;
        // The first range that ends after `first`.
        let start = if within < self.length {
            plane * self.plane_pitch + row * self.row_pitch
        } else if row + 1 < self.rows {
            plane * self.plane_pitch + (row + 1) * self.row_pitch
        } else if plane + 1 < self.planes {
            (plane + 1) * self.plane_pitch
        } else {
            return false;
        };
        self.base + start < end
    }

    /// Whether two sets share an address.
    pub(super) fn overlaps(&self, other: &Ranges) -> bool {
        let (a, b) = (self.hull(), other.hull());
        if a.0 >= b.1 || b.0 >= a.1 {
            return false;
        }
        let (few, many) =
            if self.rows * self.planes <= other.rows * other.planes { (self, other) } else { (other, self) };
        if many.rises() {
            few.iter().any(|(first, end)| many.meets(first, end))
        } else if few.rises() {
            many.iter().any(|(first, end)| few.meets(first, end))
        } else {
            few.iter().any(|f| many.iter().any(|m| f.0 < m.1 && m.0 < f.1))
        }
    }
}

/// One access of an instruction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Access {
    pub(super) memory: Memory,
    pub(super) write: bool,
    pub(super) ranges: Ranges,
}

/// The accesses of an instruction, at most four.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Footprint {
    accesses: [Option<Access>; 4],
    count: usize,
}

impl Footprint {
    fn push(&mut self, memory: Memory, write: bool, ranges: Ranges) {
        self.accesses[self.count] = Some(Access { memory, write, ranges });
        self.count += 1;
    }

    /// All accesses.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Access> {
        self.accesses.iter().flatten()
    }

    /// The ranges that are written, sorted, and joined where they touch.
    pub(super) fn written(&self, machine: &Machine) -> Vec<(Memory, u64, u64)> {
        let mut all: Vec<(Memory, u64, u64)> = Vec::new();
        for access in self.iter().filter(|access| access.write) {
            // With a unified scratchpad weights are bytes of the activation buffer (M-1).
            let memory =
                if access.memory.aliases(Memory::Activation, machine) { Memory::Activation } else { access.memory };
            all.extend(access.ranges.iter().map(|(first, end)| (memory, first, end)));
        }
        all.sort_unstable_by_key(|&(memory, first, end)| (memory as u8, first, end));
        all.dedup_by(|next, kept| {
            let joins = next.0 == kept.0 && next.1 <= kept.2;
            if joins {
                kept.2 = kept.2.max(next.2);
            }
            joins
        });
        all
    }

    /// Whether some byte is in both, written by one.
    pub(super) fn conflicts(&self, other: &Footprint, machine: &Machine) -> bool {
        let meet = |a: &Access, b: &Access| {
            a.memory.aliases(b.memory, machine) && (a.write || b.write) && a.ranges.overlaps(&b.ranges)
        };
        self.iter().any(|a| other.iter().any(|b| meet(a, b)))
    }
}

/// The footprint of an instruction whose shape is valid (M-10, 3).
pub(super) fn footprint(work: &Work, machine: &Machine) -> Footprint {
    let mut all = Footprint::default();
    match work {
        Work::Configure => {}
        Work::Load(transfer) => {
            let buffer = if transfer.weight { Memory::Weight } else { Memory::Activation };
            all.push(Memory::Dram, false, dram_rows(transfer));
            all.push(buffer, true, buffer_rows(transfer));
        }
        Work::Decode(stream) => {
            all.push(Memory::Dram, false, Ranges::one(stream.dram, stream.bytes));
            all.push(Memory::Weight, true, Ranges::one(stream.buffer, stream.decoded));
        }
        Work::Store(transfer) => {
            all.push(Memory::Activation, false, buffer_rows(transfer));
            all.push(Memory::Dram, true, dram_rows(transfer));
        }
        Work::Array(run) => array(run, machine, &mut all),
        Work::Vector(work) => vector(work, u64::from(machine.array.columns), &mut all),
    }
    all
}

fn dram_rows(t: &Transfer) -> Ranges {
    Ranges::new(t.dram, t.row_bytes, (t.rows, t.dram_row), (t.planes, t.dram_plane))
}

fn buffer_rows(t: &Transfer) -> Ranges {
    Ranges::new(t.buffer, t.row_bytes, (t.rows, t.buffer_row), (t.planes, t.buffer_plane))
}

fn array(run: &Convolution, machine: &Machine, all: &mut Footprint) {
    let folds = Folds::new(run, &machine.array);
    let tile = (run.height - 1) * run.row_pitch + (run.width - 1) * run.pixel_pitch + run.pixel_bytes();
    let input = Ranges::new(run.activation, tile, (run.blocks, run.block_step), (1, 0));
    all.push(Memory::Activation, false, input);
    all.push(Memory::Weight, false, Ranges::one(run.weight, folds.weight_bytes(run)));
    all.push(Memory::Accumulator, true, Ranges::one(run.accumulator, folds.vectors(run.dataflow)));
}

fn vector(work: &VectorWork, columns: u64, all: &mut Footprint) {
    let tensor = |operand: usize, base: u64| {
        let (pitch, (height, width)) = (work.pitch[operand], work.size(operand));
        let pixel = work.pixel_bytes(operand);
        Ranges::one(base, (height - 1) * pitch.row + (width - 1) * pitch.pixel + pixel)
    };
    let (height, width) = (work.height, work.width);
    if work.kind == super::work::VectorKind::Requant {
        let block = if work.transposed {
            (height * width).div_ceil(columns).saturating_mul(work.block_channels)
        } else {
            height * width
        };
        let vectors = work.channels.div_ceil(work.block_channels).saturating_mul(block);
        all.push(Memory::Accumulator, false, Ranges::one(work.accumulator, vectors));
    } else {
        all.push(Memory::Activation, false, tensor(0, work.a));
    }
    if work.kind.has_b() {
        all.push(Memory::Activation, false, tensor(1, work.b));
    }
    if work.kind.has_params() {
        all.push(Memory::Activation, false, Ranges::one(work.params, work.record() * work.entries()));
    }
    all.push(Memory::Activation, true, tensor(2, work.out));
}
