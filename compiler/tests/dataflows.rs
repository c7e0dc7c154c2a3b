//! Networks of the zoo compiled for every dataflow, and accepted by the checker; what programs of a dataflow must and must not hold; the proof of N-20.

use std::collections::BTreeSet;

use systole_compiler::compile::{Compiled, Constants, Header, Mapping, compile};
use systole_compiler::error::{CompileError, ErrorKind};
use systole_compiler::passes::{Quantised, Values, legalise};
use systole_machine::config::{load_with, preset};
use systole_machine::isa::{DataflowChoice, Operation};
use systole_machine::program::ModelEntry;
use systole_machine::spec::{Dataflow, Machine, Overflow};
use systole_network::graph::{Form, Graph, Node};
use systole_network::op::{Conv, Op};
use systole_network::policy::NumericPolicy;
use systole_network::tensor::{DType, Data, Quant, Tensor};
use systole_network::zoo;

fn machine(name: &str, settings: &[(&str, &str)]) -> Machine {
    load_with(preset(name).expect("a preset"), name, settings).unwrap_or_else(|errors| panic!("{name}: {errors:?}"))
}

fn built(quantised: &Quantised, machine: &Machine, constants: Constants) -> Result<Compiled, Vec<CompileError>> {
    let header = Header { machine_yaml: String::new(), model: ModelEntry::default() };
    let mut quantised = quantised.clone();
    quantised.graph.policy.accumulator_bits = machine.array.accumulator_bits;
    compile(&quantised, machine, header, constants)
}

/// Dataflows that runs of the zoo's networks use on this machine; each must compile and be accepted by the checker.
fn used(names: &[&str], size: usize, machine: &Machine) -> BTreeSet<u8> {
    let mut used = BTreeSet::new();
    for name in names {
        let graph = zoo::build_scaled(name, 4, size).expect("in the zoo");
        let quantised = legalise(&graph, &NumericPolicy::default(), &Values::Structure).expect("legal");
        let compiled =
            built(&quantised, machine, Constants::None).unwrap_or_else(|errors| panic!("{name}: {errors:?}"));
        let mut transposed = BTreeSet::new();
        for instruction in &compiled.program.instructions {
            match instruction.operation {
                Operation::ArrayRun { dataflow, .. } => drop(used.insert(dataflow as u8)),
                Operation::VectorRequant { transposed: flag, .. } => drop(transposed.insert(flag.0)),
                _ => {}
            }
        }
        let input_stationary =
            |mapping: &Mapping| matches!(mapping, Mapping::Conv(conv) if conv.dataflow == Dataflow::InputStationary);
        let expected = compiled.mappings.iter().any(input_stationary);
        assert_eq!(transposed.contains(&true), expected, "{name}: transposed where input-stationary");
    }
    used
}

const NETWORKS: [&str; 4] = ["resnet-18", "mobilenet-v2", "squeezenet-1.1", "shufflenet-v2-x1.0"];

fn names() -> Vec<&'static str> {
    let names: Vec<_> = zoo::names().into_iter().filter(|name| NETWORKS.contains(name)).collect();
    assert!(names.len() >= 2, "{:?}", zoo::names());
    names
}

#[test]
fn an_output_stationary_machine_runs_nothing_else() {
    for settings in [&[][..], &[("array.dot_product_width", "4"), ("array.pe_latency", "3 cycles")]] {
        let machine = machine("output-stationary-32x32", settings);
        assert_eq!(used(&names(), 64, &machine), BTreeSet::from([DataflowChoice::OutputStationary as u8]));
    }
}

#[test]
fn an_input_stationary_machine_runs_nothing_else() {
    for settings in [&[][..], &[("array.dot_product_width", "4"), ("array.weight_registers", "1")]] {
        let machine = machine("input-stationary-32x32", settings);
        assert_eq!(used(&names(), 64, &machine), BTreeSet::from([DataflowChoice::InputStationary as u8]));
    }
}

#[test]
fn a_machine_of_all_dataflows_chooses_by_layer() {
    let used = used(&names(), 64, &machine("scale-sim-32x32", &[]));
    assert!(used.len() > 1, "only {used:?}");
}

/// Small buffers split the reduction, so that later runs accumulate.
#[test]
fn small_buffers_split_the_reduction_in_every_dataflow() {
    for dataflow in ["weight_stationary", "output_stationary", "input_stationary"] {
        let settings = [
            ("array.dataflow", dataflow),
            ("buffers.activation.capacity", "6 KiB"),
            ("buffers.weight.capacity", "2 KiB"),
            ("buffers.accumulator.capacity", "8 KiB"),
        ];
        let machine = machine("scale-sim-32x32", &settings);
        let graph = zoo::build_scaled("resnet-18", 1, 32).expect("in the zoo");
        let quantised = legalise(&graph, &NumericPolicy::default(), &Values::Structure).expect("legal");
        let compiled = built(&quantised, &machine, Constants::None).expect("compiles");
        let accumulates =
            |operation: &Operation| matches!(operation, Operation::ArrayRun { accumulate, .. } if accumulate.0);
        let count = compiled.program.instructions.iter().filter(|i| accumulates(&i.operation)).count();
        assert!(count > 10, "{dataflow}: {count}");
    }
}

