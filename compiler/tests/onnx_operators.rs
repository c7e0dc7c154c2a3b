//! What each ONNX operator imports as.

mod models;

use models::*;
use systole_compiler::frontends::onnx::proto::{TensorProto, data_type};
use systole_compiler::frontends::onnx::{ImportOptions, import_bytes, supported_operators};
use systole_network::op::{Conv, Lrn, Op, Pool};
use systole_network::tensor::{DType, Data, Quant, f32_of_bytes};

/// A model of the one node that makes `y`; its op, its output shape.
fn single(
    opset: i64,
    x: &[i64],
    node: systole_compiler::frontends::onnx::proto::NodeProto,
    constants: Vec<TensorProto>,
) -> (Op, Vec<usize>) {
    let graph = imported(&model(opset, x, vec![node], constants));
    assert_eq!(graph.nodes.len(), 1);
    (graph.nodes[0].op.clone(), tensor(&graph, "y").shape.clone())
}

fn floats(graph: &systole_network::graph::Graph, name: &str) -> Vec<f32> {
    match &tensor(graph, name).data {
        Some(Data::Stored(bytes)) => f32_of_bytes(bytes),
        other => panic!("{name} holds {other:?}"),
    }
}

#[test]
fn conv_with_every_attribute() {
    let attributes = vec![
        ints("kernel_shape", &[3, 5]),
        ints("strides", &[2, 1]),
        ints("dilations", &[1, 2]),
        ints("pads", &[1, 2, 0, 3]),
        int("group", 2),
    ];
    let node = node("Conv", &["x", "w", "b"], "y", attributes);
    let (op, shape) = single(13, &[1, 4, 9, 12], node, vec![ramp("w", &[6, 2, 3, 5]), ramp("b", &[6])]);
    let expected = Conv { kernel: [3, 5], stride: [2, 1], dilation: [1, 2], pads: [1, 2, 0, 3], groups: 2 };
    assert_eq!((op, shape), (Op::Conv(expected), vec![1, 6, 4, 9]));
}

#[test]
fn conv_infers_its_kernel_and_same_pads() {
    for (mode, pads) in [("SAME_UPPER", [0, 0, 1, 1]), ("SAME_LOWER", [1, 1, 0, 0])] {
        let node = node("Conv", &["x", "w"], "y", vec![string("auto_pad", mode), ints("strides", &[2, 2])]);
        let (op, shape) = single(7, &[1, 1, 6, 6], node, vec![ramp("w", &[1, 1, 3, 3])]);
        let Op::Conv(conv) = op else { panic!("{op:?}") };
        assert_eq!((conv.kernel, conv.pads, shape), ([3, 3], pads, vec![1, 1, 3, 3]));
    }
}

#[test]
fn gemm_and_matmul_give_weights_by_output() {
    for (op, attributes) in
        [("MatMul", vec![]), ("Gemm", vec![]), ("Gemm", vec![int("transB", 0), float("alpha", 1.0)])]
    {
        let graph =
            imported(&model(13, &[1, 3], vec![node(op, &["x", "w"], "y", attributes)], vec![ramp("w", &[3, 2])]));
        assert_eq!(tensor(&graph, "w").shape, [2, 3]);
        assert_eq!(floats(&graph, "w"), [0.5, 1.5, 2.5, 1.0, 2.0, 3.0]);
        assert_eq!(graph.nodes[0].op, Op::FullyConnected);
    }
    let gemm = node("Gemm", &["x", "w", "b"], "y", vec![int("transB", 1)]);
    let graph = imported(&model(13, &[1, 3], vec![gemm], vec![ramp("w", &[2, 3]), ramp("b", &[1, 2])]));
    assert_eq!(floats(&graph, "w"), [0.5, 1.0, 1.5, 2.0, 2.5, 3.0]);
    assert_eq!(tensor(&graph, "b").shape, [2]);
}

