//! ResNet v1 (He 2015): 18 with basic blocks, 50 with bottlenecks; where a bottleneck strides, its first 1×1 does. Shortcuts are projections
//! (1×1 and batch norm) where the shape changes. Convolutions have no bias. Layers are named as in the authors' files: `res3a_branch2b`.

use super::Scale;
use super::builder::{Builder, ConvLayer, Layer, conv, pool};
use crate::graph::Graph;
use crate::shape::ShapeError;
use crate::tensor::TensorId;

/// Gain of a branch's last batch norm. He weights double the variance that a ReLU halves; a sum of a shortcut and a branch of equal
/// variance would double it again in each block.
const BRANCH_GAIN: f32 = 0.5;

/// Depths and channels of the four stages.
struct Plan {
    blocks: [usize; 4],
    bottleneck: bool,
}

const CHANNELS: [usize; 4] = [64, 128, 256, 512];

pub(super) fn build(name: &str, scale: Scale) -> Result<Graph, ShapeError> {
    let plan = match name {
        "resnet-18" => Plan { blocks: [2, 2, 2, 2], bottleneck: false },
        _ => Plan { blocks: [3, 4, 6, 3], bottleneck: true },
    };
    let (mut b, input) = Builder::new(name, [3, scale.input_size, scale.input_size]);
    let mut x = conv_bn(&mut b, "conv1", input, conv(scale.width(64), 7).stride(2).pad(3), 1.0)?;
    x = b.relu("conv1", x)?;
    x = b.max_pool("pool1", x, pool(3, 2, 1))?;
    for (stage, (blocks, channels)) in plan.blocks.into_iter().zip(CHANNELS).enumerate() {
        for (index, letter) in ('a'..).take(blocks).enumerate() {
            let stride = if stage > 0 && index == 0 { 2 } else { 1 };
            let block = Block { name: format!("res{}{letter}", stage + 2), channels: scale.width(channels), stride };
            x = if plan.bottleneck { bottleneck(&mut b, x, &block)? } else { basic(&mut b, x, &block)? };
        }
    }
    x = b.global_average_pool("pool5", x)?;
    x = b.flatten("flatten", x)?;
    x = b.fully_connected("fc1000", x, 1000)?;
    let prob = b.softmax("prob", x)?;
    Ok(b.finish(prob))
}

struct Block {
    name: String,
    channels: usize,
    stride: usize,
}

/// Two 3×3 convolutions and the shortcut.
fn basic(b: &mut Builder, x: TensorId, block: &Block) -> Layer {
    let Block { ref name, channels, stride } = *block;
    let first = format!("{name}_branch2a");
    let branch = conv_bn(b, &first, x, conv(channels, 3).stride(stride).pad(1), 1.0)?;
    let branch = b.relu(&first, branch)?;
    let branch = conv_bn(b, &format!("{name}_branch2b"), branch, conv(channels, 3).pad(1), BRANCH_GAIN)?;
    sum(b, x, branch, block)
}

/// 1×1 to narrow, 3×3, 1×1 to four times the channels, and the shortcut.
fn bottleneck(b: &mut Builder, x: TensorId, block: &Block) -> Layer {
    let Block { ref name, channels, stride } = *block;
    let (first, second) = (format!("{name}_branch2a"), format!("{name}_branch2b"));
    let branch = conv_bn(b, &first, x, conv(channels, 1).stride(stride), 1.0)?;
    let branch = b.relu(&first, branch)?;
    let branch = conv_bn(b, &second, branch, conv(channels, 3).pad(1), 1.0)?;
    let branch = b.relu(&second, branch)?;
    let branch = conv_bn(b, &format!("{name}_branch2c"), branch, conv(4 * channels, 1), BRANCH_GAIN)?;
    sum(b, x, branch, block)
}

/// Shortcut plus branch, rectified.
fn sum(b: &mut Builder, x: TensorId, branch: TensorId, block: &Block) -> Layer {
    let Block { ref name, stride, .. } = *block;
    let channels = b.channels(branch);
    let shortcut = if stride == 1 && b.channels(x) == channels {
        x
    } else {
        conv_bn(b, &format!("{name}_branch1"), x, conv(channels, 1).stride(stride), 1.0)?
    };
    let total = b.add(name, shortcut, branch)?;
    b.relu(name, total)
}

fn conv_bn(b: &mut Builder, name: &str, x: TensorId, layer: ConvLayer, gain: f32) -> Layer {
    let x = b.conv(name, x, layer.no_bias())?;
    b.batch_norm(name, x, gain)
}
