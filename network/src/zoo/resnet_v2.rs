//! ResNet v2 (He 2016) and Wide ResNet 28-10 for CIFAR (Zagoruyko 2016): batch norm and ReLU stand *before* each convolution, so that sums pass
//! unrectified from block to block and the batch norm that reads a sum cannot be folded into any convolution.
//!
//! The first block of a stage projects (1×1, no batch norm) what its first batch norm and ReLU made. Bottlenecks stride in their first 1×1,
//! basic blocks in their first 3×3. Convolutions have no bias.

use super::builder::{Builder, Layer, conv, pool};
use super::{Entry, Scale};
use crate::graph::Graph;
use crate::shape::ShapeError;
use crate::tensor::TensorId;

pub(super) const ENTRIES: &[Entry] = &[
    entry("resnet-v2-50", 3_857_973_248, 25_549_480),
    entry("resnet-v2-101", 7_570_194_432, 44_541_608),
    entry("resnet-v2-152", 11_282_415_616, 60_185_256),
    Entry {
        name: "wide-resnet-28-10",
        paper: "Zagoruyko 2016, Wide Residual Networks",
        variant: "CIFAR-10, pre-activation",
        input: [3, 32, 32],
        small_input: 32,
        macs: 5_243_328_768,
        parameters: 36_479_194,
        family: build_wide,
    },
];

const fn entry(name: &'static str, macs: u64, parameters: u64) -> Entry {
    let paper = "He 2016, Identity Mappings in Deep Residual Networks";
    let variant = "v2 (pre-activation), stride in the first 1×1";
    Entry { name, paper, variant, input: [3, 224, 224], small_input: 32, macs, parameters, family: build }
}

/// Gain of the first batch norm of a block that keeps the shape, for a network of so many blocks: nothing else holds back the sum.
fn branch_gain(blocks: usize) -> f32 {
    (1.5 / blocks as f32).sqrt()
}

fn build(name: &str, scale: Scale) -> Result<Graph, ShapeError> {
    let blocks: [usize; 4] = match name {
        "resnet-v2-101" => [3, 4, 23, 3],
        "resnet-v2-152" => [3, 8, 36, 3],
        _ => [3, 4, 6, 3],
    };
    let gain = branch_gain(blocks.iter().sum());
    let (mut b, input) = Builder::new(name, [3, scale.input_size, scale.input_size]);
    let mut x = b.conv_bn_relu("conv1", input, conv(scale.width(64), 7).stride(2).pad(3), 1.0)?;
    x = b.max_pool("pool1", x, pool(3, 2, 1))?;
    for (stage, (blocks, channels)) in blocks.into_iter().zip([64, 128, 256, 512]).enumerate() {
        for index in 0..blocks {
            let stride = if stage > 0 && index == 0 { 2 } else { 1 };
            // In the first block of a stage the shortcut reads it as well.
            let gain = if index == 0 { 1.0 } else { gain };
            let block = Block { name: format!("block{}_{}", stage + 1, index + 1), stride, gain };
            x = bottleneck(&mut b, x, &block, scale.width(channels), scale.width(4 * channels))?;
        }
    }
    finish(b, x, 1000)
}

fn build_wide(name: &str, scale: Scale) -> Result<Graph, ShapeError> {
    let gain = branch_gain(12);
    let (mut b, input) = Builder::new(name, [3, scale.input_size, scale.input_size]);
    let mut x = b.conv("conv1", input, conv(scale.width(16), 3).pad(1).no_bias())?;
    for (stage, channels) in [160, 320, 640].into_iter().enumerate() {
        for index in 0..4 {
            let stride = if stage > 0 && index == 0 { 2 } else { 1 };
            // In the first block of a stage the shortcut reads it as well.
            let gain = if index == 0 { 1.0 } else { gain };
            let block = Block { name: format!("block{}_{}", stage + 1, index + 1), stride, gain };
            x = basic(&mut b, x, &block, scale.width(channels))?;
        }
    }
    finish(b, x, 10)
}

/// The last sum's own batch norm and ReLU, then the classifier.
fn finish(mut b: Builder, x: TensorId, classes: usize) -> Result<Graph, ShapeError> {
    let x = b.batch_norm("last", x, 1.0)?;
    let x = b.relu("last", x)?;
    let prob = b.classify(x, classes)?;
    Ok(b.finish(prob))
}

struct Block {
    name: String,
    stride: usize,
    gain: f32,
}

/// Pre-activation, then two 3×3 convolutions.
fn basic(b: &mut Builder, x: TensorId, block: &Block, channels: usize) -> Layer {
    let (name, stride) = (&block.name, block.stride);
    let active = pre_activation(b, x, block)?;
    let branch = b.conv_bn_relu(&format!("{name}_conv1"), active, conv(channels, 3).stride(stride).pad(1), 1.0)?;
    let branch = b.conv(&format!("{name}_conv2"), branch, conv(channels, 3).pad(1).no_bias())?;
    sum(b, [x, active, branch], block)
}

/// Pre-activation, then 1×1 to narrow, 3×3, 1×1 to widen.
fn bottleneck(b: &mut Builder, x: TensorId, block: &Block, inner: usize, channels: usize) -> Layer {
    let (name, stride) = (&block.name, block.stride);
    let active = pre_activation(b, x, block)?;
    let branch = b.conv_bn_relu(&format!("{name}_conv1"), active, conv(inner, 1).stride(stride), 1.0)?;
    let branch = b.conv_bn_relu(&format!("{name}_conv2"), branch, conv(inner, 3).pad(1), 1.0)?;
    let branch = b.conv(&format!("{name}_conv3"), branch, conv(channels, 1).no_bias())?;
    sum(b, [x, active, branch], block)
}

fn pre_activation(b: &mut Builder, x: TensorId, block: &Block) -> Layer {
    let name = format!("{}_pre", block.name);
    let x = b.batch_norm(&name, x, block.gain)?;
    b.relu(&name, x)
}

/// Branch plus the block's input, or plus a projection of the pre-activation where the shape changes.
fn sum(b: &mut Builder, [x, active, branch]: [TensorId; 3], block: &Block) -> Layer {
    let (name, stride, channels) = (&block.name, block.stride, b.channels(branch));
    let shortcut = if stride == 1 && b.channels(x) == channels {
        x
    } else {
        b.conv(&format!("{name}_projection"), active, conv(channels, 1).stride(stride).no_bias())?
    };
    b.add(name, shortcut, branch)
}
