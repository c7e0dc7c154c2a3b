//! Every numbered rule of the law pages is cited where the reference engine implements it, and every rule of time has a test of its tightness.

use super::{Finding, Tree};

/// The pages and the letter of their rules.
const PAGES: &[(&str, char)] = &[("docs/machine.md", 'M'), ("docs/timing.md", 'T'), ("docs/numerics.md", 'N')];

/// Rules that the reference engine has nothing to do with, and why.
const NOT_SIMULATED: &[(&str, &str)] = &[
    ("N-2", "no instruction quantises; the host does"),
    ("N-3", "no instruction dequantises; the host does"),
    ("N-11", "of the import of models"),
    ("N-12", "of the import of models"),
    ("N-15", "no arithmetic: transposes are copies, reshapes views"),
    ("N-18", "of the compiler; to the machine multipliers and shifts are data"),
    ("N-19", "of the import of models"),
    ("N-22", "of the compiler; a machine sees convolutions of stride 1"),
    ("N-23", "no arithmetic: views and copies"),
    ("N-32", "of the imported form; no instruction computes it"),
    ("N-33", "of the import of models"),
    ("N-21", "of the import of models; wide elements are those of M-5 and M-6"),
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

/// Rules that golden does not compute, and why.
const NOT_GOLDEN: &[(&str, &str)] = &[
    ("N-11", "of the import of models: the compiler's"),
    ("N-12", "of the import of models: the compiler's"),
    ("N-29", "how weights are stored: the same numbers"),
    ("N-33", "import makes rows of blocks, with N-2 and N-3 along them"),
    ("N-31", "which unit computes N-1 is not golden's affair"),
];

/// Rules of the arithmetic that golden does not cite.
pub(super) fn golden(tree: &Tree) -> Vec<Finding> {
    let page = "docs/numerics.md";
    let missing = rules(tree.text(page).unwrap_or_default(), 'N').into_iter().filter(|(_, rule)| {
        let excused = NOT_GOLDEN.iter().any(|(exception, _)| exception == rule);
        excused == tree.sources().any(|(path, text)| path.starts_with("golden/src/") && cites(text, rule))
    });
    let message = |rule: &str| format!("rule {rule} is cited nowhere in golden/src, or excused from it and cited");
    missing.map(|(line, rule)| Finding::of_line(page, line, message(&rule))).collect()
}

/// Rules that no test cites, by their name (`M-9`) or by its own (`fn m9_…`, `fn t5_t6_…`, `fn t_05_…`).
pub(super) fn tested(tree: &Tree) -> Vec<Finding> {
    let sources: Vec<&str> = tree.sources().filter(|(path, _)| !path.starts_with("xtask/")).map(tests_of).collect();
    let mut findings = Vec::new();
    for (page, letter) in PAGES {
        for (line, rule) in tree.text(page).map(|text| rules(text, *letter)).unwrap_or_default() {
            let (short, number) = (rule.replace('-', "").to_lowercase() + "_", &rule[2..]);
            let long = format!("fn {}_{number:0>2}_", letter.to_lowercase());
            let named = |text: &str| text.contains(&long) || tests(text).any(|(_, name)| starts(name, &short));
            if !sources.iter().any(|text| cites(text, &rule) || named(text)) {
                findings.push(Finding::of_line(page, line, format!("rule {rule} is cited by no test")));
            }
        }
    }
    findings
}

/// Whether a name begins with rules of which this is one: `t5_t6_wide` with `t6_`.
fn starts(name: &str, rule: &str) -> bool {
    let ruled = |part: &&str| part.len() > 1 && part[1..].bytes().all(|byte| byte.is_ascii_digit());
    name.split('_').take_while(ruled).any(|part| rule.strip_suffix('_') == Some(part))
}

/// What of a file is tests: all of it below a folder of tests, otherwise what follows the mark of a module of tests.
fn tests_of<'a>((path, text): (&str, &'a str)) -> &'a str {
    if path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("/tests.rs") {
        return text;
    }
    text.find("#[cfg(test)]").map_or("", |at| &text[at..])
}

