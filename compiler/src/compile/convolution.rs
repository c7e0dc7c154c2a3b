//! The unit of a convolution: the array, or the vector unit for a depthwise one where that is there and takes less time by the cost models.
//!
//! Both are closed forms of the timing rules over shapes alone, so that the choice does not depend on values.

use std::collections::BTreeSet;

use systole_machine::isa::WeightFormat;
use systole_machine::program::Segment;
use systole_machine::spec::Machine;
use systole_network::graph::Graph;
use systole_network::tensor::{DType, TensorId};

use super::{Constants, Context, Lowered, Mapping, OperandQuant, check_pieces, window_of};
use crate::error::CompileError;
use crate::fixed::record_bytes;
use crate::formats;
use crate::image::{depthwise_params, requant_params, weight_zero_point};
use crate::layers::transposed::Phase;
use crate::layers::{Dims, Kind, Layer, Window};
use crate::lower::vector::{Function, VectorLayer};
use crate::mapping::{VectorMapping, conv, vector};
use crate::memory::{Dram, Place};

/// A convolution to be mapped.
pub(super) struct Convolution<'a> {
    pub(super) layer: &'a Layer,
    pub(super) graph: &'a Graph,
    pub(super) machine: &'a Machine,
    pub(super) window: &'a Window,
    pub(super) input: Dims,
    pub(super) output: Dims,
    /// Activations that are stored as bits (M-14).
    pub(super) bits: &'a BTreeSet<TensorId>,
}

/// The cheaper of the units that can compute it; the array of equals.
pub(super) fn map(of: &Convolution<'_>, too_small: impl Fn() -> CompileError) -> Result<Mapping, CompileError> {
    let layer = of.layer;
    of.check()?;
    let vector = of.on_vector_unit();
    let array = match formats::weights(of.graph, layer, of.machine) {
        Ok(format) => of.on_array(format),
        Err(error) if vector.is_none() => return Err(error),
        Err(_) => None,
    };
    match (array, vector) {
        (array, Some(vector)) if array.as_ref().is_none_or(|array| vector.cycles < array.cycles) => {
            check_pieces(layer, of.output, vector.tile, of.output[3].div_ceil(vector.channels))?;
            Ok(Mapping::Vector(VectorMapping { array_cycles: array.map(|array| array.cycles), ..vector }))
        }
        (Some(array), _) => {
            let parts = array.chunks.iter().map(|chunk| chunk.parts.len()).sum();
            check_pieces(layer, of.output, array.tile, parts)?;
            Ok(Mapping::Conv(array))
        }
        (None, _) => Err(too_small()),
    }
}

