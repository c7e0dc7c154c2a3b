//! ConvInteger, MatMulInteger and the Cast behind them: integer sums whose scales lie in float nodes after them.

use systole_network::op::{Conv, Op};
use systole_network::tensor::{DType, Data, Tensor, TensorId};

use super::{Inputs, extents};
use crate::frontends::onnx::attributes::NodeView;
use crate::frontends::onnx::error::ImportError;
use crate::frontends::onnx::importer::{Importer, Result};
use crate::frontends::onnx::operands::Reform;
use crate::frontends::onnx::proto::data_type;
use crate::frontends::onnx::window::Window;

pub(super) fn conv(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    let ([x, weights], zeros) = operands(importer, inputs, 0)?;
    let ([n, c, h, w], [m, c_group, kh, kw]) = (extents(importer, x)?, extents(importer, weights)?);
    let groups = usize::try_from(node.int("group", 1)?).ok().filter(|&g| g > 0);
    let groups = groups.ok_or_else(|| ImportError::invalid("its attribute `group` is not positive"))?;
    let kernel = node.pair("kernel_shape", [kh, kw])?;
    let divides = c % groups == 0 && m % groups == 0 && c / groups == c_group;
    if !divides || kernel != [kh, kw] || kh == 0 || kw == 0 {
        return Err(ImportError::invalid(format!(
            "{c} input channels, {groups} groups, the kernel {kernel:?} and weights of shape {:?} do not belong together",
            [m, c_group, kh, kw]
        )));
    }
    let (stride, dilation) = (node.pair("strides", [1, 1])?, node.pair("dilations", [1, 1])?);
    let (pads, [oh, ow]) = Window { kernel, stride, dilation, ceil: false }.place(node, [h, w])?;
    let op = Op::ConvInteger { conv: Conv { kernel, stride, dilation, pads, groups }, zeros };
    importer.emit_typed(node, op, vec![x, weights], vec![n, m, oh, ow], DType::I32, None)
}

pub(super) fn mat_mul(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    let ([x, weights], zeros) = operands(importer, inputs, 1)?;
    let (x_shape, w_shape) = (importer.tensor(x).shape.clone(), importer.tensor(weights).shape.clone());
    let (&[n, k], &[rows, columns]) = (x_shape.as_slice(), w_shape.as_slice()) else {
        return Err(ImportError::unsupported(format!(
            "its operands have the shapes {x_shape:?} and {w_shape:?}; only rank 2 is supported"
        )));
    };
    if k != rows {
        return Err(ImportError::invalid(format!(
            "operands of shapes {x_shape:?} and {w_shape:?} cannot be multiplied"
        )));
    }
    let weights = importer.reformed(weights, Reform::Transposed)?;
    importer.emit_typed(node, Op::MatMulInteger { zeros }, vec![x, weights], vec![n, columns], DType::I32, None)
}

/// Input and constant weights, and their zero points (inputs 2 and 3, 0 where left out). `axis` is that of the outputs in the weights.
fn operands(importer: &mut Importer<'_>, inputs: &Inputs<'_>, axis: usize) -> Result<([TensorId; 2], [i32; 2])> {
    let mut ids = [inputs.required(0, "input")?, inputs.required(1, "weights")?];
    if !importer.is_constant(ids[1]) {
        let name = &importer.tensor(ids[1]).name;
        return Err(ImportError::unsupported(format!("its weights `{name}` must be constant")));
    }
    let mut zeros = [0; 2];
    for place in 0..2 {
        let (name, dtype) = (&importer.tensor(ids[place]).name, importer.tensor(ids[place]).dtype);
        if !matches!(dtype, DType::I8 | DType::U8) {
            let message = format!("its input `{name}` is {}, not i8 or u8", dtype.name());
            return Err(ImportError::invalid(message));
        }
        let Some(zero) = inputs.optional(2 + place) else { continue };
        if importer.tensor(zero).dtype != dtype {
            return Err(ImportError::invalid(format!("`{name}` and its zero point are of different types")));
        }
        let values = importer.integers(zero, "zero point")?;
        let first = values.first().copied().unwrap_or(0);
        if values.iter().all(|&value| value == first) {
            zeros[place] = i32::try_from(first).unwrap_or(0);
        } else if place == 0 {
            return Err(ImportError::unsupported(format!("its operand `{name}` has several zero points")));
        } else {
            ids[1] = centred(importer, ids[1], &values, axis)?;
        }
    }
    Ok((ids, zeros))
}

/// Weights minus the zero point of their output, of which each has its own: i8 where all fit, which machines take, otherwise i16.
fn centred(importer: &mut Importer<'_>, weights: TensorId, zeros: &[i64], axis: usize) -> Result<TensorId> {
    let values = importer.integers(weights, "weights")?;
    let tensor = importer.tensor(weights);
    let shape = tensor.shape.clone();
    if shape.get(axis) != Some(&zeros.len()) {
        let message = format!("weights of shape {shape:?} have {} zero points", zeros.len());
        return Err(ImportError::invalid(message));
    }
    let inner: usize = shape[axis + 1..].iter().product();
    let name = format!("{}:centred", tensor.name);
    importer.take_copy(values.len().saturating_mul(2))?;
    let centred: Vec<i64> =
        values.iter().enumerate().map(|(index, q)| q - zeros[index / inner % zeros.len()]).collect();
    let (dtype, data) = if centred.iter().all(|&q| i8::try_from(q).is_ok()) {
        (DType::I8, centred.iter().map(|&q| q as u8).collect())
    } else {
        (DType::I16, centred.iter().flat_map(|&q| (q as i16).to_le_bytes()).collect())
    };
    let data = Some(Data::Stored(data));
    let name = importer.fresh_tensor_name(&name);
    Ok(importer.graph.add_tensor(Tensor { name, shape, dtype, quant: None, data }))
}

/// Of sums to float, or of what is float already.
pub(super) fn cast(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    let x = inputs.required(0, "input")?;
    let tensor = importer.tensor(x);
    let (shape, dtype) = (tensor.shape.clone(), tensor.dtype);
    let to = node.int("to", 0)?;
    if tensor.data.is_some() || to != i64::from(data_type::FLOAT) {
        let message = format!("it casts `{}` to type {to}", tensor.name);
        return Err(ImportError::unsupported(message).help("casts of computed INT32 to FLOAT are supported"));
    }
    match dtype {
        DType::I32 => importer.emit(node, Op::Cast, vec![x], shape),
        DType::F32 => importer.emit(node, Op::Identity, vec![x], shape),
        other => Err(ImportError::unsupported(format!("it casts {} to f32", other.name()))
            .help("use DequantizeLinear, which says the scale")),
    }
}
