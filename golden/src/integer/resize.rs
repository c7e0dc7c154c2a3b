//! `Resize` of integers between pixels: rule N-30.

use systole_network::op::Resize;

use super::operand::Operand;
use super::target::Target;
use crate::bilinear;
use crate::call::Call;
use crate::error::GoldenError;

/// x `[n, c, h, w]`.
pub(crate) fn evaluate(call: &Call<'_>, resize: &Resize) -> Result<Vec<i32>, GoldenError> {
    let (x, target) = (Operand::of(call, 0)?, Target::of(call)?);
    let centred: Vec<f32> = x.centred().map(|q| q as f32).collect();
    let mixed = bilinear::evaluate(call, resize, &centred)?;
    Ok(mixed.into_iter().map(|v| target.quantise(v * x.scale / target.scale)).collect())
}
