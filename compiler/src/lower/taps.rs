//! A mapped layer that deals in single taps → items: `ve.gather` over a resident image, `ve.unpool` over the windows that reach a tile.

use systole_machine::isa::{Operation, Signed, VectorOperand};

use crate::error::CompileError;
use crate::layers::{Sample, Window};
use crate::lower::setup::{image_window, pitches, quant, scales, shape};
use crate::lower::vector::Quantised;
use crate::lower::{Cut, Item, Rows, Turn, field, load_cut, store_cut, store_rows, too_large};
use crate::mapping::taps::{Reach, reach, slices};
use crate::mapping::{SpatialTile, VectorMapping, spatial_tiles};
use crate::memory::Place;
use crate::schedule::{Access, Step};

/// All that lowering needs to know of such a layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TapsLayer<'a> {
    pub(crate) layer: u32,
    pub(crate) name: &'a str,
    pub(crate) mapping: &'a VectorMapping,
    /// First operand.
    pub(crate) input: Place,
    /// Offsets or switches.
    pub(crate) second: Place,
    /// Output; the layer's channels only.
    pub(crate) output: Place,
    /// Of a, b, out.
    pub(crate) quants: [Quantised; 3],
    /// Clamp.
    pub(crate) clamp: (i32, i32),
}

/// A piece of samples: what is where.
struct Piece<'a> {
    tile: &'a SpatialTile,
    /// First channel of the input, and channels.
    slice: (usize, usize),
    /// Addresses of image, offsets, samples.
    at: [u64; 3],
}

