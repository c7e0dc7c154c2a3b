//! Element-wise operators of two operands of the imported form.

use crate::broadcast::Broadcast;
use crate::call::Call;
use crate::error::GoldenError;

/// `f` of each pair of floats, in the order of the output.
pub(crate) fn map(call: &Call<'_>, f: impl Fn(f32, f32) -> f32) -> Result<Vec<f32>, GoldenError> {
    map_of(call, call.f32(0)?, call.f32(1)?, f)
}

/// `f` of each pair of `a` and `b`, the elements of a node's two inputs, in the order of the output.
pub(crate) fn map_of<T: Copy>(call: &Call<'_>, a: &[T], b: &[T], f: impl Fn(T, T) -> T) -> Result<Vec<T>, GoldenError> {
    Ok(Broadcast::of(call)?.pairs().map(|(i, j)| f(a[i], b[j])).collect())
}
