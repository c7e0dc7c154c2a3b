//! Element by element: sums, products, activations.

use systole_network::op::Op;
use systole_network::tensor::TensorId;

use super::{Inputs, float_shape, qlinear};
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

pub(super) fn sum(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    match inputs.0.len() {
        1 => {
            let x = inputs.required(0, "input")?;
            let shape = float_shape(importer, x)?;
            importer.emit(node, Op::Identity, vec![x], shape)
        }
        2 => binary(importer, node, inputs, Op::Add),
        _ => sum_of_many(importer, node, inputs),
    }
}

fn sum_of_many(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    let operands: Vec<TensorId> =
        (0..inputs.0.len()).map(|index| inputs.required(index, "operand")).collect::<Result<_>>()?;
    let Some(&first) = operands.first() else {
        return Err(ImportError::invalid("it has no input"));
    };
    let shape = float_shape(importer, first)?;
    for &operand in &operands {
        let other = float_shape(importer, operand)?;
        if other != shape || importer.is_constant(operand) {
            let name = &importer.tensor(operand).name;
            let message = format!("its operand `{name}` of shape {other:?} is constant, or not of the shape {shape:?}");
            return Err(ImportError::unsupported(message)
                .help("sums of more than two take activations of one shape; add constants with Add"));
        }
    }
    importer.emit(node, Op::Sum, operands, shape)
}

fn binary(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>, op: Op) -> Result<()> {
    let (a, b) = (inputs.required(0, "first operand")?, inputs.required(1, "second operand")?);
    // Both commute, so the constant comes second.
    let (x, other) = if importer.is_constant(a) && !importer.is_constant(b) { (b, a) } else { (a, b) };
    if importer.is_constant(x) {
        return Err(ImportError::unsupported("both operands are constant"));
    }
    let (shape, other_shape) = (float_shape(importer, x)?, float_shape(importer, other)?);
    if importer.is_constant(other) && is_per_channel(&shape, &other_shape) {
        let vector = importer.reformed(other, Reform::Channels(shape[1]))?;
        return importer.emit(node, op, vec![x, vector], shape);
    }
    if shape != other_shape {
        return Err(ImportError::unsupported(format!(
            "its operands have the shapes {shape:?} and {other_shape:?}; equal shapes or a constant per channel are supported"
        )));
    }
    importer.emit(node, op, vec![x, other], shape)
}

/// Whether a constant of shape `other` broadcasts to one value for each channel (axis 1) of `shape`.
fn is_per_channel(shape: &[usize], other: &[usize]) -> bool {
    let Some(missing) = shape.len().checked_sub(other.len()) else {
        return false;
    };
    let mut aligned = vec![1; missing];
    aligned.extend_from_slice(other);
    shape.len() >= 2 && aligned.iter().enumerate().all(|(axis, &d)| d == 1 || (axis == 1 && d == shape[1]))
}

pub(super) fn relu(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    let x = inputs.required(0, "input")?;
    if importer.tensor(x).dtype.range().is_some() {
        return qlinear::relu(importer, node, x);
    }
    let shape = float_shape(importer, x)?;
    importer.emit(node, Op::Relu, vec![x], shape)
}

pub(super) fn clip(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    let x = inputs.required(0, "input")?;
    let shape = float_shape(importer, x)?;
    let bound = |index: usize, name: &str, none: f32| -> Result<f32> {
        match (node.opset < 11, inputs.optional(index)) {
            (true, None) => node.float(name, none),
            (false, Some(id)) => single(importer, id, name),
            (false, None) if !node.has(name) => Ok(none),
            _ => Err(ImportError::invalid(format!("its bound `{name}` is given in the way of another opset"))),
        }
    };
    let (low, high) = (bound(1, "min", f32::MIN)?, bound(2, "max", f32::MAX)?);
    if low.is_nan() || high.is_nan() || low > high {
        return Err(ImportError::invalid(format!("its bounds are {low} and {high}")));
    }
    importer.emit(node, Op::Clip { low, high }, vec![x], shape)
}

fn single(importer: &Importer<'_>, id: TensorId, what: &str) -> Result<f32> {
    match importer.floats(id, what)?.as_slice() {
        &[value] => Ok(value),
        values => Err(ImportError::invalid(format!("its {what} has {} elements", values.len()))),
    }
}
