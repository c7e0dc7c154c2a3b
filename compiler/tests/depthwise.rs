//! Which unit computes a convolution of groups, with what constants, and how its groups are packed.

#![allow(missing_docs, reason = "tests")]

use systole_compiler::compile::{Compiled, Constants, Header, Mapping, compile};
use systole_compiler::passes::Quantised;
use systole_machine::config::{load_with, preset};
use systole_machine::isa::Operation;
use systole_machine::program::ModelEntry;
use systole_machine::spec::Machine;
use systole_network::graph::{Form, Graph, Node};
use systole_network::op::{Conv, Op};
use systole_network::tensor::{DType, Data, Quant, Tensor};

fn machine(settings: &[(&str, &str)]) -> Machine {
    load_with(preset("edge-16x16").expect("a preset"), "edge-16x16", settings).expect("a machine")
}

/// A 3×3 convolution of `groups` groups of `[inputs, outputs]` channels, pads of 1, whose weight number i is `i mod 100`.
fn grouped(groups: usize, [inputs, outputs]: [usize; 2], side: usize) -> Quantised {
    let mut graph = Graph::new("point", Form::Quantised);
    let mut tensor = |name: &str, shape: Vec<usize>, dtype, data: Option<Vec<u8>>| {
        let quant = Some(Quant::per_tensor(0.5, 0));
        let data = data.map(|bytes| Data::Stored(bytes.into()));
        graph.add_tensor(Tensor { name: name.into(), shape, dtype, quant, data })
    };
    let input = tensor("x", vec![1, groups * inputs, side, side], DType::U8, None);
    let count = groups * outputs * inputs * 9;
    let bytes = (0..count).map(|i| (i % 100) as u8).collect();
    let weights = tensor("w", vec![groups * outputs, inputs, 3, 3], DType::I8, Some(bytes));
    let output = tensor("y", vec![1, groups * outputs, side, side], DType::U8, None);
    graph.add_node(Node {
        name: "conv".into(),
        op: Op::Conv(Conv { kernel: [3; 2], stride: [1, 1], pads: [1; 4], dilation: [1, 1], groups }),
        inputs: vec![input, weights],
        outputs: vec![output],
        clamp: None,
        origins: vec![],
    });
    graph.inputs.push(input);
    graph.outputs.push(output);
    Quantised { graph, inputs: vec![], outputs: vec![] }
}

fn built(quantised: &Quantised, machine: &Machine) -> Compiled {
    let header = Header { machine_yaml: String::new(), model: ModelEntry::default() };
    compile(quantised, machine, header, Constants::Real).unwrap_or_else(|errors| panic!("{errors:?}"))
}

fn uses_the_array(compiled: &Compiled) -> bool {
    compiled.program.instructions.iter().any(|one| matches!(one.operation, Operation::ArrayRun { .. }))
}

#[test]
fn the_faster_unit_computes_a_depthwise_layer() {
    let depthwise = grouped(64, [1, 1], 28);
    // 32 taps a cycle against one of 16 products in each of 16 columns.
    let compiled = built(&depthwise, &machine(&[]));
    assert!(!uses_the_array(&compiled), "{}", compiled.program.layers[0].mapping);
    let Mapping::Vector(mapping) = &compiled.mappings[0] else { panic!("not on the vector unit") };
    assert!(mapping.array_cycles.expect("it could") > mapping.cycles);
    assert!(compiled.program.layers[0].mapping.contains("instead of"), "{}", compiled.program.layers[0].mapping);
    assert_eq!(compiled.program.layers[0].macs, 64 * 28 * 28 * 9);
    for settings in [("vector.depthwise", "false"), ("vector.lanes", "4")] {
        let compiled = built(&depthwise, &machine(&[settings]));
        assert!(uses_the_array(&compiled), "{settings:?}: {}", compiled.program.layers[0].mapping);
    }
    assert!(uses_the_array(&built(&grouped(64, [1, 2], 28), &machine(&[]))), "two outputs to an input");
}

/// Records of 8 bytes, then the weights of tap 0 of all channels, of tap 1, …
#[test]
fn weights_lie_tap_by_tap_behind_the_records() {
    let compiled = built(&grouped(64, [1, 1], 28), &machine(&[]));
    let Mapping::Vector(mapping) = &compiled.mappings[0] else { panic!("not on the vector unit") };
    assert_eq!(mapping.channels, 64);
    let bytes = &compiled.program.image[0].bytes;
    assert_eq!(bytes.len(), 64 * (8 + 9));
    let weights = &bytes[64 * 8..];
    for (tap, channel) in [(0, 0), (0, 1), (8, 0), (4, 63)] {
        assert_eq!(usize::from(weights[tap * 64 + channel]), (channel * 9 + tap) % 100, "tap {tap} of {channel}");
    }
}

/// Groups of 24 channels leave a quarter of every second tile of 16 rows empty, tap by tap; a kernel row of 72 is four and a half tiles.
#[test]
fn taps_of_a_wide_group_are_packed() {
    let compiled = built(&grouped(2, [24, 24], 28), &machine(&[]));
    let Mapping::Conv(mapping) = &compiled.mappings[0] else { panic!("not on the array") };
    assert!(mapping.packed, "{}", compiled.program.layers[0].mapping);
    let folds = mapping.chunks.iter().flat_map(|chunk| chunk.parts.iter().map(|part| part.folds)).max();
    assert_eq!(folds, Some(3 * 5), "instead of 3 · 3 · 2");
}
