//! Resize, and Upsample before it.
//!
//! Nearest pixels and bilinear values between them are an operator of the graph. Everything else that ONNX has (cubic, antialiased, cropped,
//! other places) is linear along each axis, so it becomes a product with a constant matrix a row of which holds an output pixel's weights.

mod weights;

use systole_network::op::{Coordinates, Interpolation, Op, Resize};
use systole_network::tensor::TensorId;

use super::{Inputs, float_shape};
use crate::frontends::onnx::attributes::{NodeView, normalise_axis};
use crate::frontends::onnx::error::ImportError;
use crate::frontends::onnx::importer::{Importer, Result};
use weights::{Line, Mode, Places};

pub(super) fn resize(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    let first = node.opset < 11;
    let (scales, sizes) = if first { (1, usize::MAX) } else { (2, 3) };
    let shape = importer.tensor(inputs.required(0, "input")?).shape.clone();
    let axes = match node.ints("axes")? {
        Some(axes) => axes.iter().map(|&axis| normalise_axis(axis, shape.len())).collect::<Result<Vec<_>>>()?,
        None => (0..shape.len()).collect(),
    };
    let given = |index: usize| inputs.optional(index).filter(|&id| importer.tensor(id).elements() > 0);
    let axes_of = match (given(scales), given(sizes)) {
        (Some(id), None) => by_scale(&shape, &axes, &importer.floats(id, "scales")?)?,
        (None, Some(id)) => by_size(node, &shape, &axes, &importer.integers(id, "sizes")?)?,
        _ => return Err(ImportError::invalid("it has not one of scales and sizes")),
    };
    let roi = match inputs.optional(1).filter(|_| !first) {
        Some(id) if importer.tensor(id).elements() > 0 => importer.floats(id, "region")?,
        _ => vec![],
    };
    let default = if first { "asymmetric" } else { "half_pixel" };
    let places = places(node, default, &roi, &axes, shape.len())?;
    let rounding = node.string("nearest_mode", if first { "floor" } else { "round_prefer_floor" })?;
    made(importer, node, inputs, &axes_of, &places, rounding)
}

/// Opsets 7 to 9: an operator of its own, whose scales are an attribute at first.
pub(super) fn upsample(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    let shape = importer.tensor(inputs.required(0, "input")?).shape.clone();
    let scales = match (node.floats("scales")?, inputs.optional(1)) {
        (Some(scales), None) => scales.to_vec(),
        (None, Some(id)) => importer.floats(id, "scales")?,
        _ => return Err(ImportError::invalid("it has no scales")),
    };
    let axes: Vec<usize> = (0..shape.len()).collect();
    let axes_of = by_scale(&shape, &axes, &scales)?;
    made(importer, node, inputs, &axes_of, &vec![Places::Asymmetric; shape.len()], "floor")
}

/// Output extent and scale of each axis.
type Axes = Vec<(usize, f64)>;

fn by_scale(shape: &[usize], axes: &[usize], scales: &[f32]) -> Result<Axes> {
    if scales.len() != axes.len() || scales.iter().any(|scale| !(*scale > 0.0 && *scale < 65536.0)) {
        return Err(ImportError::invalid(format!("its scales are {scales:?} for {} axes", axes.len())));
    }
    let mut made: Axes = shape.iter().map(|&size| (size, 1.0)).collect();
    for (&axis, &scale) in axes.iter().zip(scales) {
        made[axis] = ((shape[axis] as f32 * scale).floor() as usize, f64::from(scale));
    }
    Ok(made)
}

