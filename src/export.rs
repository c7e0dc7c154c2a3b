//! A float network as an ONNX file: `zoo export`. Seeded constants are drawn, so that the file stands alone.
//!
//! The imported form only, without Quantize and Dequantize; importing the file gives the same network back. Integers without a scale keep
//! their type; those under 8 bits, which share bytes in files, are not written.

mod field;

use std::collections::BTreeMap;

use prost::Message;
use systole_compiler::frontends::onnx::proto::{
    AttributeProto, DimensionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto, attribute_type, data_type,
};
use systole_network::graph::{Graph, Node};
use systole_network::op::{Conv, Function, Op, Pool};
use systole_network::seed;
use systole_network::tensor::{DType, Data, Tensor, TensorId, bytes_of_f32};

/// Version of the standard operators in the file.
const OPSET: i64 = 19;

/// Version of the file format that goes with it.
const IR_VERSION: i64 = 9;

/// What a float ONNX file cannot hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// An operator that this writer does not know.
    #[error("node `{node}`: operator {op} is not exported")]
    Operator {
        /// The node.
        node: String,
        /// The operator.
        op: &'static str,
    },
    /// An element type that this writer does not know.
    #[error("tensor `{tensor}`: element type {dtype} is not exported")]
    Type {
        /// The tensor.
        tensor: String,
        /// The type.
        dtype: &'static str,
    },
    /// A constant without contents.
    #[error("the values of constant `{0}` are unknown")]
    Unknown(String),
    /// A node on a cycle.
    #[error("node `{0}` depends on its own result")]
    Cycle(String),
}

/// Bytes of the ONNX file of `graph`, its seeded constants drawn with `seed`.
///
/// # Errors
/// See [`ExportError`].
pub fn onnx(graph: &Graph, seed: u64) -> Result<Vec<u8>, ExportError> {
    let order = graph.topological_order().map_err(|node| ExportError::Cycle(graph.node(node).name.clone()))?;
    let mut proto = GraphProto { name: graph.name.clone(), ..Default::default() };
    for id in order {
        let node = graph.node(id);
        let (made, constants) = match field::node(graph, node) {
            Some(made) => made,
            None => (node_proto(graph, node)?, made_constants(graph, node)),
        };
        proto.node.push(made);
        proto.initializer.extend(constants);
    }
    let per_channel = per_channel_operands(graph);
    for (id, tensor) in (0..).map(TensorId).zip(&graph.tensors) {
        if let Some(data) = &tensor.data {
            let trailing = per_channel.get(&id).copied().unwrap_or_default();
            proto.initializer.push(constant(tensor, data, trailing, seed)?);
        }
    }
    proto.input = graph.inputs.iter().map(|&id| value_info(graph.tensor(id))).collect::<Result<_, _>>()?;
    proto.output = graph.outputs.iter().map(|&id| value_info(graph.tensor(id))).collect::<Result<_, _>>()?;
    let opset = OperatorSetIdProto { domain: String::new(), version: OPSET };
    let model = ModelProto { ir_version: Some(IR_VERSION), opset_import: vec![opset], graph: Some(proto) };
    Ok(model.encode_to_vec())
}

