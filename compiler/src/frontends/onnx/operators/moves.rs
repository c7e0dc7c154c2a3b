//! Operators that move values: boxes, padding, blocks of pixels.

use systole_network::op::{DepthOrder, Fill, Op};
use systole_network::tensor::{DType, Tensor, TensorId};

use super::{Inputs, extents};
use crate::frontends::onnx::attributes::{NodeView, normalise_axis};
use crate::frontends::onnx::error::ImportError;
use crate::frontends::onnx::importer::{Importer, Result};

/// The shape of an operand that is computed.
fn computed(importer: &Importer<'_>, x: TensorId) -> Result<Vec<usize>> {
    let tensor = importer.tensor(x);
    if tensor.data.is_some() {
        return Err(ImportError::unsupported(format!("its input `{}` is a constant", tensor.name))
            .help("store the result; onnxsim and onnxruntime's optimiser do"));
    }
    Ok(tensor.shape.clone())
}

pub(super) fn slice(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    let x = inputs.required(0, "input")?;
    let shape = computed(importer, x)?;
    let list = |index: usize, name: &str| match (node.opset < 10, inputs.optional(index)) {
        (true, None) => Ok(node.ints(name)?.map(<[i64]>::to_vec)),
        (false, Some(id)) => importer.integers(id, name).map(Some),
        (false, None) if !node.has(name) => Ok(None),
        _ => Err(ImportError::invalid(format!("its `{name}` are given in the way of another opset"))),
    };
    let missing = |name: &str| ImportError::invalid(format!("it has no `{name}`"));
    let starts = list(1, "starts")?.ok_or_else(|| missing("starts"))?;
    let ends = list(2, "ends")?.ok_or_else(|| missing("ends"))?;
    let axes = list(3, "axes")?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = list(4, "steps")?.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
        return Err(ImportError::invalid("its starts, ends, axes and steps are not equally many"));
    }
    let mut made = Region::of(&shape);
    for (index, &axis) in axes.iter().enumerate() {
        made.cut(normalise_axis(axis, shape.len())?, starts[index], ends[index], steps[index])?;
    }
    let op = Op::Slice { starts: made.starts, steps: made.steps };
    importer.emit_like(node, op, vec![x], made.shape)
}

/// A part of a tensor.
struct Region {
    starts: Vec<usize>,
    steps: Vec<i64>,
    shape: Vec<usize>,
}

impl Region {
    /// The whole tensor.
    fn of(shape: &[usize]) -> Region {
        Region { starts: vec![0; shape.len()], steps: vec![1; shape.len()], shape: shape.to_vec() }
    }

    /// Restricts an axis; `start` and `end` count from the end where negative, and stop at the edges.
    fn cut(&mut self, axis: usize, start: i64, end: i64, step: i64) -> Result<()> {
        let size = self.shape[axis] as i64;
        let from_end = |index: i64| if index < 0 { index.saturating_add(size) } else { index };
        let count = match step {
            0 => return Err(ImportError::invalid("a step of it is 0")),
            1.. => {
                let (start, end) = (from_end(start).clamp(0, size), from_end(end).clamp(0, size));
                self.starts[axis] = start as usize;
                (end - start).max(0).unsigned_abs().div_ceil(step.unsigned_abs())
            }
            _ => {
                let (start, end) = (from_end(start).clamp(-1, size - 1), from_end(end).clamp(-1, size - 1));
                self.starts[axis] = start.max(0) as usize;
                (start - end).max(0).unsigned_abs().div_ceil(step.unsigned_abs())
            }
        };
        self.steps[axis] = step;
        self.shape[axis] = count as usize;
        Ok(())
    }
}

pub(super) fn split(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    let x = inputs.required(0, "input")?;
    let shape = computed(importer, x)?;
    let axis = node.axis(0, shape.len())?;
    let parts = parts(importer, node, inputs, shape[axis])?;
    let mut start = 0;
    for (index, (name, &part)) in node.proto.output.iter().zip(&parts).enumerate() {
        let mut made = Region::of(&shape);
        (made.starts[axis], made.shape[axis]) = (start, part);
        start += part;
        if !name.is_empty() {
            let output = Tensor { name: name.clone(), shape: made.shape, data: None, ..importer.tensor(x).clone() };
            let op = Op::Slice { starts: made.starts, steps: made.steps };
            importer.emit_as(node, if index == 0 { node.name() } else { name }, op, vec![x], output)?;
        }
    }
    Ok(())
}

/// Lengths of what an axis of this size is split into.
fn parts(importer: &Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>, size: usize) -> Result<Vec<usize>> {
    let outputs = node.proto.output.len();
    let stated = match inputs.optional(1) {
        Some(id) => Some(importer.integers(id, "split")?),
        None => node.ints("split")?.map(<[i64]>::to_vec),
    };
    let parts: Vec<usize> = match stated {
        Some(parts) => parts.iter().map(|&part| usize::try_from(part).unwrap_or(usize::MAX)).collect(),
        // The last one is shorter where it does not come out even.
        None => {
            let each = size.div_ceil(outputs.max(1));
            (0..outputs).map(|index| each.min(size.saturating_sub(index * each))).collect()
        }
    };
    if parts.contains(&0) {
        return Err(ImportError::unsupported(format!("its outputs of {parts:?} along its axis have no elements")));
    }
    let covered = parts.iter().fold(0usize, |sum, &part| sum.saturating_add(part));
    if covered != size || parts.len() != outputs {
        return Err(ImportError::invalid(format!("an axis of {size} is not split into {outputs} parts by {parts:?}")));
    }
    Ok(parts)
}