/// One output channel of 1 × 1 kernel over these weights, input u8 with zero point 0.
fn point(weights: &[i8], bias: i32) -> Quantised {
    let mut graph = Graph::new("point", Form::Quantised);
    let mut tensor = |name: &str, shape: Vec<usize>, dtype, data: Option<Vec<u8>>| {
        let quant = Some(Quant::per_tensor(0.1, 0));
        graph.add_tensor(Tensor {
            name: name.into(),
            shape,
            dtype,
            quant,
            data: data.map(|bytes| Data::Stored(bytes.into())),
        })
    };
    let channels = weights.len();
    let input = tensor("in", vec![1, channels, 2, 2], DType::U8, None);
    let bytes = weights.iter().map(|&w| w as u8).collect();
    let kernel = tensor("w", vec![1, channels, 1, 1], DType::I8, Some(bytes));
    let bias = tensor("b", vec![1], DType::I32, Some(bias.to_le_bytes().to_vec()));
    let output = tensor("out", vec![1, 1, 2, 2], DType::U8, None);
    let conv = Conv { kernel: [1; 2], stride: [1, 1], pads: [0; 4], dilation: [1, 1], groups: 1 };
    graph.add_node(Node {
        name: "conv".into(),
        op: Op::Conv(conv),
        inputs: vec![input, kernel, bias],
        outputs: vec![output],
        clamp: None,
        origins: vec![],
    });
    graph.inputs.push(input);
    graph.outputs.push(output);
    Quantised { graph, inputs: vec![], outputs: vec![] }
}

/// 127 · 255 + 382 = 32 767, the largest sum of 16 bits; one more bias is refused, where values are known.
#[test]
fn sums_that_may_leave_narrow_accumulators_are_refused_by_node() {
    for overflow in [Overflow::Saturate, Overflow::Wrap] {
        let mut machine = machine("edge-16x16", &[]);
        (machine.array.accumulator_bits, machine.array.overflow) = (16, overflow);
        assert!(built(&point(&[-100, 27], 382), &machine, Constants::Real).is_ok());
        assert!(built(&point(&[-100, 27], -383), &machine, Constants::None).is_ok(), "nothing is known");
        let errors = built(&point(&[-100, 27], -383), &machine, Constants::Real).expect_err("32768 > 32767");
        assert_eq!((errors.len(), errors[0].kind, errors[0].node.as_str()), (1, ErrorKind::Unsupported, "conv"));
        let message = &errors[0].message;
        assert!(message.contains("32768") && message.contains("to 17 bit or more"), "{message}");
    }
}

/// Sums of w bits that wrap are N-1's (N-20), from 32 bits on; those that saturate are proved within w bits.
#[test]
fn wide_accumulators_take_sums_beyond_32_bits() {
    let mut machine = machine("edge-16x16", &[]);
    for bits in [32, 48] {
        machine.array.accumulator_bits = bits;
        assert!(built(&point(&[1], i32::MAX), &machine, Constants::Real).is_ok(), "{bits}");
    }
    machine.array.overflow = Overflow::Saturate;
    assert!(built(&point(&[1], i32::MAX), &machine, Constants::Real).is_ok(), "2^31 + 254 is in 48 bits");
    machine.array.accumulator_bits = 32;
    assert!(built(&point(&[1], i32::MAX - 255), &machine, Constants::Real).is_ok());
    let errors = built(&point(&[1], i32::MAX - 254), &machine, Constants::Real).expect_err("2^31");
    assert!(errors[0].message.contains("2147483648") && errors[0].message.contains("33 bit"), "{}", errors[0]);
}

#[test]
fn a_machine_without_8_bit_operands_is_refused_by_node() {
    let mut machine = machine("edge-16x16", &[]);
    machine.array.operands[0].bits = 16;
    let errors = built(&point(&[1, 1], 0), &machine, Constants::None).expect_err("no 8 bit");
    assert_eq!((errors[0].kind, errors[0].node.as_str()), (ErrorKind::Unsupported, "conv"));
    assert!(errors[0].message.contains("8 bit"), "{}", errors[0]);
}

/// The order of M-5: element j of output n at `j·C + n`, or at `n·Q + j` input-stationary.
#[test]
fn weights_lie_in_the_order_of_the_dataflow() {
    for (dataflow, places) in
        [("weight_stationary", [0, 32, 64]), ("output_stationary", [0, 32, 64]), ("input_stationary", [0, 1, 2])]
    {
        let machine = machine("scale-sim-32x32", &[("array.dataflow", dataflow)]);
        let compiled = built(&point(&[3, 5, 7], 0), &machine, Constants::Real).expect("compiles");
        let bytes = &compiled.program.image[0].bytes;
        assert_eq!(places.map(|place| bytes[place]), [3, 5, 7], "{dataflow}");
        assert_eq!(
            bytes.len(),
            match dataflow {
                "weight_stationary" => 1024,
                "output_stationary" => 96,
                _ => 32,
            }
        );
    }
}
