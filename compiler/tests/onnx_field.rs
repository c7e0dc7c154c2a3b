//! What the operators beyond the first set import as: windows of other kinds, functions, moves, other sizes, operands of unlike shapes.

mod models;

use models::*;
use systole_compiler::frontends::onnx::proto::{NodeProto, TensorProto};
use systole_network::graph::Graph;
use systole_network::op::*;
use systole_network::verify::verify;

/// The graph of a model of these nodes, which is sound.
fn graph(opset: i64, x: &[i64], nodes: Vec<NodeProto>, constants: Vec<TensorProto>) -> Graph {
    let graph = imported(&model(opset, x, nodes, constants));
    verify(&graph).unwrap_or_else(|errors| panic!("{errors:#?}"));
    graph
}

/// The operators of one node, in order, and the shape of `y`.
fn ops(opset: i64, x: &[i64], node: NodeProto, constants: Vec<TensorProto>) -> (Vec<Op>, Vec<usize>) {
    let graph = graph(opset, x, vec![node], constants);
    (graph.nodes.iter().map(|node| node.op.clone()).collect(), tensor(&graph, "y").shape.clone())
}

fn names(opset: i64, x: &[i64], node: NodeProto, constants: Vec<TensorProto>) -> (Vec<&'static str>, Vec<usize>) {
    let (ops, shape) = ops(opset, x, node, constants);
    (ops.iter().map(Op::name).collect(), shape)
}

#[test]
fn functions_with_their_attributes() {
    let single = |op: &str, attributes| ops(13, &[1, 3, 2, 2], node(op, &["x"], "y", attributes), vec![]).0;
    let cases = [
        (single("Sigmoid", vec![]), Function::Sigmoid),
        (single("Tanh", vec![]), Function::Tanh),
        (single("HardSwish", vec![]), Function::HardSwish),
        (single("HardSigmoid", vec![float("beta", 0.25)]), Function::HardSigmoid { alpha: 0.2, beta: 0.25 }),
        (single("LeakyRelu", vec![]), Function::LeakyRelu { alpha: 0.01 }),
        (single("Elu", vec![float("alpha", 2.0)]), Function::Elu { alpha: 2.0 }),
    ];
    for (ops, function) in cases {
        assert_eq!(ops, [Op::Function(function)]);
    }
    let slope =
        |dims: &[i64]| names(13, &[1, 3, 2, 2], node("PRelu", &["x", "s"], "y", vec![]), vec![ramp("s", dims)]).0;
    assert_eq!(slope(&[3, 1, 1]), ["PRelu"]);
    assert_eq!(slope(&[2]), ["Clip", "Mul", "Relu", "Add"]);
}

#[test]
fn operands_of_unlike_shapes() {
    let pair = |op: &str, dims: &[i64]| {
        let graph = graph(13, &[1, 3, 2, 4], vec![node(op, &["x", "k"], "y", vec![])], vec![ramp("k", dims)]);
        tensor(&graph, "k").shape.clone()
    };
    assert_eq!(pair("Sub", &[3, 1, 1]), [3]);
    assert_eq!(pair("Div", &[]), [3]);
    assert_eq!(pair("Max", &[2, 4]), [1, 1, 2, 4]);
    assert_eq!(pair("Mul", &[4]), [1, 1, 1, 4]);
    let chain = node("Min", &["x", "x", "k"], "y", vec![]);
    assert_eq!(names(13, &[1, 3], chain, vec![ramp("k", &[1])]).0, ["Min", "Min"]);
    let minuend = node("Sub", &["k", "x"], "y", vec![]);
    assert_eq!(names(13, &[1, 3, 2, 2], minuend, vec![ramp("k", &[])]).0, ["Mul", "Add"]);
    let divided = graph(13, &[2, 3], vec![node("Div", &["k", "x"], "y", vec![])], vec![ramp("k", &[1])]);
    assert_eq!(divided.tensor(divided.nodes[0].inputs[0]).name, "k");
}

