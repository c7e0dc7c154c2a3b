//! QOperator nodes: that they become what the same network with Q/DQ pairs becomes, and what is refused.

mod models;

use models::*;
use systole_compiler::frontends::onnx::proto::{ModelProto, NodeProto, OperatorSetIdProto, TensorProto};
use systole_compiler::passes::{Quantised, Values, legalise};
use systole_network::graph::Graph;
use systole_network::op::Op;
use systole_network::policy::NumericPolicy;
use systole_network::tensor::{DType, Data, Quant};
use systole_network::verify::verify;

const FILE: Values = Values::Real { calibration: None, seed: 0 };

fn legal(graph: &Graph) -> Quantised {
    let quantised = legalise(graph, &NumericPolicy::default(), &FILE).unwrap_or_else(|errors| panic!("{errors:#?}"));
    verify(&quantised.graph).unwrap_or_else(|errors| panic!("{errors:#?}"));
    quantised
}

fn microsoft(
    op: &str,
    inputs: &[&str],
    output: &str,
    attributes: Vec<systole_compiler::frontends::onnx::proto::AttributeProto>,
) -> NodeProto {
    NodeProto { domain: "com.microsoft".into(), ..node(op, inputs, output, attributes) }
}

/// x → Q → `nodes` from `xq` (scale `sx` 0.5, zero point `zx` 10) to `yq` (`sy` 0.25, `zy` 20) → DQ → y.
fn between(x: &[i64], nodes: Vec<NodeProto>, constants: Vec<TensorProto>) -> ModelProto {
    let mut all = vec![node("QuantizeLinear", &["x", "sx", "zx"], "xq", vec![])];
    all.extend(nodes);
    all.push(node("DequantizeLinear", &["yq", "sy", "zy"], "y", vec![]));
    let mut initializers =
        vec![f32s("sx", &[], &[0.5]), u8s("zx", &[], &[10]), f32s("sy", &[], &[0.25]), u8s("zy", &[], &[20])];
    initializers.extend(constants);
    let mut made = model(13, x, all, initializers);
    made.opset_import.push(OperatorSetIdProto { domain: "com.microsoft".into(), version: 1 });
    made
}

/// The one operator that the node becomes.
fn single(x: &[i64], nodes: Vec<NodeProto>, constants: Vec<TensorProto>) -> (Quantised, Op) {
    let quantised = legal(&imported(&between(x, nodes, constants)));
    let [node] = quantised.graph.nodes.as_slice() else { panic!("{:#?}", quantised.graph.nodes) };
    assert_eq!((node.name.as_str(), node.origins.clone()), ("n_yq", vec!["n_yq".to_owned()]));
    let output = tensor(&quantised.graph, "yq");
    assert_eq!((output.dtype, output.quant.clone()), (DType::U8, Some(Quant::per_tensor(0.25, 20))));
    let op = node.op.clone();
    (quantised, op)
}

fn bytes(graph: &Graph, name: &str) -> Vec<u8> {
    match &tensor(graph, name).data {
        Some(Data::Stored(bytes)) => bytes.to_vec(),
        other => panic!("{name} holds {other:?}"),
    }
}

#[test]
fn a_convolution_is_the_one_of_its_pairs() {
    let mut pairs = qdq_convolution();
    let graph = pairs.graph.as_mut().expect("it has a graph");
    graph.node.retain(|n| n.op_type != "Relu");
    graph.node[5].input[0] = "c".into();
    let mut linear = pairs.clone();
    let graph = linear.graph.as_mut().expect("it has a graph");
    let attribute = graph.node[4].attribute.clone();
    graph.node.drain(1..6);
    let inputs = ["xq", "sx", "zx", "w", "sw", "zw", "sy", "zy", "b"];
    graph.node.insert(1, NodeProto { name: "n_c".into(), ..node("QLinearConv", &inputs, "yq", attribute) });
    let (mut pairs, mut linear) = (legal(&imported(&pairs)), legal(&imported(&linear)));
    assert_eq!(linear.graph.nodes[0].origins, ["n_c"]);
    for graph in [&mut pairs.graph, &mut linear.graph] {
        graph.nodes[0].origins.clear();
    }
    assert_eq!(pairs, linear);
}