impl Convolution<'_> {
    fn element_bytes(&self) -> [u64; 2] {
        [self.layer.input, self.layer.output].map(|id| self.graph.tensor(id).dtype.bytes() as u64)
    }

    fn groups(&self) -> usize {
        if let Kind::Conv { groups, .. } = self.layer.kind { groups } else { 1 }
    }

    /// Whether groups and the weights' shape fit.
    fn check(&self) -> Result<(), CompileError> {
        let Kind::Conv { weights, groups, .. } = &self.layer.kind else {
            return Err(CompileError::internal(&self.layer.name, "mapped as a convolution"));
        };
        let (layer, input, output, window) = (self.layer, self.input, self.output, self.window);
        let weights = self.graph.tensor(*weights);
        let per_group = weights.shape.get(1).copied().unwrap_or(0);
        if *groups == 0 || !input[3].is_multiple_of(*groups) || !output[3].is_multiple_of(*groups) {
            return Err(CompileError::invalid(&layer.name, "groups do not divide the channels"));
        }
        if layer.phase().is_none()
            && weights.elements() != output[3] * per_group * window.kernel[0] * window.kernel[1]
            && weights.elements() != output[3] * input[1] * input[2] * input[3]
        {
            return Err(CompileError::invalid(&layer.name, "the weights' shape does not fit the input's"));
        }
        Ok(())
    }

    fn on_array(&self, weight_format: WeightFormat) -> Option<conv::ConvMapping> {
        let Convolution { layer, machine, window, input, output, .. } = *self;
        let element_bytes = self.element_bytes().map(|bytes| bytes as usize);
        let scattered = layer.phase().is_some_and(Phase::is_scattered);
        let (groups, bits) = (self.groups(), [layer.input, layer.output].map(|id| self.bits.contains(&id)));
        let problem =
            conv::Problem { machine, window, groups, input, output, element_bytes, scattered, bits, weight_format };
        problem.search()
    }

    /// With one input channel to an output channel, on a machine that has the instruction, within its fields.
    fn on_vector_unit(&self) -> Option<VectorMapping> {
        let Convolution { machine, window, input, output, .. } = *self;
        let taps = window.kernel[0] * window.kernel[1];
        let depthwise = self.groups() == input[3] && self.groups() == output[3];
        let held = window.kernel.iter().all(|&taps| taps < 1 << 12)
            && [window.stride, window.dilation].as_flattened().iter().chain(&window.pads[..2]).all(|&n| n < 1 << 8);
        // Elements of whole bytes, neither signs nor sums, and the pixels of the whole result.
        let Kind::Conv { weights, .. } = &self.layer.kind else { return None };
        let bytes = matches!(self.graph.tensor(*weights).dtype, DType::I8 | DType::U8);
        let result = self.graph.tensor(self.layer.output).dtype;
        let scaled = !matches!(result, DType::B1 | DType::I32);
        let plain = bytes && scaled && !self.bits.contains(&self.layer.input) && self.layer.phase().is_none();
        if !machine.vector.depthwise || !depthwise || !held || !plain {
            return None;
        }
        let [of_input, of_output] = self.element_bytes();
        let problem = vector::Problem {
            machine,
            window,
            input,
            output,
            second: false,
            repeats: Default::default(),
            element_bytes: [of_input, 1, of_output],
            channel_bytes: record_bytes(machine) + taps as u64,
            common_bytes: 0,
            bits_out: false,
            tensors: 1,
            all_channels: false,
            work: taps as u64,
            depthwise: true,
        };
        problem.search()
    }
}

impl Context<'_> {
    /// A convolution of each channel by itself.
    pub(super) fn lower_depthwise(
        &self,
        index: u32,
        layer: &Layer,
        mapping: &VectorMapping,
        output: Place,
        dram: &mut Dram,
        constants: Constants,
    ) -> Result<Lowered, CompileError> {
        let Kind::Conv { weights, .. } = &layer.kind else {
            return Err(CompileError::internal(&layer.name, "lowered as a depthwise convolution"));
        };
        let (window, channels) = (window_of(layer), output.dims[3]);
        let taps = window.kernel[0] * window.kernel[1];
        let channel_bytes = record_bytes(self.machine) + taps as u64;
        let address = dram.allocate(channel_bytes * channels as u64);
        let of_weights = OperandQuant {
            dtype: self.graph.tensor(*weights).dtype,
            zero_point: weight_zero_point(self.graph, *weights, &layer.name)?,
            scale: 1.0,
        };
        let lowering = VectorLayer {
            layer: index,
            name: &layer.name,
            machine: self.machine,
            function: Function::Depthwise { channel_bytes },
            window: &window,
            mapping,
            input: self.places[&layer.input],
            second: None,
            repeats: Default::default(),
            params: Some(address),
            output,
            quants: [self.operand(layer.input), of_weights, self.operand(layer.output)],
            clamp: layer.clamp,
        };
        let mut image = vec![];
        if constants == Constants::Real {
            let records = requant_params(self.graph, layer, channels, self.machine.vector.requantisation)?;
            let bytes = depthwise_params(self.graph, layer, &records, mapping.channels)?;
            image.push(Segment { address, bytes });
        }
        let instead = match mapping.array_cycles {
            Some(cycles) => format!(", about {} cycles instead of {cycles} on the array", mapping.cycles),
            None => String::new(),
        };
        let text = format!(
            "{}x{} pixels x {} channels on the vector unit{instead}",
            mapping.tile[0], mapping.tile[1], mapping.channels
        );
        let macs = output.dims.iter().map(|&d| d as u64).product::<u64>() * taps as u64;
        let weights = channels * taps;
        let more_bytes = (weights - (weights * of_weights.dtype.bits()).div_ceil(8)) as i64;
        let entry = self.entry(layer, macs, (weights + 4 * channels) as u64, text);
        Ok(Lowered { items: lowering.items()?, image, entry, more_bytes })
    }
}
