//! LeNet-5 (LeCun 1998) in the variant of Caffe's MNIST example: no activation after the convolutions, max pooling, one ReLU; and with the
//! paper's averages and hyperbolic tangents in the same geometry.

use super::builder::{Builder, conv, pool};
use super::{Entry, Scale};
use crate::graph::Graph;
use crate::shape::ShapeError;

pub(super) const ENTRIES: &[Entry] = &[CAFFE, TANH];

const CAFFE: Entry = Entry {
    name: "lenet-5",
    paper: "LeCun 1998, Gradient-Based Learning Applied to Document Recognition",
    variant: "Caffe's: 20 and 50 channels, max pooling",
    input: [1, 28, 28],
    small_input: 28,
    macs: 2_293_000,
    parameters: 431_080,
    family: build,
};

const TANH: Entry =
    Entry { name: "lenet-5-tanh", variant: "Caffe's sizes, average pooling, tanh", family: build_tanh, ..CAFFE };

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

/// As the paper has it, a subsampling layer averages and then squashes; so does the fully connected layer before the last.
fn build_tanh(name: &str, scale: Scale) -> Result<Graph, ShapeError> {
    let (mut b, input) = Builder::new(name, [1, scale.input_size, scale.input_size]);
    let x = b.conv("conv1", input, conv(scale.width(20), 5))?;
    let x = b.average_pool("pool1", x, pool(2, 2, 0))?;
    let x = b.tanh("pool1", x)?;
    let x = b.conv("conv2", x, conv(scale.width(50), 5))?;
    let x = b.average_pool("pool2", x, pool(2, 2, 0))?;
    let x = b.tanh("pool2", x)?;
    let x = b.flatten("flatten", x)?;
    let x = b.fully_connected("ip1", x, scale.width(500))?;
    let x = b.tanh("ip1", x)?;
    let x = b.fully_connected("ip2", x, 10)?;
    let prob = b.softmax("prob", x)?;
    Ok(b.finish(prob))
}