fn node_proto(graph: &Graph, node: &Node) -> Result<NodeProto, ExportError> {
    let name = |&id: &TensorId| graph.tensor(id).name.clone();
    let mut input: Vec<String> = node.inputs.iter().map(name).collect();
    let (op_type, attribute) = match &node.op {
        Op::Conv(conv) => ("Conv", conv_attributes(conv)),
        Op::FullyConnected => ("Gemm", vec![integer("transB", 1)]),
        Op::MaxPool(pool) => ("MaxPool", pool_attributes(pool)),
        Op::AveragePool(pool) => {
            let mut attributes = pool_attributes(pool);
            attributes.push(integer("count_include_pad", i64::from(pool.count_include_pad)));
            ("AveragePool", attributes)
        }
        Op::GlobalAveragePool => ("GlobalAveragePool", vec![]),
        Op::Add => ("Add", vec![]),
        Op::Mul => ("Mul", vec![]),
        Op::BatchNorm { epsilon } => ("BatchNormalization", vec![float("epsilon", *epsilon)]),
        Op::Relu => ("Relu", vec![]),
        Op::Concat => ("Concat", vec![integer("axis", 1)]),
        Op::Softmax => ("Softmax", vec![integer("axis", 1)]),
        Op::Identity => ("Identity", vec![]),
        Op::Lrn(lrn) => {
            let numbers = [("alpha", lrn.alpha), ("beta", lrn.beta), ("bias", lrn.bias)];
            let attributes = numbers.map(|(name, value)| float(name, value)).into_iter();
            ("LRN", attributes.chain([integer("size", lrn.size as i64)]).collect())
        }
        Op::Sum => ("Sum", vec![]),
        Op::GlobalMaxPool | Op::Sub | Op::Div | Op::Max | Op::Min | Op::PRelu => (node.op.name(), vec![]),
        Op::Function(function) => (function.name(), function_attributes(*function)),
        Op::Transpose { perm } => ("Transpose", vec![integers("perm", perm)]),
        Op::Reshape => {
            input.push(shape_name(node));
            ("Reshape", vec![])
        }
        Op::Clip { .. } => {
            input.extend(["min", "max"].map(|bound| bound_name(node, bound)));
            ("Clip", vec![])
        }
        Op::ConvTranspose(_)
        | Op::DeformConv(_)
        | Op::DeformSample(_)
        | Op::ArgMaxPool(_)
        | Op::MaxUnpool(_)
        | Op::Slice { .. }
        | Op::Pad { .. }
        | Op::DepthToSpace { .. }
        | Op::SpaceToDepth { .. }
        | Op::Resize(_)
        | Op::ReduceMean { .. }
        | Op::Binarize
        | Op::Rescale
        | Op::Quantize
        | Op::Dequantize
        | Op::ConvInteger { .. }
        | Op::MatMulInteger { .. }
        | Op::Cast => {
            return Err(ExportError::Operator { node: node.name.clone(), op: node.op.name() });
        }
    };
    Ok(NodeProto {
        input,
        output: node.outputs.iter().map(name).collect(),
        name: node.name.clone(),
        op_type: op_type.into(),
        domain: String::new(),
        attribute,
    })
}

fn function_attributes(function: Function) -> Vec<AttributeProto> {
    match function {
        Function::HardSigmoid { alpha, beta } => vec![float("alpha", alpha), float("beta", beta)],
        Function::LeakyRelu { alpha } | Function::Elu { alpha } => vec![float("alpha", alpha)],
        Function::Sigmoid | Function::Tanh | Function::HardSwish => vec![],
    }
}

fn conv_attributes(conv: &Conv) -> Vec<AttributeProto> {
    vec![
        integers("kernel_shape", &conv.kernel),
        integers("strides", &conv.stride),
        integers("dilations", &conv.dilation),
        integers("pads", &conv.pads),
        integer("group", conv.groups as i64),
    ]
}

fn pool_attributes(pool: &Pool) -> Vec<AttributeProto> {
    let mut attributes = vec![
        integers("kernel_shape", &pool.kernel),
        integers("strides", &pool.stride),
        integers("pads", &pool.pads),
        integer("ceil_mode", i64::from(pool.ceil_mode)),
    ];
    // Of average pooling only since operator set 19; absent means 1.
    if pool.dilation != [1, 1] {
        attributes.push(integers("dilations", &pool.dilation));
    }
    attributes
}

fn integer(name: &str, i: i64) -> AttributeProto {
    AttributeProto { name: name.into(), kind: attribute_type::INT, i, ..Default::default() }
}

fn float(name: &str, f: f32) -> AttributeProto {
    AttributeProto { name: name.into(), kind: attribute_type::FLOAT, f, ..Default::default() }
}

fn integers(name: &str, values: &[usize]) -> AttributeProto {
    let ints = values.iter().map(|&value| value as i64).collect();
    AttributeProto { name: name.into(), kind: attribute_type::INTS, ints, ..Default::default() }
}

