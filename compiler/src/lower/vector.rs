//! A mapped layer of the vector unit → items: per tile the loads, one vector run, one store.

use systole_machine::isa::{Flag, Operation, Real, Space, VectorOperand};
use systole_machine::spec::{Machine, Requantisation};
use systole_network::op::Lrn;
use systole_network::tensor::DType;

use crate::error::CompileError;
use crate::fixed::{self, mode};
use crate::formats;
use crate::layers::shuffle::Shuffle;
use crate::layers::{Pair, Window};
use crate::lower::layout::Layout;
use crate::lower::setup::{image_window, pitches, quant, scales, shape};
use crate::lower::shuffle::Tile;
use crate::lower::{Cut, Item, Turn, field, load_bytes, load_cut, store_cut};
use crate::mapping::repeats::Repeats;
use crate::mapping::{SpatialTile, VectorMapping, spatial_tiles};
use crate::memory::Place;
use crate::schedule::{Access, Step};
use crate::tables::ENTRIES;

/// Which instruction runs it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Function<'a> {
    /// `ve.add`, or `ve.addc` with parameters.
    Add,
    /// `ve.mul`, or `ve.mulc` with parameters.
    Mul,
    /// `ve.affine`.
    Affine,
    /// `ve.rescale`.
    Rescale,
    /// `ve.maxpool`.
    MaxPool,
    /// `ve.argmax`.
    ArgMax,
    /// `ve.avgpool`.
    AveragePool {
        /// Padding counts.
        include_pad: bool,
    },
    /// `ve.softmax`.
    Softmax,
    /// `ve.lrn`.
    Lrn(Lrn),
    /// `ve.sum` of the first operand and these; parameters are per tensor.
    Sum(&'a [Place]),
    /// Copies.
    Shuffle(&'a Shuffle),
    /// `ve.add` or `ve.addc` that subtracts, `ve.div`, `ve.max`, `ve.min`.
    Pair(Pair),
    /// `ve.table`.
    Table {
        /// A table for each channel.
        per_channel: bool,
    },
    /// `ve.depthwise`; operand b are the weights.
    Depthwise {
        /// Bytes of parameters a channel.
        channel_bytes: u64,
    },
}

impl Function<'_> {
    /// Bytes of all parameters, with `constants` in place of a second tensor or without.
    pub(crate) fn parameter_bytes(self, channels: usize, constants: bool) -> u64 {
        match self {
            Function::Sum(more) => 8 * (1 + more.len() as u64),
            Function::Table { per_channel: false } => ENTRIES,
            Function::Table { per_channel: true } => ENTRIES * channels as u64,
            Function::Affine => 8 * channels as u64,
            Function::Depthwise { channel_bytes } => channel_bytes * channels as u64,
            _ if constants => 8 * channels as u64,
            _ => 0,
        }
    }
}

/// Type, zero point and scale of an operand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantised {
    /// Element type.
    pub dtype: DType,
    /// Zero point.
    pub zero_point: i32,
    /// Scale.
    pub scale: f32,
}

/// All that lowering needs to know of a vector layer.
#[derive(Clone, Copy, Debug)]
pub struct VectorLayer<'a> {
    /// Layer index.
    pub layer: u32,
    /// Its name.
    pub name: &'a str,
    /// The machine.
    pub machine: &'a Machine,
    /// Which instruction.
    pub function: Function<'a>,
    /// The window; one tap for element-wise layers.
    pub window: &'a Window,
    /// The mapping.
    pub mapping: &'a VectorMapping,
    /// First operand.
    pub input: Place,
    /// Second operand, an activation.
    pub second: Option<Place>,
    /// Along what first and second repeat.
    pub repeats: [Repeats; 2],
    /// Parameters in DRAM.
    pub params: Option<u64>,
    /// Output; the layer's channels only.
    pub output: Place,
    /// Of a, b, out.
    pub quants: [Quantised; 3],
    /// Clamp.
    pub clamp: (i32, i32),
}

struct State {
    turns: [Turn; 4],
}

