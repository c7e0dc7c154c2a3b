//! The program as people call it: every verb on a small network, exit codes, messages, and what is refused.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

const MODEL: &str = "zoo:lenet-5";

fn systole(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_systole")).args(arguments).output().expect("the program starts")
}

/// Standard output of a run that succeeds.
fn succeeds(arguments: &[&str]) -> String {
    let output = systole(arguments);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {stderr}");
    text(&output.stdout)
}

/// Standard error of a run that ends with this code, without a panic and with an error block.
fn fails(code: i32, arguments: &[&str]) -> String {
    let output = systole(arguments);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
    assert!(stderr.contains("error"), "{arguments:?}: {stderr}");
    stderr
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

fn json(arguments: &[&str]) -> Value {
    serde_json::from_str(&succeeds(arguments)).expect("JSON")
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

fn path(folder: &tempfile::TempDir, name: &str) -> String {
    folder.path().join(name).to_str().expect("UTF-8").to_owned()
}

fn read_json(path: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).expect("written")).expect("JSON")
}

fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("readable");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("readable").file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

#[test]
fn estimate_tells_time_and_writes_its_files() {
    let folder = folder();
    let out = path(&folder, "out");
    let shown = succeeds(&["estimate", MODEL, "--out", &out]);
    assert!(shown.starts_with("lenet-5 on edge-16x16: "), "{shown}");
    assert!(shown.lines().all(|line| line.chars().count() <= 100), "{shown}");
    assert_eq!(files(Path::new(&out)), ["layers.csv", "report.json"]);
    let report = read_json(&format!("{out}/report.json"));
    assert_eq!(report["schema"], 1);
    assert_eq!(report["model"]["macs"], 2_293_000);
    assert_eq!(report["verify"], Value::Null);
    let layers = report["layers"].as_array().expect("a list");
    let cycles: u64 = layers.iter().map(|layer| layer["cycles"].as_u64().expect("a number")).sum();
    assert_eq!(
        Some(cycles + report["total"]["idle_cycles"].as_u64().expect("a number")),
        report["total"]["cycles"].as_u64()
    );
    let csv = std::fs::read_to_string(format!("{out}/layers.csv")).expect("written");
    assert_eq!(csv.lines().count(), layers.len() + 1);
}

#[test]
fn estimate_explains_a_layer_and_knows_those_it_does_not_have() {
    assert!(succeeds(&["estimate", MODEL, "--explain", "conv2"]).contains("mapping"));
    assert!(fails(2, &["estimate", MODEL, "--explain", "conv3"]).contains("did you mean `conv"));
}

#[test]
fn batches_multiply_the_work_and_not_the_model() {
    let report = json(&["estimate", MODEL, "--batch", "3", "--format", "json"]);
    assert_eq!(report["model"]["batch"], 3);
    assert_eq!(report["model"]["macs"], 2_293_000);
    let macs: u64 = report["layers"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|layer| layer["macs"].as_u64().expect("a number"))
        .sum();
    assert_eq!(macs, 3 * 2_293_000);
    assert!(fails(2, &["estimate", MODEL, "--batch", "0"]).contains("batch"));
}

#[test]
fn verify_is_bit_exact_on_both_engines_with_the_cycles_of_estimate() {
    let estimate = json(&["estimate", MODEL, "--format", "json"]);
    for engine in ["fast", "reference"] {
        let verify = json(&["verify", MODEL, "--format", "json", "--engine", engine]);
        assert_eq!(verify["verify"]["bit_exact"], true, "{engine}");
        assert_eq!(verify["verify"]["tensors_unobservable"], serde_json::json!([]));
        assert!(verify["verify"]["elements"].as_u64() > Some(20_000));
        assert_eq!(verify["total"], estimate["total"], "{engine}");
        assert_eq!(verify["layers"], estimate["layers"], "{engine}");
    }
    let shown = succeeds(&["verify", MODEL, "--layers", "--seed", "7", "--batch", "2"]);
    assert!(shown.contains("bit-exact") && shown.contains("flatten") && shown.contains("seed 7"), "{shown}");
}

