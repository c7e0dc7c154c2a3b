//! Functions of each element: clamps, and those that integers look up in a table.

use systole_network::op::{Function, Op};
use systole_network::tensor::TensorId;

use super::elementwise::{self, is_per_channel};
use super::{Inputs, float_shape, qlinear};
use crate::frontends::onnx::attributes::NodeView;
use crate::frontends::onnx::error::ImportError;
use crate::frontends::onnx::importer::{Importer, Result};
use crate::frontends::onnx::operands::Reform;

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
    if importer.tensor(x).dtype.is_plain_integer() {
        return integer_clip(importer, node, inputs, x);
    }
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
    if low.is_nan() || high.is_nan() {
        return Err(ImportError::invalid(format!("its bounds are {low} and {high}")));
    }
    // Where they cross, ONNX says that everything becomes the upper one.
    importer.emit(node, Op::Clip { low: low.min(high), high }, vec![x], shape)
}

/// The smaller of the upper bound and what is the larger of x and the lower one (rule N-32).
fn integer_clip(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>, x: TensorId) -> Result<()> {
    let bounds = [(1, Op::Max), (2, Op::Min)].map(|(index, op)| inputs.optional(index).map(|bound| (bound, op)));
    let mut bounds: Vec<(TensorId, Op)> = bounds.into_iter().flatten().collect();
    if let Some((bound, _)) = bounds.iter().find(|(bound, _)| importer.tensor(*bound).elements() != 1) {
        let message = format!("its bound `{}` has several elements", importer.tensor(*bound).name);
        return Err(ImportError::invalid(message));
    }
    let Some((last, op)) = bounds.pop() else {
        let shape = importer.tensor(x).shape.clone();
        return importer.emit_like(node, Op::Identity, vec![x], shape);
    };
    let mut made = x;
    for (bound, op) in bounds {
        made = importer.part(node, vec![], |importer, view| elementwise::pair(importer, view, [made, bound], op))?;
    }
    elementwise::pair(importer, node, [made, last], op)
}

pub(super) fn single(importer: &Importer<'_>, id: TensorId, what: &str) -> Result<f32> {
    match importer.floats(id, what)?.as_slice() {
        &[value] => Ok(value),
        values => Err(ImportError::invalid(format!("its {what} has {} elements", values.len()))),
    }
}

pub(super) fn sigmoid(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    function(importer, node, inputs, Function::Sigmoid)
}

pub(super) fn tanh(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    function(importer, node, inputs, Function::Tanh)
}

pub(super) fn hard_swish(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    function(importer, node, inputs, Function::HardSwish)
}

pub(super) fn hard_sigmoid(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    let made = Function::HardSigmoid { alpha: finite(node, "alpha", 0.2)?, beta: finite(node, "beta", 0.5)? };
    function(importer, node, inputs, made)
}

pub(super) fn leaky_relu(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    let made = Function::LeakyRelu { alpha: finite(node, "alpha", 0.01)? };
    function(importer, node, inputs, made)
}

pub(super) fn elu(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    let made = Function::Elu { alpha: finite(node, "alpha", 1.0)? };
    function(importer, node, inputs, made)
}

fn finite(node: &NodeView<'_>, name: &str, default: f32) -> Result<f32> {
    match node.float(name, default)? {
        value if value.is_finite() => Ok(value),
        value => Err(ImportError::invalid(format!("its attribute `{name}` is {value}"))),
    }
}

fn function(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>, function: Function) -> Result<()> {
    let x = inputs.required(0, "input")?;
    let shape = float_shape(importer, x)?;
    importer.emit(node, Op::Function(function), vec![x], shape)
}

/// A constant for each channel is an operator of its own; any other slope is `max(x, 0) + slope · min(x, 0)`.
pub(super) fn prelu(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    let (x, slope) = (inputs.required(0, "input")?, inputs.required(1, "slope")?);
    let (shape, slopes) = (float_shape(importer, x)?, float_shape(importer, slope)?);
    if importer.is_constant(slope) && is_per_channel(&shape, &slopes) {
        let vector = importer.reformed(slope, Reform::Channels(shape[1]))?;
        return importer.emit(node, Op::PRelu, vec![x, vector], shape);
    }
    let below = Op::Clip { low: f32::MIN, high: 0.0 };
    let below = importer.step(node, "below", below, vec![x], shape.clone())?;
    let (operands, made) = elementwise::paired(importer, node, &Op::Mul, below, slope)?;
    if made != shape {
        return Err(ImportError::invalid(format!("its slope has the shape {slopes:?}, its input {shape:?}")));
    }
    let sloped = importer.step(node, "slope", Op::Mul, operands, shape.clone())?;
    let above = importer.step(node, "above", Op::Relu, vec![x], shape.clone())?;
    importer.emit(node, Op::Add, vec![above, sloped], shape)
}