#[test]
fn products_with_scales_by_output() {
    let weights =
        || vec![u8s("w", &[3, 2], &[1, 2, 3, 4, 5, 6]), f32s("sw", &[2], &[0.5, 2.0]), u8s("zw", &[2], &[7, 7])];
    let inputs = ["xq", "sx", "zx", "w", "sw", "zw", "sy", "zy"];
    let (quantised, op) = single(&[1, 3], vec![node("QLinearMatMul", &inputs, "yq", vec![])], weights());
    assert_eq!(op, Op::FullyConnected);
    assert_eq!(bytes(&quantised.graph, "w"), [1, 3, 5, 2, 4, 6]);
    let quant = Quant { scale: vec![0.5, 2.0], zero_point: vec![7, 7], axis: Some(0) };
    assert_eq!(tensor(&quantised.graph, "w").quant, Some(quant));

    let mut constants = weights();
    constants[0] = u8s("w", &[2, 3], &[1, 2, 3, 4, 5, 6]);
    constants.push(i32s("c", &[2], &[100, -100]));
    let inputs = ["xq", "sx", "zx", "w", "sw", "zw", "c", "sy", "zy"];
    let gemm = microsoft("QGemm", &inputs, "yq", vec![int("transB", 1), float("alpha", 1.0)]);
    let (quantised, op) = single(&[1, 3], vec![gemm], constants);
    assert_eq!(op, Op::FullyConnected);
    assert_eq!(bytes(&quantised.graph, "c"), [100i32.to_le_bytes(), (-100i32).to_le_bytes()].concat());
    assert_eq!(tensor(&quantised.graph, "c").quant.as_ref().map(|q| q.scale.clone()), Some(vec![0.25, 1.0]));
}

#[test]
fn the_contributed_operators() {
    let image = &[1, 2, 4, 4][..];
    let x = ["xq", "sx", "zx"];
    let twice = [&x[..], &x[..], &["sy", "zy"]].concat();
    let once = [&x[..], &["sy", "zy"]].concat();
    assert_eq!(single(image, vec![microsoft("QLinearAdd", &twice, "yq", vec![])], vec![]).1, Op::Add);
    assert_eq!(single(image, vec![microsoft("QLinearMul", &twice, "yq", vec![])], vec![]).1, Op::Mul);
    let concat = [&["sy", "zy"], &x[..], &x[..]].concat();
    let concat = single(image, vec![microsoft("QLinearConcat", &concat, "yq", vec![int("axis", 1)])], vec![]);
    assert_eq!((concat.1, tensor(&concat.0.graph, "yq").shape.as_slice()), (Op::Concat, &[1, 4, 4, 4][..]));
    let global = microsoft("QLinearGlobalAveragePool", &once, "yq", vec![int("channels_last", 0)]);
    assert_eq!(single(image, vec![global], vec![]).1, Op::GlobalAveragePool);
    let average = microsoft("QLinearAveragePool", &once, "yq", vec![ints("kernel_shape", &[2, 2])]);
    assert!(matches!(single(image, vec![average], vec![]).1, Op::AveragePool(pool) if pool.kernel == [2, 2]));
    let softmax = microsoft("QLinearSoftmax", &once, "yq", vec![int("axis", 1), int("opset", 13)]);
    assert_eq!(single(image, vec![softmax], vec![]).1, Op::Softmax);
}

#[test]
fn operators_on_integers() {
    let nodes = vec![
        node("MaxPool", &["xq"], "p", vec![ints("kernel_shape", &[2, 2])]),
        node("Concat", &["p", "p"], "d", vec![int("axis", 1)]),
        node("Flatten", &["d"], "yq", vec![]),
    ];
    let mut made = between(&[1, 2, 4, 4], nodes, vec![]);
    made.graph.as_mut().expect("it has a graph").node[4].input = ["yq", "sx", "zx"].map(String::from).to_vec();
    let quantised = legal(&imported(&made));
    let names: Vec<_> = quantised.graph.nodes.iter().map(|node| node.op.name()).collect();
    assert_eq!(names, ["MaxPool", "Concat", "Reshape"]);
    assert!(
        ["p", "d", "yq"].iter().all(|name| tensor(&quantised.graph, name).quant == Some(Quant::per_tensor(0.5, 10)))
    );
}

