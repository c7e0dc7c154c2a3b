//! Transposition of any value: rule N-15. Both forms use it.

use systole_network::tensor::Tensor;

use crate::call::Call;
use crate::error::GoldenError;
use crate::value::Value;

/// Output axis i is input axis `perm[i]`.
pub(crate) fn evaluate(call: &Call<'_>, perm: &[usize]) -> Result<Value, GoldenError> {
    let (input, output) = (call.input(0)?, call.output()?);
    let expected: Option<Vec<usize>> = perm.iter().map(|&axis| input.shape.get(axis).copied()).collect();
    if expected.as_ref() != Some(&output.shape) || perm.len() != input.shape.len() {
        return Err(call.malformed(format!("{:?} by {perm:?} is not {:?}", input.shape, output.shape)));
    }
    let from = sources(input, output, perm);
    Ok(match call.value(0)? {
        Value::F32(v) => Value::F32(from.iter().map(|&i| v[i]).collect()),
        Value::I8(v) => Value::I8(from.iter().map(|&i| v[i]).collect()),
        Value::U8(v) => Value::U8(from.iter().map(|&i| v[i]).collect()),
        Value::I16(v) => Value::I16(from.iter().map(|&i| v[i]).collect()),
        Value::I32(v) => Value::I32(from.iter().map(|&i| v[i]).collect()),
        Value::I64(v) => Value::I64(from.iter().map(|&i| v[i]).collect()),
    })
}

/// For each output element in order, the index of the input element that it is.
fn sources(input: &Tensor, output: &Tensor, perm: &[usize]) -> Vec<usize> {
    let step = |axis: usize| input.shape[axis + 1..].iter().product::<usize>();
    let mut indices = vec![0];
    for (&axis, &length) in perm.iter().zip(&output.shape) {
        indices = indices.iter().flat_map(|base| (0..length).map(move |i| base + i * step(axis))).collect();
    }
    indices
}
