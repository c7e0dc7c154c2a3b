//! Layers → tilings. One file a family; what they share stands here: on-chip regions and the cost of DMA.
//!
//! The searches use the timing rules of `docs/timing.md` in closed form (T-5 to T-7) and leave out port conflicts and queue waits: a mapping
//! only has to be good, the simulator says how good.

use systole_machine::spec::{Buffer, Machine};

pub mod conv;
pub mod repeats;
pub(crate) mod resize;
pub(crate) mod taps;
pub mod vector;

pub use conv::{Chunk, ConvMapping, Part};
pub use vector::VectorMapping;

/// What a piece of work costs beside its own cycles, about: fetching its instructions, tokens, the latency of its first burst.
pub(crate) const ITEM_CYCLES: u64 = 64;

/// Places regions of these sizes into a buffer: each on banks of its own while there are enough, otherwise one after the other.
/// `None` when they do not fit.
pub fn place_regions(buffer: &Buffer, sizes: &[u64]) -> Option<Vec<u64>> {
    let bank = buffer.bank_bytes();
    let in_banks: u64 = sizes.iter().map(|size| size.div_ceil(bank) * bank).sum();
    let step = |size: u64| if in_banks <= buffer.capacity_bytes { size.div_ceil(bank) * bank } else { size };
    let mut next = 0;
    let mut addresses = Vec::with_capacity(sizes.len());
    for &size in sizes {
        addresses.push(next);
        next += step(size);
    }
    (next <= buffer.capacity_bytes).then_some(addresses)
}

/// Bursts of `rows` rows of `row_bytes`, about: rows that are no multiple of a burst touch one more.
pub fn bursts(machine: &Machine, rows: u64, row_bytes: u64) -> u64 {
    let burst = u64::from(machine.dram.burst_bytes());
    let ragged = u64::from(!row_bytes.is_multiple_of(burst) && rows > 1);
    rows * (row_bytes.div_ceil(burst) + ragged)
}

/// Bus cycles of that many bursts; a banked DRAM counts with its peak.
pub fn bus_cycles(machine: &Machine, bursts: u64) -> u64 {
    let Some(bandwidth) = machine.dram.bandwidth_bytes_per_s() else { return bursts };
    let bytes = u128::from(bursts) * u128::from(machine.dram.burst_bytes());
    let cycles = bytes * u128::from(machine.clock_hz) / u128::from(bandwidth);
    u64::try_from(cycles).unwrap_or(u64::MAX).max(bursts)
}

/// The tile of an image that one step works on, in output coordinates, and the input under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpatialTile {
    /// First output row and column.
    pub out: [usize; 2],
    /// Output rows and columns.
    pub out_size: [usize; 2],
    /// First input row and column present.
    pub input: [usize; 2],
    /// Input rows and columns present.
    pub in_size: [usize; 2],
    /// Rows above and columns left of the input tile that the first window covers: padding. A tile whose windows see nothing but padding
    /// has an input of one row (column), all windows above (left of) it.
    pub pad: [usize; 2],
}

/// Cuts an output image into tiles of at most `size`, row by row. A tile whose windows see padding alone has a line of the image that none of them reaches.
pub fn spatial_tiles(
    window: &crate::layers::Window,
    in_image: [usize; 2],
    out_image: [usize; 2],
    size: [usize; 2],
) -> Vec<SpatialTile> {
    let cut = |axis: usize| -> Vec<(usize, usize, usize, usize, usize)> {
        (0..out_image[axis])
            .step_by(size[axis])
            .map(|first| {
                let outputs = size[axis].min(out_image[axis] - first);
                let start = (first * window.stride[axis]) as i64 - window.pads[axis] as i64;
                let end = start + window.span(axis, outputs) as i64;
                let [from, to] = [start.max(0), end.min(in_image[axis] as i64)];
                if from < to {
                    return (first, outputs, from as usize, (to - from) as usize, (from - start) as usize);
                }
                // Padding alone: windows are set wholly above (left of) a row that stands for the image.
                (first, outputs, in_image[axis] - 1, 1, window.span(axis, outputs))
            })
            .collect()
    };
    let columns = cut(1);
    cut(0)
        .into_iter()
        .flat_map(|row| {
            columns.iter().map(move |column| SpatialTile {
                out: [row.0, column.0],
                out_size: [row.1, column.1],
                input: [row.2, column.2],
                in_size: [row.3, column.3],
                pad: [row.4, column.4],
            })
        })
        .collect()
}

/// Largest input rows and columns of any tile of this size.
pub fn input_extent(window: &crate::layers::Window, in_image: [usize; 2], size: [usize; 2]) -> [usize; 2] {
    [0, 1].map(|axis| window.span(axis, size[axis]).min(in_image[axis]))
}

/// Tile edges to try: the whole, its near-equal divisions, and 1.
pub fn edges(whole: usize) -> Vec<usize> {
    let mut edges: Vec<usize> = (1..=whole.min(64)).map(|parts| whole.div_ceil(parts)).collect();
    edges.push(1);
    edges.dedup();
    edges
}
