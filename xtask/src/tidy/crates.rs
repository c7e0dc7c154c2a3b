//! Who may know whom: crates by their manifests, the two engines by their code.

use super::source::{code, has_word};
use super::{Finding, Tree};

/// Crates and those of our own that they may depend on. Development dependencies are free: tests bring verbs together.
const MAY_USE: &[(&str, &[&str])] = &[
    ("machine", &[]),
    ("network", &[]),
    ("golden", &["network"]),
    ("simulator", &["machine"]),
    ("compiler", &["network", "machine"]),
    ("rtl", &["machine"]),
    ("rtl/cosim", &["machine", "rtl", "simulator"]),
];

/// Dependencies that the table does not allow.
pub(super) fn dependencies(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, allowed) in MAY_USE {
        let path = format!("{name}/Cargo.toml");
        let Some(manifest) = tree.text(&path) else {
            findings.push(Finding::of_file(&path, "missing"));
            continue;
        };
        let mut in_dependencies = false;
        for (index, line) in manifest.lines().enumerate() {
            if line.starts_with('[') {
                in_dependencies = line.contains("dependencies") && !line.contains("dev-dependencies");
            }
            let used = used_crate(line).filter(|used| in_dependencies && !allowed.contains(used));
            if let Some(used) = used {
                findings.push(Finding::of_line(&path, index + 1, format!("`{name}` must not depend on `{used}`")));
            }
        }
    }
    findings
}

/// `x` of the first `systole-x` in the line.
fn used_crate(line: &str) -> Option<&str> {
    let (_, after) = line.split('#').next()?.split_once("systole-")?;
    after.split(|c: char| !c.is_ascii_lowercase()).next()
}

/// Code of one engine that names the other's module.
pub(super) fn engines_apart(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (engine, other) in [("fast", "reference"), ("reference", "fast")] {
        for (path, text) in tree.module(&format!("simulator/src/{engine}")) {
            for (index, line) in code(text).lines().enumerate() {
                if has_word(line, other) {
                    findings.push(Finding::of_line(path, index + 1, format!("the {engine} engine names `{other}`")));
                }
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forbidden_dependency_is_found() {
        let fine = "[package]\nname = \"systole-x\"\n[dependencies]\nserde = \"1\"\n";
        let mut files: Vec<(String, String)> =
            MAY_USE.iter().map(|(name, _)| (format!("{name}/Cargo.toml"), fine.to_owned())).collect();
        let findings = |files: &[(String, String)]| {
            let borrowed: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
            dependencies(&Tree::of(&borrowed)).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(findings(&files), Vec::<String>::new());
        files[0].1 += "systole-network.workspace = true\n";
        files[2].1 += "systole-network.workspace = true\n[target.'cfg(unix)'.dependencies]\nm = { package = \"systole-machine\" }\n";
        files[3].1 += "[dev-dependencies]\nsystole-compiler.workspace = true\n";
        assert_eq!(
            findings(&files),
            [
                "machine/Cargo.toml:5: `machine` must not depend on `network`",
                "golden/Cargo.toml:7: `golden` must not depend on `machine`"
            ]
        );
    }

    #[test]
    fn an_engine_that_names_the_other_is_found() {
        let tree = Tree::of(&[
            ("simulator/src/fast.rs", "//! Not the reference.\nuse crate::contract;"),
            ("simulator/src/fast/a.rs", "use crate::reference::Work;"),
            ("simulator/src/reference/b.rs", "use super::super::fast;"),
            ("simulator/src/lib.rs", "pub mod fast;\npub mod reference;"),
        ]);
        let paths: Vec<String> = engines_apart(&tree).into_iter().map(|finding| finding.path).collect();
        assert_eq!(paths, ["simulator/src/fast/a.rs", "simulator/src/reference/b.rs"]);
    }
}