fn by_size(node: &NodeView<'_>, shape: &[usize], axes: &[usize], sizes: &[i64]) -> Result<Axes> {
    let wrong = || ImportError::invalid(format!("its sizes are {sizes:?} for {} axes", axes.len()));
    if sizes.len() != axes.len() || sizes.iter().any(|size| !(1..1 << 31).contains(size)) {
        return Err(wrong());
    }
    let mut made: Axes = shape.iter().map(|&size| (size, 1.0)).collect();
    for (&axis, &size) in axes.iter().zip(sizes) {
        made[axis] = (size as usize, size as f64 / shape[axis] as f64);
    }
    let scales = axes.iter().map(|&axis| made[axis].1);
    let one = match node.string("keep_aspect_ratio_policy", "stretch")? {
        "stretch" => return Ok(made),
        "not_larger" => scales.min_by(f64::total_cmp),
        "not_smaller" => scales.max_by(f64::total_cmp),
        other => return Err(ImportError::invalid(format!("its attribute `keep_aspect_ratio_policy` is `{other}`"))),
    };
    let one = one.ok_or_else(wrong)?;
    for &axis in axes {
        made[axis] = ((one * shape[axis] as f64 + 0.5).floor() as usize, one);
    }
    Ok(made)
}

/// How the pixels of each axis correspond.
fn places(node: &NodeView<'_>, default: &'static str, roi: &[f32], axes: &[usize], rank: usize) -> Result<Vec<Places>> {
    let same = match node.string("coordinate_transformation_mode", default)? {
        "half_pixel" => Places::HalfPixel,
        "half_pixel_symmetric" => Places::HalfPixelSymmetric,
        "pytorch_half_pixel" => Places::PytorchHalfPixel,
        "align_corners" => Places::AlignCorners,
        "asymmetric" => Places::Asymmetric,
        "tf_crop_and_resize" => {
            let &[ref starts @ .., _] = roi else { return Err(ImportError::invalid("it has no region")) };
            if starts.len() + 1 != 2 * axes.len() {
                return Err(ImportError::invalid(format!("its region is {roi:?} for {} axes", axes.len())));
            }
            let mut made = vec![Places::Crop { start: 0.0, end: 1.0 }; rank];
            for (index, &axis) in axes.iter().enumerate() {
                let (start, end) = (f64::from(roi[index]), f64::from(roi[index + axes.len()]));
                made[axis] = Places::Crop { start, end };
            }
            return Ok(made);
        }
        other => {
            let message = format!("its attribute `coordinate_transformation_mode` is `{other}`");
            return Err(ImportError::unsupported(message));
        }
    };
    Ok(vec![same; rank])
}

fn made(
    importer: &mut Importer<'_>,
    node: &NodeView<'_>,
    inputs: &Inputs<'_>,
    axes: &Axes,
    places: &[Places],
    rounding: &str,
) -> Result<()> {
    let x = inputs.required(0, "input")?;
    let shape = float_shape(importer, x)?;
    let (&[.., h, w], Some(image)) = (shape.as_slice(), shape.len().checked_sub(2)) else {
        return Err(ImportError::unsupported(format!("its input has the shape {shape:?}; only images are supported")));
    };
    if let Some(axis) = (0..image).find(|&axis| axes[axis].0 != shape[axis]) {
        return Err(ImportError::unsupported(format!("it changes axis {axis}; only the last two are supported")));
    }
    let output: Vec<usize> = axes.iter().map(|axis| axis.0).collect();
    let mode = mode(node, rounding)?;
    if let Some(op) = direct(mode, &shape[image..], &axes[image..], places[image]) {
        let images = importer.reshaped(node, x, vec![shape[..image].iter().product(), 1, h, w])?;
        if shape.len() == 4 {
            return importer.emit(node, op, vec![x], output);
        }
        let made = vec![shape[..image].iter().product(), 1, output[image], output[image + 1]];
        let made = importer.step(node, "resize", op, vec![images], made)?;
        return importer.emit(node, Op::Reshape, vec![made], output);
    }
    let exclude = node.flag("exclude_outside")?;
    let line = |axis: usize| {
        let (size, scale) = axes[image + axis];
        Line { input: shape[image + axis], output: size, scale, places: places[image + axis], mode, exclude }
    };
    matrices(importer, node, x, [line(0), line(1)], output)
}

