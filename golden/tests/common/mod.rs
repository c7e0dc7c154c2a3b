//! Graphs of one node for the tests: inputs with their values, run through both entry points.

use std::collections::BTreeMap;

use bytes::Bytes;
use systole_golden::{GoldenError, Options, Value, run, run_node};
use systole_network::graph::{Form, Graph, Node, NodeId};
use systole_network::op::Op;
use systole_network::tensor::{DType, Data, Quant, Tensor};

/// A tensor, and the value it is given when it is not a constant.
pub(crate) type Operand = (Tensor, Option<Value>);

/// An f32 tensor without contents.
pub(crate) fn f32_tensor(name: &str, shape: &[usize]) -> Tensor {
    Tensor { name: name.into(), shape: shape.to_vec(), dtype: DType::F32, quant: None, data: None }
}

/// An integer tensor with one scale and zero point.
pub(crate) fn int_tensor(name: &str, shape: &[usize], dtype: DType, scale: f32, zero: i32) -> Tensor {
    let quant = Some(Quant::per_tensor(scale, zero));
    Tensor { name: name.into(), shape: shape.to_vec(), dtype, quant, data: None }
}

/// A u8 activation with its value.
pub(crate) fn u8_input(name: &str, shape: &[usize], scale: f32, zero: i32, q: Vec<u8>) -> Operand {
    (int_tensor(name, shape, DType::U8, scale, zero), Some(Value::U8(q)))
}

/// An i8 activation with its value.
pub(crate) fn i8_input(name: &str, shape: &[usize], scale: f32, zero: i32, q: Vec<i8>) -> Operand {
    (int_tensor(name, shape, DType::I8, scale, zero), Some(Value::I8(q)))
}

/// An f32 activation with its value.
pub(crate) fn f32_input(name: &str, shape: &[usize], x: &[f32]) -> Operand {
    (f32_tensor(name, shape), Some(Value::F32(x.to_vec())))
}

/// `tensor` as a constant that holds `value`.
pub(crate) fn constant(mut tensor: Tensor, value: Value) -> Operand {
    tensor.data = Some(Data::Stored(Bytes::from(value.to_le_bytes())));
    (tensor, None)
}

/// An i32 bias of scale 1.
pub(crate) fn bias(values: &[i32]) -> Operand {
    constant(int_tensor("bias", &[values.len()], DType::I32, 1.0, 0), Value::I32(values.to_vec()))
}

/// An i8 weight constant with one scale per output channel and zero point 0.
pub(crate) fn weights(shape: &[usize], scale: &[f32], q: Vec<i8>) -> Operand {
    let axis = (scale.len() > 1).then_some(0);
    let quant = Some(Quant { scale: scale.to_vec(), zero_point: vec![0; scale.len()], axis });
    let tensor = Tensor { name: "w".into(), shape: shape.to_vec(), dtype: DType::I8, quant, data: None };
    constant(tensor, Value::I8(q))
}

/// The graph of one node, and the values of its inputs.
pub(crate) fn graph_of(
    form: Form,
    op: Op,
    operands: &[Operand],
    output: Tensor,
    clamp: Option<(i32, i32)>,
) -> (Graph, BTreeMap<systole_network::tensor::TensorId, Value>) {
    let mut graph = Graph::new("one", form);
    let mut values = BTreeMap::new();
    let mut inputs = vec![];
    for (tensor, value) in operands {
        let id = graph.add_tensor(tensor.clone());
        inputs.push(id);
        if let Some(value) = value {
            graph.inputs.push(id);
            values.insert(id, value.clone());
        }
    }
    let output = graph.add_tensor(output);
    graph.outputs.push(output);
    graph.add_node(Node { name: "node".into(), op, inputs, outputs: vec![output], clamp, origins: vec![] });
    (graph, values)
}

/// Runs one node, by `run` and by `run_node`, which must agree.
pub(crate) fn eval(
    form: Form,
    op: Op,
    operands: &[Operand],
    output: Tensor,
    clamp: Option<(i32, i32)>,
) -> Result<Value, GoldenError> {
    let (graph, values) = graph_of(form, op, operands, output, clamp);
    let whole = run(&graph, &values, Options::default()).map(|run| run.tensors[&graph.outputs[0]].clone());
    let alone = run_node(&graph, NodeId(0), &values, 0).map(|outputs| outputs[0].clone());
    // Values are compared by their bits, so that NaN equals itself.
    match (&whole, &alone) {
        (Ok(whole), Ok(alone)) => assert_eq!(whole.to_le_bytes(), alone.to_le_bytes()),
        _ => assert_eq!(whole, alone),
    }
    whole
}

/// A node of the quantised form without a clamp.
pub(crate) fn quantised(op: Op, operands: &[Operand], output: Tensor) -> Result<Value, GoldenError> {
    eval(Form::Quantised, op, operands, output, None)
}

/// A node of the imported form.
pub(crate) fn imported(op: Op, operands: &[Operand], output: Tensor) -> Result<Value, GoldenError> {
    eval(Form::Imported, op, operands, output, None)
}

/// Splitmix64.
pub(crate) struct Draws(pub(crate) u64);

impl Draws {
    /// Below `n`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        ((z ^ (z >> 27)) >> 33) as usize % n
    }
}
