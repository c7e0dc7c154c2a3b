//! Operators with a channel axis: batch norm, concat, softmax.

use systole_network::op::Op;
use systole_network::tensor::TensorId;

use super::{Inputs, float_shape};
use crate::frontends::onnx::attributes::{NodeView, normalise_axis};
use crate::frontends::onnx::error::ImportError;
use crate::frontends::onnx::importer::{Importer, Result};

pub(super) fn batch_normalization(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    const PARAMETERS: [&str; 4] = ["scale", "bias", "mean", "variance"];
    node.expect_int("spatial", 1)?;
    let epsilon = node.float("epsilon", 1e-5)?;
    if !epsilon.is_finite() || epsilon < 0.0 {
        return Err(ImportError::invalid(format!("its attribute `epsilon` is {epsilon}")));
    }
    let x = inputs.required(0, "input")?;
    let shape = float_shape(importer, x)?;
    let &[_, c, ..] = shape.as_slice() else {
        return Err(ImportError::unsupported(format!("its input has the shape {shape:?}, without a channel axis")));
    };
    let mut operands = vec![x];
    for (index, what) in PARAMETERS.iter().enumerate() {
        let id = inputs.required(index + 1, what)?;
        check_parameter(importer, id, what, c)?;
        operands.push(id);
    }
    importer.emit(node, Op::BatchNorm { epsilon }, operands, shape)
}

fn check_parameter(importer: &Importer<'_>, id: TensorId, what: &str, c: usize) -> Result<()> {
    let shape = float_shape(importer, id)?;
    if shape != [c] {
        return Err(ImportError::invalid(format!("its {what} has the shape {shape:?}, not [{c}]")));
    }
    if !importer.is_constant(id) {
        return Err(ImportError::unsupported(format!("its {what} `{}` is not constant", importer.tensor(id).name)));
    }
    Ok(())
}

pub(super) fn concat(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    let operands: Vec<TensorId> =
        (0..inputs.0.len()).map(|index| inputs.required(index, "input")).collect::<Result<_>>()?;
    let Some(&first) = operands.first() else {
        return Err(ImportError::invalid("it has no input"));
    };
    let (dtype, quant) = (importer.tensor(first).dtype, importer.tensor(first).quant.clone());
    let mut shape = importer.tensor(first).shape.clone();
    let axis = if node.has("axis") {
        node.axis(1, shape.len())?
    } else {
        return Err(ImportError::invalid("it has no axis"));
    };
    if operands.len() == 1 {
        return importer.emit_typed(node, Op::Identity, operands, shape, dtype, quant);
    }
    for &id in &operands[1..] {
        let operand = importer.tensor(id);
        if operand.dtype != dtype || operand.quant != quant {
            let message = format!("its inputs differ in type, scale or zero point (`{}`)", operand.name);
            return Err(ImportError::unsupported(message).help("dequantise them, or use QLinearConcat"));
        }
        let other = operand.shape.clone();
        let alike = other.len() == shape.len() && (0..shape.len()).all(|a| a == axis || other[a] == shape[a]);
        if !alike {
            return Err(ImportError::invalid(format!(
                "inputs of shapes {shape:?} and {other:?} cannot be concatenated"
            )));
        }
        // Each extent is at most 2^31 and `emit` bounds the whole.
        shape[axis] = shape[axis].saturating_add(other[axis]);
    }
    if axis == 1 {
        return importer.emit_typed(node, Op::Concat, operands, shape, dtype, quant);
    }
    // Along any other axis it is one along the channels of `[before, axis and behind]`.
    let outer = shape[..axis].iter().product();
    let folded = |shape: &[usize]| vec![outer, shape[axis..].iter().product()];
    let rows = operands.into_iter().map(|id| {
        let shape = folded(&importer.tensor(id).shape);
        importer.reshaped(node, id, shape)
    });
    let rows = rows.collect::<Result<Vec<_>>>()?;
    let joined = importer.step(node, "concat", Op::Concat, rows, folded(&shape))?;
    importer.emit_like(node, Op::Reshape, vec![joined], shape)
}

pub(super) fn softmax(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    let x = inputs.required(0, "input")?;
    let shape = float_shape(importer, x)?;
    let flattens = node.opset < 13;
    let axis = normalise_axis(node.int("axis", if flattens { 1 } else { -1 })?, shape.len())?;
    let extent = |from: usize, to: usize| shape[from.min(to)..to].iter().product::<usize>();
    // Before opset 13 everything from the axis on is one vector; that is the channel axis when all else in it has extent 1.
    let over_channels = match flattens {
        true => shape.len() >= 2 && extent(axis, 1) == 1 && extent(2, shape.len()) == 1 && axis <= 1,
        false => axis == 1,
    };
    if over_channels {
        return importer.emit(node, Op::Softmax, vec![x], shape);
    }
    let behind = if flattens { shape.len() } else { axis + 1 };
    let channels = vec![extent(0, axis), extent(axis, behind), extent(behind, shape.len())];
    let image = importer.reshaped(node, x, channels.clone())?;
    let made = importer.step(node, "softmax", Op::Softmax, vec![image], channels)?;
    importer.emit(node, Op::Reshape, vec![made], shape)
}
