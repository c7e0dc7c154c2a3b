//! Xception (Chollet 2016): 36 convolutions, all but two of them depthwise separable (a depthwise 3×3, then a 1×1, nothing in between), each
//! followed by batch norm, most preceded by ReLU; residual additions without an activation after them. Convolutions have no bias.

use super::builder::{Builder, Layer, conv, pool};
use super::{Entry, Scale};
use crate::graph::Graph;
use crate::shape::ShapeError;
use crate::tensor::TensorId;

pub(super) const ENTRIES: &[Entry] = &[Entry {
    name: "xception",
    paper: "Chollet 2016, Xception: Deep Learning with Depthwise Separable Convolutions",
    variant: "pooling padded evenly, 1 on all sides",
    input: [3, 299, 299],
    small_input: 64,
    macs: 8_357_403_496,
    parameters: 22_855_952,
    family: build,
}];

/// Gain of the batch norms: two convolutions with He weights share one ReLU.
const GAIN: f32 = 0.75;
/// Gain at the end of a residual branch, of which there are twelve.
const BRANCH_GAIN: f32 = 0.4;

fn build(name: &str, scale: Scale) -> Result<Graph, ShapeError> {
    let (mut b, input) = Builder::new(name, [3, scale.input_size, scale.input_size]);
    let mut x = b.conv_bn_relu("conv1", input, conv(scale.width(32), 3).stride(2), 1.0)?;
    x = b.conv_bn_relu("conv2", x, conv(scale.width(64), 3), 1.0)?;
    // Entry flow. What enters block 1 is rectified already.
    for (number, channels) in (1..).zip([128, 256, 728]) {
        let channels = [scale.width(channels); 2];
        x = halving(&mut b, &format!("block{number}"), x, channels, number > 1)?;
    }
    // Middle flow.
    for number in 4..=11 {
        x = middle(&mut b, &format!("block{number}"), x)?;
    }
    // Exit flow.
    x = halving(&mut b, "block12", x, [728, 1024].map(|channels| scale.width(channels)), true)?;
    for (name, channels) in [("sepconv13", 1536), ("sepconv14", 2048)] {
        x = separable(&mut b, name, x, scale.width(channels), GAIN)?;
        x = b.relu(name, x)?;
    }
    let prob = b.classify(x, 1000)?;
    Ok(b.finish(prob))
}

/// Two separable convolutions and a max pooling, beside a strided projection.
fn halving(b: &mut Builder, name: &str, x: TensorId, channels: [usize; 2], rectify: bool) -> Layer {
    let mut y = x;
    if rectify {
        y = b.relu(name, y)?;
    }
    let first = format!("{name}_sepconv1");
    y = separable(b, &first, y, channels[0], GAIN)?;
    y = b.relu(&first, y)?;
    y = separable(b, &format!("{name}_sepconv2"), y, channels[1], BRANCH_GAIN)?;
    y = b.max_pool(&format!("{name}_pool"), y, pool(3, 2, 1))?;
    let shortcut = b.conv_bn(&format!("{name}_shortcut"), x, conv(channels[1], 1).stride(2), GAIN)?;
    b.add(name, shortcut, y)
}

/// Three separable convolutions, and the input.
fn middle(b: &mut Builder, name: &str, x: TensorId) -> Layer {
    let channels = b.channels(x);
    let mut y = x;
    for (index, gain) in (1..).zip([GAIN, GAIN, BRANCH_GAIN]) {
        let layer = format!("{name}_sepconv{index}");
        y = b.relu(&format!("{layer}_pre"), y)?;
        y = separable(b, &layer, y, channels, gain)?;
    }
    b.add(name, x, y)
}

/// Depthwise 3×3, 1×1, batch norm.
fn separable(b: &mut Builder, name: &str, x: TensorId, channels: usize, gain: f32) -> Layer {
    let depthwise = conv(b.channels(x), 3).pad(1).groups(b.channels(x)).no_bias();
    let y = b.conv(&format!("{name}_dw"), x, depthwise)?;
    let y = b.conv(&format!("{name}_pw"), y, conv(channels, 1).no_bias())?;
    b.batch_norm(name, y, gain)
}
