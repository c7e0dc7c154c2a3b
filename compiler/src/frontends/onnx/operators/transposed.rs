//! Transposed convolution: pads from what the output shall be.

use systole_network::op::{ConvTranspose, Op};

use super::linear::{check_bias, require_constant};
use super::{Inputs, float_shape, image_shape, lines, volumes};
use crate::frontends::onnx::attributes::NodeView;
use crate::frontends::onnx::error::ImportError;
use crate::frontends::onnx::importer::{Importer, Result};

pub(super) fn conv_transpose(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    let (x, weights) = (inputs.required(0, "input")?, inputs.required(1, "weights")?);
    require_constant(importer, weights, "weights")?;
    match *float_shape(importer, x)?.as_slice() {
        [n, c, w] => return lines::as_image(importer, node, inputs, [x, weights], [n, c, w], conv_transpose),
        [n, c, d, h, w] => return volumes::conv_transpose(importer, node, inputs, [x, weights], [n, c, d, h, w]),
        _ => {}
    }
    let [n, c, h, w] = image_shape(importer, x)?;
    let [c_weights, m_group, kh, kw] = image_shape(importer, weights)?;
    let groups = usize::try_from(node.int("group", 1)?).ok().filter(|&g| g > 0);
    let groups = groups.ok_or_else(|| ImportError::invalid("its attribute `group` is not positive"))?;
    let kernel = node.pair("kernel_shape", [kh, kw])?;
    if c % groups != 0 || c != c_weights || kernel != [kh, kw] || kh == 0 || kw == 0 {
        return Err(ImportError::invalid(format!(
            "{c} input channels, {groups} groups, the kernel {kernel:?} and weights of shape {:?} do not belong together",
            [c_weights, m_group, kh, kw]
        )));
    }
    let (stride, dilation) = (node.pair("strides", [1, 1])?, node.pair("dilations", [1, 1])?);
    let more = node.spatial("output_padding", 2, 0)?;
    let mut output_padding = [more[0] as usize, more[1] as usize];
    let whole = |axis: usize| {
        ([h, w][axis] - 1).saturating_mul(stride[axis]).saturating_add((kernel[axis] - 1) * dilation[axis] + 1)
    };
    let pads = pads(node, [h, w], stride, [whole(0), whole(1)], &mut output_padding)?;
    let mut shape = vec![n, m_group.saturating_mul(groups)];
    for axis in 0..2 {
        let size = (whole(axis).saturating_add(output_padding[axis])).checked_sub(pads[axis] + pads[axis + 2]);
        let size = size.filter(|&size| size > 0);
        shape.push(size.ok_or_else(|| ImportError::invalid(format!("its pads {pads:?} leave nothing of the image")))?);
    }
    let mut operands = vec![x, weights];
    if let Some(bias) = inputs.optional(2) {
        require_constant(importer, bias, "bias")?;
        check_bias(importer, bias, shape[1])?;
        operands.push(bias);
    }
    let op = Op::ConvTranspose(ConvTranspose { kernel, stride, dilation, pads, output_padding, groups });
    importer.emit(node, op, operands, shape)
}

/// `[top, left, bottom, right]`; a stated output that is larger than the taps reach grows at its end.
fn pads(
    node: &NodeView<'_>,
    input: [usize; 2],
    stride: [usize; 2],
    whole: [usize; 2],
    output_padding: &mut [usize; 2],
) -> Result<[usize; 4]> {
    let mode = node.string("auto_pad", "NOTSET")?;
    let wanted = match (node.ints("output_shape")?, mode) {
        (Some(_), _) => {
            let sizes = node.spatial("output_shape", 2, 0)?;
            [sizes[0] as usize, sizes[1] as usize]
        }
        (None, "SAME_UPPER" | "SAME_LOWER") => [0, 1].map(|axis| input[axis] * stride[axis]),
        (None, "VALID") => return Ok([0; 4]),
        (None, "NOTSET" | "") => return node.pads(),
        (None, other) => return Err(ImportError::invalid(format!("its attribute `auto_pad` is `{other}`"))),
    };
    let mut pads = [0; 4];
    for axis in 0..2 {
        let reached = whole[axis].saturating_add(output_padding[axis]);
        output_padding[axis] += wanted[axis].saturating_sub(reached);
        let total = reached.saturating_sub(wanted[axis]);
        let (less, more) = (total / 2, total - total / 2);
        (pads[axis], pads[axis + 2]) = if mode == "SAME_UPPER" { (less, more) } else { (more, less) };
    }
    Ok(pads)
}
