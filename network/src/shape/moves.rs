//! Shapes of the operators that move values: boxes, padding, blocks of pixels, other sizes; and means over axes.

use super::{ShapeError, must_be, rank4, with_channels};
use crate::op::Resize;

/// Whether a box of shape `output`, from `starts` on by `steps`, lies within `input`.
pub fn fits(starts: &[usize], steps: &[i64], input: &[usize], output: &[usize]) -> bool {
    let lengths = [starts.len(), steps.len(), output.len()];
    lengths.iter().all(|&length| length == input.len())
        && (0..input.len()).all(|axis| {
            let last = i64::try_from(output[axis]).ok().and_then(|count| {
                let first = i64::try_from(starts[axis]).ok()?;
                first.checked_add(count.checked_sub(1)?.checked_mul(steps[axis])?)
            });
            let within = |index: i64| usize::try_from(index).is_ok_and(|index| index < input[axis]);
            starts[axis] < input[axis] && last.is_some_and(within)
        })
}

pub(super) fn padded(before: &[usize], after: &[usize], input: &[usize]) -> Result<Vec<usize>, ShapeError> {
    if before.len() != input.len() || after.len() != input.len() {
        return Err(ShapeError::Attribute { attribute: "pads", shape: input.to_vec() });
    }
    let sides = input.iter().zip(before).zip(after);
    sides
        .map(|((&size, &b), &a)| size.checked_add(b)?.checked_add(a))
        .collect::<Option<_>>()
        .ok_or(ShapeError::TooLarge)
}

pub(super) fn depth_to_space(block: usize, input: &[usize]) -> Result<Vec<usize>, ShapeError> {
    let [n, c, h, w] = rank4("the input", input)?;
    let area = block.checked_mul(block).ok_or(ShapeError::TooLarge)?;
    if area == 0 {
        return Err(ShapeError::ZeroAttribute { attribute: "block size" });
    }
    if c % area != 0 {
        return Err(ShapeError::Attribute { attribute: "blocks", shape: input.to_vec() });
    }
    let side = |size: usize| size.checked_mul(block).ok_or(ShapeError::TooLarge);
    Ok(vec![n, c / area, side(h)?, side(w)?])
}

pub(super) fn space_to_depth(block: usize, input: &[usize]) -> Result<Vec<usize>, ShapeError> {
    let [n, c, h, w] = rank4("the input", input)?;
    if block == 0 {
        return Err(ShapeError::ZeroAttribute { attribute: "block size" });
    }
    if h % block != 0 || w % block != 0 {
        return Err(ShapeError::Attribute { attribute: "blocks", shape: input.to_vec() });
    }
    let channels = c.checked_mul(block).and_then(|channels| channels.checked_mul(block)).ok_or(ShapeError::TooLarge)?;
    Ok(vec![n, channels, h / block, w / block])
}

pub(super) fn resized(resize: &Resize, input: &[usize]) -> Result<Vec<usize>, ShapeError> {
    let [n, c, _, _] = rank4("the input", input)?;
    Ok(vec![n, c, resize.size[0], resize.size[1]])
}

pub(super) fn reduced(axes: &[usize], keep: bool, input: &[usize]) -> Result<Vec<usize>, ShapeError> {
    if axes.iter().any(|&axis| axis >= input.len()) || !axes.is_sorted_by(|a, b| a < b) {
        return Err(ShapeError::Attribute { attribute: "axes", shape: input.to_vec() });
    }
    let kept = input.iter().enumerate().filter_map(|(axis, &size)| match axes.contains(&axis) {
        true => keep.then_some(1),
        false => Some(size),
    });
    Ok(kept.collect())
}

/// x and a vector of its channels.
pub(super) fn per_channel(inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
    let &[x, vector] = inputs else {
        return Err(ShapeError::InputCount { expected: "2", found: inputs.len() });
    };
    must_be("the second input", &with_channels(x)?[1..2], vector)?;
    Ok(x.to_vec())
}
