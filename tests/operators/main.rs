//! docs/operators.md: what every operator becomes on machines of each arithmetic, found by compiling and running a small network of each, so
//! that the page cannot say more than is so. What runs is compared with golden, element by element; what does not is quoted.

mod cases;
mod graph;
mod page;
mod run;

use std::collections::BTreeSet;
use std::path::PathBuf;

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/operators.md")
}

#[test]
fn the_page_of_operators_says_what_is_so() {
    let page = page::page(&cases::cases());
    if std::env::var_os("SYSTOLE_BLESS").is_some_and(|value| value == "1") {
        std::fs::write(file(), page).expect("writable");
        return;
    }
    let recorded = std::fs::read_to_string(file()).unwrap_or_default();
    let differing = recorded.lines().zip(page.lines()).find(|(before, now)| before != now);
    assert!(
        recorded == page,
        "docs/operators.md is not what the operators do now, from {differing:?} on; `SYSTOLE_BLESS=1 cargo test --release --test operators` writes it"
    );
}

/// Operators of the quantised form, and Q/DQ, which are of files only.
const ELSEWHERE: [&str; 4] = ["DeformSample", "Rescale", "QuantizeLinear", "DequantizeLinear"];

/// An operator of which the page says nothing would be a silent gap. Names are read from the source, where none can be forgotten.
#[test]
fn every_operator_has_a_case() {
    let sources = [include_str!("../../network/src/op.rs"), include_str!("../../network/src/op/attributes.rs")];
    let arms = sources
        .iter()
        .flat_map(|source| source.lines())
        .filter(|line| line.trim_start().starts_with("Op::") || line.trim_start().starts_with("Function::"));
    let names: BTreeSet<&str> = arms.filter_map(|line| line.split_once("=> \"")?.1.strip_suffix("\",")).collect();
    assert!(names.len() > 40, "{names:?}");
    let shown: BTreeSet<&str> = cases::cases().iter().map(|case| case.operator).chain(ELSEWHERE).collect();
    let missing: Vec<_> = names.difference(&shown).collect();
    assert!(missing.is_empty(), "without a case in tests/operators/cases.rs: {missing:?}");
}
