//! A small vocabulary to write ONNX models with, from the importer's own messages.

#![allow(dead_code, reason = "each test file uses its part of it")]

use bytes::Bytes;
use prost::Message;
use systole_compiler::frontends::onnx::proto::*;
use systole_compiler::frontends::onnx::{ImportError, ImportOptions, import_bytes};
use systole_network::graph::{Graph, Node};
use systole_network::tensor::Tensor;

/// A model with one f32 input `x` and the output `y`.
pub(crate) fn model(opset: i64, x: &[i64], nodes: Vec<NodeProto>, initializer: Vec<TensorProto>) -> ModelProto {
    let graph = GraphProto {
        node: nodes,
        initializer,
        input: vec![value("x", x)],
        output: vec![value("y", &[])],
        ..Default::default()
    };
    let set = OperatorSetIdProto { domain: String::new(), version: opset };
    ModelProto { ir_version: Some(8), opset_import: vec![set], graph: Some(graph) }
}

pub(crate) fn value(name: &str, shape: &[i64]) -> ValueInfoProto {
    let dim = shape.iter().map(|&d| DimensionProto { dim_value: (d > 0).then_some(d), dim_param: None }).collect();
    let tensor_type = TensorTypeProto { elem_type: data_type::FLOAT, shape: Some(TensorShapeProto { dim }) };
    ValueInfoProto { name: name.into(), type_: Some(TypeProto { tensor_type: Some(tensor_type) }) }
}

pub(crate) fn node(op: &str, inputs: &[&str], output: &str, attribute: Vec<AttributeProto>) -> NodeProto {
    NodeProto {
        input: inputs.iter().map(|&s| s.into()).collect(),
        output: vec![output.into()],
        name: format!("n_{output}"),
        op_type: op.into(),
        domain: String::new(),
        attribute,
    }
}

pub(crate) fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto { name: name.into(), kind: attribute_type::INT, i, ..Default::default() }
}

pub(crate) fn float(name: &str, f: f32) -> AttributeProto {
    AttributeProto { name: name.into(), kind: attribute_type::FLOAT, f, ..Default::default() }
}

pub(crate) fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto { name: name.into(), kind: attribute_type::INTS, ints: values.to_vec(), ..Default::default() }
}

pub(crate) fn string(name: &str, s: &str) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        kind: attribute_type::STRING,
        s: Bytes::from(s.to_owned()),
        ..Default::default()
    }
}

fn raw(name: &str, dims: &[i64], data_type: i32, bytes: Vec<u8>) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type,
        raw_data: Some(bytes.into()),
        ..Default::default()
    }
}

pub(crate) fn f32s(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    raw(name, dims, data_type::FLOAT, values.iter().flat_map(|v| v.to_le_bytes()).collect())
}

/// f32 values 0.5, 1, 1.5 …
pub(crate) fn ramp(name: &str, dims: &[i64]) -> TensorProto {
    let count = dims.iter().product::<i64>();
    f32s(name, dims, &(1..=count).map(|i| i as f32 * 0.5).collect::<Vec<_>>())
}

pub(crate) fn i8s(name: &str, dims: &[i64], values: &[i8]) -> TensorProto {
    raw(name, dims, data_type::INT8, values.iter().map(|&v| v as u8).collect())
}

pub(crate) fn u8s(name: &str, dims: &[i64], values: &[u8]) -> TensorProto {
    raw(name, dims, data_type::UINT8, values.to_vec())
}

pub(crate) fn i32s(name: &str, dims: &[i64], values: &[i32]) -> TensorProto {
    raw(name, dims, data_type::INT32, values.iter().flat_map(|v| v.to_le_bytes()).collect())
}

pub(crate) fn i64s(name: &str, values: &[i64]) -> TensorProto {
    raw(name, &[values.len() as i64], data_type::INT64, values.iter().flat_map(|v| v.to_le_bytes()).collect())
}

pub(crate) fn encode(model: &ModelProto) -> Bytes {
    Bytes::from(model.encode_to_vec())
}

pub(crate) fn import(model: &ModelProto) -> Result<Graph, Vec<ImportError>> {
    import_bytes(encode(model), None, "test", &ImportOptions::default())
}

/// Imports what must import, and must satisfy the verifier.
pub(crate) fn imported(model: &ModelProto) -> Graph {
    let graph = import(model).unwrap_or_else(|errors| panic!("{errors:#?}"));
    systole_network::verify::verify(&graph).unwrap_or_else(|errors| panic!("{errors:#?}"));
    graph
}

/// The texts of what must not import.
pub(crate) fn refused(model: &ModelProto) -> Vec<String> {
    import(model).expect_err("the model is wrong").iter().map(ToString::to_string).collect()
}

pub(crate) fn tensor<'g>(graph: &'g Graph, name: &str) -> &'g Tensor {
    graph.tensors.iter().find(|t| t.name == name).unwrap_or_else(|| panic!("no tensor {name}"))
}

pub(crate) fn node_named<'g>(graph: &'g Graph, name: &str) -> &'g Node {
    graph.nodes.iter().find(|n| n.name == name).unwrap_or_else(|| panic!("no node {name}"))
}

/// x → Q → DQ → Conv (i8 weights per channel, i32 bias) → Relu → Q → DQ → y; scales are powers of two.
pub(crate) fn qdq_convolution() -> ModelProto {
    let nodes = vec![
        node("QuantizeLinear", &["x", "sx", "zx"], "xq", vec![]),
        node("DequantizeLinear", &["xq", "sx", "zx"], "xf", vec![]),
        node("DequantizeLinear", &["w", "sw", "zw"], "wf", vec![int("axis", 0)]),
        node("DequantizeLinear", &["b", "sb", "zb"], "bf", vec![int("axis", 0)]),
        node("Conv", &["xf", "wf", "bf"], "c", vec![ints("pads", &[1, 1, 1, 1]), ints("strides", &[2, 2])]),
        node("Relu", &["c"], "r", vec![]),
        node("QuantizeLinear", &["r", "sy", "zy"], "yq", vec![]),
        node("DequantizeLinear", &["yq", "sy", "zy"], "y", vec![]),
    ];
    let weights: Vec<i8> = (0..54).map(|i| (i * 5 % 251 - 125) as i8).collect();
    let constants = vec![
        f32s("sx", &[], &[0.5]),
        u8s("zx", &[], &[128]),
        i8s("w", &[2, 3, 3, 3], &weights),
        f32s("sw", &[2], &[0.25, 0.125]),
        i8s("zw", &[2], &[0, 0]),
        i32s("b", &[2], &[7, -9]),
        f32s("sb", &[2], &[0.125, 0.0625]),
        i32s("zb", &[2], &[0, 0]),
        f32s("sy", &[], &[4.0]),
        u8s("zy", &[], &[3]),
    ];
    model(13, &[1, 3, 8, 8], nodes, constants)
}
