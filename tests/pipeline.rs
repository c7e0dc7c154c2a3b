//! The chain as a library: a wrong weight is found, in the layer that it belongs to.

use std::collections::BTreeMap;

use systole::compare::{Verification, compare};
use systole::golden::{Keep, Options, run};
use systole::pipeline::{self, Engine, ModelOptions};
use systole::source;
use systole::tensors::value;

/// Verifies LeNet after `tamper` had its way with the bytes of each constant segment.
fn verify(tamper: impl Fn(usize, &mut [u8])) -> Verification {
    let machine = source::machine("edge-16x16").expect("a preset").machine;
    let options = ModelOptions::default();
    let imported = pipeline::import("zoo:lenet-5", &options).expect("in the zoo");
    let quantised = pipeline::quantise(&imported, &machine, &options, true).expect("legal");
    let mut compiled = pipeline::compile_model(&imported, &quantised, &machine, true).expect("fits");
    for (index, segment) in compiled.program.image.iter_mut().enumerate() {
        tamper(index, &mut segment.bytes);
    }
    let ports = pipeline::ports(&quantised.graph, &quantised.inputs);
    let (inputs, seeded) = pipeline::input_bytes(&ports, None, 0).expect("seeded");
    assert_eq!(seeded, ["input"]);
    let (_, memories) = pipeline::run(&compiled.program, &machine, &inputs, Engine::Fast).expect("runs");
    let values: BTreeMap<_, _> = quantised
        .inputs
        .iter()
        .zip(&ports)
        .zip(inputs)
        .map(|((at, port), bytes)| (at.tensor, value(bytes, port.element)))
        .collect();
    let mut golden = run(&quantised.graph, &values, Options { seed: 0, keep: Keep::All }).expect("runs").tensors;
    golden.extend(values);
    compare(&quantised, &compiled, &golden, &memories.dram).0
}

#[test]
fn an_untouched_program_is_bit_exact() {
    let verification = verify(|_, _| {});
    assert!(verification.bit_exact, "{:?}", verification.first_mismatch);
    assert_eq!(verification.tensors_unobservable, []);
}

#[test]
fn wrong_weights_are_found_in_their_layer() {
    // The constants of a convolution are two segments, weights and parameters: the second layer's weights are the third.
    let verification = verify(|segment, bytes| {
        if segment == 2 {
            bytes.iter_mut().for_each(|byte| *byte ^= 0x40);
        }
    });
    assert!(!verification.bit_exact && verification.mismatches > 0);
    let first = verification.first_mismatch.expect("weights matter");
    assert_eq!((first.layer.as_str(), first.tensor.as_str()), ("conv2", "conv2"));
    assert_ne!(first.expected, first.got);
}
