//! DenseNet-BC (Huang 2016), growth 32: each layer (batch norm, ReLU, 1×1 to 128, batch norm, ReLU, 3×3 to 32) reads everything that its
//! block made before, so that concatenation follows concatenation; transitions halve channels and image. Convolutions have no bias.

use super::builder::{Builder, Layer, conv, pool};
use super::{Entry, Scale};
use crate::graph::Graph;
use crate::shape::ShapeError;
use crate::tensor::TensorId;

pub(super) const ENTRIES: &[Entry] = &[
    entry("densenet-121", "blocks of 6, 12, 24 and 16 layers", 2_834_161_664, 7_978_856),
    entry("densenet-169", "blocks of 6, 12, 32 and 32 layers", 3_359_843_328, 14_149_480),
];

const fn entry(name: &'static str, variant: &'static str, macs: u64, parameters: u64) -> Entry {
    let paper = "Huang 2016, Densely Connected Convolutional Networks";
    Entry { name, paper, variant, input: [3, 224, 224], small_input: 32, macs, parameters, family: build }
}

/// Channels that each layer adds.
const GROWTH: usize = 32;

/// Gain of the batch norms, which makes up for what their statistics take away.
const GAIN: f32 = 1.05;
/// Gain of those after which a transition averages four pixels of either sign.
const TRANSITION_GAIN: f32 = 1.6;

fn build(name: &str, scale: Scale) -> Result<Graph, ShapeError> {
    let blocks = match name {
        "densenet-121" => [6, 12, 24, 16],
        _ => [6, 12, 32, 32],
    };
    let (mut b, input) = Builder::new(name, [3, scale.input_size, scale.input_size]);
    let mut x = b.conv_bn_relu("conv1", input, conv(scale.width(64), 7).stride(2).pad(3), GAIN)?;
    x = b.max_pool("pool1", x, pool(3, 2, 1))?;
    for (number, layers) in (1..).zip(blocks) {
        if number > 1 {
            x = transition(&mut b, &format!("transition{}", number - 1), x)?;
        }
        for index in 1..=layers {
            x = dense_layer(&mut b, &format!("dense{number}_{index}"), x, scale.width(GROWTH))?;
        }
    }
    x = b.batch_norm("last", x, GAIN)?;
    x = b.relu("last", x)?;
    let prob = b.classify(x, 1000)?;
    Ok(b.finish(prob))
}

/// Everything so far, and `growth` channels more.
fn dense_layer(b: &mut Builder, name: &str, x: TensorId, growth: usize) -> Layer {
    let y = b.batch_norm(name, x, GAIN)?;
    let y = b.relu(name, y)?;
    let y = b.conv_bn_relu(&format!("{name}_1x1"), y, conv(4 * growth, 1), GAIN)?;
    let y = b.conv(&format!("{name}_3x3"), y, conv(growth, 3).pad(1).no_bias())?;
    b.concat(&format!("{name}_concat"), &[x, y])
}

fn transition(b: &mut Builder, name: &str, x: TensorId) -> Layer {
    let y = b.batch_norm(name, x, TRANSITION_GAIN)?;
    let y = b.relu(name, y)?;
    let y = b.conv(&format!("{name}_1x1"), y, conv(b.channels(x) / 2, 1).no_bias())?;
    b.average_pool(&format!("{name}_pool"), y, pool(2, 2, 0))
}