#[test]
fn transposed_convolution_finds_its_pads() {
    let image = |attributes| {
        let node = node("ConvTranspose", &["x", "w"], "y", attributes);
        let (ops, shape) = ops(13, &[1, 1, 3, 3], node, vec![ramp("w", &[1, 2, 3, 3])]);
        let [Op::ConvTranspose(conv)] = &ops[..] else { panic!("{ops:?}") };
        (conv.pads, conv.output_padding, shape)
    };
    let strides = || ints("strides", &[3, 2]);
    assert_eq!(image(vec![strides()]), ([0; 4], [0; 2], vec![1, 2, 9, 7]));
    assert_eq!(image(vec![strides(), ints("output_padding", &[1, 1])]), ([0; 4], [1; 2], vec![1, 2, 10, 8]));
    assert_eq!(image(vec![strides(), ints("output_shape", &[10, 8])]), ([0; 4], [1; 2], vec![1, 2, 10, 8]));
    assert_eq!(image(vec![strides(), ints("output_shape", &[8, 5])]), ([1, 1, 0, 1], [0; 2], vec![1, 2, 8, 5]));
    let same = |mode| image(vec![ints("strides", &[2, 2]), string("auto_pad", mode)]);
    assert_eq!(same("SAME_UPPER"), ([0, 0, 1, 1], [0; 2], vec![1, 2, 6, 6]));
    assert_eq!(same("SAME_LOWER"), ([1, 1, 0, 0], [0; 2], vec![1, 2, 6, 6]));
    let line = node("ConvTranspose", &["x", "w"], "y", vec![ints("pads", &[1, 0])]);
    let expected = (vec!["Reshape", "ConvTranspose", "Reshape"], vec![1, 2, 4]);
    assert_eq!(names(13, &[1, 1, 3], line, vec![ramp("w", &[1, 2, 3])]), expected);
}

#[test]
fn deformable_convolution_and_its_operands() {
    let nodes = vec![
        node("Conv", &["x", "ow"], "offsets", vec![]),
        node("Conv", &["x", "mw"], "mask", vec![]),
        node("DeformConv", &["x", "w", "offsets", "b", "mask"], "y", vec![ints("pads", &[0, 0, 0, 0])]),
    ];
    let constants =
        vec![ramp("ow", &[8, 2, 2, 2]), ramp("mw", &[4, 2, 2, 2]), ramp("w", &[3, 2, 2, 2]), ramp("b", &[3])];
    let graph = graph(19, &[1, 2, 4, 4], nodes, constants);
    let Op::DeformConv(deform) = &graph.nodes[2].op else { panic!("{:?}", graph.nodes[2].op) };
    assert_eq!((deform.conv.kernel, deform.offset_groups, graph.nodes[2].inputs.len()), ([2, 2], 1, 5));
    assert_eq!(tensor(&graph, "y").shape, [1, 3, 3, 3]);
}

#[test]
fn pooling_with_switches_and_back() {
    let mut pool = node("MaxPool", &["x"], "p", vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])]);
    pool.output.push("i".into());
    let window = || vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])];
    let unpool = node("MaxUnpool", &["p", "i", "s"], "y", window());
    let made = graph(11, &[1, 2, 5, 5], vec![pool, unpool], vec![i64s("s", &[1, 2, 5, 5])]);
    assert_eq!(made.nodes.iter().map(|n| n.op.name()).collect::<Vec<_>>(), ["MaxPool", "ArgMaxPool", "MaxUnpool"]);
    assert_eq!(tensor(&made, "y").shape, [1, 2, 5, 5]);
    // Where nobody reads the maxima, the node is the switches'.
    let mut switches = node("MaxPool", &["x"], "", vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])]);
    (switches.output, switches.name) = (vec!["unread".into(), "i".into()], "switches".into());
    let nodes = vec![node("MaxPool", &["x"], "p", window()), switches, node("MaxUnpool", &["p", "i"], "y", window())];
    let made = graph(11, &[1, 2, 4, 4], nodes, vec![]);
    assert_eq!(made.nodes[1].name, "switches");
    assert_eq!((made.nodes.len(), tensor(&made, "y").shape.as_slice()), (3, &[1, 2, 4, 4][..]));
}

