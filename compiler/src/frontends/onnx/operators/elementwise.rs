//! Element by element: sums, products and their like, of operands that need not have one shape.
//!
//! A constant for each channel (axis 1) is `[c]` in second place; other operands of unlike shapes have one rank, and axes of length 1 repeat.

use systole_network::op::Op;
use systole_network::tensor::{DType, TensorId};

use super::{Inputs, float_shape};
use crate::frontends::onnx::attributes::NodeView;
use crate::frontends::onnx::error::ImportError;
use crate::frontends::onnx::importer::{Importer, Result};
use crate::frontends::onnx::operands::Reform;

pub(super) fn add(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    binary(importer, node, inputs, Op::Add)
}

pub(super) fn mul(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    binary(importer, node, inputs, Op::Mul)
}

pub(super) fn sub(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    binary(importer, node, inputs, Op::Sub)
}

pub(super) fn div(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    binary(importer, node, inputs, Op::Div)
}

pub(super) fn max(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    many(importer, node, inputs, Op::Max)
}

pub(super) fn min(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    many(importer, node, inputs, Op::Min)
}

/// Three or more activations of one shape are one operator, what else there may be a chain of sums.
pub(super) fn sum(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    let operands = operands(importer, inputs)?;
    let shape = &importer.tensor(operands[0]).shape;
    let alike = operands.iter().all(|&id| importer.tensor(id).shape == *shape && !importer.is_constant(id));
    if operands.len() < 3 || !alike {
        return many(importer, node, inputs, Op::Add);
    }
    let shape = shape.clone();
    importer.emit_like(node, Op::Sum, operands, shape)
}

/// All inputs, which are of one type.
fn operands(importer: &Importer<'_>, inputs: &Inputs<'_>) -> Result<Vec<TensorId>> {
    let operands = (0..inputs.0.len().max(1)).map(|index| inputs.required(index, "operand"));
    let operands: Vec<TensorId> = operands.collect::<Result<_>>()?;
    one_type(importer, &operands)?;
    Ok(operands)
}

/// Floats, or integers that are taken as they are (rule N-32).
fn one_type(importer: &Importer<'_>, operands: &[TensorId]) -> Result<()> {
    let Some(first) = operands.first().map(|&id| importer.tensor(id)) else { return Ok(()) };
    if first.dtype != DType::F32 && !first.dtype.is_plain_integer() {
        let message = format!("its input `{}` is {}", first.name, first.dtype.name());
        return Err(ImportError::unsupported(message).help("f32 and the integers of 8 to 64 bits are supported"));
    }
    match operands.iter().map(|&id| importer.tensor(id)).find(|other| other.dtype != first.dtype) {
        Some(other) => Err(ImportError::invalid(format!(
            "its input `{}` is {}, `{}` {}",
            first.name,
            first.dtype.name(),
            other.name,
            other.dtype.name()
        ))),
        None => Ok(()),
    }
}

/// A chain of operators of two operands.
fn many(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>, op: Op) -> Result<()> {
    let operands = operands(importer, inputs)?;
    let [mut made, ref rest @ ..] = *operands.as_slice() else {
        return Err(ImportError::invalid("it has no input"));
    };
    let Some((&last, rest)) = rest.split_last() else {
        let shape = importer.tensor(made).shape.clone();
        return importer.emit_like(node, Op::Identity, vec![made], shape);
    };
    for &operand in rest {
        let (pair, shape) = paired(importer, node, &op, made, operand)?;
        made = importer.step(node, "part", op.clone(), pair, shape)?;
    }
    let (pair, shape) = paired(importer, node, &op, made, last)?;
    importer.emit_like(node, op, pair, shape)
}

fn binary(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>, op: Op) -> Result<()> {
    let (a, b) = (inputs.required(0, "first operand")?, inputs.required(1, "second operand")?);
    if op == Op::Sub && importer.is_constant(a) && importer.tensor(a).dtype == DType::F32 {
        one_type(importer, &[a, b])?;
        return minuend(importer, node, a, b);
    }
    pair(importer, node, [a, b], op)
}

