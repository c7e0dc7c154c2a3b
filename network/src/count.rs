//! What a network costs before any machine is named: multiply-accumulates, learnable parameters, bytes of constants.
//!
//! Counts use the shapes as they are (batch n counts n times) and saturate at `u64::MAX`. Only convolutions and fully connected layers
//! multiply and accumulate here; pooling, batch norm and element-wise work do not count, as in the published tables.
//! The graph's ids must be sound (V-1 of [`verify`](mod@crate::verify)).

use std::collections::{BTreeMap, BTreeSet};

use crate::graph::{Graph, NodeId};
use crate::op::Op;
use crate::tensor::{Data, Distribution, Tensor, TensorId};

/// Multiply-accumulates of the whole network.
pub fn macs(graph: &Graph) -> u64 {
    (0..graph.nodes.len()).fold(0, |sum: u64, index| sum.saturating_add(node_macs(graph, NodeId(index as u32))))
}

/// Whether the second input is multiplied and accumulated with the first.
fn has_weights(op: &Op) -> bool {
    matches!(
        op,
        Op::Conv(_)
            | Op::FullyConnected
            | Op::ConvTranspose(_)
            | Op::DeformConv(_)
            | Op::ConvInteger { .. }
            | Op::MatMulInteger { .. }
    )
}

/// Multiply-accumulates of one node: elements of the output times weights of one output channel (transposed: pixels of the input times all weights); 0 for operators without weights.
pub fn node_macs(graph: &Graph, node: NodeId) -> u64 {
    let node = graph.node(node);
    let (true, [_, weights, ..], [output, ..]) = (has_weights(&node.op), &node.inputs[..], &node.outputs[..]) else {
        return 0;
    };
    if let Op::ConvTranspose(_) = node.op {
        // Every input pixel meets all weights of its channel.
        let pixels = graph.tensor(node.inputs[0]).shape.iter().enumerate().filter(|(axis, _)| *axis != 1);
        let pixels: Vec<usize> = pixels.map(|(_, &size)| size).collect();
        return product(&pixels).saturating_mul(product(&graph.tensor(*weights).shape));
    }
    let per_output = product(graph.tensor(*weights).shape.get(1..).unwrap_or_default());
    product(&graph.tensor(*output).shape).saturating_mul(per_output)
}

/// Learnable parameters: weights and biases, batch norm scale and shift, constant operands of element-wise operators; without running
/// means and variances, and without a product's factors that are all the same (a scaled residual's belongs to the definition). A constant that several nodes share counts once; one behind a Dequantize counts too.
pub fn parameters(graph: &Graph) -> u64 {
    let producers = graph.producers();
    let mut learnable = BTreeSet::new();
    for node in &graph.nodes {
        let operands: &[TensorId] = match node.op {
            Op::PRelu => node.inputs.get(1..).unwrap_or_default(),
            ref op if has_weights(op) => node.inputs.get(1..).unwrap_or_default(),
            Op::BatchNorm { .. } => node.inputs.get(1..node.inputs.len().min(3)).unwrap_or_default(),
            Op::Mul if node.inputs.iter().any(|&operand| is_one_value(graph.tensor(operand))) => &[],
            Op::Add | Op::Mul | Op::Sub | Op::Div | Op::Max | Op::Min => &node.inputs,
            _ => &[],
        };
        learnable.extend(operands.iter().filter_map(|&operand| constant_behind(graph, &producers, operand)));
    }
    learnable.iter().fold(0, |sum: u64, &id| sum.saturating_add(product(&graph.tensor(id).shape)))
}

/// Bytes of all constants that nodes read, as their element types store them; each once.
pub fn weight_bytes(graph: &Graph) -> u64 {
    let used: BTreeSet<TensorId> = graph.nodes.iter().flat_map(|node| node.inputs.iter().copied()).collect();
    used.iter().map(|&id| graph.tensor(id)).filter(|tensor| tensor.data.is_some()).fold(0, |sum: u64, tensor| {
        sum.saturating_add(product(&tensor.shape).saturating_mul(tensor.dtype.bits() as u64).div_ceil(8))
    })
}

/// The constant that an operand is, directly or through operators that only change its form.
fn constant_behind(graph: &Graph, producers: &BTreeMap<TensorId, NodeId>, operand: TensorId) -> Option<TensorId> {
    let mut id = operand;
    // A cyclic graph would never end; no chain is longer than the graph.
    for _ in 0..=graph.nodes.len() {
        if graph.tensor(id).data.is_some() {
            return Some(id);
        }
        let node = graph.node(*producers.get(&id)?);
        match node.op {
            Op::Dequantize | Op::Quantize | Op::Identity | Op::Reshape | Op::Transpose { .. } => {
                id = *node.inputs.first()?
            }
            _ => return None,
        }
    }
    None
}

