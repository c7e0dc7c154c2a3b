//! Keys set from outside the file, as sweeps do. Changes the tree before any key has a meaning, so that all checks see the result.

use super::error::Errors;
use super::node::{Kind, Node, parse_setting};
use super::read::join;
use super::schema::CHOICES;

/// Sets `key`, names separated by dots, to the YAML `value`.
pub(crate) fn apply(root: &mut Node, key: &str, value: &str, errors: &mut Errors<'_>) {
    let mut node = root;
    let mut path = String::new();
    for name in key.split('.') {
        node = descend(node, &path, name);
        path = join(&path, name);
    }
    let span = node.span.clone();
    match parse_setting(value, &span) {
        Some(value) => *node = value,
        None => errors.invalid(&span, format!("`{key}={value}` sets no YAML value"), "", ""),
    }
}

/// The value of `name` in `node`, which stands at `path`; new where there is none. An unknown name is the reader's to refuse.
fn descend<'n>(node: &'n mut Node, path: &str, name: &str) -> &'n mut Node {
    let span = node.span.clone();
    if !matches!(node.kind, Kind::Map(_)) {
        // A choice by its word alone gets a body; any other value gives way.
        let word = Node { span: span.clone(), kind: std::mem::replace(&mut node.kind, Kind::Map(Vec::new())) };
        if CHOICES.contains(&path) && matches!(word.kind, Kind::Scalar(_)) {
            node.kind = Kind::Map(vec![(word, Node { span: span.clone(), kind: Kind::Map(Vec::new()) })]);
        }
    }
    let Kind::Map(entries) = &mut node.kind else { return node };
    let is_name = |key: &Node| matches!(&key.kind, Kind::Scalar(text) if text == name);
    let found = entries.iter().position(|(key, _)| is_name(key));
    if found.is_none() && CHOICES.contains(&path) && entries.len() == 1 {
        return descend(&mut entries[0].1, "", name);
    }
    let index = found.unwrap_or_else(|| {
        let key = Node { span: span.clone(), kind: Kind::Scalar(name.to_owned()) };
        entries.push((key, Node { span, kind: Kind::Null }));
        entries.len() - 1
    });
    &mut entries[index].1
}

#[cfg(test)]
mod tests {
    use super::super::{load, load_with, preset};
    use crate::spec::Dram;

    fn edge(settings: &[(&str, &str)]) -> Result<crate::spec::Machine, Vec<super::super::ConfigError>> {
        load_with(preset("edge-16x16").expect("the preset"), "edge", settings)
    }

    #[test]
    fn settings_replace_and_add() {
        let base = load(preset("edge-16x16").expect("the preset"), "edge").expect("the machine");
        assert_eq!(edge(&[]).expect("the machine"), base);
        let set = edge(&[("array.rows", "8"), ("control.queue_depth.load", "4")])
            .expect_err("depths of the others are missing");
        assert_eq!(set.len(), 3, "{set:?}");
        let set = edge(&[("array.rows", "8"), ("dram.bandwidth", "25.6 GB/s"), ("array.weight_registers", "1")]);
        let set = set.expect("a machine");
        assert_eq!((set.array.rows, set.array.weight_registers), (8, 1));
        assert!(matches!(set.dram, Dram::Simple { bandwidth_bytes_per_s: 25_600_000_000, .. }), "{:?}", set.dram);
        let set = edge(&[("dram", "ideal"), ("dram.burst", "32 B")]).expect("a machine");
        assert_eq!(set.dram, Dram::Ideal { burst_bytes: 32 });
        let set = edge(&[("dram.simple.burst", "128 B"), ("clocks.core", "1 GHz")]).expect("a machine");
        assert_eq!(set.dram.burst_bytes(), 128);
        assert!(matches!(set.dram, Dram::Simple { latency_cycles: 100, .. }), "{:?}", set.dram);
    }

    #[test]
    fn wrong_settings_are_errors() {
        for (key, value) in [
            ("array.rowz", "8"),
            ("array.rows", "0"),
            ("array.rows", "["),
            ("", "1"),
            ("array", "3"),
            ("dram.size", "1 B"),
        ] {
            assert!(edge(&[(key, value)]).is_err(), "{key}={value}");
        }
    }
}
