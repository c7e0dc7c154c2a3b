//! Concatenation along the channels, of floats or of integers of one type and scale.

use crate::call::Call;
use crate::error::GoldenError;
use crate::shapes::interleave;
use crate::value::Value;

/// Inputs `[n, c_i, ...]`, output `[n, Σ c_i, ...]`.
pub(crate) fn evaluate(call: &Call<'_>) -> Result<Value, GoldenError> {
    match call.value(0)? {
        Value::F32(_) => joined(call, |value| if let Value::F32(v) = value { Some(v) } else { None }).map(Value::F32),
        Value::I8(_) => joined(call, |value| if let Value::I8(v) = value { Some(v) } else { None }).map(Value::I8),
        Value::U8(_) => joined(call, |value| if let Value::U8(v) = value { Some(v) } else { None }).map(Value::U8),
        other => Err(call.malformed(format!("inputs of type {}", other.dtype().name()))),
    }
}

/// The inputs' elements, image by image; `elements` is `None` for a value of another type than the first.
fn joined<T: Copy>(call: &Call<'_>, elements: impl Fn(&Value) -> Option<&Vec<T>>) -> Result<Vec<T>, GoldenError> {
    let inputs: Option<Vec<&[T]>> = call.values.iter().map(|value| elements(value).map(Vec::as_slice)).collect();
    let inputs = inputs.ok_or_else(|| call.malformed("inputs of several types"))?;
    let quant = &call.output()?.quant;
    for i in 0..inputs.len() {
        if call.input(i)?.quant != *quant {
            return Err(call.malformed("inputs of several scales"));
        }
    }
    Ok(interleave(&inputs, &call.concat_runs()?))
}