#[test]
fn reports_do_not_depend_on_threads() {
    let [one, two] = ["1", "2"].map(|threads| {
        let mut report = json(&["verify", MODEL, "--format", "json", "--threads", threads]);
        assert_eq!(report["host"]["threads"].to_string(), threads);
        report.as_object_mut().expect("an object").remove("host");
        report.to_string()
    });
    assert_eq!(one, two);
}

#[test]
fn baselines_fail_on_changed_cycles_alone() {
    let folder = folder();
    let out = path(&folder, "out");
    let report = format!("{out}/report.json");
    succeeds(&["verify", MODEL, "--out", &out, "-q"]);
    succeeds(&["verify", MODEL, "--baseline", &report, "-q"]);
    let mut tampered = read_json(&report);
    let cycles = tampered["layers"][1]["cycles"].as_u64().expect("a number");
    let name = tampered["layers"][1]["name"].as_str().expect("text").to_owned();
    tampered["layers"][1]["cycles"] = (cycles + 1).into();
    std::fs::write(&report, tampered.to_string()).expect("writable");
    let stderr = fails(1, &["verify", MODEL, "--baseline", &report, "-q"]);
    assert!(stderr.contains(&format!("layer `{name}`: {} cycles before, {cycles} now", cycles + 1)), "{stderr}");
    std::fs::write(&report, "{}").expect("writable");
    assert!(fails(2, &["verify", MODEL, "--baseline", &report]).contains("total.cycles"));
    assert!(fails(2, &["verify", MODEL, "--baseline", "/nowhere/report.json"]).contains("/nowhere/report.json"));
}

#[test]
fn programs_survive_text_and_run_to_the_reference_outputs() {
    let folder = folder();
    let [binary, again, assembly, simulated, golden] =
        ["p.sysb", "q.sysb", "p.s", "simulated.npz", "golden.npz"].map(|name| path(&folder, name));
    succeeds(&["compile", MODEL, "-o", &binary]);
    succeeds(&["disasm", &binary, "-o", &assembly]);
    succeeds(&["asm", &assembly, "-o", &again]);
    let bytes = std::fs::read(&binary).expect("written");
    assert_eq!(bytes, std::fs::read(&again).expect("written"));
    assert_eq!(succeeds(&["compile", MODEL, "--emit", "asm"]), std::fs::read_to_string(&assembly).expect("written"));
    let timed = json(&["simulate", &binary, "--output", &simulated, "--format", "json"]);
    assert_eq!(timed["total"], json(&["simulate", &binary, "--timing-only", "--format", "json"])["total"]);
    succeeds(&["golden", MODEL, "--output", &golden]);
    assert_eq!(std::fs::read(&simulated).expect("written"), std::fs::read(&golden).expect("written"));
    std::fs::write(&binary, &bytes[..bytes.len() - 9]).expect("writable");
    assert!(fails(2, &["simulate", &binary]).contains("damaged"));
}

#[test]
fn golden_writes_all_tensors_and_reads_inputs() {
    let folder = folder();
    let [all, float, again] = ["all.npz", "float.npz", "again.npz"].map(|name| path(&folder, name));
    succeeds(&["golden", MODEL, "--layers", "--output", &all]);
    succeeds(&["golden", MODEL, "--float", "--layers", "--output", &float]);
    let integer = systole::tensors::read(Path::new(&all)).expect("readable");
    assert!(integer.contains_key("conv1") && integer.contains_key("prob"));
    // The integer network is near the float one: the same class wins.
    let floats = systole::tensors::read(Path::new(&float)).expect("readable");
    let winner = |values: Vec<f64>| values.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map(|best| best.0);
    let (systole::golden::Value::U8(q), systole::golden::Value::F32(p)) =
        (&integer["prob"].value, &floats["prob"].value)
    else {
        panic!("types of the outputs");
    };
    assert_eq!(winner(q.iter().map(|&v| v.into()).collect()), winner(p.iter().map(|&v| v.into()).collect()));
    // An input of the wrong shape is refused, one of the right shape is read.
    let image = |side: u64| {
        let value = systole::golden::Value::F32(vec![0.25; (side * side) as usize]);
        std::collections::BTreeMap::from([(
            "input".to_owned(),
            systole::tensors::Array { shape: vec![1, 1, side, side], value },
        )])
    };
    let input = path(&folder, "input.npz");
    systole::tensors::write(Path::new(&input), &image(27)).expect("writable");
    assert!(fails(2, &["golden", MODEL, "--input", &input, "--output", &again]).contains("[1, 1, 28, 28]"));
    systole::tensors::write(Path::new(&input), &image(28)).expect("writable");
    succeeds(&["golden", MODEL, "--input", &input, "--output", &again]);
    assert_ne!(systole::tensors::read(Path::new(&again)).expect("readable")["prob"], integer["prob"]);
    succeeds(&["verify", MODEL, "--input", &input, "-q"]);
}

