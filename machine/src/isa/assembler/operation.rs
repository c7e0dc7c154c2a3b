//! One instruction: `mnemonic field=value, … wait(units) signal(units)`. Values that do not fit are all reported; other errors end the line.

use super::UNITS;
use super::cursor::Cursor;
use super::error::{AsmErrorKind, Fault};
use super::lexer::Token;
use super::scalar::{expected, field_bits};
use super::suggest::nearest;
use crate::isa::format::{RowFormat, by_mnemonic, may_be_left_out, table};
use crate::isa::table::FieldRow;
use crate::isa::{Instruction, Operation, UnitMask};

/// Reads the line; its first token is `mnemonic`, already taken.
pub(super) fn instruction(mnemonic: &Token<'_>, line: &mut Cursor<'_>) -> Result<Instruction, Vec<Fault>> {
    let format = by_mnemonic(mnemonic.text).ok_or_else(|| vec![unknown(mnemonic)])?;
    let mut faults = Vec::new();
    let bits = fields(format, line, &mut faults)
        .map_err(|fault| fault.help(Some(signature(format))))
        .and_then(|bits| Ok((bits, tokens(line, "wait")?, tokens(line, "signal")?)));
    let (bits, wait, signal) = match bits {
        Ok(parts) => parts,
        Err(fault) => {
            faults.push(fault);
            return Err(faults);
        }
    };
    if let Err(fault) = line.finish("`wait(...)`, then `signal(...)`, then the end of the line") {
        faults.push(fault);
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let operation = Operation::from_field_bits(format.row.opcode, &bits)
        // Every format gives only bits with a meaning; a table where it does not is reported here.
        .map_err(|_| vec![expected(mnemonic, "fields that encode")])?;
    Ok(Instruction { wait, signal, operation })
}

/// The fields' bits in order; 0 for those whose value is wrong, which `faults` tells.
fn fields(format: &RowFormat, line: &mut Cursor<'_>, faults: &mut Vec<Fault>) -> Result<Vec<u64>, Fault> {
    let mut bits = Vec::with_capacity(format.formats.len());
    let mut first = true;
    for (field, kind) in format.row.fields.iter().zip(&format.formats) {
        if may_be_left_out(field.name) && !line.at_field(field.name, first) {
            bits.push(0);
            continue;
        }
        if !first {
            line.mark(',')?;
        }
        first = false;
        line.field(field.name)?;
        let value = line.word("a value")?;
        bits.push(field_bits(&value, field.name, kind, field.bits).unwrap_or_else(|fault| {
            faults.push(fault);
            0
        }));
    }
    Ok(bits)
}

/// `keyword(unit, …)`, or an empty mask if something else stands here.
fn tokens(line: &mut Cursor<'_>, keyword: &str) -> Result<UnitMask, Fault> {
    let mut mask = UnitMask::default();
    if !line.at_word(keyword) {
        return Ok(mask);
    }
    line.word(keyword)?;
    line.list(['(', ')'], false, |line| {
        let unit = line.word("a unit")?;
        let Some(bit) = UNITS.iter().position(|&name| name == unit.text) else {
            let meant = nearest(unit.text, UNITS).map(|name| format!("did you mean `{name}`?"));
            return Err(expected(&unit, "`load`, `array`, `vector`, `store`, or `array1` to `array3`").help(meant));
        };
        if mask.0 & (1 << bit) != 0 {
            return Err(Fault::new(unit.span, AsmErrorKind::UnitTwice(UNITS[bit])));
        }
        mask.0 |= 1 << bit;
        Ok(())
    })?;
    Ok(mask)
}

fn unknown(word: &Token<'_>) -> Fault {
    let meant = nearest(word.text, table().iter().map(|format| format.row.mnemonic));
    let kind = AsmErrorKind::Unknown { class: "mnemonic", word: super::error::shown(word.text) };
    Fault::new(word.span.clone(), kind).help(meant.map(|mnemonic| format!("did you mean `{mnemonic}`?")))
}

/// The whole instruction as it should look.
fn signature(format: &RowFormat) -> String {
    let field = |field: &FieldRow| {
        if may_be_left_out(field.name) { format!("[{}=...]", field.name) } else { format!("{}=...", field.name) }
    };
    let fields: Vec<String> = format.row.fields.iter().map(field).collect();
    format!("all fields stand in this order: {} {}", format.row.mnemonic, fields.join(", "))
}
