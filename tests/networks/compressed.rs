//! Compressed weights: the same results, fewer bytes, and the cycles that `estimate` tells.

use systole::machine::isa::Operation;
use systole::machine::spec::{Dram, Machine, WeightDecoder};
use systole::pipeline::{self, Engine, ModelOptions};
use systole::report::build::{Subject, report};

use crate::chain::{EDGE, Network, machine, scaled};

/// The default machine with a decoder; with a quarter of its bandwidth, weights are what it waits for.
fn decoding(bandwidth_bytes_per_s: u64) -> Machine {
    let mut machine = machine(EDGE);
    machine.weight_decoder = Some(WeightDecoder { output_bytes: 16, latency_cycles: 8 });
    if let Dram::Simple { bandwidth_bytes_per_s: bandwidth, .. } = &mut machine.dram {
        *bandwidth = bandwidth_bytes_per_s;
    }
    machine
}

fn decodes(operation: &Operation) -> bool {
    matches!(operation, Operation::LoadDecode { .. })
}

#[test]
fn pruned_weights_give_the_same_results_from_fewer_bytes() {
    let network = Network::new(scaled("deep-compression-alexnet", 8, 67));
    let slow = decoding(3_200_000_000);
    let mut plain = slow.clone();
    plain.weight_decoder = None;
    let (compressed, expanded) = (network.on_machine(slow), network.on_machine(plain));
    assert!(compressed.compiled.program.instructions.iter().any(|i| decodes(&i.operation)));
    assert!(!expanded.compiled.program.instructions.iter().any(|i| decodes(&i.operation)));
    let (timing, memories) = compressed.run(Engine::Fast);
    compressed.assert_exact(&memories);
    let (reference, stepped) = compressed.run(Engine::Reference);
    compressed.assert_exact(&stepped);
    assert_eq!(reference, timing);
    let (without, memories) = expanded.run(Engine::Fast);
    expanded.assert_exact(&memories);
    assert!(4 * timing.dram_bus_bytes[0] < 3 * without.dram_bus_bytes[0], "{:?}", timing.dram_bus_bytes);
    assert!(timing.total_cycles < without.total_cycles, "{} cycles", timing.total_cycles);
    // What the report calls saved is the difference of the two, since both load the same tiles.
    let subject = Subject {
        program: &compressed.compiled.program,
        machine: &compressed.machine,
        timing: &timing,
        model_source: "",
        hardware_source: "",
        seed: 0,
    };
    let told = report(&subject, None, pipeline::Seconds::default());
    assert_eq!(told.total.dram.bytes_saved, without.dram_bus_bytes[0] - timing.dram_bus_bytes[0]);
    assert!(told.total.dram.compulsory_bytes <= timing.dram_bus_bytes.iter().sum());
    let layers: u64 = told.layers.iter().map(|layer| layer.dram_bytes_saved).sum();
    assert_eq!(layers, told.total.dram.bytes_saved);
}

/// Streams are as long as their weights say, so that `estimate` makes those; nothing else of it depends on values.
#[test]
fn estimates_are_exact() {
    for (name, size) in [("deep-compression-alexnet", 67), ("squeezenet-1.1", 64), ("resnet-18", 64)] {
        let (imported, machine) = (scaled(name, 8, size), decoding(3_200_000_000));
        let compiled = |real: bool| {
            let options = ModelOptions::default();
            let quantised = pipeline::quantise(&imported, &machine, &options, real).expect("legal");
            pipeline::compile_model(&imported, &quantised, &machine, real).expect("it fits")
        };
        let (estimated, real) = (compiled(false), compiled(true));
        assert!(estimated.program.image.is_empty() && !real.program.image.is_empty(), "{name}");
        assert_eq!(estimated.mappings, real.mappings, "{name}");
        assert_eq!(estimated.program.dram_bytes, real.program.dram_bytes, "{name}");
        assert!(real.program.instructions.iter().any(|i| decodes(&i.operation)), "{name}");
        let time = |compiled: &systole::compiler::compile::Compiled| {
            pipeline::time(&compiled.program, &machine, Engine::Fast).expect("runs")
        };
        assert_eq!(time(&estimated), time(&real), "{name}");
    }
}
