//! SPP-net (He 2014) on ZF-5: five convolutions, then spatial pyramid pooling into 6×6, 3×3, 2×2 and 1×1 bins, whose 50 values a channel
//! are what the fully connected layers read, whatever the size of the image.
//!
//! Response normalisation is across channels. Bin i of n over a pixels reaches from `⌊i·a / n⌋` to `⌈(i + 1)·a / n⌉`. Where all bins of a level are equally far apart and
//! equally wide they are one pooling (13 pixels: windows of 3, 5, 7 and 13, the paper's table), otherwise a pooling each.

use super::builder::{Builder, Layer, ceil_pool, conv, pool};
use super::{Entry, Scale};
use crate::graph::Graph;
use crate::op::{Lrn, Pool};
use crate::shape::ShapeError;
use crate::tensor::TensorId;

pub(super) const ENTRIES: &[Entry] = &[Entry {
    name: "sppnet-zf5",
    paper: "He 2014, Spatial Pyramid Pooling in Deep Convolutional Networks for Visual Recognition",
    variant: "ZF-5, 4-level pyramid",
    input: [3, 224, 224],
    small_input: 128,
    macs: 1_182_712_960,
    parameters: 77_037_672,
    family: build,
}];

const NORM: Lrn = Lrn { size: 3, alpha: 5e-5, beta: 0.75, bias: 1.0 };

/// Bins along a side, level by level.
const LEVELS: [usize; 4] = [6, 3, 2, 1];

fn build(name: &str, scale: Scale) -> Result<Graph, ShapeError> {
    let (mut b, input) = Builder::new(name, [3, scale.input_size, scale.input_size]);
    let mut x = b.conv_relu("conv1", input, conv(scale.width(96), 7).stride(2).pad(1))?;
    x = b.lrn("norm1", x, NORM)?;
    x = b.max_pool("pool1", x, ceil_pool(3, 2, 0))?;
    x = b.conv_relu("conv2", x, conv(scale.width(256), 5).stride(2))?;
    x = b.lrn("norm2", x, NORM)?;
    x = b.max_pool("pool2", x, ceil_pool(3, 2, 0))?;
    x = b.conv_relu("conv3", x, conv(scale.width(384), 3).pad(1))?;
    x = b.conv_relu("conv4", x, conv(scale.width(384), 3).pad(1))?;
    x = b.conv_relu("conv5", x, conv(scale.width(256), 3).pad(1))?;
    x = pyramid(&mut b, x)?;
    let prob = b.classify_fully_connected(x, scale.width(4096))?;
    Ok(b.finish(prob))
}

/// All levels as one vector, channel by channel within a level.
fn pyramid(b: &mut Builder, x: TensorId) -> Layer {
    let mut levels = vec![];
    for bins in LEVELS {
        let name = format!("spp{bins}");
        let pooled = level(b, &name, x, bins)?;
        levels.push(b.flatten(&format!("{name}_flat"), pooled)?);
    }
    b.concat("spp", &levels)
}

/// `[1, c, bins, bins]`, or the same numbers as `[1, c·bins²]`.
fn level(b: &mut Builder, name: &str, x: TensorId, bins: usize) -> Layer {
    let size = b.size(x);
    let edges: Vec<[usize; 2]> = (0..bins).map(|bin| [bin * size / bins, ((bin + 1) * size).div_ceil(bins)]).collect();
    let window = edges[0][1];
    let stride = edges.get(1).map_or(1, |second| second[0]);
    let regular = (0..).zip(&edges).all(|(bin, &[from, to])| from == bin * stride && to == from + window);
    if regular {
        return b.max_pool(name, x, pool(window, stride, 0));
    }
    let mut all = vec![];
    for &[top, bottom] in &edges {
        for &[left, right] in &edges {
            let (bin, [height, width]) = (format!("{name}_{top}_{left}"), [bottom - top, right - left]);
            let cut = b.crop_rect(&format!("{bin}_cut"), x, [top, left], [height, width])?;
            let whole = Pool { kernel: [height, width], ..pool(1, 1, 0) };
            all.push(b.max_pool(&bin, cut, whole)?);
        }
    }
    let by_bin = b.concat(&format!("{name}_bins"), &all)?;
    b.shuffle(name, by_bin, bins * bins)
}
