//! Operators that change shapes or nothing at all. On constants they are done here; on activations they are views.

use systole_network::op::Op;
use systole_network::tensor::{DType, Data, Tensor, TensorId};

use super::Inputs;
use super::activation::single;
use crate::frontends::onnx::attributes::{NodeView, normalise_axis};
use crate::frontends::onnx::error::ImportError;
use crate::frontends::onnx::importer::{Importer, Result};
use crate::frontends::onnx::proto::{TensorProto, data_type};

pub(super) fn constant(importer: &mut Importer<'_>, node: &NodeView<'_>, _: &Inputs<'_>) -> Result<()> {
    let name = node.proto.output.first().ok_or_else(|| ImportError::invalid("it has no output"))?;
    let floats = |dims: Vec<i64>, values: Vec<f32>| TensorProto {
        dims,
        data_type: data_type::FLOAT,
        float_data: values,
        ..Default::default()
    };
    let ints = |dims: Vec<i64>, values: Vec<i64>| TensorProto {
        dims,
        data_type: data_type::INT64,
        int64_data: values,
        ..Default::default()
    };
    let made = if let Some(tensor) = node.tensor("value")? {
        return importer.define_constant(tensor, name);
    } else if node.has("value_float") {
        floats(vec![], vec![node.float("value_float", 0.0)?])
    } else if node.has("value_int") {
        ints(vec![], vec![node.int("value_int", 0)?])
    } else if let Some(values) = node.floats("value_floats")? {
        floats(vec![values.len() as i64], values.to_vec())
    } else if let Some(values) = node.ints("value_ints")? {
        ints(vec![values.len() as i64], values.to_vec())
    } else {
        return Err(ImportError::invalid("it has no value"));
    };
    importer.define_constant(&made, name)
}

pub(super) fn identity(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    let x = inputs.required(0, "input")?;
    let shape = importer.tensor(x).shape.clone();
    view(importer, node, Op::Identity, x, shape)
}

/// At inference it keeps everything, and says so in its second output.
pub(super) fn dropout(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    if let Some(training) = inputs.optional(2) {
        let tensor = importer.tensor(training);
        let (Some(Data::Stored(bytes)), DType::Bool) = (&tensor.data, tensor.dtype) else {
            return Err(ImportError::unsupported("its input `training_mode` is not a constant truth value"));
        };
        let trains = bytes.iter().any(|&byte| byte != 0);
        let ratio = inputs.optional(1).filter(|_| trains);
        let ratio = ratio.map_or(Ok(if trains { 0.5 } else { 0.0 }), |id| single(importer, id, "ratio"))?;
        if ratio != 0.0 {
            let message = format!("it trains (its input `training_mode` is true, its ratio {ratio})");
            return Err(ImportError::unsupported(message));
        }
    }
    let mask = node.proto.output.get(1).filter(|name| importer.uses(name) > 0).cloned();
    if let Some(name) = mask {
        if node.opset < 10 {
            return Err(ImportError::unsupported(format!("its additional output `{name}` is not supported")));
        }
        let tensor = importer.tensor(inputs.required(0, "input")?);
        let (shape, count) = (tensor.shape.clone(), tensor.elements());
        importer.take_copy(count)?;
        let data = Some(Data::Stored(vec![1; count].into()));
        importer.define(Tensor { name, shape, dtype: DType::Bool, quant: None, data })?;
    }
    identity(importer, node, inputs)
}

pub(super) fn flatten(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    let x = inputs.required(0, "input")?;
    let shape = importer.tensor(x).shape.clone();
    let axis = match node.int("axis", 1)? {
        axis if axis == shape.len() as i64 => shape.len(),
        axis => normalise_axis(axis, shape.len())?,
    };
    let flat = vec![shape[..axis].iter().product(), shape[axis..].iter().product()];
    view(importer, node, Op::Reshape, x, flat)
}

pub(super) fn reshape(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    let x = inputs.required(0, "input")?;
    let wanted = importer.integers(inputs.required(1, "shape")?, "shape")?;
    if node.flag("allowzero")? && wanted.contains(&0) {
        return Err(ImportError::unsupported(format!("its output of shape {wanted:?} has no elements")));
    }
    let shape = importer.tensor(x).shape.clone();
    let resolved = resolve(&wanted, &shape)
        .ok_or_else(|| ImportError::invalid(format!("a tensor of shape {shape:?} cannot take the shape {wanted:?}")))?;
    view(importer, node, Op::Reshape, x, resolved)
}