#[test]
fn stages_print_and_passes_stop() {
    for stage in ["graph", "fused", "mapping", "memory", "schedule"] {
        assert!(succeeds(&["compile", MODEL, "--emit", stage]).contains("conv2"), "{stage}");
    }
    let passes = succeeds(&["compile", "--list-passes"]);
    let first = passes.split_whitespace().next().expect("there are passes");
    assert!(succeeds(&["compile", MODEL, "--stop-after", first]).starts_with("graph lenet-5, imported"));
    assert!(fails(2, &["compile", MODEL, "--stop-after", "nonsense"]).contains("no pass `nonsense`"));
    assert!(fails(2, &["compile", MODEL]).contains("nothing to do"));
}

#[test]
fn machines_are_listed_shown_and_checked() {
    assert!(succeeds(&["hw", "list"]).contains("edge-16x16"));
    assert_eq!(json(&["hw", "show", "edge-16x16", "--format", "json"])["peak_macs_per_cycle"], 256);
    assert!(json(&["hw", "schema"]).is_object());
    assert!(succeeds(&["hw", "check", "tpu-v1"]).contains("fine"));
    let folder = folder();
    let yaml = path(&folder, "mine.yaml");
    succeeds(&["hw", "init", "-o", &yaml]);
    succeeds(&["hw", "check", &yaml]);
    let text = std::fs::read_to_string(&yaml).expect("written").replace("banks:", "bonks:").replace("rows:", "rowz:");
    std::fs::write(&yaml, text).expect("writable");
    let stderr = fails(2, &["estimate", MODEL, "--hw", &yaml]);
    for expected in ["bonks", "rowz", "mine.yaml:"] {
        assert!(stderr.contains(expected), "{expected} in {stderr}");
    }
}

#[test]
fn the_zoo_is_listed_and_exported() {
    let names = json(&["zoo", "--format", "json"]);
    assert!(names.as_array().expect("a list").iter().any(|entry| entry["name"] == "lenet-5"));
    assert!(succeeds(&["zoo"]).contains("431 080"));
    let folder = folder();
    let onnx = path(&folder, "lenet.onnx");
    succeeds(&["zoo", "export", "lenet-5", "-o", &onnx]);
    let [built_in, read] = [MODEL, &onnx].map(|model| json(&["verify", model, "--format", "json"]));
    assert_eq!(built_in["total"], read["total"]);
    assert_eq!(read["verify"]["bit_exact"], true);
    assert!(fails(2, &["zoo", "export", "lenet-6", "-o", &onnx]).contains("lenet-5"));
}

#[test]
fn bad_inputs_are_named_and_leave_nothing_behind() {
    let folder = folder();
    let file = path(&folder, "file");
    std::fs::write(&file, "").expect("writable");
    let truncated = path(&folder, "cut.onnx");
    std::fs::write(&truncated, [8, 7, 18, 200, 1, 9]).expect("writable");
    assert!(fails(2, &["estimate", "missing.onnx"]).contains("missing.onnx"));
    assert!(fails(2, &["verify", &truncated]).contains("cut.onnx"));
    assert!(fails(2, &["estimate", "zoo:lenet"]).contains("did you mean `lenet-5`"));
    assert!(fails(2, &["estimate", "lenet-5"]).contains("did you mean `zoo:lenet-5`?"));
    assert!(fails(2, &["estimate", MODEL, "--hw", "edge-16"]).contains("`edge-16x16`"));
    assert!(fails(2, &["estimate", MODEL, "--out", &format!("{file}/below")]).contains("--out"));
    assert!(fails(2, &["compile", MODEL, "-o", &format!("{file}/p.sysb")]).contains("p.sysb"));
    assert!(fails(2, &["estimate", MODEL, "--threads", "0"]).contains("--threads"));
    let assembly = path(&folder, "bad.s");
    std::fs::write(&assembly, "ar.rum activation=0\n.nothing\n").expect("writable");
    let stderr = fails(2, &["asm", &assembly, "-o", &path(&folder, "bad.sysb")]);
    assert!(stderr.contains("ar.rum") && stderr.contains(".nothing"), "{stderr}");
    assert_eq!(files(folder.path()), ["bad.s", "cut.onnx", "file"]);
}

