//! A program in the making: what machine it is for, where each unit may put things, what the units' registers hold.

use std::collections::{BTreeMap, BTreeSet};

use systole_machine::isa::{DataflowChoice, Instruction, Operand, Operation, Signed, Space, UNITS, Unit, Unsigned};
use systole_machine::spec::Machine;

use super::arrays;
use super::draw::Draw;
use super::footprint::{Access, Memory, Room};
use super::transfers::{Shape, Side};
use super::vectors;

/// The largest field value where `value` does not fit.
pub(super) fn u<const B: u32>(value: u64) -> Unsigned<B> {
    Unsigned::new(value.min(Unsigned::<B>::MAX)).unwrap_or_default()
}

/// Zero where `value` does not fit.
pub(super) fn i<const B: u32>(value: i64) -> Signed<B> {
    Signed::new(value).unwrap_or_default()
}

/// An instruction with what it touches.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) instruction: Instruction,
    pub(super) accesses: Vec<Access>,
}

/// A run instruction with the configuration that it needs.
pub(super) struct Piece {
    pub(super) configuration: Vec<Operation>,
    pub(super) run: Operation,
    pub(super) accesses: Vec<Access>,
}

/// A tensor's place: pitches, and bytes from its first to its last.
#[derive(Clone, Copy)]
pub(super) struct Tensor {
    pub(super) row_pitch: u64,
    pub(super) pixel_pitch: u64,
    pub(super) extent: u64,
}

/// What each unit ran last, but for addresses. To run the same again needs no configuration, so that runs of a unit follow each other closely.
#[derive(Default)]
pub(super) struct Last {
    /// Shape, DRAM side, buffer side, buffer.
    pub(super) load: Option<(Shape, Side, Side, Space)>,
    /// Shape, DRAM side, buffer side.
    pub(super) store: Option<(Shape, Side, Side)>,
    /// By array, with its configuration.
    pub(super) array: [Option<(arrays::Shape, Vec<Operation>)>; 4],
    /// By array, of the last `ar.run`.
    pub(super) dataflow: [Option<DataflowChoice>; 4],
    /// With its pitches and its configuration.
    pub(super) vector: Option<(vectors::Shape, [Tensor; 3], Vec<Operation>)>,
}

/// Kinds of parameters: bias and f32 of `ve.requant`, two floats, one integer, scale and zero point, then bias, multiplier and shift, bias and shift.
pub(super) const TABLES: usize = 6;

/// Records of parameters in DRAM.
#[derive(Clone, Copy, Default)]
pub(super) struct Table {
    pub(super) first: u64,
    pub(super) entries: u64,
    /// Bytes of a record.
    pub(super) record: u64,
}

/// How large instructions may be, about.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// Bytes of a transfer's row.
    pub(super) row: u64,
    /// Height and width of a tensor.
    pub(super) side: u64,
    /// Channels.
    pub(super) channels: u64,
    /// Cycles of an instruction.
    pub(super) cycles: u64,
    /// Steps of PEs of an instruction: the reference engine does each.
    pub(super) steps: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { row: 40, side: 6, channels: 24, cycles: 1200, steps: 150_000 }
    }
}

impl Limits {
    /// For a few runs that take long.
    pub(super) fn large() -> Self {
        Limits { row: 3000, side: 50, channels: 300, cycles: 60_000, steps: 6_000_000 }
    }
}

