//! AlexNet: the paper's (Krizhevsky 2012), as Caffe's `bvlc_alexnet` has it, and the form of "One weird trick" (Krizhevsky 2014) that
//! torchvision ships, without groups and response normalisation. The latter's adaptive pooling to 6 × 6 is the identity at 224 × 224 and is
//! left out, as is dropout, the identity at inference.

use super::builder::{Builder, CAFFE_NORM, conv, pool};
use super::{Entry, Scale};
use crate::graph::Graph;
use crate::shape::ShapeError;
use crate::tensor::TensorId;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        name: "alexnet",
        paper: "Krizhevsky 2012, ImageNet Classification with Deep Convolutional Neural Networks",
        variant: "two groups, LRN, in Caffe's order",
        input: [3, 227, 227],
        small_input: 67,
        macs: 724_406_816,
        parameters: 60_965_224,
        family: build_grouped,
    },
    Entry {
        name: "alexnet-torchvision",
        paper: "Krizhevsky 2014, One weird trick for parallelizing convolutional neural networks",
        variant: "torchvision's form (no groups, no LRN)",
        input: [3, 224, 224],
        small_input: 64,
        macs: 714_188_480,
        parameters: 61_100_840,
        family: build,
    },
];

fn build(name: &str, scale: Scale) -> Result<Graph, ShapeError> {
    let (mut b, input) = Builder::new(name, [3, scale.input_size, scale.input_size]);
    let x = b.conv_relu("conv1", input, conv(scale.width(64), 11).stride(4).pad(2))?;
    let x = b.max_pool("pool1", x, pool(3, 2, 0))?;
    let x = b.conv_relu("conv2", x, conv(scale.width(192), 5).pad(2))?;
    let x = b.max_pool("pool2", x, pool(3, 2, 0))?;
    let x = b.conv_relu("conv3", x, conv(scale.width(384), 3).pad(1))?;
    let x = b.conv_relu("conv4", x, conv(scale.width(256), 3).pad(1))?;
    let x = b.conv_relu("conv5", x, conv(scale.width(256), 3).pad(1))?;
    let x = b.max_pool("pool5", x, pool(3, 2, 0))?;
    classify(b, x, scale)
}

pub(super) fn build_grouped(name: &str, scale: Scale) -> Result<Graph, ShapeError> {
    let (mut b, input) = Builder::new(name, [3, scale.input_size, scale.input_size]);
    // Both halves of the paper's two processors.
    let halves = |channels: usize| 2 * scale.width(channels / 2);
    let x = b.conv_relu("conv1", input, conv(halves(96), 11).stride(4))?;
    let x = b.lrn("norm1", x, CAFFE_NORM)?;
    let x = b.max_pool("pool1", x, pool(3, 2, 0))?;
    let x = b.conv_relu("conv2", x, conv(halves(256), 5).pad(2).groups(2))?;
    let x = b.lrn("norm2", x, CAFFE_NORM)?;
    let x = b.max_pool("pool2", x, pool(3, 2, 0))?;
    let x = b.conv_relu("conv3", x, conv(halves(384), 3).pad(1))?;
    let x = b.conv_relu("conv4", x, conv(halves(384), 3).pad(1).groups(2))?;
    let x = b.conv_relu("conv5", x, conv(halves(256), 3).pad(1).groups(2))?;
    let x = b.max_pool("pool5", x, pool(3, 2, 0))?;
    classify(b, x, scale)
}

/// The three fully connected layers that all AlexNets share.
fn classify(mut b: Builder, x: TensorId, scale: Scale) -> Result<Graph, ShapeError> {
    let x = b.flatten("flatten", x)?;
    let prob = b.classify_fully_connected(x, scale.width(4096))?;
    Ok(b.finish(prob))
}
