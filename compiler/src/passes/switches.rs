//! Indices of maxima as switches (rule N-27): taps of the window in place of ONNX's indices into the whole image.
//!
//! A tap means something together with its window, so that an unpooling must read the switches of a pooling with the same window and image.

use std::collections::BTreeMap;

use systole_network::graph::{Graph, NodeId};
use systole_network::op::{Op, Pool};
use systole_network::tensor::{DType, Quant, TensorId};

use super::PassError;
use super::lower::Target;

/// Taps that a byte can name.
const MAX_TAPS: usize = 256;

/// The switches' type and scale.
pub(super) fn target(target: Target) -> Target {
    Target { dtype: DType::U8, quant: Quant::per_tensor(1.0, 0), clamp: None, ..target }
}

/// Refuses a window with more taps than a switch can name, and indices that leave the network.
pub(super) fn check_pool(graph: &Graph, id: NodeId, pool: &Pool) -> Result<(), PassError> {
    if pool.kernel[0].saturating_mul(pool.kernel[1]) > MAX_TAPS {
        let message =
            format!("its window of {:?} has more than {MAX_TAPS} taps, which a switch of a byte names", pool.kernel);
        return Err(PassError::at_node(graph, id, message));
    }
    if graph.node(id).outputs.iter().any(|output| graph.outputs.contains(output)) {
        let message = "its indices are an output of the network; quantised, they are taps of its window (rule N-27)";
        return Err(PassError::at_node(graph, id, message).help("drop that output"));
    }
    Ok(())
}

/// Refuses indices that do not come from a pooling with the same window over an image of the same size.
pub(super) fn check_unpool(
    graph: &Graph,
    producers: &BTreeMap<TensorId, NodeId>,
    id: NodeId,
    pool: &Pool,
) -> Result<(), PassError> {
    let node = graph.node(id);
    let maker = producers.get(&node.inputs[1]).map(|&maker| graph.node(maker));
    let size = |id: TensorId| graph.tensor(id).shape.get(2..).unwrap_or_default();
    let fits = maker.is_some_and(|maker| match &maker.op {
        Op::ArgMaxPool(made) => {
            let window = |pool: &Pool| (pool.kernel, pool.stride, pool.dilation, pool.pads);
            window(made) == window(pool) && size(maker.inputs[0]) == size(node.outputs[0])
        }
        _ => false,
    });
    if fits {
        return Ok(());
    }
    let message = "its indices are not those of a max pooling with the same window over an image of its output's size";
    Err(PassError::at_node(graph, id, message).help("unpool with the window, and to the size, of the pooling"))
}