/// `wanted` with 0 (as in `from`) and -1 (what is left) replaced.
fn resolve(wanted: &[i64], from: &[usize]) -> Option<Vec<usize>> {
    let total: usize = from.iter().product();
    let mut shape = Vec::with_capacity(wanted.len());
    let mut open = None;
    for (axis, &value) in wanted.iter().enumerate() {
        shape.push(match value {
            -1 if open.is_some() => return None,
            -1 => {
                open = Some(axis);
                1
            }
            0 => *from.get(axis)?,
            value => usize::try_from(value).ok()?,
        });
    }
    let known = shape.iter().try_fold(1usize, |product, &d| product.checked_mul(d))?;
    if let Some(axis) = open {
        shape[axis] = total.checked_div(known)?;
    }
    let covered = shape.iter().try_fold(1usize, |product, &d| product.checked_mul(d))?;
    (covered == total).then_some(shape)
}

pub(super) fn squeeze(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    let x = inputs.required(0, "input")?;
    let shape = importer.tensor(x).shape.clone();
    let removed = match axes(importer, node, inputs)? {
        Some(axes) => axes.iter().map(|&a| normalise_axis(a, shape.len())).collect::<Result<Vec<_>>>()?,
        None => (0..shape.len()).filter(|&a| shape[a] == 1).collect(),
    };
    if let Some(axis) = removed.iter().find(|&&a| shape[a] != 1) {
        return Err(ImportError::invalid(format!("axis {axis} of the shape {shape:?} is not 1")));
    }
    let kept = (0..shape.len()).filter(|a| !removed.contains(a)).map(|a| shape[a]).collect();
    view(importer, node, Op::Reshape, x, kept)
}

pub(super) fn unsqueeze(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    const MAX_RANK: usize = 16;
    let x = inputs.required(0, "input")?;
    let axes = axes(importer, node, inputs)?.ok_or_else(|| ImportError::invalid("it has no axes"))?;
    let mut rest = importer.tensor(x).shape.clone().into_iter();
    let rank = rest.len() + axes.len();
    if rank > MAX_RANK {
        return Err(ImportError::unsupported(format!("its output has rank {rank}")));
    }
    let mut added: Vec<usize> = axes.iter().map(|&a| normalise_axis(a, rank)).collect::<Result<_>>()?;
    added.sort_unstable();
    added.dedup();
    if added.len() != axes.len() {
        return Err(ImportError::invalid(format!("its axes {axes:?} name one axis twice")));
    }
    let shape = (0..rank).map(|a| if added.contains(&a) { 1 } else { rest.next().unwrap_or(1) }).collect();
    view(importer, node, Op::Reshape, x, shape)
}

pub(super) fn transpose(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    let x = inputs.required(0, "input")?;
    let tensor = importer.tensor(x);
    let (shape, dtype, quant) = (tensor.shape.clone(), tensor.dtype, tensor.quant.clone());
    if tensor.data.is_some() {
        return Err(ImportError::unsupported(format!("its input `{}` is a constant", tensor.name))
            .help("store it transposed; onnxsim and onnxruntime's optimiser do"));
    }
    let perm = match node.ints("perm")? {
        Some(perm) => perm.iter().map(|&axis| normalise_axis(axis, shape.len())).collect::<Result<_>>()?,
        None => (0..shape.len()).rev().collect::<Vec<_>>(),
    };
    let named = |axis: usize| perm.iter().filter(|&&named| named == axis).count();
    if perm.len() != shape.len() || (0..shape.len()).any(|axis| named(axis) != 1) {
        return Err(ImportError::invalid(format!(
            "its permutation {perm:?} does not name each axis of the shape {shape:?} once"
        )));
    }
    let transposed = perm.iter().map(|&axis| shape[axis]).collect();
    importer.emit_typed(node, Op::Transpose { perm }, vec![x], transposed, dtype, quant)
}

/// Attribute before opset 13, input from then on.
fn axes(importer: &Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<Option<Vec<i64>>> {
    match (node.opset < 13, inputs.optional(1)) {
        (true, None) => Ok(node.ints("axes")?.map(<[i64]>::to_vec)),
        (false, Some(id)) => importer.integers(id, "axes").map(Some),
        (false, None) if !node.has("axes") => Ok(None),
        _ => Err(ImportError::invalid("its axes are given in the way of another opset")),
    }
}

/// The same elements under another name and shape.
fn view(importer: &mut Importer<'_>, node: &NodeView<'_>, op: Op, x: TensorId, shape: Vec<usize>) -> Result<()> {
    let tensor = importer.tensor(x);
    if let Some(Data::Stored(bytes)) = &tensor.data {
        let name = node.proto.output.first().ok_or_else(|| ImportError::invalid("it has no output"))?.clone();
        let data = Some(Data::Stored(bytes.clone()));
        let made = Tensor { name, shape, dtype: tensor.dtype, quant: None, data };
        return importer.define(made).map(|_| ());
    }
    let (dtype, quant) = (tensor.dtype, tensor.quant.clone());
    importer.emit_typed(node, op, vec![x], shape, dtype, quant)
}
