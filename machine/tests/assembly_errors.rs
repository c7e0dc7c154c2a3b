//! What the assembler says of wrong text: `errors/*.s` against `errors/*.expected`, all of it, places and carets too.
//!
//! With `SYSTOLE_BLESS=1` the expected files are written instead; read the difference before it is kept.

use std::fs;
use std::path::{Path, PathBuf};
use systole_machine::isa::assembler::assemble;

fn sources() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/errors");
    let entries = fs::read_dir(folder).expect("tests/errors").map(|entry| entry.expect("an entry").path());
    let mut sources: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|end| end == "s")).collect();
    sources.sort();
    sources
}

fn shown(path: &Path) -> String {
    let name = path.file_name().and_then(|name| name.to_str()).expect("a name in UTF-8");
    let text = fs::read_to_string(path).expect("a source");
    let errors = assemble(&text).expect_err("a file in tests/errors without an error");
    errors.iter().map(|error| error.render(&text, name)).collect::<Vec<_>>().join("\n")
}

#[test]
fn errors_are_the_expected_ones() {
    let bless = std::env::var_os("SYSTOLE_BLESS").is_some_and(|value| value == "1");
    let mut changed = Vec::new();
    for source in sources() {
        let (file, found) = (source.with_extension("expected"), shown(&source));
        if bless {
            fs::write(&file, &found).expect("tests/errors can be written");
        }
        let expected = fs::read_to_string(&file).unwrap_or_default();
        if expected != found {
            changed.push(format!("{}:\n--- expected\n{expected}\n--- found\n{found}", file.display()));
        }
    }
    assert!(
        changed.is_empty(),
        "the assembler's messages changed; if they are right, run this test with SYSTOLE_BLESS=1\n{}",
        changed.join("\n")
    );
}

#[test]
fn every_line_but_comments_of_the_value_files_is_reported() {
    for name in ["fields.s", "tokens.s", "values.s", "lexing.s", "mnemonics.s"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/errors").join(name);
        let text = fs::read_to_string(path).expect("a source");
        let errors = assemble(&text).expect_err("errors");
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.starts_with(';')) {
            assert!(errors.iter().any(|error| error.line == number + 1), "{name}: nothing said of `{line}`");
        }
    }
}

#[test]
fn there_is_no_expectation_without_a_source() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/errors");
    let names = fs::read_dir(folder).expect("tests/errors").map(|entry| entry.expect("an entry").path());
    for path in names.filter(|path| path.extension().is_some_and(|end| end == "expected")) {
        assert!(path.with_extension("s").exists(), "{} is stale", path.display());
    }
    assert!(sources().len() >= 8);
}