impl TapsLayer<'_> {
    /// The items of a layer of samples: slice by slice, whose image is loaded with its first tile.
    pub(crate) fn samples(&self, sample: &Sample) -> Result<Vec<Item>, CompileError> {
        let (layer, name, mapping) = (self.layer, self.name, self.mapping);
        let [mut images, mut offsets, _, mut outs] = mapping.regions.each_ref().map(|slots| Turn::new(slots));
        let [count, height, width, channels] = self.input.dims;
        let out = [self.output.dims[1], self.output.dims[2]];
        let tiles = spatial_tiles(&Window::point(), out, out, mapping.tile);
        let mut items = vec![];
        for image in 0..count {
            for slice in slices(channels, sample.offset_groups, mapping.channels) {
                let a = images.take();
                let whole = Cut { image, first: [0, 0], size: [height, width], channels: slice };
                let mut loads = vec![load_cut(layer, name, &self.input, &whole, a)?];
                for tile in &tiles {
                    let piece = Piece { tile, slice, at: [a, offsets.take(), outs.take()] };
                    let moved = Cut { image, first: tile.out, size: tile.out_size, channels: (0, self.second.dims[3]) };
                    loads.push(load_cut(layer, name, &self.second, &moved, piece.at[1])?);
                    let work = vec![self.gather(sample, &piece)?];
                    let stores = self.store_samples(sample, image, &piece)?;
                    items.push(Item { loads: std::mem::take(&mut loads), work, stores });
                }
            }
        }
        Ok(items)
    }

    fn gather(&self, sample: &Sample, piece: &Piece<'_>) -> Result<Step, CompileError> {
        let (name, tile, window) = (self.name, piece.tile, &sample.window);
        let [_, height, width, channels] = self.input.dims;
        let [a, b, out] = piece.at;
        let taps = window.kernel[0] * window.kernel[1];
        let element = [&self.input, &self.second, &self.output].map(|place| place.element_bytes);
        let columns = tile.out_size[1] as u64;
        let in_pixel = piece.slice.1 as u64 * element[0];
        let pair = (2 * taps) as u64 * element[1];
        let offset_pixel = pair * sample.offset_groups as u64;
        let out_pixel = (taps * piece.slice.1) as u64 * element[2];
        let origin = |axis: usize| {
            let first = (tile.out[axis] * window.stride[axis]) as i64 - window.pads[axis] as i64;
            Signed::new(first).map_err(|error| too_large(name, &error))
        };
        let setup = vec![
            shape(name, tile.out_size, piece.slice.1, 0)?,
            pitches(name, VectorOperand::A, width as u64 * in_pixel, in_pixel)?,
            pitches(name, VectorOperand::B, columns * offset_pixel, offset_pixel)?,
            pitches(name, VectorOperand::Out, columns * out_pixel, out_pixel)?,
            quant(name, self.quants.map(|q| (q.dtype, q.zero_point)), self.clamp)?,
            scales(self.quants[0].scale, self.quants[1].scale, self.quants[2].scale),
            image_window(name, window, [0; 4], [height, width])?,
            self.dilation(window)?,
            Operation::VectorDeform { origin_y: origin(0)?, origin_x: origin(1)? },
        ];
        let pixels = tile.out_size[0] as u64 * columns;
        let accesses = vec![
            Access::activation(a, (height * width) as u64 * in_pixel, false),
            Access::activation(b, pixels * offset_pixel, false),
            Access::activation(out, pixels * out_pixel, true),
        ];
        let group = piece.slice.0 / (channels / sample.offset_groups);
        let run = Operation::VectorGather {
            a: field(a, name)?,
            b: field(b + group as u64 * pair, name)?,
            out: field(out, name)?,
        };
        Ok(Step::new(self.layer, setup, run, accesses))
    }

    /// Samples lie in the buffer by tap; in the result by group of the convolution, then tap.
    fn store_samples(&self, sample: &Sample, image: usize, piece: &Piece<'_>) -> Result<Vec<Step>, CompileError> {
        let (layer, name, tile) = (self.layer, self.name, piece.tile);
        let taps = sample.window.kernel[0] * sample.window.kernel[1];
        let element = self.output.element_bytes;
        let (first, count) = piece.slice;
        let out = piece.at[2];
        let pixel = (taps * count) as u64 * element;
        if sample.groups == 1 && count == self.input.dims[3] {
            let cut = Cut { image, first: tile.out, size: tile.out_size, channels: (0, taps * count) };
            return Ok(vec![store_cut(layer, name, &self.output, &cut, out, pixel)?]);
        }
        let group = self.input.dims[3] / sample.groups;
        let mut steps = vec![];
        let mut channel = first;
        while channel < first + count {
            let (number, within) = (channel / group, channel % group);
            let run = (group - within).min(first + count - channel);
            let rows = Rows {
                row_bytes: run as u64 * element,
                rows: taps as u64,
                planes: (tile.out_size[0] * tile.out_size[1]) as u64,
                dram: [group as u64 * element, self.output.pixel_pitch],
                buffer: [count as u64 * element, pixel],
            };
            let dram = self.output.at(image, tile.out[0], tile.out[1], number * group * taps + within);
            let buffer = out + (channel - first) as u64 * element;
            steps.push(store_rows(layer, name, dram, buffer, &rows)?);
            channel += run;
        }
        Ok(steps)
    }

    /// The items of a layer that unpools: a tile of the result each, with every window that reaches it.
    pub(crate) fn unpooling(&self, window: &Window) -> Result<Vec<Item>, CompileError> {
        let (layer, name, mapping) = (self.layer, self.name, self.mapping);
        let [mut values, mut switches, _, mut outs] = mapping.regions.each_ref().map(|slots| Turn::new(slots));
        let [_, in_height, in_width, _] = self.input.dims;
        let [images, height, width, channels] = self.output.dims;
        let tiles = spatial_tiles(&Window::point(), [height, width], [height, width], mapping.tile);
        let mut items = vec![];
        for image in 0..images {
            for tile in &tiles {
                let reached =
                    |axis: usize, windows: usize| reach(window, axis, windows, (tile.out[axis], tile.out_size[axis]));
                let reached = [reached(0, in_height), reached(1, in_width)];
                for slice in slices(channels, 1, mapping.channels) {
                    let at = [values.take(), switches.take(), outs.take()];
                    let first = reached.map(|axis| axis.first);
                    let cut = Cut { image, first, size: reached.map(|axis| axis.count), channels: slice };
                    let mut item = Item::default();
                    item.loads.push(load_cut(layer, name, &self.input, &cut, at[0])?);
                    item.loads.push(load_cut(layer, name, &self.second, &cut, at[1])?);
                    item.work.push(self.unpool(window, tile.out_size, reached, slice.1, at)?);
                    let cut = Cut { image, first: tile.out, size: tile.out_size, channels: slice };
                    let pixel = slice.1 as u64 * self.output.element_bytes;
                    item.stores.push(store_cut(layer, name, &self.output, &cut, at[2], pixel)?);
                    items.push(item);
                }
            }
        }
        Ok(items)
    }

    fn unpool(
        &self,
        window: &Window,
        size: [usize; 2],
        reached: [Reach; 2],
        channels: usize,
        at: [u64; 3],
    ) -> Result<Step, CompileError> {
        let name = self.name;
        let input = reached.map(|axis| axis.count);
        let pixel = [&self.input, &self.second, &self.output].map(|place| channels as u64 * place.element_bytes);
        let columns = [input[1], input[1], size[1]].map(|columns| columns as u64);
        let rows = [input[0], input[0], size[0]].map(|rows| rows as u64);
        let mut setup = vec![
            shape(name, size, channels, 0)?,
            quant(name, self.quants.map(|q| (q.dtype, q.zero_point)), self.clamp)?,
            image_window(name, window, [reached[0].pad, reached[1].pad, 0, 0], input)?,
            self.dilation(window)?,
        ];
        let mut accesses = vec![];
        for (index, &operand) in [VectorOperand::A, VectorOperand::B, VectorOperand::Out].iter().enumerate() {
            let row = columns[index] * pixel[index];
            setup.push(pitches(name, operand, row, pixel[index])?);
            accesses.push(Access::activation(at[index], rows[index] * row, operand == VectorOperand::Out));
        }
        let [a, b, out] = at;
        let run = Operation::VectorUnpool { a: field(a, name)?, b: field(b, name)?, out: field(out, name)? };
        Ok(Step::new(self.layer, setup, run, accesses))
    }

    fn dilation(&self, window: &Window) -> Result<Operation, CompileError> {
        Ok(Operation::VectorDilation {
            dilation_h: field(window.dilation[0] as u64, self.name)?,
            dilation_w: field(window.dilation[1] as u64, self.name)?,
        })
    }
}