#[test]
fn a_shared_weight_is_transposed_into_a_copy() {
    let nodes = vec![node("MatMul", &["x", "w"], "h", vec![]), node("Gemm", &["h", "w"], "y", vec![int("transB", 1)])];
    let graph = imported(&model(13, &[1, 3], nodes, vec![ramp("w", &[3, 2])]));
    assert_eq!(tensor(&graph, "w").shape, [3, 2]);
    assert_eq!(tensor(&graph, "w:transposed").shape, [2, 3]);
}

#[test]
fn pools() {
    let attributes = || vec![ints("kernel_shape", &[3, 3]), ints("strides", &[2, 2]), ints("pads", &[0, 0, 1, 1])];
    let mut with_modes = attributes();
    with_modes.extend([int("ceil_mode", 1), int("count_include_pad", 1)]);
    let pool = |ceil_mode, count_include_pad| Pool {
        kernel: [3, 3],
        stride: [2, 2],
        dilation: [1, 1],
        pads: [0, 0, 1, 1],
        ceil_mode,
        count_include_pad,
    };
    let (op, shape) = single(13, &[1, 2, 7, 8], node("MaxPool", &["x"], "y", attributes()), vec![]);
    assert_eq!((op, shape), (Op::MaxPool(pool(false, false)), vec![1, 2, 3, 4]));
    let (op, shape) = single(13, &[1, 2, 7, 8], node("AveragePool", &["x"], "y", with_modes), vec![]);
    assert_eq!((op, shape), (Op::AveragePool(pool(true, true)), vec![1, 2, 4, 4]));
    let (op, shape) = single(13, &[2, 3, 4, 5], node("GlobalAveragePool", &["x"], "y", vec![]), vec![]);
    assert_eq!((op, shape), (Op::GlobalAveragePool, vec![2, 3, 1, 1]));
}

#[test]
fn per_channel_operands_come_second_as_vectors() {
    for dims in [&[3i64, 1, 1][..], &[1, 3, 1, 1]] {
        for order in [["x", "k"], ["k", "x"]] {
            let graph =
                imported(&model(13, &[1, 3, 2, 2], vec![node("Mul", &order, "y", vec![])], vec![ramp("k", dims)]));
            let inputs = &graph.nodes[0].inputs;
            assert_eq!((graph.tensor(inputs[0]).name.as_str(), graph.tensor(inputs[1]).name.as_str()), ("x", "k"));
            assert_eq!(tensor(&graph, "k").shape, [3]);
        }
    }
    let scalar = model(13, &[1, 3, 2, 2], vec![node("Add", &["x", "k"], "y", vec![])], vec![f32s("k", &[], &[2.0])]);
    assert_eq!(floats(&imported(&scalar), "k"), [2.0, 2.0, 2.0]);
}

#[test]
fn a_per_channel_operand_behind_a_dequantize_becomes_a_vector() {
    let nodes = vec![node("DequantizeLinear", &["k", "s", "z"], "kf", vec![]), node("Add", &["x", "kf"], "y", vec![])];
    let constants = vec![u8s("k", &[3, 1, 1], &[1, 2, 3]), f32s("s", &[], &[0.5]), u8s("z", &[], &[1])];
    let graph = imported(&model(13, &[1, 3, 2, 2], nodes, constants));
    assert_eq!((tensor(&graph, "k").shape.as_slice(), tensor(&graph, "kf").shape.as_slice()), (&[3][..], &[3][..]));
    assert_eq!(tensor(&graph, "k").quant, Some(Quant::per_tensor(0.5, 1)));
    assert_eq!(graph.nodes.len(), 2);
}

#[test]
fn sums_of_activations() {
    for op in ["Add", "Sum", "Mul"] {
        let nodes = vec![node("Relu", &["x"], "r", vec![]), node(op, &["r", "x"], "y", vec![])];
        let graph = imported(&model(13, &[1, 3, 2, 2], nodes, vec![]));
        assert_eq!(graph.nodes[1].op, if op == "Mul" { Op::Mul } else { Op::Add });
    }
}

