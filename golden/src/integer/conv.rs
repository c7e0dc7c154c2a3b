//! Convolution: rule N-1.

use rayon::prelude::*;
use systole_network::op::Conv;

use super::operand::{Operand, Weights, bias};
use super::requantise::{Requantiser, dot, wide_dot};
use crate::call::Call;
use crate::error::GoldenError;
use crate::patches::Group;

/// x `[n, c, h, w]`, weights `[m, c / groups, kh, kw]`, optional bias `[m]`.
pub(crate) fn evaluate(call: &Call<'_>, conv: &Conv) -> Result<Vec<i32>, GoldenError> {
    let shape = call.conv_shape(conv)?;
    let (x, weights) = (Operand::of(call, 0)?, Weights::of(call, 1)?);
    let requantiser = Requantiser::new(call, &x, &weights, bias(call, 2, shape.m)?, false)?;
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
        let finish = |channel, sum| requantiser.finish(first + channel, sum);
        match requantiser.is_wide() {
            true => group.run(output, wide_dot, finish),
            false => group.run(output, dot, finish),
        }
    });
    Ok(output)
}
