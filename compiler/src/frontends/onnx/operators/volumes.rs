//! Convolution of volumes (rank 5), and its transposition: the sum of those of planes, one for each tap along the depth.

use systole_network::op::{Fill, Op};
use systole_network::tensor::TensorId;

use super::linear::{self, check_bias, require_constant};
use super::{Inputs, extents, float_shape, transposed};
use crate::frontends::onnx::attributes::NodeView;
use crate::frontends::onnx::error::ImportError;
use crate::frontends::onnx::importer::{Importer, Result};
use crate::frontends::onnx::operands::Reform;
use crate::frontends::onnx::steps::integers;

/// Taps along the depth, each a convolution of its own.
const MAX_DEPTH: usize = 64;

/// The shape of a volume's weights.
fn cubes(importer: &Importer<'_>, weights: TensorId) -> Result<[usize; 5]> {
    let shape = float_shape(importer, weights)?;
    let cubes = shape.as_slice().try_into();
    cubes.map_err(|_| ImportError::invalid(format!("its weights have the shape {shape:?}, its input rank 5")))
}

pub(super) fn conv(
    importer: &mut Importer<'_>,
    node: &NodeView<'_>,
    inputs: &Inputs<'_>,
    [x, weights]: [TensorId; 2],
    [n, c, d, h, w]: [usize; 5],
) -> Result<()> {
    let w_shape = cubes(importer, weights)?;
    let [m, c_group, kd, kh, kw] = w_shape;
    if node.string("auto_pad", "NOTSET")?.starts_with("SAME") || kd > MAX_DEPTH {
        return Err(ImportError::unsupported(format!(
            "a volume with a kernel of depth {kd}, or an attribute `auto_pad` that says SAME"
        ))
        .help(format!("explicit pads and kernels up to a depth of {MAX_DEPTH} are supported")));
    }
    let [strides, dilations] = [node.spatial("strides", 3, 1)?, node.spatial("dilations", 3, 1)?];
    let (kernel, pads) = (node.spatial("kernel_shape", 3, 0)?, node.spatial("pads", 6, 0)?);
    if node.has("kernel_shape") && kernel != [kd as i64, kh as i64, kw as i64] {
        return Err(ImportError::invalid(format!("its kernel is {kernel:?}, its weights have the shape {w_shape:?}")));
    }
    let (dilation, stride) = (dilations[0] as usize, strides[0] as usize);
    let deep = d + (pads[0] + pads[3]) as usize;
    let room = deep.checked_sub((kd.max(1) - 1) * dilation + 1).filter(|_| kd * kh * kw > 0 && stride > 0);
    let room =
        room.ok_or_else(|| ImportError::invalid(format!("its kernel of depth {kd} does not fit into {deep}")))?;
    let od = room / stride + 1;
    // Depth beside the batch: planes are images then.
    let mut planes = importer.permuted(node, x, vec![0, 2, 1, 3, 4])?;
    if deep > d {
        let side = |pad: i64| vec![0, pad as usize, 0, 0, 0];
        let op = Op::Pad { before: side(pads[0]), after: side(pads[3]), fill: Fill::Constant(0.0) };
        planes = importer.step(node, "pad", op, vec![planes], vec![n, deep, c, h, w])?;
    }
    let attributes = vec![
        integers("kernel_shape", &[kh as i64, kw as i64]),
        integers("strides", &strides[1..]),
        integers("dilations", &dilations[1..]),
        integers("pads", &[pads[1], pads[2], pads[4], pads[5]]),
    ];
    let values = importer.floats(weights, "weights")?;
    let mut sum: Option<TensorId> = None;
    for tap in 0..kd {
        let op = Op::Slice { starts: vec![0, tap * dilation, 0, 0, 0], steps: vec![1, strides[0], 1, 1, 1] };
        let part = importer.step(node, "depth", op, vec![planes], vec![n, od, c, h, w])?;
        let images = importer.reshaped(node, part, vec![n * od, c, h, w])?;
        let plane = values.chunks_exact(kd * kh * kw).flat_map(|cube| &cube[tap * kh * kw..][..kh * kw]);
        let plane: Vec<f32> = plane.copied().collect();
        let plane = importer.made_constant(node, "weights", vec![m, c_group, kh, kw], &plane)?;
        let operands = [Some(images), Some(plane), inputs.optional(2).filter(|_| tap == 0)];
        let made = importer
            .part(node, attributes.clone(), |importer, view| linear::conv(importer, view, &Inputs(&operands)))?;
        sum = Some(match sum {
            None => made,
            Some(before) => {
                let shape = importer.tensor(made).shape.clone();
                importer.step(node, "sum", Op::Add, vec![before, made], shape)?
            }
        });
    }
    let sum = sum.ok_or_else(|| ImportError::invalid("its kernel has no depth"))?;
    let [_, _, oh, ow] = extents(importer, sum)?;
    let volume = importer.reshaped(node, sum, vec![n, od, m, oh, ow])?;
    importer.emit(node, Op::Transpose { perm: vec![0, 2, 1, 3, 4] }, vec![volume], vec![n, m, od, oh, ow])
}

