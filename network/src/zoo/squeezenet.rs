//! SqueezeNet 1.1 (Iandola 2016) in torchvision's form: an unpadded 3×3 with stride 2 first, ceil-mode pooling, the classifier a 1×1
//! convolution under a global average. Dropout, the identity at inference, is left out.

use super::Scale;
use super::builder::{Builder, Layer, conv, pool};
use crate::graph::Graph;
use crate::op::Pool;
use crate::shape::ShapeError;
use crate::tensor::TensorId;

/// `(squeeze, expand)` channels of fire modules 2 to 9; each expand layer has that many.
const FIRES: [(usize, usize); 8] =
    [(16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256)];

pub(super) fn build(name: &str, scale: Scale) -> Result<Graph, ShapeError> {
    let halving = || Pool { ceil_mode: true, ..pool(3, 2, 0) };
    let (mut b, input) = Builder::new(name, [3, scale.input_size, scale.input_size]);
    let mut x = conv_relu(&mut b, "conv1", input, scale.width(64), 3, 2, 0)?;
    x = b.max_pool("pool1", x, halving())?;
    for (number, (squeeze, expand)) in (2..).zip(FIRES) {
        x = fire(&mut b, &format!("fire{number}"), x, scale.width(squeeze), scale.width(expand))?;
        if number == 3 || number == 5 {
            x = b.max_pool(&format!("pool{number}"), x, halving())?;
        }
    }
    x = conv_relu(&mut b, "conv10", x, 1000, 1, 1, 0)?;
    x = b.global_average_pool("pool10", x)?;
    x = b.flatten("flatten", x)?;
    let prob = b.softmax("prob", x)?;
    Ok(b.finish(prob))
}

/// A 1×1 that squeezes, then a 1×1 and a 3×3 side by side.
fn fire(b: &mut Builder, name: &str, x: TensorId, squeeze: usize, expand: usize) -> Layer {
    let squeezed = conv_relu(b, &format!("{name}_squeeze1x1"), x, squeeze, 1, 1, 0)?;
    let pointwise = conv_relu(b, &format!("{name}_expand1x1"), squeezed, expand, 1, 1, 0)?;
    let spatial = conv_relu(b, &format!("{name}_expand3x3"), squeezed, expand, 3, 1, 1)?;
    b.concat(&format!("{name}_concat"), &[pointwise, spatial])
}

fn conv_relu(
    b: &mut Builder,
    name: &str,
    x: TensorId,
    channels: usize,
    kernel: usize,
    stride: usize,
    pad: usize,
) -> Layer {
    let x = b.conv(name, x, conv(channels, kernel).stride(stride).pad(pad))?;
    b.relu(name, x)
}
