//! `docs/isa.md` is what the instruction table says today.

use std::path::Path;
use systole_machine::isa::document::isa_markdown;

#[test]
fn the_page_is_fresh() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/isa.md");
    let written = std::fs::read_to_string(page).unwrap_or_default();
    assert!(written == isa_markdown(), "docs/isa.md is stale: run `cargo run -p xtask -- docs`");
}

#[test]
fn the_page_has_what_a_decoder_needs() {
    let page = isa_markdown();
    for format in systole_machine::isa::format::table() {
        assert!(page.contains(&format!("### `{}` (opcode `{:#04x}`)", format.row.mnemonic, format.row.opcode)));
    }
    assert!(page.contains("| `[47:36]` | `kernel_w` | u12 | 0 to 4095 |"));
    assert!(page.contains("| `[97:96]` | `space` | act \\| wgt | 0 = `act`, 1 = `wgt` |"));
    assert!(page.contains("| `[39:24]` | `zero_activation` | i16 | -32768 to 32767 |"));
    assert!(!page.contains("|  |\n"), "a field without a meaning");
}
