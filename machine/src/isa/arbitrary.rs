//! Random instructions for tests, made from the table's rows, so that a new row is tested without a word about it.

use super::format::{Format, table};
use super::{Instruction, Operation, UnitMask};

/// A random operation: each row equally likely; each field random, or (one time in eight each) all zeros or all ones.
///
/// # Panics
/// Never, unless a row's own formats do not decode.
pub fn random_operation(next: &mut impl FnMut() -> u64) -> Operation {
    let rows = table();
    let format = &rows[(next() % rows.len() as u64) as usize];
    let fields = format.row.fields.iter().zip(&format.formats);
    let bits: Vec<u64> = fields.map(|(field, kind)| random_bits(field.bits, kind, next)).collect();
    Operation::from_field_bits(format.row.opcode, &bits).expect("bits made from the row's own formats")
}

/// A random operation with random token masks, all eight bits of each.
pub fn random_instruction(next: &mut impl FnMut() -> u64) -> Instruction {
    let operation = random_operation(next);
    Instruction { wait: UnitMask(next() as u8), signal: UnitMask(next() as u8), operation }
}

fn random_bits(width: u32, format: &Format, next: &mut impl FnMut() -> u64) -> u64 {
    if let Format::Choice(words) = format {
        return words[(next() % words.len() as u64) as usize].1;
    }
    let mask = (1 << width) - 1;
    match next() % 8 {
        0 => 0,
        1 => mask,
        _ => next() & mask,
    }
}
