//! Deformable sampling: rule N-26.

use systole_network::op::Deform;

use super::operand::Operand;
use super::target::Target;
use crate::call::Call;
use crate::deform::Sampler;
use crate::error::GoldenError;

/// x and offsets to `[n, c · taps, h, w]`, at the scale and zero point of x.
pub(crate) fn evaluate(call: &Call<'_>, deform: &Deform) -> Result<Vec<i32>, GoldenError> {
    let sampler = Sampler::of(call, deform, 1)?;
    let Sampler { n, c, taps, ref window, .. } = sampler;
    call.expect_output([n, c * taps, window.rows.output, window.cols.output])?;
    let (x, offsets, target) = (Operand::of(call, 0)?, Operand::of(call, 1)?, Target::of(call)?);
    if (x.scale, x.zero) != (target.scale, target.zero) {
        return Err(call.malformed("samples at another scale than what they are samples of"));
    }
    let values: Vec<f32> = x.centred().map(|v| v as f32).collect();
    let moved: Vec<f32> = offsets.centred().map(|v| v as f32 * offsets.scale).collect();
    Ok(sampler.samples(&values, &moved).into_iter().map(|v| target.quantise(v)).collect())
}
