//! Rule N-16 from the file to the program: what ConvInteger and MatMulInteger become, what is refused, and how sums are stored.

mod models;

use models::*;
use systole_compiler::compile::{Compiled, Constants, Header, compile};
use systole_compiler::frontends::onnx::proto::{ModelProto, NodeProto, TensorProto, data_type};
use systole_compiler::passes::{Quantised, Values, is_float, legalise};
use systole_machine::config;
use systole_machine::isa::{Operation, OutputFormat};
use systole_machine::program::{ElementType, ModelEntry, Role};
use systole_machine::spec::{Machine, Requantisation as Scaling};
use systole_network::op::Op;
use systole_network::policy::{NumericPolicy, Requantisation};
use systole_network::tensor::{DType, Quant};
use systole_network::verify::verify;

const FILE: Values = Values::Real { calibration: None, seed: 0 };

/// `nodes` from the u8 input `x` on, the results of all of which are outputs.
fn integers(x: &[i64], nodes: Vec<NodeProto>, constants: Vec<TensorProto>) -> ModelProto {
    let mut made = model(13, x, nodes, constants);
    let graph = made.graph.as_mut().expect("a graph");
    let input = graph.input[0].type_.as_mut().and_then(|of| of.tensor_type.as_mut()).expect("a tensor");
    input.elem_type = data_type::UINT8;
    graph.output = graph.node.iter().map(|node| value(&node.output[0], &[])).collect();
    made
}

fn conv(zero: &str) -> NodeProto {
    node("ConvInteger", &["x", "w", zero, "zw"], "y", vec![ints("pads", &[1, 1, 1, 1])])
}

fn constants() -> Vec<TensorProto> {
    vec![u8s("w", &[2, 1, 3, 3], &[9; 18]), u8s("zx", &[], &[7]), u8s("other", &[], &[8]), u8s("zw", &[], &[3])]
}

fn legal(made: &ModelProto, requantisation: Requantisation) -> Result<Quantised, String> {
    let policy = NumericPolicy { requantisation, ..NumericPolicy::default() };
    let quantised = legalise(&imported(made), &policy, &FILE)
        .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
    verify(&quantised.graph).unwrap_or_else(|errors| panic!("{errors:#?}"));
    Ok(quantised)
}

fn compiled(quantised: &Quantised, machine: &Machine) -> Compiled {
    let header = Header { machine_yaml: config::to_yaml(machine), model: ModelEntry::default() };
    compile(quantised, machine, header, Constants::Real).unwrap_or_else(|errors| panic!("{errors:#?}"))
}

#[test]
fn n16_inputs_without_a_scale_get_the_zero_point_of_their_readers() {
    let made = integers(&[1, 1, 4, 4], vec![conv("zx")], constants());
    assert!(!is_float(&imported(&made)));
    for requantisation in [Requantisation::Float32, Requantisation::Shift] {
        let quantised = legal(&made, requantisation).expect("legal");
        let graph = &quantised.graph;
        let [node] = graph.nodes.as_slice() else { panic!("{:#?}", graph.nodes) };
        assert!(matches!(&node.op, Op::Conv(conv) if conv.pads == [1; 4]) && node.inputs.len() == 2);
        let of = |name: &str| (tensor(graph, name).dtype, tensor(graph, name).quant.clone());
        assert_eq!(of("x"), (DType::U8, Some(Quant::per_tensor(1.0, 7))));
        assert_eq!(of("w"), (DType::U8, Some(Quant::per_tensor(1.0, 3))));
        assert_eq!(of("y"), (DType::I32, Some(Quant::per_tensor(1.0, 0))));
    }
}

#[test]
fn n16_products_become_fully_connected_layers() {
    let nodes = vec![node("MatMulInteger", &["x", "w"], "y", vec![])];
    let made = integers(&[2, 4], nodes, vec![i8s("w", &[4, 3], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])]);
    let quantised = legal(&made, Requantisation::Float32).expect("legal");
    assert_eq!(quantised.graph.nodes[0].op, Op::FullyConnected);
    assert_eq!(tensor(&quantised.graph, "y").shape, [2, 3]);
}

