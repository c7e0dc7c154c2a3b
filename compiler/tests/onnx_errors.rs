//! What the importer refuses, and in which words.

mod models;

use models::*;
use systole_compiler::frontends::onnx::proto::{NodeProto, StringStringEntryProto, TensorProto, data_type};
use systole_compiler::frontends::onnx::{ErrorKind, ImportOptions, import_bytes, import_file};

/// The one complaint about a model of one node over `x`.
fn complaint(opset: i64, x: &[i64], node: NodeProto, constants: Vec<TensorProto>) -> String {
    let errors = refused(&model(opset, x, vec![node], constants));
    assert_eq!(errors.len(), 1, "{errors:#?}");
    errors[0].clone()
}

#[test]
fn every_problem_is_reported_once() {
    let nodes = vec![
        node("Erf", &["x"], "a", vec![]),
        node("Relu", &["a"], "b", vec![]),
        node("Gemm", &["x", "w"], "c", vec![int("transB", 2)]),
        node("Add", &["b", "c"], "y", vec![]),
        node("Relu", &["nowhere"], "d", vec![]),
    ];
    let errors = refused(&model(13, &[1, 3], nodes, vec![ramp("w", &[3, 3])]));
    assert_eq!(errors.len(), 3, "{errors:#?}");
    assert!(
        errors[0]
            .starts_with("node `n_a` (Erf): the operator Erf is not supported (help: supported are Add, AveragePool,")
    );
    assert_eq!(errors[1], "node `n_c` (Gemm): its attribute `transB` is 2");
    assert_eq!(errors[2], "node `n_d` (Relu): no earlier node, input or initializer makes `nowhere`");
}

#[test]
fn operators_refuse_what_they_would_get_wrong() {
    let image = &[1, 4, 8, 8][..];
    let conv = |attributes| node("Conv", &["x", "w"], "y", attributes);
    let weights = || vec![ramp("w", &[2, 4, 3, 3])];
    let cases = [
        (complaint(13, image, conv(vec![int("group", 3)]), weights()), "do not belong together"),
        (complaint(13, image, conv(vec![int("group", 0)]), weights()), "`group` is not positive"),
        (complaint(13, image, conv(vec![ints("kernel_shape", &[1, 1])]), weights()), "its kernel is [1, 1]"),
        (complaint(13, image, conv(vec![ints("strides", &[0, 1])]), weights()), "`strides` has the value 0"),
        (complaint(13, image, conv(vec![ints("strides", &[1])]), weights()), "has 1 values"),
        (complaint(13, image, conv(vec![int("strides", 1)]), weights()), "has the wrong type"),
        (complaint(13, image, conv(vec![int("alien", 1)]), weights()), "`alien` is not supported"),
        (complaint(13, image, conv(vec![string("auto_pad", "ODD")]), weights()), "`auto_pad` is `ODD`"),
        (complaint(13, image, conv(vec![ints("dilations", &[9, 1])]), weights()), "does not fit"),
        (complaint(13, &[1, 4, 8], conv(vec![]), weights()), "its operand `w` has the shape [2, 4, 3, 3]"),
        (complaint(13, &[1, 4], conv(vec![]), weights()), "has rank 2; only rank 4"),
        (complaint(13, image, node("Conv", &["x", "x"], "y", vec![]), vec![]), "its weights `x` must be constant"),
        (complaint(13, image, node("MaxPool", &["x"], "y", vec![]), vec![]), "no attribute `kernel_shape`"),
        (
            complaint(13, image, node("Concat", &["x", "x"], "y", vec![int("axis", 4)]), vec![]),
            "its axis 4 does not exist",
        ),
        (
            complaint(13, image, node("Sum", &["x", "x", "w"], "y", vec![]), vec![ramp("w", &[3])]),
            "[1, 4, 8, 8] and [3], of which none repeats",
        ),
        (complaint(13, image, node("LRN", &["x"], "y", vec![]), vec![]), "`size` is not positive"),
        (
            complaint(13, image, node("LRN", &["x"], "y", vec![int("size", 5), float("bias", 0.0)]), vec![]),
            "alpha 0.0001, beta 0.75, bias 0",
        ),
        (complaint(13, image, node("Transpose", &["x"], "y", vec![ints("perm", &[0, 1])]), vec![]), "does not name"),
        (
            complaint(13, image, node("Transpose", &["x"], "y", vec![ints("perm", &[0, 1, 2, 2])]), vec![]),
            "does not name",
        ),
        (complaint(13, image, node("Relu", &["x", "x"], "y", vec![]), vec![]), "it has 2 inputs; 1 are possible"),
        (complaint(13, image, node("Relu", &[], "y", vec![]), vec![]), "it has no input (input 0)"),
        (
            complaint(13, image, node("Add", &["x", "k"], "y", vec![]), vec![ramp("k", &[5])]),
            "[1, 4, 8, 8] and [5], of which none repeats",
        ),
        (
            complaint(13, image, node("Reshape", &["x", "s"], "y", vec![]), vec![i64s("s", &[-1, 3])]),
            "cannot take the shape",
        ),
        (
            complaint(13, image, node("Reshape", &["x", "s"], "y", vec![]), vec![i64s("s", &[i64::MAX, 2])]),
            "cannot take the shape",
        ),
        (
            complaint(14, image, node("Reshape", &["x", "s"], "y", vec![int("allowzero", 1)]), vec![i64s("s", &[0])]),
            "output of shape [0] has no elements",
        ),
        (complaint(13, image, node("Clip", &["x"], "y", vec![float("max", 1.0)]), vec![]), "way of another opset"),
        (
            complaint(10, image, node("Clip", &["x"], "y", vec![float("max", f32::NAN), float("min", 1.0)]), vec![]),
            "bounds are 1 and NaN",
        ),
        (
            complaint(13, &[1, 4], node("MatMul", &["x", "w"], "y", vec![]), vec![ramp("w", &[3, 2])]),
            "cannot be multiplied",
        ),
        (
            complaint(13, &[3, 4], node("Gemm", &["x", "w"], "y", vec![int("transA", 1)]), vec![ramp("w", &[4, 2])]),
            "operands of shapes [4, 3] and [4, 2] cannot be multiplied",
        ),
        (
            complaint(13, &[1, 4], node("QuantizeLinear", &["x", "s"], "y", vec![]), vec![f32s("s", &[], &[0.0])]),
            "its scale is 0",
        ),
        (
            complaint(13, &[1, 4], node("QuantizeLinear", &["x", "s"], "y", vec![]), vec![ramp("s", &[3])]),
            "3 scales for axis 1",
        ),
    ];
    for (got, expected) in cases {
        assert!(got.starts_with("node `n_y` ("), "{got}");
        assert!(got.contains(expected), "{got}\n  should say: {expected}");
    }
}

