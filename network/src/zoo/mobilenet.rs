//! MobileNet v1 (Howard 2017) and v2 (Sandler 2018), width 1.0; batch norm after every convolution, no biases but the classifier's.
//!
//! v1: thirteen depthwise separable blocks with ReLU6 after every convolution. v2, in torchvision's form: inverted residuals, a 1×1 that
//! widens and a depthwise 3×3 with ReLU6, then a 1×1 that narrows without an activation (the linear bottleneck), added to the block's input
//! where shapes allow.

use super::builder::{Builder, ConvLayer, Layer, conv};
use super::{Entry, Scale};
use crate::graph::Graph;
use crate::shape::ShapeError;
use crate::tensor::TensorId;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        name: "mobilenet-v1",
        paper: "Howard 2017, MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications",
        variant: "width 1.0, ReLU6",
        input: [3, 224, 224],
        small_input: 32,
        macs: 568_740_352,
        parameters: 4_231_976,
        family: build_v1,
    },
    Entry {
        name: "mobilenet-v2",
        paper: "Sandler 2018, MobileNetV2: Inverted Residuals and Linear Bottlenecks",
        variant: "width 1.0, torchvision's form",
        input: [3, 224, 224],
        small_input: 32,
        macs: 300_774_272,
        parameters: 3_504_872,
        family: build_v2,
    },
];

/// Gain of the batch norms: makes up for what their statistics take away over 27 layers, and lets some values reach ReLU6's upper bound.
const GAIN: f32 = 1.15;
/// Gain at the end of a linear bottleneck: no ReLU halves the variance that He weights double.
const LINEAR_GAIN: f32 = 0.75;

/// v1: `(stride of the depthwise 3×3, channels of the pointwise 1×1)` of each block.
const BLOCKS: [(usize, usize); 13] = [
    (1, 64),
    (2, 128),
    (1, 128),
    (2, 256),
    (1, 256),
    (2, 512),
    (1, 512),
    (1, 512),
    (1, 512),
    (1, 512),
    (1, 512),
    (2, 1024),
    (1, 1024),
];

/// v2: the paper's table 2, `(expansion, channels, blocks, stride of the first)`.
const BOTTLENECKS: [(usize, usize, usize, usize); 7] =
    [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)];

fn build_v1(name: &str, scale: Scale) -> Result<Graph, ShapeError> {
    let (mut b, input) = Builder::new(name, [3, scale.input_size, scale.input_size]);
    let mut x = conv_bn_relu6(&mut b, "conv1", input, conv(scale.width(32), 3).stride(2).pad(1))?;
    for (number, (stride, channels)) in (2..).zip(BLOCKS) {
        let depthwise = conv(b.channels(x), 3).groups(b.channels(x)).stride(stride).pad(1);
        x = conv_bn_relu6(&mut b, &format!("conv{number}_dw"), x, depthwise)?;
        x = conv_bn_relu6(&mut b, &format!("conv{number}_pw"), x, conv(scale.width(channels), 1))?;
    }
    let prob = b.classify(x, 1000)?;
    Ok(b.finish(prob))
}

fn build_v2(name: &str, scale: Scale) -> Result<Graph, ShapeError> {
    let (mut b, input) = Builder::new(name, [3, scale.input_size, scale.input_size]);
    let mut x = conv_bn_relu6(&mut b, "conv1", input, conv(scale.width(32), 3).stride(2).pad(1))?;
    let mut number = 1;
    for (expansion, channels, blocks, first_stride) in BOTTLENECKS {
        for index in 0..blocks {
            let stride = if index == 0 { first_stride } else { 1 };
            x = inverted_residual(&mut b, &format!("block{number}"), x, expansion, scale.width(channels), stride)?;
            number += 1;
        }
    }
    x = conv_bn_relu6(&mut b, "conv_last", x, conv(scale.width(1280), 1))?;
    let prob = b.classify(x, 1000)?;
    Ok(b.finish(prob))
}

/// Wide inside, narrow at both ends. The input joins the result where both have the same shape.
fn inverted_residual(
    b: &mut Builder,
    name: &str,
    x: TensorId,
    expansion: usize,
    channels: usize,
    stride: usize,
) -> Layer {
    let inner = b.channels(x) * expansion;
    let mut y = x;
    if expansion > 1 {
        y = conv_bn_relu6(b, &format!("{name}_expand"), y, conv(inner, 1))?;
    }
    y = conv_bn_relu6(b, &format!("{name}_dw"), y, conv(inner, 3).groups(inner).stride(stride).pad(1))?;
    y = b.conv_bn(&format!("{name}_project"), y, conv(channels, 1), LINEAR_GAIN)?;
    if stride == 1 && b.channels(x) == channels { b.add(&format!("{name}_add"), x, y) } else { Ok(y) }
}

fn conv_bn_relu6(b: &mut Builder, name: &str, x: TensorId, layer: ConvLayer) -> Layer {
    let x = b.conv_bn(name, x, layer, GAIN)?;
    b.relu6(name, x)
}
