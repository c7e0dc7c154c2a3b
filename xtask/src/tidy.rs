//! House rules that the compiler does not know, checked on the text of the repository. The lists of exceptions are checked too: an entry that
//! excuses nothing is a finding.

mod crates;
mod rules;
mod source;
mod style;
mod tree;

pub use tree::Tree;

use std::fmt;
use std::io;
use std::path::Path;

/// Something untidy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Path in the repository.
    pub path: String,
    /// Line, from 1, where there is one.
    pub line: Option<usize>,
    /// What is wrong.
    pub message: String,
}

impl Finding {
    fn of_file(path: &str, message: impl Into<String>) -> Self {
        Finding { path: path.into(), line: None, message: message.into() }
    }

    fn of_line(path: &str, line: usize, message: impl Into<String>) -> Self {
        Finding { path: path.into(), line: Some(line), message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.path, self.message),
            None => write!(f, "{}: {}", self.path, self.message),
        }
    }
}

/// All findings in the repository at `root`, in order of path and line.
///
/// # Errors
/// A file of the repository cannot be read.
pub fn tidy(root: &Path) -> io::Result<Vec<Finding>> {
    Ok(check(&Tree::read(root)?))
}

/// All findings in `tree`, in order of path and line.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = style::module_docs(tree);
    findings.extend(style::file_lengths(tree));
    findings.extend(style::unsafe_files(tree));
    findings.extend(crates::dependencies(tree));
    findings.extend(crates::engines_apart(tree));
    findings.extend(rules::cited(tree));
    findings.extend(rules::golden(tree));
    findings.extend(rules::tested(tree));
    findings.extend(rules::tight(tree));
    findings.sort();
    findings
}