fn dims(shape: &[usize]) -> Vec<i64> {
    shape.iter().map(|&length| length as i64).collect()
}

/// Constants of sums and products that hold one value for each channel, and how many axes follow the channels': ONNX aligns the last axes
/// of two operands, so these must be written.
fn per_channel_operands(graph: &Graph) -> BTreeMap<TensorId, usize> {
    let reads = |op: &Op| op.is_pair() || matches!(op, Op::PRelu);
    let readers = graph.nodes.iter().filter(|node| reads(&node.op));
    let operand = |node: &Node| {
        let &[x, other] = &node.inputs[..] else {
            return None;
        };
        let rank = |id: TensorId| graph.tensor(id).shape.len();
        (graph.tensor(other).data.is_some() && rank(other) == 1).then(|| (other, rank(x).saturating_sub(2)))
    };
    readers.filter_map(operand).collect()
}

/// `trailing` axes of length 1 are added to its shape.
fn constant(tensor: &Tensor, data: &Data, trailing: usize, seed: u64) -> Result<TensorProto, ExportError> {
    let raw = match data {
        Data::Stored(bytes) => bytes.clone(),
        Data::Seeded { distribution } => bytes_of_f32(&seed::values(tensor, *distribution, seed)),
        Data::Unknown => return Err(ExportError::Unknown(tensor.name.clone())),
    };
    Ok(TensorProto {
        dims: dims(&tensor.shape).into_iter().chain(std::iter::repeat_n(1, trailing)).collect(),
        data_type: element_type(tensor)?,
        name: tensor.name.clone(),
        raw_data: Some(raw),
        ..Default::default()
    })
}

/// Constants that an operator has as attributes here and as inputs in the file.
fn made_constants(graph: &Graph, node: &Node) -> Vec<TensorProto> {
    match node.op {
        Op::Reshape => vec![shape_constant(graph, node)],
        Op::Clip { low, high } => [("min", low), ("max", high)]
            .map(|(bound, value)| TensorProto {
                data_type: data_type::FLOAT,
                name: bound_name(node, bound),
                raw_data: Some(bytes_of_f32(&[value])),
                ..Default::default()
            })
            .into(),
        _ => vec![],
    }
}

/// Name of the constant with a clip's bound.
fn bound_name(node: &Node, bound: &str) -> String {
    format!("{}_{bound}", node.name)
}

/// Name of the constant with the shape of a reshape's result.
fn shape_name(node: &Node) -> String {
    format!("{}_shape", node.name)
}

fn shape_constant(graph: &Graph, node: &Node) -> TensorProto {
    let shape = node.outputs.first().map_or(&[][..], |&id| &graph.tensor(id).shape);
    // The batch is left to the reader: 0 keeps the input's.
    let mut wanted = dims(shape);
    if let Some(batch) = wanted.first_mut() {
        *batch = 0;
    }
    TensorProto {
        dims: vec![wanted.len() as i64],
        data_type: data_type::INT64,
        name: shape_name(node),
        raw_data: Some(wanted.iter().flat_map(|length| length.to_le_bytes()).collect::<Vec<u8>>().into()),
        ..Default::default()
    }
}

/// ONNX's number of a tensor's element type.
fn element_type(tensor: &Tensor) -> Result<i32, ExportError> {
    match tensor.dtype {
        DType::F32 => Ok(data_type::FLOAT),
        DType::I8 => Ok(data_type::INT8),
        DType::U8 => Ok(data_type::UINT8),
        DType::I16 => Ok(data_type::INT16),
        DType::U16 => Ok(data_type::UINT16),
        DType::I32 => Ok(data_type::INT32),
        DType::U32 => Ok(data_type::UINT32),
        DType::I64 => Ok(data_type::INT64),
        DType::U64 => Ok(data_type::UINT64),
        DType::Bool => Ok(data_type::BOOL),
        DType::I4 | DType::U4 | DType::I2 | DType::U2 | DType::L2 | DType::B1 => {
            Err(ExportError::Type { tensor: tensor.name.clone(), dtype: tensor.dtype.name() })
        }
    }
}

