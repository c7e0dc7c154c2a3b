//! Integer inputs of a node, widened.

use systole_network::tensor::{DType, Tensor};

use crate::call::Call;
use crate::error::GoldenError;
use crate::value::Value;

/// An activation (or a constant that takes part as one), with one scale and one zero point.
pub(crate) struct Operand {
    /// The integers.
    pub(crate) q: Vec<i32>,
    /// `sx`.
    pub(crate) scale: f32,
    /// `zx`, inside the range of the type.
    pub(crate) zero: i32,
    /// Element type.
    pub(crate) dtype: DType,
}

impl Operand {
    /// Input `i` of a node.
    pub(crate) fn of(call: &Call<'_>, i: usize) -> Result<Operand, GoldenError> {
        let tensor = call.input(i)?;
        let (scale, zero) = per_tensor(call, i)?;
        Ok(Operand { q: widen(call, i)?, scale, zero, dtype: tensor.dtype })
    }

    /// `q − zero` of element `i`.
    pub(crate) fn at(&self, i: usize) -> i32 {
        self.q[i] - self.zero
    }

    /// `q − zero` of every element.
    pub(crate) fn centred(&self) -> impl Iterator<Item = i32> + '_ {
        self.q.iter().map(|&q| q - self.zero)
    }

    /// `q − zero` of every element in 16 bit: 8-bit values and zero points differ by 255 at most, wide ones have the zero point 0.
    pub(crate) fn centred_i16(&self) -> Vec<i16> {
        self.centred().map(|v| v as i16).collect()
    }
}

/// Weights `[m, ...]`, centred on their zero points, and the scale of each output channel.
pub(crate) struct Weights {
    /// `qw − zw`, in the tensor's order.
    pub(crate) centred: Vec<i16>,
    /// `sw[c]` of each output channel.
    pub(crate) scale: Vec<f32>,
}

impl Weights {
    /// Input `i` of a node, with output channels along its first axis.
    pub(crate) fn of(call: &Call<'_>, i: usize) -> Result<Weights, GoldenError> {
        let tensor = call.input(i)?;
        let channels = tensor.shape.first().copied().unwrap_or(0);
        let quant = tensor.quant.as_ref().ok_or_else(|| call.malformed("weights without a scale"))?;
        if tensor.dtype == DType::I16 {
            return Err(call.malformed("weights of 16 bits"));
        }
        let fits = |count: usize| count == 1 || (count == channels && quant.axis == Some(0));
        if !fits(quant.scale.len()) || !fits(quant.zero_point.len()) {
            return Err(call.malformed("weights have neither one scale nor one per output channel"));
        }
        for &zero in &quant.zero_point {
            check_zero(call, tensor, zero)?;
        }
        let mut centred: Vec<i16> = widen(call, i)?.into_iter().map(|q| q as i16).collect();
        let length: usize = tensor.shape.iter().skip(1).product();
        for (channel, row) in centred.chunks_exact_mut(length).enumerate() {
            let zero = quant.zero_point_of(channel) as i16;
            row.iter_mut().for_each(|q| *q -= zero);
        }
        Ok(Weights { centred, scale: (0..channels).map(|channel| quant.scale_of(channel)).collect() })
    }
}

/// The optional i32 bias, input `i`, of `channels` values; zeros when it is not there.
pub(crate) fn bias(call: &Call<'_>, i: usize, channels: usize) -> Result<Vec<i32>, GoldenError> {
    if call.node.inputs.len() <= i {
        return Ok(vec![0; channels]);
    }
    match call.value(i)? {
        Value::I32(bias) if bias.len() == channels => Ok(bias.clone()),
        other => Err(call.malformed(format!("bias of {} x {}", other.len(), other.dtype().name()))),
    }
}

/// The one scale and zero point of input `i`.
pub(crate) fn per_tensor(call: &Call<'_>, i: usize) -> Result<(f32, i32), GoldenError> {
    let tensor = call.input(i)?;
    match &tensor.quant {
        Some(quant) if quant.scale.len() == 1 && quant.zero_point.len() == 1 => {
            check_zero(call, tensor, quant.zero_point[0])?;
            Ok((quant.scale[0], quant.zero_point[0]))
        }
        _ => Err(call.malformed(format!("input {i} has not one scale and one zero point"))),
    }
}

/// Refuses a zero point outside the range of its type.
fn check_zero(call: &Call<'_>, tensor: &Tensor, zero: i32) -> Result<(), GoldenError> {
    match tensor.dtype.range() {
        // Wide activations are symmetric (rule N-21).
        Some(_) if tensor.dtype == DType::I16 && zero == 0 => Ok(()),
        Some((low, high)) if tensor.dtype != DType::I16 && (low..=high).contains(&zero) => Ok(()),
        _ => Err(call.malformed(format!("zero point {zero} of `{}` does not fit its type", tensor.name))),
    }
}

/// The integers of input `i`, widened.
fn widen(call: &Call<'_>, i: usize) -> Result<Vec<i32>, GoldenError> {
    match call.value(i)? {
        Value::I8(q) => Ok(q.iter().map(|&q| i32::from(q)).collect()),
        Value::U8(q) => Ok(q.iter().map(|&q| i32::from(q)).collect()),
        Value::I16(q) => Ok(q.iter().map(|&q| i32::from(q)).collect()),
        other => Err(call.malformed(format!("input {i} is {}, not i8, u8 or i16", other.dtype().name()))),
    }
}
