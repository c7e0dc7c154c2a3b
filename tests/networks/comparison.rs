//! The comparison of machines in docs/presets.md: its table is what `systole estimate` reports now, and no preset goes without a word.

use std::fmt::Write;
use std::path::PathBuf;

use crate::chain::presets;
use crate::cycles::TOTALS;

const NETWORKS: [&str; 2] = ["resnet-50", "mobilenet-v1"];
const BEGIN: &str = "<!-- table: begin -->\n";
const END: &str = "<!-- table: end -->\n";

/// Cycles, milliseconds, utilisation and attained share of the roofline, of each network on each preset.
fn table() -> String {
    let head = NETWORKS.map(|name| format!(" {name}: cycles | ms | utilisation | attained |")).concat();
    let mut out = format!("| machine |{head}\n|---|{}\n", "--:|".repeat(4 * NETWORKS.len()));
    for preset in presets() {
        let _ = write!(out, "| {preset} |");
        for network in NETWORKS {
            let total = &TOTALS[&(network, preset)];
            let (ms, used, attained) = (total.latency_ms, total.array_utilization, total.roofline.attained);
            let _ = write!(out, " {} | {ms:.2} | {used:.2} | {attained:.2} |", total.cycles);
        }
        out.push('\n');
    }
    out
}

#[test]
fn the_table_of_presets_is_fresh() {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/presets.md");
    let text = std::fs::read_to_string(&file).expect("docs/presets.md is there");
    let (before, rest) = text.split_once(BEGIN).expect("a marker before the table");
    let (recorded, after) = rest.split_once(END).expect("a marker behind the table");
    let now = table();
    if std::env::var_os("SYSTOLE_BLESS").is_some_and(|value| value == "1") {
        std::fs::write(&file, format!("{before}{BEGIN}{now}{END}{after}")).expect("writable");
        return;
    }
    assert_eq!(
        recorded, now,
        "`SYSTOLE_BLESS=1 cargo test --release --test networks` writes it anew; the sentences below it may need a look"
    );
}

#[test]
fn every_preset_is_explained() {
    let text = include_str!("../../docs/presets.md");
    for preset in presets() {
        assert!(text.contains(&format!("\n- **{preset}**")), "docs/presets.md says nothing of {preset}");
    }
}
