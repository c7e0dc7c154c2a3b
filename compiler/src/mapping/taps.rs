//! The tilings of layers that deal in single taps: samples of a whole image, and unpooling.
//!
//! Offsets may point anywhere, so that a sampled image is on chip whole, in slices of channels where all do not fit. An unpooled tile reads
//! every window that can point into it; windows over the edge of two tiles are read for both.

use systole_machine::spec::Machine;

use crate::layers::{Dims, Sample, Window};
use crate::mapping::{ITEM_CYCLES, VectorMapping, bursts, bus_cycles, edges, place_regions};

/// Pixels of a tile of samples at most: planes of a store.
const MAX_PIXELS: usize = 65_535;

/// First channel and channels of slices of at most `most` channels, each within one of `groups` groups.
pub(crate) fn slices(channels: usize, groups: usize, most: usize) -> Vec<(usize, usize)> {
    let group = channels / groups.max(1);
    let of_group = |first: usize| (0..group).step_by(most.max(1)).map(move |at| (first + at, most.min(group - at)));
    (0..channels).step_by(group.max(1)).flat_map(of_group).collect()
}

/// Elements that the vector unit takes in a cycle.
pub(super) fn rate(machine: &Machine, element_bytes: &[u64]) -> u64 {
    let widest = element_bytes.iter().copied().max().unwrap_or(1) as u32;
    u64::from(machine.vector.lanes.min(machine.activation.port_bytes / widest).max(1))
}

/// Tiles of whole rows, or of parts of one row.
pub(super) fn tiles(image: [usize; 2]) -> Vec<[usize; 2]> {
    let rows = edges(image[0]).into_iter().map(|rows| [rows, image[1]]);
    rows.chain(edges(image[1]).into_iter().map(|columns| [1, columns])).collect()
}

pub(super) fn tile_count(image: [usize; 2], tile: [usize; 2]) -> u64 {
    (image[0].div_ceil(tile[0]) * image[1].div_ceil(tile[1])) as u64
}

/// Addresses of first operand, second operand and output: all twice, else the smaller ones twice, else all once.
fn regions(machine: &Machine, [a, b, out]: [u64; 3]) -> Option<[[u64; 2]; 4]> {
    let buffer = &machine.activation;
    if let Some(at) = place_regions(buffer, &[a, a, b, b, out, out]) {
        return Some([[at[0], at[1]], [at[2], at[3]], [0; 2], [at[4], at[5]]]);
    }
    if let Some(at) = place_regions(buffer, &[a, b, b, out, out]) {
        return Some([[at[0]; 2], [at[1], at[2]], [0; 2], [at[3], at[4]]]);
    }
    let at = place_regions(buffer, &[a, b, out])?;
    Some([[at[0]; 2], [at[1]; 2], [0; 2], [at[2]; 2]])
}

/// A layer of samples.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Samples<'a> {
    pub(crate) machine: &'a Machine,
    pub(crate) sample: &'a Sample,
    /// `[n, h, w, c]`.
    pub(crate) input: Dims,
    /// `[n, h, w, c · taps]`.
    pub(crate) output: Dims,
    /// Of x, offsets, samples.
    pub(crate) element_bytes: [u64; 3],
}

