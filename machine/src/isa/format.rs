//! How a field is written in text and which bit patterns it has: the table's operand kinds as data, shared by assembler, documentation and
//! the random instructions of tests. Nothing here knows a particular instruction.

use super::operand::{
    ActivationFormat, DataflowChoice, ImageAxis, Operand, OutputFormat, RequantMode, Space, VectorOperand, WeightFormat,
};
use super::table::{FieldRow, Row, rows};
use std::sync::LazyLock;

/// A field's values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// `0` to `2^bits - 1`.
    Unsigned,
    /// Two's complement of `bits` bits.
    Signed,
    /// A single-precision number by its bits; every pattern is one.
    Real,
    /// `false` or `true`.
    Flag,
    /// One of these words, each with its bits; other patterns mean nothing.
    Choice(Vec<(&'static str, u64)>),
}

impl Format {
    /// The format of a field. Every kind of the table is known here (a test says so); a kind that is not counts as unsigned.
    pub fn of(field: &FieldRow) -> Format {
        if let Some(words) = choices().into_iter().find(|(kind, _)| *kind == field.kind).map(|(_, words)| words) {
            return Format::Choice(words);
        }
        match field.kind.as_bytes() {
            b"f32" => Format::Real,
            b"flag" => Format::Flag,
            [b'i', ..] => Format::Signed,
            _ => Format::Unsigned,
        }
    }
}

fn choices() -> [(String, Vec<(&'static str, u64)>); 8] {
    [
        (Space::kind(), Space::ALL.iter().map(|choice| (choice.name(), choice.to_bits())).collect()),
        (ImageAxis::kind(), ImageAxis::ALL.iter().map(|choice| (choice.name(), choice.to_bits())).collect()),
        (VectorOperand::kind(), VectorOperand::ALL.iter().map(|choice| (choice.name(), choice.to_bits())).collect()),
        (DataflowChoice::kind(), DataflowChoice::ALL.iter().map(|choice| (choice.name(), choice.to_bits())).collect()),
        (RequantMode::kind(), RequantMode::ALL.iter().map(|choice| (choice.name(), choice.to_bits())).collect()),
        (WeightFormat::kind(), WeightFormat::ALL.iter().map(|choice| (choice.name(), choice.to_bits())).collect()),
        (
            ActivationFormat::kind(),
            ActivationFormat::ALL.iter().map(|choice| (choice.name(), choice.to_bits())).collect(),
        ),
        (OutputFormat::kind(), OutputFormat::ALL.iter().map(|choice| (choice.name(), choice.to_bits())).collect()),
    ]
}

/// Fields that stand for what most machines and layers do without; in assembly they may be left out, and are 0 (the first word of a choice) then.
const LEFT_OUT: [&str; 11] = [
    "array",
    "dataflow",
    "outputs",
    "wide_activation",
    "wide_a",
    "wide_b",
    "wide_out",
    "mode",
    "transposed",
    "subtract",
    "per_channel",
];

/// Whether assembly may leave a field out.
pub fn may_be_left_out(field: &str) -> bool {
    LEFT_OUT.contains(&field)
}

/// A row of the instruction table with its fields' formats, in the same order.
#[derive(Clone, Debug)]
pub struct RowFormat {
    /// The row.
    pub row: Row,
    /// The formats of `row.fields`.
    pub formats: Vec<Format>,
}

/// The instruction table, made once.
pub fn table() -> &'static [RowFormat] {
    static TABLE: LazyLock<Vec<RowFormat>> = LazyLock::new(|| {
        let with_formats = |row: Row| RowFormat { formats: row.fields.iter().map(Format::of).collect(), row };
        rows().into_iter().map(with_formats).collect()
    });
    &TABLE
}

/// The row of a mnemonic.
pub fn by_mnemonic(mnemonic: &str) -> Option<&'static RowFormat> {
    table().iter().find(|format| format.row.mnemonic == mnemonic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_the_table_is_known() {
        for (field, format) in table().iter().flat_map(|format| format.row.fields.iter().zip(&format.formats)) {
            let expected = match format {
                Format::Unsigned => format!("u{}", field.bits),
                Format::Signed => format!("i{}", field.bits),
                Format::Real => "f32".to_owned(),
                Format::Flag => "flag".to_owned(),
                Format::Choice(words) => words.iter().map(|word| word.0).collect::<Vec<_>>().join(" | "),
            };
            assert_eq!(field.kind, expected, "format.rs does not know the kind of field `{}`", field.name);
        }
    }
}
