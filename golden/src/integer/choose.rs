//! Maximum and minimum of two operands, and their quotient: rule N-25.

use super::operand::Operand;
use super::scaling::{Scaling, is_integer};
use super::target::Target;
use crate::broadcast::Broadcast;
use crate::call::Call;
use crate::error::GoldenError;

/// `choose` of both operands, each brought to the output by the arithmetic of rule N-9.
pub(crate) fn evaluate(call: &Call<'_>, choose: fn(i32, i32) -> i32) -> Result<Vec<i32>, GoldenError> {
    let broadcast = Broadcast::of(call)?;
    let (a, b) = (brought(call, 0)?, brought(call, 1)?);
    Ok(broadcast.pairs().map(|(i, j)| choose(a[i], b[j])).collect())
}

/// Operand `i` at the output's scale.
fn brought(call: &Call<'_>, i: usize) -> Result<Vec<i32>, GoldenError> {
    let (x, target) = (Operand::of(call, i)?, Target::of(call)?);
    if is_integer(call) {
        let scaling = Scaling::new(call, &[x.scale], target.scale, f64::from(x.scale) / f64::from(target.scale))?;
        return Ok(x.centred().map(|q| target.place(scaling.apply(q.into()))).collect());
    }
    Ok(x.centred().map(|q| target.quantise((q as f32 * x.scale) / target.scale)).collect())
}

/// In single precision on every machine that has it.
pub(crate) fn quotient(call: &Call<'_>) -> Result<Vec<i32>, GoldenError> {
    let broadcast = Broadcast::of(call)?;
    let (a, b, target) = (Operand::of(call, 0)?, Operand::of(call, 1)?, Target::of(call)?);
    let one = |(i, j): (usize, usize)| {
        let v = (a.at(i) as f32 * a.scale) / (b.at(j) as f32 * b.scale);
        target.quantise(v / target.scale)
    };
    Ok(broadcast.pairs().map(one).collect())
}
