//! ONNX's own node tests of the operators that convolutional networks have, as `tests/onnx_backend/run.py --record` found them passing: imported,
//! run by golden, compared as ONNX does (rtol 1e-3, atol 1e-7).
//!
//! `cases.zip` holds models and tensors of onnx 1.20.0 (Apache-2.0), the inputs that networks hold as constants bound to the test's values, and
//! without those above 256 KiB. ConvInteger and MatMulInteger also run on machines, bit-exactly (rule N-16). Not here: tests that are refused by
//! name (`recorded.json` has the reasons).

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read};

use bytes::Bytes;
use npyz::zip::ZipArchive;
use prost::Message;
use systole::compiler::frontends::onnx::proto::{TensorProto, data_type};
use systole::compiler::frontends::onnx::{ImportOptions, import_bytes};
use systole::machine::config;
use systole::machine::program::Role;
use systole::machine::spec::Machine;
use systole::pipeline::{self, Engine, Imported, ModelOptions};
use systole::problem::Failure;
use systole::simulator::contract::Outcome;
use systole::tensors;
use systole_golden::{Options, Value, run};
use systole_network::tensor::DType;
use systole_network::verify::verify;

const CASES: &[u8] = include_bytes!("onnx_backend/cases.zip");
const RECORDED: &str = include_str!("onnx_backend/recorded.json");
const RTOL: f64 = 1e-3;
const ATOL: f64 = 1e-7;

#[derive(Default)]
struct Case {
    model: Bytes,
    inputs: Vec<TensorProto>,
    outputs: Vec<TensorProto>,
}

fn cases() -> BTreeMap<String, Case> {
    let mut archive = ZipArchive::new(Cursor::new(CASES)).expect("an archive");
    let mut cases: BTreeMap<String, Case> = BTreeMap::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).expect("an entry");
        let mut bytes = vec![];
        entry.read_to_end(&mut bytes).expect("its bytes");
        let path: Vec<&str> = entry.name().split('/').collect();
        let case = cases.entry(path[0].to_owned()).or_default();
        match path[1] {
            "inputs" => case.inputs.push(TensorProto::decode(&bytes[..]).expect("a tensor")),
            "outputs" => case.outputs.push(TensorProto::decode(&bytes[..]).expect("a tensor")),
            _ => case.model = bytes.into(),
        }
    }
    cases
}

fn value(proto: &TensorProto) -> Value {
    let dtype = match proto.data_type {
        data_type::FLOAT => DType::F32,
        data_type::UINT8 => DType::U8,
        data_type::INT8 => DType::I8,
        data_type::INT16 => DType::I16,
        data_type::INT32 => DType::I32,
        data_type::INT64 => DType::I64,
        data_type::UINT16 => DType::U16,
        data_type::UINT32 => DType::U32,
        data_type::UINT64 => DType::U64,
        data_type::BOOL => DType::Bool,
        other => panic!("type {other}"),
    };
    Value::from_le_bytes(dtype, proto.raw_data.as_ref().expect("raw data"))
}

fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::F32(v) => v.iter().map(|&x| f64::from(x)).collect(),
        Value::I8(v) => v.iter().map(|&x| f64::from(x)).collect(),
        Value::U8(v) => v.iter().map(|&x| f64::from(x)).collect(),
        Value::I16(v) => v.iter().map(|&x| f64::from(x)).collect(),
        Value::I32(v) => v.iter().map(|&x| f64::from(x)).collect(),
        Value::I64(v) => v.iter().map(|&x| x as f64).collect(),
        Value::U16(v) => v.iter().map(|&x| f64::from(x)).collect(),
        Value::U32(v) => v.iter().map(|&x| f64::from(x)).collect(),
        Value::U64(v) => v.iter().map(|&x| x as f64).collect(),
        Value::Bool(v) => v.iter().map(|&x| f64::from(x)).collect(),
    }
}

/// What is wrong with a case.
fn problem(name: &str, case: &Case) -> Option<String> {
    let graph = match import_bytes(case.model.clone(), None, name, &ImportOptions::default()) {
        Ok(graph) => graph,
        Err(errors) => return Some(format!("{errors:?}")),
    };
    if let Err(errors) = verify(&graph) {
        return Some(format!("{errors:?}"));
    }
    let id = |wanted: &str| graph.tensors.iter().position(|tensor| tensor.name == wanted).expect("a tensor") as u32;
    let tensor = |wanted: &str| systole_network::tensor::TensorId(id(wanted));
    let inputs = case.inputs.iter().map(|proto| (tensor(&proto.name), value(proto))).collect();
    let made = match run(&graph, &inputs, Options::default()) {
        Ok(made) => made.tensors,
        Err(error) => return Some(error.to_string()),
    };
    case.outputs.iter().find_map(|proto| {
        let (ours, theirs) = (&made[&tensor(&proto.name)], value(proto));
        let shape: Vec<i64> = graph.tensor(tensor(&proto.name)).shape.iter().map(|&length| length as i64).collect();
        let close =
            |(a, b): (&f64, &f64)| a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= ATOL + RTOL * b.abs();
        let (a, b) = (numbers(ours), numbers(&theirs));
        let same = ours.dtype() == theirs.dtype() && shape == proto.dims && a.len() == b.len();
        (!same || !a.iter().zip(&b).all(close)).then(|| format!("`{}`: {ours:?}, not {theirs:?}", proto.name))
    })
}

