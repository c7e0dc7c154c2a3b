//! Local response normalisation in single precision, with the platform's power.

use systole_network::op::Lrn;

use crate::call::Call;
use crate::error::GoldenError;

/// x `[n, c, h, w]`.
pub(crate) fn evaluate(call: &Call<'_>, lrn: &Lrn) -> Result<Vec<f32>, GoldenError> {
    let [_, c, h, w] = call.nchw(0)?;
    let x = call.f32(0)?;
    if lrn.size == 0 {
        return Err(call.malformed("a window of no channels"));
    }
    let (pixels, share) = (h * w, lrn.alpha / lrn.size as f32);
    let mut output = Vec::with_capacity(x.len());
    for image in x.chunks_exact(c * pixels) {
        for channel in 0..c {
            let first = channel.saturating_sub((lrn.size - 1) / 2);
            let last = (channel + lrn.size / 2).min(c - 1);
            for pixel in 0..pixels {
                let at = |channel: usize| image[channel * pixels + pixel];
                let squares: f32 = (first..=last).map(|near| at(near) * at(near)).sum();
                output.push(at(channel) * (lrn.bias + share * squares).powf(-lrn.beta));
            }
        }
    }
    Ok(output)
}