#[test]
fn initializers_must_hold_what_they_claim() {
    let mul = || node("Mul", &["x", "k"], "y", vec![]);
    let with = |change: fn(&mut TensorProto)| {
        let mut constant = ramp("k", &[4]);
        change(&mut constant);
        complaint(13, &[1, 4], mul(), vec![constant])
    };
    let cases = [
        (with(|t| t.dims = vec![5]), "initializer `k`: its shape [5] of f32 needs 20 bytes, but it has 16"),
        (with(|t| t.dims = vec![-4]), "initializer `k`: its shape [-4] has a negative extent"),
        (with(|t| t.dims = vec![1 << 40, 1 << 40]), "has more than 2^31 elements"),
        (with(|t| t.dims = vec![0, i64::MAX]), "has more than 2^31 elements"),
        (with(|t| t.data_type = 17), "its element type FLOAT8E4M3FN is not supported"),
        (with(|t| t.data_type = 99), "its element type 99 does not exist"),
        (with(|t| t.data_location = 1), "its external data have no location"),
        (with(|t| t.data_location = 7), "its data location 7 does not exist"),
        (
            with(|t| {
                *t = TensorProto { raw_data: None, int32_data: vec![300; 4], data_type: data_type::UINT8, ..t.clone() }
            }),
            "its element 300 does not fit u8",
        ),
    ];
    for (got, expected) in cases {
        assert!(got.contains(expected), "{got}\n  should say: {expected}");
    }
}

#[test]
fn the_file_as_a_whole() {
    let whole = |change: fn(&mut systole_compiler::frontends::onnx::proto::ModelProto)| {
        let mut model = model(13, &[1, 4], vec![node("Relu", &["x"], "y", vec![])], vec![]);
        change(&mut model);
        refused(&model).join("\n")
    };
    let cases = [
        (whole(|m| m.opset_import[0].version = 26), "the file: it uses opset 26 (help: opsets 6 to 25 are supported"),
        (whole(|m| m.opset_import.clear()), "names no version of the standard operators"),
        (whole(|m| m.graph = None), "it has no graph"),
        (whole(|m| m.graph.as_mut().unwrap().output[0].name = "z".into()), "output `z`: no earlier node"),
        (whole(|m| m.graph.as_mut().unwrap().output.clear()), "the graph has no outputs"),
        (
            whole(|m| m.graph.as_mut().unwrap().input[0] = value("x", &[1, -1])),
            "input `x`: its extent of axis 1 is unknown (help: give its shape",
        ),
        (
            whole(|m| m.graph.as_mut().unwrap().initializer = vec![ramp("k", &[1]), ramp("k", &[1])]),
            "initializer `k`: there are two of this name",
        ),
        (
            whole(|m| m.graph.as_mut().unwrap().node.push(node("Relu", &["x"], "y", vec![]))),
            "the tensor `y` is made twice",
        ),
        (
            whole(|m| m.graph.as_mut().unwrap().node[0].domain = "my.ops".into()),
            "the operator Relu of the domain `my.ops` is not supported",
        ),
    ];
    for (got, expected) in cases {
        assert!(got.contains(expected), "{got}\n  should say: {expected}");
    }
    let options = ImportOptions { shapes: [("z".to_owned(), vec![1])].into() };
    let model = model(13, &[1, 4], vec![node("Relu", &["x"], "y", vec![])], vec![]);
    let errors = import_bytes(encode(&model), None, "test", &options).expect_err("there is no input z");
    assert_eq!(
        errors[0].to_string(),
        "input `z`: a shape was given for it, but the model has no such input (help: its inputs are: x)"
    );
}