#[test]
fn sums_of_three_normalisation_and_channel_shuffle() {
    let nodes = vec![node("Relu", &["x"], "r", vec![]), node("Sum", &["r", "x", "r"], "y", vec![])];
    let graph = imported(&model(13, &[1, 3, 2, 2], nodes, vec![]));
    assert_eq!((graph.nodes[1].op.clone(), graph.nodes[1].inputs.len()), (Op::Sum, 3));
    let defaults = node("LRN", &["x"], "y", vec![int("size", 3)]);
    let expected = Lrn { size: 3, alpha: 1e-4, beta: 0.75, bias: 1.0 };
    assert_eq!(single(7, &[1, 6, 2, 2], defaults, vec![]), (Op::Lrn(expected), vec![1, 6, 2, 2]));
    let reversed = node("Transpose", &["x"], "y", vec![]);
    assert_eq!(single(7, &[2, 3, 4], reversed, vec![]), (Op::Transpose { perm: vec![2, 1, 0] }, vec![4, 3, 2]));
    let shuffle = vec![
        node("Reshape", &["x", "split"], "s", vec![]),
        node("Transpose", &["s"], "t", vec![ints("perm", &[0, 2, 1, -2, 4])]),
        node("Reshape", &["t", "merge"], "y", vec![]),
    ];
    let shapes = vec![i64s("split", &[0, 2, 3, 4, 5]), i64s("merge", &[0, 6, 4, 5])];
    let graph = imported(&model(13, &[1, 6, 4, 5], shuffle, shapes));
    assert_eq!(tensor(&graph, "t").shape, [1, 3, 2, 4, 5]);
    assert_eq!(tensor(&graph, "y").shape, [1, 6, 4, 5]);
}

#[test]
fn integer_sums_and_their_cast() {
    let nodes = vec![
        node("QuantizeLinear", &["x", "s", "z"], "q", vec![]),
        node("ConvInteger", &["q", "w", "z", "v"], "sum", vec![ints("pads", &[1, 1, 1, 1])]),
        node("Cast", &["sum"], "y", vec![int("to", 1)]),
    ];
    let constants = vec![
        f32s("s", &[], &[0.5]),
        u8s("z", &[], &[7]),
        i8s("w", &[1, 1, 3, 3], &[1, 2, 3, 4, 5, 6, 7, 8, 9]),
        i8s("v", &[], &[-2]),
    ];
    let graph = imported(&model(13, &[1, 1, 4, 4], nodes, constants));
    let Op::ConvInteger { conv, zeros } = &graph.nodes[1].op else { panic!("{:?}", graph.nodes[1]) };
    assert_eq!((conv.pads, *zeros), ([1; 4], [7, -2]));
    assert_eq!((tensor(&graph, "sum").dtype, graph.nodes[2].op.clone()), (DType::I32, Op::Cast));
    let nodes = vec![
        node("QuantizeLinear", &["x", "s"], "q", vec![]),
        node("MatMulInteger", &["q", "w"], "sum", vec![]),
        node("Cast", &["sum"], "y", vec![int("to", 1)]),
    ];
    let constants = vec![f32s("s", &[], &[0.5]), u8s("w", &[3, 2], &[1, 2, 3, 4, 5, 6])];
    let graph = imported(&model(13, &[1, 3], nodes, constants));
    assert_eq!(graph.nodes[1].op, Op::MatMulInteger { zeros: [0, 0] });
    assert_eq!(tensor(&graph, "w").data, Some(Data::Stored(vec![1, 3, 5, 2, 4, 6].into())));
}

#[test]
fn clip_bounds_of_both_opset_generations() {
    let by_attribute = node("Clip", &["x"], "y", vec![float("min", 0.0), float("max", 6.0)]);
    assert_eq!(single(10, &[1, 2], by_attribute, vec![]).0, Op::Clip { low: 0.0, high: 6.0 });
    let by_input = node("Clip", &["x", "", "high"], "y", vec![]);
    assert_eq!(single(11, &[1, 2], by_input, vec![f32s("high", &[], &[6.0])]).0, Op::Clip { low: f32::MIN, high: 6.0 });
}

