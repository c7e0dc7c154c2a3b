//! Files that can be read and are wrong, and places that cannot be written.

use systole::compiler::frontends::onnx::proto::{ModelProto, StringStringEntryProto};

use crate::models::{bytes, f32s, ints, model, node, qdq};
use crate::run::{Folder, refused_with, systole};

/// Each verb that reads models refuses this one and says all of that.
fn wrong(model: &ModelProto, expected: &[&str]) {
    let folder = Folder::new();
    let path = folder.write("wrong.onnx", bytes(model));
    let (program, values) = (folder.path("p.sysb"), folder.path("v.npz"));
    let expected = [expected, &["wrong.onnx"]].concat();
    refused_with(&folder, &["estimate", &path], &expected);
    refused_with(&folder, &["verify", &path], &expected);
    refused_with(&folder, &["compile", &path, "-o", &program], &expected);
    refused_with(&folder, &["golden", &path, "--output", &values], &expected);
}

#[test]
fn cyclic_graphs() {
    let nodes = vec![
        node("Relu", &["b"], "a", vec![]),
        node("Relu", &["a"], "b", vec![]),
        node("Add", &["x", "b"], "y", vec![]),
    ];
    wrong(&model(&[1, 4], nodes, vec![]), &["`n_a` (Relu)", "`b`"]);
    wrong(&model(&[1, 4], vec![node("Add", &["x", "y"], "y", vec![])], vec![]), &["`n_y` (Add)", "`y`"]);
}

#[test]
fn shapes_that_do_not_fit() {
    let conv = |dims: &[i64]| {
        let count = dims.iter().product::<i64>() as usize;
        model(&[1, 3, 8, 8], vec![node("Conv", &["x", "w"], "y", vec![])], vec![f32s("w", dims, &vec![1.0; count])])
    };
    wrong(&conv(&[2, 4, 3, 3]), &["`n_y` (Conv)", "do not belong together"]);
    wrong(&conv(&[2, 3, 9, 9]), &["`n_y` (Conv)", "does not fit"]);
    let add = model(
        &[1, 4, 3, 3],
        vec![node("MaxPool", &["x"], "p", vec![ints("kernel_shape", &[2, 2])]), node("Add", &["x", "p"], "y", vec![])],
        vec![],
    );
    wrong(&add, &["`n_y` (Add)", "of which none repeats"]);
}

#[test]
fn unknown_operators() {
    let nodes = vec![
        node("Erf", &["x"], "e", vec![]),
        node("Relu", &["e"], "r", vec![]),
        node("NonMaxSuppression", &["r"], "y", vec![]),
    ];
    let supported: Vec<&str> = systole::compiler::frontends::onnx::supported_operators().collect();
    assert!(supported.len() > 10 && !supported.contains(&"Erf"));
    let messages = ["`n_e` (Erf)", "operator Erf", "`n_y` (NonMaxSuppression)", "operator NonMaxSuppression"];
    wrong(&model(&[1, 4], nodes, vec![]), &[&messages[..], &supported].concat());
}

#[test]
fn scales_without_meaning() {
    for scale in [0.0, f32::NAN, f32::INFINITY, -0.5] {
        wrong(&qdq(scale), &["`n_xq` (QuantizeLinear)", "scale"]);
    }
    let folder = Folder::new();
    let fine = folder.write("fine.onnx", bytes(&qdq(0.5)));
    assert_eq!(systole(&folder, &["verify", &fine]).code, 0);
}

/// Weights that are all no numbers give no range to calibrate with. One alone may pass; then golden and the simulator still agree.
#[test]
fn weights_without_meaning() {
    let folder = Folder::new();
    let product = |weights: [f32; 8]| {
        let nodes = vec![node("MatMul", &["x", "w"], "y", vec![])];
        folder.write("weights.onnx", bytes(&model(&[1, 4], nodes, vec![f32s("w", &[4, 2], &weights)])))
    };
    for weight in [f32::NAN, f32::INFINITY] {
        let path = product([weight; 8]);
        refused_with(&folder, &["compile", &path, "-o", &folder.path("p.sysb")], &["tensor `y`", "calibrated range"]);
        let one = systole(&folder, &["verify", &product([1.0, 1.0, 1.0, weight, 1.0, 1.0, 1.0, 1.0])]);
        assert!(matches!(one.code, 0 | 2), "{}", one.stderr);
    }
}

#[test]
fn missing_external_weights() {
    let mut weights = f32s("w", &[4], &[]);
    weights.raw_data = None;
    weights.data_location = 1;
    weights.external_data = vec![StringStringEntryProto { key: "location".into(), value: "weights.bin".into() }];
    wrong(
        &model(&[1, 4], vec![node("Mul", &["x", "w"], "y", vec![])], vec![weights]),
        &["initializer `w`", "weights.bin"],
    );
}

