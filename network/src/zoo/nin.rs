//! Network in Network (Lin 2013), the authors' ImageNet model: four convolutions, each followed by two 1×1 layers (`cccp`), ceil-mode
//! pooling as in Caffe, and a global average as the classifier. Dropout, the identity at inference, is left out.

use super::builder::{Builder, ConvLayer, ceil_pool, conv};
use super::{Entry, Scale};
use crate::graph::Graph;
use crate::shape::ShapeError;

pub(super) const ENTRIES: &[Entry] = &[Entry {
    name: "nin",
    paper: "Lin 2013, Network In Network",
    variant: "the authors' ImageNet model",
    input: [3, 224, 224],
    small_input: 64,
    macs: 1_100_188_800,
    parameters: 7_595_176,
    family: build,
}];

fn build(name: &str, scale: Scale) -> Result<Graph, ShapeError> {
    let (mut b, input) = Builder::new(name, [3, scale.input_size, scale.input_size]);
    // A spatial layer, and the channels of the two 1×1 layers after it.
    let [narrow, medium, wide, last] = [96, 256, 384, 1024].map(|channels| scale.width(channels));
    let blocks: [(ConvLayer, [usize; 2]); 4] = [
        (conv(narrow, 11).stride(4), [narrow; 2]),
        (conv(medium, 5).pad(2), [medium; 2]),
        (conv(wide, 3).pad(1), [wide; 2]),
        (conv(last, 3).pad(1), [last, 1000]),
    ];
    let mut x = input;
    for (number, (spatial, mixing)) in (1..).zip(blocks) {
        x = b.conv_relu(&format!("conv{number}"), x, spatial)?;
        for (index, channels) in (1..).zip(mixing) {
            x = b.conv_relu(&format!("cccp{number}_{index}"), x, conv(channels, 1))?;
        }
        if number < 4 {
            x = b.max_pool(&format!("pool{number}"), x, ceil_pool(3, 2, 0))?;
        }
    }
    x = b.global_average_pool("pool4", x)?;
    x = b.flatten("flatten", x)?;
    let prob = b.softmax("prob", x)?;
    Ok(b.finish(prob))
}
