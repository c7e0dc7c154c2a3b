//! ConvInteger and MatMulInteger to convolutions and fully connected layers whose output is the sum itself (rule N-16).
//!
//! What such a node reads is an activation with the node's zero point: an input of the network that has no scale, which gets the scale 1, or one that
//! is quantised. Sums are outputs of the network; what scales them in float is refused.

use systole_network::graph::{Graph, NodeId};
use systole_network::op::Op;
use systole_network::tensor::{DType, Quant, TensorId};

use super::PassError;
use super::lower::{Failure, Lowering, Target};
use super::powers_of_two::at_least;

/// The form that its integers take, and the zero points of input and weights.
fn linear(op: &Op) -> Option<(Op, [i32; 2])> {
    match op {
        Op::ConvInteger { conv, zeros } => Some((Op::Conv(conv.clone()), *zeros)),
        Op::MatMulInteger { zeros } => Some((Op::FullyConnected, *zeros)),
        _ => None,
    }
}

/// Whether it adds integers up and scales nothing.
pub(super) fn adds_integers(op: &Op) -> bool {
    linear(op).is_some()
}

/// The quantisation of an integer input that has none, where all that read it add integers up: that of the first.
pub(super) fn input_quant(lowering: &Lowering<'_>, id: TensorId) -> Option<Quant> {
    let readers = lowering.consumers.get(&id)?;
    let mut zeros = readers.iter().map(|&reader| linear(&lowering.source.node(reader).op).map(|(_, [zero, _])| zero));
    let first = zeros.next()??;
    zeros.all(|zero| zero.is_some()).then(|| Quant::per_tensor(1.0, first))
}

/// The integer form of the node, if it is of these; `target` gives the name.
pub(super) fn step(lowering: &mut Lowering<'_>, id: NodeId, target: &Target) -> Result<Option<TensorId>, Failure> {
    let source = lowering.source;
    let node = source.node(id);
    let (Some((op, [zero, zero_weight])), &[x, weights]) = (linear(&node.op), node.inputs.as_slice()) else {
        return Ok(None);
    };
    let input = lowering.value(x, id)?;
    let other = lowering.quant(input).zero_point_of(0);
    if other != zero {
        let name = &source.tensor(x).name;
        let message = format!("its input `{name}` has the zero point {zero} here and {other} elsewhere");
        return Err(PassError::at_node(source, id, message).help("give it one zero point").into());
    }
    let tensor = source.tensor(weights);
    if tensor.dtype == DType::I16 {
        let message = "its weights less the zero points of their outputs take more than the 8 bits that machines have";
        return Err(PassError::at_node(source, id, message).into());
    }
    let quant = Quant::per_tensor(1.0, zero_weight);
    let weights = lowering.tensor(&tensor.name, tensor.shape.clone(), tensor.dtype, Some(quant), tensor.data.clone());
    let target = Target { dtype: DType::I32, quant: Quant::per_tensor(1.0, 0), clamp: None, ..target.clone() };
    let shape = source.tensor(node.outputs[0]).shape.clone();
    Ok(Some(lowering.node(&node.name, op, vec![input, weights], shape, target, node.origins.clone())))
}

/// Inputs whose scales, and so whose integers, would change with powers of two (rule N-19): by node that adds them up.
pub(super) fn rescaled_inputs(graph: &Graph) -> Vec<PassError> {
    let refused = |index: usize| {
        let node = &graph.nodes[index];
        let input = graph.tensor(*node.inputs.first().filter(|_| adds_integers(&node.op))?);
        let changes = input.quant.as_ref().is_some_and(|quant| at_least(quant) != *quant);
        let message = format!(
            "it adds up the integers of `{}`, whose scale is no power of two: with one these would be others (rule N-19)",
            input.name
        );
        changes
            .then(|| PassError::at_node(graph, NodeId(index as u32), message).help("quantise it with a power of two"))
    };
    (0..graph.nodes.len()).filter_map(refused).collect()
}
