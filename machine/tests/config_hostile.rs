//! No text makes the reader panic, hang or point outside the file.

use proptest::prelude::*;
use std::cell::Cell;
use systole_machine::config::{load, presets, render};

/// Reads, renders, and says whether it is a machine.
fn answer(source: &str) -> bool {
    match load(source, "hostile.yaml") {
        Ok(_) => true,
        Err(errors) => {
            assert!(!errors.is_empty());
            for error in &errors {
                assert!(source.get(error.span.clone()).is_some(), "{error:?} in {source:?}");
            }
            assert!(render(&errors, source, "hostile.yaml").contains("error"));
            false
        }
    }
}

#[test]
fn extremes_are_refused() {
    let nested = |open: &str, close: &str, count: usize| format!("a: {}{}", open.repeat(count), close.repeat(count));
    let cases = [
        nested("[", "]", 30_000),
        nested("{a: ", "}", 10_000),
        "[".repeat(60_000),
        "- ".repeat(30_000),
        "? ".repeat(30_000),
        "\u{feff}".repeat(3),
        "\0".to_owned(),
        "a: &a [*a, *a]".to_owned(),
        "&a a: *a".to_owned(),
        "name: !!binary AAAA".to_owned(),
        "name: !include /etc/passwd".to_owned(),
        "name: ${HOME}\n".repeat(2),
        "%YAML 9.9\n---\nname: x\n".to_owned(),
        "name: |\n  x\n  y\n".to_owned(),
        "name: >-\n  x\n".to_owned(),
        format!("name: {}", "9".repeat(60_000)),
        format!("{}: 1", "k".repeat(60_000)),
        "x: 1\n".repeat(10_000),
        "#\n".repeat(30_000),
        "a".repeat(70_000),
        "\r\r\r\n\n\u{85}\u{2028}x: 1".to_owned(),
        "? [a, b]\n: c\n? {d: e}\n: f\n".to_owned(),
    ];
    for case in cases {
        assert!(!answer(&case), "{:?} is a machine", &case[..40.min(case.len())]);
    }
}

/// Each prefix of a preset, so each way it can be cut off.
#[test]
fn every_truncation_is_answered() {
    let (_, yaml) = presets()[0];
    let machines = yaml.char_indices().filter(|(end, _)| answer(&yaml[..*end])).count();
    // Cut inside the optional sections at the end, a file is a machine.
    assert!(machines > 0);
}

#[test]
fn carriage_returns_are_line_ends() {
    for (_, yaml) in presets() {
        assert!(answer(&yaml.replace('\n', "\r\n")));
    }
}

/// Pieces that YAML and the schema give a meaning to.
const PIECES: [&str; 24] = [
    "\n", "  ", ":", ": ", "- ", "{", "}", "[", "]", "&a ", "*a", "!!int ", "|", ">", "\"", "'", "#", "\t", "?", "---",
    "<<: ", "0", "-1", " KiB",
];

#[test]
fn mutations_of_presets_are_answered() {
    let (right, wrong) = (Cell::new(0u32), Cell::new(0u32));
    let edits = prop::collection::vec((any::<prop::sample::Index>(), 0usize..4, 0usize..PIECES.len()), 1..4);
    let run = |preset: usize, edits: Vec<(prop::sample::Index, usize, usize)>| {
        let mut text: Vec<char> = presets()[preset].1.chars().collect();
        for (at, cut, piece) in edits {
            let at = at.index(text.len());
            let end = (at + cut).min(text.len());
            text.splice(at..end, PIECES[piece].chars());
        }
        let count = if answer(&text.into_iter().collect::<String>()) { &right } else { &wrong };
        count.set(count.get() + 1);
    };
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(2000));
    let outcome = runner.run(&(0..presets().len(), edits), |(preset, edits)| {
        run(preset, edits);
        Ok(())
    });
    outcome.expect("an answer to every file");
    // Comments are a good part of a preset, so that many mutations change nothing; both answers must occur often.
    assert!(right.get() > 150 && wrong.get() > 300, "{} machines, {} refused", right.get(), wrong.get());
}
