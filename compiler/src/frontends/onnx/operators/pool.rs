//! Pooling.

use systole_network::op::{Op, Pool};
use systole_network::tensor::DType;

use super::{Inputs, extents, image_shape};
use crate::frontends::onnx::attributes::NodeView;
use crate::frontends::onnx::error::ImportError;
use crate::frontends::onnx::importer::{Importer, Result};
use crate::frontends::onnx::window::Window;

pub(super) fn max_pool(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    let x = importer.tensor(inputs.required(0, "input")?);
    if !matches!(x.dtype, DType::F32 | DType::I8 | DType::U8) {
        return Err(ImportError::unsupported(format!("its input `{}` is {}", x.name, x.dtype.name())));
    }
    pool(importer, node, inputs, Op::MaxPool)
}

pub(super) fn average_pool(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    image_shape(importer, inputs.required(0, "input")?)?;
    pool(importer, node, inputs, Op::AveragePool)
}

pub(super) fn global_average_pool(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    let x = inputs.required(0, "input")?;
    let [n, c, _, _] = image_shape(importer, x)?;
    importer.emit(node, Op::GlobalAveragePool, vec![x], vec![n, c, 1, 1])
}

fn pool(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>, make: fn(Pool) -> Op) -> Result<()> {
    let x = inputs.required(0, "input")?;
    let [n, c, h, w] = extents(importer, x)?;
    if !node.has("kernel_shape") {
        return Err(ImportError::invalid("it has no attribute `kernel_shape`"));
    }
    let (kernel, stride) = (node.pair("kernel_shape", [1, 1])?, node.pair("strides", [1, 1])?);
    let ceil_mode = flag(node, "ceil_mode")?;
    let count_include_pad = flag(node, "count_include_pad")?;
    let dilation = node.pair("dilations", [1, 1])?;
    let window = Window { kernel, stride, dilation, ceil: ceil_mode };
    let (pads, [oh, ow]) = window.place(node, [h, w])?;
    let steps_over = |axis: usize| pads[axis] > 0 && dilation[axis] > [h, w][axis];
    if (0..4).any(|side| pads[side] >= window.extent(side % 2)) || (0..2).any(steps_over) {
        return Err(ImportError::invalid(format!("pads {pads:?} leave a window of {kernel:?} nothing but padding")));
    }
    let op = make(Pool { kernel, stride, dilation, pads, ceil_mode, count_include_pad });
    // Of integers the maximum keeps type and scale.
    let (dtype, quant) = (importer.tensor(x).dtype, importer.tensor(x).quant.clone());
    importer.emit_typed(node, op, vec![x], vec![n, c, oh, ow], dtype, quant)
}

fn flag(node: &NodeView<'_>, name: &str) -> Result<bool> {
    match node.int(name, 0)? {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(ImportError::invalid(format!("its attribute `{name}` is {other}"))),
    }
}
