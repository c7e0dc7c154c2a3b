//! SqueezeNet (Iandola 2016) in torchvision's form: the first convolution unpadded with stride 2, ceil-mode pooling, the classifier a 1×1
//! convolution under a global average. 1.0 is the paper's; 1.1 the authors' later one with a 3×3 first layer and earlier pooling. Dropout,
//! the identity at inference, is left out.

use super::builder::{Builder, Layer, ceil_pool, conv};
use super::{Entry, Scale};
use crate::graph::Graph;
use crate::shape::ShapeError;
use crate::tensor::TensorId;

const PAPER: &str = "Iandola 2016, SqueezeNet: AlexNet-level accuracy with 50x fewer parameters";

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        name: "squeezenet-1.0",
        paper: PAPER,
        variant: "1.0, torchvision's form (ceil-mode pooling)",
        input: [3, 224, 224],
        small_input: 32,
        macs: 818_924_576,
        parameters: 1_248_424,
        family: build,
    },
    Entry {
        name: "squeezenet-1.1",
        paper: PAPER,
        variant: "1.1, torchvision's form (ceil-mode pooling)",
        input: [3, 224, 224],
        small_input: 32,
        macs: 349_151_936,
        parameters: 1_235_496,
        family: build,
    },
];

/// `(squeeze, expand)` channels of fire modules 2 to 9; each expand layer has that many.
const FIRES: [(usize, usize); 8] =
    [(16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256)];

fn build(name: &str, scale: Scale) -> Result<Graph, ShapeError> {
    let (first, pooled) = match name {
        "squeezenet-1.0" => (conv(scale.width(96), 7), [4, 8]),
        _ => (conv(scale.width(64), 3), [3, 5]),
    };
    let (mut b, input) = Builder::new(name, [3, scale.input_size, scale.input_size]);
    let mut x = b.conv_relu("conv1", input, first.stride(2))?;
    x = b.max_pool("pool1", x, ceil_pool(3, 2, 0))?;
    for (number, (squeeze, expand)) in (2..).zip(FIRES) {
        x = fire(&mut b, &format!("fire{number}"), x, scale.width(squeeze), scale.width(expand))?;
        if pooled.contains(&number) {
            x = b.max_pool(&format!("pool{number}"), x, ceil_pool(3, 2, 0))?;
        }
    }
    x = b.conv_relu("conv10", x, conv(1000, 1))?;
    x = b.global_average_pool("pool10", x)?;
    x = b.flatten("flatten", x)?;
    let prob = b.softmax("prob", x)?;
    Ok(b.finish(prob))
}

/// A 1×1 that squeezes, then a 1×1 and a 3×3 side by side.
fn fire(b: &mut Builder, name: &str, x: TensorId, squeeze: usize, expand: usize) -> Layer {
    let squeezed = b.conv_relu(&format!("{name}_squeeze1x1"), x, conv(squeeze, 1))?;
    let pointwise = b.conv_relu(&format!("{name}_expand1x1"), squeezed, conv(expand, 1))?;
    let spatial = b.conv_relu(&format!("{name}_expand3x3"), squeezed, conv(expand, 3).pad(1))?;
    b.concat(&format!("{name}_concat"), &[pointwise, spatial])
}
