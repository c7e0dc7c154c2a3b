//! Shapes of the operators with windows of another kind: transposed and deformable convolution, unpooling.

use super::{Axis, ShapeError, convolution, must_be, rank4};
use crate::op::{ConvTranspose, Deform, Pool};

/// `[n, m, h, w]` of a transposed convolution. Weights are `[c, m / groups, kh, kw]`, or `[m, c / groups, kh, kw]` in the quantised form; where
/// a shape could be either, both give the same.
pub(super) fn transposed(conv: &ConvTranspose, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
    let (&[x, weights], bias) = match inputs {
        [x, weights, bias @ ..] if bias.len() < 2 => (&[*x, *weights], bias),
        _ => return Err(ShapeError::InputCount { expected: "2 or 3", found: inputs.len() }),
    };
    let ([n, c, h, w], [first, second, ..]) = (rank4("the input", x)?, rank4("the weights", weights)?);
    if conv.groups == 0 {
        return Err(ShapeError::ZeroAttribute { attribute: "groups" });
    }
    if c % conv.groups != 0 {
        return Err(ShapeError::Groups { groups: conv.groups, channels: c, which: "input" });
    }
    let m = if first != c && second == c / conv.groups {
        must_be("the weights", &[first, second, conv.kernel[0], conv.kernel[1]], weights)?;
        if first % conv.groups != 0 {
            return Err(ShapeError::Groups { groups: conv.groups, channels: first, which: "output" });
        }
        first
    } else {
        must_be("the weights", &[c, second, conv.kernel[0], conv.kernel[1]], weights)?;
        second.checked_mul(conv.groups).ok_or(ShapeError::TooLarge)?
    };
    for bias in bias {
        must_be("the bias", &[m], bias)?;
    }
    Ok(vec![n, m, transposed_axis(conv, 0, h)?, transposed_axis(conv, 1, w)?])
}

/// Pixels along an axis: `(in − 1)·stride − pads + (k − 1)·dilation + 1 + output_padding`.
fn transposed_axis(conv: &ConvTranspose, axis: usize, input: usize) -> Result<usize, ShapeError> {
    let (kernel, stride, dilation) = (conv.kernel[axis], conv.stride[axis], conv.dilation[axis]);
    for (value, attribute) in [(kernel, "kernel"), (stride, "stride"), (dilation, "dilation")] {
        if value == 0 {
            return Err(ShapeError::ZeroAttribute { attribute });
        }
    }
    let span = (kernel - 1).checked_mul(dilation).and_then(|span| span.checked_add(1));
    let pads = conv.pads[axis].checked_add(conv.pads[axis + 2]).ok_or(ShapeError::TooLarge)?;
    let whole = (input - 1)
        .checked_mul(stride)
        .zip(span)
        .and_then(|(first, span)| first.checked_add(span)?.checked_add(conv.output_padding[axis]))
        .ok_or(ShapeError::TooLarge)?;
    match whole.checked_sub(pads) {
        Some(0) | None => Err(ShapeError::WindowTooLarge { window: pads, padded: whole }),
        Some(pixels) => Ok(pixels),
    }
}

/// `[n, m, h, w]` of a deformable convolution: x, weights, offsets, then an optional bias and an optional mask.
pub(super) fn deformable(deform: &Deform, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
    let (Some((&[x, weights, offsets], rest)), 3..=5) = (inputs.split_first_chunk::<3>(), inputs.len()) else {
        return Err(ShapeError::InputCount { expected: "3 to 5", found: inputs.len() });
    };
    // A mask has rank 4, a bias rank 1.
    let (bias, mask): (Vec<&[usize]>, Vec<&[usize]>) = rest.iter().partition(|shape| shape.len() == 1);
    let output = convolution(&deform.conv, &[&[x, weights], &bias[..]].concat())?;
    offset_shape(deform, x, &output, offsets, 2, "the offsets")?;
    for mask in mask {
        offset_shape(deform, x, &output, mask, 1, "the mask")?;
    }
    Ok(output)
}

/// `[n, c·kh·kw, h, w]`, from x and offsets.
pub(super) fn samples(deform: &Deform, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
    let &[x, offsets] = inputs else {
        return Err(ShapeError::InputCount { expected: "2", found: inputs.len() });
    };
    let [_, c, _, _] = rank4("the input", x)?;
    let conv = &deform.conv;
    if conv.groups == 0 {
        return Err(ShapeError::ZeroAttribute { attribute: "groups" });
    }
    let weights = [conv.groups, c / conv.groups, conv.kernel[0], conv.kernel[1]];
    let mut output = convolution(conv, &[x, &weights])?;
    offset_shape(deform, x, &output, offsets, 2, "the offsets")?;
    output[1] = conv.kernel.iter().try_fold(c, |all, &k| all.checked_mul(k)).ok_or(ShapeError::TooLarge)?;
    Ok(output)
}

fn offset_shape(
    deform: &Deform,
    x: &[usize],
    output: &[usize],
    found: &[usize],
    each: usize,
    operand: &'static str,
) -> Result<(), ShapeError> {
    let groups = deform.offset_groups;
    if groups == 0 {
        return Err(ShapeError::ZeroAttribute { attribute: "offset groups" });
    }
    if !x[1].is_multiple_of(groups) {
        return Err(ShapeError::Groups { groups, channels: x[1], which: "input" });
    }
    let taps = deform.conv.kernel.iter().try_fold(groups * each, |all, &k| all.checked_mul(k));
    must_be(operand, &[output[0], taps.ok_or(ShapeError::TooLarge)?, output[2], output[3]], found)
}

/// `[n, c, h, w]` of an unpooling: the image from which the windows are cut without remainder.
pub(super) fn unpooled(pool: &Pool, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
    let &[x, switches] = inputs else {
        return Err(ShapeError::InputCount { expected: "2", found: inputs.len() });
    };
    let [n, c, h, w] = rank4("the input", x)?;
    must_be("the switches", x, switches)?;
    let side = |axis: usize, pooled: usize| {
        let [before, after] = [pool.pads[axis], pool.pads[axis + 2]];
        let span = (pool.kernel[axis].checked_sub(1)?).checked_mul(pool.dilation[axis])?.checked_add(1)?;
        let covered = (pooled - 1).checked_mul(pool.stride[axis])?.checked_add(span)?;
        covered.checked_sub(before.checked_add(after)?)
    };
    let image = [side(0, h), side(1, w)];
    let [Some(rows), Some(cols)] = image else {
        return Err(ShapeError::Attribute { attribute: "pads", shape: x.to_vec() });
    };
    for (axis, input) in [rows, cols].into_iter().enumerate() {
        let (kernel, stride, dilation) = (pool.kernel[axis], pool.stride[axis], pool.dilation[axis]);
        Axis { input, before: 0, after: 0, kernel, stride, dilation }.extents()?;
    }
    Ok(vec![n, c, rows, cols])
}