/// The program so far.
pub(super) struct Builder<'a> {
    pub(super) draw: &'a mut Draw,
    pub(super) machine: &'a Machine,
    /// By unit.
    pub(super) rooms: [Room; UNITS],
    /// How large instructions may be.
    pub(super) limits: Limits,
    /// Ranges of late instructions, next to which new ones are put.
    recent: Vec<Access>,
    /// Where DRAM holds parameters.
    pub(super) tables: [Table; TABLES],
    /// Where it holds streams of compressed weights: first byte and length.
    pub(super) streams: Vec<(u64, u64)>,
    pub(super) last: Last,
    pub(super) steps: Vec<Step>,
    /// What occurs that a counter should see.
    pub(super) notes: BTreeSet<&'static str>,
    /// Configuration in force, by mnemonic and operand or unit.
    registers: BTreeMap<(&'static str, u64), Operation>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(draw: &'a mut Draw, machine: &'a Machine, rooms: [Room; UNITS]) -> Self {
        Builder {
            draw,
            machine,
            rooms,
            limits: Limits::default(),
            recent: Vec::new(),
            tables: [Table::default(); TABLES],
            streams: Vec::new(),
            last: Last::default(),
            steps: Vec::new(),
            notes: BTreeSet::new(),
            registers: BTreeMap::new(),
        }
    }

    /// An address for `length` addresses of a memory, in the unit's room.
    pub(super) fn place(&mut self, unit: Unit, memory: Memory, length: u64) -> Option<u64> {
        let (first, end) = self.rooms[unit as usize].0[memory as usize];
        if length > end - first {
            return None;
        }
        let last = end - length;
        // The two ends are where mistakes are, and next to what others touch.
        Some(match self.draw.range(0, 9) {
            0 => last,
            1 => first,
            2..=4 => self.beside(memory, length).unwrap_or(first).clamp(first, last),
            _ => self.draw.range(first, last),
        })
    }

    /// An address right before or after a late access, or the same.
    fn beside(&mut self, memory: Memory, length: u64) -> Option<u64> {
        let near: Vec<Access> =
            self.recent.iter().rev().filter(|access| access.memory == memory).take(8).copied().collect();
        let access = near.get(self.draw.range(0, 7) as usize)?;
        Some(match self.draw.range(0, 4) {
            0 | 1 => access.end,
            2 | 3 => access.first.saturating_sub(length),
            _ => access.first,
        })
    }

    /// Random bits for a field that an instruction does not look at.
    pub(super) fn garbage(&mut self) -> u64 {
        let shift = self.draw.range(24, 63);
        self.draw.bits() >> shift
    }

    /// Pitches with which a tensor is valid (M-10, 3); the pitch of a single row or pixel means nothing.
    /// `bytes` are those of a pixel.
    pub(super) fn tensor(&mut self, height: u64, width: u64, bytes: u64) -> Tensor {
        let garbage = self.draw.chance(30);
        let mut gap = |most| if self.draw.chance(60) { 0 } else { self.draw.small(0, most) };
        let (pixel_gap, row_gap) = (gap(4), gap(9));
        let pixel_pitch = if width == 1 && garbage { self.garbage() & 0xff_ffff } else { bytes + pixel_gap };
        let row = (width - 1) * pixel_pitch + bytes;
        let row_pitch = if height == 1 && garbage { self.garbage() & 0xffff_ffff } else { row + row_gap };
        Tensor { row_pitch, pixel_pitch, extent: (height - 1) * row_pitch + row }
    }

    /// A tensor that an operation of two tensors reads: at times its pixels or rows repeat (M-6).
    pub(super) fn repeating(&mut self, height: u64, width: u64, bytes: u64) -> Tensor {
        if self.draw.chance(65) {
            return self.tensor(height, width, bytes);
        }
        let [rows, pixels] = self.draw.pick(&[[false, true], [true, false], [true, true]]);
        let (own_height, own_width) = (if rows { 1 } else { height }, if pixels { 1 } else { width });
        let mut tensor = self.tensor(own_height, own_width, bytes);
        if pixels {
            tensor.pixel_pitch = 0;
        }
        if rows {
            tensor.row_pitch = 0;
        }
        tensor
    }

    /// Appends the configuration that is not in force (or, at times, is), in any order, and the run.
    pub(super) fn push(&mut self, mut piece: Piece) {
        self.draw.shuffle(&mut piece.configuration);
        for operation in piece.configuration {
            self.configure(operation);
        }
        self.recent.extend(&piece.accesses);
        self.steps.push(Step { instruction: Instruction::new(piece.run), accesses: piece.accesses });
    }

    fn configure(&mut self, operation: Operation) {
        let in_force = match self.registers.get(&register(&operation)) {
            Some(held) => *held == operation,
            None => is_zero(&operation),
        };
        if !in_force || self.draw.chance(10) {
            self.append(operation);
        }
    }

    /// Appends an instruction that touches nothing; if it is configuration, its registers are known.
    pub(super) fn append(&mut self, operation: Operation) {
        self.registers.insert(register(&operation), operation);
        self.steps.push(Step { instruction: Instruction::new(operation), accesses: Vec::new() });
    }
}

fn register(operation: &Operation) -> (&'static str, u64) {
    let which = match operation {
        Operation::VectorPitch { operand, .. } | Operation::VectorFixed { operand, .. } => operand.to_bits(),
        other => other.unit() as u64,
    };
    (operation.mnemonic(), which)
}

/// M-3: what registers hold at first.
fn is_zero(operation: &Operation) -> bool {
    match operation {
        Operation::VectorPitch { row_pitch, pixel_pitch, .. } => row_pitch.get() == 0 && pixel_pitch.get() == 0,
        Operation::VectorFixed { multiplier, shift, .. } => multiplier.get() == 0 && shift.get() == 0,
        // Which array it is for is no register.
        other => {
            let array = usize::from(other.unit().array().is_some());
            let bits = other.field_bits();
            bits[..bits.len() - array].iter().all(|bits| *bits == 0)
        }
    }
}
