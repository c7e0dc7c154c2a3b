//! Element-wise operators in single precision: functions of one element, and the sum of many tensors. Those of two are `pairs`.

use crate::call::Call;
use crate::error::GoldenError;

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