/// A constant vector of one repeated value.
fn is_one_value(tensor: &Tensor) -> bool {
    match &tensor.data {
        Some(Data::Seeded { distribution: Distribution::Uniform { low, high } }) => low == high,
        Some(Data::Stored(bytes)) => {
            let elements = bytes.chunks_exact(tensor.dtype.bytes());
            elements.len() > 1 && elements.clone().all(|element| bytes.starts_with(element))
        }
        _ => false,
    }
}

fn product(shape: &[usize]) -> u64 {
    shape.iter().fold(1, |n: u64, &dim| n.saturating_mul(dim as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Form, Node};
    use crate::op::Conv;
    use crate::tensor::{DType, Data, Quant, Tensor, bytes_of_f32};
    use crate::zoo;

    #[test]
    fn node_macs_are_the_layers_of_the_definition() {
        let graph = zoo::build("lenet-5").expect("builds");
        let of = |name: &str| {
            let index = graph.nodes.iter().position(|node| node.name == name).expect("a layer of that name");
            node_macs(&graph, NodeId(index as u32))
        };
        assert_eq!(["conv1", "conv2", "ip1", "ip2"].map(of), [288_000, 1_600_000, 400_000, 5_000]);
        assert_eq!(["pool1", "flatten", "ip1_relu", "prob"].map(of), [0; 4]);
    }

    #[test]
    fn weight_bytes_count_running_statistics_but_parameters_do_not() {
        let graph = zoo::build("resnet-18").expect("builds");
        let channels: u64 = graph
            .nodes
            .iter()
            .filter(|node| matches!(node.op, Op::BatchNorm { .. }))
            .map(|node| product(&graph.tensor(node.inputs[1]).shape))
            .sum();
        assert_eq!(channels, 4800);
        assert_eq!(weight_bytes(&graph), 4 * (parameters(&graph) + 2 * channels));
        assert_eq!(weight_bytes(&zoo::build("lenet-5").expect("builds")), 4 * 431_080);
    }

    /// Two grouped convolutions with one int8 weight behind a Dequantize.
    #[test]
    fn shared_dequantised_weights_count_once() {
        let mut g = Graph::new("shared", Form::Imported);
        let mut tensor = |name: &str, shape: &[usize], dtype, data| {
            let quant = (dtype == DType::I8).then(|| Quant::per_tensor(1.0, 0));
            g.add_tensor(Tensor { name: name.into(), shape: shape.into(), dtype, quant, data })
        };
        let x = tensor("x", &[1, 8, 5, 5], DType::F32, None);
        let stored = tensor("w", &[8, 2, 3, 3], DType::I8, Some(Data::Unknown));
        let weight = tensor("dq", &[8, 2, 3, 3], DType::F32, None);
        let [a, b] = ["a", "b"].map(|name| tensor(name, &[1, 8, 5, 5], DType::F32, None));
        let conv = Op::Conv(Conv { kernel: [3; 2], stride: [1; 2], dilation: [1; 2], pads: [1; 4], groups: 4 });
        let nodes = [
            ("dq", Op::Dequantize, vec![stored], weight),
            ("a", conv.clone(), vec![x, weight], a),
            ("b", conv, vec![a, weight], b),
        ];
        for (name, op, inputs, output) in nodes {
            g.add_node(Node { name: name.into(), op, inputs, outputs: vec![output], clamp: None, origins: vec![] });
        }
        assert_eq!(parameters(&g), 8 * 2 * 9);
        assert_eq!(weight_bytes(&g), 8 * 2 * 9);
        assert_eq!(macs(&g), 2 * (8 * 25) * (2 * 9));
    }

    #[test]
    fn factors_that_are_all_the_same_are_not_learned() {
        let count = |factors: [f32; 3]| {
            let mut g = Graph::new("g", Form::Imported);
            let mut tensor = |name: &str, shape: &[usize], data| {
                g.add_tensor(Tensor { name: name.into(), shape: shape.into(), dtype: DType::F32, quant: None, data })
            };
            let x = tensor("x", &[1, 3, 2, 2], None);
            let factors = tensor("factors", &[3], Some(Data::Stored(bytes_of_f32(&factors))));
            let y = tensor("y", &[1, 3, 2, 2], None);
            let (name, inputs) = ("mul".to_owned(), vec![x, factors]);
            g.add_node(Node { name, op: Op::Mul, inputs, outputs: vec![y], clamp: None, origins: vec![] });
            parameters(&g)
        };
        assert_eq!(count([0.1, 0.1, 0.1]), 0);
        assert_eq!(count([0.1, 0.1, 0.2]), 3);
    }
}
