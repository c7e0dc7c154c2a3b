//! Deformable convolution in single precision, with ONNX's mask (v2), and the samples alone.

use rayon::prelude::*;
use systole_network::op::Deform;

use super::conv::dot;
use crate::call::Call;
use crate::deform::Sampler;
use crate::error::GoldenError;

/// x `[n, c, h, w]` and offsets to `[n, c · taps, h, w]`.
pub(crate) fn samples(call: &Call<'_>, deform: &Deform) -> Result<Vec<f32>, GoldenError> {
    let sampler = Sampler::of(call, deform, 1)?;
    let Sampler { n, c, taps, ref window, .. } = sampler;
    call.expect_output([n, c * taps, window.rows.output, window.cols.output])?;
    Ok(sampler.samples(call.f32(0)?, call.f32(1)?))
}

/// x, weights `[m, c / groups, kh, kw]`, offsets, optional bias `[m]`, optional mask `[n, offset groups · taps, h, w]`.
pub(crate) fn evaluate(call: &Call<'_>, deform: &Deform) -> Result<Vec<f32>, GoldenError> {
    let m = call.conv_shape(&deform.conv)?.m;
    let sampler = Sampler::of(call, deform, 2)?;
    let mut samples = sampler.samples(call.f32(0)?, call.f32(2)?);
    let (mut bias, mut mask) = (None, None);
    for input in 3..call.node.inputs.len() {
        // A mask has rank 4, a bias rank 1.
        *(if call.input(input)?.shape.len() == 1 { &mut bias } else { &mut mask }) = Some(input);
    }
    if let Some(input) = mask {
        sampler.check(call, input, 1)?;
        masked(&sampler, call.f32(input)?, &mut samples);
    }
    let bias = match bias {
        Some(input) => call.f32_vector(input, m)?.to_vec(),
        None => vec![0.0; m],
    };
    Ok(summed(&sampler, &samples, &tap_major(&sampler, call.f32(1)?), &bias))
}

/// Each sample times the mask of its tap.
fn masked(sampler: &Sampler, mask: &[f32], samples: &mut [f32]) {
    let (pixels, of_group) = (sampler.window.pixels(), sampler.c / sampler.groups);
    let of_image = sampler.c * sampler.taps;
    samples.par_chunks_exact_mut(pixels).enumerate().for_each(|(index, samples)| {
        let (image, within) = (index / of_image, index % of_image);
        let channel = within / (sampler.taps * of_group) * of_group + within % of_group;
        let plane = &mask[sampler.mask(image, channel, within / of_group % sampler.taps) * pixels..][..pixels];
        samples.iter_mut().zip(plane).for_each(|(sample, mask)| *sample *= mask);
    });
}

/// Weights `[m, c / groups, taps]` as `[m, taps, c / groups]`, the order of the samples.
fn tap_major(sampler: &Sampler, weights: &[f32]) -> Vec<f32> {
    let (taps, of_group) = (sampler.taps, sampler.c / sampler.groups);
    let rows = weights.chunks_exact(taps * of_group);
    rows.flat_map(|row| (0..taps * of_group).map(move |i| row[i % of_group * taps + i / of_group])).collect()
}

/// `[n, m, pixels]`.
fn summed(sampler: &Sampler, samples: &[f32], weights: &[f32], bias: &[f32]) -> Vec<f32> {
    let (pixels, m) = (sampler.window.pixels(), bias.len());
    let length = sampler.taps * sampler.c / sampler.groups;
    let mut output = vec![0.0; sampler.n * m * pixels];
    // The samples of a pixel side by side.
    let rows: Vec<f32> = samples
        .par_chunks_exact(length * pixels)
        .flat_map_iter(|group| (0..length * pixels).map(|i| group[i % length * pixels + i / length]))
        .collect();
    output.par_chunks_exact_mut(pixels).enumerate().for_each(|(index, out)| {
        let (image, channel) = (index / m, index % m);
        let group = image * sampler.groups + channel / (m / sampler.groups);
        let weights = &weights[channel * length..][..length];
        for (pixel, out) in out.iter_mut().enumerate() {
            *out = dot(&rows[(group * pixels + pixel) * length..][..length], weights) + bias[channel];
        }
    });
    output
}
