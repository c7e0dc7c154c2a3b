//! Float islands: operators between integers that are computed in single precision (rules N-8, N-10, N-13, N-26, N-25's quotient, N-30 between pixels, and N-14 beside integer scalings), for those who want none.

use systole_network::graph::{Graph, NodeId};
use systole_network::op::{Interpolation, Op};
use systole_network::policy::Requantisation;

use super::PassError;

/// One refusal for each float island of a quantised graph, in order.
pub fn float_islands(graph: &Graph) -> Vec<PassError> {
    let integer = graph.policy.requantisation != Requantisation::Float32;
    let island = |index: usize| {
        let id = NodeId(index as u32);
        let (rule, remedy) = match &graph.node(id).op {
            Op::BatchNorm { .. } => ("N-8", "fold it into the convolution before it"),
            Op::Softmax => ("N-10", "end the network before it"),
            Op::DeformSample(_) => ("N-26", "replace the deformable convolution by an ordinary one"),
            Op::Lrn(_) => ("N-13", "replace it by an operator with an integer rule"),
            Op::Resize(resize) if resize.interpolation == Interpolation::Linear => {
                ("N-30", "resize to the nearest pixel, or by a transposed convolution")
            }
            Op::Div => ("N-25", "multiply by the reciprocal"),
            // In single precision it is N-6 carried on, no more of an island than that.
            Op::Sum if integer => ("N-14", "replace it by sums of two"),
            _ => return None,
        };
        let message = format!("it is a float island: computed in single precision (rule {rule})");
        Some(PassError::at_node(graph, id, message).help(format!("{remedy}, or run it with `--float-islands run`")))
    };
    (0..graph.nodes.len()).filter_map(island).collect()
}
