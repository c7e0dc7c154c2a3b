//! Keys set from outside the file, as sweeps do. Changes the tree before any key has a meaning, so that all checks see the result.

use super::error::Errors;
use super::node::{Kind, Node, parse_setting, relocate};
use super::read::join;
use super::schema::CHOICES;

/// Sets `key`, names separated by dots, to the YAML `value`.
pub(crate) fn apply(root: &mut Node, key: &str, value: &str, errors: &mut Errors<'_>) {
    let Some(value) = parse_setting(value) else {
        let message = format!("`{key}={value}` sets no YAML value");
        return errors.invalid(&root.span, message, "", "");
    };
    let names: Vec<&str> = key.split('.').collect();
    set(root, "", &names, value);
}

/// Sets what `names` lead to from `node`, which stands at `path`. An unknown name becomes a key that the reader refuses.
fn set(node: &mut Node, path: &str, names: &[&str], mut value: Node) {
    let span = node.span.clone();
    let Some((name, rest)) = names.split_first() else {
        relocate(&mut value, &span);
        *node = value;
        return;
    };
    let choice = CHOICES.contains(&path);
    let mut entries = match std::mem::replace(&mut node.kind, Kind::Null) {
        Kind::Map(entries) => entries,
        // A choice by its word alone gets a body; any other value gives way.
        word @ Kind::Scalar(_) if choice => {
            let body = Node { span: span.clone(), kind: Kind::Map(Vec::new()) };
            vec![(Node { span: span.clone(), kind: word }, body)]
        }
        _ => Vec::new(),
    };
    let found = entries.iter().position(|(key, _)| matches!(&key.kind, Kind::Scalar(text) if text == name));
    match (found, entries.as_mut_slice()) {
        (None, [(_, body)]) if choice => set(body, "", names, value),
        (Some(index), entries) => set(&mut entries[index].1, &join(path, name), rest, value),
        (None, _) => {
            let key = Node { span: span.clone(), kind: Kind::Scalar((*name).to_owned()) };
            let mut added = Node { span, kind: Kind::Null };
            set(&mut added, &join(path, name), rest, value);
            entries.push((key, added));
        }
    }
    node.kind = Kind::Map(entries);
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
