//! Every numbered rule of the law pages is cited where the reference engine implements it.

use super::{Finding, Tree};

/// The pages and the letter of their rules.
const PAGES: &[(&str, char)] = &[("docs/machine.md", 'M'), ("docs/timing.md", 'T'), ("docs/numerics.md", 'N')];

/// Rules that the reference engine has nothing to do with, and why.
const NOT_SIMULATED: &[(&str, &str)] = &[
    ("N-2", "no instruction quantises; the host does"),
    ("N-3", "no instruction dequantises; the host does"),
    ("N-11", "of the import of models"),
    ("N-12", "of the import of models"),
];

/// Rules without citation in the reference engine, and exceptions that excuse nothing.
pub(super) fn cited(tree: &Tree) -> Vec<Finding> {
    cited_but(tree, NOT_SIMULATED)
}

fn cited_but(tree: &Tree, exceptions: &[(&str, &str)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut excused = Vec::new();
    for (page, letter) in PAGES {
        for (line, rule) in tree.text(page).map(|text| rules(text, *letter)).unwrap_or_default() {
            if tree.module("simulator/src/reference").any(|(_, text)| cites(text, &rule)) {
                continue;
            }
            if exceptions.iter().any(|(exception, _)| *exception == rule) {
                excused.push(rule);
            } else {
                let message = format!("rule {rule} is cited nowhere in simulator/src/reference");
                findings.push(Finding::of_line(page, line, message));
            }
        }
    }
    let stale = exceptions.iter().filter(|(rule, _)| !excused.iter().any(|excused| excused == rule));
    findings.extend(stale.map(|(rule, _)| {
        Finding::of_file("xtask/src/tidy/rules.rs", format!("the exception {rule} is cited after all, or no rule"))
    }));
    findings
}

/// Line and name of each rule of a page: `**X-n` at the beginning of a line.
fn rules(page: &str, letter: char) -> Vec<(usize, String)> {
    let start = format!("**{letter}-");
    let numbered = page.lines().enumerate().filter_map(|(index, line)| {
        let after = line.strip_prefix(&start)?;
        let digits = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        (digits > 0).then(|| (index + 1, format!("{letter}-{}", &after[..digits])))
    });
    numbered.collect()
}

fn cites(text: &str, rule: &str) -> bool {
    text.match_indices(rule).any(|(at, _)| {
        let longer = text[at + rule.len()..].starts_with(|c: char| c.is_ascii_digit());
        let other = text[..at].ends_with(|c: char| c.is_ascii_alphanumeric());
        !longer && !other
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: (&str, &str) = ("docs/machine.md", "**M-1 a.** See M-7.\n\n**M-10 b.**\ntext **M-3**\n");

    fn messages(reference: &str, exceptions: &[(&str, &str)]) -> Vec<String> {
        let tree = Tree::of(&[PAGE, ("simulator/src/reference/a.rs", reference)]);
        cited_but(&tree, exceptions).into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn a_rule_that_is_not_cited_is_found() {
        assert_eq!(messages("// M-1, M-10", &[]), Vec::<String>::new());
        assert_eq!(messages("// (M-10)", &[]), ["rule M-1 is cited nowhere in simulator/src/reference"]);
    }

    #[test]
    fn exceptions_excuse_and_go_stale() {
        assert_eq!(messages("// M-10", &[("M-1", "why")]), Vec::<String>::new());
        assert_eq!(messages("// M-1 M-10", &[("M-1", "why"), ("M-9", "why")]).len(), 2);
    }
}
