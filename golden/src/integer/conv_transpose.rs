//! Transposed convolution: rule N-22.

use systole_network::op::ConvTranspose;

use super::operand::{Operand, Weights, bias};
use super::requantise::{Requantiser, dot, wide_dot};
use crate::call::Call;
use crate::error::GoldenError;
use crate::transposed::{Transposed, WeightOrder};

/// x `[n, c, h, w]`, weights `[m, c / groups, kh, kw]`, optional bias `[m]`.
pub(crate) fn evaluate(call: &Call<'_>, conv: &ConvTranspose) -> Result<Vec<i32>, GoldenError> {
    let shape = Transposed::of(call, conv, WeightOrder::OutputFirst)?;
    let (x, weights) = (Operand::of(call, 0)?, Weights::of(call, 1)?);
    let requantiser = Requantiser::new(call, &x, &weights, bias(call, 2, shape.m)?, false)?;
    let dot = if requantiser.is_wide() { wide_dot } else { dot };
    Ok(shape.run(&x.centred_i16(), &weights.centred, dot, |channel, sum| requantiser.finish(channel, sum)))
}
