//! Layers that treat each element by itself: sums, products, rule N-25's pairs, tables.

use systole_network::graph::Node;
use systole_network::op::Op;
use systole_network::tensor::{DType, Tensor, TensorId};

use super::{Builder, Kind, Layer, Layers, Second};
use crate::error::CompileError;
use crate::mapping::repeats::{Repeats, has_pitches};
use crate::tables::Table;

/// What rule N-25 makes of two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pair {
    /// Their difference.
    Difference,
    /// Their quotient.
    Quotient,
    /// The larger.
    Maximum,
    /// The smaller.
    Minimum,
}

impl Layers {
    /// Along what the two operands of an element-wise layer repeat.
    pub(crate) fn repeats(&self, layer: &Layer) -> [Repeats; 2] {
        let of = |id: TensorId| Repeats::of(self.dims[&id], self.dims[&layer.output]);
        layer.second().map_or_else(Default::default, |second| [of(layer.input), of(second)])
    }
}

impl Builder<'_> {
    pub(super) fn elementwise(&self, node: &Node) -> Result<Kind, CompileError> {
        Ok(match &node.op {
            Op::Add => Kind::Add(self.second(node)?),
            Op::Mul => Kind::Mul(self.second(node)?),
            Op::Sub => Kind::Pair(Pair::Difference, self.second(node)?),
            Op::Div => Kind::Pair(Pair::Quotient, self.second(node)?),
            Op::Max => Kind::Pair(Pair::Maximum, self.second(node)?),
            Op::Min => Kind::Pair(Pair::Minimum, self.second(node)?),
            Op::Function(_) | Op::PRelu if self.has_wide(node) => {
                let message = "a table of 16-bit activations would have 65536 entries (rule N-24)";
                return Err(CompileError::unsupported(&node.name, message));
            }
            Op::Function(function) => Kind::Table(Table::Function(*function)),
            Op::PRelu => Kind::Table(Table::Slopes(node.inputs[1])),
            other => return Err(CompileError::internal(&node.name, format!("{} is not element-wise", other.name()))),
        })
    }

    fn second(&self, node: &Node) -> Result<Second, CompileError> {
        let id = node.inputs[1];
        let tensor = self.graph.tensor(id);
        if tensor.data.is_none() {
            return Ok(Second::Tensor(id));
        }
        if tensor.shape.len() != 1 {
            let message = format!("its constant has shape {:?}; one value for each channel is supported", tensor.shape);
            return Err(CompileError::unsupported(&node.name, message));
        }
        Ok(Second::Channel(id))
    }

    /// Whether one of two activations has one index where the other has many.
    pub(super) fn repeats(&self, node: &Node) -> bool {
        let [a, b] = [0, 1].map(|input| node.inputs.get(input).map(|&id| self.graph.tensor(id)));
        let differ = |b: &Tensor| b.data.is_none() && a.is_some_and(|a| a.shape != b.shape);
        node.op.is_pair() && b.is_some_and(differ)
    }

    /// The result of two activations.
    pub(super) fn add_pair_dims(&mut self, node: &Node) -> Result<(), CompileError> {
        let output = node.outputs[0];
        let [a, b] = [node.inputs[0], node.inputs[1]];
        if !self.repeats(node) {
            if self.dims[&a] != self.dims[&b] {
                return Err(CompileError::unsupported(
                    &node.name,
                    "element-wise operands that lie in different orders",
                ));
            }
            self.dims.insert(output, self.dims[&a]);
            return Ok(());
        }
        self.require_image(node, a)?;
        self.require_image(node, b)?;
        self.set_logical_dims(output, &node.name);
        let Some(&dims) = self.dims.get(&output) else {
            return Ok(()); // reported
        };
        if !has_pitches([a, b].map(|id| Repeats::of(self.dims[&id], dims)), dims) {
            let shapes = [a, b].map(|id| &self.graph.tensor(id).shape);
            let message = format!(
                "operands of shapes {:?} and {:?}: channels repeat, and one of rows and columns, which no pitch of an operand expresses",
                shapes[0], shapes[1]
            );
            return Err(CompileError::unsupported(&node.name, message));
        }
        Ok(())
    }

    pub(super) fn add_sum_dims(&mut self, node: &Node) -> Result<(), CompileError> {
        let first = self.graph.tensor(node.inputs[0]);
        let dims = self.dims[&node.inputs[0]];
        for id in &node.inputs {
            if self.graph.tensor(*id).dtype != first.dtype {
                return Err(CompileError::unsupported(&node.name, "a sum of signed and unsigned tensors"));
            }
            if self.dims[id] != dims {
                return Err(CompileError::unsupported(&node.name, "element-wise operands of different shapes"));
            }
        }
        self.dims.insert(node.outputs[0], dims);
        Ok(())
    }

    /// Whether input or output have 16 bits.
    fn has_wide(&self, node: &Node) -> bool {
        [node.inputs[0], node.outputs[0]].iter().any(|id| self.graph.tensor(*id).dtype == DType::I16)
    }
}
