//! Deformable ConvNets (Dai 2017): ResNet-50 v1 with the last stage at stride 1 (so that the whole network strides by 16) and dilation 2, and its three 3×3
//! convolutions deformable. The offsets of each are a 3×3 convolution of the same window with bias, two for each of nine taps, one offset
//! group. The skeleton is that of [`super::resnet`].
//!
//! Multiply-accumulates: those of ResNet-50, 3 857 973 248; the last stage on 14×14 in place of 7×7 pixels, 147 · 14 942 208 more; offsets, 3 · 196 · 18 · 4608.
//! Parameters: 25 557 032 and 3 · (18 · 4608 + 18).

use super::{Entry, resnet};

pub(super) const ENTRIES: &[Entry] = &[Entry {
    name: "deformable-resnet-50",
    paper: "Dai 2017, Deformable Convolutional Networks",
    variant: "3×3 of the last stage, stride 16, dilation 2",
    input: [3, 224, 224],
    small_input: 32,
    macs: 6_103_248_896,
    parameters: 25_805_918,
    family: resnet::build,
}];
