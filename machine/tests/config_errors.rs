//! Every file in `tests/config` is wrong; what is said of it stands beside it. `SYSTOLE_BLESS=1` writes that anew, to be read before it is kept.

use std::fs;
use std::path::{Path, PathBuf};
use systole_machine::config::{ConfigError, ErrorKind, load, render};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config")
}

/// Names of the cases, in order.
fn cases() -> Vec<String> {
    let files = fs::read_dir(folder()).expect("the folder of cases");
    let names = files.map(|file| file.expect("an entry").file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter_map(|name| name.strip_suffix(".yaml").map(str::to_owned)).collect();
    names.sort();
    names
}

fn errors(source: &str, path: &str) -> Vec<ConfigError> {
    load(source, path).expect_err("a case that loads")
}

#[test]
fn each_wrong_file_is_explained_as_recorded() {
    let bless = std::env::var_os("SYSTOLE_BLESS").is_some();
    let names = cases();
    assert!(names.len() > 70, "only {} cases", names.len());
    let mut differing = Vec::new();
    for name in names {
        let path = format!("{name}.yaml");
        let source = fs::read_to_string(folder().join(&path)).expect("a case");
        let got = render(&errors(&source, &path), &source, &path);
        let expected = folder().join(format!("{name}.expected"));
        if bless {
            fs::write(&expected, &got).expect("the expected text");
        }
        let recorded = fs::read_to_string(&expected).unwrap_or_default();
        if recorded != got {
            differing.push(format!("--- {name}: recorded\n{recorded}--- {name}: now\n{got}"));
        }
    }
    assert!(differing.is_empty(), "{}\nSYSTOLE_BLESS=1 records what is said now", differing.join("\n"));
}

#[test]
fn places_are_inside_the_file_and_on_its_lines() {
    for name in cases() {
        let source = fs::read_to_string(folder().join(format!("{name}.yaml"))).expect("a case");
        for error in errors(&source, &name) {
            assert!(source.get(error.span.clone()).is_some(), "{name}: {error:?}");
            let line = source.split('\n').nth(error.line - 1).unwrap_or_default();
            let column: String = line.chars().skip(error.column - 1).collect();
            let first = source[error.span].lines().next().unwrap_or_default().to_owned();
            assert!(column.starts_with(&first), "{name}: {first:?} is not at {column:?}");
        }
    }
}

#[test]
fn what_is_not_simulated_is_told_from_what_cannot_be() {
    for name in cases() {
        let source = fs::read_to_string(folder().join(format!("{name}.yaml"))).expect("a case");
        let unsupported = errors(&source, &name).iter().filter(|error| error.kind == ErrorKind::Unsupported).count();
        assert_eq!(unsupported > 0, name.starts_with("unsupported_"), "{name}");
    }
}
