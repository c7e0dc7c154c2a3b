//! Deformable convolution.

use systole_network::op::{Conv, Deform, Op};
use systole_network::shape;

use super::linear::require_constant;
use super::{Inputs, image_shape};
use crate::frontends::onnx::attributes::NodeView;
use crate::frontends::onnx::error::ImportError;
use crate::frontends::onnx::importer::{Importer, Result};

pub(super) fn deform_conv(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    let (x, weights, offsets) =
        (inputs.required(0, "input")?, inputs.required(1, "weights")?, inputs.required(2, "offsets")?);
    require_constant(importer, weights, "weights")?;
    image_shape(importer, x)?;
    image_shape(importer, offsets)?;
    let [_, _, kh, kw] = image_shape(importer, weights)?;
    let positive = |name: &str| {
        let value = node.int(name, 1)?;
        let groups = usize::try_from(value).ok().filter(|&groups| groups > 0);
        groups.ok_or_else(|| ImportError::invalid(format!("its attribute `{name}` is {value}")))
    };
    let conv = Conv {
        kernel: node.pair("kernel_shape", [kh, kw])?,
        stride: node.pair("strides", [1, 1])?,
        dilation: node.pair("dilations", [1, 1])?,
        pads: node.pads()?,
        groups: positive("group")?,
    };
    let op = Op::DeformConv(Deform { conv, offset_groups: positive("offset_group")? });
    let mut operands = vec![x, weights, offsets];
    if let Some(bias) = inputs.optional(3) {
        require_constant(importer, bias, "bias")?;
        operands.push(bias);
    }
    if let Some(mask) = inputs.optional(4) {
        image_shape(importer, mask)?;
        operands.push(mask);
    }
    let shapes: Vec<&[usize]> = operands.iter().map(|&id| importer.tensor(id).shape.as_slice()).collect();
    let made = shape::infer(&op, &shapes).map_err(|error| ImportError::invalid(error.to_string()))?;
    let output = made.into_iter().next().unwrap_or_default();
    importer.emit(node, op, operands, output)
}
