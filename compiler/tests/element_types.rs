//! Element types of files that machines lack: what is refused, by node, and what is brought to types that they have.

mod models;

use models::*;
use systole_compiler::frontends::onnx::proto::{NodeProto, TensorProto, data_type};
use systole_compiler::passes::{Values, legalise};
use systole_network::graph::Graph;
use systole_network::policy::{NumericPolicy, Requantisation};
use systole_network::tensor::{DType, Data, Quant};
use systole_network::verify::verify;

const FILE: Values = Values::Real { calibration: None, seed: 0 };

/// A model of `nodes` whose input has another type.
fn typed(elem_type: i32, nodes: Vec<NodeProto>, constants: Vec<TensorProto>) -> Graph {
    let mut model = model(21, &[1, 2, 2, 2], nodes, constants);
    let input = &mut model.graph.as_mut().expect("a graph").input[0];
    input.type_.as_mut().and_then(|kind| kind.tensor_type.as_mut()).expect("a tensor").elem_type = elem_type;
    imported(&model)
}

/// N-32, N-33 and element types of the imported form alone: no machine has them, and the plan that needs no numbers knows it too.
#[test]
fn what_no_machine_has_is_refused_by_node() {
    let constant = |data_type: i32, bytes: &[u8]| TensorProto {
        name: "z".into(),
        data_type,
        raw_data: Some(bytes.to_vec().into()),
        ..Default::default()
    };
    let scale = || f32s("s", &[], &[0.5]);
    let quantise = || node("QuantizeLinear", &["x", "s", "z"], "q", vec![]);
    let dequantise = |x: &str| node("DequantizeLinear", &[x, "s", "z"], "y", vec![]);
    let blocks = || vec![int("axis", 1), int("block_size", 1)];
    let in_blocks =
        vec![node("QuantizeLinear", &["x", "b"], "q", blocks()), node("DequantizeLinear", &["q", "b"], "y", blocks())];
    let scales = f32s("b", &[1, 2, 2, 2], &[0.5; 8]);
    let add = |x: &str, y: &str| node("Add", &[x, x], y, vec![]);
    let float = data_type::FLOAT;
    let cases = [
        (typed(data_type::UINT8, vec![add("x", "y")], vec![]), "`n_y` (Add): arithmetic on u8 without a scale"),
        (typed(data_type::UINT64, vec![add("x", "y")], vec![]), "`n_y` (Add): arithmetic on u64 without a scale"),
        (
            typed(float, vec![quantise(), add("q", "a"), dequantise("a")], vec![scale(), u8s("z", &[], &[3])]),
            "`n_a` (Add): arithmetic on u8 without a scale",
        ),
        (
            typed(float, vec![quantise(), dequantise("q")], vec![scale(), constant(data_type::UINT16, &[1, 0])]),
            "`n_q` (QuantizeLinear): it makes activations of type u16",
        ),
        (
            typed(float, vec![quantise(), dequantise("q")], vec![scale(), constant(data_type::INT4, &[1])]),
            "`n_q` (QuantizeLinear): it makes activations of type i4",
        ),
        (
            typed(data_type::UINT4, vec![dequantise("x")], vec![scale(), constant(data_type::UINT4, &[1])]),
            "`n_y` (DequantizeLinear): it reads activations of type u4",
        ),
        (
            typed(data_type::BOOL, vec![node("Identity", &["x"], "y", vec![])], vec![]),
            "`n_y` (Identity): its result is bool",
        ),
        (typed(float, in_blocks, vec![scales]), "(QuantizeLinear): it makes activations of several scales"),
    ];
    for (graph, message) in cases {
        let policy = NumericPolicy::default();
        for values in [FILE, Values::Structure] {
            match legalise(&graph, &policy, &values) {
                Ok(_) => panic!("{message} is not said"),
                Err(errors) => {
                    let text: Vec<String> = errors.iter().map(ToString::to_string).collect();
                    assert!(text[0].contains(message), "{text:?}, not {message}");
                }
            }
        }
    }
}

/// Weights of 4 and 2 bits behind a Dequantize: around 0 they stay narrow (N-28), else they get a byte, and mean what they meant.
#[test]
fn stored_weights_under_a_byte() {
    let nibbles = [0x8f, 0x70u8];
    let cases = [
        (data_type::INT4, 0u8, &nibbles[..], DType::I4, [-1, -8, 0, 7]),
        (data_type::INT4, 3, &nibbles, DType::I8, [-1, -8, 0, 7]),
        (data_type::UINT4, 7, &nibbles, DType::U8, [15, 8, 0, 7]),
        (data_type::INT2, 0, &[0b00_01_10_11], DType::I2, [-1, -2, 1, 0]),
    ];
    for (data_type, zero, bytes, dtype, values) in cases {
        let stored = |name: &str, dims: &[i64], bytes: &[u8]| TensorProto {
            name: name.into(),
            dims: dims.to_vec(),
            data_type,
            raw_data: Some(bytes.to_vec().into()),
            ..Default::default()
        };
        let nodes = vec![
            node("QuantizeLinear", &["x", "s", "u"], "q", vec![]),
            node("DequantizeLinear", &["q", "s", "u"], "f", vec![]),
            node("DequantizeLinear", &["w", "s", "z"], "v", vec![]),
            node("Conv", &["f", "v"], "c", vec![]),
            node("QuantizeLinear", &["c", "s", "u"], "r", vec![]),
            node("DequantizeLinear", &["r", "s", "u"], "y", vec![]),
        ];
        let constants = vec![
            f32s("s", &[], &[0.25]),
            u8s("u", &[], &[9]),
            stored("z", &[], &[zero]),
            stored("w", &[2, 2, 1, 1], bytes),
        ];
        let graph = imported(&model(21, &[1, 2, 2, 2], nodes, constants));
        let quantised = legalise(&graph, &NumericPolicy::default(), &FILE).expect("it legalises");
        verify(&quantised.graph).expect("it is sound");
        let weights = tensor(&quantised.graph, "w");
        assert_eq!((weights.dtype, &weights.quant), (dtype, &Some(Quant::per_tensor(0.25, zero.into()))));
        let Some(Data::Stored(held)) = &weights.data else { panic!("{weights:?}") };
        let signed = dtype != DType::U8;
        let held: Vec<i32> =
            held.iter().map(|&byte| if signed { i32::from(byte as i8) } else { byte.into() }).collect();
        assert_eq!(held, values);
        // N-19 makes other integers of them, of a byte.
        let shift = NumericPolicy { requantisation: Requantisation::Shift, ..NumericPolicy::default() };
        let quantised = legalise(&graph, &shift, &FILE).expect("it legalises");
        verify(&quantised.graph).expect("it is sound");
        let weights = tensor(&quantised.graph, "w");
        assert_eq!((weights.dtype, &weights.quant), (DType::I8, &Some(Quant::per_tensor(0.25, 0))));
    }
}
