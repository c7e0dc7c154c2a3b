//! Damaged and malicious files: an error or a graph, never a panic, never memory beyond a multiple of the file.

mod models;

use bytes::Bytes;
use models::*;
use proptest::prelude::*;
use systole_compiler::frontends::onnx::{ImportOptions, import_bytes};
use systole_compiler::passes::{Values, legalise};
use systole_network::policy::NumericPolicy;

/// Imports, and legalises what imports; whether the import succeeded.
fn survives(bytes: Vec<u8>) -> bool {
    match import_bytes(Bytes::from(bytes), None, "hostile", &ImportOptions::default()) {
        Ok(graph) => {
            systole_network::verify::verify(&graph).unwrap_or_else(|errors| panic!("imported, but {errors:#?}"));
            for values in [Values::Structure, Values::Real { calibration: None, seed: 0 }] {
                if let Ok(quantised) = legalise(&graph, &NumericPolicy::default(), &values) {
                    systole_network::verify::verify(&quantised.graph)
                        .unwrap_or_else(|e| panic!("legalised, but {e:#?}"));
                }
            }
            true
        }
        Err(errors) => {
            assert!(errors.iter().all(|e| !e.place.is_empty()), "{errors:#?}");
            false
        }
    }
}

#[test]
fn every_truncation() {
    let whole = encode(&qdq_convolution());
    assert!(survives(whole.to_vec()));
    let good = (0..whole.len()).filter(|&length| survives(whole[..length].to_vec())).count();
    // A file cut between two top-level fields may still be a model; most cuts are not there.
    assert!(good < whole.len() / 100, "{good} of {} truncations imported", whole.len());
}

#[test]
fn every_flipped_bit() {
    let whole = encode(&qdq_convolution());
    let mut counts = [0usize; 2];
    for position in 0..whole.len() * 8 {
        let mut bytes = whole.to_vec();
        bytes[position / 8] ^= 1 << (position % 8);
        counts[usize::from(survives(bytes))] += 1;
    }
    let [refused, imported] = counts;
    assert!(refused > 1000 && imported > 1000, "{refused} refused, {imported} imported");
}

#[test]
fn a_length_of_two_gigabytes() {
    for tag in [0x3a, 0x42, 0x0a] {
        // Field `tag`, length-delimited, 0x7fff_ffff bytes.
        assert!(!survives(vec![tag, 0xff, 0xff, 0xff, 0xff, 0x07, 1, 2, 3]));
    }
}

#[test]
fn deep_nesting_is_an_error() {
    let mut bytes = vec![];
    for _ in 0..20_000 {
        let mut outer = vec![0x3a];
        prost::encode_length_delimiter(bytes.len(), &mut outer).expect("a vector grows");
        outer.extend(&bytes);
        bytes = outer;
    }
    assert!(!survives(bytes));
}

#[test]
fn a_small_file_cannot_ask_for_gigabytes() {
    // Each Add repeats its scalar for a million channels.
    let mut nodes = vec![node("Add", &["x", "k0"], "t0", vec![])];
    let mut constants = vec![f32s("k0", &[], &[1.0])];
    for i in 1..200 {
        nodes.push(node("Add", &[&format!("t{}", i - 1), &format!("k{i}")], &format!("t{i}"), vec![]));
        constants.push(f32s(&format!("k{i}"), &[], &[1.0]));
    }
    nodes.push(node("Relu", &["t199"], "y", vec![]));
    let errors = refused(&model(13, &[1, 1 << 20], nodes, constants));
    assert!(errors[0].contains("several times as large as the file"), "{errors:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn overwritten_bytes(edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut bytes = encode(&qdq_convolution()).to_vec();
        for (at, value) in edits {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        survives(bytes);
    }
}