#[test]
fn n16_what_is_no_integer_sum_is_refused_by_node() {
    let one = |nodes, constants| {
        legal(&integers(&[1, 1, 4, 4], nodes, constants), Requantisation::Float32).expect_err("refused")
    };
    // Two readers with zero points of their own.
    let mut second = conv("other");
    (second.output[0], second.name) = ("y2".into(), "n_y2".into());
    let told = one(vec![second.clone(), conv("zx")], constants());
    assert!(told.contains("`n_y` (ConvInteger): its input `x` has the zero point 7 here and 8 elsewhere"), "{told}");
    // Somebody else reads the integers.
    let told =
        one(vec![conv("zx"), node("MaxPool", &["x"], "pooled", vec![ints("kernel_shape", &[2, 2])])], constants());
    assert!(told.contains("an input of type u8 without one scale"), "{told}");
    // What follows is in float.
    let told = one(vec![conv("zx"), node("Cast", &["y"], "f", vec![int("to", 1)])], constants());
    assert!(told.starts_with("node `n_f` (Cast): sums are scaled in float") && told.contains("Q/DQ pairs"), "{told}");
    // Sums are read by nothing.
    let mut scales = constants();
    scales.extend([f32s("s", &[], &[0.5])]);
    let told = one(vec![conv("zx"), node("DequantizeLinear", &["y", "s"], "f", vec![])], scales);
    assert!(told.contains("`n_f` (DequantizeLinear): its input `y` is a sum of integers"), "{told}");
    let told = one(vec![conv("zx"), node("Transpose", &["y"], "t", vec![ints("perm", &[0, 2, 3, 1])])], constants());
    assert!(told.contains("`n_t` (Transpose): its input `y` is a sum of integers"), "{told}");
}

#[test]
fn n16_n19_integers_that_a_power_of_two_would_change_are_refused() {
    let of_scale = |scale: f32| {
        let nodes = vec![
            node("QuantizeLinear", &["x", "s", "zx"], "xq", vec![]),
            node("ConvInteger", &["xq", "w", "zx", "zw"], "y", vec![]),
        ];
        let mut all = constants();
        all.push(f32s("s", &[], &[scale]));
        model(13, &[1, 1, 4, 4], nodes, all)
    };
    assert!(legal(&of_scale(0.3), Requantisation::Float32).is_ok());
    assert!(legal(&of_scale(0.25), Requantisation::Shift).is_ok());
    let told = legal(&of_scale(0.3), Requantisation::Shift).expect_err("others");
    assert!(told.contains("`n_y` (ConvInteger): it adds up the integers of `xq`"), "{told}");
}

#[test]
fn m14_sums_take_four_bytes_and_the_register_says_so() {
    let quantised = legal(&integers(&[1, 1, 4, 4], vec![conv("zx")], constants()), Requantisation::Float32);
    let machine = config::load(config::preset("edge-16x16").expect("a preset"), "edge-16x16").expect("valid");
    assert_eq!(machine.vector.requantisation, Scaling::Float32);
    let program = compiled(&quantised.expect("legal"), &machine).program;
    let output = program.tensors.iter().find(|entry| entry.role == Role::Output).expect("an output");
    assert_eq!((output.element, output.pixel_pitch, output.row_pitch), (ElementType::I32, 8, 32));
    let formats = program.instructions.iter().filter_map(|instruction| match instruction.operation {
        Operation::VectorFormat { out } => Some(out),
        _ => None,
    });
    assert_eq!(formats.collect::<Vec<_>>(), [OutputFormat::Sum]);
    let stored = program.instructions.iter().filter_map(|instruction| match instruction.operation {
        Operation::StoreShape { row_bytes, rows, planes } => Some(row_bytes.get() * rows.get() * planes.get()),
        _ => None,
    });
    assert_eq!(stored.sum::<u64>(), 16 * 2 * 4);
}

/// 9 products of up to 255·252 need 21 bits.
#[test]
fn n16_n20_accumulators_that_are_too_narrow_are_refused() {
    let policy = |bits| NumericPolicy { accumulator_bits: bits, ..NumericPolicy::default() };
    let text = config::preset("edge-16x16").expect("a preset");
    for (bits, fits) in [(20, false), (21, true)] {
        let mut machine = config::load(text, "edge-16x16").expect("valid");
        machine.array.accumulator_bits = bits;
        let made = integers(
            &[1, 1, 4, 4],
            vec![conv("zx")],
            vec![u8s("w", &[2, 1, 3, 3], &[255; 18]), u8s("zx", &[], &[0]), u8s("zw", &[], &[3])],
        );
        let quantised = legalise(&imported(&made), &policy(bits), &FILE).expect("legal");
        let header = Header { machine_yaml: config::to_yaml(&machine), model: ModelEntry::default() };
        match compile(&quantised, &machine, header, Constants::Real) {
            Ok(_) => assert!(fits, "{bits}"),
            Err(errors) => assert!(!fits && errors[0].message.contains("rule N-20"), "{errors:?}"),
        }
    }
}
