//! QOperator nodes (QLinearConv and its kin): each becomes the Dequantizes, float operator and Quantize that it stands for, so that
//! one legaliser serves both ways of writing a quantised network.
//!
//! The float operator carries the node's name and origin; the nodes around it have no origin of their own. The integer result keeps the
//! file's name. ConvInteger and MatMulInteger, whose scales lie in float nodes after them, are in `integer`.

use systole_network::op::Op;
use systole_network::tensor::{DType, Quant, TensorId};

use super::{Inputs, activation, channel, elementwise, linear, pool, quantise};
use crate::frontends::onnx::attributes::NodeView;
use crate::frontends::onnx::error::ImportError;
use crate::frontends::onnx::importer::{Importer, Result};
use crate::frontends::onnx::proto::{AttributeProto, NodeProto, attribute_type};

type Handler = fn(&mut Importer<'_>, &NodeView<'_>, &Inputs<'_>) -> Result<()>;

/// Attributes of the node that its float operator does not have: those say what no other value of them may change.
const OF_THE_INTEGER_FORM: [&str; 2] = ["channels_last", "opset"];

pub(super) fn conv(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    let x = dequantised(importer, node, inputs, 0, 0)?;
    let w = dequantised(importer, node, inputs, 3, 0)?;
    let bias = dequantised_bias(importer, node, inputs.optional(8), [x, w])?;
    surrounded(
        importer,
        node,
        linear::conv,
        &[Some(x.real), Some(w.real), bias],
        [inputs.optional(6), inputs.optional(7)],
    )
}

pub(super) fn mat_mul(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    let a = dequantised(importer, node, inputs, 0, 1)?;
    let b = dequantised(importer, node, inputs, 3, 1)?;
    surrounded(importer, node, linear::mat_mul, &[Some(a.real), Some(b.real)], [inputs.optional(6), inputs.optional(7)])
}

pub(super) fn gemm(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    let transposed = node.int("transB", 0)? == 1;
    let a = dequantised(importer, node, inputs, 0, 1)?;
    let b = dequantised(importer, node, inputs, 3, if transposed { 0 } else { 1 })?;
    let c = dequantised_bias(importer, node, inputs.optional(6), [a, b])?;
    surrounded(importer, node, linear::gemm, &[Some(a.real), Some(b.real), c], [inputs.optional(7), inputs.optional(8)])
}

pub(super) fn add(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    binary(importer, node, inputs, elementwise::add)
}

pub(super) fn mul(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    binary(importer, node, inputs, elementwise::mul)
}

fn binary(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>, float: Handler) -> Result<()> {
    let a = dequantised(importer, node, inputs, 0, 1)?;
    let b = dequantised(importer, node, inputs, 3, 1)?;
    surrounded(importer, node, float, &[Some(a.real), Some(b.real)], [inputs.optional(6), inputs.optional(7)])
}

pub(super) fn concat(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    let count = inputs.0.len().saturating_sub(2).div_ceil(3);
    let operands = (0..count)
        .map(|index| dequantised(importer, node, inputs, 2 + 3 * index, 1).map(|operand| Some(operand.real)))
        .collect::<Result<Vec<_>>>()?;
    surrounded(importer, node, channel::concat, &operands, [inputs.optional(0), inputs.optional(1)])
}

pub(super) fn average_pool(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    unary(importer, node, inputs, pool::average_pool)
}

pub(super) fn global_average_pool(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    unary(importer, node, inputs, pool::global_average_pool)
}

/// Its attribute `opset` says which standard softmax it is.
pub(super) fn softmax(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    let opset = node.int("opset", 0)?;
    if opset < 1 {
        return Err(ImportError::invalid("it has no attribute `opset`"));
    }
    unary(importer, &NodeView { proto: node.proto, opset }, inputs, channel::softmax)
}

fn unary(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>, float: Handler) -> Result<()> {
    node.expect_int("channels_last", 0)?;
    let x = dequantised(importer, node, inputs, 0, 1)?;
    surrounded(importer, node, float, &[Some(x.real)], [inputs.optional(3), inputs.optional(4)])
}

/// ReLU on integers: `max(q, 0)`, which is ReLU where the zero point is 0.
pub(super) fn relu(importer: &mut Importer<'_>, node: &NodeView<'_>, x: TensorId) -> Result<()> {
    let tensor = importer.tensor(x);
    let (name, dtype) = (tensor.name.clone(), tensor.dtype);
    let Some(quant) = tensor.quant.clone().filter(|q| q.axis.is_none() && q.zero_point == [0]) else {
        return Err(ImportError::unsupported(format!("its input `{name}` is {} without zero point 0", dtype.name())));
    };
    let around = Around { node, part: "dequantize" };
    let output = around.tensor(importer, &name);
    let real = around.run(importer, output, |importer, view| quantise::dequantize(importer, view, x, quant.clone()))?;
    let (real, operator) = (run_float(importer, node, activation::relu, &[Some(real)])?, node);
    let shape = importer.tensor(real).shape.clone();
    let around = Around { node: operator, part: "quantize" };
    let output = operator.proto.output.first().cloned().unwrap_or_default();
    around
        .run(importer, output, |importer, view| {
            importer.emit_typed(view, Op::Quantize, vec![real], shape, dtype, Some(quant))
        })
        .map(|_| ())
}

/// An integer operand and the f32 tensor that a Dequantize makes of it.
#[derive(Clone, Copy)]
struct Operand {
    integers: TensorId,
    real: TensorId,
}

/// A node that is added around the float operator.
struct Around<'a> {
    node: &'a NodeView<'a>,
    /// What it does, for its name.
    part: &'static str,
}

