//! BN-Inception (Ioffe 2015), called Inception v2 by many: GoogLeNet with batch norm, two 3×3 in place of each 5×5, and modules that halve
//! the image. As in the Caffe model, convolutions have a bias beside their batch norm, pooling rounds up and averages include the padding.

use super::builder::{Builder, ConvLayer, Layer, ceil_pool, conv};
use super::{Entry, Scale};
use crate::graph::Graph;
use crate::op::Pool;
use crate::shape::ShapeError;
use crate::tensor::TensorId;

pub(super) const ENTRIES: &[Entry] = &[Entry {
    name: "inception-v2",
    paper: "Ioffe 2015, Batch Normalization: Accelerating Deep Network Training",
    variant: "BN-Inception, Caffe's form",
    input: [3, 224, 224],
    small_input: 64,
    macs: 2_032_600_064,
    parameters: 11_295_240,
    family: build,
}];

/// Gain of the batch norms, which makes up for what their statistics take away.
const GAIN: f32 = 1.05;

/// How the fourth branch pools.
#[derive(Clone, Copy)]
enum Pooling {
    Average,
    Max,
}
use Pooling::{Average, Max};

/// A module that keeps the image: channels of the 1×1, `[reduce, 3×3]`, `[reduce, two 3×3]`, pooling and its projection.
type Module = (&'static str, usize, [usize; 2], [usize; 2], (Pooling, usize));
/// A module that halves it: `[reduce, 3×3]` and `[reduce, two 3×3]`, beside a max pooling.
type Halving = (&'static str, [usize; 2], [usize; 2]);

/// The paper's figure 5, stage by stage: the module that halves, then those that keep.
const STAGES: [(Option<Halving>, &[Module]); 3] = [
    (None, &[("3a", 64, [64, 64], [64, 96], (Average, 32)), ("3b", 64, [64, 96], [64, 96], (Average, 64))]),
    (
        Some(("3c", [128, 160], [64, 96])),
        &[
            ("4a", 224, [64, 96], [96, 128], (Average, 128)),
            ("4b", 192, [96, 128], [96, 128], (Average, 128)),
            ("4c", 160, [128, 160], [128, 160], (Average, 128)),
            ("4d", 96, [128, 192], [160, 192], (Average, 128)),
        ],
    ),
    (
        Some(("4e", [128, 192], [192, 256])),
        &[("5a", 352, [192, 320], [160, 224], (Average, 128)), ("5b", 352, [192, 320], [192, 224], (Max, 128))],
    ),
];

fn build(name: &str, scale: Scale) -> Result<Graph, ShapeError> {
    let (mut b, input) = Builder::new(name, [3, scale.input_size, scale.input_size]);
    let mut x = conv_bn_relu(&mut b, "conv1", input, conv(scale.width(64), 7).stride(2).pad(3))?;
    x = b.max_pool("pool1", x, ceil_pool(3, 2, 0))?;
    x = conv_bn_relu(&mut b, "conv2_reduce", x, conv(scale.width(64), 1))?;
    x = conv_bn_relu(&mut b, "conv2", x, conv(scale.width(192), 3).pad(1))?;
    x = b.max_pool("pool2", x, ceil_pool(3, 2, 0))?;
    for (first, modules) in STAGES {
        if let Some((name, single, double)) = first {
            let name = format!("inception_{name}");
            let parts = spatial_branches(&mut b, &name, x, scale, [single, double], 2)?;
            let pooled = b.max_pool(&format!("{name}_pool"), x, ceil_pool(3, 2, 0))?;
            x = b.concat(&name, &[parts[0], parts[1], pooled])?;
        }
        for module in modules {
            x = keeping(&mut b, x, scale, module)?;
        }
    }
    let prob = b.classify(x, 1000)?;
    Ok(b.finish(prob))
}

fn keeping(b: &mut Builder, x: TensorId, scale: Scale, module: &Module) -> Layer {
    let &(name, pointwise, single, double, (pooling, projection)) = module;
    let name = format!("inception_{name}");
    let pointwise = conv_bn_relu(b, &format!("{name}_1x1"), x, conv(scale.width(pointwise), 1))?;
    let [single, double] = spatial_branches(b, &name, x, scale, [single, double], 1)?;
    let (pool_name, window) = (format!("{name}_pool"), ceil_pool(3, 1, 1));
    let pooled = match pooling {
        Average => b.average_pool(&pool_name, x, Pool { count_include_pad: true, ..window })?,
        Max => b.max_pool(&pool_name, x, window)?,
    };
    let pooled = conv_bn_relu(b, &format!("{name}_pool_proj"), pooled, conv(scale.width(projection), 1))?;
    b.concat(&name, &[pointwise, single, double, pooled])
}

/// The branch with one 3×3 and the branch with two, each behind a 1×1; the last 3×3 has the stride.
fn spatial_branches(
    b: &mut Builder,
    name: &str,
    x: TensorId,
    scale: Scale,
    channels: [[usize; 2]; 2],
    stride: usize,
) -> Result<[TensorId; 2], ShapeError> {
    let [single, double] = channels.map(|pair| pair.map(|channels| scale.width(channels)));
    let y = conv_bn_relu(b, &format!("{name}_3x3_reduce"), x, conv(single[0], 1))?;
    let y = conv_bn_relu(b, &format!("{name}_3x3"), y, conv(single[1], 3).pad(1).stride(stride))?;
    let z = conv_bn_relu(b, &format!("{name}_double_3x3_reduce"), x, conv(double[0], 1))?;
    let z = conv_bn_relu(b, &format!("{name}_double_3x3_1"), z, conv(double[1], 3).pad(1))?;
    let z = conv_bn_relu(b, &format!("{name}_double_3x3_2"), z, conv(double[1], 3).pad(1).stride(stride))?;
    Ok([y, z])
}

/// With bias, unlike the builder's.
fn conv_bn_relu(b: &mut Builder, name: &str, x: TensorId, layer: ConvLayer) -> Layer {
    let x = b.conv(name, x, layer)?;
    let x = b.batch_norm(name, x, GAIN)?;
    b.relu(name, x)
}
