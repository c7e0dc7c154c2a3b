//! Convolution and its special case: Conv, Gemm, MatMul by a constant.

use systole_network::op::{Conv, Op};
use systole_network::tensor::TensorId;

use super::{Inputs, float_shape, image_shape, lines, stack, volumes};
use crate::frontends::onnx::attributes::NodeView;
use crate::frontends::onnx::error::ImportError;
use crate::frontends::onnx::importer::{Importer, Result};
use crate::frontends::onnx::operands::Reform;
use crate::frontends::onnx::window::Window;

pub(super) fn conv(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    let (x, weights) = (inputs.required(0, "input")?, inputs.required(1, "weights")?);
    require_constant(importer, weights, "weights")?;
    match *float_shape(importer, x)?.as_slice() {
        [n, c, w] => return lines::as_image(importer, node, inputs, [x, weights], [n, c, w], conv),
        [n, c, d, h, w] => return volumes::conv(importer, node, inputs, [x, weights], [n, c, d, h, w]),
        _ => {}
    }
    let [n, c, h, w] = image_shape(importer, x)?;
    let [m, c_group, kh, kw] = image_shape(importer, weights)?;
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
    let (alpha, beta) = (node.float("alpha", 1.0)?, node.float("beta", 1.0)?);
    let (trans_a, trans_b) = (node.flag("transA")?, node.flag("transB")?);
    let (mut x, weights) = (inputs.required(0, "input")?, inputs.required(1, "weights")?);
    require_constant(importer, weights, "weights")?;
    let weights = importer.scaled(node, weights, alpha, "weights")?;
    let bias = match inputs.optional(2) {
        Some(bias) => {
            require_constant(importer, bias, "bias")?;
            Some(importer.scaled(node, bias, beta, "bias")?)
        }
        None => None,
    };
    if trans_a {
        matrix(&float_shape(importer, x)?)?;
        x = importer.permuted(node, x, vec![1, 0])?;
    }
    matrix(&float_shape(importer, x)?)?;
    matrix(&float_shape(importer, weights)?)?;
    let rows = importer.tensor(x).shape[0];
    match bias {
        None => fully_connected(importer, node, [x, weights], None, trans_b),
        Some(bias) if !matches!(*float_shape(importer, bias)?.as_slice(), [n, _] if n > 1 && n == rows) => {
            fully_connected(importer, node, [x, weights], Some(bias), trans_b)
        }
        // One for each row: added behind the product.
        Some(bias) => {
            let product = importer
                .part(node, vec![], |importer, view| fully_connected(importer, view, [x, weights], None, trans_b))?;
            let operands = [Some(product), Some(bias)];
            super::elementwise::add(importer, node, &Inputs(&operands))
        }
    }
}

/// A stack of products has a batch of rows in front, which one product takes together; a vector is a matrix of one row or column.
pub(super) fn mat_mul(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    let (x, weights) = (inputs.required(0, "input")?, inputs.required(1, "weights")?);
    require_constant(importer, weights, "weights")?;
    let (x_shape, w_shape) = (float_shape(importer, x)?, float_shape(importer, weights)?);
    match (x_shape.as_slice(), w_shape.as_slice()) {
        ([_, _], [_, _]) => fully_connected(importer, node, [x, weights], None, false),
        (&[ref outer @ .., k], &[ref w @ .., columns]) if w.len() < 2 => {
            // The weights of a vector are those of one output, in its order already.
            let column = w.is_empty();
            let weights = if column { importer.reshaped(node, weights, vec![1, columns])? } else { weights };
            let rows = importer.reshaped(node, x, vec![outer.iter().product(), k])?;
            let product = importer
                .part(node, vec![], |importer, view| fully_connected(importer, view, [rows, weights], None, column))?;
            let columns = (!column).then_some(columns);
            importer.emit_like(node, Op::Reshape, vec![product], outer.iter().copied().chain(columns).collect())
        }
        (x_shape, w_shape) => stack::mat_mul(importer, node, [x, weights], x_shape, w_shape),
    }
}

fn matrix(shape: &[usize]) -> Result<()> {
    match shape {
        [_, _] => Ok(()),
        _ => Err(ImportError::unsupported(format!("its operand has the shape {shape:?}; only rank 2 is supported"))),
    }
}

/// `transposed`: the weights are `[n_out, k]` already.
fn fully_connected(
    importer: &mut Importer<'_>,
    node: &NodeView<'_>,
    [x, mut weights]: [TensorId; 2],
    bias: Option<TensorId>,
    transposed: bool,
) -> Result<()> {
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
    if let Some(bias) = bias.filter(|&bias| importer.tensor(bias).elements() != 1) {
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

pub(super) fn require_constant(importer: &Importer<'_>, id: TensorId, what: &str) -> Result<()> {
    if importer.is_constant(id) {
        return Ok(());
    }
    Err(ImportError::unsupported(format!("its {what} `{}` must be constant", importer.tensor(id).name)))
}

/// One value for each of `m` outputs, along the last axis.
pub(super) fn check_bias(importer: &Importer<'_>, id: TensorId, m: usize) -> Result<()> {
    let shape = float_shape(importer, id)?;
    match shape.as_slice() {
        &[len] | &[1, len] if len == m => Ok(()),
        _ => Err(ImportError::unsupported(format!("its bias has the shape {shape:?}; only [{m}] is supported"))),
    }
}
