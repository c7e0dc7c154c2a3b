//! A mapped layer that resizes bilinearly → items: `ve.resize` of the part of the image that a tile reads.

use systole_machine::isa::{Flag, ImageAxis, Operation, Real, VectorOperand};
use systole_network::op::Resize;

use crate::error::CompileError;
use crate::layers::Window;
use crate::layers::resize::Places;
use crate::lower::setup::{image_window, pitches, quant, scales, shape};
use crate::lower::vector::Quantised;
use crate::lower::{Cut, Item, Turn, field, load_cut, store_cut};
use crate::mapping::resize::resized_tiles;
use crate::mapping::taps::slices;
use crate::mapping::{SpatialTile, VectorMapping};
use crate::memory::Place;
use crate::schedule::{Access, Step};

/// All that lowering needs to know of such a layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ResizeLayer<'a> {
    pub(crate) layer: u32,
    pub(crate) name: &'a str,
    pub(crate) resize: &'a Resize,
    pub(crate) mapping: &'a VectorMapping,
    pub(crate) input: Place,
    /// Output; the layer's channels only.
    pub(crate) output: Place,
    /// Of a and out.
    pub(crate) quants: [Quantised; 2],
    /// Clamp.
    pub(crate) clamp: (i32, i32),
}

impl ResizeLayer<'_> {
    /// The items of the layer, in order.
    pub(crate) fn items(&self) -> Result<Vec<Item>, CompileError> {
        let (layer, name, mapping) = (self.layer, self.name, self.mapping);
        let [mut inputs, _, _, mut outputs] = mapping.regions.each_ref().map(|slots| Turn::new(slots));
        let [images, height, width, channels] = self.input.dims;
        let tiles = resized_tiles(self.resize, [height, width], mapping.tile);
        let mut items = vec![];
        for image in 0..images {
            for tile in &tiles {
                for slice in slices(channels, 1, mapping.channels) {
                    let [a, out] = [inputs.take(), outputs.take()];
                    let read = Cut { image, first: tile.input, size: tile.in_size, channels: slice };
                    let written = Cut { image, first: tile.out, size: tile.out_size, channels: slice };
                    let pixel = slice.1 as u64 * self.output.element_bytes;
                    items.push(Item {
                        loads: vec![load_cut(layer, name, &self.input, &read, a)?],
                        work: vec![self.step(tile, slice.1, [a, out])?],
                        stores: vec![store_cut(layer, name, &self.output, &written, out, pixel)?],
                    });
                }
            }
        }
        Ok(items)
    }

    fn step(&self, tile: &SpatialTile, channels: usize, [a, out]: [u64; 2]) -> Result<Step, CompileError> {
        let (name, [x, y]) = (self.name, self.quants);
        let pixel = [&self.input, &self.output].map(|place| channels as u64 * place.element_bytes);
        let row = [tile.in_size[1] as u64 * pixel[0], tile.out_size[1] as u64 * pixel[1]];
        let setup = vec![
            shape(name, tile.out_size, channels, 0)?,
            pitches(name, VectorOperand::A, row[0], pixel[0])?,
            pitches(name, VectorOperand::Out, row[1], pixel[1])?,
            quant(name, [x, x, y].map(|q| (q.dtype, q.zero_point)), self.clamp)?,
            scales(x.scale, 1.0, y.scale),
            // Its kernel, strides and pads play no part.
            image_window(name, &Window::point(), [0; 4], tile.in_size)?,
            self.axis(ImageAxis::Rows, tile)?,
            self.axis(ImageAxis::Columns, tile)?,
        ];
        let accesses = vec![
            Access::activation(a, tile.in_size[0] as u64 * row[0], false),
            Access::activation(out, tile.out_size[0] as u64 * row[1], true),
        ];
        let run = Operation::VectorResize { a: field(a, name)?, out: field(out, name)? };
        Ok(Step::new(self.layer, setup, run, accesses))
    }

    fn axis(&self, axis: ImageAxis, tile: &SpatialTile) -> Result<Operation, CompileError> {
        let number = axis as usize;
        let [_, height, width, _] = self.input.dims;
        let places = Places::of(self.resize, number, [height, width]);
        Ok(Operation::VectorAxis {
            axis,
            first_out: field(tile.out[number] as u64, self.name)?,
            first_in: field(tile.input[number] as u64, self.name)?,
            factor: Real::new(places.factor),
            divisor: Real::new(places.divisor),
            centred: Flag(places.centred),
        })
    }
}
