//! ONNX Runtime's own outputs, recorded: single operators cut from real quantised networks (`tests/conformance/record.py`), run by golden as
//! one-node graphs of the quantised form.
//!
//! Equal on every element, but for average pooling, sums and the float islands, in which ONNX Runtime is no exact oracle: at most 1 apart, on
//! exactly as many elements as were recorded. Not here: import of files, the simulator (`tests/conformance/run.py` has both).

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Value as Json;
use systole_golden::{Options, Value, run};
use systole_network::graph::{Form, Graph, Node};
use systole_network::op::{Conv, Lrn, Op, Pool};
use systole_network::tensor::{DType, Data, Quant, Tensor, TensorId};
use systole_network::verify::verify;

const CASES: &str = include_str!("conformance/fixtures/ort_cases.json");
const ELEMENTS: &[u8] = include_bytes!("conformance/fixtures/ort_cases.bin");
/// Every operator that must have cases, and whether ONNX Runtime is an exact oracle for it.
const OPERATORS: [(&str, bool); 11] = [
    ("Conv", true),
    ("Gemm", true),
    ("GlobalAveragePool", true),
    ("MaxPool", true),
    ("Concat", true),
    ("Mul", true),
    ("AveragePool", false),
    ("Add", false),
    ("BatchNormalization", false),
    ("Softmax", false),
    ("LRN", false),
];

fn list(json: &Json) -> Vec<usize> {
    json.as_array().map_or(vec![], |list| list.iter().map(|n| n.as_u64().unwrap() as usize).collect())
}

fn fixed<const N: usize>(json: &Json, default: usize) -> [usize; N] {
    let list = list(json);
    if list.is_empty() { [default; N] } else { list.try_into().unwrap() }
}

fn op_of(case: &Json) -> Op {
    let (kernel, stride, pads) = (fixed(&case["kernel_shape"], 1), fixed(&case["strides"], 1), fixed(&case["pads"], 0));
    let pool = Pool { kernel, stride, dilation: [1, 1], pads, ceil_mode: false, count_include_pad: false };
    match case["op"].as_str().unwrap() {
        "Conv" => {
            let groups = case["groups"].as_u64().unwrap() as usize;
            Op::Conv(Conv { kernel, stride, dilation: fixed(&case["dilations"], 1), pads, groups })
        }
        "Gemm" => Op::FullyConnected,
        "GlobalAveragePool" => Op::GlobalAveragePool,
        "AveragePool" => Op::AveragePool(pool),
        "MaxPool" => Op::MaxPool(pool),
        "Concat" => Op::Concat,
        "Add" => Op::Add,
        "Mul" => Op::Mul,
        "BatchNormalization" => Op::BatchNorm { epsilon: 0.0 },
        "Softmax" => Op::Softmax,
        "LRN" => {
            let number = |key: &str| case[key].as_f64().unwrap() as f32;
            let size = case["size"].as_u64().unwrap() as usize;
            Op::Lrn(Lrn { size, alpha: number("alpha"), beta: number("beta"), bias: number("bias") })
        }
        other => panic!("unknown operator {other}"),
    }
}

/// A recorded tensor, without data, and its elements.
fn tensor_of(json: &Json, name: String) -> (Tensor, Value) {
    let dtype = match json["dtype"].as_str().unwrap() {
        "u8" => DType::U8,
        "i8" => DType::I8,
        "i32" => DType::I32,
        "f32" => DType::F32,
        other => panic!("unknown type {other}"),
    };
    let quant = json["scale"].as_array().map(|scale| {
        let scale: Vec<f32> = scale.iter().map(|s| s.as_f64().unwrap() as f32).collect();
        let zero = json["zero"].as_array().unwrap().iter().map(|z| z.as_i64().unwrap() as i32).collect();
        Quant { axis: (scale.len() > 1).then_some(0), scale, zero_point: zero }
    });
    let shape = list(&json["shape"]);
    let bytes = shape.iter().product::<usize>() * dtype.bytes();
    let start = json["offset"].as_u64().unwrap() as usize;
    let value = Value::from_le_bytes(dtype, &ELEMENTS[start..start + bytes]);
    (Tensor { name, shape, dtype, quant, data: None }, value)
}

/// Golden's output, and the recorded one.
fn both(case: &Json) -> (Value, Value) {
    let mut graph = Graph::new("case", Form::Quantised);
    let mut values: BTreeMap<TensorId, Value> = BTreeMap::new();
    let mut inputs = vec![];
    for (i, json) in case["inputs"].as_array().unwrap().iter().enumerate() {
        let (mut tensor, value) = tensor_of(json, format!("input {i}"));
        let constant = json["constant"].as_bool().unwrap();
        tensor.data = constant.then(|| Data::Stored(Bytes::from(value.to_le_bytes())));
        let id = graph.add_tensor(tensor);
        if !constant {
            graph.inputs.push(id);
            values.insert(id, value);
        }
        inputs.push(id);
    }
    let (output, recorded) = tensor_of(&case["output"], "output".into());
    let output = graph.add_tensor(output);
    graph.outputs.push(output);
    let op = op_of(case);
    graph.add_node(Node { name: "node".into(), op, inputs, outputs: vec![output], clamp: None, origins: vec![] });
    let violations = verify(&graph);
    assert!(violations.is_ok(), "{}: {violations:?}", case["name"]);
    let mut run = run(&graph, &values, Options::default()).unwrap_or_else(|e| panic!("{}: {e}", case["name"]));
    (run.tensors.remove(&output).unwrap(), recorded)
}

fn widened(value: &Value) -> Vec<i32> {
    match value {
        Value::U8(q) => q.iter().map(|&q| i32::from(q)).collect(),
        Value::I8(q) => q.iter().map(|&q| i32::from(q)).collect(),
        other => panic!("output of type {:?}", other.dtype()),
    }
}

#[test]
fn golden_equals_onnx_runtime_on_recorded_cases() {
    let document: Json = serde_json::from_str(CASES).unwrap();
    let exact: BTreeMap<&str, bool> = OPERATORS.into();
    let mut seen: BTreeMap<(&str, DType), usize> = BTreeMap::new();
    for case in document["cases"].as_array().unwrap() {
        let (op, name) = (case["op"].as_str().unwrap(), case["name"].as_str().unwrap());
        let (ours, theirs) = both(case);
        assert_eq!(ours.dtype(), theirs.dtype(), "{op} {name}");
        let (ours_q, theirs_q) = (widened(&ours), widened(&theirs));
        let apart: Vec<i32> = ours_q.iter().zip(&theirs_q).map(|(a, b)| (a - b).abs()).filter(|&d| d > 0).collect();
        let expected = case["differing"].as_u64().unwrap() as usize;
        let counted =
            format!("{op} {name}: {} of {} differ, by up to {:?}", apart.len(), ours.len(), apart.iter().max());
        assert!(ours.len() == theirs.len() && !ours.is_empty(), "{counted}");
        assert_eq!(apart.len(), expected, "{counted}");
        assert!(expected == 0 || !exact[op], "{counted}");
        assert!(apart.iter().all(|&d| d == 1), "{counted}");
        *seen.entry((op, ours.dtype())).or_default() += 1;
    }
    for (op, _) in OPERATORS {
        for dtype in [DType::U8, DType::I8] {
            assert!(seen.contains_key(&(op, dtype)), "no case of {op} with {}", dtype.name());
        }
    }
}
