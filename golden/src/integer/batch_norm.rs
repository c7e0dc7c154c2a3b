//! Batch norm that could not be folded, as scale and shift in single precision: rule N-8.

use super::operand::Operand;
use super::sign::{is_sign, sign};
use super::target::Target;
use crate::call::Call;
use crate::error::GoldenError;

/// x `[n, c, h, w]`, f32 `a` and `b` of `[c]`.
pub(crate) fn evaluate(call: &Call<'_>) -> Result<Vec<i32>, GoldenError> {
    let [_, c, h, w] = call.nchw(0)?;
    let (x, target) = (Operand::of(call, 0)?, Target::of(call)?);
    let signs = is_sign(call)?;
    let (a, b) = (call.f32_vector(1, c)?, call.f32_vector(2, c)?);
    let scale_and_shift = |(i, q): (usize, i32)| {
        let channel = i / (h * w) % c;
        let v = q as f32 * x.scale;
        let w = v * a[channel] + b[channel];
        if signs { sign(w) } else { target.quantise(w / target.scale) }
    };
    Ok(x.centred().enumerate().map(scale_and_shift).collect())
}