#[test]
fn lines_and_volumes() {
    let pool = |x: &[i64], kernel: &[i64]| {
        let strides = ints("strides", &vec![2; kernel.len()]);
        names(13, x, node("AveragePool", &["x"], "y", vec![ints("kernel_shape", kernel), strides]), vec![])
    };
    assert_eq!(pool(&[1, 3, 8], &[2]), (vec!["Reshape", "AveragePool", "Reshape"], vec![1, 3, 4]));
    let (made, shape) = pool(&[1, 3, 4, 6, 8], &[2, 2, 2]);
    assert_eq!(made, ["Reshape", "AveragePool", "Reshape", "AveragePool", "Reshape"]);
    assert_eq!(shape, [1, 3, 2, 3, 4]);
    let line = node("Conv", &["x", "w", "b"], "y", vec![ints("pads", &[1, 1])]);
    let constants = vec![ramp("w", &[4, 2, 3]), ramp("b", &[4])];
    assert_eq!(names(13, &[2, 2, 5], line, constants), (vec!["Reshape", "Conv", "Reshape"], vec![2, 4, 5]));
    let volume = node("Conv", &["x", "w"], "y", vec![ints("strides", &[2, 1, 1])]);
    let (made, shape) = names(13, &[1, 2, 5, 4, 4], volume, vec![ramp("w", &[3, 2, 2, 3, 3])]);
    assert_eq!((made.iter().filter(|&&name| name == "Conv").count(), shape), (2, vec![1, 3, 2, 2, 2]));
    let global = node("GlobalMaxPool", &["x"], "y", vec![]);
    assert_eq!(names(13, &[1, 3, 8], global, vec![]).1, [1, 3, 1]);
}

#[test]
fn moves() {
    let slice = |opset, names: &[&str], attributes, constants| {
        ops(opset, &[20, 10, 5], node("Slice", names, "y", attributes), constants)
    };
    let bounds =
        vec![i64s("s", &[20, 10, -1]), i64s("e", &[0, -11, 0]), i64s("a", &[0, 1, -1]), i64s("t", &[-1, -3, -2])];
    let (made, shape) = slice(13, &["x", "s", "e", "a", "t"], vec![], bounds);
    assert_eq!(made, [Op::Slice { starts: vec![19, 9, 4], steps: vec![-1, -3, -2] }]);
    assert_eq!(shape, [19, 4, 2]);
    let old = vec![ints("starts", &[1]), ints("ends", &[i64::MAX]), ints("axes", &[1])];
    assert_eq!(slice(9, &["x"], old, vec![]).1, [20, 9, 5]);

    let mut split = node("Split", &["x"], "a", vec![int("axis", 1), int("num_outputs", 2)]);
    split.output.push("y".into());
    let graph = graph(18, &[1, 5, 2, 2], vec![split], vec![]);
    assert_eq!(
        (graph.nodes[0].op.clone(), tensor(&graph, "y").shape.as_slice()),
        (Op::Slice { starts: vec![0, 3, 0, 0], steps: vec![1; 4] }, &[1, 2, 2, 2][..],)
    );

    let pad = |opset, inputs: &[&str], attributes, constants| {
        ops(opset, &[1, 2, 3, 4], node("Pad", inputs, "y", attributes), constants)
    };
    let constants = vec![i64s("p", &[1, -1, 2, 0]), f32s("v", &[], &[0.5]), i64s("a", &[2, -1])];
    let (made, shape) = pad(18, &["x", "p", "v", "a"], vec![], constants);
    assert_eq!(made[0], Op::Slice { starts: vec![0, 0, 0, 1], steps: vec![1; 4] });
    let fill = Fill::Constant(0.5);
    assert_eq!(made[1], Op::Pad { before: vec![0, 0, 1, 0], after: vec![0, 0, 2, 0], fill });
    assert_eq!(shape, [1, 2, 6, 3]);
    let old = vec![ints("pads", &[0, 0, 1, 1, 0, 0, 1, 1]), string("mode", "reflect")];
    assert_eq!(pad(2 + 5, &["x"], old, vec![]).1, [1, 2, 5, 6]);

    let blocks = |op: &str, x: &[i64], mode: Option<&str>| {
        let attributes = [int("blocksize", 2)].into_iter().chain(mode.map(|mode| string("mode", mode))).collect();
        ops(13, x, node(op, &["x"], "y", attributes), vec![])
    };
    let crd = Op::DepthToSpace { block: 2, order: DepthOrder::ColumnRowDepth };
    assert_eq!(blocks("DepthToSpace", &[1, 8, 2, 3], Some("CRD")), (vec![crd], vec![1, 2, 4, 6]));
    assert_eq!(blocks("SpaceToDepth", &[1, 2, 4, 6], None), (vec![Op::SpaceToDepth { block: 2 }], vec![1, 8, 2, 3]));
}

