//! The context module of "Multi-Scale Context Aggregation by Dilated Convolutions" (Yu 2016): 3×3 convolutions whose dilation doubles from
//! layer to layer, on a map of 21 scores that a VGG-16 front end gives; the result has the map's size.
//!
//! `dilated-context` is the large form of the authors' PASCAL VOC file: a map of 66×66, padded once by 33 in front of the first layer, which the
//! later, unpadded layers use up. `dilated-context-basic` is the basic form of the paper's table 1 on 64×64, each layer padded by its dilation.

use super::builder::{Builder, conv};
use super::{Entry, Scale};
use crate::graph::Graph;
use crate::shape::ShapeError;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        name: "dilated-context",
        paper: PAPER,
        variant: "large, PASCAL VOC, 66×66 front-end map",
        input: [CLASSES, 66, 66],
        small_input: 34,
        macs: 34_833_753_864,
        parameters: 6_803_139,
        family: build,
    },
    Entry {
        name: "dilated-context-basic",
        paper: PAPER,
        variant: "basic, 64×64 front-end map",
        input: [CLASSES, 64, 64],
        small_input: 32,
        macs: 115_605_504,
        parameters: 28_392,
        family: build,
    },
];

const PAPER: &str = "Yu 2016, Multi-Scale Context Aggregation by Dilated Convolutions";

/// Classes of PASCAL VOC and the background.
const CLASSES: usize = 21;

/// The paper's table 1: dilation of each 3×3, and channels over the classes in the large form.
const LAYERS: [(usize, usize); 7] = [(1, 2), (1, 2), (2, 4), (4, 8), (8, 16), (16, 32), (1, 32)];

/// What all layers take off a map that only the first pads: half of the receptive field of 67.
const MARGIN: usize = 33;

fn build(name: &str, scale: Scale) -> Result<Graph, ShapeError> {
    let large = name == "dilated-context";
    let (mut b, input) = Builder::new(name, [CLASSES, scale.input_size, scale.input_size]);
    let mut x = input;
    for (number, (dilation, factor)) in (1..).zip(LAYERS) {
        let channels = scale.width(CLASSES * if large { factor } else { 1 });
        let pad = match (large, number) {
            (false, _) => dilation,
            (true, 1) => MARGIN,
            (true, _) => 0,
        };
        x = b.conv_relu(&format!("context{number}"), x, conv(channels, 3).dilation(dilation).pad(pad))?;
    }
    let scores = b.conv("context8", x, conv(CLASSES, 1))?;
    Ok(b.finish(scores))
}