#[test]
fn channel_operators() {
    let constants = || ["s", "b", "m", "v"].map(|name| ramp(name, &[3])).to_vec();
    let batch_norm = node("BatchNormalization", &["x", "s", "b", "m", "v"], "y", vec![float("epsilon", 0.5)]);
    assert_eq!(single(9, &[1, 3, 2, 2], batch_norm, constants()).0, Op::BatchNorm { epsilon: 0.5 });
    let concat = node("Concat", &["x", "x", "x"], "y", vec![int("axis", -3)]);
    assert_eq!(single(13, &[1, 3, 2, 2], concat, vec![]), (Op::Concat, vec![1, 9, 2, 2]));
    for (opset, shape, axis) in
        [(13, &[1i64, 5][..], -1), (13, &[1, 5, 2, 2], 1), (11, &[1, 5, 1, 1], 1), (11, &[1, 5], 0)]
    {
        let (op, _) = single(opset, shape, node("Softmax", &["x"], "y", vec![int("axis", axis)]), vec![]);
        assert_eq!(op, Op::Softmax);
    }
}

#[test]
fn shape_operators_on_activations_are_views() {
    let reshape =
        |wanted: &[i64]| single(13, &[2, 3, 4, 1], node("Reshape", &["x", "s"], "y", vec![]), vec![i64s("s", wanted)]);
    assert_eq!(reshape(&[0, -1]), (Op::Reshape, vec![2, 12]));
    assert_eq!(reshape(&[-1, 0, 2, 2]), (Op::Reshape, vec![2, 3, 2, 2]));
    let flatten = |axis| single(13, &[2, 3, 4, 1], node("Flatten", &["x"], "y", vec![int("axis", axis)]), vec![]);
    assert_eq!(flatten(1), (Op::Reshape, vec![2, 12]));
    assert_eq!(flatten(-2), (Op::Reshape, vec![6, 4]));
    let squeeze = node("Squeeze", &["x", "a"], "y", vec![]);
    assert_eq!(single(13, &[2, 3, 4, 1], squeeze, vec![i64s("a", &[-1])]).1, [2, 3, 4]);
    let unsqueeze = node("Unsqueeze", &["x"], "y", vec![ints("axes", &[0, 3])]);
    assert_eq!(single(11, &[2, 3], unsqueeze, vec![]).1, [1, 2, 3, 1]);
    for op in ["Identity", "Dropout"] {
        assert_eq!(single(13, &[2, 3], node(op, &["x"], "y", vec![]), vec![]).0, Op::Identity);
    }
}

#[test]
fn shape_operators_and_quantize_on_constants_are_done_at_import() {
    let mut value = int("value", 0);
    value.kind = 4;
    value.t = Some(ramp("", &[3]));
    let nodes = vec![
        node("Constant", &[], "c", vec![value]),
        node("Unsqueeze", &["c", "axes"], "u", vec![]),
        node("Identity", &["u"], "i", vec![]),
        node("QuantizeLinear", &["i", "s"], "q", vec![]),
        node("DequantizeLinear", &["q", "s"], "d", vec![]),
        node("Mul", &["x", "d"], "y", vec![]),
    ];
    let constants = vec![i64s("axes", &[1, 2]), f32s("s", &[], &[0.5])];
    let graph = imported(&model(13, &[1, 3, 2, 2], nodes, constants));
    assert_eq!(graph.nodes.iter().map(|n| n.op.name()).collect::<Vec<_>>(), ["DequantizeLinear", "Mul"]);
    let q = tensor(&graph, "q");
    assert_eq!((q.dtype, &q.data), (DType::U8, &Some(Data::Stored(vec![1, 2, 3].into()))));
}

