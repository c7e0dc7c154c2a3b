//! VGGNet (Simonyan 2014), the columns of the paper's table 1: 3×3 convolutions in five stages, three fully connected layers;
//! in column C the third convolution of a stage is a 1×1, in column A-LRN a local response normalisation follows the first. Dropout, the identity at inference, is left out.

use super::builder::{Builder, conv, pool};
use super::{Entry, Scale};
use crate::graph::Graph;
use crate::op::Lrn;
use crate::shape::ShapeError;

pub(super) const ENTRIES: &[Entry] = &[
    entry("vgg-a", "column A (VGG-11)", 7_609_090_048, 132_863_336),
    entry("vgg-a-lrn", "column A-LRN", 7_609_090_048, 132_863_336),
    entry("vgg-b", "column B (VGG-13)", 11_308_466_176, 133_047_848),
    entry("vgg-c", "column C (VGG-16 with 1×1 layers)", 11_770_888_192, 133_638_952),
    entry("vgg-d", "column D (VGG-16)", 15_470_264_320, 138_357_544),
    entry("vgg-e", "column E (VGG-19)", 19_632_062_464, 143_667_240),
];

const fn entry(name: &'static str, variant: &'static str, macs: u64, parameters: u64) -> Entry {
    let paper = "Simonyan 2014, Very Deep Convolutional Networks for Large-Scale Image Recognition";
    Entry { name, paper, variant, input: [3, 224, 224], small_input: 32, macs, parameters, family: build }
}

/// As in Krizhevsky 2012, whose α is not divided by the size.
const KRIZHEVSKY: Lrn = Lrn { size: 5, alpha: 5e-4, beta: 0.75, bias: 2.0 };

/// Channels of the five stages.
const CHANNELS: [usize; 5] = [64, 128, 256, 512, 512];

/// Windows of the convolutions of each stage.
fn stages(name: &str) -> [&'static [usize]; 5] {
    match name {
        "vgg-a" | "vgg-a-lrn" => [&[3], &[3], &[3, 3], &[3, 3], &[3, 3]],
        "vgg-b" => [&[3, 3]; 5],
        "vgg-c" => [&[3, 3], &[3, 3], &[3, 3, 1], &[3, 3, 1], &[3, 3, 1]],
        "vgg-e" => [&[3, 3], &[3, 3], &[3; 4], &[3; 4], &[3; 4]],
        _ => [&[3, 3], &[3, 3], &[3; 3], &[3; 3], &[3; 3]],
    }
}

fn build(name: &str, scale: Scale) -> Result<Graph, ShapeError> {
    let (mut b, mut x) = Builder::new(name, [3, scale.input_size, scale.input_size]);
    for (stage, (kernels, channels)) in (1..).zip(stages(name).into_iter().zip(CHANNELS)) {
        for (index, &kernel) in (1..).zip(kernels) {
            x = b.conv_relu(&format!("conv{stage}_{index}"), x, conv(scale.width(channels), kernel).same())?;
            if name == "vgg-a-lrn" && stage == 1 {
                x = b.lrn("norm1", x, KRIZHEVSKY)?;
            }
        }
        x = b.max_pool(&format!("pool{stage}"), x, pool(2, 2, 0))?;
    }
    x = b.flatten("flatten", x)?;
    let prob = b.classify_fully_connected(x, scale.width(4096))?;
    Ok(b.finish(prob))
}
