//! Softmax over the channels of each pixel in single precision, with the platform's exponential.

use crate::call::Call;
use crate::error::GoldenError;

/// x `[n, c, h, w]`.
pub(crate) fn evaluate(call: &Call<'_>) -> Result<Vec<f32>, GoldenError> {
    let [_, c, h, w] = call.nchw(0)?;
    let pixels = h * w;
    let mut output = call.f32(0)?.to_vec();
    for image in output.chunks_exact_mut(c * pixels) {
        for position in 0..pixels {
            let largest = image[position..].iter().step_by(pixels).copied().fold(f32::NEG_INFINITY, f32::max);
            let mut sum = 0.0;
            for x in image[position..].iter_mut().step_by(pixels) {
                *x = (*x - largest).exp();
                sum += *x;
            }
            image[position..].iter_mut().step_by(pixels).for_each(|e| *e /= sum);
        }
    }
    Ok(output)
}
