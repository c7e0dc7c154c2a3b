//! A deconvolutional network (Zeiler 2014): the first two layers of its classifier, and the way back to the pixels.
//!
//! Encoder: 7×7 / 2 to 96 channels, maximum pooling 3×3 / 2, 5×5 / 2 to 256 channels, pooling. Decoder, in reverse: unpooling by the switches of
//! the pooling, rectification, transposed convolution with the window of the encoder's. The paper visualises with the encoder's own filters,
//! transposed; here the decoder has filters and biases of its own, to be trained. Rectification stands before unpooling, which is the same.
//!
//! Multiply-accumulates: 2 · (110² · 96 · 147 + 26² · 256 · 2400). Parameters: 2 · (96 · 147 + 256 · 2400) + 96 + 256 + 96 + 3.

use super::builder::{Builder, conv, pool};
use super::{Entry, Scale};
use crate::graph::Graph;
use crate::shape::ShapeError;

pub(super) const ENTRIES: &[Entry] = &[Entry {
    name: "deconvnet",
    paper: "Zeiler 2014, Visualizing and Understanding Convolutional Networks",
    variant: "two layers and back, decoder's own filters",
    input: [3, 224, 224],
    small_input: 32,
    macs: 1_172_179_200,
    parameters: 1_257_475,
    family: build,
}];

fn build(name: &str, scale: Scale) -> Result<Graph, ShapeError> {
    let (mut b, input) = Builder::new(name, [3, scale.input_size, scale.input_size]);
    let (narrow, wide) = (scale.width(96), scale.width(256));
    let first = b.conv_relu("conv1", input, conv(narrow, 7).stride(2).pad(1))?;
    let [x, first_switches] = b.switched_pool("pool1", first, &pool(3, 2, 1))?;
    let pooled = x;
    let second = b.conv_relu("conv2", x, conv(wide, 5).stride(2))?;
    let [x, second_switches] = b.switched_pool("pool2", second, &pool(3, 2, 1))?;
    let x = b.unpool("unpool2", [x, second_switches], pool(3, 2, 1), second)?;
    let x = b.transposed_to("deconv2", x, [narrow, 5, 2, 0], pooled)?;
    let x = b.relu("deconv2", x)?;
    let x = b.unpool("unpool1", [x, first_switches], pool(3, 2, 1), first)?;
    let x = b.transposed_to("deconv1", x, [3, 7, 2, 1], input)?;
    Ok(b.finish(x))
}
