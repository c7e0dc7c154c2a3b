//! Records of parameters in DRAM (M-7), and multipliers and shifts of integer scalings (N-17).

use systole_machine::isa::{Operation, RequantMode, Unit, VectorOperand};

use super::builder::{Builder, TABLES, Table, i};
use super::draw::Draw;
use super::footprint::Memory;

/// Writes parameters into DRAM, where the load unit reads: see [`Builder::tables`].
pub(super) fn tables(b: &mut Builder, dram: &mut [u8]) -> [Table; TABLES] {
    let room = b.rooms[Unit::Load as usize].0[Memory::Dram as usize];
    let entries = (room.1 - room.0) / 64;
    let mut first = room.0;
    std::array::from_fn(|table| {
        let record = if table == 4 { 12 } else { 8 };
        let all = Table { first, entries, record };
        for entry in 0..entries {
            let at = (first + record * entry) as usize;
            let words = words(b.draw, table);
            for (place, word) in dram[at..at + record as usize].chunks_exact_mut(4).zip(words) {
                place.copy_from_slice(&word);
            }
        }
        first += record * entries;
        all
    })
}

/// A record of one table.
fn words(d: &mut Draw, table: usize) -> [[u8; 4]; 3] {
    let bias = ((d.bits() as i32) >> d.range(0, 31)).to_le_bytes();
    let (first, second, third) = match table {
        0 => (bias, d.float(-16, 0).to_le_bytes(), 0),
        1 => (d.float(-3, 2).to_le_bytes(), d.float(-3, 5).to_le_bytes(), 0),
        3 => (d.float(-7, 1).to_le_bytes(), (d.signed(-128, 255) as i32).to_le_bytes(), 0),
        4 => (bias, wild(d, multiplier, 6).to_le_bytes(), wild(d, |d| d.signed(26, 48) as i32, 6)),
        5 => (bias, wild(d, |d| d.signed(-3, 18) as i32, 10).to_le_bytes(), 0),
        _ => (bias, [0; 4], 0),
    };
    [first, second, third.to_le_bytes()]
}

/// A usual word, or, so many times in a hundred, one that is out of range or any.
fn wild(d: &mut Draw, usual: impl Fn(&mut Draw) -> i32, percent: u64) -> i32 {
    if !d.chance(percent) {
        return usual(d);
    }
    let any = d.bits() as i32;
    d.pick(&[any, -any.saturating_abs(), -1, 0, 1, 31, 62, 63, 64, -31, -32, -33, i32::MIN, i32::MAX])
}

/// Mostly a normalised one, at times a power of two, where ties occur, or a small one.
fn multiplier(d: &mut Draw) -> i32 {
    match d.range(0, 9) {
        0..2 => 1 << 30,
        2 => 3 << 29,
        3 => d.range(0, 300) as i32,
        _ => d.range(1 << 30, (1 << 31) - 1) as i32,
    }
}

/// `ve.fixed` of the operands that a scaling reads, with shifts that suit `sum` (N-6) or a single scaling.
pub(super) fn registers(d: &mut Draw, mode: RequantMode, sum: bool, operands: &[VectorOperand]) -> Vec<Operation> {
    let one = |&operand: &VectorOperand| {
        let of_sum = sum && operand == VectorOperand::Out;
        let (low, high, least) = match mode {
            RequantMode::Shift => (-4, if of_sum { 8 } else { 4 }, -31),
            RequantMode::FixedDouble if of_sum => (40, 58, 0),
            RequantMode::FixedDouble => (25, 44, 0),
            _ if of_sum => (40, 58, 1),
            _ => (25, 44, 1),
        };
        let shift = match d.range(0, 9) {
            0 => d.pick(&[least, 62]),
            1 => d.signed(least, 62),
            _ => d.signed(low, high),
        };
        let multiplier = i64::from(wild(d, multiplier, 4));
        Operation::VectorFixed { operand, multiplier: i(multiplier), shift: i(shift) }
    };
    operands.iter().map(one).collect()
}
