//! The imported form: single precision, ONNX's meaning of each operator; `QuantizeLinear` and `DequantizeLinear` by the rules
//! that the quantised form has too. It is a yardstick: the order of a sum is not specified, but it is the same on every run.
//!
//! Operators that only move or choose elements (maximum pooling, concatenation, views) also take integers; arithmetic on integers without a
//! scale is `integers`.

mod average_pool;
mod batch_norm;
mod concat;
mod conv;
mod conv_transpose;
mod deform;
mod elementwise;
mod fully_connected;
mod function;
mod integers;
mod lrn;
mod max_pool;
mod pairs;
mod reduce_mean;
mod resize;
mod softmax;
mod sums;
mod unpool;

use systole_network::op::Op;

use crate::call::Call;
use crate::error::GoldenError;
use crate::integer::{dequantize, quantize};
use crate::moves;
use crate::value::Value;

/// The output of a node of the imported form.
pub(crate) fn evaluate(call: &Call<'_>) -> Result<Value, GoldenError> {
    if integers::concerns(call) {
        return integers::evaluate(call);
    }
    match &call.node.op {
        Op::Conv(conv) => conv::evaluate(call, conv).map(Value::F32),
        Op::ConvTranspose(conv) => conv_transpose::evaluate(call, conv).map(Value::F32),
        Op::FullyConnected => fully_connected::evaluate(call).map(Value::F32),
        Op::MaxPool(pool) => max_pool::evaluate(call, pool),
        Op::AveragePool(pool) => average_pool::windows(call, pool).map(Value::F32),
        Op::GlobalAveragePool => average_pool::global(call).map(Value::F32),
        Op::Add => pairs::map(call, |a, b| a + b).map(Value::F32),
        Op::Mul => pairs::map(call, |a, b| a * b).map(Value::F32),
        Op::BatchNorm { epsilon } => batch_norm::evaluate(call, *epsilon).map(Value::F32),
        Op::Relu => elementwise::unary(call, |x| if x < 0.0 { 0.0 } else { x }).map(Value::F32),
        Op::Binarize => elementwise::unary(call, |x| if x >= 0.0 { 1.0 } else { -1.0 }).map(Value::F32),
        Op::Clip { low, high } => elementwise::unary(call, |x| x.max(*low).min(*high)).map(Value::F32),
        Op::Concat => concat::evaluate(call),
        Op::Softmax => softmax::evaluate(call).map(Value::F32),
        Op::Lrn(attributes) => lrn::evaluate(call, attributes).map(Value::F32),
        Op::Sum => elementwise::sum(call).map(Value::F32),
        Op::GlobalMaxPool => max_pool::evaluate(call, &call.whole_image()?),
        Op::Sub => pairs::map(call, |a, b| a - b).map(Value::F32),
        Op::Div => pairs::map(call, |a, b| a / b).map(Value::F32),
        Op::Max => pairs::map(call, |a, b| if a > b || a.is_nan() { a } else { b }).map(Value::F32),
        Op::Min => pairs::map(call, |a, b| if a < b || a.is_nan() { a } else { b }).map(Value::F32),
        Op::Function(function) => elementwise::unary(call, |x| function::value(*function, x)).map(Value::F32),
        Op::PRelu => function::prelu(call).map(Value::F32),
        Op::ReduceMean { axes, .. } => reduce_mean::evaluate(call, axes).map(Value::F32),
        Op::Transpose { .. }
        | Op::Slice { .. }
        | Op::Pad { .. }
        | Op::DepthToSpace { .. }
        | Op::SpaceToDepth { .. } => moves::evaluate(call),
        Op::Resize(attributes) => resize::evaluate(call, attributes),
        Op::Reshape | Op::Identity => Ok(call.value(0)?.clone()),
        Op::ConvInteger { conv, zeros } => sums::convolution(call, conv, *zeros).map(Value::I32),
        Op::MatMulInteger { zeros } => sums::product(call, *zeros).map(Value::I32),
        Op::Cast => sums::cast(call).map(Value::F32),
        Op::DeformConv(deform) => deform::evaluate(call, deform).map(Value::F32),
        Op::DeformSample(deform) => deform::samples(call, deform).map(Value::F32),
        Op::ArgMaxPool(pool) => unpool::indices(call, pool).map(Value::I64),
        Op::MaxUnpool(pool) => unpool::evaluate(call, pool).map(Value::F32),
        Op::Quantize => quantize(call),
        Op::Dequantize => dequantize(call),
        Op::Rescale => Err(call.unsupported()),
    }
}
