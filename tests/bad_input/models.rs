//! Small ONNX models, from the importer's own messages.

use prost::Message;
use systole::compiler::frontends::onnx::proto::*;

/// A model with one f32 input `x` and the output `y`, opset 13.
pub(crate) fn model(x: &[i64], node: Vec<NodeProto>, initializer: Vec<TensorProto>) -> ModelProto {
    let graph = GraphProto {
        node,
        initializer,
        input: vec![value("x", x)],
        output: vec![value("y", &[])],
        ..Default::default()
    };
    let set = OperatorSetIdProto { domain: String::new(), version: 13 };
    ModelProto { ir_version: Some(8), opset_import: vec![set], graph: Some(graph) }
}

/// A tensor without a shape where `shape` is empty.
fn value(name: &str, shape: &[i64]) -> ValueInfoProto {
    let dim = shape.iter().map(|&d| DimensionProto { dim_value: Some(d), dim_param: None }).collect();
    let shape = (!shape.is_empty()).then_some(TensorShapeProto { dim });
    let tensor_type = TensorTypeProto { elem_type: data_type::FLOAT, shape };
    ValueInfoProto { name: name.into(), type_: Some(TypeProto { tensor_type: Some(tensor_type) }) }
}

/// A node, called `n_` and its output.
pub(crate) fn node(op: &str, inputs: &[&str], output: &str, attribute: Vec<AttributeProto>) -> NodeProto {
    NodeProto {
        input: inputs.iter().map(|&name| name.into()).collect(),
        output: vec![output.into()],
        name: format!("n_{output}"),
        op_type: op.into(),
        domain: String::new(),
        attribute,
    }
}

pub(crate) fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto { name: name.into(), kind: attribute_type::INTS, ints: values.to_vec(), ..Default::default() }
}

fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto { name: name.into(), kind: attribute_type::INT, i, ..Default::default() }
}

pub(crate) fn raw(name: &str, dims: &[i64], data_type: i32, bytes: Vec<u8>) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type,
        raw_data: Some(bytes.into()),
        ..Default::default()
    }
}

pub(crate) fn f32s(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    raw(name, dims, data_type::FLOAT, values.iter().flat_map(|value| value.to_le_bytes()).collect())
}

pub(crate) fn i32s(name: &str, dims: &[i64], values: &[i32]) -> TensorProto {
    raw(name, dims, data_type::INT32, values.iter().flat_map(|value| value.to_le_bytes()).collect())
}

/// x → Q → DQ → 3×3 convolution (i8 weights per channel, i32 bias) → Relu → Q → DQ → y, with this scale of x.
pub(crate) fn qdq(scale: f32) -> ModelProto {
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
    let weights: Vec<u8> = (0..54).map(|index| (index * 5 % 251) as u8).collect();
    let constants = vec![
        f32s("sx", &[], &[scale]),
        raw("zx", &[], data_type::UINT8, vec![128]),
        raw("w", &[2, 3, 3, 3], data_type::INT8, weights),
        f32s("sw", &[2], &[0.25, 0.125]),
        raw("zw", &[2], data_type::INT8, vec![0, 0]),
        i32s("b", &[2], &[7, -9]),
        f32s("sb", &[2], &[0.25 * scale, 0.125 * scale]),
        i32s("zb", &[2], &[0, 0]),
        f32s("sy", &[], &[4.0]),
        raw("zy", &[], data_type::UINT8, vec![3]),
    ];
    model(&[1, 3, 8, 8], nodes, constants)
}

pub(crate) fn bytes(model: &ModelProto) -> Vec<u8> {
    model.encode_to_vec()
}
