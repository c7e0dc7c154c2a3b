//! Convolution and its special case: Conv, Gemm, MatMul by a constant.

use systole_network::op::{Conv, Op};
use systole_network::tensor::TensorId;

use super::{Inputs, float_shape, image_shape};
use crate::frontends::onnx::attributes::NodeView;
use crate::frontends::onnx::error::ImportError;
use crate::frontends::onnx::importer::{Importer, Result};
use crate::frontends::onnx::operands::Reform;
use crate::frontends::onnx::window::Window;

pub(super) fn conv(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    let (x, weights) = (inputs.required(0, "input")?, inputs.required(1, "weights")?);
    let [n, c, h, w] = image_shape(importer, x)?;
    let [m, c_group, kh, kw] = image_shape(importer, weights)?;
    require_constant(importer, weights, "weights")?;
    let groups = usize::try_from(node.int("group", 1)?).ok().filter(|&g| g > 0);
    let groups = groups.ok_or_else(|| ImportError::invalid("its attribute `group` is not positive"))?;
    if c % groups != 0 || m % groups != 0 || c / groups != c_group {
        return Err(ImportError::invalid(format!(
            "{c} input channels, {groups} groups and weights of shape {:?} do not belong together",
            [m, c_group, kh, kw]
        )));
    }
    let kernel = node.pair("kernel_shape", [kh, kw])?;
    if kernel != [kh, kw] || kh == 0 || kw == 0 {
        return Err(ImportError::invalid(format!(
            "its kernel is {kernel:?}, but that of its weights is {:?}",
            [kh, kw]
        )));
    }
    let (stride, dilation) = (node.pair("strides", [1, 1])?, node.pair("dilations", [1, 1])?);
    let window = Window { kernel, stride, dilation, ceil: false };
    let (pads, [oh, ow]) = window.place(node, [h, w])?;
    let mut operands = vec![x, weights];
    if let Some(bias) = inputs.optional(2) {
        require_constant(importer, bias, "bias")?;
        check_bias(importer, bias, m)?;
        operands.push(bias);
    }
    let op = Op::Conv(Conv { kernel, stride, dilation, pads, groups });
    importer.emit(node, op, operands, vec![n, m, oh, ow])
}

pub(super) fn gemm(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    for name in ["alpha", "beta"] {
        let value = node.float(name, 1.0)?;
        if value != 1.0 {
            return Err(ImportError::unsupported(format!("its attribute `{name}` is {value}; only 1 is supported")));
        }
    }
    node.expect_int("transA", 0)?;
    let transposed = match node.int("transB", 0)? {
        0 => false,
        1 => true,
        other => {
            return Err(ImportError::invalid(format!("its attribute `transB` is {other}")));
        }
    };
    fully_connected(importer, node, inputs, transposed)
}

pub(super) fn mat_mul(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    fully_connected(importer, node, inputs, false)
}

/// `transposed`: the weights are `[n_out, k]` already.
fn fully_connected(
    importer: &mut Importer<'_>,
    node: &NodeView<'_>,
    inputs: &Inputs<'_>,
    transposed: bool,
) -> Result<()> {
    let (x, mut weights) = (inputs.required(0, "input")?, inputs.required(1, "weights")?);
    require_constant(importer, weights, "weights")?;
    let (x_shape, w_shape) = (float_shape(importer, x)?, float_shape(importer, weights)?);
    let (&[n, k], &[rows, columns]) = (x_shape.as_slice(), w_shape.as_slice()) else {
        return Err(ImportError::unsupported(format!(
            "its operands have the shapes {x_shape:?} and {w_shape:?}; only rank 2 is supported"
        )));
    };
    let (n_out, k_weights) = if transposed { (rows, columns) } else { (columns, rows) };
    if k != k_weights {
        return Err(ImportError::invalid(format!(
            "operands of shapes {x_shape:?} and {w_shape:?} cannot be multiplied"
        )));
    }
    let bias = inputs.optional(2);
    if let Some(bias) = bias {
        require_constant(importer, bias, "bias")?;
        check_bias(importer, bias, n_out)?;
    }
    if !transposed {
        weights = importer.reformed(weights, Reform::Transposed)?;
    }
    let mut operands = vec![x, weights];
    if let Some(bias) = bias {
        operands.push(importer.reformed(bias, Reform::Channels(n_out))?);
    }
    importer.emit(node, Op::FullyConnected, operands, vec![n, n_out])
}

fn require_constant(importer: &Importer<'_>, id: TensorId, what: &str) -> Result<()> {
    if importer.is_constant(id) {
        return Ok(());
    }
    Err(ImportError::unsupported(format!("its {what} `{}` must be constant", importer.tensor(id).name)))
}

/// One value for each of `m` outputs, along the last axis.
fn check_bias(importer: &Importer<'_>, id: TensorId, m: usize) -> Result<()> {
    let shape = float_shape(importer, id)?;
    match shape.as_slice() {
        &[len] | &[1, len] if len == m => Ok(()),
        _ => Err(ImportError::unsupported(format!("its bias has the shape {shape:?}; only [{m}] is supported"))),
    }
}
