//! LeNet-5 (LeCun 1998) in the variant of Caffe's MNIST example: no activation after the convolutions, max pooling, one ReLU.

use super::builder::{Builder, conv, pool};
use super::{Entry, Scale};
use crate::graph::Graph;
use crate::shape::ShapeError;

pub(super) const ENTRIES: &[Entry] = &[Entry {
    name: "lenet-5",
    paper: "LeCun 1998, Gradient-Based Learning Applied to Document Recognition",
    variant: "Caffe's: 20 and 50 channels, max pooling",
    input: [1, 28, 28],
    small_input: 28,
    macs: 2_293_000,
    parameters: 431_080,
    family: build,
}];

fn build(name: &str, scale: Scale) -> Result<Graph, ShapeError> {
    let (mut b, input) = Builder::new(name, [1, scale.input_size, scale.input_size]);
    let x = b.conv("conv1", input, conv(scale.width(20), 5))?;
    let x = b.max_pool("pool1", x, pool(2, 2, 0))?;
    let x = b.conv("conv2", x, conv(scale.width(50), 5))?;
    let x = b.max_pool("pool2", x, pool(2, 2, 0))?;
    let x = b.flatten("flatten", x)?;
    let x = b.fully_connected("ip1", x, scale.width(500))?;
    let x = b.relu("ip1", x)?;
    let x = b.fully_connected("ip2", x, 10)?;
    let prob = b.softmax("prob", x)?;
    Ok(b.finish(prob))
}
