//! How a tile of a vector layer lies in the activation buffer: the shape and pitches of its instruction (M-6).

use crate::lower::vector::VectorLayer;
use crate::mapping::SpatialTile;
use crate::mapping::repeats::by_elements;

/// Height, width and channels of the instruction, and pitches of rows and pixels for a, b and the output.
pub(crate) struct Layout {
    pub(crate) size: [usize; 2],
    pub(crate) channels: usize,
    pub(crate) pitches: [[u64; 2]; 3],
    /// Bytes of a tile of a, b and the output.
    pub(crate) bytes: [u64; 3],
}

impl Layout {
    pub(crate) fn of(layer: &VectorLayer<'_>, tile: &SpatialTile, channels: usize) -> Layout {
        let places = [&layer.input, layer.second.as_ref().unwrap_or(&layer.input), &layer.output];
        let repeats = [layer.repeats[0], layer.repeats[1], Default::default()];
        let sizes = [repeats[0].size(tile.in_size), repeats[1].size(tile.in_size), tile.out_size];
        let pixels = [0, 1, 2].map(|k: usize| places[k].pixel_bytes(repeats[k].channels_of(channels)));
        let bytes = [0, 1, 2].map(|k: usize| (sizes[k][0] * sizes[k][1]) as u64 * pixels[k]);
        if by_elements(layer.repeats) {
            let pitches = [0, 1, 2].map(|k: usize| {
                let step = if repeats[k].channels { 0 } else { places[k].element_bytes };
                [if repeats[k].pixels.contains(&true) { 0 } else { pixels[k] }, step]
            });
            return Layout { size: [tile.out_size[0] * tile.out_size[1], channels], channels: 1, pitches, bytes };
        }
        let pitches = [0, 1, 2].map(|k: usize| {
            let [rows, columns] = repeats[k].pixels;
            [if rows { 0 } else { sizes[k][1] as u64 * pixels[k] }, if columns { 0 } else { pixels[k] }]
        });
        Layout { size: tile.out_size, channels, pitches, bytes }
    }
}
