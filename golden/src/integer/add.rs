//! Element-wise sum: rule N-6.

use super::operand::Operand;
use super::target::Target;
use crate::broadcast::Broadcast;
use crate::call::Call;
use crate::error::GoldenError;

/// Two equal shapes, or `[n, c, ...]` and a constant `[c]`.
pub(crate) fn evaluate(call: &Call<'_>) -> Result<Vec<i32>, GoldenError> {
    let broadcast = Broadcast::of(call)?;
    let (a, b, target) = (Operand::of(call, 0)?, Operand::of(call, 1)?, Target::of(call)?);
    let sum = |(i, qa): (usize, i32)| {
        let qb = b.q[broadcast.index(i)] - b.zero;
        let v = qa as f32 * a.scale + qb as f32 * b.scale;
        target.quantise(v / target.scale)
    };
    Ok(a.centred().enumerate().map(sum).collect())
}
