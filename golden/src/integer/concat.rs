//! Concatenation along the channels; inputs of another scale follow rule N-9.

use super::operand::Operand;
use super::rescale::Rescaling;
use super::target::Target;
use crate::call::Call;
use crate::error::GoldenError;
use crate::shapes::interleave;

/// Inputs `[n, c_i, ...]`, output `[n, Σ c_i, ...]`.
pub(crate) fn evaluate(call: &Call<'_>) -> Result<Vec<i32>, GoldenError> {
    let target = Target::of(call)?;
    let runs = call.concat_runs()?;
    let mut inputs = vec![];
    for i in 0..runs.len() {
        let mut x = Operand::of(call, i)?;
        let rescaling = Rescaling::new(call, &x, target)?;
        x.q.iter_mut().for_each(|q| *q = rescaling.apply(*q));
        inputs.push(x.q);
    }
    let inputs: Vec<&[i32]> = inputs.iter().map(Vec::as_slice).collect();
    Ok(interleave(&inputs, &runs))
}