fn external(
    location: &str,
    offset: &str,
    length: Option<&str>,
) -> systole_compiler::frontends::onnx::proto::ModelProto {
    let entry = |key: &str, value: &str| StringStringEntryProto { key: key.into(), value: value.into() };
    let mut external_data = vec![entry("location", location), entry("offset", offset)];
    external_data.extend(length.map(|length| entry("length", length)));
    let constant = TensorProto { data_location: 1, raw_data: None, external_data, ..ramp("k", &[2]) };
    model(13, &[1, 2], vec![node("Mul", &["x", "k"], "y", vec![])], vec![constant])
}

#[test]
fn external_data() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::create_dir(folder.path().join("weights")).expect("a folder");
    std::fs::write(folder.path().join("weights/k.bin"), [9, 9, 9, 9, 0, 0, 128, 63, 0, 0, 0, 64]).expect("a file");
    let path = folder.path().join("model.onnx");
    let read = |model| {
        std::fs::write(&path, encode(&model)).expect("a file");
        import_file(&path, &ImportOptions::default())
    };
    for length in [Some("8"), None] {
        let graph = read(external("weights/k.bin", "4", length)).expect("a good model");
        let data = tensor(&graph, "k").data.clone();
        assert_eq!(data, Some(systole_network::tensor::Data::Stored(vec![0, 0, 128, 63, 0, 0, 0, 64].into())));
        assert_eq!(graph.name, "model");
    }
    let cases = [
        (external("weights/k.bin", "8", None), ErrorKind::Invalid, "bytes 8 to 16 of `weights/k.bin`, which has 12"),
        (external("weights/k.bin", "18446744073709551615", None), ErrorKind::Invalid, "which has 12"),
        (external("weights/k.bin", "0", Some("12")), ErrorKind::Invalid, "need 8 bytes, but its external data have 12"),
        (external("weights/k.bin", "-1", None), ErrorKind::Invalid, "the offset `-1`"),
        (external("../k.bin", "0", None), ErrorKind::Invalid, "`../k.bin` lies outside the model's folder"),
        (external("weights/../../k.bin", "0", None), ErrorKind::Invalid, "lies outside the model's folder"),
        (external("/etc/passwd", "0", None), ErrorKind::Invalid, "`/etc/passwd` lies outside the model's folder"),
        (external("weights", "0", None), ErrorKind::Io, "it is not a regular file"),
        (external("absent.bin", "0", None), ErrorKind::Io, "absent.bin"),
    ];
    for (model, kind, expected) in cases {
        let errors = read(model).expect_err("the data are wrong");
        assert_eq!((errors.len(), errors[0].kind), (1, kind), "{errors:#?}");
        let text = errors[0].to_string();
        assert!(text.starts_with("initializer `k`: ") && text.contains(expected), "{text}\n  should say: {expected}");
    }
    let from_memory = refused(&external("weights/k.bin", "4", None));
    assert!(from_memory[0].contains("the model was read from memory"), "{from_memory:?}");
}

#[test]
fn files_that_are_no_models() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let absent = import_file(&folder.path().join("absent.onnx"), &ImportOptions::default()).expect_err("no such file");
    assert_eq!(absent[0].kind, ErrorKind::Io);
    assert!(absent[0].to_string().contains("absent.onnx`: No such file"), "{}", absent[0]);
    for (name, content) in [("empty.onnx", &b""[..]), ("text.onnx", b"not a model at all"), ("zeros.onnx", &[0; 64])] {
        let path = folder.path().join(name);
        std::fs::write(&path, content).expect("a file");
        let errors = import_file(&path, &ImportOptions::default()).expect_err("no model");
        assert_eq!(errors[0].kind, ErrorKind::Invalid);
        assert!(errors[0].message.starts_with("not an ONNX model"), "{name}: {}", errors[0]);
    }
}
