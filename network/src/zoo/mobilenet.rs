//! MobileNet v1 (Howard 2017), width 1.0: thirteen depthwise separable blocks; batch norm and ReLU6 after every convolution, no biases.

use super::Scale;
use super::builder::{Builder, ConvLayer, Layer, conv};
use crate::graph::Graph;
use crate::shape::ShapeError;
use crate::tensor::TensorId;

/// Gain of the batch norms: makes up for what their statistics take away over 27 layers, and lets some values reach ReLU6's upper bound.
const GAIN: f32 = 1.15;

/// `(stride of the depthwise 3×3, channels of the pointwise 1×1)` of each block.
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

pub(super) fn build(name: &str, scale: Scale) -> Result<Graph, ShapeError> {
    let (mut b, input) = Builder::new(name, [3, scale.input_size, scale.input_size]);
    let mut x = conv_bn_relu6(&mut b, "conv1", input, conv(scale.width(32), 3).stride(2).pad(1))?;
    for (number, (stride, channels)) in (2..).zip(BLOCKS) {
        let depthwise = conv(b.channels(x), 3).groups(b.channels(x)).stride(stride).pad(1);
        x = conv_bn_relu6(&mut b, &format!("conv{number}_dw"), x, depthwise)?;
        x = conv_bn_relu6(&mut b, &format!("conv{number}_pw"), x, conv(scale.width(channels), 1))?;
    }
    x = b.global_average_pool("pool", x)?;
    x = b.flatten("flatten", x)?;
    x = b.fully_connected("fc", x, 1000)?;
    let prob = b.softmax("prob", x)?;
    Ok(b.finish(prob))
}

fn conv_bn_relu6(b: &mut Builder, name: &str, x: TensorId, layer: ConvLayer) -> Layer {
    let x = b.conv(name, x, layer.no_bias())?;
    let x = b.batch_norm(name, x, GAIN)?;
    b.relu6(name, x)
}
