//! The tiling of a layer of the vector unit: output tiles of rows × columns × channels, with the operands' regions in the activation buffer.

use systole_machine::spec::Machine;

use crate::layers::{Dims, Window};
use crate::mapping::repeats::{Repeats, by_elements};
use crate::mapping::{ITEM_CYCLES, bursts, bus_cycles, edges, input_extent, place_regions};

/// The most rows of an instruction.
const MAX_ROWS: usize = (1 << 16) - 1;

/// How a vector layer runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VectorMapping {
    /// Output rows and columns of a tile.
    pub tile: [usize; 2],
    /// Channels of a tile.
    pub channels: usize,
    /// Activation buffer addresses: first operand, second operand, parameters, output; two each, equal when there is only room for one.
    pub regions: [[u64; 2]; 4],
    /// Bytes of those regions.
    pub region_bytes: [u64; 4],
    /// The search's estimate.
    pub cycles: u64,
    /// Of a depthwise convolution, what the array would have taken; `None` also where it cannot.
    pub array_cycles: Option<u64>,
}

/// What the search is about.
#[derive(Clone, Copy, Debug)]
pub struct Problem<'a> {
    /// The machine.
    pub machine: &'a Machine,
    /// Window (one tap for element-wise layers).
    pub window: &'a Window,
    /// Input `[n, h, w, c]`.
    pub input: Dims,
    /// Output, `c` being the layer's own channels.
    pub output: Dims,
    /// A second activation is read.
    pub second: bool,
    /// Along what it and the first one repeat.
    pub repeats: [Repeats; 2],
    /// Bytes of an element of the first operand, the second, and the output.
    pub element_bytes: [u64; 3],
    /// Whether elements of the output are bits (M-14); their `element_bytes` are 1 then.
    pub bits_out: bool,
    /// Bytes of parameters that are read a channel.
    pub channel_bytes: u64,
    /// Bytes of parameters for all channels together: a table.
    pub common_bytes: u64,
    /// Tensors of the input's shape that are summed; with more than one, eight bytes of parameters each are read.
    pub tensors: usize,
    /// All channels of a pixel are needed at once.
    pub all_channels: bool,
    /// Operations per element.
    pub work: u64,
    /// `ve.depthwise`: `work` is the taps, and channels go in turns.
    pub depthwise: bool,
}

impl Problem<'_> {
    fn place(&self, tile: [usize; 2], channels: usize) -> Option<VectorMapping> {
        let extent = input_extent(self.window, [self.input[1], self.input[2]], tile);
        let elements =
            |repeats: Repeats| (repeats.size(extent).iter().product::<usize>() * repeats.channels_of(channels)) as u64;
        let [of_a, of_b, of_output] = self.element_bytes;
        let region_bytes = [
            self.tensors as u64 * elements(self.repeats[0]) * of_a,
            if self.second { elements(self.repeats[1]) * of_b } else { 0 },
            match () {
                () if self.tensors > 1 => 8 * self.tensors as u64,
                () => self.common_bytes + self.channel_bytes * channels as u64,
            },
            (tile[0] * tile[1]) as u64
                * if self.bits_out { channels.div_ceil(8) as u64 } else { channels as u64 * of_output },
        ];
        let buffer = &self.machine.activation;
        let twice: Vec<u64> = region_bytes.iter().flat_map(|&bytes| [bytes, bytes]).collect();
        let regions = match place_regions(buffer, &twice) {
            Some(a) => [[a[0], a[1]], [a[2], a[3]], [a[4], a[5]], [a[6], a[7]]],
            None => {
                let a = place_regions(buffer, &region_bytes)?;
                [[a[0]; 2], [a[1]; 2], [a[2]; 2], [a[3]; 2]]
            }
        };
        let mut mapping = VectorMapping { tile, channels, regions, region_bytes, cycles: 0, array_cycles: None };
        mapping.cycles = self.cost(&mapping);
        Some(mapping)
    }

    fn cost(&self, mapping: &VectorMapping) -> u64 {
        let machine = self.machine;
        let tiles = (self.output[1].div_ceil(mapping.tile[0])
            * self.output[2].div_ceil(mapping.tile[1])
            * self.output[3].div_ceil(mapping.channels)) as u64;
        let whole = mapping.channels == self.output[3];
        let dma = |bytes: u64, pixel: u64| {
            if bytes == 0 {
                0
            } else if whole {
                bursts(machine, 1, bytes)
            } else {
                bursts(machine, bytes / pixel, pixel)
            }
        };
        let [a, b, p, out] = mapping.region_bytes;
        let [of_a, of_b, of_output] = self.element_bytes;
        let channels = mapping.channels as u64;
        let [pixel_a, pixel_b] = self.repeats.map(|repeats| repeats.channels_of(mapping.channels) as u64);
        let load = bus_cycles(machine, dma(a, pixel_a * of_a) + dma(b, pixel_b * of_b) + p.div_ceil(64));
        let out_pixel = if self.bits_out { channels.div_ceil(8) } else { channels * of_output };
        let store = bus_cycles(machine, dma(out, out_pixel));
        let widest = of_a.max(of_b).max(of_output) as u32;
        let lanes = u64::from(machine.vector.lanes.min(machine.activation.port_bytes / widest).max(1));
        let elements = (mapping.tile[0] * mapping.tile[1]) as u64 * channels;
        let work = if self.depthwise {
            self.turns(elements / channels, channels, lanes)
        } else {
            (elements * self.work).div_ceil(lanes)
        };
        let work = work + u64::from(machine.vector.latency_cycles);
        let bus = load + store + ITEM_CYCLES;
        let work = work + ITEM_CYCLES;
        if mapping.regions[0][0] == mapping.regions[0][1] {
            tiles * (bus + work)
        } else {
            tiles * bus.max(work) + load + store + work
        }
    }

    /// T-6 of `ve.depthwise` without the latency.
    fn turns(&self, pixels: u64, channels: u64, lanes: u64) -> u64 {
        let aw = u64::from(self.machine.activation.port_bytes);
        let results = u64::from(self.machine.vector.requantise_per_cycle).min(aw / self.element_bytes[2]).max(1);
        let turn = |n: u64| (self.channel_bytes * n).div_ceil(aw) + pixels * self.work.max(n.div_ceil(results));
        let rest = channels % lanes;
        channels / lanes * turn(lanes) + if rest > 0 { turn(rest) } else { 0 }
    }

    /// The best tiling found; `None` when not even the smallest tile fits.
    pub fn search(&self) -> Option<VectorMapping> {
        let mut best: Option<VectorMapping> = None;
        let channel_choices = if self.all_channels { vec![self.output[3]] } else { edges(self.output[3]) };
        for &channels in &channel_choices {
            if channels != self.output[3] && best.is_some() {
                break;
            }
            let mut tiles: Vec<[usize; 2]> =
                edges(self.output[1]).into_iter().map(|rows| [rows, self.output[2]]).collect();
            tiles.extend(edges(self.output[2]).into_iter().map(|columns| [1, columns]));
            let aligned = !self.bits_out || channels == self.output[3] || channels.is_multiple_of(8);
            // By elements, rows of the instruction are pixels.
            let fits = |tile: &[usize; 2]| !by_elements(self.repeats) || tile[0] * tile[1] <= MAX_ROWS;
            for tile in tiles.into_iter().filter(|tile| aligned && fits(tile)) {
                if let Some(candidate) = self.place(tile, channels)
                    && best.as_ref().is_none_or(|best| candidate.cycles < best.cycles)
                {
                    best = Some(candidate);
                }
            }
        }
        best
    }
}
