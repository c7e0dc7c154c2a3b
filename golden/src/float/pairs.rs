//! Which elements of two operands an element-wise operator of the imported form pairs: equal shapes, `[n, c, ...]` and a vector `[c]`, or
//! shapes of one rank in which axes of length 1 repeat.

use crate::broadcast::Broadcast;
use crate::call::Call;
use crate::error::GoldenError;

/// `f` of each pair of floats, in the order of the output.
pub(crate) fn map(call: &Call<'_>, f: impl Fn(f32, f32) -> f32) -> Result<Vec<f32>, GoldenError> {
    map_of(call, call.f32(0)?, call.f32(1)?, f)
}

/// `f` of each pair of `a` and `b`, the elements of a node's two inputs, in the order of the output.
pub(crate) fn map_of<T: Copy>(call: &Call<'_>, a: &[T], b: &[T], f: impl Fn(T, T) -> T) -> Result<Vec<T>, GoldenError> {
    let (a_shape, b_shape) = (call.input(0)?.shape.as_slice(), call.input(1)?.shape.as_slice());
    let output = call.output()?.shape.as_slice();
    if a_shape == b_shape || a_shape.len() != b_shape.len() {
        let broadcast = Broadcast::of(call)?;
        return Ok(a.iter().enumerate().map(|(i, &a)| f(a, b[broadcast.index(i)])).collect());
    }
    let repeats = |shape: &[usize]| shape.iter().zip(output).all(|(&own, &all)| own == all || own == 1);
    let covered = (0..output.len()).all(|axis| output[axis] == a_shape[axis].max(b_shape[axis]));
    if output.len() != a_shape.len() || !covered || !repeats(a_shape) || !repeats(b_shape) {
        return Err(call.malformed(format!("operands of shapes {a_shape:?} and {b_shape:?} for {output:?}")));
    }
    let count: usize = output.iter().product();
    Ok((0..count).map(|i| f(a[source(i, output, a_shape)], b[source(i, output, b_shape)])).collect())
}

/// The element of an operand of shape `own` that goes with element `i` of `output`: axes of length 1 repeat.
pub(super) fn source(i: usize, output: &[usize], own: &[usize]) -> usize {
    let (mut rest, mut place, mut stride) = (i, 0, 1);
    for (&all, &own) in output.iter().zip(own).rev() {
        if own != 1 {
            place += rest % all * stride;
        }
        stride *= own;
        rest /= all;
    }
    place
}
