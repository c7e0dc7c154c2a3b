//! The tilings of bilinear resizing: a tile has the lines of the image on both sides of its own.

use systole_machine::spec::Machine;
use systole_network::op::Resize;

use crate::layers::Dims;
use crate::layers::resize::lines;
use crate::mapping::taps::{rate, tile_count, tiles};
use crate::mapping::{ITEM_CYCLES, SpatialTile, VectorMapping, bursts, bus_cycles, edges, place_regions};

/// First line, and lines, that some of an axis's outputs read.
fn reached(lines: &[[usize; 2]]) -> (usize, usize) {
    let first = lines.iter().map(|line| line[0]).min().unwrap_or(0);
    let last = lines.iter().map(|line| line[1]).max().unwrap_or(first);
    (first, last - first + 1)
}

/// First output, outputs, first line, lines.
type Stretch = [usize; 4];

fn stretches(lines: &[[usize; 2]], edge: usize) -> Vec<Stretch> {
    let starts = (0..lines.len()).step_by(edge);
    let stretch = |(outputs, first): (&[[usize; 2]], usize)| {
        let (line, count) = reached(outputs);
        [first, outputs.len(), line, count]
    };
    lines.chunks(edge).zip(starts).map(stretch).collect()
}

/// The tiles of a result, row by row, each with the part of the image that it reads.
pub(crate) fn resized_tiles(resize: &Resize, image: [usize; 2], size: [usize; 2]) -> Vec<SpatialTile> {
    let [rows, columns] = lines(resize, image);
    let (rows, columns) = (stretches(&rows, size[0]), stretches(&columns, size[1]));
    let tile = |row: &Stretch, column: &Stretch| {
        let [out, out_size, input, in_size] = [0, 1, 2, 3].map(|k: usize| [row[k], column[k]]);
        SpatialTile { out, out_size, input, in_size, pad: [0; 2] }
    };
    rows.iter().flat_map(|row| columns.iter().map(move |column| tile(row, column))).collect()
}

/// A layer that resizes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resizing<'a> {
    pub(crate) machine: &'a Machine,
    pub(crate) resize: &'a Resize,
    /// `[n, h, w, c]`.
    pub(crate) input: Dims,
    /// `[n, h, w, c]`.
    pub(crate) output: Dims,
    /// Of x and the result.
    pub(crate) element_bytes: [u64; 2],
}

impl Resizing<'_> {
    fn place(&self, lines: &[Vec<[usize; 2]>; 2], tile: [usize; 2], channels: usize) -> Option<VectorMapping> {
        let most = |axis: usize| stretches(&lines[axis], tile[axis]).iter().map(|stretch| stretch[3]).max();
        let extent = [most(0).unwrap_or(1), most(1).unwrap_or(1)];
        let [of_a, of_out] = self.element_bytes;
        let a = (extent[0] * extent[1] * channels) as u64 * of_a;
        let out = (tile[0] * tile[1] * channels) as u64 * of_out;
        let buffer = &self.machine.activation;
        let regions = match place_regions(buffer, &[a, a, out, out]) {
            Some(at) => [[at[0], at[1]], [0; 2], [0; 2], [at[2], at[3]]],
            None => {
                let at = place_regions(buffer, &[a, out])?;
                [[at[0]; 2], [0; 2], [0; 2], [at[1]; 2]]
            }
        };
        let region_bytes = [a, 0, 0, out];
        let mut mapping = VectorMapping { tile, channels, regions, region_bytes, cycles: 0, array_cycles: None };
        mapping.cycles = self.cost(&mapping, extent);
        Some(mapping)
    }

    fn cost(&self, mapping: &VectorMapping, extent: [usize; 2]) -> u64 {
        let (machine, channels) = (self.machine, mapping.channels as u64);
        let dma = |size: [usize; 2], image: Dims, element: u64| {
            let [rows, columns] = size.map(|edge| edge as u64);
            match (mapping.channels == image[3], size[1] == image[2]) {
                (true, true) => bursts(machine, 1, rows * columns * channels * element),
                (true, false) => bursts(machine, rows, columns * channels * element),
                (false, _) => bursts(machine, rows * columns, channels * element),
            }
        };
        let [of_a, of_out] = self.element_bytes;
        let moved = dma(extent, self.input, of_a) + dma(mapping.tile, self.output, of_out);
        let bus = bus_cycles(machine, moved) + ITEM_CYCLES;
        let pixels = (mapping.tile[0] * mapping.tile[1]) as u64;
        let runs = 4 * pixels * channels.div_ceil(rate(machine, &self.element_bytes));
        let work = runs + u64::from(machine.vector.latency_cycles) + ITEM_CYCLES;
        let pieces = tile_count([self.output[1], self.output[2]], mapping.tile)
            * (self.output[3].div_ceil(mapping.channels)) as u64;
        match mapping.regions[0][0] == mapping.regions[0][1] {
            true => pieces * (bus + work),
            false => pieces * bus.max(work) + bus + work,
        }
    }

    /// The best tiling found; `None` when not even the smallest tile fits.
    pub(crate) fn search(&self) -> Option<VectorMapping> {
        let lines = lines(self.resize, [self.input[1], self.input[2]]);
        let tiles = tiles([self.output[1], self.output[2]]);
        // Pixels of all channels are the longest runs; slices are for when they do not fit.
        edges(self.output[3]).into_iter().find_map(|channels| {
            let all = tiles.iter().filter_map(|&tile| self.place(&lines, tile, channels));
            all.min_by_key(|mapping| mapping.cycles)
        })
    }
}

#[cfg(test)]
mod tests {
    use systole_network::op::{Coordinates, Interpolation};

    use super::*;

    #[test]
    fn tiles_hold_the_lines_beside_theirs() {
        let coordinates = Coordinates::HalfPixel;
        let resize = Resize { size: [8, 2], scale: [2.0, 0.5], coordinates, interpolation: Interpolation::Linear };
        // Rows −¼, ¼, ¾, 1¼, 1¾, 2¼, 2¾, 3¼ of 4, columns ½ and 2½ of 4.
        let tiles = resized_tiles(&resize, [4, 4], [3, 2]);
        let rows: Vec<_> = tiles.iter().map(|t| [t.out[0], t.out_size[0], t.input[0], t.in_size[0]]).collect();
        assert_eq!(rows, [[0, 3, 0, 2], [3, 3, 1, 3], [6, 2, 2, 2]]);
        assert!(tiles.iter().all(|t| (t.input[1], t.in_size[1]) == (0, 4)));
        assert_eq!(resized_tiles(&resize, [4, 4], [8, 1])[1].input, [0, 2]);
    }
}