impl Around<'_> {
    /// A name for an f32 tensor that the file does not have.
    fn tensor(&self, importer: &mut Importer<'_>, base: &str) -> String {
        importer.fresh_tensor_name(&format!("{base}:real"))
    }

    /// Adds the node by `import`, which sees one without attributes; its output.
    fn run(
        &self,
        importer: &mut Importer<'_>,
        output: String,
        import: impl FnOnce(&mut Importer<'_>, &NodeView<'_>) -> Result<()>,
    ) -> Result<TensorId> {
        let name = format!("{}:{}", self.node.name(), self.part);
        let proto = NodeProto { name, output: vec![output], ..Default::default() };
        import(importer, &NodeView { proto: &proto, opset: self.node.opset })?;
        let made = importer.graph.nodes.last_mut().ok_or_else(|| ImportError::invalid("it makes nothing"))?;
        made.origins.clear();
        Ok(made.outputs[0])
    }
}

/// The operand at input `index`, whose scale and zero point follow it; several scales run along `axis`.
fn dequantised(
    importer: &mut Importer<'_>,
    node: &NodeView<'_>,
    inputs: &Inputs<'_>,
    index: usize,
    axis: i64,
) -> Result<Operand> {
    let integers = inputs.required(index, "operand")?;
    let tensor = importer.tensor(integers);
    if tensor.dtype.range().is_none() {
        let message = format!("its input `{}` is {}, not i8 or u8", tensor.name, tensor.dtype.name());
        return Err(ImportError::invalid(message));
    }
    let base = tensor.name.clone();
    let around = Around { node, part: "dequantize" };
    let output = around.tensor(importer, &base);
    let axis = AttributeProto { name: "axis".into(), kind: attribute_type::INT, i: axis, ..Default::default() };
    let real = around.run(importer, output, |importer, view| {
        let proto = NodeProto { attribute: vec![axis], ..view.proto.clone() };
        let operands = [Some(integers), inputs.optional(index + 1), inputs.optional(index + 2)];
        quantise::dequantize_linear(importer, &NodeView { proto: &proto, opset: view.opset }, &Inputs(&operands))
    })?;
    Ok(Operand { integers, real })
}

/// The bias behind a Dequantize of scale `f32(sx · sw[c])`, zero point 0.
fn dequantised_bias(
    importer: &mut Importer<'_>,
    node: &NodeView<'_>,
    bias: Option<TensorId>,
    [x, w]: [Operand; 2],
) -> Result<Option<TensorId>> {
    let Some(bias) = bias else { return Ok(None) };
    let tensor = importer.tensor(bias);
    let (base, dtype, rank) = (tensor.name.clone(), tensor.dtype, tensor.shape.len());
    if dtype != DType::I32 || rank == 0 {
        return Err(ImportError::invalid(format!(
            "its bias `{base}` is {} of rank {rank}, not an i32 vector",
            dtype.name()
        )));
    }
    let scales =
        |operand: Operand| importer.tensor(operand.integers).quant.as_ref().map_or(vec![], |q| q.scale.clone());
    let (sx, sw) = (scales(x), scales(w));
    let &[sx] = sx.as_slice() else {
        return Err(ImportError::unsupported("its input has several scales"));
    };
    let scale: Vec<f32> = sw.iter().map(|sw| sx * sw).collect();
    let axis = (scale.len() > 1).then_some(rank - 1);
    let channels = importer.tensor(bias).shape[rank - 1];
    if axis.is_some() && channels != scale.len() {
        return Err(ImportError::invalid(format!("its bias has {channels} elements for {} scales", scale.len())));
    }
    let quant = Quant { zero_point: vec![0; scale.len()], scale, axis };
    let around = Around { node, part: "dequantize" };
    let output = around.tensor(importer, &base);
    around.run(importer, output, |importer, view| quantise::dequantize(importer, view, bias, quant)).map(Some)
}

/// The float operator on f32 operands; its f32 result.
fn run_float(
    importer: &mut Importer<'_>,
    node: &NodeView<'_>,
    float: Handler,
    operands: &[Option<TensorId>],
) -> Result<TensorId> {
    let file_output = node.proto.output.first().filter(|name| !name.is_empty());
    let file_output = file_output.ok_or_else(|| ImportError::invalid("it has no output"))?;
    let output = importer.fresh_tensor_name(&format!("{file_output}:real"));
    let mut proto = NodeProto { output: vec![output], ..node.proto.clone() };
    // The name of a nameless node is that of its output in the file.
    proto.name = node.name().to_owned();
    proto.attribute.retain(|attribute| !OF_THE_INTEGER_FORM.contains(&attribute.name.as_str()));
    float(importer, &NodeView { proto: &proto, opset: node.opset }, &Inputs(operands))?;
    let made = importer.graph.nodes.last().ok_or_else(|| ImportError::invalid("it makes nothing"))?;
    Ok(made.outputs[0])
}

/// The float operator and the Quantize after it, which makes the node's output.
fn surrounded(
    importer: &mut Importer<'_>,
    node: &NodeView<'_>,
    float: Handler,
    operands: &[Option<TensorId>],
    [scale, zero_point]: [Option<TensorId>; 2],
) -> Result<()> {
    let (Some(scale), Some(zero_point)) = (scale, zero_point) else {
        return Err(ImportError::unsupported("its output has no scale or no zero point"));
    };
    let real = run_float(importer, node, float, operands)?;
    let around = Around { node, part: "quantize" };
    let output = node.proto.output.first().cloned().unwrap_or_default();
    let operands = [Some(real), Some(scale), Some(zero_point)];
    around
        .run(importer, output, |importer, view| quantise::quantize_linear(importer, view, &Inputs(&operands)))
        .map(|_| ())
}
