//! A shuffle of channels (`layers::shuffle`) → runs of `ve.maxpool` with a window of one pixel, which copies: values pass unchanged.
//!
//! Pixels of the tile are rows, the runs of a pixel its columns, so that one instruction moves one offset of all pixels.

use systole_machine::isa::{Operation, VectorOperand};

use crate::error::CompileError;
use crate::layers::Window;
use crate::layers::shuffle::Shuffle;
use crate::lower::field;
use crate::lower::setup::{image_window, pitches, quant, shape};
use crate::schedule::{Access, Step};

/// A tile of dense pixels, at `input`, and where its shuffled copy goes.
pub(crate) struct Tile<'a> {
    pub(crate) layer: u32,
    pub(crate) name: &'a str,
    pub(crate) pixels: usize,
    /// Elements of a pixel.
    pub(crate) channels: usize,
    pub(crate) input: u64,
    pub(crate) output: u64,
    pub(crate) quants: [(systole_network::tensor::DType, i32); 3],
    /// The range of the type.
    pub(crate) range: (i32, i32),
}

pub(crate) fn steps(tile: &Tile<'_>, shuffle: &Shuffle) -> Result<Vec<Step>, CompileError> {
    let name = tile.name;
    let (pixels, count) = (tile.pixels as u64, shuffle.count as u64);
    let element = tile.quants[0].0.bytes() as u64;
    let pixel = tile.channels as u64 * element;
    let [from_step, to_step] = [shuffle.from_step, shuffle.to_step].map(|step| step as u64 * element);
    let setup = vec![
        shape(name, [tile.pixels, shuffle.count], shuffle.run, 0)?,
        pitches(name, VectorOperand::A, pixel, from_step)?,
        pitches(name, VectorOperand::Out, pixel, to_step)?,
        quant(name, tile.quants, tile.range)?,
        image_window(name, &Window::point(), [0; 4], [tile.pixels, shuffle.count])?,
    ];
    let extent = |step: u64| (pixels - 1) * pixel + (count - 1) * step + shuffle.run as u64 * element;
    let one = |&(from, to): &(usize, usize)| {
        let (a, out) = (tile.input + from as u64 * element, tile.output + to as u64 * element);
        let accesses =
            vec![Access::activation(a, extent(from_step), false), Access::activation(out, extent(to_step), true)];
        let run = Operation::VectorMaxPool { a: field(a, name)?, out: field(out, name)? };
        Ok(Step::new(tile.layer, setup.clone(), run, accesses))
    };
    shuffle.offsets.iter().map(one).collect()
}
