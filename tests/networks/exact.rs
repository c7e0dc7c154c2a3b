//! Data: golden, fast engine and reference engine; batches; threads.

use systole::pipeline::{self, Engine, Imported, ModelOptions};
use systole::tensors::gather;

use crate::chain::{EDGE, Network, presets, published, scaled};

/// Golden = fast = reference on every tensor; the engines agree on all memories and the whole timing.
fn assert_engines_agree(imported: Imported) {
    let network = Network::new(imported);
    let mapped = network.on(EDGE);
    let (fast, fast_memories) = mapped.run(Engine::Fast);
    let (reference, reference_memories) = mapped.run(Engine::Reference);
    mapped.assert_exact(&fast_memories);
    mapped.assert_exact(&reference_memories);
    assert_eq!(fast.total_cycles, reference.total_cycles);
    let spans = fast.spans.iter().zip(&reference.spans);
    assert_eq!(spans.enumerate().find(|(_, (fast, reference))| fast != reference), None, "the first span that differs");
    assert_eq!(fast, reference);
    assert!(fast_memories == reference_memories, "a memory differs after the run");
}

#[test]
fn engines_agree_on_lenet() {
    assert_engines_agree(published("lenet-5"));
}

#[test]
fn engines_agree_on_a_narrow_resnet() {
    assert_engines_agree(scaled("resnet-18", 4, 32));
}

#[test]
fn engines_agree_on_a_narrow_mobilenet() {
    assert_engines_agree(scaled("mobilenet-v1", 4, 32));
}

/// Golden = fast on every tensor, on every preset.
fn assert_exact_on_presets(imported: Imported) {
    let mut quantised: Vec<Network> = vec![];
    for preset in presets() {
        let machine = crate::chain::machine(preset);
        if !quantised.iter().any(|network| network.suits(&machine)) {
            quantised.push(Network::quantised_for(imported.clone(), &machine));
        }
        let network = quantised.iter().find(|network| network.suits(&machine)).expect("just made");
        let mapped = network.on(preset);
        mapped.assert_exact(&mapped.run(Engine::Fast).1);
    }
    assert!(quantised.len() > 3, "presets compute in {} ways only", quantised.len());
}

#[test]
fn lenet_is_exact_on_all_presets() {
    assert_exact_on_presets(published("lenet-5"));
}

#[test]
fn squeezenet_is_exact_on_all_presets() {
    assert_exact_on_presets(published("squeezenet-1.1"));
}

#[test]
fn a_small_mobilenet_is_exact_on_all_presets() {
    assert_exact_on_presets(scaled("mobilenet-v1", 2, 64));
}

/// Every tensor of a batch is the tensors of its images one after the other.
#[test]
fn a_batch_is_its_images() {
    let options = ModelOptions { batch: Some(2), ..Default::default() };
    let imported = pipeline::import("zoo:lenet-5", &options).expect("in the zoo");
    let quantised = pipeline::quantise(&imported, &crate::chain::machine(EDGE), &options, true).expect("legal");
    let first = Network::new(published("lenet-5"));
    let mut other = first.inputs.clone();
    other.iter_mut().for_each(|bytes| bytes.reverse());
    assert_ne!(first.inputs, other);
    let both = first.inputs.iter().zip(&other).map(|(a, b)| [a.as_slice(), b].concat()).collect();
    let second = Network::with_inputs(first.imported.clone(), first.quantised.clone(), other);
    let batch = Network::with_inputs(imported, quantised, both);
    let tensors = |network: &Network| {
        let mapped = network.on(EDGE);
        let memories = mapped.run(Engine::Fast).1;
        mapped.assert_exact(&memories);
        let entries = mapped.compiled.program.tensors.iter();
        entries.map(|entry| (entry.name.clone(), gather(entry, &memories.dram).expect("in DRAM"))).collect::<Vec<_>>()
    };
    let joined: Vec<_> = tensors(&first)
        .into_iter()
        .zip(tensors(&second))
        .map(|((name, a), (same, b))| {
            assert_eq!(name, same);
            (name, [a, b].concat())
        })
        .collect();
    assert!(joined == tensors(&batch), "a tensor of the batch differs from those of its images");
}

/// From import to the last byte nothing depends on how many threads there are.
#[test]
fn threads_change_nothing() {
    let everything = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| {
            assert_eq!(rayon::current_num_threads(), threads);
            let network = Network::new(scaled("resnet-18", 2, 64));
            let mapped = network.on(EDGE);
            let run = mapped.run(Engine::Fast);
            (mapped.compiled.program.to_bytes(), run, network.golden.clone())
        })
    };
    let one = everything(1);
    assert!(one == everything(2), "two threads");
    assert!(one == everything(5), "five threads");
}
