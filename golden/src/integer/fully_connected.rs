//! Fully connected: rule N-1 with the whole input as the window.

use rayon::prelude::*;

use super::conv::{dot, multipliers};
use super::operand::{Operand, Weights, bias};
use super::target::Target;
use crate::call::Call;
use crate::error::GoldenError;

/// x `[n, k]`, weights `[n_out, k]`, optional bias `[n_out]`.
pub(crate) fn evaluate(call: &Call<'_>) -> Result<Vec<i32>, GoldenError> {
    let [n, k, n_out] = call.fully_connected_shape()?;
    let (x, weights, target) = (Operand::of(call, 0)?, Weights::of(call, 1)?, Target::of(call)?);
    let bias = bias(call, 2, n_out)?;
    let m = multipliers(x.scale, &weights.scale, target);
    let centred = x.centred_i16();
    let mut output = vec![0; n * n_out];
    for (output, x) in output.chunks_exact_mut(n_out).zip(centred.chunks_exact(k)) {
        output.par_iter_mut().enumerate().for_each(|(channel, q)| {
            let acc = dot(x, &weights.centred[channel * k..][..k]).wrapping_add(bias[channel]);
            *q = target.quantise(acc as f32 * m[channel]);
        });
    }
    Ok(output)
}
