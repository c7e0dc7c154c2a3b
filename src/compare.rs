//! Golden against the simulator, tensor by tensor and element by element, in order of execution; and cycles against an earlier report.

use std::collections::BTreeMap;

use serde::Serialize;
use systole_compiler::compile::Compiled;
use systole_compiler::passes::Quantised;
use systole_golden::Value;
use systole_machine::program::TensorEntry;
use systole_network::graph::Graph;
use systole_network::tensor::TensorId;

use crate::report::Report;
use crate::tensors::{gather, integers};

/// A mismatch, by name and place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    /// The layer that makes the tensor.
    pub layer: String,
    /// The tensor.
    pub tensor: String,
    /// Logical index.
    pub index: Vec<u64>,
    /// Golden's value.
    pub expected: i64,
    /// The simulator's.
    pub got: i64,
}

/// A tensor that a comparison could not see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unobservable {
    /// Its name.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// The `verify` block of a report.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Verification {
    /// Nothing differs.
    pub bit_exact: bool,
    /// Elements compared.
    pub elements: u64,
    /// Elements that differ.
    pub mismatches: u64,
    /// The first of them, in order of execution.
    pub first_mismatch: Option<Mismatch>,
    /// Tensors compared.
    pub tensors_compared: u64,
    /// Tensors of the network that the program does not expose.
    pub tensors_unobservable: Vec<Unobservable>,
    /// Signal to quantisation noise of the outputs against the float network, dB; `None` where nothing differs from it.
    pub sqnr_db: Option<f64>,
}

/// One compared tensor, for `--layers`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorResult {
    /// The layer that makes it.
    pub layer: String,
    /// Its name.
    pub tensor: String,
    /// Elements.
    pub elements: u64,
    /// Those that differ.
    pub mismatches: u64,
}

/// Compares every activation of the network that the program's tensor table holds.
///
/// `golden` are the values of all activations, graph inputs included; `dram` is the memory after the run.
pub fn compare(
    quantised: &Quantised,
    compiled: &Compiled,
    golden: &BTreeMap<TensorId, Value>,
    dram: &[u8],
) -> (Verification, Vec<TensorResult>) {
    let graph = &quantised.graph;
    let entries: BTreeMap<&str, &TensorEntry> =
        compiled.program.tensors.iter().map(|entry| (entry.name.as_str(), entry)).collect();
    let mut verification = Verification::default();
    let mut results = vec![];
    for (layer, id) in in_execution_order(graph, compiled) {
        let name = &graph.tensor(id).name;
        let unseen = |reason: &str| Unobservable { name: name.clone(), reason: reason.into() };
        let (Some(entry), Some(expected)) = (entries.get(name.as_str()), golden.get(&id)) else {
            verification.tensors_unobservable.push(unseen("the program gives it no place in DRAM"));
            continue;
        };
        let Some(got) = gather(entry, dram) else {
            verification.tensors_unobservable.push(unseen("its place lies outside DRAM"));
            continue;
        };
        let result = compare_tensor(&mut verification, entry, &layer, &expected.to_le_bytes(), &got);
        results.push(result);
    }
    verification.bit_exact = verification.mismatches == 0 && verification.tensors_compared > 0;
    (verification, results)
}

fn compare_tensor(
    verification: &mut Verification,
    entry: &TensorEntry,
    layer: &str,
    expected: &[u8],
    got: &[u8],
) -> TensorResult {
    let [expected, got] = [expected, got].map(|bytes| integers(bytes, entry.element).collect::<Vec<i32>>());
    // A tensor of another size differs as a whole: the missing elements count as mismatches.
    let elements = expected.len().max(got.len()) as u64;
    let surplus = elements - expected.len().min(got.len()) as u64;
    let mut mismatches = surplus;
    for (flat, (&e, &g)) in expected.iter().zip(&got).enumerate() {
        if e == g {
            continue;
        }
        mismatches += 1;
        verification.first_mismatch.get_or_insert_with(|| Mismatch {
            layer: layer.to_owned(),
            tensor: entry.name.clone(),
            index: unflatten(flat as u64, &entry.shape),
            expected: e.into(),
            got: g.into(),
        });
    }
    verification.elements += elements;
    verification.mismatches += mismatches;
    verification.tensors_compared += 1;
    TensorResult { layer: layer.to_owned(), tensor: entry.name.clone(), elements, mismatches }
}

/// The logical index of a flat one.
fn unflatten(mut flat: u64, shape: &[u64]) -> Vec<u64> {
    let mut index = vec![0; shape.len()];
    for (place, &length) in index.iter_mut().zip(shape).rev() {
        *place = flat % length.max(1);
        flat /= length.max(1);
    }
    index
}