#[test]
fn typed_fields_hold_elements_too() {
    let bare = |name: &str, dims: &[i64], data_type| TensorProto {
        name: name.into(),
        dims: dims.into(),
        data_type,
        ..Default::default()
    };
    let weights = TensorProto { int32_data: vec![-3, 4], ..bare("w", &[1, 2], data_type::INT8) };
    let scale = TensorProto { float_data: vec![0.25], ..bare("s", &[], data_type::FLOAT) };
    let shape = TensorProto { int64_data: vec![1, 2], ..bare("shape", &[2], data_type::INT64) };
    let nodes = vec![
        node("DequantizeLinear", &["w", "s"], "wf", vec![]),
        node("Reshape", &["x", "shape"], "h", vec![]),
        node("Gemm", &["h", "wf"], "y", vec![int("transB", 1)]),
    ];
    let graph = imported(&model(13, &[1, 2, 1, 1], nodes, vec![weights, scale, shape]));
    assert_eq!(tensor(&graph, "w").data, Some(Data::Stored(vec![253, 4].into())));
    assert_eq!(tensor(&graph, "w").quant, Some(Quant::per_tensor(0.25, 0)));
}

#[test]
fn an_unknown_batch_is_one_and_given_shapes_win() {
    let relu = || model(13, &[-1, 3, -1], vec![node("Relu", &["x"], "y", vec![])], vec![]);
    let options = ImportOptions { shapes: [("x".to_owned(), vec![2, 3, 5])].into() };
    let graph = import_bytes(encode(&relu()), None, "test", &options).expect("the shape is given");
    assert_eq!(tensor(&graph, "y").shape, [2, 3, 5]);
    let batch_only = model(13, &[-1, 3], vec![node("Relu", &["x"], "y", vec![])], vec![]);
    assert_eq!(tensor(&imported(&batch_only), "y").shape, [1, 3]);
}

#[test]
fn initializers_may_be_listed_as_inputs_and_names_may_be_missing() {
    let mut model = model(8, &[1, 3], vec![node("Gemm", &["x", "w"], "y", vec![])], vec![ramp("w", &[3, 2])]);
    let graph = model.graph.as_mut().expect("it has a graph");
    graph.input.push(value("w", &[3, 2]));
    graph.node[0].name.clear();
    let graph = imported(&model);
    assert_eq!((graph.inputs.len(), graph.nodes[0].name.as_str()), (1, "y"));
}

#[test]
fn the_list_of_operators_is_what_the_tests_above_cover() {
    let mut covered = vec![
        "Add",
        "AveragePool",
        "BatchNormalization",
        "Cast",
        "Clip",
        "Concat",
        "Constant",
        "Conv",
        "ConvInteger",
        "DequantizeLinear",
        "Dropout",
        "Flatten",
        "Gemm",
        "GlobalAveragePool",
        "Identity",
        "LRN",
        "MatMul",
        "MatMulInteger",
        "MaxPool",
        "Mul",
        "QuantizeLinear",
        "Relu",
        "Reshape",
        "Softmax",
        "Squeeze",
        "Sum",
        "Transpose",
        "Unsqueeze",
        // Those of the QOperator form are covered by `qoperator.rs`.
        "QGemm",
        "QLinearAdd",
        "QLinearAveragePool",
        "QLinearConcat",
        "QLinearConv",
        "QLinearGlobalAveragePool",
        "QLinearMatMul",
        "QLinearMul",
        "QLinearSoftmax",
        // Those below by `onnx_field.rs`.
        "ConvTranspose",
        "DeformConv",
        "DepthToSpace",
        "Div",
        "Elu",
        "GlobalMaxPool",
        "HardSigmoid",
        "HardSwish",
        "LeakyRelu",
        "Max",
        "MaxUnpool",
        "Min",
        "PRelu",
        "Pad",
        "ReduceMean",
        "Resize",
        "Sigmoid",
        "Slice",
        "SpaceToDepth",
        "Split",
        "Sub",
        "Tanh",
        "Upsample",
    ];
    covered.sort_unstable();
    assert_eq!(supported_operators().collect::<Vec<_>>(), covered);
}
