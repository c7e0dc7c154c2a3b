//! Convolution of volumes (rank 5): the sum of the convolutions of planes, one for each tap along the depth.

use systole_network::op::{Fill, Op};
use systole_network::tensor::TensorId;

use super::{Inputs, extents, float_shape, linear};
use crate::frontends::onnx::attributes::NodeView;
use crate::frontends::onnx::error::ImportError;
use crate::frontends::onnx::importer::{Importer, Result};
use crate::frontends::onnx::steps::integers;

/// Taps along the depth, each a convolution of its own.
const MAX_DEPTH: usize = 64;

pub(super) fn conv(
    importer: &mut Importer<'_>,
    node: &NodeView<'_>,
    inputs: &Inputs<'_>,
    [x, weights]: [TensorId; 2],
    [n, c, d, h, w]: [usize; 5],
) -> Result<()> {
    let w_shape = float_shape(importer, weights)?;
    let &[m, c_group, kd, kh, kw] = w_shape.as_slice() else {
        return Err(ImportError::invalid(format!("its weights have the shape {w_shape:?}, its input rank 5")));
    };
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
    let room = deep.checked_sub((kd.max(1) - 1) * dilation + 1).filter(|_| kd > 0 && stride > 0);
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
