//! Element-wise operators of two operands of the imported form.

use crate::broadcast::Broadcast;
use crate::call::Call;
use crate::error::GoldenError;

/// `f` of each pair, in the order of the output.
pub(crate) fn map(call: &Call<'_>, f: impl Fn(f32, f32) -> f32) -> Result<Vec<f32>, GoldenError> {
    let (a, b) = (call.f32(0)?, call.f32(1)?);
    Ok(Broadcast::of(call)?.pairs().map(|(i, j)| f(a[i], b[j])).collect())
}
