//! Fully connected: rule N-1 with the whole input as the window.

use rayon::prelude::*;

use super::operand::{Operand, Weights, bias};
use super::requantise::{Requantiser, dot, wide_dot};
use crate::call::Call;
use crate::error::GoldenError;

/// x `[n, k]`, weights `[n_out, k]`, optional bias `[n_out]`.
pub(crate) fn evaluate(call: &Call<'_>) -> Result<Vec<i32>, GoldenError> {
    let [n, k, n_out] = call.fully_connected_shape()?;
    let (x, weights) = (Operand::of(call, 0)?, Weights::of(call, 1)?);
    let requantiser = Requantiser::new(call, &x, &weights, bias(call, 2, n_out)?, true)?;
    let dot = if requantiser.is_wide() { wide_dot } else { dot };
    let centred = x.centred_i16();
    let mut output = vec![0; n * n_out];
    for (output, x) in output.chunks_exact_mut(n_out).zip(centred.chunks_exact(k)) {
        output.par_iter_mut().enumerate().for_each(|(channel, q)| {
            *q = requantiser.finish(channel, dot(x, &weights.centred[channel * k..][..k]));
        });
    }
    Ok(output)
}
