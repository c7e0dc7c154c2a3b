//! Layers that treat each element by itself: sums, products, rule N-25's pairs, tables.

use systole_network::graph::Node;
use systole_network::op::Op;
use systole_network::tensor::DType;

use super::{Builder, Kind, Second};
use crate::error::CompileError;
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
        if self.graph.tensor(id).data.is_some() {
            return Ok(Second::Channel(id));
        }
        if self.dims[&id] != self.dims[&node.inputs[0]] {
            return Err(CompileError::unsupported(&node.name, "element-wise operands of different shapes"));
        }
        Ok(Second::Tensor(id))
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
