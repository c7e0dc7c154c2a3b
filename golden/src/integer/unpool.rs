//! Switches of maximum pooling, and unpooling: rule N-27.

use systole_network::op::Pool;
use systole_network::tensor::{DType, Quant};

use super::operand::Operand;
use crate::call::Call;
use crate::error::GoldenError;

/// Taps that a byte can name.
const MAX_TAPS: usize = 256;

/// The tap of each window's first maximum.
pub(crate) fn switches(call: &Call<'_>, pool: &Pool) -> Result<Vec<i32>, GoldenError> {
    let (planes, window) = call.pool_shape(pool)?;
    let (output, x) = (call.output()?, Operand::of(call, 0)?);
    let plain = output.dtype == DType::U8 && output.quant == Some(Quant::per_tensor(1.0, 0));
    if !plain || call.node.clamp.is_some() || window.rows.kernel * window.cols.kernel > MAX_TAPS {
        return Err(call.malformed("switches are u8 of scale 1, for windows of at most 256 taps, without a clamp"));
    }
    let (h, w) = (window.rows.input, window.cols.input);
    let mut all = Vec::with_capacity(planes * window.pixels());
    for plane in x.q.chunks_exact(h * w) {
        for oy in 0..window.rows.output {
            for ox in 0..window.cols.output {
                let mut best: Option<(i32, usize)> = None;
                for ky in 0..window.rows.kernel {
                    for kx in 0..window.cols.kernel {
                        let Some((y, x)) = window.rows.at(oy, ky).zip(window.cols.at(ox, kx)) else { continue };
                        let value = plane[y * w + x];
                        if best.is_none_or(|(largest, _)| value > largest) {
                            best = Some((value, ky * window.cols.kernel + kx));
                        }
                    }
                }
                let (_, tap) = best.ok_or_else(|| call.malformed("a window that lies wholly in padding"))?;
                all.push(tap as i32);
            }
        }
    }
    Ok(all)
}

/// x and its switches to the image that the graph says.
pub(crate) fn evaluate(call: &Call<'_>, pool: &Pool) -> Result<Vec<i32>, GoldenError> {
    let [n, c, h, w] = call.nchw(0)?;
    let (x, switches, output) = (Operand::of(call, 0)?, Operand::of(call, 1)?, call.output()?);
    let Some([out_n, out_c, out_h, out_w]) = output.nchw() else {
        return Err(call.malformed(format!("an output of shape {:?}", output.shape)));
    };
    if output.quant != call.input(0)?.quant || output.dtype != x.dtype || call.node.clamp.is_some() {
        return Err(call.malformed("unpooling may not change the quantisation"));
    }
    if (out_n, out_c) != (n, c) || call.nchw(1)? != [n, c, h, w] {
        return Err(call.malformed("shapes that do not fit each other"));
    }
    let [kh, kw] = pool.kernel;
    let mut all = vec![x.zero; n * c * out_h * out_w];
    for (index, (&value, &tap)) in x.q.iter().zip(&switches.q).enumerate() {
        let (plane, wy, wx) = (index / (h * w), index / w % h, index % w);
        let tap = usize::try_from(tap).ok().filter(|&tap| tap < kh * kw);
        let tap = tap.ok_or_else(|| call.malformed("a switch that is no tap of the window"))?;
        let y = (wy * pool.stride[0] + tap / kw * pool.dilation[0]).checked_sub(pool.pads[0]).filter(|&y| y < out_h);
        let x = (wx * pool.stride[1] + tap % kw * pool.dilation[1]).checked_sub(pool.pads[1]).filter(|&x| x < out_w);
        if let Some((y, x)) = y.zip(x) {
            all[(plane * out_h + y) * out_w + x] = value;
        }
    }
    Ok(all)
}
