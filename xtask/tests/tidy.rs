//! The repository itself is tidy.

#[test]
fn the_repository_is_tidy() {
    let findings = xtask::tidy::tidy(&xtask::root()).expect("the repository can be read");
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "{} findings:\n{}", lines.len(), lines.join("\n"));
}

#[test]
fn the_generated_pages_are_fresh() {
    for (path, contents) in xtask::docs::pages() {
        let written = std::fs::read_to_string(xtask::root().join(path)).unwrap_or_default();
        assert!(written == contents, "{path} is stale: run `cargo run -p xtask -- docs`");
    }
}
