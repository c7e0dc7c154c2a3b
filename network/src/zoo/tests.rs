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
        ("lenet-5-tanh", 2_293_000, 431_080),
        ("alexnet", 724_406_816, 60_965_224),
        ("alexnet-torchvision", 714_188_480, 61_100_840),
        ("nin", 1_100_188_800, 7_595_176),
        ("vgg-a", 7_609_090_048, 132_863_336),
        ("vgg-a-lrn", 7_609_090_048, 132_863_336),
        ("vgg-b", 11_308_466_176, 133_047_848),
        ("vgg-c", 11_770_888_192, 133_638_952),
        ("vgg-d", 15_470_264_320, 138_357_544),
        ("vgg-e", 19_632_062_464, 143_667_240),
        ("googlenet", 1_582_671_872, 6_998_552),
        ("inception-v2", 2_032_600_064, 11_295_240),
        ("inception-v3", 5_713_216_096, 23_834_568),
        ("inception-v4", 12_253_974_624, 42_679_816),
        ("inception-resnet-v1", 6_308_235_360, 23_995_624),
        ("inception-resnet-v2", 13_155_794_016, 55_843_464),
        ("xception", 8_357_403_496, 22_855_952),
        ("resnet-18", 1_814_073_344, 11_689_512),
        ("resnet-34", 3_663_761_408, 21_797_672),
        ("resnet-50", 3_857_973_248, 25_557_032),
        ("resnet-101", 7_570_194_432, 44_549_160),
        ("resnet-152", 11_282_415_616, 60_192_808),
        ("resnet-50-v1.5", 4_089_184_256, 25_557_032),
        ("resnet-50-stochastic-depth", 3_857_973_248, 25_557_032),
        ("wide-resnet-50-2", 11_398_021_120, 68_849_128),
        ("resnext-50", 4_230_479_872, 25_028_904),
        ("ttq-resnet-18", 1_814_073_344, 11_689_512),
        ("twobit-resnet-18", 1_814_073_344, 11_689_512),
        ("resnet-v2-50", 3_857_973_248, 25_549_480),
        ("resnet-v2-101", 7_570_194_432, 44_541_608),
        ("resnet-v2-152", 11_282_415_616, 60_185_256),
        ("wide-resnet-28-10", 5_243_328_768, 36_479_194),
        ("densenet-121", 2_834_161_664, 7_978_856),
        ("densenet-169", 3_359_843_328, 14_149_480),
        ("squeezenet-1.0", 818_924_576, 1_248_424),
        ("squeezenet-1.1", 349_151_936, 1_235_496),
        ("mobilenet-v1", 568_740_352, 4_231_976),
        ("mobilenet-v2", 300_774_272, 3_504_872),
        ("shufflenet-g3", 137_460_672, 1_865_728),
        ("nas-cifar", 4_300_665_312, 4_201_630),
        ("sppnet-zf5", 1_182_712_960, 77_037_672),
        ("fcn-32s", 124_876_862_208, 136_152_917),
        ("fcn-16s", 124_941_545_232, 134_815_994),
        ("fcn-8s", 125_001_466_128, 134_489_759),
        ("dilated-context", 34_833_753_864, 6_803_139),
        ("dilated-context-basic", 115_605_504, 28_392),
        ("deformable-resnet-50", 6_103_248_896, 25_805_918),
        ("deconvnet", 1_172_179_200, 1_257_475),
        ("deep-compression-alexnet", 724_406_816, 60_965_224),
        ("xnor-alexnet", 1_135_256_096, 62_388_104),
        ("bnn-vgg-small", 616_966_144, 14_029_716),
    ];
    let stated: Vec<_> = entries().iter().map(|entry| (entry.name, entry.macs, entry.parameters)).collect();
    assert_eq!(stated, published);
}

/// Where published totals are rounded or missing: what `tests/figures/figures.py` computes from the tables of layers alone.
#[test]
fn totals_follow_from_tables_of_layers() {
    let figures = include_str!("../../tests/figures/figures.csv").lines().skip(1);
    let mut compared = 0;
    for line in figures {
        let [name, macs, parameters] = line.split(',').collect::<Vec<_>>()[..] else { panic!("{line}: three cells") };
        let entry = entries().iter().find(|entry| entry.name == name).expect("in the zoo");
        assert_eq!(
            (entry.macs.to_string().as_str(), entry.parameters.to_string().as_str()),
            (macs, parameters),
            "{name}"
        );
        compared += 1;
    }
    assert!(compared >= 15, "{compared}");
}

#[test]
fn a_pyramid_gives_the_same_vector_for_any_image() {
    for size in [224, 180, 300] {
        let graph = build_scaled("sppnet-zf5", 4, size).expect("large enough");
        let spp = graph.tensors.iter().find(|tensor| tensor.name == "spp").expect("a pyramid");
        assert_eq!((&spp.shape[..], verify(&graph)), (&[1, 64 * 50][..], Ok(())), "{size}");
    }
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

/// Long names and variants would not fit beside each other in `systole zoo`.
#[test]
fn rows_of_the_list_fit_100_columns() {
    for entry in entries() {
        let lengths = (entry.name.chars().count(), entry.variant.chars().count());
        assert!(lengths.0 <= 26 && lengths.1 <= 44, "{}: {lengths:?}", entry.name);
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
    for &Entry { name, small_input, .. } in entries() {
        let full = build(name).expect("builds");
        let scaled = build_scaled(name, 4, small_input).expect("large enough");
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