impl VectorLayer<'_> {
    /// The items of the layer, in order.
    ///
    /// # Errors
    /// Sizes beyond an instruction field.
    pub fn items(&self) -> Result<Vec<Item>, CompileError> {
        let mapping = self.mapping;
        let mut state = State { turns: mapping.regions.each_ref().map(|slots| Turn::new(slots)) };
        // An operand of two may be smaller than the image.
        let image = if self.second.is_some() { &self.output } else { &self.input };
        let [_, height, width, _] = image.dims;
        let [images, out_height, out_width, channels] = self.output.dims;
        let tiles = spatial_tiles(self.window, [height, width], [out_height, out_width], mapping.tile);
        let mut items = vec![];
        for image in 0..images {
            for tile in &tiles {
                for first in (0..channels).step_by(mapping.channels) {
                    let count = mapping.channels.min(channels - first);
                    items.push(self.item(image, tile, (first, count), &mut state)?);
                }
            }
        }
        Ok(items)
    }

    fn item(
        &self,
        image: usize,
        tile: &SpatialTile,
        channels: (usize, usize),
        state: &mut State,
    ) -> Result<Item, CompileError> {
        let (layer, name) = (self.layer, self.name);
        let [a, b, params, out] = [0, 1, 2, 3].map(|k: usize| state.turns[k].take());
        let mut item = Item::default();
        let cut = Cut { image, first: tile.input, size: tile.in_size, channels };
        item.loads.push(load_cut(layer, name, &self.input, &self.repeats[0].cut(cut), a)?);
        for (place, at) in self.more().iter().zip(1..) {
            let tile_bytes = (cut.size[0] * cut.size[1] * channels.1) as u64 * self.input.element_bytes;
            item.loads.push(load_cut(layer, name, place, &cut, a + at * tile_bytes)?);
        }
        if let Some(second) = &self.second {
            item.loads.push(load_cut(layer, name, second, &self.repeats[1].cut(cut), b)?);
        }
        if let Some(address) = self.params {
            let (first, bytes) = match self.function {
                Function::Sum(_) | Function::Table { per_channel: false } => (address, self.parameters(0)),
                _ => (address + self.parameters(channels.0), self.parameters(channels.1)),
            };
            item.loads.push(load_bytes(layer, name, first, params, Space::Activation, bytes)?);
        }
        match self.function {
            Function::Shuffle(shuffle) => item.work = self.shuffle(tile, channels.1, [a, out], shuffle)?,
            _ => item.work.push(self.step(tile, channels.1, [a, b, params, out])?),
        }
        let cut = Cut { image, first: tile.out, size: tile.out_size, channels };
        item.stores.push(store_cut(layer, name, &self.output, &cut, out, self.output.pixel_bytes(channels.1))?);
        Ok(item)
    }

    /// Bytes of the parameters of some channels.
    fn parameters(&self, channels: usize) -> u64 {
        self.function.parameter_bytes(channels, true)
    }

    /// Operands of a sum beside the first.
    fn more(&self) -> &[Place] {
        if let Function::Sum(more) = self.function { more } else { &[] }
    }

    fn shuffle(
        &self,
        tile: &SpatialTile,
        channels: usize,
        [input, output]: [u64; 2],
        shuffle: &Shuffle,
    ) -> Result<Vec<Step>, CompileError> {
        let pixels = tile.out_size[0] * tile.out_size[1];
        let quants = self.quants.map(|q| (q.dtype, 0));
        let (layer, name, range) = (self.layer, self.name, self.clamp);
        super::shuffle::steps(&Tile { layer, name, pixels, channels, input, output, quants, range }, shuffle)
    }

    fn step(&self, tile: &SpatialTile, channels: usize, at: [u64; 4]) -> Result<Step, CompileError> {
        let name = self.name;
        let [a, b, params, out] = at;
        let layout = Layout::of(self, tile, channels);
        let pitch = |operand, [row, pixel]: [u64; 2]| pitches(name, operand, row, pixel);
        let mut setup = vec![
            shape(name, layout.size, layout.channels, 0)?,
            pitch(VectorOperand::A, layout.pitches[0])?,
            pitch(VectorOperand::Out, layout.pitches[2])?,
            quant(name, self.quants.map(|q| (q.dtype, q.zero_point)), self.clamp)?,
        ];
        setup.extend(formats::output(self.quants[2].dtype, &self.output));
        setup.extend(self.scaling()?);
        if self.second.is_some() {
            setup.push(pitch(VectorOperand::B, layout.pitches[1])?);
        }
        let pools = matches!(self.function, Function::MaxPool | Function::ArgMax | Function::AveragePool { .. });
        if pools || matches!(self.function, Function::Depthwise { .. }) {
            setup.push(self.window_setup(tile)?);
            setup.push(Operation::VectorDilation {
                dilation_h: field(self.window.dilation[0] as u64, name)?,
                dilation_w: field(self.window.dilation[1] as u64, name)?,
            });
        }
        if let Function::Lrn(lrn) = self.function {
            setup.push(Operation::VectorNorm {
                size: field(lrn.size as u64, name)?,
                alpha: Real::new(lrn.alpha),
                beta: Real::new(lrn.beta),
                bias: Real::new(lrn.bias),
            });
        }
        let tensors = 1 + self.more().len();
        let [a_bytes, b_bytes, out_bytes] = layout.bytes;
        let mut accesses =
            vec![Access::activation(a, tensors as u64 * a_bytes, false), Access::activation(out, out_bytes, true)];
        if self.second.is_some() {
            accesses.push(Access::activation(b, b_bytes, false));
        }
        if self.params.is_some() {
            accesses.push(Access::activation(params, self.parameters(channels), false));
        }
        Ok(Step::new(self.layer, setup, self.operation([a, b, params, out])?, accesses))
    }

    /// The registers of scales: real ones, or multipliers and shifts where the operation's mode has integers.
    fn scaling(&self) -> Result<Vec<Operation>, CompileError> {
        let [a, b, out] = &self.quants;
        let wide = [a, b, out].iter().any(|quant| quant.dtype == DType::I16);
        let requantisation = self.machine.vector.requantisation;
        let factors = match self.function {
            Function::Add | Function::Pair(Pair::Difference) => {
                fixed::add(requantisation, [a.scale, b.scale, out.scale], wide)
            }
            Function::Mul => fixed::multiply(requantisation, [a.scale, b.scale, out.scale]),
            Function::Pair(Pair::Maximum | Pair::Minimum) => {
                fixed::choose(requantisation, [a.scale, b.scale, out.scale])
            }
            Function::Table { .. } => return Ok(vec![]),
            Function::Rescale => fixed::rescale(requantisation, [a.scale, out.scale]),
            // Its scalings are parameters.
            Function::Depthwise { .. } => return Ok(vec![]),
            Function::AveragePool { .. } if requantisation != Requantisation::Float32 => vec![],
            _ => return Ok(vec![scales(a.scale, b.scale, out.scale)]),
        };
        if requantisation == Requantisation::Float32 {
            return Ok(vec![scales(a.scale, b.scale, out.scale)]);
        }
        factors.into_iter().map(|(operand, factor)| factor.register(operand, self.name)).collect()
    }

    fn operation(&self, at: [u64; 4]) -> Result<Operation, CompileError> {
        let name = self.name;
        let (a, out) = (field(at[0], name)?, field(at[3], name)?);
        let (b, params) = (field(at[1], name)?, field(at[2], name)?);
        let channel = self.params.is_some();
        let mode = mode(self.machine);
        Ok(match self.function {
            Function::Add if channel => Operation::VectorAddChannel { a, params, out, mode, subtract: Flag(false) },
            Function::Add => Operation::VectorAdd { a, b, out, mode, subtract: Flag(false) },
            Function::Pair(pair) => {
                let (b, per_channel) = (if channel { params } else { b }, Flag(channel));
                match pair {
                    Pair::Difference if channel => {
                        Operation::VectorAddChannel { a, params, out, mode, subtract: Flag(true) }
                    }
                    Pair::Difference => Operation::VectorAdd { a, b, out, mode, subtract: Flag(true) },
                    Pair::Quotient => Operation::VectorDiv { a, b, out, per_channel },
                    Pair::Maximum => Operation::VectorMax { a, b, out, mode, per_channel },
                    Pair::Minimum => Operation::VectorMin { a, b, out, mode, per_channel },
                }
            }
            Function::Table { per_channel } => {
                Operation::VectorTable { a, params, out, per_channel: Flag(per_channel) }
            }
            Function::Mul if channel => Operation::VectorMulChannel { a, params, out, mode },
            Function::Mul => Operation::VectorMul { a, b, out, mode },
            Function::Affine => Operation::VectorAffine { a, params, out },
            Function::Rescale => Operation::VectorRescale { a, out, mode },
            Function::MaxPool => Operation::VectorMaxPool { a, out },
            Function::ArgMax => Operation::VectorArgMax { a, out },
            Function::AveragePool { include_pad } => {
                Operation::VectorAveragePool { a, out, include_pad: Flag(include_pad), mode }
            }
            Function::Softmax => Operation::VectorSoftmax { a, out },
            Function::Lrn(_) => Operation::VectorLrn { a, out },
            Function::Sum(more) => {
                Operation::VectorSum { a, params, out, operands: field(1 + more.len() as u64, name)? }
            }
            Function::Depthwise { .. } => Operation::VectorDepthwise { a, params, out, mode },
            Function::Shuffle(_) => return Err(CompileError::internal(name, "a shuffle as one instruction")),
        })
    }

    /// Trailing pads matter only where the tile ends the image: elsewhere no window reaches beyond the tile.
    fn window_setup(&self, tile: &SpatialTile) -> Result<Operation, CompileError> {
        let trailing = |axis: usize| {
            let at_end = tile.input[axis] + tile.in_size[axis] == self.input.dims[1 + axis];
            // Of a convolution they play no part.
            if at_end && !matches!(self.function, Function::Depthwise { .. }) { self.window.pads[2 + axis] } else { 0 }
        };
        let pads = [tile.pad[0], tile.pad[1], trailing(0), trailing(1)];
        image_window(self.name, self.window, pads, tile.in_size)
    }
}