#[test]
fn the_recorded_node_tests_of_onnx() {
    let cases = cases();
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|(name, case)| problem(name, case).map(|what| format!("{name}: {what:.300}")))
        .collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    let recorded: serde_json::Value = serde_json::from_str(RECORDED).expect("JSON");
    let tests = recorded["tests"].as_object().expect("tests by name");
    let passing: BTreeSet<&str> =
        tests.iter().filter(|(_, result)| *result == "passed").map(|(name, _)| name.as_str()).collect();
    let missing = passing.iter().filter(|name| !cases.contains_key(**name)).count();
    assert!(cases.len() > 320 && missing <= 20, "{} cases, {missing} that pass are not here", cases.len());
    assert!(cases.keys().all(|name| passing.contains(name.as_str())));
}

/// What the sums of a case are on a machine, by the simulator; or the first words of the refusal.
fn on_machine(case: &Case, name: &str, machine: &Machine) -> Result<Value, String> {
    let words = |failure: Failure| failure.problems()[0].message().to_owned();
    let graph = import_bytes(case.model.clone(), None, name, &ImportOptions::default()).expect("imported before");
    let imported = Imported::of(graph).map_err(words)?;
    let quantised = pipeline::quantise(&imported, machine, &ModelOptions::default(), true).map_err(words)?;
    let program = pipeline::compile_model(&imported, &quantised, machine, true).map_err(words)?.program;
    let inputs = vec![value(&case.inputs[0]).to_le_bytes()];
    let runs = [Engine::Fast, Engine::Reference].map(|engine| {
        let (timing, memories) = pipeline::run(&program, machine, &inputs, engine).expect("it runs");
        assert_eq!(timing.outcome, Outcome::Halted);
        let output = program.tensors.iter().find(|entry| entry.role == Role::Output).expect("an output");
        tensors::value(tensors::gather(output, &memories.dram).expect("inside DRAM"), output.element)
    });
    assert_eq!(runs[0], runs[1], "{name}");
    let [sums, _] = runs;
    Ok(sums)
}

/// Machines of every dataflow and arithmetic, with sums of 32 bits and of others, of one array and of several, with one scratchpad.
#[test]
fn integer_node_tests_run_on_machines_bit_exactly() {
    let edge = config::preset("edge-16x16").expect("a preset");
    let changes: &[&[(&str, &str)]] = &[
        &[("vector.requantisation", "shift")],
        &[("vector.requantisation", "fixed_point")],
        &[("array.dataflow", "input_stationary")],
        &[("array.accumulator", "{width: 48 bit}"), ("buffers.accumulator.port_width", "96 B")],
        &[("array.accumulator", "{width: 48 bit, overflow: saturate}"), ("buffers.accumulator.port_width", "96 B")],
        &[("array.count", "4")],
    ];
    let changed = |settings: &&[(&str, &str)]| {
        config::load_with(edge, "edge-16x16", settings).unwrap_or_else(|errors| panic!("{settings:?}: {errors:?}"))
    };
    let mut machines: Vec<Machine> = changes.iter().map(changed).collect();
    machines.extend(config::presets().iter().map(|(name, text)| config::load(text, name).expect("a valid machine")));
    let mut ran = 0;
    for (name, case) in
        cases().iter().filter(|(name, _)| name.contains("convinteger") || name.contains("matmulinteger"))
    {
        for machine in &machines {
            let expected = value(&case.outputs[0]);
            match on_machine(case, name, machine) {
                Ok(sums) => {
                    assert_eq!(sums, expected, "{name} on {}", machine.name);
                    ran += 1;
                }
                Err(told) => {
                    let refused = told.contains("several zero points") || told.contains("the array of");
                    assert!(refused, "{name} on {}: {told}", machine.name);
                }
            }
        }
    }
    assert!(ran >= 2 * machines.len(), "{ran} of {} machines", machines.len());
}

/// The comparison itself: an output that is off by more than ONNX allows is found.
#[test]
fn a_wrong_output_is_found() {
    let (name, mut case) = cases().into_iter().find(|(name, _)| name == "test_relu").expect("there is one");
    let mut values = match value(&case.outputs[0]) {
        Value::F32(values) => values,
        other => panic!("{other:?}"),
    };
    let largest = (0..values.len()).max_by(|&a, &b| values[a].total_cmp(&values[b])).expect("elements");
    for (factor, found) in [(1.0005, false), (1.005, true)] {
        let whole = values[largest];
        values[largest] *= factor;
        case.outputs[0].raw_data = Some(values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>().into());
        assert_eq!(problem(&name, &case).is_some(), found, "{factor}");
        values[largest] = whole;
    }
}
