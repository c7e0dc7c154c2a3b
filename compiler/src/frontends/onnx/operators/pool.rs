//! Pooling, and the unpooling that undoes it.
//!
//! A line (rank 3) is an image of one row. A volume (rank 5) is pooled in two parts, over the planes and then over the depths: the maximum of
//! maxima is one, and the mean of means too, since the number of elements in a window is the product of those along its axes.

use systole_network::op::{Op, Pool};
use systole_network::tensor::{DType, Tensor, TensorId};

use super::{Inputs, extents, float_shape, image_shape};
use crate::frontends::onnx::attributes::NodeView;
use crate::frontends::onnx::error::ImportError;
use crate::frontends::onnx::importer::{Importer, Result};
use crate::frontends::onnx::steps::{integers, text};
use crate::frontends::onnx::window::Window;

pub(super) fn max_pool(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    let x = inputs.required(0, "input")?;
    let tensor = importer.tensor(x);
    if !matches!(tensor.dtype, DType::F32 | DType::I8 | DType::U8) {
        return Err(ImportError::unsupported(format!("its input `{}` is {}", tensor.name, tensor.dtype.name())));
    }
    let used = |index: usize| node.proto.output.get(index).filter(|name| importer.uses(name) > 0);
    let (maxima, indices) = (used(0).is_some(), used(1).cloned());
    if maxima || indices.is_none() {
        pool(importer, node, x, Op::MaxPool)?;
    }
    match indices {
        Some(indices) => arg_max(importer, node, x, &indices, maxima),
        None => Ok(()),
    }
}

/// The second output: where the maxima are. `beside` another node of the same name.
fn arg_max(importer: &mut Importer<'_>, node: &NodeView<'_>, x: TensorId, indices: &str, beside: bool) -> Result<()> {
    let by_columns = node.flag("storage_order")?;
    let [_, _, h, w] = image_shape(importer, x)?;
    let (attributes, shape) = window(importer, node, x)?;
    let name = if beside { indices } else { node.name() };
    let made = if by_columns { importer.fresh_tensor_name(&format!("{indices}:rows")) } else { indices.to_owned() };
    let output = Tensor { name: made, shape, dtype: DType::I64, quant: None, data: None };
    importer.emit_as(node, name, Op::ArgMaxPool(attributes), vec![x], output)?;
    match importer.graph.nodes.last().and_then(|made| made.outputs.first().copied()).filter(|_| by_columns) {
        Some(rows) => count_by_columns(importer, node, rows, indices, [h, w]),
        None => Ok(()),
    }
}

/// Indices that count down the columns of each plane, from such as count along the rows: `(plane·w + x)·h + y` from `(plane·h + y)·w + x`.
fn count_by_columns(
    importer: &mut Importer<'_>,
    node: &NodeView<'_>,
    rows: TensorId,
    name: &str,
    [h, w]: [usize; 2],
) -> Result<()> {
    let shape = importer.tensor(rows).shape.clone();
    let [height, width] = [h, w].map(|size| importer.made_integer(node, shape.len(), size));
    let mut step = |op: Op, a: TensorId, b: TensorId| importer.step(node, "columns", op, vec![a, b], shape.clone());
    let line = step(Op::Div, rows, width)?;
    let before = step(Op::Mul, line, width)?;
    let x = step(Op::Sub, rows, before)?;
    let plane = step(Op::Div, line, height)?;
    let before = step(Op::Mul, plane, height)?;
    let y = step(Op::Sub, line, before)?;
    let columns = step(Op::Mul, plane, width)?;
    let column = step(Op::Add, columns, x)?;
    let before = step(Op::Mul, column, height)?;
    let output = Tensor { name: name.to_owned(), shape, dtype: DType::I64, quant: None, data: None };
    importer.emit_as(node, name, Op::Add, vec![before, y], output)
}

