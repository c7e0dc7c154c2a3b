//! A deformable convolution becomes its samples and a convolution of one tap over them (rule N-26).
//!
//! The samples of a pixel are ordered by group, tap, channel, so that each group's are side by side; the weights follow.

use std::collections::BTreeSet;

use systole_network::graph::{Graph, Node, NodeId};
use systole_network::op::{Conv, Deform, Op};
use systole_network::tensor::{DType, Data, Tensor, TensorId, bytes_of_f32};

use super::{Context, PassError, Quantised, Values, constants, drop_unused, fresh_name, is_float};

pub(super) fn run(state: &mut Quantised, context: &Context<'_>) -> Result<(), Vec<PassError>> {
    let graph = &mut state.graph;
    let deforms = |node: &Node| matches!(node.op, Op::DeformConv(_));
    if !graph.nodes.iter().any(deforms) {
        return Ok(());
    }
    let ids = (0..graph.nodes.len()).map(|index| NodeId(index as u32));
    let errors: Vec<PassError> = ids.filter_map(|id| refusal(graph, id)).collect();
    if !errors.is_empty() {
        return Err(errors);
    }
    let seed = match context.values {
        Values::Real { seed, .. } | Values::Weights { seed } => Some(*seed),
        Values::Structure => None,
    };
    let mut tensors: BTreeSet<String> = graph.tensors.iter().map(|tensor| tensor.name.clone()).collect();
    let mut names: BTreeSet<String> = graph.nodes.iter().map(|node| node.name.clone()).collect();
    let nodes = std::mem::take(&mut graph.nodes);
    for node in nodes {
        match &node.op {
            Op::DeformConv(deform) => {
                let deform = deform.clone();
                let split = split(graph, node, deform, seed, [&mut tensors, &mut names]);
                graph.nodes.extend(split);
            }
            _ => graph.nodes.push(node),
        }
    }
    drop_unused(graph);
    Ok(())
}

/// Why a node has no such form.
fn refusal(graph: &Graph, id: NodeId) -> Option<PassError> {
    let node = graph.node(id);
    let Op::DeformConv(deform) = &node.op else { return None };
    let error = |message: &str, remedy: &str| Some(PassError::at_node(graph, id, message).help(remedy));
    let masked = node.inputs.iter().skip(3).any(|&input| graph.tensor(input).shape.len() != 1);
    if !is_float(graph) {
        return error("a deformable convolution in a quantised file is not supported", "give the float model");
    }
    if masked {
        let message = "its mask (modulation, version 2) has no integer rule";
        return error(message, "use the first version, whose taps are not weighted");
    }
    let weights = graph.tensor(node.inputs[1]);
    if weights.data.is_none() {
        return error("its weights are not constant", "weights must be constants");
    }
    let fits = weights.shape.len() == 4 && deform.conv.groups > 0;
    if fits { None } else { error("its weights do not fit it", "weights have four axes") }
}

/// The samples and the convolution; the latter keeps the name.
fn split(
    graph: &mut Graph,
    node: Node,
    deform: Deform,
    seed: Option<u64>,
    [tensors, names]: [&mut BTreeSet<String>; 2],
) -> [Node; 2] {
    let [x, weights, offsets] = [0, 1, 2].map(|input| node.inputs[input]);
    let groups = deform.conv.groups;
    let taps = deform.conv.kernel[0] * deform.conv.kernel[1];
    let mut shape = graph.tensor(node.outputs[0]).shape.clone();
    shape[1] = graph.tensor(x).shape[1] * taps;
    let name = fresh_name(tensors, &format!("{}:samples", graph.tensor(node.outputs[0]).name));
    let samples = graph.add_tensor(Tensor { name, shape, dtype: DType::F32, quant: None, data: None });
    let weights = one_tap(graph, weights, taps, seed, tensors);
    let point = Conv { kernel: [1; 2], stride: [1; 2], dilation: [1; 2], pads: [0; 4], groups };
    let sample = Node {
        name: fresh_name(names, &format!("{}:samples", node.name)),
        op: Op::DeformSample(deform),
        inputs: vec![x, offsets],
        outputs: vec![samples],
        clamp: None,
        origins: node.origins.clone(),
    };
    let inputs = [samples, weights].into_iter().chain(node.inputs.get(3).copied()).collect();
    [sample, Node { op: Op::Conv(point), inputs, ..node }]
}

/// Weights `[m, c / groups, kh, kw]` as `[m, kh · kw · c / groups, 1, 1]`, taps outermost.
fn one_tap(
    graph: &mut Graph,
    weights: TensorId,
    taps: usize,
    seed: Option<u64>,
    tensors: &mut BTreeSet<String>,
) -> TensorId {
    let tensor = graph.tensor(weights);
    let (m, channels) = (tensor.shape[0], tensor.shape[1]);
    let row = channels * taps;
    let moved = |values: Vec<f32>| -> Vec<f32> {
        let place = |at: usize| at / row * row + at % channels * taps + at % row / channels;
        (0..values.len()).map(|at| values[place(at)]).collect()
    };
    let values = seed.and_then(|seed| constants::floats(tensor, seed)).map(moved);
    let data = Some(values.map_or(Data::Unknown, |values| Data::Stored(bytes_of_f32(&values))));
    let name = fresh_name(tensors, &format!("{}:taps", tensor.name));
    graph.add_tensor(Tensor { name, shape: vec![m, row, 1, 1], dtype: DType::F32, quant: None, data })
}
