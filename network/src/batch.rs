//! Another batch size for a graph: the first dimension of its inputs, and of everything that follows from them.
//!
//! Constants keep their shapes. Nothing else changes; in particular no quantisation does.

use crate::graph::{Graph, Node};
use crate::op::Op;
use crate::shape::{infer, reshaped};

/// The graph with `n` as the first dimension of every input, all other shapes inferred anew.
///
/// Where a shape cannot be inferred (an operator that mixes the batch with other axes, a size beyond
/// [`crate::shape::MAX_ELEMENTS`], a cycle) it stays as it was, and [`verify`](crate::verify::verify) names the node.
pub fn with_batch(graph: &Graph, n: usize) -> Graph {
    let mut batched = graph.clone();
    for &input in &graph.inputs {
        if let Some(batch) = batched.tensors.get_mut(input.0 as usize).and_then(|tensor| tensor.shape.first_mut()) {
            *batch = n;
        }
    }
    for id in batched.topological_order().unwrap_or_default() {
        let node = batched.node(id);
        if let (Some(shape), Some(&output)) = (inferred(&batched, node), node.outputs.first()) {
            batched.tensors[output.0 as usize].shape = shape;
        }
    }
    batched
}

/// The shape of the node's output from the present shapes of its inputs.
fn inferred(graph: &Graph, node: &Node) -> Option<Vec<usize>> {
    let shape = |id: crate::tensor::TensorId| graph.tensors.get(id.0 as usize).map(|tensor| tensor.shape.as_slice());
    let inputs: Vec<&[usize]> = node.inputs.iter().map(|&id| shape(id)).collect::<Option<_>>()?;
    let output = shape(*node.outputs.first()?)?;
    match (&node.op, &inputs[..]) {
        (Op::Reshape, [input]) => reshaped(input, Some(output)).ok(),
        (Op::Slice { .. } | Op::MaxUnpool(_), [input, ..]) => {
            Some([input.get(..1).unwrap_or_default(), output.get(1..).unwrap_or_default()].concat())
        }
        _ => infer(&node.op, &inputs).ok()?.into_iter().next(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Form;
    use crate::tensor::{DType, Tensor};
    use crate::verify::{Invariant, verify};
    use crate::zoo;

    #[test]
    fn every_activation_has_the_batch_and_no_constant_does() {
        let graph = zoo::build_scaled("mobilenet-v1", 4, 32).expect("large enough");
        let batched = with_batch(&graph, 5);
        for (before, after) in graph.tensors.iter().zip(&batched.tensors) {
            let expected = if before.data.is_some() { before.shape[0] } else { 5 };
            assert_eq!(after.shape, [&[expected], &before.shape[1..]].concat(), "{}", before.name);
        }
    }

    #[test]
    fn reshapes_keep_their_rows() {
        let mut graph = Graph::new("shuffle", Form::Imported);
        let shapes: [&[usize]; 3] = [&[1, 6, 4, 4], &[1, 2, 3, 16], &[1, 96]];
        let ids = shapes.map(|shape| {
            let name = format!("{shape:?}");
            graph.add_tensor(Tensor { name, shape: shape.into(), dtype: DType::F32, quant: None, data: None })
        });
        for pair in ids.windows(2) {
            let (name, inputs, outputs) = (graph.nodes.len().to_string(), vec![pair[0]], vec![pair[1]]);
            graph.add_node(Node { name, op: Op::Reshape, inputs, outputs, clamp: None, origins: vec![] });
        }
        (graph.inputs, graph.outputs) = (vec![ids[0]], vec![ids[2]]);
        let batched = with_batch(&graph, 7);
        let shapes: Vec<_> = batched.tensors.iter().map(|tensor| tensor.shape.clone()).collect();
        assert_eq!(shapes, [vec![7, 6, 4, 4], vec![7, 2, 3, 16], vec![7, 96]]);
        assert_eq!(verify(&batched), Ok(()));
    }

    #[test]
    fn impossible_batches_are_left_to_the_verifier() {
        let graph = zoo::build("lenet-5").expect("builds");
        for n in [0, usize::MAX] {
            let errors = verify(&with_batch(&graph, n)).expect_err("no such batch");
            assert!(errors.iter().any(|error| error.invariant == Invariant::Shapes), "{errors:?}");
        }
    }
}