pub(super) fn max_unpool(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    let (x, indices) = (inputs.required(0, "input")?, inputs.required(1, "indices")?);
    let [n, c, h, w] = image_shape(importer, x)?;
    let kernel = kernel(node)?;
    let (stride, pads) = (node.pair("strides", [1, 1])?, node.pads()?);
    let side = |axis: usize, pooled: usize| {
        let covered = (pooled - 1) * stride[axis] + kernel[axis];
        let size = covered.checked_sub(pads[axis] + pads[axis + 2]).filter(|&size| size > 0);
        size.ok_or_else(|| ImportError::invalid(format!("its pads {pads:?} leave nothing of the image")))
    };
    let mut shape = vec![n, c, side(0, h)?, side(1, w)?];
    if let Some(id) = inputs.optional(2) {
        let wanted = importer.integers(id, "output shape")?;
        let sizes: Option<Vec<usize>> = wanted.iter().map(|&size| usize::try_from(size).ok()).collect();
        shape = sizes.filter(|sizes| sizes.len() == 4 && sizes[..2] == [n, c]).ok_or_else(|| {
            ImportError::invalid(format!("its output shape {wanted:?} does not fit an input of {:?}", [n, c, h, w]))
        })?;
    }
    let pool = Pool { kernel, stride, dilation: [1, 1], pads, ceil_mode: false, count_include_pad: false };
    importer.emit(node, Op::MaxUnpool(pool), vec![x, indices], shape)
}

pub(super) fn average_pool(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    let x = inputs.required(0, "input")?;
    float_shape(importer, x)?;
    pool(importer, node, x, Op::AveragePool)
}

pub(super) fn global_average_pool(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    let x = inputs.required(0, "input")?;
    float_shape(importer, x)?;
    global(importer, node, x, Op::GlobalAveragePool)
}

pub(super) fn global_max_pool(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    global(importer, node, inputs.required(0, "input")?, Op::GlobalMaxPool)
}

fn global(importer: &mut Importer<'_>, node: &NodeView<'_>, x: TensorId, op: Op) -> Result<()> {
    let shape = importer.tensor(x).shape.clone();
    match *shape.as_slice() {
        [n, c, _, _] => importer.emit_like(node, op, vec![x], vec![n, c, 1, 1]),
        [n, c, ref rest @ ..] if !rest.is_empty() => {
            let image = importer.reshaped(node, x, vec![n, c, rest.iter().product(), 1])?;
            let pooled = importer.step(node, "pool", op, vec![image], vec![n, c, 1, 1])?;
            let shape = (0..shape.len()).map(|axis| if axis < 2 { shape[axis] } else { 1 }).collect();
            importer.emit_like(node, Op::Reshape, vec![pooled], shape)
        }
        _ => Err(ImportError::invalid(format!("its input has the shape {shape:?}, without a spatial axis"))),
    }
}

fn pool(importer: &mut Importer<'_>, node: &NodeView<'_>, x: TensorId, make: fn(Pool) -> Op) -> Result<()> {
    match *importer.tensor(x).shape.as_slice() {
        [n, c, w] => line(importer, node, x, [n, c, w], make),
        [n, c, d, h, w] => volume(importer, node, x, [n, c, d, h, w], make),
        _ => {
            let (attributes, shape) = window(importer, node, x)?;
            importer.emit_like(node, make(attributes), vec![x], shape)
        }
    }
}

