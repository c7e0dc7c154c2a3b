//! The boundary between floats and integers: rules N-2 and N-3. Both forms of a graph share them.

use systole_network::tensor::{Quant, Tensor};

use super::target::Target;
use crate::call::Call;
use crate::error::GoldenError;
use crate::value::Value;

/// Which channel each element of a tensor belongs to, for its scale and zero point.
struct Channels {
    count: usize,
    inner: usize,
}

impl Channels {
    /// Along the quantisation's axis; one channel when there is one scale.
    fn of(call: &Call<'_>, tensor: &Tensor, quant: &Quant) -> Result<Channels, GoldenError> {
        if quant.scale.len() == 1 && quant.zero_point.len() == 1 {
            return Ok(Channels { count: 1, inner: tensor.elements() });
        }
        let length = quant.axis.and_then(|axis| tensor.shape.get(axis).map(|&length| (axis, length)));
        match length {
            Some((axis, count)) if [quant.scale.len(), quant.zero_point.len()].iter().all(|&l| l == count) => {
                Ok(Channels { count, inner: tensor.shape[axis + 1..].iter().product() })
            }
            _ => Err(call.malformed(format!("scales and zero points of `{}` do not fit its shape", tensor.name))),
        }
    }

    fn channel(&self, i: usize) -> usize {
        (i / self.inner) % self.count
    }
}

/// Rule N-2: `sat(rhe(x / sy) + zy)`.
pub(crate) fn quantize(call: &Call<'_>) -> Result<Value, GoldenError> {
    let output = call.output()?;
    let quant = output.quant.as_ref().ok_or_else(|| call.malformed("the output has no scale"))?;
    let channels = Channels::of(call, output, quant)?;
    let x = call.f32(0)?;
    let (least, most) = output
        .dtype
        .range()
        .ok_or_else(|| call.malformed("the output is not of an integer type of 16 bits or fewer"))?;
    let (low, high) = call.node.clamp.unwrap_or((least, most));
    if low < least || high > most || low > high {
        return Err(call.malformed(format!("clamp [{low}, {high}] is not a part of [{least}, {most}]")));
    }
    let q = x.iter().enumerate().map(|(i, x)| {
        let channel = channels.channel(i);
        let scale = quant.scale_of(channel);
        Target { scale, zero: quant.zero_point_of(channel), low, high }.quantise(x / scale)
    });
    super::narrow(call, q.collect())
}

/// Rule N-3: `f32(q − zx) · sx`.
pub(crate) fn dequantize(call: &Call<'_>) -> Result<Value, GoldenError> {
    let input = call.input(0)?;
    let quant = input.quant.as_ref().ok_or_else(|| call.malformed("the input has no scale"))?;
    let channels = Channels::of(call, input, quant)?;
    let real = |(i, q): (usize, i64)| {
        let channel = channels.channel(i);
        (q - i64::from(quant.zero_point_of(channel))) as f32 * quant.scale_of(channel)
    };
    let x = match call.value(0)? {
        Value::I8(q) => q.iter().map(|&q| i64::from(q)).enumerate().map(real).collect(),
        Value::U8(q) => q.iter().map(|&q| i64::from(q)).enumerate().map(real).collect(),
        Value::I16(q) => q.iter().map(|&q| i64::from(q)).enumerate().map(real).collect(),
        Value::U16(q) => q.iter().map(|&q| i64::from(q)).enumerate().map(real).collect(),
        Value::I32(q) => q.iter().map(|&q| i64::from(q)).enumerate().map(real).collect(),
        other => return Err(call.malformed(format!("an input of type {}", other.dtype().name()))),
    };
    Ok(Value::F32(x))
}
