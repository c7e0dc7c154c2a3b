//! V-1 to V-5: ids, names, producers, sources, order.

use std::collections::BTreeSet;

use super::{Checker, Invariant};
use crate::tensor::TensorId;

pub(super) fn check(checker: &mut Checker) {
    ids(checker);
    names(checker);
    producers(checker);
    sources(checker);
    if let Err(node) = checker.graph.topological_order() {
        let remedy = "its input depends on its own output; feedback is not supported";
        checker.at_node(node.0 as usize, Invariant::Order, "it lies on a cycle", remedy);
    }
}

fn ids(checker: &mut Checker) {
    let graph = checker.graph;
    let count = graph.tensors.len();
    let remedy = "a pass removed the tensor but not its uses";
    let unknown = |id: &TensorId| id.0 as usize >= count;
    for (index, node) in graph.nodes.iter().enumerate() {
        for id in node.inputs.iter().chain(&node.outputs).filter(|id| unknown(id)) {
            checker.at_node(index, Invariant::Ids, format!("tensor #{} does not exist, of {count}", id.0), remedy);
        }
        if node.outputs.len() != 1 {
            let what = format!("it has {} outputs", node.outputs.len());
            checker.at_node(index, Invariant::Ids, what, "every operator has exactly one");
        }
    }
    for id in graph.inputs.iter().chain(&graph.outputs).filter(|id| unknown(id)) {
        checker.at_graph(Invariant::Ids, format!("input or output #{} does not exist, of {count}", id.0), remedy);
    }
}

fn names(checker: &mut Checker) {
    let graph = checker.graph;
    let mut seen = BTreeSet::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        if node.name.is_empty() {
            checker.at_node(index, Invariant::Names, "it has no name", "make one from its output's");
        } else if !seen.insert(&node.name) {
            checker.at_node(
                index,
                Invariant::Names,
                "another node has the same name",
                "reports go by name; rename one",
            );
        }
    }
    seen.clear();
    for (index, tensor) in graph.tensors.iter().enumerate() {
        let id = TensorId(index as u32);
        if tensor.name.is_empty() {
            checker.at_tensor(id, Invariant::Names, "it has no name", "make one from its node's");
        } else if !seen.insert(&tensor.name) {
            let remedy = "files of tensors go by name; rename one";
            checker.at_tensor(id, Invariant::Names, "another tensor has the same name", remedy);
        }
    }
}

fn producers(checker: &mut Checker) {
    let graph = checker.graph;
    let constant = |id: &TensorId| graph.tensors.get(id.0 as usize).is_some_and(|tensor| tensor.data.is_some());
    let mut inputs = BTreeSet::new();
    for id in &graph.inputs {
        if !inputs.insert(id) {
            checker.at_tensor(*id, Invariant::Producers, "it is listed twice among the inputs", "list it once");
        }
        if constant(id) {
            checker.at_tensor(
                *id,
                Invariant::Producers,
                "it is a graph input and a constant",
                "it must be one of them",
            );
        }
    }
    let mut written = BTreeSet::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        for id in &node.outputs {
            let name = graph.tensors.get(id.0 as usize).map_or("", |tensor| &tensor.name);
            let fault = match id {
                id if !written.insert(id) => "another node writes too",
                id if constant(id) => "is a constant",
                id if inputs.contains(id) => "is a graph input",
                _ => continue,
            };
            let what = format!("it writes tensor `{name}`, which {fault}");
            checker.at_node(
                index,
                Invariant::Producers,
                what,
                "every tensor has one source; give the node its own output",
            );
        }
    }
}

fn sources(checker: &mut Checker) {
    let graph = checker.graph;
    let mut sourced: BTreeSet<TensorId> = graph.inputs.iter().copied().collect();
    sourced.extend(graph.nodes.iter().flat_map(|node| node.outputs.iter().copied()));
    for (id, tensor) in checker.used() {
        if tensor.data.is_none() && !sourced.contains(&id) {
            let remedy = "it needs a node that writes it, data, or a place among the graph's inputs";
            checker.at_tensor(id, Invariant::Sources, "it is read but has no source", remedy);
        }
    }
    if graph.outputs.is_empty() {
        checker.at_graph(Invariant::Sources, "it has no output", "name at least one tensor as the result");
    }
}
