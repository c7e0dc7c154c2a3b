//! The quantised form: i8, u8 and i16 activations (and sums, rule N-16) with a scale and a zero point, by the rules of `docs/numerics.md`.
//!
//! Every operator widens its inputs to i32, computes, and hands back i32 values inside the output's range, which this file
//! narrows to the output's type.

mod add;
mod average_pool;
mod batch_norm;
mod boundary;
mod choose;
mod concat;
mod conv;
mod conv_transpose;
mod deform;
mod fully_connected;
mod function;
mod lrn;
mod max_pool;
mod mul;
mod operand;
mod requantise;
mod rescale;
mod resize;
mod scaling;
mod sign;
mod softmax;
mod sum;
mod target;
mod unpool;

pub(crate) use boundary::{dequantize, quantize};
pub(crate) use target::Target;

use systole_network::op::{Interpolation, Op};
use systole_network::tensor::DType;

use crate::call::Call;
use crate::error::GoldenError;
use crate::moves;
use crate::value::Value;

/// The output of a node of the quantised form.
pub(crate) fn evaluate(call: &Call<'_>) -> Result<Value, GoldenError> {
    let q = match &call.node.op {
        Op::Conv(conv) => conv::evaluate(call, conv)?,
        Op::ConvTranspose(conv) => conv_transpose::evaluate(call, conv)?,
        Op::FullyConnected => fully_connected::evaluate(call)?,
        Op::MaxPool(pool) => max_pool::evaluate(call, pool)?,
        Op::AveragePool(pool) => average_pool::windows(call, pool)?,
        Op::GlobalAveragePool => average_pool::global(call)?,
        Op::Add | Op::Sub => add::evaluate(call)?,
        Op::Mul => mul::evaluate(call)?,
        Op::BatchNorm { .. } => batch_norm::evaluate(call)?,
        Op::Concat => concat::evaluate(call)?,
        Op::Softmax => softmax::evaluate(call)?,
        Op::Lrn(attributes) => lrn::evaluate(call, attributes)?,
        Op::Sum => sum::evaluate(call)?,
        Op::GlobalMaxPool => max_pool::evaluate(call, &call.whole_image()?)?,
        Op::Div => choose::quotient(call)?,
        Op::Max => choose::evaluate(call, i32::max)?,
        Op::Min => choose::evaluate(call, i32::min)?,
        Op::Function(function) => function::evaluate(call, *function)?,
        Op::PRelu => function::prelu(call)?,
        Op::Resize(attributes) if attributes.interpolation == Interpolation::Linear => {
            resize::evaluate(call, attributes)?
        }
        Op::Transpose { .. }
        | Op::Slice { .. }
        | Op::Pad { .. }
        | Op::DepthToSpace { .. }
        | Op::SpaceToDepth { .. }
        | Op::Resize(_) => {
            rescale::check_view(call)?;
            return moves::evaluate(call);
        }
        Op::Rescale => rescale::evaluate(call)?,
        Op::Reshape | Op::Identity => return rescale::view(call),
        Op::DeformSample(deform) => deform::evaluate(call, deform)?,
        Op::ArgMaxPool(pool) => unpool::switches(call, pool)?,
        Op::MaxUnpool(pool) => unpool::evaluate(call, pool)?,
        Op::Quantize => return quantize(call),
        Op::Dequantize => return dequantize(call),
        Op::DeformConv(_) | Op::ReduceMean { .. } => return Err(call.unsupported()),
        Op::Relu | Op::Clip { .. } | Op::Binarize | Op::ConvInteger { .. } | Op::MatMulInteger { .. } | Op::Cast => {
            return Err(call.unsupported());
        }
    };
    narrow(call, q)
}

/// `q` in the output's type.
fn narrow(call: &Call<'_>, q: Vec<i32>) -> Result<Value, GoldenError> {
    let outside = |_| call.malformed("a result outside the output's type");
    match call.output()?.dtype.held() {
        DType::I8 => q.into_iter().map(i8::try_from).collect::<Result<_, _>>().map(Value::I8).map_err(outside),
        DType::U8 => q.into_iter().map(u8::try_from).collect::<Result<_, _>>().map(Value::U8).map_err(outside),
        DType::I16 => q.into_iter().map(i16::try_from).collect::<Result<_, _>>().map(Value::I16).map_err(outside),
        DType::U16 => q.into_iter().map(u16::try_from).collect::<Result<_, _>>().map(Value::U16).map_err(outside),
        DType::I32 => Ok(Value::I32(q)),
        other => Err(call.malformed(format!("an integer output of type {}", other.name()))),
    }
}