#[test]
fn relu_on_integers_needs_zero_point_0() {
    let with_zero = |zero: i8| {
        let constants = vec![f32s("s", &[], &[0.5]), i8s("z", &[], &[zero])];
        let nodes = vec![
            node("QuantizeLinear", &["x", "s", "z"], "xq", vec![]),
            node("Relu", &["xq"], "r", vec![]),
            node("DequantizeLinear", &["r", "s", "z"], "y", vec![]),
        ];
        model(14, &[1, 2, 4, 4], nodes, constants)
    };
    let quantised = legal(&imported(&with_zero(0)));
    let [relu] = quantised.graph.nodes.as_slice() else { panic!("{:#?}", quantised.graph.nodes) };
    assert_eq!((relu.op.clone(), relu.clamp), (Op::Rescale, Some((0, 127))));
    assert_eq!(quantised.graph.tensor(relu.outputs[0]).name, "r");
    assert_eq!(refused(&with_zero(3)), ["node `n_r` (Relu): its input `xq` is i8 without zero point 0"]);
}

#[test]
fn what_is_not_done_is_named() {
    let complaint = |node: NodeProto, constants: Vec<TensorProto>| {
        let errors = refused(&between(&[1, 2, 4, 4], vec![node], constants));
        assert_eq!(errors.len(), 1, "{errors:#?}");
        errors[0].clone()
    };
    let once = ["xq", "sx", "zx", "sy", "zy"];
    let cases = [
        (
            microsoft("QLinearSigmoid", &once, "yq", vec![]),
            "the operator QLinearSigmoid of the domain `com.microsoft` is not supported",
        ),
        (node("QLinearAdd", &once, "yq", vec![]), "the operator QLinearAdd is not supported"),
        (microsoft("QLinearGlobalAveragePool", &once, "yq", vec![int("channels_last", 1)]), "`channels_last` is 1"),
        (microsoft("QLinearGlobalAveragePool", &once[..3], "yq", vec![]), "its output has no scale or no zero point"),
        (microsoft("QLinearSoftmax", &once, "yq", vec![int("axis", 1)]), "it has no attribute `opset`"),
        (
            microsoft("QLinearAdd", &["x", "sx", "zx", "xq", "sx", "zx", "sy", "zy"], "yq", vec![]),
            "its input `x` is f32, not i8 or u8",
        ),
        (
            node("QLinearConv", &["xq", "sx", "zx", "w", "sx", "zx", "sy", "zy", "sy"], "yq", vec![]),
            "its bias `sy` is f32 of rank 0, not an i32 vector",
        ),
    ];
    for (node, expected) in cases {
        let told = complaint(node, vec![u8s("w", &[2, 2, 1, 1], &[0; 4])]);
        assert!(told.contains(expected), "{told}");
    }
}

#[test]
fn integer_sums_end_at_legalisation_by_name_and_once() {
    let nodes = vec![
        node("ConvInteger", &["xq", "w", "zx"], "sum", vec![]),
        node("Cast", &["sum"], "f", vec![int("to", 1)]),
        node("Mul", &["f", "sy"], "scaled", vec![]),
        node("QuantizeLinear", &["scaled", "sy", "zy"], "yq", vec![]),
    ];
    let graph = imported(&between(&[1, 2, 4, 4], nodes, vec![u8s("w", &[2, 2, 1, 1], &[1; 4])]));
    let errors = legalise(&graph, &NumericPolicy::default(), &FILE).expect_err("no instruction does it");
    assert_eq!(errors.len(), 1, "{errors:#?}");
    let told = errors[0].to_string();
    assert!(told.starts_with("node `n_f` (Cast): sums are scaled in float") && told.contains("Q/DQ pairs"));
}
