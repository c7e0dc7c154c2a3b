//! What a run must reach of packed operands, signs and sums (M-14).

use systole_machine::isa::{Instruction, Operation, OutputFormat};

/// Where a machine lacks what a run asks for: formats of its operands, or signs or sums of an operation that has none.
pub(crate) fn refused(before: &[Instruction], run: &Operation) -> Option<&'static str> {
    let packed = before.iter().rev().find_map(|instruction| match instruction.operation {
        Operation::ArrayFormats { weight, activation, .. } => Some((weight, activation) != Default::default()),
        _ => None,
    });
    let format = before.iter().rev().find_map(|instruction| match instruction.operation {
        Operation::VectorFormat { out } => Some(out),
        _ => None,
    });
    let signs = matches!(format, Some(OutputFormat::Sign | OutputFormat::Binary));
    match run.mnemonic() {
        "ar.run" if packed == Some(true) => Some(FORMATS),
        "ve.requant" => None,
        name if name.starts_with("ve.") && format == Some(OutputFormat::Sum) => Some(SUMS),
        "ve.affine" | "ve.rescale" => None,
        name if name.starts_with("ve.") && signs => Some(SIGNS),
        _ => None,
    }
}

const FORMATS: &str = "trap Unsupported: formats that the array does not list";
const SIGNS: &str = "trap Unsupported: signs of another operation";
const SUMS: &str = "trap Unsupported: sums of another operation";

pub(crate) const RARELY: &[&str] = &[
    FORMATS,
    SIGNS,
    SUMS,
    "requant: signs as bits, transposed",
    "requant: sums, transposed",
    "requant: sums, pixels apart",
    "requant: sums under 32 bits",
    "requant: sums over 32 bits",
];

pub(crate) const OFTEN: &[&str] = &[
    "array: i4 weights",
    "array: i2 weights",
    "array: l2 weights",
    "array: b1 weights",
    "array: b1 activations",
    "array: b1 activations, packed",
    "array: b1 weights and activations",
    "array: weights under 8 bits, output-stationary",
    "array: weights under 8 bits, input-stationary",
    "array: weights under 8 bits, wide activations",
    "array: rows of weights that end within a byte",
    "vector: signs",
    "vector: signs as bits",
    "vector: signs as bits, integer mode",
    "vector: signs that end within a byte",
    "requant: sums",
    "requant: sums, integer mode",
];