#[test]
fn what_is_not_built_is_refused_by_name() {
    let cases: [(&[&str], &str); 9] = [
        (&["sweep", MODEL, "--hw", "edge-16x16", "--set", "array.rows=8,16"], "sweep"),
        (&["diff", "a.json", "b.json"], "diff"),
        (&["simulate", "p.sysb", "--fst", "w.fst"], "--fst"),
        (&["compile", MODEL, "-o", "p.sysb", "--effort", "3"], "--effort"),
        (&["verify", MODEL, "--float-islands", "quantise"], "--float-islands quantise"),
        (&["estimate", "net.tflite"], ".tflite"),
        (&["estimate", "net.prototxt"], ".prototxt"),
        (&["estimate", "net.csv"], ".csv"),
        (&["golden", MODEL, "--output", "g.npz", "--float-islands", "quantise"], "--float-islands"),
    ];
    for (arguments, name) in cases {
        let stderr = fails(2, arguments);
        assert!(stderr.contains("not available in this version") && stderr.contains(name), "{arguments:?}: {stderr}");
    }
    assert!(fails(2, &["estimate", MODEL, "--no-such-flag"]).contains("--no-such-flag"));
}

#[test]
fn rtl_of_a_machine_is_written_whole_or_not_at_all() {
    let folder = tempfile::tempdir().expect("a directory");
    let out = path(&folder, "rtl");
    let told = succeeds(&["hw", "rtl", "edge-16x16", "-o", &out]);
    let names = files(std::path::Path::new(&out));
    assert!(told.contains(&format!("{} files", names.len())), "{told}");
    let listed = |name: &str| names.iter().any(|each| each == name);
    assert!(listed("systole_top.sv") && listed("systole_testbench.sv") && listed("README.md"), "{names:?}");
    let top = std::fs::read_to_string(format!("{out}/systole_top.sv")).expect("readable");
    assert!(top.contains(".ROWS(16)") && top.contains(".WORD_BITS(32)") && top.contains(".VECTORS(2048)"), "{top}");
    let file = path(&folder, "file");
    std::fs::write(&file, "").expect("writable");
    assert!(fails(2, &["hw", "rtl", "edge-16x16", "-o", &file]).contains("cannot write"));
    // A file that cannot be replaced leaves the others unwritten.
    let blocked = path(&folder, "blocked");
    std::fs::create_dir_all(format!("{blocked}/README.md")).expect("writable");
    assert!(fails(2, &["hw", "rtl", "edge-16x16", "-o", &blocked]).contains("README.md"));
    assert_eq!(files(std::path::Path::new(&blocked)), ["README.md"]);
}

#[test]
fn float_islands_are_refused_all_at_once() {
    for verb in ["estimate", "verify"] {
        let stderr = fails(2, &[verb, MODEL, "--float-islands", "refuse"]);
        assert!(stderr.contains("node `prob` (Softmax)") && stderr.contains("rule N-10"), "{stderr}");
    }
    // Pre-activation: what cannot be folded backwards stays.
    let stderr = fails(2, &["estimate", "zoo:resnet-v2-50", "--float-islands", "refuse"]);
    assert!(stderr.matches("it is a float island").count() > 10 && stderr.contains("(BatchNormalization)"), "{stderr}");
}

