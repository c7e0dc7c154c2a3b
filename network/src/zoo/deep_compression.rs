//! AlexNet as Deep Compression leaves it (Han 2015, table 4): pruned to a share of its weights, which then share 256 values a layer in convolutions and 32
//! in fully connected layers. Geometry, counts and names are `alexnet`'s; positions that are 0 count as parameters.

use super::{Entry, Scale, alexnet};
use crate::graph::Graph;
use crate::shape::ShapeError;
use crate::tensor::{Data, Distribution};

pub(super) const ENTRIES: &[Entry] = &[Entry {
    name: "deep-compression-alexnet",
    paper: "Han 2015, Deep Compression: Compressing Deep Neural Networks with Pruning, Trained Quantization and Huffman Coding",
    variant: "AlexNet, pruned weights that share values",
    input: [3, 227, 227],
    small_input: 67,
    macs: 724_406_816,
    parameters: 60_965_224,
    family: build,
}];

/// Share of each layer's weights that is left, and how many values they have.
const LAYERS: [(&str, f32, u16); 8] = [
    ("conv1", 0.84, 256),
    ("conv2", 0.38, 256),
    ("conv3", 0.35, 256),
    ("conv4", 0.37, 256),
    ("conv5", 0.37, 256),
    ("fc6", 0.09, 32),
    ("fc7", 0.09, 32),
    ("fc8", 0.25, 32),
];

fn build(name: &str, scale: Scale) -> Result<Graph, ShapeError> {
    let mut graph = alexnet::build_grouped(name, scale)?;
    for (layer, density, levels) in LAYERS {
        let weights = format!("{layer}_weight");
        for tensor in graph.tensors.iter_mut().filter(|tensor| tensor.name == weights) {
            let inputs: usize = tensor.shape[1..].iter().product();
            // He's deviation for the inputs that are left.
            let std = (2.0 / (density * inputs as f32)).sqrt();
            tensor.data = Some(Data::Seeded { distribution: Distribution::Pruned { std, density, levels } });
        }
    }
    Ok(graph)
}
