//! Means over axes, in double precision, rounded once.

use crate::broadcast::source;
use crate::call::Call;
use crate::error::GoldenError;

/// Means over `axes`, which ascend; the order of the others stays.
pub(crate) fn evaluate(call: &Call<'_>, axes: &[usize]) -> Result<Vec<f32>, GoldenError> {
    let shape = &call.input(0)?.shape;
    if axes.iter().any(|&axis| axis >= shape.len()) {
        return Err(call.malformed(format!("means over the axes {axes:?} of the shape {shape:?}")));
    }
    let kept: Vec<usize> = (0..shape.len()).map(|axis| if axes.contains(&axis) { 1 } else { shape[axis] }).collect();
    let mut sums = vec![0.0f64; kept.iter().product()];
    for (index, &x) in call.f32(0)?.iter().enumerate() {
        sums[source(index, shape, &kept)] += f64::from(x);
    }
    let count: usize = axes.iter().map(|&axis| shape[axis]).product();
    Ok(sums.into_iter().map(|sum| (sum / count as f64) as f32).collect())
}
