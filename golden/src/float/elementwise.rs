//! Element-wise operators in single precision: sum, product, ReLU, clip.

use crate::broadcast::Broadcast;
use crate::call::Call;
use crate::error::GoldenError;

/// `f(a, b)` of two equal shapes, or of `[n, c, ...]` and `[c]`.
pub(crate) fn binary(call: &Call<'_>, f: impl Fn(f32, f32) -> f32) -> Result<Vec<f32>, GoldenError> {
    let broadcast = Broadcast::of(call)?;
    let (a, b) = (call.f32(0)?, call.f32(1)?);
    Ok(a.iter().enumerate().map(|(i, &a)| f(a, b[broadcast.index(i)])).collect())
}

/// `f(x)` of any shape.
pub(crate) fn unary(call: &Call<'_>, f: impl Fn(f32) -> f32) -> Result<Vec<f32>, GoldenError> {
    Ok(call.f32(0)?.iter().map(|&x| f(x)).collect())
}