/// Graph inputs, then what nodes make: the layer's name and the tensor.
fn in_execution_order(graph: &Graph, compiled: &Compiled) -> Vec<(String, TensorId)> {
    // A layer is named after its node, or begins with the node's name (a concatenation's copies); views have none.
    let layers: BTreeMap<TensorId, &str> =
        compiled.layers.layers.iter().map(|layer| (layer.output, layer.name.as_str())).collect();
    let mut order: Vec<(String, TensorId)> = graph.inputs.iter().map(|&id| ("(input)".to_owned(), id)).collect();
    for node in graph.topological_order().unwrap_or_default() {
        let node = graph.node(node);
        for &output in &node.outputs {
            order.push((layers.get(&output).map_or_else(|| node.name.clone(), |name| (*name).to_owned()), output));
        }
    }
    order
}

/// What changed in cycles since an earlier report; empty when nothing did.
///
/// # Errors
/// What the earlier report lacks.
pub fn against_baseline(old: &serde_json::Value, new: &Report) -> Result<Vec<String>, String> {
    let total =
        old.pointer("/total/cycles").and_then(serde_json::Value::as_u64).ok_or("it has no number `total.cycles`")?;
    let layers = old.pointer("/layers").and_then(serde_json::Value::as_array).ok_or("it has no list `layers`")?;
    let mut before = vec![];
    for layer in layers {
        let name = layer.pointer("/name").and_then(serde_json::Value::as_str);
        let cycles = layer.pointer("/cycles").and_then(serde_json::Value::as_u64);
        match (name, cycles) {
            (Some(name), Some(cycles)) => before.push((name, cycles)),
            _ => return Err("one of its layers lacks `name` or `cycles`".into()),
        }
    }
    let mut changes = vec![];
    let changed = |what: String, old: u64, new: u64| {
        let percent =
            if old == 0 { String::new() } else { format!(" ({:+.2} %)", 100.0 * (new as f64 / old as f64 - 1.0)) };
        format!("{what}: {old} cycles before, {new} now{percent}")
    };
    if total != new.total.cycles {
        changes.push(changed("total".into(), total, new.total.cycles));
    }
    let now: BTreeMap<&str, u64> = new.layers.iter().map(|layer| (layer.name.as_str(), layer.cycles)).collect();
    let known: BTreeMap<&str, u64> = before.iter().copied().collect();
    for (name, cycles) in before {
        match now.get(name) {
            Some(&current) if current != cycles => changes.push(changed(format!("layer `{name}`"), cycles, current)),
            Some(_) => {}
            None => changes.push(format!("layer `{name}`: {cycles} cycles before, there is none of that name now")),
        }
    }
    for layer in new.layers.iter().filter(|layer| !known.contains_key(layer.name.as_str())) {
        changes
            .push(format!("layer `{}`: {} cycles now, there was none of that name before", layer.name, layer.cycles));
    }
    Ok(changes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use systole_machine::program::{ElementType, Layout, Role};

    #[test]
    fn the_first_mismatch_has_its_logical_index_and_signed_values() {
        let entry = TensorEntry {
            name: "t".into(),
            shape: vec![1, 2, 2, 2],
            dims: [1, 2, 2, 2],
            element: ElementType::I8,
            role: Role::Intermediate,
            layout: Layout::Nhwc,
            address: 0,
            pixel_pitch: 2,
            row_pitch: 4,
            image_pitch: 8,
            scale: 1.0,
            zero_point: 0,
            float_name: None,
        };
        let mut verification = Verification::default();
        let expected = [0, 0, 0, 0, 0, 0, 255, 1];
        let result = compare_tensor(&mut verification, &entry, "l", &expected, &[0; 8]);
        assert_eq!((result.mismatches, verification.mismatches, verification.elements), (2, 2, 8));
        let first = verification.first_mismatch.expect("there are two");
        assert_eq!((first.index, first.expected, first.got), (vec![0, 1, 1, 0], -1, 0));
    }

    #[test]
    fn tensors_of_another_size_never_pass() {
        let entry = TensorEntry {
            name: "t".into(),
            shape: vec![4],
            dims: [1, 4, 1, 1],
            element: ElementType::U8,
            role: Role::Output,
            layout: Layout::Nhwc,
            address: 0,
            pixel_pitch: 4,
            row_pitch: 4,
            image_pitch: 4,
            scale: 1.0,
            zero_point: 0,
            float_name: None,
        };
        let mut verification = Verification::default();
        assert_eq!(compare_tensor(&mut verification, &entry, "l", &[1, 2, 3], &[1, 2, 3, 4]).mismatches, 1);
    }
}
