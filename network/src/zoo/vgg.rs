//! VGGNet (Simonyan 2014), column D: thirteen 3×3 convolutions in five stages, three fully connected layers. Dropout, the
//! identity at inference, is left out.

use super::Scale;
use super::builder::{Builder, conv, pool};
use crate::graph::Graph;
use crate::shape::ShapeError;

/// Column D: `(convolutions, channels)` of each stage.
const STAGES: [(usize, usize); 5] = [(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)];

pub(super) fn build(name: &str, scale: Scale) -> Result<Graph, ShapeError> {
    let (mut b, mut x) = Builder::new(name, [3, scale.input_size, scale.input_size]);
    for (stage, (convolutions, channels)) in (1..).zip(STAGES) {
        for index in 1..=convolutions {
            let layer = format!("conv{stage}_{index}");
            x = b.conv(&layer, x, conv(scale.width(channels), 3).pad(1))?;
            x = b.relu(&layer, x)?;
        }
        x = b.max_pool(&format!("pool{stage}"), x, pool(2, 2, 0))?;
    }
    x = b.flatten("flatten", x)?;
    for layer in ["fc6", "fc7"] {
        x = b.fully_connected(layer, x, scale.width(4096))?;
        x = b.relu(layer, x)?;
    }
    x = b.fully_connected("fc8", x, 1000)?;
    let prob = b.softmax("prob", x)?;
    Ok(b.finish(prob))
}
