//! FCN (Long 2015) on VGG-16, 21 classes, in the three forms of the authors' files: scores upsampled by 32 at once, by 2 and 16 after adding
//! those of the fourth pooling, by 2, 2 and 8 after adding those of the third as well.
//!
//! The first convolution pads by 100 pixels, as theirs does, so that images of any size fit; poolings round up, as Caffe's do. Transposed
//! convolutions have no bias. Crops cut at the offsets of their files. Dropout, the identity at inference, is left out.

use super::builder::{Builder, Layer, ceil_pool, conv};
use super::{Entry, Scale};
use crate::graph::Graph;
use crate::shape::ShapeError;
use crate::tensor::TensorId;

pub(super) const ENTRIES: &[Entry] = &[
    entry("fcn-32s", "VGG-16, one upsampling by 32", 124_876_862_208, 136_152_917),
    entry("fcn-16s", "VGG-16, skip from pool4", 124_941_545_232, 134_815_994),
    entry("fcn-8s", "VGG-16, skips from pool4 and pool3", 125_001_466_128, 134_489_759),
];

const fn entry(name: &'static str, variant: &'static str, macs: u64, parameters: u64) -> Entry {
    let paper = "Long 2015, Fully Convolutional Networks for Semantic Segmentation";
    Entry { name, paper, variant, input: [3, 384, 384], small_input: 32, macs, parameters, family: build }
}

/// Classes of PASCAL VOC and the background.
const CLASSES: usize = 21;

/// Channels and convolutions of the five stages.
const STAGES: [(usize, usize); 5] = [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)];

fn build(name: &str, scale: Scale) -> Result<Graph, ShapeError> {
    let (mut b, input) = Builder::new(name, [3, scale.input_size, scale.input_size]);
    let mut x = input;
    let mut pools = vec![];
    for (stage, (channels, convolutions)) in (1..).zip(STAGES) {
        for index in 1..=convolutions {
            let pad = if (stage, index) == (1, 1) { 100 } else { 1 };
            x = b.conv_relu(&format!("conv{stage}_{index}"), x, conv(scale.width(channels), 3).pad(pad))?;
        }
        x = b.max_pool(&format!("pool{stage}"), x, ceil_pool(2, 2, 0))?;
        pools.push(x);
    }
    x = b.conv_relu("fc6", x, conv(scale.width(4096), 7))?;
    x = b.conv_relu("fc7", x, conv(scale.width(4096), 1))?;
    x = b.conv("score_fr", x, conv(CLASSES, 1))?;
    let size = scale.input_size;
    let score = match name {
        "fcn-32s" => upsample(&mut b, "upscore", x, 32, 19, size)?,
        "fcn-16s" => {
            x = add_skip(&mut b, x, pools[3], "pool4", 5)?;
            upsample(&mut b, "upscore16", x, 16, 27, size)?
        }
        _ => {
            x = add_skip(&mut b, x, pools[3], "pool4", 5)?;
            x = add_skip(&mut b, x, pools[2], "pool3", 9)?;
            upsample(&mut b, "upscore8", x, 8, 31, size)?
        }
    };
    Ok(b.finish(score))
}

/// Scores at twice the size plus those of an earlier pooling, cropped.
fn add_skip(b: &mut Builder, x: TensorId, pooled: TensorId, pool: &str, offset: usize) -> Layer {
    let larger = b.conv_transpose(&format!("upscore_to_{pool}"), x, CLASSES, 4, 2)?;
    let score = b.conv(&format!("score_{pool}"), pooled, conv(CLASSES, 1))?;
    let size = b.size(larger);
    let score = b.crop(&format!("score_{pool}c"), score, offset, size)?;
    b.add(&format!("fuse_{pool}"), larger, score)
}

/// To the image's size.
fn upsample(b: &mut Builder, name: &str, x: TensorId, factor: usize, offset: usize, size: usize) -> Layer {
    let larger = b.conv_transpose(name, x, CLASSES, 2 * factor, factor)?;
    b.crop("score", larger, offset, size)
}
