//! The zoo against its published figures, and its scaled forms.

use std::collections::BTreeSet;

use super::*;
use crate::batch::with_batch;
use crate::count;
use crate::verify::verify;

#[test]
fn macs_and_parameters_are_those_of_the_definition() {
    for entry in entries() {
        let graph = build(entry.name).expect("every entry builds");
        assert_eq!(count::macs(&graph), entry.macs, "MACs of {}", entry.name);
        assert_eq!(count::parameters(&graph), entry.parameters, "parameters of {}", entry.name);
    }
}

/// The figures once more, as a table that no entry can bend.
#[test]
fn entries_state_the_published_figures() {
    let published = [
        ("lenet-5", 2_293_000, 431_080),
        ("vgg-d", 15_470_264_320, 138_357_544),
        ("resnet-18", 1_814_073_344, 11_689_512),
        ("resnet-50", 3_857_973_248, 25_557_032),
        ("squeezenet-1.1", 349_151_936, 1_235_496),
        ("mobilenet-v1", 568_740_352, 4_231_976),
    ];
    let stated: Vec<_> = entries().iter().map(|entry| (entry.name, entry.macs, entry.parameters)).collect();
    assert_eq!(stated, published);
}

#[test]
fn every_network_is_sound_at_every_batch() {
    for entry in entries() {
        let graph = build(entry.name).expect("every entry builds");
        assert_eq!(verify(&graph), Ok(()), "{}", entry.name);
        let input = graph.tensor(graph.inputs[0]);
        let [c, h, w] = entry.input;
        assert_eq!((input.name.as_str(), &input.shape[..]), ("input", &[1, c, h, w][..]));
        let batched = with_batch(&graph, 3);
        assert_eq!(verify(&batched), Ok(()), "{} at batch 3", entry.name);
        assert_eq!(count::macs(&batched), 3 * entry.macs);
        assert_eq!(count::parameters(&batched), entry.parameters);
        assert_eq!(with_batch(&batched, 1), graph);
    }
}

#[test]
fn nodes_write_tensors_of_their_own_name() {
    for name in names() {
        let graph = build(name).expect("every entry builds");
        for node in &graph.nodes {
            assert_eq!(graph.tensor(node.outputs[0]).name, node.name);
        }
    }
    let graph = build("resnet-50").expect("builds");
    let tensors: BTreeSet<&str> = graph.tensors.iter().map(|tensor| tensor.name.as_str()).collect();
    for name in
        ["conv1", "conv1_weight", "res2a_branch1_bn_scale", "res4f_branch2c_bn_variance", "res5c", "fc1000_bias"]
    {
        assert!(tensors.contains(name), "{name}");
    }
}

#[test]
fn scaled_networks_keep_their_structure() {
    for name in names() {
        let (full, size) = (build(name).expect("builds"), if name == "lenet-5" { 28 } else { 32 });
        let scaled = build_scaled(name, 4, size).expect("large enough");
        assert_eq!(verify(&scaled), Ok(()), "{name}");
        let kinds = |graph: &Graph| graph.nodes.iter().map(|node| node.op.name()).collect::<Vec<_>>();
        assert_eq!(kinds(&scaled), kinds(&full), "{name}");
        assert!(count::macs(&scaled) < count::macs(&full) / 4, "{name}");
    }
    assert_eq!(build_scaled("resnet-18", 1, 224), build("resnet-18"));
}

#[test]
fn what_cannot_be_built_is_none() {
    assert!(build("resnet-1").is_none());
    assert!(build_scaled("lenet-5", 1, 4).is_none());
    assert!(build_scaled("vgg-d", 1, 0).is_none());
    assert!(build_scaled("vgg-d", 0, usize::MAX).is_none());
    assert!(build_scaled("mobilenet-v1", 5000, 32).is_some_and(|graph| verify(&graph).is_ok()), "one channel a layer");
}
