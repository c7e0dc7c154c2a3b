//! Concatenation along the channels, of floats or of integers of one type and scale.

use crate::call::Call;
use crate::error::GoldenError;
use crate::shapes::interleave;
use crate::value::{Element, Value, each};

/// Inputs `[n, c_i, ...]`, output `[n, Σ c_i, ...]`.
pub(crate) fn evaluate(call: &Call<'_>) -> Result<Value, GoldenError> {
    fn of<T: Element>(call: &Call<'_>, _: &[T]) -> Result<Value, GoldenError> {
        let inputs: Option<Vec<&[T]>> = call.values.iter().map(|value| T::elements(value)).collect();
        let inputs = inputs.ok_or_else(|| call.malformed("inputs of several types"))?;
        Ok(T::value(interleave(&inputs, &call.concat_runs()?)))
    }
    let quant = &call.output()?.quant;
    for i in 0..call.node.inputs.len() {
        if call.input(i)?.quant != *quant {
            return Err(call.malformed("inputs of several scales"));
        }
    }
    each!(call.value(0)?, first => of(call, first))
}