/// A program that waits for a token that nobody gives, and one whose second instruction reads outside its buffer.
#[test]
fn programs_that_fail_end_with_code_3_and_say_where() {
    let folder = folder();
    let binary = path(&folder, "p.sysb");
    let run = |code: &str| {
        let assembly = path(&folder, "p.s");
        let machine = succeeds(&["disasm", &{
            let source = path(&folder, "lenet.sysb");
            succeeds(&["compile", MODEL, "-o", &source]);
            source
        }]);
        let head: String =
            machine.lines().take_while(|line| !line.starts_with(".model")).map(|line| format!("{line}\n")).collect();
        let model =
            ".model name=\"m\", macs=0, parameters=0, weight_bytes=0, batch=1\n.dram bytes=4096\n\n.in layer=none\n";
        std::fs::write(&assembly, format!("{head}{model}{code}")).expect("writable");
        succeeds(&["asm", &assembly, "-o", &binary]);
        fails(3, &["simulate", &binary])
    };
    let deadlock = run("ar.sync wait(load)\n");
    assert!(
        deadlock.contains("deadlock") && deadlock.contains("array unit") && deadlock.contains("ar.sync wait(load)"),
        "{deadlock}"
    );
    assert!(deadlock.contains("token from load"), "{deadlock}");
    let trap = run("ld.shape row_bytes=64, rows=1, planes=1\nld.run dram=0x2000, buffer=0, space=act\n");
    assert!(trap.contains("OutOfBounds") && trap.contains("instruction 1: ld.run"), "{trap}");
}

#[test]
fn what_people_read_fits_100_columns() {
    let folder = folder();
    let tall = path(&folder, "tall.yaml");
    let yaml =
        succeeds(&["hw", "init"]).replace("capacity: 2 MiB", "capacity: 1 GiB").replace("banks: 16 ", "banks: 4096 ");
    std::fs::write(&tall, yaml).expect("writable");
    for arguments in [
        &["hw", "list"][..],
        &["hw", "show", "edge-16x16"],
        &["hw", "show", "tpu-v1"],
        &["hw", "show", &tall],
        &["zoo"],
        &["compile", "--list-passes"],
        &["estimate", "zoo:resnet-50", "-v"],
        &["estimate", MODEL, "--explain", "ip1_relu"],
    ] {
        let shown = succeeds(arguments);
        let wide: Vec<&str> = shown.lines().filter(|line| line.chars().count() > 100).collect();
        assert!(shown.lines().count() > 2 && wide.is_empty(), "{arguments:?}: {wide:?}");
    }
}

#[test]
fn quiet_and_baseline_runs_say_what_was_found() {
    let folder = folder();
    let out = path(&folder, "out");
    assert!(succeeds(&["verify", MODEL, "--out", &out, "-q"]).contains("\nbit-exact: 20 504 elements"));
    let report = format!("{out}/report.json");
    let agreed = systole(&["verify", MODEL, "--baseline", &report]);
    assert!(text(&agreed.stderr).contains("every cycle count is as in"), "{agreed:?}");
    let stderr = fails(1, &["verify", MODEL, "--batch", "2", "--baseline", &report]);
    assert!(
        stderr.contains("is of lenet-5 on edge-16x16, batch 1; this run is of lenet-5 on edge-16x16, batch 2"),
        "{stderr}"
    );
}

#[test]
fn mistakes_of_first_users_are_told_with_a_remedy() {
    let folder = folder();
    let [nowhere, yaml, bare, empty, source] =
        ["no/p.sysb", "none.yaml", "t.npy", "empty.sysb", "empty.s"].map(|name| path(&folder, name));
    let stderr = fails(2, &["compile", MODEL, "-o", &nowhere]);
    assert!(stderr.contains("make it first") && !stderr.contains(".systole-"), "{stderr}");
    assert!(fails(2, &["estimate", MODEL, "--hw", &yaml]).contains("hw init -o"));
    assert!(fails(2, &["golden", MODEL, "--output", &bare]).contains(".npz"));
    assert!(fails(2, &["estimate", "nope.onnx"]).contains("cannot read `nope.onnx`"));
    assert!(fails(2, &["estimate", MODEL, "--batch", "-1"]).contains("--batch"));
    std::fs::write(&source, "").expect("writable");
    succeeds(&["asm", &source, "-o", &empty]);
    assert!(fails(2, &["simulate", &empty]).contains("states no machine"));
    assert_eq!(files(folder.path()), ["empty.s", "empty.sysb"]);
}