impl Samples<'_> {
    fn taps(&self) -> usize {
        self.sample.window.kernel[0] * self.sample.window.kernel[1]
    }

    fn place(&self, tile: [usize; 2], channels: usize) -> Option<VectorMapping> {
        let [of_a, of_b, of_out] = self.element_bytes;
        let pixels = tile[0] * tile[1];
        let image = (self.input[1] * self.input[2] * channels) as u64 * of_a;
        let offsets = (pixels * 2 * self.taps() * self.sample.offset_groups) as u64 * of_b;
        let samples = (pixels * self.taps() * channels) as u64 * of_out;
        let regions = regions(self.machine, [image, offsets, samples])?;
        let region_bytes = [image, offsets, 0, samples];
        let mut mapping = VectorMapping { tile, channels, regions, region_bytes, cycles: 0, array_cycles: None };
        mapping.cycles = self.cost(&mapping);
        Some(mapping)
    }

    fn cost(&self, mapping: &VectorMapping) -> u64 {
        let machine = self.machine;
        let [image, offsets, _, samples] = mapping.region_bytes;
        let [of_a, _, of_out] = self.element_bytes;
        let (channels, whole) = (mapping.channels as u64, mapping.channels == self.input[3]);
        let bus = |bursts: u64| bus_cycles(machine, bursts);
        let load = bus(if whole {
            bursts(machine, 1, image)
        } else {
            bursts(machine, image / (channels * of_a), channels * of_a)
        });
        // Samples of a slice, or of a group, are runs apart.
        let run = channels.min((self.input[3] / self.sample.groups.max(1)) as u64) * of_out;
        let dense = whole && self.sample.groups == 1;
        let store = bus(if dense { bursts(machine, 1, samples) } else { bursts(machine, samples / run, run) });
        let tile = bus(bursts(machine, 1, offsets)) + store + ITEM_CYCLES;
        let pixels = (mapping.tile[0] * mapping.tile[1]) as u64;
        let runs = 4 * channels.div_ceil(rate(machine, &self.element_bytes)) + 1;
        let work = pixels * self.taps() as u64 * runs + u64::from(machine.vector.latency_cycles) + ITEM_CYCLES;
        let tiles = tile_count([self.output[1], self.output[2]], mapping.tile);
        let slices = slices(self.input[3], self.sample.offset_groups, mapping.channels).len() as u64;
        // What comes before the first piece of work and after the last one has nothing beside it.
        match mapping.regions[3][0] == mapping.regions[3][1] {
            true => slices * (load + tiles * (tile + work)),
            false => slices * (load + tiles * tile.max(work)) + tile + work,
        }
    }

    /// The best tiling found; `None` when not even one channel of the image fits beside a pixel.
    pub(crate) fn search(&self) -> Option<VectorMapping> {
        let tiles = tiles([self.output[1], self.output[2]]);
        let group = self.input[3] / self.sample.offset_groups.max(1);
        let all = edges(group).into_iter().flat_map(|channels| tiles.iter().map(move |&tile| (tile, channels)));
        let fitting = all.filter(|(tile, _)| tile[0] * tile[1] <= MAX_PIXELS);
        fitting.filter_map(|(tile, channels)| self.place(tile, channels)).min_by_key(|mapping| mapping.cycles)
    }
}

/// The windows along an axis that can point into a stretch of the unpooled image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reach {
    /// First window.
    pub(crate) first: usize,
    /// Windows, at least one.
    pub(crate) count: usize,
    /// Elements of the first window before the stretch.
    pub(crate) pad: usize,
}

/// Those for `count` outputs from `first` on, of `windows` windows.
pub(crate) fn reach(window: &Window, axis: usize, windows: usize, (first, count): (usize, usize)) -> Reach {
    let (extent, stride) = (window.span(axis, 1), window.stride[axis]);
    let start = first + window.pads[axis];
    let mut low = (start + 1).saturating_sub(extent).div_ceil(stride);
    if low * stride > start {
        // A stretch that begins in a gap between windows: the pad of the first one is not negative.
        low -= 1;
    }
    let low = low.min(windows - 1);
    let high = ((start + count - 1) / stride).min(windows - 1);
    let count = high - low + 1;
    let pad = start - low * stride;
    // A lone window that ends before the stretch may do so anywhere.
    Reach { first: low, count, pad: if count == 1 { pad.min(extent) } else { pad } }
}

/// A layer that unpools.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unpooling<'a> {
    pub(crate) machine: &'a Machine,
    pub(crate) window: &'a Window,
    /// `[n, h, w, c]`.
    pub(crate) input: Dims,
    /// `[n, h, w, c]`.
    pub(crate) output: Dims,
    /// Of x, switches, result.
    pub(crate) element_bytes: [u64; 3],
}

