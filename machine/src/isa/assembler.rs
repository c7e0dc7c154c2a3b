//! Text to program and back. `docs/assembly.md` is the grammar; mnemonics, fields and ranges come from the instruction table.
//!
//! [`lexer`] makes tokens of one line, [`cursor`] walks over them, [`operation`] reads an instruction, [`directive`] everything else,
//! [`listing`] puts lines together and checks what spans several; [`print`](mod@print) is the way back. Whatever the text, all its errors are
//! collected and none is a panic.

mod cursor;
mod directive;
mod error;
mod lexer;
mod listing;
mod operation;
mod print;
mod scalar;
mod suggest;

pub use error::{AsmError, AsmErrorKind};

use crate::program::Program;

/// Words of the tensor table, and of nothing else.
mod words {
    use crate::program::{ElementType, Layout, Role};

    /// Element types.
    pub(super) const ELEMENTS: &[(&str, ElementType)] = &[
        ("i8", ElementType::I8),
        ("u8", ElementType::U8),
        ("i16", ElementType::I16),
        ("i32", ElementType::I32),
        ("b1", ElementType::B1),
    ];
    /// Roles.
    pub(super) const ROLES: &[(&str, Role)] =
        &[("input", Role::Input), ("output", Role::Output), ("intermediate", Role::Intermediate)];
    /// Layouts.
    pub(super) const LAYOUTS: &[(&str, Layout)] = &[("nhwc", Layout::Nhwc)];
}

/// Names of the units in token lists, by bit of the mask; the last is a unit that no machine has.
const UNITS: [&str; 8] = ["load", "array", "vector", "store", "array1", "array2", "array3", "unit7"];

/// Reads assembly. A program without errors here has no [`flaws`](crate::program::check::flaws).
///
/// # Errors
/// Every error of the text, in order of place.
pub fn assemble(text: &str) -> Result<Program, Vec<AsmError>> {
    listing::assemble(text)
}

/// Writes assembly. `assemble` of the result gives the same program, provided that it has no flaws.
pub fn disassemble(program: &Program) -> String {
    print::program(program)
}

/// Writes one instruction, without an end of line.
pub fn disassemble_instruction(instruction: &crate::isa::Instruction) -> String {
    let mut line = String::new();
    print::instruction(&mut line, instruction);
    line.truncate(line.trim_end().len());
    line
}
