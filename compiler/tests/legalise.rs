//! The passes: what a Q/DQ file and a float model become.

mod models;

use std::collections::BTreeMap;

use models::*;
use systole_compiler::frontends::onnx::proto::NodeProto;
use systole_compiler::passes::{PASSES, Quantised, Values, is_float, legalise, prepare_float};
use systole_network::graph::{Form, Graph};
use systole_network::op::Op;
use systole_network::policy::NumericPolicy;
use systole_network::tensor::{DType, Data, Quant, f32_of_bytes, i32_of_bytes};
use systole_network::verify::verify;

fn real(ranges: &[(&str, f64, f64)]) -> Values {
    let calibration = ranges.iter().map(|&(name, min, max)| (name.to_owned(), (min, max))).collect();
    Values::Real { calibration: Some(calibration), seed: 0 }
}

const FILE: Values = Values::Real { calibration: None, seed: 0 };

/// Legalises what must legalise, and must satisfy the verifier.
fn legal(graph: &Graph, values: &Values) -> Quantised {
    let quantised = legalise(graph, &NumericPolicy::default(), values).unwrap_or_else(|errors| panic!("{errors:#?}"));
    verify(&quantised.graph).unwrap_or_else(|errors| panic!("{errors:#?}"));
    assert_eq!(quantised.graph.form, Form::Quantised);
    assert_eq!(quantised.inputs.iter().map(|b| b.tensor).collect::<Vec<_>>(), quantised.graph.inputs);
    assert_eq!(quantised.outputs.iter().map(|b| b.tensor).collect::<Vec<_>>(), quantised.graph.outputs);
    quantised
}

