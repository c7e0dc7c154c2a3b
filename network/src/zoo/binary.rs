//! Networks of binary weights and activations: XNOR-Net's AlexNet (Rastegari 2016) and the CIFAR-10 network of BinaryNet (Courbariaux 2016).
//!
//! XNOR-Net: blocks of batch norm, sign, convolution and pooling, in that order; the first and the last layer stay in full precision (8 bits
//! here), convolutions are not grouped. Its factors K of the activations are left out, as in its authors' released models; the factor of
//! each filter is the scale of its binary weights. BinaryNet: convolution, pooling, batch norm, sign; all weights are binary, the first layer
//! reads the image as it is, the last ends in batch norm.

use super::builder::{Builder, ConvLayer, FewValues, Layer, conv, pool};
use super::{Entry, Scale};
use crate::graph::Graph;
use crate::shape::ShapeError;
use crate::tensor::TensorId;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        name: "xnor-alexnet",
        paper: "Rastegari 2016, XNOR-Net: ImageNet Classification Using Binary Convolutional Neural Networks",
        variant: "without groups; first and last 8 bit",
        input: [3, 227, 227],
        small_input: 67,
        macs: 1_135_256_096,
        parameters: XNOR_PARAMETERS,
        family: xnor_alexnet,
    },
    Entry {
        name: "bnn-vgg-small",
        paper: "Courbariaux 2016, Binarized Neural Networks",
        variant: "CIFAR-10, 128C3 to 512C3, 2 × 1024",
        input: [3, 32, 32],
        small_input: 16,
        macs: 616_966_144,
        parameters: BNN_PARAMETERS,
        family: bnn_vgg_small,
    },
];

/// Weights; batch norm before (and after the first, and after the last but one) layer; the bias of the last.
const XNOR_PARAMETERS: u64 = 62_367_776 + 2 * (96 + 96 + 256 + 384 + 384 + 256 + 4096 + 4096) + 1000;
/// Weights, and batch norm of every layer.
const BNN_PARAMETERS: u64 = 14_022_016 + 2 * (128 + 128 + 256 + 256 + 512 + 512 + 1024 + 1024 + 10);

/// Means of what a pooling of maxima leaves, about.
const POOLED_MEAN: f32 = 1.5;

/// Batch norm, sign, and a binary convolution.
fn xnor_block(b: &mut Builder, name: &str, x: TensorId, mean: f32, layer: ConvLayer) -> Layer {
    let x = b.batch_norm_around(name, x, mean)?;
    let x = b.binarize(name, x)?;
    let y = b.conv(name, x, layer.no_bias())?;
    b.few_values(name, FewValues::Binary);
    Ok(y)
}

fn xnor_alexnet(name: &str, scale: Scale) -> Result<Graph, ShapeError> {
    let (mut b, input) = Builder::new(name, [3, scale.input_size, scale.input_size]);
    let x = b.conv_bn_relu("conv1", input, conv(scale.width(96), 11).stride(4), 1.0)?;
    let x = b.max_pool("pool1", x, pool(3, 2, 0))?;
    let x = xnor_block(&mut b, "conv2", x, 1.0, conv(scale.width(256), 5).pad(2))?;
    let x = b.max_pool("pool2", x, pool(3, 2, 0))?;
    let x = xnor_block(&mut b, "conv3", x, POOLED_MEAN, conv(scale.width(384), 3).pad(1))?;
    let x = xnor_block(&mut b, "conv4", x, 0.1, conv(scale.width(384), 3).pad(1))?;
    let x = xnor_block(&mut b, "conv5", x, 0.1, conv(scale.width(256), 3).pad(1))?;
    let mut x = b.max_pool("pool5", x, pool(3, 2, 0))?;
    for (index, layer) in ["fc6", "fc7"].into_iter().enumerate() {
        x = b.batch_norm_around(layer, x, if index == 0 { POOLED_MEAN } else { 0.1 })?;
        x = b.binarize(layer, x)?;
        if index == 0 {
            x = b.flatten("flatten", x)?;
        }
        x = b.fully_connected_no_bias(layer, x, scale.width(4096))?;
        b.few_values(layer, FewValues::Binary);
    }
    x = b.batch_norm("fc7_out", x, 1.0)?;
    x = b.relu("fc7", x)?;
    x = b.fully_connected("fc8", x, 1000)?;
    let prob = b.softmax("prob", x)?;
    Ok(b.finish(prob))
}

fn bnn_vgg_small(name: &str, scale: Scale) -> Result<Graph, ShapeError> {
    let (mut b, input) = Builder::new(name, [3, scale.input_size, scale.input_size]);
    let mut x = input;
    for (index, channels) in [128, 128, 256, 256, 512, 512].into_iter().enumerate() {
        let layer = format!("conv{}", index + 1);
        x = b.conv(&layer, x, conv(scale.width(channels), 3).pad(1).no_bias())?;
        b.few_values(&layer, FewValues::Binary);
        if index % 2 == 1 {
            x = b.max_pool(&format!("pool{}", index / 2 + 1), x, pool(2, 2, 0))?;
            x = b.batch_norm_around(&layer, x, POOLED_MEAN)?;
        } else {
            x = b.batch_norm(&layer, x, 1.0)?;
        }
        x = b.binarize(&layer, x)?;
    }
    x = b.flatten("flatten", x)?;
    for layer in ["fc1", "fc2"] {
        x = b.fully_connected_no_bias(layer, x, scale.width(1024))?;
        b.few_values(layer, FewValues::Binary);
        x = b.batch_norm(layer, x, 1.0)?;
        x = b.binarize(layer, x)?;
    }
    x = b.fully_connected_no_bias("fc3", x, 10)?;
    b.few_values("fc3", FewValues::Binary);
    x = b.batch_norm("fc3", x, 1.0)?;
    Ok(b.finish(x))
}