pub(super) fn pad(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    let mut x = inputs.required(0, "input")?;
    let mut shape = computed(importer, x)?;
    let sides = pads(importer, node, inputs, shape.len())?;
    let fill = match node.string("mode", "constant")? {
        "constant" => Fill::Constant(value(importer, node, inputs, x)?),
        "reflect" => Fill::Reflect,
        "edge" => Fill::Edge,
        "wrap" => Fill::Wrap,
        other => return Err(ImportError::invalid(format!("its attribute `mode` is `{other}`"))),
    };
    if sides.iter().flatten().any(|&pad| pad < 0) {
        let mut rest = Region::of(&shape);
        for (axis, &[before, after]) in sides.iter().enumerate() {
            let size = shape[axis] as i64;
            rest.cut(axis, (-before).max(0), (size + after.min(0)).max(0), 1)?;
        }
        let op = Op::Slice { starts: rest.starts, steps: rest.steps };
        shape = rest.shape;
        x = importer.step(node, "crop", op, vec![x], shape.clone())?;
    }
    let side = |which: usize| -> Vec<usize> { sides.iter().map(|pads| pads[which].max(0) as usize).collect() };
    let (before, after) = (side(0), side(1));
    check_reach(&fill, &shape, &before, &after)?;
    let padded = (0..shape.len()).map(|axis| shape[axis] + before[axis] + after[axis]).collect();
    importer.emit_like(node, Op::Pad { before, after, fill }, vec![x], padded)
}

/// Refuses mirror images of what is not there.
fn check_reach(fill: &Fill, shape: &[usize], before: &[usize], after: &[usize]) -> Result<()> {
    let beyond = |axis: usize| before[axis].max(after[axis]) >= shape[axis];
    match (0..shape.len()).find(|&axis| *fill == Fill::Reflect && beyond(axis)) {
        Some(axis) => Err(ImportError::unsupported(format!(
            "it mirrors {} and {} elements of axis {axis}, which has {}",
            before[axis], after[axis], shape[axis]
        ))),
        None => Ok(()),
    }
}

/// Before and behind each axis; negative ones cut off.
fn pads(importer: &Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>, rank: usize) -> Result<Vec<[i64; 2]>> {
    let stated = match (node.opset < 11, inputs.optional(1)) {
        (true, None) => node.ints("pads")?.map(<[i64]>::to_vec),
        (false, Some(id)) => Some(importer.integers(id, "pads")?),
        _ => None,
    };
    let stated = stated.ok_or_else(|| ImportError::invalid("it has no pads"))?;
    let axes = match inputs.optional(3) {
        Some(id) => importer.integers(id, "axes")?,
        None => (0..rank as i64).collect(),
    };
    if stated.len() != 2 * axes.len() || stated.iter().any(|pad| pad.unsigned_abs() > 1 << 31) {
        return Err(ImportError::invalid(format!("its pads are {stated:?} for the axes {axes:?}")));
    }
    let mut sides = vec![[0; 2]; rank];
    for (index, &axis) in axes.iter().enumerate() {
        sides[normalise_axis(axis, rank)?] = [stated[index], stated[index + axes.len()]];
    }
    Ok(sides)
}

/// What a padding by a constant holds.
fn value(importer: &Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>, x: TensorId) -> Result<f32> {
    if importer.tensor(x).dtype != DType::F32 {
        let message = format!("it pads {} with a constant", importer.tensor(x).dtype.name());
        return Err(ImportError::unsupported(message).help("pad before it is quantised"));
    }
    let value = match inputs.optional(2) {
        Some(id) => super::activation::single(importer, id, "constant value")?,
        None => node.float("value", 0.0)?,
    };
    if value.is_nan() { Err(ImportError::unsupported("it pads with what is no number")) } else { Ok(value) }
}

fn block(node: &NodeView<'_>) -> Result<usize> {
    let block = node.int("blocksize", 0)?;
    let side = usize::try_from(block).ok().filter(|&side| side > 0 && side < 1 << 15);
    side.ok_or_else(|| ImportError::invalid(format!("its attribute `blocksize` is {block}")))
}

pub(super) fn depth_to_space(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    let x = inputs.required(0, "input")?;
    computed(importer, x)?;
    let ([n, c, h, w], block) = (extents(importer, x)?, block(node)?);
    let order = match node.string("mode", "DCR")? {
        "DCR" => DepthOrder::DepthColumnRow,
        "CRD" => DepthOrder::ColumnRowDepth,
        other => return Err(ImportError::invalid(format!("its attribute `mode` is `{other}`"))),
    };
    if c % (block * block) != 0 {
        return Err(ImportError::invalid(format!("{c} channels are no blocks of {block} x {block}")));
    }
    let shape = vec![n, c / (block * block), h.saturating_mul(block), w.saturating_mul(block)];
    importer.emit_like(node, Op::DepthToSpace { block, order }, vec![x], shape)
}

pub(super) fn space_to_depth(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    let x = inputs.required(0, "input")?;
    computed(importer, x)?;
    let ([n, c, h, w], block) = (extents(importer, x)?, block(node)?);
    if h % block != 0 || w % block != 0 {
        return Err(ImportError::invalid(format!("{h} x {w} pixels are no blocks of {block} x {block}")));
    }
    let shape = vec![n, c.saturating_mul(block * block), h / block, w / block];
    importer.emit_like(node, Op::SpaceToDepth { block }, vec![x], shape)
}
