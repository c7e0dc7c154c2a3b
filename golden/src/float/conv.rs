//! Convolution in single precision.

use rayon::prelude::*;
use systole_network::op::Conv;

use crate::call::Call;
use crate::error::GoldenError;
use crate::patches::Group;

/// Partial sums that a scalar product keeps, so that it need not wait for each addition.
const LANES: usize = 16;

/// Sum of products: lane `i` takes every 16th element, then the lanes are added in order, then what is left over.
pub(crate) fn dot(x: &[f32], w: &[f32]) -> f32 {
    let (x_blocks, x_rest) = x.as_chunks::<LANES>();
    let (w_blocks, w_rest) = w.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for (x, w) in x_blocks.iter().zip(w_blocks) {
        for lane in 0..LANES {
            lanes[lane] += x[lane] * w[lane];
        }
    }
    let rest = x_rest.iter().zip(w_rest).map(|(x, w)| x * w);
    lanes.into_iter().chain(rest).fold(0.0, |sum, v| sum + v)
}

/// The optional bias, input 2, of `channels` values; zeros when it is not there.
pub(crate) fn bias(call: &Call<'_>, channels: usize) -> Result<Vec<f32>, GoldenError> {
    if call.node.inputs.len() <= 2 {
        return Ok(vec![0.0; channels]);
    }
    call.f32_vector(2, channels).map(<[f32]>::to_vec)
}

/// x `[n, c, h, w]`, weights `[m, c / groups, kh, kw]`, optional bias `[m]`.
pub(crate) fn evaluate(call: &Call<'_>, conv: &Conv) -> Result<Vec<f32>, GoldenError> {
    let shape = call.conv_shape(conv)?;
    let (x, weights, bias) = (call.f32(0)?, call.f32(1)?, bias(call, shape.m)?);
    let window = &shape.window;
    let (c_group, m_group) = (shape.c / conv.groups, shape.m / conv.groups);
    let plane = window.rows.input * window.cols.input;
    let length = c_group * window.rows.kernel * window.cols.kernel;
    let mut output = vec![0.0; shape.n * shape.m * window.pixels()];
    output.par_chunks_exact_mut(m_group * window.pixels()).enumerate().for_each(|(index, output)| {
        let first = (index % conv.groups) * m_group;
        let group = Group {
            x: &x[index * c_group * plane..][..c_group * plane],
            weights: &weights[first * length..][..m_group * length],
            channels: c_group,
            window,
        };
        group.run(output, dot, |channel, sum| sum + bias[first + channel]);
    });
    Ok(output)
}
