//! GoogLeNet (Szegedy 2014), called Inception v1: the Caffe model's, with 5×5 convolutions, pooling that rounds up and local response
//! normalisation. The auxiliary classifiers, which only training has, and dropout are left out.

use super::builder::{Builder, CAFFE_NORM, Layer, ceil_pool, conv};
use super::{Entry, Scale};
use crate::graph::Graph;
use crate::shape::ShapeError;
use crate::tensor::TensorId;

pub(super) const ENTRIES: &[Entry] = &[Entry {
    name: "googlenet",
    paper: "Szegedy 2014, Going Deeper with Convolutions",
    variant: "Inception v1, 5×5, Caffe's form",
    input: [3, 224, 224],
    small_input: 64,
    macs: 1_582_671_872,
    parameters: 6_998_552,
    family: build,
}];

/// The paper's table 1: 1×1, `[reduce, 3×3]`, `[reduce, 5×5]`, projection of the pooling.
type Module = (&'static str, usize, [usize; 2], [usize; 2], usize);

/// Stage by stage; each begins with a pooling.
const STAGES: [&[Module]; 3] = [
    &[("3a", 64, [96, 128], [16, 32], 32), ("3b", 128, [128, 192], [32, 96], 64)],
    &[
        ("4a", 192, [96, 208], [16, 48], 64),
        ("4b", 160, [112, 224], [24, 64], 64),
        ("4c", 128, [128, 256], [24, 64], 64),
        ("4d", 112, [144, 288], [32, 64], 64),
        ("4e", 256, [160, 320], [32, 128], 128),
    ],
    &[("5a", 256, [160, 320], [32, 128], 128), ("5b", 384, [192, 384], [48, 128], 128)],
];

fn build(name: &str, scale: Scale) -> Result<Graph, ShapeError> {
    let (mut b, input) = Builder::new(name, [3, scale.input_size, scale.input_size]);
    let mut x = b.conv_relu("conv1", input, conv(scale.width(64), 7).stride(2).pad(3))?;
    x = b.max_pool("pool1", x, ceil_pool(3, 2, 0))?;
    x = b.lrn("norm1", x, CAFFE_NORM)?;
    x = b.conv_relu("conv2_reduce", x, conv(scale.width(64), 1))?;
    x = b.conv_relu("conv2", x, conv(scale.width(192), 3).pad(1))?;
    x = b.lrn("norm2", x, CAFFE_NORM)?;
    for (number, modules) in (2..).zip(STAGES) {
        x = b.max_pool(&format!("pool{number}"), x, ceil_pool(3, 2, 0))?;
        for module in modules {
            x = inception(&mut b, x, scale, module)?;
        }
    }
    let prob = b.classify(x, 1000)?;
    Ok(b.finish(prob))
}

fn inception(b: &mut Builder, x: TensorId, scale: Scale, module: &Module) -> Layer {
    let &(name, pointwise, medium, large, projection) = module;
    let name = format!("inception_{name}");
    let pointwise = b.conv_relu(&format!("{name}_1x1"), x, conv(scale.width(pointwise), 1))?;
    let mut parts = vec![pointwise];
    for (kernel, [reduce, channels]) in [(3, medium), (5, large)] {
        let branch = format!("{name}_{kernel}x{kernel}");
        let y = b.conv_relu(&format!("{branch}_reduce"), x, conv(scale.width(reduce), 1))?;
        parts.push(b.conv_relu(&branch, y, conv(scale.width(channels), kernel).same())?);
    }
    let pooled = b.max_pool(&format!("{name}_pool"), x, ceil_pool(3, 1, 1))?;
    parts.push(b.conv_relu(&format!("{name}_pool_proj"), pooled, conv(scale.width(projection), 1))?);
    b.concat(&name, &parts)
}
