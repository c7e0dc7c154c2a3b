//! Transposition: rule N-15.

use super::Sources;
use crate::call::Call;
use crate::error::GoldenError;

/// Output axis i is input axis `perm[i]`.
pub(super) fn sources(call: &Call<'_>, perm: &[usize]) -> Result<Sources, GoldenError> {
    let (input, output) = (call.input(0)?, call.output()?);
    let expected: Option<Vec<usize>> = perm.iter().map(|&axis| input.shape.get(axis).copied()).collect();
    if expected.as_ref() != Some(&output.shape) || perm.len() != input.shape.len() {
        return Err(call.malformed(format!("{:?} by {perm:?} is not {:?}", input.shape, output.shape)));
    }
    let step = |axis: usize| input.shape[axis + 1..].iter().product::<usize>();
    let mut indices = vec![0];
    for (&axis, &length) in perm.iter().zip(&output.shape) {
        indices = indices.iter().flat_map(|base| (0..length).map(move |i| base + i * step(axis))).collect();
    }
    Ok(indices.into_iter().map(Some).collect())
}
