//! Each file by itself: module documentation, length, `unsafe`.

use super::source::{code, has_word};
use super::{Finding, Tree};
use std::collections::BTreeSet;

/// Lines that a file may have.
const MAX_LINES: usize = 500;

/// The files with `unsafe` code.
const UNSAFE_FILES: &[&str] = &[
    // Maps a file into memory.
    "compiler/src/mapped_file.rs",
    // Calls the verilated model.
    "rtl/cosim/src/bridge.rs",
    // Vector instructions of the host.
    "simulator/src/fast/simd.rs",
];

/// Files whose first line does not begin with `//!`.
pub(super) fn module_docs(tree: &Tree) -> Vec<Finding> {
    let bare = tree.sources().filter(|(_, text)| !text.lines().next().is_some_and(|line| line.starts_with("//! ")));
    bare.map(|(path, _)| Finding::of_file(path, "the first line must say in `//!` what the file is about")).collect()
}

/// Files of too many lines.
pub(super) fn file_lengths(tree: &Tree) -> Vec<Finding> {
    let long = tree.sources().map(|(path, text)| (path, text.lines().count())).filter(|(_, lines)| *lines > MAX_LINES);
    long.map(|(path, lines)| Finding::of_file(path, format!("{lines} lines, at most {MAX_LINES} are allowed")))
        .collect()
}

/// `unsafe` outside the named files, and named files without it.
pub(super) fn unsafe_files(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut used = BTreeSet::new();
    for (path, text) in tree.sources() {
        for (index, line) in code(text).lines().enumerate() {
            // The second would switch the compiler's own check off.
            let switched_off = has_word(line, "unsafe_code") && !line.contains("forbid");
            if !has_word(line, "unsafe") && !switched_off {
                continue;
            }
            used.insert(path);
            if !UNSAFE_FILES.contains(&path) {
                let message = "`unsafe` is for the files that xtask/src/tidy/style.rs names";
                findings.push(Finding::of_line(path, index + 1, message));
            }
        }
    }
    let stale = UNSAFE_FILES.iter().filter(|path| !used.contains(**path));
    findings.extend(stale.map(|path| Finding::of_file(path, "named as a file with `unsafe`, but it has none")));
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_named(files: &[(&str, &str)]) -> Tree {
        let mut all: Vec<(&str, &str)> = UNSAFE_FILES.iter().map(|path| (*path, "unsafe {}")).collect();
        all.extend(files);
        Tree::of(&all)
    }

    #[test]
    fn a_file_without_documentation_is_found() {
        let tree =
            Tree::of(&[("a.rs", "//! Says it.\n"), ("b.rs", "fn b() {}\n"), ("c.rs", "// @generated\nfn c() {}")]);
        assert_eq!(module_docs(&tree).iter().map(|finding| finding.path.as_str()).collect::<Vec<_>>(), ["b.rs"]);
    }

    #[test]
    fn the_501st_line_is_too_much() {
        let (fine, long) = ("x\n".repeat(MAX_LINES), "x\n".repeat(MAX_LINES + 1));
        let tree = Tree::of(&[("fine.rs", &fine), ("long.rs", &long), ("long.md", &long)]);
        assert_eq!(file_lengths(&tree).iter().map(|finding| finding.path.as_str()).collect::<Vec<_>>(), ["long.rs"]);
    }

    #[test]
    fn unsafe_is_found_outside_the_named_files_and_missed_inside() {
        assert_eq!(unsafe_files(&with_named(&[("a.rs", "// unsafe\nfn a() {}")])), []);
        let findings = unsafe_files(&with_named(&[("a.rs", "//! A.\nunsafe fn a() {}\n#![allow(unsafe_code)]")]));
        assert_eq!(findings.iter().map(|finding| finding.line).collect::<Vec<_>>(), [Some(2), Some(3)]);
        assert_eq!(unsafe_files(&Tree::default()).len(), UNSAFE_FILES.len());
    }
}