fn refusal(graph: &Graph, values: &Values) -> String {
    let errors = legalise(graph, &NumericPolicy::default(), values).expect_err("it has no integer form");
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Everything but numbers.
fn structure(graph: &Graph) -> Vec<String> {
    let nodes = graph
        .nodes
        .iter()
        .map(|n| format!("{} {:?} {:?} {:?} clamp: {}", n.name, n.op, n.inputs, n.outputs, n.clamp.is_some()));
    let tensors = graph.tensors.iter().map(|t| {
        let scales = t.quant.as_ref().map(|q| (q.axis.is_some(), if q.axis.is_some() { t.shape[0] } else { 1 }));
        format!("{} {:?} {:?} {scales:?} constant: {}", t.name, t.shape, t.dtype, t.data.is_some())
    });
    nodes.chain(tensors).collect()
}

fn i32s_of(graph: &Graph, name: &str) -> Vec<i32> {
    match &tensor(graph, name).data {
        Some(Data::Stored(bytes)) => i32_of_bytes(bytes),
        other => panic!("{name} holds {other:?}"),
    }
}

fn f32s_of(graph: &Graph, name: &str) -> Vec<f32> {
    match &tensor(graph, name).data {
        Some(Data::Stored(bytes)) => f32_of_bytes(bytes),
        other => panic!("{name} holds {other:?}"),
    }
}

#[test]
fn a_convolution_between_dequantize_and_quantize() {
    let imported = imported(&qdq_convolution());
    assert!(!is_float(&imported));
    let quantised = legal(&imported, &FILE);
    let graph = &quantised.graph;
    assert_eq!(graph.nodes.len(), 1);
    let conv = node_named(graph, "n_c");
    // ReLU is 0, which is the zero point.
    assert_eq!(conv.clamp, Some((3, 255)));
    assert_eq!(conv.origins, ["n_c", "n_r", "n_yq"]);
    let operands: Vec<_> = conv.inputs.iter().chain(&conv.outputs).map(|&id| graph.tensor(id).name.as_str()).collect();
    assert_eq!(operands, ["xq", "w", "b", "yq"]);
    assert_eq!(tensor(graph, "xq").quant, Some(Quant::per_tensor(0.5, 128)));
    assert_eq!(tensor(graph, "b").quant.as_ref().map(|q| q.scale.clone()), Some(vec![0.125, 0.0625]));
    assert_eq!(i32s_of(graph, "b"), [7, -9]);
    let boundaries = (quantised.inputs[0].float_name.as_str(), quantised.outputs[0].float_name.as_str());
    assert_eq!((boundaries, graph.name.as_str()), (("x", "y"), "test"));
    assert_eq!(legal(&imported, &Values::Structure), quantised);
}

/// The convolution with its initializer `name` replaced or its nodes changed.
fn changed(change: impl Fn(&mut systole_compiler::frontends::onnx::proto::GraphProto)) -> Graph {
    let mut model = qdq_convolution();
    change(model.graph.as_mut().expect("it has a graph"));
    imported(&model)
}

#[test]
fn biases_of_every_kind() {
    let replace = |constants: Vec<_>| {
        changed(move |g| {
            g.initializer.retain(|t| {
                !constants.iter().any(|c: &systole_compiler::frontends::onnx::proto::TensorProto| c.name == t.name)
            });
            g.initializer.extend(constants.clone());
        })
    };
    // Another scale: 7 · 0.25 / 0.125 = 14, -9 · 0.25 / 0.0625 = -36.
    assert_eq!(i32s_of(&legal(&replace(vec![f32s("sb", &[2], &[0.25, 0.25])]), &FILE).graph, "b"), [14, -36]);
    let float_bias = changed(|g| {
        g.node[4].input[2] = "fb".into();
        g.initializer.push(f32s("fb", &[2], &[1.0, 1e30]));
    });
    assert_eq!(i32s_of(&legal(&float_bias, &FILE).graph, "fb"), [8, i32::MAX]);
    let none = changed(|g| {
        g.node[4].input.pop();
    });
    assert_eq!(i32s_of(&legal(&none, &FILE).graph, "n_c:bias"), [0, 0]);
}

#[test]
fn weights_keep_their_type_and_zero_point() {
    let unsigned = changed(|g| {
        g.initializer.retain(|t| !["w", "zw"].contains(&t.name.as_str()));
        g.initializer.extend([u8s("w", &[2, 3, 3, 3], &[1; 54]), u8s("zw", &[2], &[120, 120])]);
    });
    let quantised = legal(&unsigned, &FILE);
    let weights = tensor(&quantised.graph, "w");
    assert_eq!(weights.dtype, DType::U8);
    assert_eq!(weights.quant.as_ref().and_then(Quant::one_zero_point), Some(120));
    assert_eq!(tensor(&quantised.graph, "b").quant.as_ref().map(|q| q.zero_point.clone()), Some(vec![0, 0]));
}

#[test]
fn what_has_no_integer_form_is_named() {
    let several = changed(|g| {
        g.initializer.retain(|t| t.name != "zw");
        g.initializer.push(i8s("zw", &[2], &[0, 1]));
    });
    assert_eq!(refusal(&several, &FILE), "node `n_c` (Conv): its weights `w` have several zero points");
    let wide = changed(|g| {
        g.initializer.retain(|t| !["w", "zw"].contains(&t.name.as_str()));
        g.initializer.extend([i32s("w", &[2, 3, 3, 3], &[1; 54]), i32s("zw", &[2], &[0, 0])]);
    });
    assert_eq!(refusal(&wide, &FILE), "node `n_c` (Conv): its weights `w` are i32; i8 and u8 are supported");
    let unquantised = changed(|g| g.node[4].input[0] = "x".into());
    assert!(refusal(&unquantised, &FILE).starts_with("node `n_c` (Conv): its input `x` is not quantised (help: "));
    let float_result = changed(|g| g.output[0].name = "c".into());
    assert!(refusal(&float_result, &FILE).starts_with("node `n_c` (Conv): its result `c` stays in float (help: "));
}

/// x → Q → DQ → `nodes` on `xf`, which make `f` → Q → DQ → y; scale 0.5, zero point 10 in, 0.25 and 20 out.
fn between(
    x: &[i64],
    nodes: Vec<NodeProto>,
    constants: Vec<systole_compiler::frontends::onnx::proto::TensorProto>,
) -> Graph {
    let mut all = vec![
        node("QuantizeLinear", &["x", "sx", "zx"], "xq", vec![]),
        node("DequantizeLinear", &["xq", "sx", "zx"], "xf", vec![]),
    ];
    all.extend(nodes);
    all.push(node("QuantizeLinear", &["f", "sy", "zy"], "yq", vec![]));
    all.push(node("DequantizeLinear", &["yq", "sy", "zy"], "y", vec![]));
    let mut initializers =
        vec![f32s("sx", &[], &[0.5]), u8s("zx", &[], &[10]), f32s("sy", &[], &[0.25]), u8s("zy", &[], &[20])];
    initializers.extend(constants);
    imported(&model(13, x, all, initializers))
}

/// Names of operators with whether they clamp, in order.
fn operators(quantised: &Quantised) -> Vec<(&'static str, Option<(i32, i32)>)> {
    let order = quantised.graph.topological_order().expect("no cycle");
    order.iter().map(|&id| (quantised.graph.node(id).op.name(), quantised.graph.node(id).clamp)).collect()
}

#[test]
fn other_operators_between_dequantize_and_quantize() {
    let image = &[1, 2, 4, 4][..];
    let pool = || vec![ints("kernel_shape", &[2, 2])];
    let cases = [
        (vec![node("MaxPool", &["xf"], "f", pool())], vec![("MaxPool", None)]),
        (vec![node("AveragePool", &["xf"], "f", pool())], vec![("AveragePool", None)]),
        (vec![node("GlobalAveragePool", &["xf"], "f", vec![])], vec![("GlobalAveragePool", None)]),
        (vec![node("Concat", &["xf", "xf"], "f", vec![int("axis", 1)])], vec![("Concat", None)]),
        (vec![node("Add", &["xf", "xf"], "f", vec![])], vec![("Add", None)]),
        (vec![node("Softmax", &["xf"], "f", vec![int("axis", 1)])], vec![("Softmax", None)]),
        (vec![node("Tanh", &["xf"], "f", vec![])], vec![("Tanh", None)]),
        (vec![node("GlobalMaxPool", &["xf"], "f", vec![])], vec![("GlobalMaxPool", None)]),
        (
            vec![node("Sub", &["xf", "xf"], "s", vec![]), node("Relu", &["s"], "f", vec![])],
            vec![("Sub", Some((20, 255)))],
        ),
        (vec![node("Relu", &["xf"], "f", vec![])], vec![("Rescale", Some((20, 255)))]),
        // A view keeps the scale, so the change of scale follows it.
        (vec![node("Flatten", &["xf"], "f", vec![])], vec![("Reshape", None), ("Rescale", None)]),
        // Values that only move keep theirs without a Quantize.
        (
            vec![node("Flatten", &["xf"], "v", vec![]), node("Softmax", &["v"], "f", vec![])],
            vec![("Reshape", None), ("Softmax", None)],
        ),
        (
            vec![node("MaxPool", &["xf"], "m", pool()), node("Relu", &["m"], "f", vec![])],
            vec![("MaxPool", None), ("Rescale", Some((20, 255)))],
        ),
    ];
    for (nodes, expected) in cases {
        let quantised = legal(&between(image, nodes, vec![]), &FILE);
        assert_eq!(operators(&quantised), expected);
        let output = quantised.graph.tensor(quantised.graph.outputs[0]);
        assert_eq!((output.name.as_str(), &output.quant), ("yq", &Some(Quant::per_tensor(0.25, 20))));
    }
}

#[test]
fn activations_in_a_row_become_one_clamp() {
    let nodes = vec![
        node("Add", &["xf", "xf"], "a", vec![]),
        node("Clip", &["a", "low", "high"], "c", vec![]),
        node("Relu", &["c"], "f", vec![]),
    ];
    let bounds = vec![f32s("low", &[], &[-1.0]), f32s("high", &[], &[6.0])];
    let quantised = legal(&between(&[1, 2, 4, 4], nodes, bounds), &FILE);
    // 6 / 0.25 + 20.
    assert_eq!(operators(&quantised), [("Add", Some((20, 44)))]);
}

#[test]
fn constants_of_operators_between_dequantize_and_quantize() {
    let nodes = || vec![node("DequantizeLinear", &["k", "sk"], "kf", vec![]), node("Mul", &["xf", "kf"], "f", vec![])];
    let quantised =
        legal(&between(&[1, 2, 4, 4], nodes(), vec![u8s("k", &[2, 1, 1], &[3, 4]), f32s("sk", &[], &[0.5])]), &FILE);
    assert_eq!(operators(&quantised), [("Mul", None)]);
    assert_eq!(
        (tensor(&quantised.graph, "k").shape.as_slice(), tensor(&quantised.graph, "k").dtype),
        (&[2][..], DType::U8)
    );
    let float = legal(
        &between(
            &[1, 2, 4, 4],
            vec![node("Add", &["xf", "k"], "f", vec![])],
            vec![f32s("k", &[2, 1, 1], &[-127.0, 128.0])],
        ),
        &FILE,
    );
    let k = tensor(&float.graph, "k");
    assert_eq!((&k.quant, &k.data), (&Some(Quant::per_tensor(1.0, 127)), &Some(Data::Stored(vec![0, 255].into()))));
    let batch_norm = vec![
        node("DequantizeLinear", &["s", "ss"], "sf", vec![]),
        node("BatchNormalization", &["xf", "sf", "b", "m", "v"], "f", vec![float_epsilon(1.0)]),
    ];
    let parameters = vec![
        i8s("s", &[2], &[4, -8]),
        f32s("ss", &[], &[0.5]),
        f32s("b", &[2], &[1.0, 1.0]),
        f32s("m", &[2], &[2.0, 0.0]),
        f32s("v", &[2], &[3.0, 0.0]),
    ];
    let quantised = legal(&between(&[1, 2, 4, 4], batch_norm, parameters), &FILE);
    assert_eq!(quantised.graph.nodes[0].op, Op::BatchNorm { epsilon: 0.0 });
    let name = &quantised.graph.nodes[0].name;
    assert_eq!(f32s_of(&quantised.graph, &format!("{name}:a")), [1.0, -4.0]);
    assert_eq!(f32s_of(&quantised.graph, &format!("{name}:b")), [-1.0, 1.0]);
}

fn float_epsilon(epsilon: f32) -> systole_compiler::frontends::onnx::proto::AttributeProto {
    models::float("epsilon", epsilon)
}

/// x → Conv → BN → Relu → MaxPool → p; Conv(p) → Relu → q; Concat(p, q) → global pool → flatten → Gemm → Softmax → y.
fn float_network() -> Graph {
    let nodes = vec![
        node("Conv", &["x", "w1"], "c1", vec![]),
        node("BatchNormalization", &["c1", "s", "b", "m", "v"], "n1", vec![float_epsilon(0.0)]),
        node("Relu", &["n1"], "r1", vec![]),
        node("MaxPool", &["r1"], "p", vec![ints("kernel_shape", &[2, 2])]),
        node("Dropout", &["p"], "d", vec![]),
        node("Conv", &["d", "w2", "b2"], "c2", vec![]),
        node("Relu", &["c2"], "q", vec![]),
        node("Concat", &["d", "q"], "k", vec![int("axis", 1)]),
        node("GlobalAveragePool", &["k"], "g", vec![]),
        node("Flatten", &["g"], "f", vec![]),
        node("Gemm", &["f", "w3"], "h", vec![]),
        node("Softmax", &["h"], "y", vec![]),
    ];
    let constants = vec![
        f32s("w1", &[2, 1, 1, 1], &[1.0, -2.0]),
        f32s("s", &[2], &[3.0, 0.5]),
        f32s("b", &[2], &[0.25, 1.0]),
        f32s("m", &[2], &[1.0, 2.0]),
        f32s("v", &[2], &[4.0, 1.0]),
        ramp("w2", &[3, 2, 1, 1]),
        ramp("b2", &[3]),
        ramp("w3", &[5, 4]),
    ];
    imported(&model(13, &[1, 1, 4, 4], nodes, constants))
}

fn ranges() -> Values {
    real(&[
        ("x", -1.0, 1.0),
        ("r1", 0.0, 9.0),
        ("p", 0.0, 5.0),
        ("q", 0.0, 6.0),
        ("k", 0.0, 25.5),
        ("g", 0.0, 51.0),
        ("f", 0.0, 51.0),
        ("h", -1.0, 4.0),
        ("y", 0.0, 0.9),
    ])
}

/// Rule N-24: whatever was seen in calibration.
#[test]
fn sigmoids_and_tanhs_have_scales_by_definition() {
    let nodes = vec![
        node("Sigmoid", &["x"], "s", vec![]),
        node("MaxPool", &["s"], "p", vec![ints("kernel_shape", &[2, 2])]),
        node("Tanh", &["p"], "t", vec![]),
        node("LeakyRelu", &["t"], "y", vec![]),
    ];
    let network = imported(&model(13, &[1, 1, 4, 4], nodes, vec![]));
    let seen = real(&[("x", -1.0, 1.0), ("s", 0.2, 0.7), ("p", 0.2, 0.7), ("t", 0.1, 0.6), ("y", 0.0, 0.5)]);
    let quantised = legal(&network, &seen);
    let quant = |name: &str| tensor(&quantised.graph, name).quant.clone().expect("quantised");
    assert_eq!([quant("s"), quant("p")], [Quant::per_tensor(1.0 / 256.0, 0), Quant::per_tensor(1.0 / 256.0, 0)]);
    assert_eq!(quant("t"), Quant::per_tensor(1.0 / 128.0, 128));
    assert_eq!(quant("y"), Quant::per_tensor(0.5 / 255.0, 0));
}

#[test]
fn batch_norm_folds_into_the_convolution_before_it() {
    let network = float_network();
    let prepared = prepare_float(&network, true, 0).expect("it folds");
    verify(&prepared).expect("still a graph");
    assert!(!prepared.nodes.iter().any(|n| matches!(n.op, Op::BatchNorm { .. } | Op::Identity)));
    // a = s / 2 or s / 1, b = b − m · a.
    assert_eq!(f32s_of(&prepared, "w1"), [1.5, -1.0]);
    assert_eq!(f32s_of(&prepared, "n_c1:bias"), [-1.25, 0.0]);
    assert_eq!(node_named(&prepared, "n_c1").origins, ["n_c1", "n_n1"]);
    assert_eq!(prepare_float(&prepared, true, 0).expect("again"), prepared);
    let unknown = prepare_float(&network, false, 0).expect("it folds");
    assert_eq!(structure(&unknown), structure(&prepared));
    assert_eq!(tensor(&unknown, "w1").data, Some(Data::Unknown));
}

#[test]
fn per_channel_products_and_sums_fold_too_but_not_past_other_readers() {
    let affine = |reader: &str| {
        let nodes = vec![
            node("BatchNormalization", &["x", "s", "b", "m", "v"], "n", vec![float_epsilon(0.0)]),
            node("Mul", &["n", "k"], "p", vec![]),
            node("Add", &["p", "t"], "q", vec![]),
            node("Add", &["q", reader], "y", vec![]),
        ];
        let ones = |name: &str| f32s(name, &[2], &[1.0, 1.0]);
        let constants = vec![
            ones("s"),
            ones("b"),
            ones("m"),
            ones("v"),
            f32s("k", &[2, 1, 1], &[2.0, 3.0]),
            f32s("t", &[2, 1, 1], &[0.5, 0.25]),
        ];
        prepare_float(&imported(&model(13, &[1, 2, 4, 4], nodes, constants)), true, 0).expect("it folds")
    };
    let folded = affine("x");
    assert_eq!(folded.nodes.iter().map(|n| n.op.name()).collect::<Vec<_>>(), ["BatchNormalization", "Add"]);
    assert_eq!((f32s_of(&folded, "s"), f32s_of(&folded, "b")), (vec![2.0, 3.0], vec![2.5, 3.25]));
    assert_eq!(affine("n").nodes.len(), 4);
}

#[test]
fn float_models_quantise_by_calibration() {
    let quantised = legal(&float_network(), &ranges());
    let names: Vec<_> = operators(&quantised).into_iter().map(|(name, clamp)| (name, clamp.is_some())).collect();
    let expected = [
        ("Conv", true),
        ("MaxPool", false),
        ("Conv", true),
        ("Concat", false),
        ("GlobalAveragePool", false),
        ("Reshape", false),
        ("FullyConnected", false),
        ("Softmax", false),
    ];
    assert_eq!(names, expected);
    let quant = |name: &str| tensor(&quantised.graph, name).quant.clone().expect("an activation");
    // Rule N-12: pooling and concat give their inputs the output's scale.
    for shared in ["r1", "d", "q", "k"] {
        let name = if shared == "d" { "p" } else { shared };
        assert_eq!(quant(name), Quant::per_tensor(0.1, 0), "{name}");
    }
    assert_eq!((quant("g"), quant("f")), (Quant::per_tensor(0.2, 0), Quant::per_tensor(0.2, 0)));
    assert_eq!(quant("h"), Quant::per_tensor((5.0f64 / 255.0) as f32, 51));
    assert_eq!(quant("y"), Quant::per_tensor(1.0 / 256.0, 0));
    let w1 = tensor(&quantised.graph, "w1");
    assert_eq!(w1.quant.as_ref().map(|q| q.scale.clone()), Some(vec![1.5 / 127.0, 1.0 / 127.0]));
    assert_eq!(w1.data, Some(Data::Stored(vec![127, 129].into())));
    let (inputs, outputs) = (&quantised.inputs[0].float_name, &quantised.outputs[0].float_name);
    assert_eq!((inputs.as_str(), outputs.as_str()), ("x", "y"));
}

#[test]
fn structure_does_not_depend_on_numbers() {
    let network = float_network();
    let numbers = legal(&network, &ranges());
    let bare = legal(&network, &Values::Structure);
    assert_eq!(structure(&bare.graph), structure(&numbers.graph));
    assert!(
        bare.graph.tensors.iter().all(|t| t.data.is_none() || t.data == Some(Data::Unknown) || t.name == "n_c1:bias")
    );
    let prepared = prepare_float(&network, true, 0).expect("it folds");
    assert_eq!(legal(&prepared, &ranges()), numbers);
}

#[test]
fn the_zoo_legalises() {
    for entry in systole_network::zoo::entries() {
        let network = systole_network::zoo::build_scaled(entry.name, 16, entry.small_input).expect("large enough");
        let prepared = prepare_float(&network, true, 0).unwrap_or_else(|e| panic!("{}: {e:#?}", entry.name));
        let calibration: BTreeMap<_, _> = prepared.tensors.iter().map(|t| (t.name.clone(), (-1.0, 2.0))).collect();
        let numbers = legal(&network, &Values::Real { calibration: Some(calibration), seed: 0 });
        let bare = legal(&network, &Values::Structure);
        assert_eq!(structure(&bare.graph), structure(&numbers.graph), "{}", entry.name);
        assert!(!numbers.graph.tensors.iter().any(|t| t.data == Some(Data::Unknown)), "{}", entry.name);
    }
}

#[test]
fn calibration_must_be_complete_and_sane() {
    let network = float_network();
    assert!(refusal(&network, &FILE).contains("a float model needs the ranges of its activations"));
    let missing = refusal(&network, &real(&[("x", -1.0, 1.0), ("k", 0.0, f64::INFINITY)]));
    let lines: Vec<_> = missing.lines().collect();
    assert_eq!(
        lines,
        [
            "tensor `k`: its calibrated range is 0 to inf",
            "tensor `f`: it has no calibrated range",
            "tensor `h`: it has no calibrated range"
        ]
    );
}

#[test]
fn passes_have_distinct_names_and_reasons() {
    let names: std::collections::BTreeSet<_> = PASSES.iter().map(|pass| pass.name).collect();
    assert_eq!(names.len(), PASSES.len());
    assert!(PASSES.iter().all(|pass| pass.doc.len() > 40));
}
