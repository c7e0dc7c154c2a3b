//! Maximum pooling: rule N-4, then N-9 where the output's scale, zero point or type differs or there is a clamp.

use systole_network::op::Pool;

use super::operand::Operand;
use super::rescale::Rescaling;
use super::target::Target;
use crate::call::Call;
use crate::error::GoldenError;

/// x `[n, c, h, w]`.
pub(crate) fn evaluate(call: &Call<'_>, pool: &Pool) -> Result<Vec<i32>, GoldenError> {
    let (planes, window) = call.pool_shape(pool)?;
    let (x, target) = (Operand::of(call, 0)?, Target::of(call)?);
    let rescaling = Rescaling::new(call, &x, target)?;
    let (h, w) = (window.rows.input, window.cols.input);
    let mut output = Vec::with_capacity(planes * window.pixels());
    for plane in x.q.chunks_exact(h * w) {
        for oy in 0..window.rows.output {
            for ox in 0..window.cols.output {
                let cols = window.cols.inside(ox);
                let inside = window.rows.inside(oy).flat_map(|y| cols.clone().map(move |x| plane[y * w + x]));
                let largest = inside.max().ok_or_else(|| call.malformed("a window that lies wholly in padding"))?;
                output.push(rescaling.apply(largest));
            }
        }
    }
    Ok(output)
}