#[test]
fn axes_other_than_the_channels() {
    let softmax = node("Softmax", &["x"], "y", vec![]);
    assert_eq!(names(13, &[2, 3, 4], softmax, vec![]), (vec!["Reshape", "Softmax", "Reshape"], vec![2, 3, 4]));
    let concat = node("Concat", &["x", "x"], "y", vec![int("axis", 2)]);
    assert_eq!(names(13, &[2, 3, 4], concat, vec![]).1, [2, 3, 8]);
    let mean = |axes: &[i64], keep| {
        let node = node("ReduceMean", &["x"], "y", vec![ints("axes", axes), int("keepdims", keep)]);
        names(13, &[2, 3, 4, 5], node, vec![])
    };
    assert_eq!(mean(&[2, 3], 1), (vec!["GlobalAveragePool"], vec![2, 3, 1, 1]));
    assert_eq!(mean(&[-1, 2], 0), (vec!["GlobalAveragePool", "Reshape"], vec![2, 3]));
    assert_eq!(mean(&[1], 0), (vec!["ReduceMean"], vec![2, 4, 5]));
}

#[test]
fn sizes() {
    let resize = |inputs: &[&str], attributes, constants| {
        ops(13, &[1, 2, 4, 6], node("Resize", inputs, "y", attributes), constants)
    };
    let (made, shape) = resize(&["x", "", "s"], vec![], vec![f32s("s", &[4], &[1.0, 1.0, 2.0, 0.5])]);
    let [Op::Resize(made)] = made[..] else { panic!("{made:?}") };
    let (coordinates, interpolation) = (Coordinates::HalfPixel, Interpolation::NearestPreferFloor);
    assert_eq!(made, Resize { size: [8, 3], scale: [2.0, 0.5], coordinates, interpolation });
    assert_eq!(shape, [1, 2, 8, 3]);
    let cubic = vec![string("mode", "cubic")];
    let (made, shape) = resize(&["x", "", "", "n"], cubic, vec![i64s("n", &[1, 2, 6, 3])]);
    assert_eq!((made.iter().filter(|op| **op == Op::FullyConnected).count(), shape), (2, vec![1, 2, 6, 3]));
    let upsample = node("Upsample", &["x", "s"], "y", vec![string("mode", "linear")]);
    let (made, _) = ops(9, &[1, 2, 4, 6], upsample, vec![f32s("s", &[4], &[1.0, 1.0, 2.0, 2.0])]);
    let [Op::Resize(made)] = made[..] else { panic!("{made:?}") };
    assert_eq!((made.coordinates, made.interpolation), (Coordinates::Asymmetric, Interpolation::Linear));
}

#[test]
fn products() {
    let scaled = node("Gemm", &["x", "w", "b"], "y", vec![float("alpha", 0.5), int("transA", 1), int("transB", 1)]);
    let made = names(13, &[4, 3], scaled, vec![ramp("w", &[5, 4]), ramp("b", &[3, 1])]);
    assert_eq!(made, (vec!["Transpose", "FullyConnected", "Add"], vec![3, 5]));
    let stack = node("MatMul", &["x", "w"], "y", vec![]);
    let (made, shape) = names(13, &[2, 3, 4], stack, vec![ramp("w", &[2, 4, 5])]);
    assert_eq!((made.iter().filter(|&&name| name == "FullyConnected").count(), shape), (2, vec![2, 3, 5]));
    let rows = node("MatMul", &["x", "w"], "y", vec![]);
    let expected = (vec!["Reshape", "FullyConnected", "Reshape"], vec![2, 3, 5]);
    assert_eq!(names(13, &[2, 3, 4], rows, vec![ramp("w", &[4, 5])]), expected);
}
