//! Transposed convolution in single precision.

use systole_network::op::ConvTranspose;

use super::conv::{bias, dot};
use crate::call::Call;
use crate::error::GoldenError;
use crate::transposed::{Transposed, WeightOrder};

/// x `[n, c, h, w]`, weights `[c, m / groups, kh, kw]`, optional bias `[m]`.
pub(crate) fn evaluate(call: &Call<'_>, conv: &ConvTranspose) -> Result<Vec<f32>, GoldenError> {
    let shape = Transposed::of(call, conv, WeightOrder::InputFirst)?;
    let bias = bias(call, shape.m)?;
    Ok(shape.run(call.f32(0)?, call.f32(1)?, dot, |channel, sum| sum + bias[channel]))
}
