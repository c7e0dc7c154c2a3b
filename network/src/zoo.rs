//! The built-in networks: float, in the imported form, with seeded constants (their values are drawn on demand by [`crate::seed`]).
//!
//! One file a family, each a plain reading of its paper's table by the small `builder`; where variants exist the file says which. Its
//! entries state what the published definition amounts to. Weights are
//! He-normal, batch norm statistics are drawn near those of trained networks, so that activations keep a sensible range
//! from input to output; nothing here has been trained.

use std::sync::LazyLock;

use crate::graph::Graph;
use crate::shape::ShapeError;

mod alexnet;
mod binary;
mod builder;
mod deconvnet;
mod deep_compression;
mod deformable;
mod densenet;
mod dilated;
mod fcn;
mod googlenet;
mod inception;
mod inception_resnet;
mod inception_v2;
mod inception_v3;
mod inception_v4;
mod lenet;
mod mobilenet;
mod nas;
mod nin;
mod resnet;
mod resnet_v2;
mod shufflenet;
mod sppnet;
mod squeezenet;
mod vgg;
mod xception;

/// Square input images, and how much narrower than published the layers are.
#[derive(Clone, Copy, Debug)]
struct Scale {
    width_divisor: usize,
    input_size: usize,
}

impl Scale {
    /// Channels of a layer that has `published` of them in the paper.
    fn width(self, published: usize) -> usize {
        (published / self.width_divisor.max(1)).max(1)
    }
}

/// A network of the zoo: where it comes from, and what the published definition amounts to.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The name after `zoo:`.
    pub name: &'static str,
    /// First author, year and title.
    pub paper: &'static str,
    /// Which variant, where several exist.
    pub variant: &'static str,
    /// `[c, h, w]` of the input.
    pub input: [usize; 3],
    /// Side of a small square input with which [`build_scaled`] works, for tests.
    pub small_input: usize,
    /// Multiply-accumulates of convolutions and fully connected layers, batch 1.
    pub macs: u64,
    /// Learnable parameters.
    pub parameters: u64,
    family: fn(&str, Scale) -> Result<Graph, ShapeError>,
}

/// All networks, family by family, in the order in which `systole zoo` lists them.
static ENTRIES: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    [
        lenet::ENTRIES,
        alexnet::ENTRIES,
        nin::ENTRIES,
        vgg::ENTRIES,
        googlenet::ENTRIES,
        inception_v2::ENTRIES,
        inception_v3::ENTRIES,
        inception_v4::ENTRIES,
        inception_resnet::ENTRIES,
        xception::ENTRIES,
        resnet::ENTRIES,
        resnet_v2::ENTRIES,
        densenet::ENTRIES,
        squeezenet::ENTRIES,
        mobilenet::ENTRIES,
        shufflenet::ENTRIES,
        nas::ENTRIES,
        sppnet::ENTRIES,
        fcn::ENTRIES,
        dilated::ENTRIES,
        deformable::ENTRIES,
        deconvnet::ENTRIES,
        deep_compression::ENTRIES,
        binary::ENTRIES,
    ]
    .concat()
});

/// Every network of the zoo.
pub fn entries() -> &'static [Entry] {
    &ENTRIES
}

/// Their names.
pub fn names() -> Vec<&'static str> {
    ENTRIES.iter().map(|entry| entry.name).collect()
}

/// The network of that name as published, batch 1; `None` when there is none.
pub fn build(name: &str) -> Option<Graph> {
    let entry = ENTRIES.iter().find(|entry| entry.name == name)?;
    build_scaled(name, 1, entry.input[1])
}

/// The network with its hidden layers `width_divisor` times narrower and square inputs of `input_size`, for tests: the same structure
/// with less work. The number of classes stays. `None` when there is no such network or the input is too small for it.
pub fn build_scaled(name: &str, width_divisor: usize, input_size: usize) -> Option<Graph> {
    let entry = ENTRIES.iter().find(|entry| entry.name == name)?;
    (entry.family)(name, Scale { width_divisor, input_size }).ok()
}

#[cfg(test)]
mod tests;
