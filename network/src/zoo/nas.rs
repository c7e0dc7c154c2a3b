//! The 15-layer network for CIFAR-10 that a controller found by reinforcement learning (Zoph 2016, figure 7), without strides and pooling:
//! the published 4.2 million parameters.
//!
//! Each layer reads the concatenation of the layers named in its row, in the order of their numbers: convolution without bias, batch norm,
//! ReLU. Which layers a row names is a reading of the figure's arrows; that the sum of all weights (4 199 868) is what the paper prints
//! speaks for it. The figure ends in a softmax; a global average and a fully connected layer stand between, as in the paper's text.

use super::builder::{Builder, conv_rect};
use super::{Entry, Scale};
use crate::graph::Graph;
use crate::shape::ShapeError;

pub(super) const ENTRIES: &[Entry] = &[Entry {
    name: "nas-cifar",
    paper: "Zoph 2016, Neural Architecture Search with Reinforcement Learning",
    variant: "figure 7, 15 layers, CIFAR-10",
    input: [3, 32, 32],
    small_input: 16,
    macs: 4_300_665_312,
    parameters: 4_201_630,
    family: build,
}];

/// Filter height and width, filters, and the layers that a layer reads (from 1; 0 is the image).
const LAYERS: [([usize; 2], usize, &[usize]); 15] = [
    ([3, 3], 36, &[0]),
    ([3, 3], 48, &[1]),
    ([3, 3], 36, &[1, 2]),
    ([5, 5], 36, &[1, 2, 3]),
    ([3, 7], 48, &[3, 4]),
    ([7, 7], 48, &[2, 3, 4, 5]),
    ([7, 7], 48, &[2, 3, 4, 5, 6]),
    ([7, 3], 36, &[1, 6, 7]),
    ([7, 1], 36, &[1, 5, 6, 8]),
    ([7, 7], 36, &[1, 3, 4, 5, 6, 7, 8, 9]),
    ([5, 7], 36, &[1, 2, 5, 6, 7, 8, 9, 10]),
    ([7, 7], 48, &[1, 2, 3, 4, 6, 11]),
    ([7, 5], 48, &[1, 3, 6, 7, 8, 9, 10, 11, 12]),
    ([7, 5], 48, &[3, 7, 12, 13]),
    ([7, 5], 48, &[6, 7, 11, 12, 13, 14]),
];

/// Gain of the batch norms, which makes up for what their statistics take away.
const GAIN: f32 = 1.1;

fn build(name: &str, scale: Scale) -> Result<Graph, ShapeError> {
    let (mut b, input) = Builder::new(name, [3, scale.input_size, scale.input_size]);
    let mut made = vec![input];
    for (number, (kernel, filters, sources)) in (1..).zip(LAYERS) {
        let sources: Vec<_> = sources.iter().map(|&source| made[source]).collect();
        let x = match sources[..] {
            [only] => only,
            _ => b.concat(&format!("concat{number}"), &sources)?,
        };
        let layer = conv_rect(scale.width(filters), kernel).same();
        made.push(b.conv_bn_relu(&format!("conv{number}"), x, layer, GAIN)?);
    }
    let prob = b.classify(made[LAYERS.len()], 10)?;
    Ok(b.finish(prob))
}
