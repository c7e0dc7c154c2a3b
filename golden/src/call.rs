//! A node together with the values of its inputs: what every operator is handed.

use systole_network::graph::{Graph, Node};
use systole_network::tensor::Tensor;

use crate::error::GoldenError;
use crate::value::Value;

/// One application of a node. Each input's value has the type and length of its tensor.
pub(crate) struct Call<'a> {
    /// The graph of the node.
    pub(crate) graph: &'a Graph,
    /// The node.
    pub(crate) node: &'a Node,
    /// As many values as the node has inputs, in order.
    pub(crate) values: Vec<&'a Value>,
}

impl<'a> Call<'a> {
    /// An error that blames this node.
    pub(crate) fn malformed(&self, reason: impl Into<String>) -> GoldenError {
        GoldenError::Malformed { node: self.node.name.clone(), reason: reason.into() }
    }

    /// An error for an operator that the graph's form does not have.
    pub(crate) fn unsupported(&self) -> GoldenError {
        GoldenError::Unsupported { node: self.node.name.clone(), op: self.node.op.name() }
    }

    /// The tensor of input `i`.
    pub(crate) fn input(&self, i: usize) -> Result<&'a Tensor, GoldenError> {
        let id = self.node.inputs.get(i).ok_or_else(|| self.malformed(format!("input {i} is missing")))?;
        Ok(self.graph.tensor(*id))
    }

    /// The value of input `i`.
    pub(crate) fn value(&self, i: usize) -> Result<&'a Value, GoldenError> {
        self.values.get(i).copied().ok_or_else(|| self.malformed(format!("input {i} is missing")))
    }

    /// The one output's tensor.
    pub(crate) fn output(&self) -> Result<&'a Tensor, GoldenError> {
        match self.node.outputs.as_slice() {
            [id] => Ok(self.graph.tensor(*id)),
            outputs => Err(self.malformed(format!("{} outputs, not 1", outputs.len()))),
        }
    }

    /// `[n, c, h, w]` of input `i`.
    pub(crate) fn nchw(&self, i: usize) -> Result<[usize; 4], GoldenError> {
        let tensor = self.input(i)?;
        tensor.nchw().ok_or_else(|| self.malformed(format!("input {i} has shape {:?}", tensor.shape)))
    }

    /// Refuses an output tensor whose `[n, c, h, w]` is not what the operator makes.
    pub(crate) fn expect_output(&self, dims: [usize; 4]) -> Result<(), GoldenError> {
        let output = self.output()?;
        if output.nchw() == Some(dims) {
            return Ok(());
        }
        Err(self.malformed(format!("makes an output of {dims:?}, the graph says {:?}", output.shape)))
    }

    /// The f32 elements of input `i`.
    pub(crate) fn f32(&self, i: usize) -> Result<&'a [f32], GoldenError> {
        match self.value(i)? {
            Value::F32(v) => Ok(v),
            other => Err(self.malformed(format!("input {i} is {}, not f32", other.dtype().name()))),
        }
    }

    /// The f32 elements of input `i`, which must be `count` many.
    pub(crate) fn f32_vector(&self, i: usize, count: usize) -> Result<&'a [f32], GoldenError> {
        let values = self.f32(i)?;
        if values.len() == count {
            return Ok(values);
        }
        Err(self.malformed(format!("input {i} holds {} values, not {count}", values.len())))
    }
}
