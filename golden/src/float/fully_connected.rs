//! Fully connected in single precision.

use rayon::prelude::*;

use super::conv::{bias, dot};
use crate::call::Call;
use crate::error::GoldenError;

/// x `[n, k]`, weights `[n_out, k]`, optional bias `[n_out]`.
pub(crate) fn evaluate(call: &Call<'_>) -> Result<Vec<f32>, GoldenError> {
    let [n, k, n_out] = call.fully_connected_shape()?;
    let (x, weights, bias) = (call.f32(0)?, call.f32(1)?, bias(call, n_out)?);
    let mut output = vec![0.0; n * n_out];
    for (output, x) in output.chunks_exact_mut(n_out).zip(x.chunks_exact(k)) {
        output.par_iter_mut().enumerate().for_each(|(channel, y)| {
            *y = dot(x, &weights[channel * k..][..k]) + bias[channel];
        });
    }
    Ok(output)
}
