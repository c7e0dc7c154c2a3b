//! ShuffleNet (Zhang 2017), three groups, width 1×: grouped 1×1 convolutions with a channel shuffle between them; where the image
//! halves, an average pooling of the input is concatenated instead of added.

use super::builder::{Builder, Layer, conv, pool};
use super::{Entry, Scale};
use crate::graph::Graph;
use crate::op::Pool;
use crate::shape::ShapeError;
use crate::tensor::TensorId;

pub(super) const ENTRIES: &[Entry] = &[Entry {
    name: "shufflenet-g3",
    paper: "Zhang 2017, ShuffleNet: An Extremely Efficient Convolutional Neural Network for Mobile Devices",
    variant: "3 groups, width 1",
    input: [3, 224, 224],
    small_input: 64,
    macs: 137_460_672,
    parameters: 1_865_728,
    family: build,
}];

const GROUPS: usize = 3;
/// Gain of the batch norms, which makes up for what their statistics take away.
const GAIN: f32 = 1.1;
/// Gain at the end of a branch that is added to its input.
const BRANCH_GAIN: f32 = 0.5;

/// The paper's table 1 for three groups: channels and units of stages 2 to 4.
const STAGES: [(usize, usize); 3] = [(240, 4), (480, 8), (960, 4)];

fn build(name: &str, scale: Scale) -> Result<Graph, ShapeError> {
    let (mut b, input) = Builder::new(name, [3, scale.input_size, scale.input_size]);
    // A quarter of the channels, and what the pooled input leaves of them, must fall into groups.
    let width = |published: usize| 4 * GROUPS * scale.width(published / (4 * GROUPS));
    let mut x = b.conv_bn_relu("conv1", input, conv(2 * GROUPS * scale.width(4), 3).stride(2).pad(1), GAIN)?;
    x = b.max_pool("pool1", x, pool(3, 2, 1))?;
    for (stage, (channels, units)) in (2..).zip(STAGES) {
        for unit in 1..=units {
            x = shuffle_unit(&mut b, &format!("stage{stage}_unit{unit}"), x, width(channels), unit == 1, stage == 2)?;
        }
    }
    let prob = b.classify(x, 1000)?;
    Ok(b.finish(prob))
}

/// `halves`: stride 2, and a concatenation. The first 1×1 of the network's first unit has one group, for its few input channels.
fn shuffle_unit(b: &mut Builder, name: &str, x: TensorId, channels: usize, halves: bool, early: bool) -> Layer {
    let (stride, made) = if halves { (2, channels - b.channels(x)) } else { (1, channels) };
    let inner = channels / 4;
    let first = conv(inner, 1).groups(if halves && early { 1 } else { GROUPS });
    let mut y = b.conv_bn_relu(&format!("{name}_compress"), x, first, GAIN)?;
    y = b.shuffle(&format!("{name}_shuffle"), y, GROUPS)?;
    y = b.conv_bn(&format!("{name}_dw"), y, conv(inner, 3).groups(inner).stride(stride).pad(1), GAIN)?;
    y = b.conv_bn(&format!("{name}_expand"), y, conv(made, 1).groups(GROUPS), BRANCH_GAIN)?;
    if halves {
        let window = Pool { count_include_pad: true, ..pool(3, 2, 1) };
        let pooled = b.average_pool(&format!("{name}_pool"), x, window)?;
        y = b.concat(name, &[pooled, y])?;
    } else {
        y = b.add(name, x, y)?;
    }
    b.relu(name, y)
}
