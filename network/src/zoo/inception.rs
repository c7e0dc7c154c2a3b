//! What Inception networks from v3 on share: branches of convolutions with batch norm and ReLU, side by side on one input.

use super::Scale;
use super::builder::{Builder, ConvLayer, Layer, conv, conv_rect, pool};
use crate::op::Pool;
use crate::shape::ShapeError;
use crate::tensor::TensorId;

/// Gain of the batch norms, which makes up for what their statistics take away.
const GAIN: f32 = 1.12;

impl Scale {
    /// A square convolution that keeps the image's size.
    pub(super) fn same(self, channels: usize, kernel: usize) -> ConvLayer {
        conv(self.width(channels), kernel).same()
    }

    /// A convolution with a window of kh × kw that keeps the image's size.
    pub(super) fn rect(self, channels: usize, kh: usize, kw: usize) -> ConvLayer {
        conv_rect(self.width(channels), [kh, kw]).same()
    }

    /// An unpadded 3×3.
    pub(super) fn valid(self, channels: usize) -> ConvLayer {
        conv(self.width(channels), 3)
    }

    /// An unpadded 3×3 with stride 2.
    pub(super) fn halving(self, channels: usize) -> ConvLayer {
        self.valid(channels).stride(2)
    }
}

/// Convolutions one after the other, each with batch norm and ReLU: `name_1`, `name_2` …
pub(super) fn sequence(b: &mut Builder, name: &str, x: TensorId, layers: &[ConvLayer]) -> Layer {
    (1..).zip(layers).try_fold(x, |x, (index, &layer)| b.conv_bn_relu(&format!("{name}_{index}"), x, layer, GAIN))
}

/// Several sequences on one input: `name_branch1_1` …
pub(super) fn branches(
    b: &mut Builder,
    name: &str,
    x: TensorId,
    all: &[&[ConvLayer]],
) -> Result<Vec<TensorId>, ShapeError> {
    (1..).zip(all).map(|(number, layers)| sequence(b, &format!("{name}_branch{number}"), x, layers)).collect()
}

/// An average over 3×3 that keeps the image's size, then a 1×1.
pub(super) fn pooled(b: &mut Builder, name: &str, x: TensorId, window: Pool, projection: ConvLayer) -> Layer {
    let x = b.average_pool(&format!("{name}_pool"), x, window)?;
    sequence(b, &format!("{name}_pool_proj"), x, &[projection])
}

/// The average pooling of the modules; TensorFlow's counts only what is there, today's files of v3 the padding too.
pub(super) fn smoothing(count_include_pad: bool) -> Pool {
    Pool { count_include_pad, ..pool(3, 1, 1) }
}

/// A module that halves the image: strided branches beside an unpadded max pooling.
pub(super) fn reduction(b: &mut Builder, name: &str, x: TensorId, all: &[&[ConvLayer]]) -> Layer {
    let mut parts = branches(b, name, x, all)?;
    parts.push(b.max_pool(&format!("{name}_pool"), x, pool(3, 2, 0))?);
    b.concat(name, &parts)
}

/// A 1×3 and a 3×1 beside each other on one input.
pub(super) fn fork(
    b: &mut Builder,
    name: &str,
    x: TensorId,
    scale: Scale,
    channels: usize,
) -> Result<[TensorId; 2], ShapeError> {
    let flat = sequence(b, &format!("{name}_1x3"), x, &[scale.rect(channels, 1, 3)])?;
    let tall = sequence(b, &format!("{name}_3x1"), x, &[scale.rect(channels, 3, 1)])?;
    Ok([flat, tall])
}
