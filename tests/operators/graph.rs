//! Graphs of one operator, in the imported form, with seeded constants.

use systole::network::graph::{Form, Graph, Node};
use systole::network::op::Op;
use systole::network::shape::infer;
use systole::network::tensor::{DType, Data, Distribution, Tensor, TensorId};

/// A graph that grows from its input on.
pub(crate) struct Small {
    graph: Graph,
}

/// Constants around 0.
pub(crate) const NORMAL: Distribution = Distribution::Normal { std: 0.3 };
/// Positive constants.
pub(crate) const POSITIVE: Distribution = Distribution::Uniform { low: 0.5, high: 1.5 };

impl Small {
    /// With an input of this shape.
    pub(crate) fn new(shape: &[usize]) -> (Self, TensorId) {
        let mut small = Small { graph: Graph::new("small", Form::Imported) };
        let input = small.tensor("input", shape, DType::F32, None);
        small.graph.inputs.push(input);
        (small, input)
    }

    pub(crate) fn constant(&mut self, shape: &[usize], distribution: Distribution) -> TensorId {
        let name = format!("constant{}", self.graph.tensors.len());
        self.tensor(&name, shape, DType::F32, Some(Data::Seeded { distribution }))
    }

    /// With an input of unsigned bytes, which have no scale.
    pub(crate) fn of_integers(shape: &[usize]) -> (Self, TensorId) {
        let mut small = Small { graph: Graph::new("small", Form::Imported) };
        let input = small.tensor("input", shape, DType::U8, None);
        small.graph.inputs.push(input);
        (small, input)
    }

    /// Signed bytes of every size.
    pub(crate) fn integers(&mut self, shape: &[usize]) -> TensorId {
        let bytes: Vec<u8> = (0..shape.iter().product::<usize>()).map(|index| (index * 37 + index / 7) as u8).collect();
        let name = format!("constant{}", self.graph.tensors.len());
        self.tensor(&name, shape, DType::I8, Some(Data::Stored(bytes.into())))
    }

    /// The output of an operator whose shape follows from its inputs.
    pub(crate) fn node(&mut self, op: Op, inputs: &[TensorId]) -> TensorId {
        let shapes: Vec<&[usize]> = inputs.iter().map(|&id| self.graph.tensor(id).shape.as_slice()).collect();
        let shape = infer(&op, &shapes).expect("it fits").swap_remove(0);
        self.shaped(op, inputs, &shape)
    }

    pub(crate) fn shaped(&mut self, op: Op, inputs: &[TensorId], shape: &[usize]) -> TensorId {
        let name = format!("{}{}", op.name(), self.graph.nodes.len());
        let dtype = match op {
            Op::ArgMaxPool(_) => DType::I64,
            Op::ConvInteger { .. } | Op::MatMulInteger { .. } => DType::I32,
            _ => DType::F32,
        };
        let output = self.tensor(&name, shape, dtype, None);
        let (inputs, outputs) = (inputs.to_vec(), vec![output]);
        self.graph.add_node(Node { name, op, inputs, outputs, clamp: None, origins: vec![] });
        output
    }

    /// What an image of the graph has: `[n, c, h, w]`.
    pub(crate) fn shape(&self, id: TensorId) -> Vec<usize> {
        self.graph.tensor(id).shape.clone()
    }

    pub(crate) fn finish(mut self, output: TensorId) -> Graph {
        self.graph.outputs.push(output);
        self.graph
    }

    fn tensor(&mut self, name: &str, shape: &[usize], dtype: DType, data: Option<Data>) -> TensorId {
        self.graph.add_tensor(Tensor { name: name.into(), shape: shape.to_vec(), dtype, quant: None, data })
    }
}
