//! What a machine's arithmetic does to the quantised form and to programs: integer scalings (N-17 to N-19), 16-bit activations (N-21).

mod models;

use models::*;
use systole_compiler::compile::{Compiled, Constants, Header, compile};
use systole_compiler::error::{CompileError, ErrorKind};
use systole_compiler::passes::{Quantised, Values, legalise};
use systole_machine::config::{load_with, preset};
use systole_machine::isa::{Operation, RequantMode};
use systole_machine::program::{ElementType, ModelEntry};
use systole_machine::spec::{self, Machine, OperandWidth};
use systole_network::graph::Graph;
use systole_network::policy::{NumericPolicy, Requantisation};
use systole_network::tensor::{DType, Data, Quant};
use systole_network::verify::verify;
use systole_network::zoo;

const FILE: Values = Values::Real { calibration: None, seed: 0 };
const SINGLE: Requantisation = Requantisation::FixedPoint { multiplier_bits: 32, double_rounding: false };
const DOUBLE: Requantisation = Requantisation::FixedPoint { multiplier_bits: 32, double_rounding: true };

fn policy(requantisation: Requantisation, activation: DType) -> NumericPolicy {
    NumericPolicy { requantisation, accumulator_bits: 32, activation }
}

fn legal(graph: &Graph, policy: &NumericPolicy, values: &Values) -> Quantised {
    let quantised = legalise(graph, policy, values).unwrap_or_else(|errors| panic!("{errors:#?}"));
    verify(&quantised.graph).unwrap_or_else(|errors| panic!("{errors:#?}"));
    quantised
}

fn machine(policy: &NumericPolicy) -> Machine {
    let yaml = preset("edge-16x16").expect("a preset");
    let mut machine = load_with(yaml, "edge-16x16", &[]).unwrap_or_else(|errors| panic!("{errors:?}"));
    machine.array.operands.push(OperandWidth { bits: 16, rate_milli: 500 });
    machine.vector.requantisation = match policy.requantisation {
        Requantisation::Float32 => spec::Requantisation::Float32,
        Requantisation::FixedPoint { multiplier_bits, double_rounding } => {
            spec::Requantisation::FixedPoint { multiplier_bits, double_rounding }
        }
        Requantisation::Shift => spec::Requantisation::Shift,
    };
    machine
}

fn built(quantised: &Quantised, machine: &Machine, constants: Constants) -> Result<Compiled, Vec<CompileError>> {
    compile(quantised, machine, Header { machine_yaml: String::new(), model: ModelEntry::default() }, constants)
}

/// x → Q → DQ → AveragePool → Q → DQ → y, scale 0.3 and zero point 10 before, 0.25 and 20 after.
fn averaged() -> Graph {
    let nodes = vec![
        node("QuantizeLinear", &["x", "sx", "zx"], "xq", vec![]),
        node("DequantizeLinear", &["xq", "sx", "zx"], "xf", vec![]),
        node("AveragePool", &["xf"], "f", vec![ints("kernel_shape", &[2, 2])]),
        node("QuantizeLinear", &["f", "sy", "zy"], "yq", vec![]),
        node("DequantizeLinear", &["yq", "sy", "zy"], "y", vec![]),
    ];
    let constants =
        vec![f32s("sx", &[], &[0.3]), u8s("zx", &[], &[10]), f32s("sy", &[], &[0.25]), u8s("zy", &[], &[20])];
    imported(&model(13, &[1, 2, 4, 4], nodes, constants))
}

#[test]
fn integers_average_at_the_scale_of_their_input_and_rescale_after() {
    let names = |requantisation| {
        let quantised = legal(&averaged(), &policy(requantisation, DType::U8), &FILE);
        let graph = &quantised.graph;
        let order = graph.topological_order().expect("no cycle");
        order
            .iter()
            .map(|&id| (graph.node(id).op.name(), graph.tensor(graph.node(id).outputs[0]).quant.clone()))
            .collect()
    };
    let quant = |scale, zero| Some(Quant::per_tensor(scale, zero));
    let float: Vec<_> = names(Requantisation::Float32);
    assert_eq!(float, [("AveragePool", quant(0.25, 20))]);
    assert_eq!(names(SINGLE), [("AveragePool", quant(0.3, 10)), ("Rescale", quant(0.25, 20))]);
    assert_eq!(names(Requantisation::Shift), [("AveragePool", quant(0.5, 10)), ("Rescale", quant(0.25, 20))]);
}

#[test]
fn powers_of_two_requantise_what_a_file_stores() {
    let mut model = qdq_convolution();
    let constants = &mut model.graph.as_mut().expect("it has a graph").initializer;
    constants.retain(|constant| constant.name != "sw");
    constants.push(f32s("sw", &[2], &[0.3, 0.125]));
    let graph = imported(&model);
    let shift = legal(&graph, &policy(Requantisation::Shift, DType::U8), &FILE);
    for quant in shift.graph.tensors.iter().filter_map(|tensor| tensor.quant.as_ref()) {
        assert!(quant.scale.iter().all(|scale| scale.log2().fract() == 0.0), "{:?}", quant.scale);
    }
    let stored = |name: &str| match &tensor(&shift.graph, name).data {
        Some(Data::Stored(bytes)) => bytes.to_vec(),
        other => panic!("{name} holds {other:?}"),
    };
    // −125 · 0.3 / 0.5 = −75; the other channel keeps its scale. 7 · 0.125 / (0.5 · 0.5) = 3.5, to even.
    assert_eq!((stored("w")[0] as i8, stored("w")[27] as i8), (-75, 10));
    assert_eq!(stored("b"), [4i32.to_le_bytes(), (-9i32).to_le_bytes()].concat());
    assert_eq!(legal(&graph, &policy(Requantisation::Shift, DType::U8), &Values::Structure), shift);
}

