//! The tiling of a convolution on the array: a dataflow, output tiles × chunks of output channels (× parts of input channels).
//!
//! A *chunk* is the output channels whose sums lie in one half of the accumulators; its weights are loaded together. A *part* is the input channels of
//! a chunk that are on chip at once, and the kernel rows whose weights are: all of them (`shared` input) or a slice loaded for the chunk alone. Groups narrower than the array are merged
//! into block-diagonal tiles; wider ones are convolutions of their own. Each dataflow of the machine is searched by itself (`search`, which places the
//! `chunks`), and the one that `cost` finds cheapest is kept.

use systole_machine::isa::WeightFormat;
use systole_machine::spec::{Dataflow, Machine};

use crate::layers::{Dims, Window};
use crate::mapping::SpatialTile;

mod chunks;
mod cost;
mod place;
mod search;
mod spread;

pub use place::Placement;
pub use spread::{Side, Spread};

/// Input channels of a chunk that are on chip at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// First input channel and how many.
    pub channels: (usize, usize),
    /// First kernel row and how many.
    pub kernel_rows: (usize, usize),
    /// Folds per block (M-5).
    pub folds: usize,
    /// Bytes of its weight tiles.
    pub weight_bytes: u64,
    /// Where they start, from the layer's first weight byte in DRAM.
    pub weight_offset: u64,
}

impl Part {
    /// Input rows of the tile above the first that this part's kernel rows can see, and the padding rows above that one.
    pub fn rows_under(&self, window: &Window, tile: &SpatialTile) -> (usize, usize) {
        let first = self.kernel_rows.0 * window.dilation[0];
        (first.saturating_sub(tile.pad[0]), tile.pad[0].saturating_sub(first))
    }
}

/// Output channels computed together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// First output channel and how many.
    pub outputs: (usize, usize),
    /// Accumulator blocks.
    pub blocks: usize,
    /// Output channels in a block: at most C weight- and output-stationary; input-stationary the N of M-5, and every block has as many.
    pub block_channels: usize,
    /// Input channels that one block reads after the other's (0 when all read the same).
    pub block_step: usize,
    /// Channels per tap of a block's run.
    pub run_channels: usize,
    /// In order of accumulation.
    pub parts: Vec<Part>,
}

/// How a convolution runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConvMapping {
    /// What stays in the array.
    pub dataflow: Dataflow,
    /// Output rows and columns of a tile.
    pub tile: [usize; 2],
    /// All chunks.
    pub chunks: Vec<Chunk>,
    /// The input tile holds all channels and serves all chunks.
    pub shared: bool,
    /// One run covers all taps of a kernel row.
    pub packed: bool,
    /// The output region holds all channels of a tile and is stored once.
    pub whole_output: bool,
    /// The arrays that share the work.
    pub spread: Spread,
    /// How weights are stored.
    pub weight_format: WeightFormat,
    /// Bytes of all weight tiles.
    pub weight_bytes: u64,
    /// Bytes of an input, output and parameter region.
    pub region_bytes: [u64; 3],
    /// Where everything lies on chip.
    pub place: Placement,
    /// The search's estimate.
    pub cycles: u64,
}

/// Q of M-5: elements of a chunk of the reduction.
pub fn chunk_elements(machine: &Machine, dataflow: Dataflow) -> usize {
    let width = machine.array.dot_product_width as usize;
    match dataflow {
        Dataflow::OutputStationary => width,
        Dataflow::WeightStationary | Dataflow::InputStationary => machine.array.rows as usize * width,
    }
}

/// Accumulator vectors of one block over this many output pixels (M-9).
pub fn block_vectors(machine: &Machine, dataflow: Dataflow, block_channels: usize, pixels: usize) -> u64 {
    match dataflow {
        Dataflow::WeightStationary | Dataflow::OutputStationary => pixels as u64,
        Dataflow::InputStationary => (pixels.div_ceil(machine.array.columns as usize) * block_channels) as u64,
    }
}

/// What the search is about.
#[derive(Clone, Copy, Debug)]
pub struct Problem<'a> {
    /// The machine.
    pub machine: &'a Machine,
    /// Window.
    pub window: &'a Window,
    /// Groups.
    pub groups: usize,
    /// Input `[n, h, w, c]`.
    pub input: Dims,
    /// Output.
    pub output: Dims,
    /// Bytes of an element of the input and of the output.
    pub element_bytes: [usize; 2],
    /// Whether elements are bits (M-14); `element_bytes` is 1 then.
    pub bits: [bool; 2],
    /// How weights are stored.
    pub weight_format: WeightFormat,
    /// Pixels of the output do not lie side by side in DRAM.
    pub scattered: bool,
}

impl Problem<'_> {
    /// Bytes of so many channels of a pixel of the input (0) or the output (1), whole ones.
    fn pixel_bytes(&self, side: usize, channels: usize) -> usize {
        if self.bits[side] { channels.div_ceil(8) } else { channels * self.element_bytes[side] }
    }

    /// Whether channels begin at a byte.
    fn aligned(&self, side: usize, channel: usize) -> bool {
        !self.bits[side] || channel.is_multiple_of(8)
    }

    /// Bits whose rate the array has (M-14).
    fn width_bits(&self) -> u32 {
        if self.element_bytes[0] == 2 { 16 } else { self.weight_format.bits() }
    }

    /// The cheapest mapping of all dataflows that the machine lists; the first listed of equals.
    ///
    /// Returns `None` when not even one pixel × one block × one fold fits.
    pub fn search(&self) -> Option<ConvMapping> {
        let mut best = None;
        for &dataflow in &self.machine.array.dataflows {
            keep_better(&mut best, search::Search { problem: self, dataflow }.best());
        }
        best
    }
}

/// The first of equals stays, so that the result does not depend on anything but the order of the search.
fn keep_better(best: &mut Option<ConvMapping>, candidate: Option<ConvMapping>) {
    if let Some(candidate) = candidate
        && best.as_ref().is_none_or(|best| candidate.cycles < best.cycles)
    {
        *best = Some(candidate);
    }
}
