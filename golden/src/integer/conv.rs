//! Convolution: rule N-1.

use rayon::prelude::*;
use systole_network::op::Conv;

use super::operand::{Operand, Weights, bias};
use super::target::Target;
use crate::call::Call;
use crate::error::GoldenError;
use crate::patches::Group;

/// Sum of products, modulo 2^32.
pub(crate) fn dot(x: &[i16], w: &[i16]) -> i32 {
    x.iter().zip(w).map(|(&x, &w)| i32::from(x) * i32::from(w)).fold(0, i32::wrapping_add)
}

/// `m[c] = f32(f32(sx · sw[c]) / sy)` for each output channel.
pub(crate) fn multipliers(x_scale: f32, weight_scales: &[f32], target: Target) -> Vec<f32> {
    weight_scales.iter().map(|&w_scale| x_scale * w_scale / target.scale).collect()
}

/// x `[n, c, h, w]`, weights `[m, c / groups, kh, kw]`, optional bias `[m]`.
pub(crate) fn evaluate(call: &Call<'_>, conv: &Conv) -> Result<Vec<i32>, GoldenError> {
    let shape = call.conv_shape(conv)?;
    let (x, weights, target) = (Operand::of(call, 0)?, Weights::of(call, 1)?, Target::of(call)?);
    let bias = bias(call, 2, shape.m)?;
    let m = multipliers(x.scale, &weights.scale, target);
    let centred = x.centred_i16();
    let window = &shape.window;
    let (c_group, m_group) = (shape.c / conv.groups, shape.m / conv.groups);
    let plane = window.rows.input * window.cols.input;
    let length = c_group * window.rows.kernel * window.cols.kernel;
    let mut output = vec![0; shape.n * shape.m * window.pixels()];
    output.par_chunks_exact_mut(m_group * window.pixels()).enumerate().for_each(|(index, output)| {
        let first = (index % conv.groups) * m_group;
        let group = Group {
            x: &centred[index * c_group * plane..][..c_group * plane],
            weights: &weights.centred[first * length..][..m_group * length],
            channels: c_group,
            window,
        };
        group.run(output, dot, |channel, sum: i32| {
            let acc = sum.wrapping_add(bias[first + channel]);
            target.quantise(acc as f32 * m[first + channel])
        });
    });
    Ok(output)
}