#[test]
fn float_models_get_the_types_and_scales_of_the_policy() {
    let graph = zoo::build_scaled("squeezenet-1.1", 1, 64).expect("in the zoo");
    let prepared = systole_compiler::passes::prepare_float(&graph, true, 0).expect("a sound network");
    let calibration = prepared.tensors.iter().map(|tensor| (tensor.name.clone(), (-1.5, 3.0))).collect();
    let values = Values::Real { calibration: Some(calibration), seed: 0 };
    let quantised = legal(&prepared, &policy(Requantisation::Shift, DType::I16), &values);
    for tensor in quantised.graph.tensors.iter().filter(|tensor| tensor.dtype == DType::I16) {
        let quant = tensor.quant.as_ref().expect("quantised");
        assert!([2f32.powi(-13), 2f32.powi(-15)].contains(&quant.scale[0]) && quant.zero_point == [0], "{quant:?}");
    }
    let weight = quantised.graph.tensors.iter().find(|tensor| tensor.dtype == DType::I8).expect("weights");
    assert!(matches!(weight.data, Some(Data::Stored(_))));
}

#[test]
fn estimates_and_runs_have_the_same_structure_under_every_policy() {
    let graph = zoo::build_scaled("resnet-18", 1, 64).expect("in the zoo");
    let prepared = systole_compiler::passes::prepare_float(&graph, true, 0).expect("a sound network");
    let calibration = prepared.tensors.iter().map(|tensor| (tensor.name.clone(), (-1.5, 3.0))).collect();
    let values = Values::Real { calibration: Some(calibration), seed: 0 };
    for requantisation in [Requantisation::Float32, SINGLE, DOUBLE, Requantisation::Shift] {
        for activation in [DType::U8, DType::I16] {
            let policy = policy(requantisation, activation);
            let machine = machine(&policy);
            let real = built(&legal(&prepared, &policy, &values), &machine, Constants::Real).expect("compiles");
            let bare = legal(&graph, &policy, &Values::Structure);
            let bare = built(&bare, &machine, Constants::None).expect("compiles");
            let mnemonics = |compiled: &Compiled| -> Vec<&'static str> {
                compiled.program.instructions.iter().map(|i| i.operation.mnemonic()).collect()
            };
            assert_eq!(mnemonics(&real), mnemonics(&bare), "{policy:?}");
            assert_eq!((real.program.dram_bytes, real.mappings), (bare.program.dram_bytes, bare.mappings));
        }
    }
}

#[test]
fn programs_have_the_modes_and_the_types_of_the_machine() {
    let graph = zoo::build_scaled("resnet-18", 1, 64).expect("in the zoo");
    let policy = policy(DOUBLE, DType::I16);
    let compiled =
        built(&legal(&graph, &policy, &Values::Structure), &machine(&policy), Constants::None).expect("fits");
    let modes = compiled.program.instructions.iter().filter_map(|instruction| match instruction.operation {
        Operation::VectorRequant { mode, .. }
        | Operation::VectorAdd { mode, .. }
        | Operation::VectorAveragePool { mode, .. }
        | Operation::VectorDepthwise { mode, .. } => Some(mode),
        _ => None,
    });
    let modes: Vec<RequantMode> = modes.collect();
    assert!(modes.len() > 20 && modes.iter().all(|&mode| mode == RequantMode::FixedDouble), "{modes:?}");
    assert!(compiled.program.tensors.iter().all(|entry| entry.element == ElementType::I16));
}

#[test]
fn float_islands_need_single_precision() {
    let graph = zoo::build_scaled("mobilenet-v1", 1, 64).expect("in the zoo");
    let policy = policy(SINGLE, DType::U8);
    let mut machine = machine(&policy);
    let quantised = legal(&graph, &policy, &Values::Structure);
    assert!(built(&quantised, &machine, Constants::None).is_ok());
    machine.vector.float32 = false;
    let errors = built(&quantised, &machine, Constants::None).expect_err("a softmax");
    assert_eq!((errors.len(), errors[0].kind), (1, ErrorKind::Unsupported), "{errors:?}");
    assert!(errors[0].message.contains("rule N-10"), "{}", errors[0]);
}

#[test]
fn a_graph_of_another_arithmetic_is_refused() {
    let graph = zoo::build_scaled("mobilenet-v1", 1, 64).expect("in the zoo");
    let quantised = legal(&graph, &policy(SINGLE, DType::U8), &Values::Structure);
    let errors = built(&quantised, &machine(&policy(DOUBLE, DType::U8)), Constants::None).expect_err("two roundings");
    assert_eq!(errors[0].kind, ErrorKind::Invalid);
}
