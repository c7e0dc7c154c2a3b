//! Activations of one bit in float models (rule N-28): which tensors are, and who makes them.

use std::collections::BTreeSet;

use systole_network::graph::{Graph, NodeId};
use systole_network::op::Op;
use systole_network::tensor::{DType, Quant, TensorId};

use super::lower::Target;

/// Whether a binarisation behind such a node becomes the type of the node's output.
pub(super) fn has_sign(op: &Op) -> bool {
    matches!(op, Op::Conv(_) | Op::FullyConnected | Op::BatchNorm { .. })
}

/// What binarisations make, also where it is handed on as it is.
pub(super) fn tensors(graph: &Graph, order: &[NodeId]) -> BTreeSet<TensorId> {
    let mut binary = BTreeSet::new();
    for node in order.iter().map(|&id| graph.node(id)) {
        let moves = matches!(node.op, Op::Reshape | Op::Identity | Op::Transpose { .. });
        let handed_on = moves && node.inputs.first().is_some_and(|input| binary.contains(input));
        if node.op == Op::Binarize || handed_on {
            binary.extend(node.outputs.iter().copied());
        }
    }
    binary
}

/// The integer form of such a tensor.
pub(super) fn target(graph: &Graph, id: TensorId, origins: Vec<String>) -> Target {
    let name = graph.tensor(id).name.clone();
    Target { name, dtype: DType::B1, quant: Quant::per_tensor(1.0, 0), clamp: None, origins }
}
