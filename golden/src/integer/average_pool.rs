//! Average pooling, over windows and global: rule N-5.

use systole_network::op::Pool;

use super::operand::Operand;
use super::rescale::Rescaling;
use super::scaling::is_integer;
use super::target::Target;
use crate::call::Call;
use crate::error::GoldenError;

/// How a sum becomes an average.
struct Average {
    x: Operand,
    target: Target,
    /// From the input's scale to the output's, in the integer form.
    rescaling: Option<Rescaling>,
}

impl Average {
    fn of(call: &Call<'_>) -> Result<Self, GoldenError> {
        let (x, target) = (Operand::of(call, 0)?, Target::of(call)?);
        let rescaling = match is_integer(call) {
            true => Some(Rescaling::new(call, &x, target)?),
            false => None,
        };
        Ok(Average { x, target, rescaling })
    }

    /// `sat(rhe(f32(sum − n_in·zx) · f32(sx / f32(sy · f32(n)))) + zy)`; in integers the quotient rounded half away from zero, rescaled.
    fn quantise(&self, sum: i64, n_in: usize, n: usize) -> i32 {
        let (zero, count) = (i64::from(self.x.zero), n as i64);
        let Some(rescaling) = &self.rescaling else {
            let centred = sum - n_in as i64 * zero;
            return self.target.quantise(centred as f32 * (self.x.scale / (self.target.scale * n as f32)));
        };
        let padded = sum + (n - n_in) as i64 * zero;
        let magnitude = (padded.abs() + count / 2) / count;
        // An average lies between its smallest and its largest element, so that it has the input's type.
        rescaling.apply((padded.signum() * magnitude) as i32)
    }
}

/// x `[n, c, h, w]`.
pub(crate) fn windows(call: &Call<'_>, pool: &Pool) -> Result<Vec<i32>, GoldenError> {
    let (planes, window) = call.pool_shape(pool)?;
    let average = Average::of(call)?;
    let (h, w) = (window.rows.input, window.cols.input);
    let mut output = Vec::with_capacity(planes * window.pixels());
    for plane in average.x.q.chunks_exact(h * w) {
        for oy in 0..window.rows.output {
            for ox in 0..window.cols.output {
                let (ys, xs) = (window.rows.inside(oy), window.cols.inside(ox));
                let n_in = ys.len() * xs.len();
                let n = match pool.count_include_pad {
                    true => window.rows.inside_padded(oy) * window.cols.inside_padded(ox),
                    false => n_in,
                };
                if n == 0 {
                    return Err(call.malformed("a window that lies wholly in padding"));
                }
                let sum = ys.flat_map(|y| xs.clone().map(move |x| i64::from(plane[y * w + x]))).sum();
                output.push(average.quantise(sum, n_in, n));
            }
        }
    }
    Ok(output)
}

/// x `[n, c, h, w]`, output `[n, c, 1, 1]`.
pub(crate) fn global(call: &Call<'_>) -> Result<Vec<i32>, GoldenError> {
    let [n, c, h, w] = call.nchw(0)?;
    call.expect_output([n, c, 1, 1])?;
    let average = Average::of(call)?;
    let sum = |plane: &[i32]| plane.iter().map(|&q| i64::from(q)).sum();
    Ok(average.x.q.chunks_exact(h * w).map(|plane| average.quantise(sum(plane), h * w, h * w)).collect())
}
