//! Inference batch norm in single precision.

use crate::call::Call;
use crate::error::GoldenError;

/// x `[n, c, h, w]`; scale, bias, mean and variance of `[c]`.
pub(crate) fn evaluate(call: &Call<'_>, epsilon: f32) -> Result<Vec<f32>, GoldenError> {
    let [_, c, h, w] = call.nchw(0)?;
    let x = call.f32(0)?;
    let (scale, bias) = (call.f32_vector(1, c)?, call.f32_vector(2, c)?);
    let (mean, variance) = (call.f32_vector(3, c)?, call.f32_vector(4, c)?);
    let normalise = |(i, x): (usize, &f32)| {
        let channel = i / (h * w) % c;
        (x - mean[channel]) / (variance[channel] + epsilon).sqrt() * scale[channel] + bias[channel]
    };
    Ok(x.iter().enumerate().map(normalise).collect())
}
