//! What the compiler refuses by name instead of trying: machines too small, images that fall into too many pieces, windows of padding alone.

use systole_compiler::compile::{Constants, Header, compile};
use systole_compiler::error::{CompileError, ErrorKind};
use systole_compiler::passes::Quantised;
use systole_machine::program::ModelEntry;
use systole_machine::spec::{
    Array, Buffer, Control, Dataflow, Dram, Machine, OperandWidth, Overflow, Requantisation, Vector,
};
use systole_network::graph::{Form, Graph, Node};
use systole_network::op::{Op, Pool};
use systole_network::tensor::{DType, Quant, Tensor};

fn machine(activation_bytes: u64) -> Machine {
    let buffer = |capacity_bytes| Buffer { capacity_bytes, banks: 1, port_bytes: 4, ports: 1 };
    Machine {
        name: "tiny".into(),
        clock_hz: 1_000_000_000,
        array: Array {
            rows: 4,
            columns: 4,
            count: 1,
            dataflows: vec![Dataflow::WeightStationary],
            dot_product_width: 1,
            pe_latency_cycles: 1,
            operands: vec![OperandWidth { bits: 8, rate_milli: 1000 }],
            weight_registers: 1,
            activation_bits: 8,
            accumulator_bits: 32,
            overflow: Overflow::Wrap,
        },
        activation: buffer(activation_bytes),
        weight: buffer(64),
        unified: false,
        accumulator: buffer(64),
        vector: Vector {
            lanes: 4,
            requantise_per_cycle: 4,
            latency_cycles: 1,
            float32: true,
            depthwise: false,
            requantisation: Requantisation::Float32,
        },
        outstanding_bursts: 4,
        weight_decoder: None,
        dram: Dram::Ideal { burst_bytes: 64 },
        control: Control { queue_depth: [4; 4], issue_interval_cycles: 1, token_max: 255 },
        energy: None,
    }
}

/// Max pooling of a 1 × 1 × `size` × `size` image.
fn pooled(size: usize, kernel: usize, pad: usize, machine: &Machine) -> Result<usize, Vec<CompileError>> {
    let mut graph = Graph::new("limits", Form::Quantised);
    let mut tensor = |name: &str, size: usize| {
        let quant = Some(Quant::per_tensor(0.1, 0));
        graph.add_tensor(Tensor {
            name: name.into(),
            shape: vec![1, 1, size, size],
            dtype: DType::U8,
            quant,
            data: None,
        })
    };
    let (input, output) = (tensor("in", size), tensor("out", size + 2 * pad + 1 - kernel));
    let pool = Pool {
        kernel: [kernel; 2],
        stride: [1, 1],
        dilation: [1, 1],
        pads: [pad; 4],
        ceil_mode: false,
        count_include_pad: false,
    };
    graph.add_node(Node {
        name: "pool".into(),
        op: Op::MaxPool(pool),
        inputs: vec![input],
        outputs: vec![output],
        clamp: None,
        origins: vec![],
    });
    graph.inputs.push(input);
    graph.outputs.push(output);
    let quantised = Quantised { graph, inputs: vec![], outputs: vec![] };
    let header = Header { machine_yaml: String::new(), model: ModelEntry::default() };
    compile(&quantised, machine, header, Constants::None).map(|compiled| compiled.program.instructions.len())
}

fn refusal(result: Result<usize, Vec<CompileError>>) -> String {
    let errors = result.expect_err("must be refused");
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_eq!(errors[0].kind, ErrorKind::Unsupported);
    assert_eq!(errors[0].node, "pool");
    errors[0].message.clone()
}

#[test]
fn what_fits_compiles() {
    assert!(pooled(12, 3, 1, &machine(64)).expect("fits") > 12);
}

#[test]
fn a_machine_too_small_is_named() {
    let message = refusal(pooled(12, 3, 1, &machine(4)));
    assert!(message.contains("`tiny`") && message.contains("smallest tile"), "{message}");
}

#[test]
fn an_image_in_too_many_pieces_is_refused_before_they_are_made() {
    let message = refusal(pooled(60_000, 1, 0, &machine(64)));
    assert!(message.contains("pieces"), "{message}");
}

#[test]
fn a_window_of_padding_alone_is_refused() {
    let message = refusal(pooled(12, 2, 2, &machine(64)));
    assert!(message.contains("padding"), "{message}");
}
