//! Element-wise product: rule N-7.

use super::operand::Operand;
use super::scaling::{Scaling, is_integer};
use super::target::Target;
use crate::broadcast::Broadcast;
use crate::call::Call;
use crate::error::GoldenError;

/// Operands as [`Broadcast`] pairs them.
pub(crate) fn evaluate(call: &Call<'_>) -> Result<Vec<i32>, GoldenError> {
    let broadcast = Broadcast::of(call)?;
    let (a, b, target) = (Operand::of(call, 0)?, Operand::of(call, 1)?, Target::of(call)?);
    let m = a.scale * b.scale / target.scale;
    if is_integer(call) {
        let scaling = Scaling::new(call, &[a.scale, b.scale], target.scale, m.into())?;
        let product = |(i, j): (usize, usize)| target.place(scaling.apply(i128::from(a.at(i)) * i128::from(b.at(j))));
        return Ok(broadcast.pairs().map(product).collect());
    }
    // The zero point joins in single precision, before the rounding.
    let zero = target.zero as f32;
    let target = Target { zero: 0, ..target };
    let product = |(i, j): (usize, usize)| target.quantise(a.at(i).wrapping_mul(b.at(j)) as f32 * m + zero);
    Ok(broadcast.pairs().map(product).collect())
}
