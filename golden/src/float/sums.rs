//! Integer sums that a file scales by itself: ConvInteger, MatMulInteger, and the Cast behind them. Rule N-16.

use systole_network::op::Conv;

use crate::call::Call;
use crate::error::GoldenError;
use crate::patches::Group;
use crate::value::Value;

/// Input `i` minus its zero point.
fn centred(call: &Call<'_>, i: usize, zero: i32) -> Result<Vec<i32>, GoldenError> {
    match call.value(i)? {
        Value::I8(q) => Ok(q.iter().map(|&q| i32::from(q) - zero).collect()),
        Value::U8(q) => Ok(q.iter().map(|&q| i32::from(q) - zero).collect()),
        Value::I16(q) => Ok(q.iter().map(|&q| i32::from(q) - zero).collect()),
        other => Err(call.malformed(format!("input {i} is {}, not i8, u8 or i16", other.dtype().name()))),
    }
}

/// Modulo 2^32.
fn dot(x: &[i32], w: &[i32]) -> i32 {
    x.iter().zip(w).fold(0, |sum: i32, (x, w)| sum.wrapping_add(x.wrapping_mul(*w)))
}

/// x `[n, c, h, w]`, weights `[m, c / groups, kh, kw]`.
pub(crate) fn convolution(call: &Call<'_>, conv: &Conv, zeros: [i32; 2]) -> Result<Vec<i32>, GoldenError> {
    let shape = call.conv_shape(conv)?;
    let (x, weights) = (centred(call, 0, zeros[0])?, centred(call, 1, zeros[1])?);
    let window = &shape.window;
    let (channels, m_group) = (shape.c / conv.groups, shape.m / conv.groups);
    let image = channels * window.rows.input * window.cols.input;
    let length = channels * window.rows.kernel * window.cols.kernel;
    let mut output = vec![0; shape.n * shape.m * window.pixels()];
    for (index, output) in output.chunks_exact_mut(m_group * window.pixels()).enumerate() {
        let weights = &weights[index % conv.groups * m_group * length..][..m_group * length];
        Group { x: &x[index * image..][..image], weights, channels, window }.run(output, dot, |_, sum| sum);
    }
    Ok(output)
}

/// x `[n, k]`, weights `[n_out, k]`.
pub(crate) fn product(call: &Call<'_>, zeros: [i32; 2]) -> Result<Vec<i32>, GoldenError> {
    let [_, k, _] = call.fully_connected_shape()?;
    let (x, weights) = (centred(call, 0, zeros[0])?, centred(call, 1, zeros[1])?);
    Ok(x.chunks_exact(k).flat_map(|row| weights.chunks_exact(k).map(|w| dot(row, w))).collect())
}

/// i32 to the nearest f32.
pub(crate) fn cast(call: &Call<'_>) -> Result<Vec<f32>, GoldenError> {
    match call.value(0)? {
        Value::I32(sums) => Ok(sums.iter().map(|&sum| sum as f32).collect()),
        other => Err(call.malformed(format!("a cast of {}", other.dtype().name()))),
    }
}