fn value_info(tensor: &Tensor) -> Result<ValueInfoProto, ExportError> {
    let dim = |&length: &usize| DimensionProto { dim_value: Some(length as i64), dim_param: None };
    let shape = TensorShapeProto { dim: tensor.shape.iter().map(dim).collect() };
    let tensor_type = TensorTypeProto { elem_type: element_type(tensor)?, shape: Some(shape) };
    Ok(ValueInfoProto { name: tensor.name.clone(), type_: Some(TypeProto { tensor_type: Some(tensor_type) }) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use systole_compiler::frontends::onnx::{ImportOptions, import_bytes};
    use systole_network::zoo;

    /// Integers come back with their type and their bytes; what files pack is refused.
    #[test]
    fn integers_survive_the_file() {
        let types = [DType::I8, DType::U8, DType::I16, DType::U16, DType::I32, DType::U32, DType::I64, DType::U64];
        let built = |dtype: DType| {
            let mut graph = Graph::new("integers", systole_network::graph::Form::Imported);
            let bytes: Vec<u8> = (1..=2 * dtype.bytes() as u8).collect();
            let mut tensor = |name: &str, data| {
                graph.add_tensor(Tensor { name: name.into(), shape: vec![1, 2], dtype, quant: None, data })
            };
            let ids = [tensor("x", None), tensor("c", Some(Data::Stored(bytes.into()))), tensor("y", None)];
            (graph.inputs, graph.outputs) = (vec![ids[0]], vec![ids[2]]);
            let (inputs, outputs) = (vec![ids[0], ids[1]], vec![ids[2]]);
            graph.add_node(Node { name: "n".into(), op: Op::Max, inputs, outputs, clamp: None, origins: vec![] });
            graph
        };
        for dtype in types {
            let graph = built(dtype);
            let bytes = onnx(&graph, 0).expect("it can be written");
            let back = import_bytes(bytes.into(), None, "integers", &ImportOptions::default()).expect("a valid file");
            let constant = |graph: &Graph| graph.tensors.iter().find_map(|t| t.data.clone()).expect("a constant");
            assert_eq!(constant(&back), constant(&graph), "{}", dtype.name());
            assert!(back.tensors.iter().all(|tensor| tensor.dtype == dtype), "{}", dtype.name());
        }
        let packed = onnx(&built(DType::U4), 0);
        assert!(matches!(packed, Err(ExportError::Type { dtype: "u4", .. })), "{packed:?}");
    }

    /// Exported and read back, a network is what it was: nodes, shapes and every weight.
    #[test]
    fn networks_survive_the_file() {
        for &zoo::Entry { name, small_input, .. } in zoo::entries() {
            let graph = zoo::build_scaled(name, 8, small_input).expect("large enough");
            let bytes = match onnx(&graph, 5) {
                Ok(bytes) => bytes,
                // No operator of ONNX gives 1 for 0.
                Err(error) => {
                    assert!(graph.nodes.iter().any(|node| node.op == Op::Binarize), "{name}: {error}");
                    continue;
                }
            };
            let back = import_bytes(bytes.into(), None, name, &ImportOptions::default()).expect("a valid file");
            let order = graph.topological_order().expect("no cycle");
            assert_eq!(back.nodes.len(), order.len(), "{name}");
            for (id, read) in order.iter().zip(&back.nodes) {
                let node = graph.node(*id);
                assert_eq!((&read.op, &read.name), (&node.op, &node.name), "{name}");
                assert_eq!(
                    back.tensor(read.outputs[0]).shape,
                    graph.tensor(node.outputs[0]).shape,
                    "{name}: {}",
                    node.name
                );
                for (&a, &b) in node.inputs.iter().zip(&read.inputs) {
                    let (before, after) = (graph.tensor(a), back.tensor(b));
                    assert_eq!(before.name, after.name, "{name}");
                    if let Some(Data::Seeded { distribution }) = before.data {
                        let drawn = bytes_of_f32(&seed::values(before, distribution, 5));
                        assert_eq!(after.data, Some(Data::Stored(drawn)), "{name}: {}", before.name);
                    }
                }
            }
        }
    }
}