/// The preset with texts replaced by others.
fn preset_with(changes: &[(&str, &str)]) -> String {
    let yaml = std::fs::read_to_string("hw-configs/edge-16x16.yaml").expect("a preset");
    changes.iter().fold(yaml, |yaml, (from, to)| {
        assert!(yaml.contains(from), "the preset has no `{from}`");
        yaml.replace(from, to)
    })
}

#[test]
fn machines_that_are_too_small() {
    let folder = Folder::new();
    let changes = [("capacity: 2 MiB", "capacity: 64 B"), ("banks: 16", "banks: 1")];
    let yaml = folder.write("small.yaml", preset_with(&changes));
    assert_eq!(systole(&folder, &["hw", "check", &yaml]).code, 0, "a machine, though a small one");
    let out = folder.path("out");
    // Every layer that does not fit is named.
    let expected = ["layer `conv1`", "layer `conv2`", "smallest tile", "edge-16x16"];
    refused_with(&folder, &["estimate", "zoo:lenet-5", "--hw", &yaml, "--out", &out], &expected);
    refused_with(&folder, &["verify", "zoo:lenet-5", "--hw", &yaml, "--out", &out], &expected);
    refused_with(&folder, &["compile", "zoo:lenet-5", "--hw", &yaml, "-o", &folder.path("p.sysb")], &expected);
    let yaml = folder.write("small.yaml", preset_with(&[("capacity: 256 KiB", "capacity: 128 B")]));
    refused_with(&folder, &["estimate", "zoo:lenet-5", "--hw", &yaml], &["small.yaml", "holds no weight tile"]);
}

#[test]
fn machines_that_say_nonsense() {
    let folder = Folder::new();
    let cases = [
        ("rows: 16", "rows: 0", "rows"),
        ("rows: 16", "rows: 99999999999999999999", "rows"),
        ("clock", "clocc", "clocc"),
        ("capacity: 2 MiB", "capacity: 2 MB/s", "capacity"),
        ("bandwidth: 12.8 GB/s", "bandwidth: .nan GB/s", "bandwidth"),
        ("bandwidth: 12.8 GB/s", "bandwidth: -1 GB/s", "bandwidth"),
        ("banks: 16", "banks: 17", "banks"),
        ("name: edge-16x16", "name: [", "nonsense.yaml"),
    ];
    for (from, to, expected) in cases {
        let yaml = folder.write("nonsense.yaml", preset_with(&[(from, to)]));
        refused_with(&folder, &["hw", "check", &yaml], &["nonsense.yaml", expected]);
        refused_with(&folder, &["estimate", "zoo:lenet-5", "--hw", &yaml], &["nonsense.yaml", expected]);
    }
    // Aliases that grow without end, and nesting without end.
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let list = vec![format!("*a{}", level - 1); 8].join(", ");
        bomb += &format!("a{level}: &a{level} [{list}]\n");
    }
    let (bomb, deep) = (folder.write("bomb.yaml", bomb), folder.write("deep.yaml", "[".repeat(100_000)));
    refused_with(&folder, &["hw", "check", &bomb], &["bomb.yaml"]);
    refused_with(&folder, &["hw", "check", &deep], &["deep.yaml"]);
}

/// Every flag that takes a place to write to, given one below a regular file: whoever runs the tests, that cannot be written.
#[test]
fn places_that_cannot_be_written() {
    let folder = Folder::new();
    let model = folder.write("small.onnx", bytes(&qdq(0.5)));
    let (program, assembly) = (folder.path("small.sysb"), folder.path("small.s"));
    assert_eq!(systole(&folder, &["compile", &model, "-o", &program]).code, 0);
    assert_eq!(systole(&folder, &["disasm", &program, "-o", &assembly]).code, 0);
    let below = folder.path("small.onnx/below");
    let cases: [&[&str]; 10] = [
        &["estimate", &model, "--out"],
        &["verify", &model, "--out"],
        &["compile", &model, "-o"],
        &["simulate", &program, "--output"],
        &["simulate", &program, "--out"],
        &["golden", &model, "--output"],
        &["asm", &assembly, "-o"],
        &["disasm", &program, "-o"],
        &["hw", "init", "-o"],
        &["zoo", "export", "lenet-5", "-o"],
    ];
    for case in cases {
        refused_with(&folder, &[case, &[&below]].concat(), &["small.onnx/below"]);
    }
}
