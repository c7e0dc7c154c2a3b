//! The instruction table as an encoding: rows are disjoint, unused bits are refused, and decoding is the exact inverse of encoding.

mod common;

use common::random;
use std::collections::{BTreeMap, BTreeSet};
use systole_machine::isa::arbitrary::{random_instruction, random_operation};
use systole_machine::isa::format::{Format, table};
use systole_machine::isa::{DecodeError, Instruction, Operation};

#[test]
fn opcodes_and_mnemonics_are_unique() {
    let opcodes: BTreeSet<u8> = table().iter().map(|format| format.row.opcode).collect();
    let mnemonics: BTreeSet<&str> = table().iter().map(|format| format.row.mnemonic).collect();
    assert_eq!((opcodes.len(), mnemonics.len()), (table().len(), table().len()));
}

#[test]
fn fields_lie_side_by_side_from_bit_24() {
    for format in table() {
        let mut bit = 24;
        for field in &format.row.fields {
            assert_eq!(field.low_bit, bit, "{} {}", format.row.mnemonic, field.name);
            bit += field.bits;
        }
        assert!(bit <= 128, "{}", format.row.mnemonic);
    }
}

/// The word of a row with every field 0, but a choice its first word.
fn zero_word(format: &systole_machine::isa::format::RowFormat) -> u128 {
    let bits: Vec<u64> =
        format.formats.iter().map(|kind| if let Format::Choice(words) = kind { words[0].1 } else { 0 }).collect();
    Instruction::new(Operation::from_field_bits(format.row.opcode, &bits).expect("zeros")).encode()
}

#[test]
fn every_reserved_bit_is_refused() {
    let mut refused = 0;
    for format in table() {
        let end = format.row.fields.last().map_or(24, |field| field.low_bit + field.bits);
        for bit in end..128 {
            let word = zero_word(format) | 1 << bit;
            assert_eq!(Instruction::decode(word), Err(DecodeError::Reserved { mnemonic: format.row.mnemonic }));
            refused += 1;
        }
    }
    assert!(refused > 500, "{refused}");
}

#[test]
fn every_opcode_without_a_row_is_refused() {
    let known: BTreeSet<u8> = table().iter().map(|format| format.row.opcode).collect();
    for opcode in 0..=255 {
        let error = Instruction::decode(u128::from(opcode)).err();
        assert_eq!(error == Some(DecodeError::UnknownOpcode(opcode)), !known.contains(&opcode), "{opcode:#04x}");
    }
}

#[test]
fn choices_refuse_patterns_without_a_word() {
    let (mut meaningless, mut meant) = (0, 0);
    for format in table() {
        for (field, kind) in format.row.fields.iter().zip(&format.formats) {
            let Format::Choice(words) = kind else { continue };
            for bits in 0..1u64 << field.bits {
                let cleared = zero_word(format) & !(((1u128 << field.bits) - 1) << field.low_bit);
                let decoded = Instruction::decode(cleared | u128::from(bits) << field.low_bit);
                let known = words.iter().any(|word| word.1 == bits);
                let error = DecodeError::BadField { mnemonic: format.row.mnemonic, field: field.name, bits };
                assert_eq!(decoded.as_ref().err(), (!known).then_some(&error));
                if known { meant += 1 } else { meaningless += 1 }
            }
        }
    }
    assert!(meant >= 20 && meaningless >= 4, "{meant} {meaningless}");
}

#[test]
fn random_instructions_round_trip() {
    let mut next = random(21);
    let mut hits = BTreeMap::<&str, usize>::new();
    for _ in 0..40_000 {
        let instruction = random_instruction(&mut next);
        assert_eq!(Instruction::decode(instruction.encode()), Ok(instruction));
        let operation = instruction.operation;
        let opcode = instruction.encode() as u8;
        assert_eq!(Operation::from_field_bits(opcode, &operation.field_bits()), Ok(operation));
        *hits.entry(operation.mnemonic()).or_default() += 1;
    }
    assert_eq!(hits.len(), table().len(), "every row is drawn");
    assert!(hits.values().all(|&count| count > 500), "{hits:?}");
}

#[test]
fn random_fields_take_all_values_of_small_kinds() {
    let mut next = random(22);
    let mut seen = BTreeSet::new();
    for _ in 0..5000 {
        let operation = random_operation(&mut next);
        let format = systole_machine::isa::format::by_mnemonic(operation.mnemonic()).expect("a row");
        for ((field, kind), bits) in format.row.fields.iter().zip(&format.formats).zip(operation.field_bits()) {
            if matches!(kind, Format::Choice(_) | Format::Flag) {
                seen.insert((operation.mnemonic(), field.name, bits));
            }
        }
    }
    let small = table().iter().flat_map(|format| &format.formats).map(|kind| match kind {
        Format::Choice(words) => words.len(),
        Format::Flag => 2,
        _ => 0,
    });
    assert_eq!(seen.len(), small.sum::<usize>());
}

#[test]
fn words_with_a_flipped_bit_decode_to_themselves_or_not_at_all() {
    let mut next = random(23);
    let (mut fine, mut opcode, mut field, mut reserved) = (0, 0, 0, 0);
    for _ in 0..2000 {
        let word = random_instruction(&mut next).encode();
        for bit in 0..128 {
            let flipped = word ^ 1 << bit;
            match Instruction::decode(flipped) {
                Ok(instruction) => {
                    assert_eq!(instruction.encode(), flipped);
                    fine += 1;
                }
                Err(DecodeError::UnknownOpcode(_)) => opcode += 1,
                Err(DecodeError::BadField { .. }) => field += 1,
                Err(DecodeError::Reserved { .. }) => reserved += 1,
            }
        }
    }
    let counts = [fine, opcode, field, reserved];
    assert!(counts.iter().all(|&count| count > 100), "accepted, opcode, field, reserved: {counts:?}");
}
