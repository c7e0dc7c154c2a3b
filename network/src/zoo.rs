//! The built-in networks: float, in the imported form, with seeded constants (their values are drawn on demand by [`crate::seed`]).
//!
//! One file a family, each a plain reading of its paper's table by the small `builder`; where variants exist the file says which. Weights are
//! He-normal, batch norm statistics are drawn near those of trained networks, so that activations keep a sensible range
//! from input to output; nothing here has been trained.

use crate::graph::Graph;
use crate::shape::ShapeError;

mod builder;
mod lenet;
mod mobilenet;
mod resnet;
mod squeezenet;
mod vgg;

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
    /// Multiply-accumulates of convolutions and fully connected layers, batch 1.
    pub macs: u64,
    /// Learnable parameters.
    pub parameters: u64,
    family: fn(&str, Scale) -> Result<Graph, ShapeError>,
}

/// All networks, in the order in which `systole zoo` lists them.
const ENTRIES: &[Entry] = &[
    Entry {
        name: "lenet-5",
        paper: "LeCun 1998, Gradient-Based Learning Applied to Document Recognition",
        variant: "Caffe's: convolutions of 20 and 50 channels, max pooling, one ReLU",
        input: [1, 28, 28],
        macs: 2_293_000,
        parameters: 431_080,
        family: lenet::build,
    },
    Entry {
        name: "vgg-d",
        paper: "Simonyan 2014, Very Deep Convolutional Networks for Large-Scale Image Recognition",
        variant: "column D (VGG-16)",
        input: [3, 224, 224],
        macs: 15_470_264_320,
        parameters: 138_357_544,
        family: vgg::build,
    },
    Entry {
        name: "resnet-18",
        paper: "He 2015, Deep Residual Learning for Image Recognition",
        variant: "v1, projection shortcuts where the shape changes",
        input: [3, 224, 224],
        macs: 1_814_073_344,
        parameters: 11_689_512,
        family: resnet::build,
    },
    Entry {
        name: "resnet-50",
        paper: "He 2015, Deep Residual Learning for Image Recognition",
        variant: "v1, stride in the first 1×1 of a bottleneck",
        input: [3, 224, 224],
        macs: 3_857_973_248,
        parameters: 25_557_032,
        family: resnet::build,
    },
    Entry {
        name: "squeezenet-1.1",
        paper: "Iandola 2016, SqueezeNet: AlexNet-level accuracy with 50x fewer parameters",
        variant: "1.1, torchvision's form (first 3×3 unpadded, ceil-mode pooling)",
        input: [3, 224, 224],
        macs: 349_151_936,
        parameters: 1_235_496,
        family: squeezenet::build,
    },
    Entry {
        name: "mobilenet-v1",
        paper: "Howard 2017, MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications",
        variant: "width 1.0, ReLU6",
        input: [3, 224, 224],
        macs: 568_740_352,
        parameters: 4_231_976,
        family: mobilenet::build,
    },
];

/// Every network of the zoo.
pub fn entries() -> &'static [Entry] {
    ENTRIES
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
