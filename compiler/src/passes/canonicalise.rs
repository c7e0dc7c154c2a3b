//! One way to write each thing: no Identity, no mean over a whole image that is not a pooling, no nodes that nobody reads.
//!
//! Constants need no folding here: the importer folds shape operators and Quantize on constants where it meets them.

use std::collections::{BTreeMap, BTreeSet};

use systole_network::graph::{Graph, Node};
use systole_network::op::Op;
use systole_network::tensor::{Tensor, TensorId};

use super::{Context, PassError, Quantised, drop_unused, fresh_name};

pub(super) fn run(state: &mut Quantised, _: &Context<'_>) -> Result<(), Vec<PassError>> {
    remove_identities(&mut state.graph)?;
    pool_means(&mut state.graph);
    drop_unused(&mut state.graph);
    Ok(())
}

/// A mean over h and w is a global average pooling, and without these axes a view of one.
fn pool_means(graph: &mut Graph) {
    let mut taken: BTreeSet<String> = graph.tensors.iter().map(|tensor| tensor.name.clone()).collect();
    for index in 0..graph.nodes.len() {
        let node = &graph.nodes[index];
        let (Op::ReduceMean { axes, keep }, &[x], &[y]) = (&node.op, &node.inputs[..], &node.outputs[..]) else {
            continue;
        };
        if axes[..] != [2, 3] || graph.tensor(x).shape.len() != 4 {
            continue;
        }
        let keep = *keep;
        graph.nodes[index].op = Op::GlobalAveragePool;
        if keep {
            continue;
        }
        let (of, name) = (graph.tensor(y), graph.nodes[index].name.clone());
        let shape = vec![of.shape[0], of.shape[1], 1, 1];
        let mean = Tensor { name: fresh_name(&mut taken, &format!("{}:mean", of.name)), shape, ..of.clone() };
        let mean = graph.add_tensor(mean);
        graph.nodes[index].outputs[0] = mean;
        let flatten = Node {
            name: format!("{name}:flatten"),
            op: Op::Reshape,
            inputs: vec![mean],
            outputs: vec![y],
            clamp: None,
            origins: vec![],
        };
        graph.add_node(flatten);
    }
}

/// An Identity goes unless it connects a graph input, or a second output, to a graph output. Names of outputs survive.
fn remove_identities(graph: &mut Graph) -> Result<(), Vec<PassError>> {
    let order = graph.topological_order().map_err(|node| vec![PassError::cycle(graph, node)])?;
    let mut producers = graph.producers();
    // Readers of the key read the value instead.
    let mut instead: BTreeMap<TensorId, TensorId> = BTreeMap::new();
    let mut removed = vec![false; graph.nodes.len()];
    for id in order {
        for input in &mut graph.nodes[id.0 as usize].inputs {
            *input = instead.get(input).copied().unwrap_or(*input);
        }
        let node = graph.node(id);
        if node.op != Op::Identity {
            continue;
        }
        let (x, y, origins) = (node.inputs[0], node.outputs[0], node.origins.clone());
        let producer = producers.get(&x).copied();
        if !graph.outputs.contains(&y) {
            instead.insert(y, x);
        } else if let Some(producer) = producer.filter(|_| !graph.outputs.contains(&x)) {
            graph.nodes[producer.0 as usize].outputs[0] = y;
            producers.insert(y, producer);
            instead.insert(x, y);
            // What was redirected to x before goes on to y.
            instead.values_mut().for_each(|to| *to = if *to == x { y } else { *to });
        } else {
            continue;
        }
        removed[id.0 as usize] = true;
        if let Some(producer) = producer {
            graph.nodes[producer.0 as usize].origins.extend(origins);
        }
    }
    for input in graph.nodes.iter_mut().flat_map(|node| &mut node.inputs) {
        *input = instead.get(input).copied().unwrap_or(*input);
    }
    let mut gone = removed.into_iter();
    graph.nodes.retain(|_| !gone.next().unwrap_or(false));
    Ok(())
}