/// The window over an image, and the shape of what is pooled.
fn window(importer: &Importer<'_>, node: &NodeView<'_>, x: TensorId) -> Result<(Pool, Vec<usize>)> {
    let [n, c, h, w] = extents(importer, x)?;
    let (kernel, stride) = (kernel(node)?, node.pair("strides", [1, 1])?);
    let (ceil_mode, count_include_pad) = (node.flag("ceil_mode")?, node.flag("count_include_pad")?);
    let dilation = node.pair("dilations", [1, 1])?;
    let window = Window { kernel, stride, dilation, ceil: ceil_mode };
    let (pads, [oh, ow]) = window.place(node, [h, w])?;
    let steps_over = |axis: usize| pads[axis] > 0 && dilation[axis] > [h, w][axis];
    if (0..4).any(|side| pads[side] >= window.extent(side % 2)) || (0..2).any(steps_over) {
        return Err(ImportError::invalid(format!("pads {pads:?} leave a window of {kernel:?} nothing but padding")));
    }
    Ok((Pool { kernel, stride, dilation, pads, ceil_mode, count_include_pad }, vec![n, c, oh, ow]))
}

fn kernel(node: &NodeView<'_>) -> Result<[usize; 2]> {
    if node.has("kernel_shape") {
        return node.pair("kernel_shape", [1, 1]);
    }
    Err(ImportError::invalid("it has no attribute `kernel_shape`"))
}

/// What the window says of each of `axes` axes: kernel, stride, dilation, pads before and behind.
fn sides(node: &NodeView<'_>, axes: usize) -> Result<[Vec<i64>; 5]> {
    if !node.has("kernel_shape") {
        return Err(ImportError::invalid("it has no attribute `kernel_shape`"));
    }
    let mut before = node.spatial("pads", 2 * axes, 0)?;
    let after = before.split_off(axes);
    let kernel = node.spatial("kernel_shape", axes, 1)?;
    Ok([kernel, node.spatial("strides", axes, 1)?, node.spatial("dilations", axes, 1)?, before, after])
}

/// The pooling of an image `x` over two of the axes (`None`: an axis that is not pooled).
fn part(
    importer: &mut Importer<'_>,
    node: &NodeView<'_>,
    x: TensorId,
    sides: &[Vec<i64>; 5],
    axes: [Option<usize>; 2],
    make: fn(Pool) -> Op,
) -> Result<TensorId> {
    let pair = |which: usize, default: i64| axes.map(|axis| axis.map_or(default, |axis| sides[which][axis]));
    let mut attributes = vec![
        integers("kernel_shape", &pair(0, 1)),
        integers("strides", &pair(1, 1)),
        integers("dilations", &pair(2, 1)),
    ];
    match node.string("auto_pad", "NOTSET")? {
        "NOTSET" | "" => attributes.push(integers("pads", &[pair(3, 0), pair(4, 0)].concat())),
        mode => attributes.push(text("auto_pad", mode)),
    }
    importer.part(node, attributes, |importer, view| pool(importer, view, x, make))
}

fn line(
    importer: &mut Importer<'_>,
    node: &NodeView<'_>,
    x: TensorId,
    [n, c, w]: [usize; 3],
    make: fn(Pool) -> Op,
) -> Result<()> {
    let image = importer.reshaped(node, x, vec![n, c, 1, w])?;
    let pooled = part(importer, node, image, &sides(node, 1)?, [None, Some(0)], make)?;
    let length = importer.tensor(pooled).shape[3];
    importer.emit_like(node, Op::Reshape, vec![pooled], vec![n, c, length])
}

fn volume(
    importer: &mut Importer<'_>,
    node: &NodeView<'_>,
    x: TensorId,
    [n, c, d, h, w]: [usize; 5],
    make: fn(Pool) -> Op,
) -> Result<()> {
    let sides = sides(node, 3)?;
    let planes = importer.reshaped(node, x, vec![n, c.saturating_mul(d), h, w])?;
    let planes = part(importer, node, planes, &sides, [Some(1), Some(2)], make)?;
    let [_, _, oh, ow] = extents(importer, planes)?;
    let depths = importer.reshaped(node, planes, vec![n, c, d, oh * ow])?;
    let depths = part(importer, node, depths, &sides, [Some(0), None], make)?;
    let od = importer.tensor(depths).shape[2];
    importer.emit_like(node, Op::Reshape, vec![depths], vec![n, c, od, oh, ow])
}
