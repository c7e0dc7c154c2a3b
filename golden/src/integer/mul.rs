//! Element-wise product: rule N-7.

use super::operand::Operand;
use super::scaling::{Scaling, is_integer};
use super::target::Target;
use crate::broadcast::Broadcast;
use crate::call::Call;
use crate::error::GoldenError;

/// Two equal shapes, or `[n, c, ...]` and a constant `[c]`.
pub(crate) fn evaluate(call: &Call<'_>) -> Result<Vec<i32>, GoldenError> {
    let broadcast = Broadcast::of(call)?;
    let (a, b, target) = (Operand::of(call, 0)?, Operand::of(call, 1)?, Target::of(call)?);
    let m = a.scale * b.scale / target.scale;
    if is_integer(call) {
        let scaling = Scaling::new(call, &[a.scale, b.scale], target.scale, m.into())?;
        let product = |(i, qa): (usize, i32)| {
            let qb = b.q[broadcast.index(i)] - b.zero;
            target.place(scaling.apply(i128::from(qa) * i128::from(qb)))
        };
        return Ok(a.centred().enumerate().map(product).collect());
    }
    // The zero point joins in single precision, before the rounding.
    let zero = target.zero as f32;
    let target = Target { zero: 0, ..target };
    let product = |(i, qa): (usize, i32)| {
        let qb = b.q[broadcast.index(i)] - b.zero;
        target.quantise(qa.wrapping_mul(qb) as f32 * m + zero)
    };
    Ok(a.centred().enumerate().map(product).collect())
}