impl Unpooling<'_> {
    /// Most windows along an axis that a tile reads.
    fn extent(&self, axis: usize, edge: usize) -> usize {
        let (windows, size) = (self.input[1 + axis], self.output[1 + axis]);
        let tiles = (0..size).step_by(edge).map(|first| (first, edge.min(size - first)));
        tiles.map(|tile| reach(self.window, axis, windows, tile).count).max().unwrap_or(1)
    }

    fn place(&self, tile: [usize; 2], channels: usize) -> Option<VectorMapping> {
        let [of_a, of_b, of_out] = self.element_bytes;
        let windows = (self.extent(0, tile[0]) * self.extent(1, tile[1]) * channels) as u64;
        let out = (tile[0] * tile[1] * channels) as u64 * of_out;
        let regions = regions(self.machine, [windows * of_a, windows * of_b, out])?;
        let region_bytes = [windows * of_a, windows * of_b, 0, out];
        let mut mapping = VectorMapping { tile, channels, regions, region_bytes, cycles: 0, array_cycles: None };
        mapping.cycles = self.cost(&mapping, windows);
        Some(mapping)
    }

    fn cost(&self, mapping: &VectorMapping, windows: u64) -> u64 {
        let machine = self.machine;
        let (channels, whole) = (mapping.channels as u64, mapping.channels == self.output[3]);
        let dma = |bytes: u64, element: u64| match whole {
            true => bursts(machine, 1, bytes),
            false => bursts(machine, bytes / (channels * element), channels * element),
        };
        let [a, b, _, out] = mapping.region_bytes;
        let [of_a, of_b, of_out] = self.element_bytes;
        let bus = bus_cycles(machine, dma(a, of_a) + dma(b, of_b) + dma(out, of_out)) + ITEM_CYCLES;
        let taps = (self.window.kernel[0] * self.window.kernel[1]) as u64;
        let passes = (out / of_out + windows * taps).div_ceil(rate(machine, &self.element_bytes));
        let work = passes + u64::from(machine.vector.latency_cycles) + ITEM_CYCLES;
        let pieces = tile_count([self.output[1], self.output[2]], mapping.tile)
            * (self.output[3].div_ceil(mapping.channels)) as u64;
        match mapping.regions[0][0] == mapping.regions[0][1] {
            true => pieces * (bus + work),
            false => pieces * bus.max(work) + bus + work,
        }
    }

    /// The best tiling found; `None` when not even the smallest tile fits.
    pub(crate) fn search(&self) -> Option<VectorMapping> {
        let tiles = tiles([self.output[1], self.output[2]]);
        let mut best: Option<VectorMapping> = None;
        for channels in edges(self.output[3]) {
            // Rows of all channels are the longest; slices are for when they do not fit.
            if channels != self.output[3] && best.is_some() {
                break;
            }
            let all = tiles.iter().filter_map(|&tile| self.place(tile, channels));
            best = all.min_by_key(|mapping| mapping.cycles);
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_stay_in_their_groups() {
        assert_eq!(slices(6, 2, 2), [(0, 2), (2, 1), (3, 2), (5, 1)]);
        assert_eq!(slices(6, 1, 9), [(0, 6)]);
    }

    /// By looking at every window whether a tap of it lies in the stretch.
    #[test]
    fn every_window_that_points_into_a_stretch_is_in_reach() {
        let (mut gaps, mut overlaps) = (0, 0);
        for (kernel, stride, pad, windows) in
            [(3, 2, 0, 5), (3, 2, 1, 5), (2, 2, 0, 4), (2, 3, 1, 4), (1, 4, 0, 3), (5, 1, 2, 6)]
        {
            let window = Window { kernel: [kernel; 2], stride: [stride; 2], dilation: [1; 2], pads: [pad; 4] };
            for first in 0..(windows - 1) * stride + kernel + 3 - pad {
                for count in 1..7 {
                    let Reach { first: low, count: reached, pad: before } = reach(&window, 0, windows, (first, count));
                    let points = |w: usize, k: usize| (w * stride + k).checked_sub(pad);
                    for w in 0..windows {
                        let seen = (low..low + reached).contains(&w);
                        for k in 0..kernel {
                            let inside = points(w, k).is_some_and(|at| (first..first + count).contains(&at));
                            let local = seen.then(|| ((w - low) * stride + k).checked_sub(before)).flatten();
                            let local = local.filter(|&at| at < count).map(|at| at + first);
                            assert_eq!(local, points(w, k).filter(|_| inside), "{window:?} {first} {count} {w} {k}");
                        }
                    }
                    gaps += usize::from(before >= kernel);
                    overlaps += usize::from(reached > count.div_ceil(stride));
                }
            }
        }
        assert!(gaps > 5 && overlaps > 5);
    }
}
