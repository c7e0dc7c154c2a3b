//! Padding that a convolution or pooling does itself: a Pad of real zero before convolutions and averages, of −∞ before maxima, along rows and columns.
//!
//! Exact in both forms: a convolution's padding adds 0 (N-1), an average with `count_include_pad` counts it (N-5), a maximum does not see it (N-4).

use systole_network::graph::{Graph, Node, NodeId};
use systole_network::op::{Fill, Op};
use systole_network::shape::infer;

use super::{Context, PassError, Quantised, drop_unused};

pub(super) fn run(state: &mut Quantised, _: &Context<'_>) -> Result<(), Vec<PassError>> {
    absorb(&mut state.graph);
    drop_unused(&mut state.graph);
    Ok(())
}

/// Moves each Pad into its readers, where all of them take it; the Pad is then one that nobody reads.
pub(super) fn absorb(graph: &mut Graph) {
    for index in 0..graph.nodes.len() {
        let pad = &graph.nodes[index];
        if !matches!(pad.op, Op::Pad { .. }) {
            continue; // Most graphs have none, and readers are looked up anew after each one.
        }
        let Some((&[x], &[output])) = pad.inputs.first_chunk().zip(pad.outputs.first_chunk()) else { continue };
        if graph.outputs.contains(&output) {
            continue;
        }
        let readers: Vec<NodeId> = graph.consumers().remove(&output).unwrap_or_default();
        let ops: Option<Vec<Op>> = readers.iter().map(|&reader| padded(graph, pad, graph.node(reader))).collect();
        let (Some(ops), origins) = (ops, pad.origins.clone()) else { continue };
        for (reader, op) in readers.into_iter().zip(ops) {
            let reader = &mut graph.nodes[reader.0 as usize];
            reader.op = op;
            reader.inputs[0] = x;
            reader.origins.splice(0..0, origins.iter().cloned());
        }
    }
}

/// `reader` with the padding of `pad`, if it can do that itself.
fn padded(graph: &Graph, pad: &Node, reader: &Node) -> Option<Op> {
    let Op::Pad { before, after, fill: Fill::Constant(value) } = &pad.op else { return None };
    let (&[0, 0, top, left], &[0, 0, bottom, right]) = (before.as_slice(), after.as_slice()) else { return None };
    let sums = |pads: [usize; 4]| {
        let more = [top, left, bottom, right];
        let mut all = [0; 4];
        for side in 0..4 {
            all[side] = pads[side].checked_add(more[side])?;
        }
        Some(all)
    };
    let mut op = reader.op.clone();
    match &mut op {
        Op::Conv(conv) if *value == 0.0 => conv.pads = sums(conv.pads)?,
        Op::AveragePool(pool) if *value == 0.0 && (pool.count_include_pad || pool.pads == [0; 4]) => {
            pool.pads = sums(pool.pads)?;
            pool.count_include_pad = true;
        }
        Op::MaxPool(pool) if *value <= f32::MIN => pool.pads = sums(pool.pads)?,
        _ => return None,
    }
    // Only as the first input, and with the same windows.
    let once = reader.inputs.iter().filter(|input| pad.outputs.contains(input)).count() == 1;
    let shape_of = |id: &systole_network::tensor::TensorId| graph.tensor(*id).shape.as_slice();
    let inputs: Vec<&[usize]> = pad.inputs.iter().chain(reader.inputs.get(1..)?).map(shape_of).collect();
    let same = infer(&op, &inputs).ok()?.first().map(Vec::as_slice) == reader.outputs.first().map(shape_of);
    (once && reader.inputs.first() == pad.outputs.first() && same).then_some(op)
}
