//! Average pooling of floats, over windows and global. Sums are in double precision.

use systole_network::op::Pool;

use crate::call::Call;
use crate::error::GoldenError;

/// x `[n, c, h, w]`.
pub(crate) fn windows(call: &Call<'_>, pool: &Pool) -> Result<Vec<f32>, GoldenError> {
    let (planes, window) = call.pool_shape(pool)?;
    let x = call.f32(0)?;
    let (h, w) = (window.rows.input, window.cols.input);
    let mut output = Vec::with_capacity(planes * window.pixels());
    for plane in x.chunks_exact(h * w) {
        for oy in 0..window.rows.output {
            for ox in 0..window.cols.output {
                let (ys, xs) = (window.rows.inside(oy), window.cols.inside(ox));
                let n = match pool.count_include_pad {
                    true => window.rows.inside_padded(oy) * window.cols.inside_padded(ox),
                    false => ys.len() * xs.len(),
                };
                if n == 0 {
                    return Err(call.malformed("a window that lies wholly in padding"));
                }
                let sum: f64 = ys.flat_map(|y| xs.clone().map(move |x| f64::from(plane[y * w + x]))).sum();
                output.push((sum / n as f64) as f32);
            }
        }
    }
    Ok(output)
}

/// x `[n, c, h, w]`, output `[n, c, 1, 1]`.
pub(crate) fn global(call: &Call<'_>) -> Result<Vec<f32>, GoldenError> {
    let [n, c, h, w] = call.nchw(0)?;
    call.expect_output([n, c, 1, 1])?;
    let mean = |plane: &[f32]| (plane.iter().map(|&v| f64::from(v)).sum::<f64>() / (h * w) as f64) as f32;
    Ok(call.f32(0)?.chunks_exact(h * w).map(mean).collect())
}
