//! One ONNX node as several of the graph's: tensors that the file does not have, and constants made at import.
//!
//! Made tensors and nodes are named after the file's node and what they do in it; nodes that only move values have no origin of their own.

use systole_network::op::Op;
use systole_network::tensor::{DType, Data, Quant, Tensor, TensorId, bytes_of_f32};

use super::attributes::NodeView;
use super::error::ImportError;
use super::importer::{Importer, Result};
use super::proto::{AttributeProto, NodeProto, attribute_type};

impl Importer<'_> {
    /// Adds a node whose output the file does not have; that output. `part` says what it does.
    pub(super) fn step(
        &mut self,
        node: &NodeView<'_>,
        part: &str,
        op: Op,
        inputs: Vec<TensorId>,
        shape: Vec<usize>,
    ) -> Result<TensorId> {
        let (dtype, quant) = self.made_type(&op, &inputs);
        self.typed_step(node, part, op, inputs, (shape, dtype, quant))
    }

    /// The same with a type of the output that does not follow from the operator.
    pub(super) fn typed_step(
        &mut self,
        node: &NodeView<'_>,
        part: &str,
        op: Op,
        inputs: Vec<TensorId>,
        (shape, dtype, quant): (Vec<usize>, DType, Option<Quant>),
    ) -> Result<TensorId> {
        super::importer::check_made_shape(&op, &shape)?;
        let name = format!("{}:{part}", node.name());
        let origins = if op.only_moves() { vec![] } else { vec![node.name().to_owned()] };
        let tensor = self.fresh_tensor_name(&name);
        let output = self.define(Tensor { name: tensor, shape, dtype, quant, data: None })?;
        self.add_node(&name, op, inputs, output, origins);
        Ok(output)
    }

    /// Adds a node for the file's output; what only moves values keeps their type.
    pub(super) fn emit_like(
        &mut self,
        node: &NodeView<'_>,
        op: Op,
        inputs: Vec<TensorId>,
        shape: Vec<usize>,
    ) -> Result<()> {
        let (dtype, quant) = self.made_type(&op, &inputs);
        self.emit_typed(node, op, inputs, shape, dtype, quant)
    }

    fn made_type(&self, op: &Op, inputs: &[TensorId]) -> (DType, Option<Quant>) {
        let keeps = op.only_moves() || matches!(op, Op::MaxPool(_) | Op::GlobalMaxPool | Op::Concat);
        match inputs.first().map(|&id| self.tensor(id)) {
            Some(first) if keeps => (first.dtype, first.quant.clone()),
            // Rule N-32: the numbers as they are, whatever they mean elsewhere.
            Some(first) if op.is_arithmetic() => (first.dtype, None),
            _ => (DType::F32, None),
        }
    }

    /// `x` in another shape of as many elements; itself where it has that shape.
    pub(super) fn reshaped(&mut self, node: &NodeView<'_>, x: TensorId, shape: Vec<usize>) -> Result<TensorId> {
        if self.tensor(x).shape == shape {
            return Ok(x);
        }
        if self.tensor(x).data.is_none() {
            return self.step(node, "shape", Op::Reshape, vec![x], shape);
        }
        let tensor = Tensor { shape, quant: None, ..self.tensor(x).clone() };
        let name = self.fresh_tensor_name(&format!("{}:shape", tensor.name));
        Ok(self.graph.add_tensor(Tensor { name, ..tensor }))
    }

    /// A transposed activation.
    pub(super) fn permuted(&mut self, node: &NodeView<'_>, x: TensorId, perm: Vec<usize>) -> Result<TensorId> {
        let shape = perm.iter().map(|&axis| self.tensor(x).shape[axis]).collect();
        self.step(node, "transpose", Op::Transpose { perm }, vec![x], shape)
    }

    /// A constant that the file does not have.
    pub(super) fn made_constant(
        &mut self,
        node: &NodeView<'_>,
        part: &str,
        shape: Vec<usize>,
        values: &[f32],
    ) -> Result<TensorId> {
        self.take_copy(std::mem::size_of_val(values))?;
        let name = self.fresh_tensor_name(&format!("{}:{part}", node.name()));
        let data = Some(Data::Stored(bytes_of_f32(values)));
        Ok(self.graph.add_tensor(Tensor { name, shape, dtype: DType::F32, quant: None, data }))
    }

    /// An i64 constant of one element that repeats along `rank` axes.
    pub(super) fn made_integer(&mut self, node: &NodeView<'_>, rank: usize, value: usize) -> TensorId {
        let name = self.fresh_tensor_name(&format!("{}:{value}", node.name()));
        let data = Some(Data::Stored((value as i64).to_le_bytes().to_vec().into()));
        self.graph.add_tensor(Tensor { name, shape: vec![1; rank], dtype: DType::I64, quant: None, data })
    }

    /// A stored f32 constant times a factor; itself where that is 1.
    pub(super) fn scaled(&mut self, node: &NodeView<'_>, id: TensorId, factor: f32, what: &str) -> Result<TensorId> {
        if factor == 1.0 {
            return Ok(id);
        }
        let values: Vec<f32> = self.floats(id, what)?.iter().map(|value| value * factor).collect();
        let shape = self.tensor(id).shape.clone();
        self.made_constant(node, what, shape, &values)
    }

    /// Imports the node with other attributes; what that makes last is a tensor that the file does not have.
    pub(super) fn part(
        &mut self,
        node: &NodeView<'_>,
        attributes: Vec<AttributeProto>,
        import: impl FnOnce(&mut Self, &NodeView<'_>) -> Result<()>,
    ) -> Result<TensorId> {
        let name = node.name().to_owned();
        let output = self.fresh_tensor_name(&format!("{name}:part"));
        let mut proto = NodeProto { name, output: vec![output], ..node.proto.clone() };
        proto.attribute.retain(|old| attributes.iter().all(|new| new.name != old.name));
        proto.attribute.extend(attributes);
        import(self, &NodeView { proto: &proto, opset: node.opset })?;
        let made = self.graph.nodes.last().and_then(|made| made.outputs.first().copied());
        made.ok_or_else(|| ImportError::invalid("it makes nothing"))
    }
}

/// An attribute of several integers.
pub(super) fn integers(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto { name: name.into(), kind: attribute_type::INTS, ints: values.to_vec(), ..Default::default() }
}

/// An attribute of text.
pub(super) fn text(name: &str, value: &str) -> AttributeProto {
    let s = value.as_bytes().to_vec().into();
    AttributeProto { name: name.into(), kind: attribute_type::STRING, s, ..Default::default() }
}
