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

/// The sum of all inputs, in order.
pub(crate) fn sum(call: &Call<'_>) -> Result<Vec<f32>, GoldenError> {
    let mut sums = call.f32(0)?.to_vec();
    for i in 1..call.node.inputs.len() {
        let terms = call.f32_vector(i, sums.len())?;
        sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
    }
    Ok(sums)
}

/// `f(x)` of any shape.
pub(crate) fn unary(call: &Call<'_>, f: impl Fn(f32) -> f32) -> Result<Vec<f32>, GoldenError> {
    Ok(call.f32(0)?.iter().map(|&x| f(x)).collect())
}
