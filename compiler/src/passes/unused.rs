//! Removes what no output depends on, and renumbers the rest in its old order. Graph inputs stay.

use std::collections::BTreeSet;

use systole_network::graph::Graph;
use systole_network::tensor::TensorId;

/// Removes unused nodes and tensors.
pub(crate) fn drop_unused(graph: &mut Graph) {
    let producers = graph.producers();
    let mut used: BTreeSet<TensorId> = graph.inputs.iter().copied().collect();
    let mut open = graph.outputs.clone();
    while let Some(tensor) = open.pop() {
        if used.insert(tensor)
            && let Some(&node) = producers.get(&tensor)
        {
            open.extend(graph.node(node).inputs.iter().copied());
        }
    }
    graph.nodes.retain(|node| node.outputs.iter().any(|output| used.contains(output)));
    let mut renumbered = vec![None; graph.tensors.len()];
    for (new, old) in used.iter().enumerate() {
        renumbered[old.0 as usize] = Some(TensorId(new as u32));
    }
    let mut index = 0;
    graph.tensors.retain(|_| {
        index += 1;
        renumbered[index - 1].is_some()
    });
    let narrow = std::mem::take(&mut graph.narrow).into_iter();
    graph.narrow = narrow.filter_map(|(id, dtype)| Some((renumbered[id.0 as usize]?, dtype))).collect();
    let node_ends = graph.nodes.iter_mut().flat_map(|node| node.inputs.iter_mut().chain(&mut node.outputs));
    for id in node_ends.chain(&mut graph.inputs).chain(&mut graph.outputs) {
        if let Some(new) = renumbered[id.0 as usize] {
            *id = new;
        }
    }
}