fn mode(node: &NodeView<'_>, rounding: &str) -> Result<Mode> {
    let antialias = node.flag("antialias")?;
    match (node.string("mode", "nearest")?, rounding) {
        ("nearest", "round_prefer_floor") => Ok(Mode::Nearest(Interpolation::NearestPreferFloor)),
        ("nearest", "round_prefer_ceil") => Ok(Mode::Nearest(Interpolation::NearestPreferCeil)),
        ("nearest", "floor") => Ok(Mode::Nearest(Interpolation::NearestFloor)),
        ("nearest", "ceil") => Ok(Mode::Nearest(Interpolation::NearestCeil)),
        ("linear" | "bilinear", _) => Ok(Mode::Linear { antialias }),
        ("cubic", _) => Ok(Mode::Cubic { antialias, a: f64::from(node.float("cubic_coeff_a", -0.75)?) }),
        (mode, rounding) => {
            Err(ImportError::invalid(format!("its attributes `mode` and `nearest_mode` are `{mode}`, `{rounding}`")))
        }
    }
}

/// The graph's own operator, where it has this one. Its last pixel is the image's last; ONNX goes by the scaled extent, a fraction perhaps.
fn direct(mode: Mode, input: &[usize], axes: &[(usize, f64)], places: Places) -> Option<Op> {
    let by_extent = matches!(places, Places::AlignCorners | Places::PytorchHalfPixel);
    let whole =
        |(&input, &(output, scale)): (&usize, &(usize, f64))| (input as f64 * scale - output as f64).abs() < 1e-3;
    if by_extent && !input.iter().zip(axes).all(whole) {
        return None;
    }
    let interpolation = match mode {
        Mode::Nearest(nearest) => nearest,
        Mode::Linear { antialias: false } => Interpolation::Linear,
        _ => return None,
    };
    let coordinates = match places {
        Places::HalfPixel => Coordinates::HalfPixel,
        Places::PytorchHalfPixel => Coordinates::PytorchHalfPixel,
        Places::AlignCorners => Coordinates::AlignCorners,
        Places::Asymmetric => Coordinates::Asymmetric,
        Places::HalfPixelSymmetric | Places::Crop { .. } => return None,
    };
    let &[(height, vertical), (width, horizontal)] = axes else { return None };
    let scale = [vertical as f32, horizontal as f32];
    Some(Op::Resize(Resize { size: [height, width], scale, coordinates, interpolation }))
}

/// One product for each axis; what lies outside a cropped image is added behind.
fn matrices(
    importer: &mut Importer<'_>,
    node: &NodeView<'_>,
    x: TensorId,
    [rows, cols]: [Line; 2],
    output: Vec<usize>,
) -> Result<()> {
    let outer: usize = output[..output.len() - 2].iter().product();
    let (h, w, oh, ow) = (rows.input, cols.input, rows.output, cols.output);
    let outside = node.float("extrapolation_value", 0.0)?;
    let (rows, cols) = (rows.matrix(), cols.matrix());
    let lines = importer.reshaped(node, x, vec![outer * h, w])?;
    let matrix = importer.made_constant(node, "columns", vec![ow, w], &cols.weights)?;
    let lines = importer.step(node, "columns", Op::FullyConnected, vec![lines, matrix], vec![outer * h, ow])?;
    let image = importer.reshaped(node, lines, vec![outer, h, ow])?;
    let turned = importer.permuted(node, image, vec![0, 2, 1])?;
    let lines = importer.reshaped(node, turned, vec![outer * ow, h])?;
    let matrix = importer.made_constant(node, "rows", vec![oh, h], &rows.weights)?;
    let lines = importer.step(node, "rows", Op::FullyConnected, vec![lines, matrix], vec![outer * ow, oh])?;
    let image = importer.reshaped(node, lines, vec![outer, ow, oh])?;
    let mut made = importer.permuted(node, image, vec![0, 2, 1])?;
    if outside != 0.0 && rows.inside.iter().chain(&cols.inside).any(|&inside| !inside) {
        let beyond = |at: usize| if rows.inside[at / ow] && cols.inside[at % ow] { 0.0 } else { outside };
        let values: Vec<f32> = (0..oh * ow).map(beyond).collect();
        let values = importer.made_constant(node, "outside", vec![1, oh, ow], &values)?;
        made = importer.step(node, "outside", Op::Add, vec![made, values], vec![outer, oh, ow])?;
    }
    importer.emit(node, Op::Reshape, vec![made], output)
}