/// The tests whose names begin with `t_nn_` for rule T-n.
const TIGHTNESS: &str = "simulator/tests/tightness";

/// Rules of time without a test named after them, and tests named after no rule.
pub(super) fn tight(tree: &Tree) -> Vec<Finding> {
    let page = "docs/timing.md";
    let prefixes: Vec<(usize, String, String)> = rules(tree.text(page).unwrap_or_default(), 'T')
        .into_iter()
        .map(|(line, rule)| {
            let prefix = format!("t_{:0>2}_", &rule[2..]);
            (line, rule, prefix)
        })
        .collect();
    let tests: Vec<(&str, usize, &str)> = tree
        .module(TIGHTNESS)
        .flat_map(|(path, text)| tests(text).map(move |(line, name)| (path, line, name)))
        .collect();
    let untested = prefixes.iter().filter(|(_, _, prefix)| !tests.iter().any(|(_, _, name)| name.starts_with(prefix)));
    let mut findings: Vec<Finding> = untested
        .map(|(line, rule, prefix)| {
            Finding::of_line(page, *line, format!("rule {rule} has no test {prefix}… in {TIGHTNESS}"))
        })
        .collect();
    let strays = tests.iter().filter(|(_, _, name)| !prefixes.iter().any(|(_, _, prefix)| name.starts_with(prefix)));
    findings.extend(strays.map(|(path, line, name)| {
        Finding::of_line(path, *line, format!("the test {name} is named after no rule of {page}"))
    }));
    findings
}

/// Line and name of each function right below a `#[test]`.
fn tests(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let pairs = text.lines().zip(text.lines().skip(1)).enumerate();
    pairs.filter_map(|(index, (attribute, function))| {
        let name = function.trim().strip_prefix("fn ").filter(|_| attribute.trim() == "#[test]")?;
        Some((index + 2, name.split('(').next().unwrap_or(name)))
    })
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

    #[test]
    fn rules_need_a_test_that_cites_them() {
        let untested = |path: &str, text: &str| tested(&Tree::of(&[PAGE, (path, text)])).len();
        assert_eq!(untested("a/tests/b.rs", "// M-1, M-10"), 0);
        assert_eq!(untested("a/tests/b.rs", "#[test]\nfn m1_m10_x() {}\n"), 0);
        assert_eq!(untested("a/tests/b.rs", "// M-1\n#[test]\nfn m_10_x() {}\n"), 0);
        // Not in a test; another rule.
        assert_eq!(untested("a/src/b.rs", "// M-1, M-10"), 2);
        assert_eq!(untested("a/src/b.rs", "// M-10\n#[cfg(test)]\n// M-1"), 1);
        assert_eq!(untested("a/tests/b.rs", "#[test]\nfn m100_x_m1() {}\n"), 2);
    }

    #[test]
    fn golden_cites_the_arithmetic() {
        let page = ("docs/numerics.md", "**N-1 a.**\n\n**N-11 b.**\n");
        let uncited = |text: &str| golden(&Tree::of(&[page, ("golden/src/a.rs", text)])).len();
        assert_eq!((uncited("// N-1"), uncited("// N-10"), uncited("// N-1, N-11")), (0, 1, 1));
    }

    #[test]
    fn rules_of_time_need_a_test_of_their_name() {
        let untidy = |test: &str| {
            let page = ("docs/timing.md", "**T-1 a.**\n\n**T-11 b.** See T-1.\n");
            let test = format!("#[test]\nfn t_01_x() {{}}\n{test}");
            let tree = Tree::of(&[page, ("simulator/tests/tightness/a.rs", &test)]);
            tight(&tree).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(untidy("#[test]\nfn t_11_x() {}\n"), Vec::<String>::new());
        // Not a test: nothing runs it.
        assert_eq!(untidy("fn t_11_x() {}\n").len(), 1);
        assert!(untidy("").iter().all(|finding| finding.contains("docs/timing.md:3") && finding.contains("t_11_")));
        assert_eq!(untidy("#[test]\nfn t_11_x() {}\n#[test]\nfn t_12_x() {}\n").len(), 1);
    }
}