/// The operator on two operands of one type.
pub(super) fn pair(importer: &mut Importer<'_>, node: &NodeView<'_>, [a, b]: [TensorId; 2], op: Op) -> Result<()> {
    one_type(importer, &[a, b])?;
    let (operands, shape) = paired(importer, node, &op, a, b)?;
    importer.emit_like(node, op, operands, shape)
}

/// `a − b` of a constant a for each channel is `−1 · b + a`, exactly.
fn minuend(importer: &mut Importer<'_>, node: &NodeView<'_>, a: TensorId, b: TensorId) -> Result<()> {
    let shape = float_shape(importer, b)?;
    if importer.is_constant(b) || !is_per_channel(&shape, &float_shape(importer, a)?) {
        let (operands, shape) = paired(importer, node, &Op::Sub, a, b)?;
        return importer.emit(node, Op::Sub, operands, shape);
    }
    let minus = importer.made_constant(node, "minus", vec![shape[1]], &vec![-1.0; shape[1]])?;
    let negated = importer.step(node, "negate", Op::Mul, vec![b, minus], shape.clone())?;
    let vector = importer.reformed(a, Reform::Channels(shape[1]))?;
    importer.emit(node, Op::Add, vec![negated, vector], shape)
}

/// Two operands in the graph's form, and the shape of what they make.
pub(super) fn paired(
    importer: &mut Importer<'_>,
    node: &NodeView<'_>,
    op: &Op,
    a: TensorId,
    b: TensorId,
) -> Result<(Vec<TensorId>, Vec<usize>)> {
    let (first, second) = (importer.is_constant(a), importer.is_constant(b));
    if first && second {
        return Err(ImportError::unsupported("both operands are constant"));
    }
    let commutes = matches!(op, Op::Add | Op::Mul | Op::Max | Op::Min);
    let (a, b) = if first && commutes { (b, a) } else { (a, b) };
    let (shape, other) = (importer.tensor(a).shape.clone(), importer.tensor(b).shape.clone());
    if (second || (first && commutes)) && is_per_channel(&shape, &other) {
        let vector = importer.reformed(b, Reform::Channels(shape[1]))?;
        return Ok((vec![a, vector], shape));
    }
    if shape == other {
        return Ok((vec![a, b], shape));
    }
    let broadcast = broadcast(&shape, &other).ok_or_else(|| {
        ImportError::invalid(format!(
            "its operands have the shapes {shape:?} and {other:?}, of which none repeats to the other"
        ))
    })?;
    let operands = [a, b].map(|id| ranked(importer, node, id, broadcast.len()));
    let operands = operands.into_iter().collect::<Result<_>>()?;
    Ok((operands, broadcast))
}

/// `id` with axes of length 1 in front.
fn ranked(importer: &mut Importer<'_>, node: &NodeView<'_>, id: TensorId, rank: usize) -> Result<TensorId> {
    let shape = importer.tensor(id).shape.clone();
    if shape.len() == rank {
        return Ok(id);
    }
    if importer.is_constant(id) {
        return importer.reformed(id, Reform::Rank(rank));
    }
    let shape = std::iter::repeat_n(1, rank - shape.len()).chain(shape).collect();
    importer.reshaped(node, id, shape)
}

/// The shape that two operands make when axes of length 1 repeat, the last axes aligned.
pub(super) fn broadcast(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let extent = |shape: &[usize], axis: usize| (axis + shape.len()).checked_sub(rank).map_or(1, |axis| shape[axis]);
    let pairs = (0..rank).map(|axis| (extent(a, axis), extent(b, axis)));
    pairs.map(|(a, b)| if a == b || b == 1 { Some(a) } else { (a == 1).then_some(b) }).collect()
}

/// Whether a constant of shape `other` broadcasts to one value for each channel (axis 1) of `shape`.
pub(super) fn is_per_channel(shape: &[usize], other: &[usize]) -> bool {
    let Some(missing) = shape.len().checked_sub(other.len()) else {
        return false;
    };
    let mut aligned = vec![1; missing];
    aligned.extend_from_slice(other);
    shape.len() >= 2 && aligned.iter().enumerate().all(|(axis, &d)| d == 1 || (axis == 1 && d == shape[1]))
}
