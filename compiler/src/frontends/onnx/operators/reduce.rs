//! Means over axes. Over the pixels of an image it is the global average pooling that machines have.

use systole_network::op::Op;

use super::{Inputs, float_shape};
use crate::frontends::onnx::attributes::{NodeView, normalise_axis};
use crate::frontends::onnx::error::ImportError;
use crate::frontends::onnx::importer::{Importer, Result};

pub(super) fn reduce_mean(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    let x = inputs.required(0, "input")?;
    let shape = float_shape(importer, x)?;
    let stated = match (node.opset < 18, inputs.optional(1)) {
        (true, None) => node.ints("axes")?.map(<[i64]>::to_vec),
        (false, Some(id)) => Some(importer.integers(id, "axes")?),
        (false, None) if !node.has("axes") => None,
        _ => return Err(ImportError::invalid("its axes are given in the way of another opset")),
    };
    let keep = node.int("keepdims", 1)? != 0;
    let stated = stated.filter(|axes| !axes.is_empty());
    if stated.is_none() && node.flag("noop_with_empty_axes")? {
        return importer.emit(node, Op::Identity, vec![x], shape);
    }
    let mut axes = match stated {
        Some(axes) => axes.iter().map(|&axis| normalise_axis(axis, shape.len())).collect::<Result<Vec<_>>>()?,
        None => (0..shape.len()).collect(),
    };
    axes.sort_unstable();
    axes.dedup();
    let all = |keep: bool| -> Vec<usize> {
        let kept = (0..shape.len()).filter(|axis| keep || !axes.contains(axis));
        kept.map(|axis| if axes.contains(&axis) { 1 } else { shape[axis] }).collect()
    };
    if shape.len() == 4 && axes == [2, 3] {
        if keep {
            return importer.emit(node, Op::GlobalAveragePool, vec![x], all(true));
        }
        let pooled = importer.step(node, "pool", Op::GlobalAveragePool, vec![x], all(true))?;
        return importer.emit(node, Op::Reshape, vec![pooled], all(false));
    }
    let made = all(keep);
    importer.emit(node, Op::ReduceMean { axes, keep }, vec![x], made)
}
