//! Sum of three or more: rule N-14.

use super::operand::Operand;
use super::target::Target;
use crate::call::Call;
use crate::error::GoldenError;

/// Equal shapes.
pub(crate) fn evaluate(call: &Call<'_>) -> Result<Vec<i32>, GoldenError> {
    let target = Target::of(call)?;
    let mut sums: Vec<f32> = vec![];
    for i in 0..call.node.inputs.len() {
        let operand = Operand::of(call, i)?;
        let terms = operand.centred().map(|q| q as f32 * operand.scale);
        if i == 0 {
            sums = terms.collect();
        } else if call.input(i)?.shape == call.input(0)?.shape {
            sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
        } else {
            return Err(call.malformed("operands of different shapes"));
        }
    }
    Ok(sums.into_iter().map(|v| target.quantise(v / target.scale)).collect())
}