/// Plane i of the input, by the weights of tap k along the depth, is part of plane `i·stride + k·dilation − pad` of the output.
pub(super) fn conv_transpose(
    importer: &mut Importer<'_>,
    node: &NodeView<'_>,
    inputs: &Inputs<'_>,
    [x, weights]: [TensorId; 2],
    [n, c, d, h, w]: [usize; 5],
) -> Result<()> {
    let w_shape = cubes(importer, weights)?;
    let [c_weights, m_group, kd, kh, kw] = w_shape;
    let mode = node.string("auto_pad", "NOTSET")?;
    if mode.starts_with("SAME") || node.has("output_shape") || kd > MAX_DEPTH {
        let message =
            format!("a volume with a kernel of depth {kd}, or with an attribute `output_shape` or `auto_pad`");
        return Err(ImportError::unsupported(message)
            .help(format!("explicit pads and kernels up to a depth of {MAX_DEPTH} are supported")));
    }
    let [strides, dilations] = [node.spatial("strides", 3, 1)?, node.spatial("dilations", 3, 1)?];
    let (kernel, more) = (node.spatial("kernel_shape", 3, 0)?, node.spatial("output_padding", 3, 0)?);
    let pads = if mode == "VALID" { vec![0; 6] } else { node.spatial("pads", 6, 0)? };
    let groups = usize::try_from(node.int("group", 1)?).ok().filter(|&groups| groups > 0 && c % groups == 0);
    let fits = kd * kh * kw > 0 && (!node.has("kernel_shape") || kernel == [kd as i64, kh as i64, kw as i64]);
    let (Some(groups), true, true) = (groups, fits, strides[0] > 0 && c == c_weights) else {
        let message = format!("weights of shape {w_shape:?} do not belong to {c} channels and the kernel {kernel:?}");
        return Err(ImportError::invalid(message));
    };
    let (dilation, stride) = (dilations[0] as usize, strides[0] as usize);
    let spaced = (d - 1).saturating_mul(stride) + 1;
    let whole = spaced.saturating_add((kd - 1) * dilation + more[0] as usize);
    let od = whole.checked_sub((pads[0] + pads[3]) as usize).filter(|&od| od > 0);
    let od = od.ok_or_else(|| ImportError::invalid(format!("its pads {pads:?} leave nothing of the volume")))?;
    let m = m_group.saturating_mul(groups);
    let attributes = vec![
        integers("kernel_shape", &[kh as i64, kw as i64]),
        integers("strides", &strides[1..]),
        integers("dilations", &dilations[1..]),
        integers("pads", &[pads[1], pads[2], pads[4], pads[5]]),
        integers("output_padding", &more[1..]),
    ];
    let images = importer.permuted(node, x, vec![0, 2, 1, 3, 4])?;
    let images = importer.reshaped(node, images, vec![n * d, c, h, w])?;
    let values = importer.floats(weights, "weights")?;
    let mut sum: Option<(TensorId, Vec<usize>)> = None;
    for tap in 0..kd {
        let plane = values.chunks_exact(kd * kh * kw).flat_map(|cube| &cube[tap * kh * kw..][..kh * kw]);
        let plane: Vec<f32> = plane.copied().collect();
        let plane = importer.made_constant(node, "weights", vec![c, m_group, kh, kw], &plane)?;
        let operands = [Some(images), Some(plane)];
        let made = importer.part(node, attributes.clone(), |importer, view| {
            transposed::conv_transpose(importer, view, &Inputs(&operands))
        })?;
        let [_, _, oh, ow] = extents(importer, made)?;
        let made = importer.reshaped(node, made, vec![n, d, m, oh * ow])?;
        let made = spread(importer, node, made, stride)?;
        let (before, after) = (vec![0, tap * dilation, 0, 0], vec![0, whole - spaced - tap * dilation, 0, 0]);
        let moved = Op::Pad { before, after, fill: Fill::Constant(0.0) };
        let made = importer.step(node, "depth", moved, vec![made], vec![n, whole, m, oh * ow])?;
        let made = match sum {
            None => made,
            Some((before, _)) => importer.step(node, "sum", Op::Add, vec![before, made], vec![n, whole, m, oh * ow])?,
        };
        sum = Some((made, vec![n, od, m, oh, ow]));
    }
    let (sum, shape) = sum.ok_or_else(|| ImportError::invalid("its kernel has no depth"))?;
    let cut = Op::Slice { starts: vec![0, pads[0] as usize, 0, 0], steps: vec![1; 4] };
    let cut = importer.step(node, "cut", cut, vec![sum], vec![n, od, m, shape[3] * shape[4]])?;
    let volume = importer.reshaped(node, cut, shape.clone())?;
    let (turned, perm) = (vec![n, m, od, shape[3], shape[4]], vec![0, 2, 1, 3, 4]);
    let Some(bias) = inputs.optional(2) else {
        return importer.emit(node, Op::Transpose { perm }, vec![volume], turned);
    };
    require_constant(importer, bias, "bias")?;
    check_bias(importer, bias, m)?;
    let volume = importer.step(node, "turn", Op::Transpose { perm }, vec![volume], turned.clone())?;
    let bias = importer.reformed(bias, Reform::Channels(m))?;
    importer.emit(node, Op::Add, vec![volume, bias], turned)
}

/// `[n, d, ...]` with zeros between the planes, which are then `stride` apart.
fn spread(importer: &mut Importer<'_>, node: &NodeView<'_>, x: TensorId, stride: usize) -> Result<TensorId> {
    let &[n, d, m, pixels] = importer.tensor(x).shape.as_slice() else {
        return Err(ImportError::invalid("its planes have no place along the depth"));
    };
    if stride == 1 || d == 1 {
        return Ok(x);
    }
    let x = importer.reshaped(node, x, vec![n, d, 1, m, pixels])?;
    let zeros = Op::Pad { before: vec![0; 5], after: vec![0, 0, stride - 1, 0, 0], fill: Fill::Constant(0.0) };
    let x = importer.step(node, "spread", zeros, vec![x], vec![n, d, stride, m, pixels])?;
    let x = importer.reshaped(node, x, vec![n, d * stride, m, pixels])?;
    // The last plane has none behind it.
    let used = Op::Slice { starts: vec![0; 4], steps: vec![1; 4] };
    importer.step(node, "spread", used, vec![x], vec![n, (d - 1) * stride + 1, m, pixels])
}
