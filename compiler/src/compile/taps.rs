//! Layers that deal in single taps (samples, unpooling, pixels between others): mapping and lowering of their own on the vector unit.

use systole_machine::spec::Machine;
use systole_network::graph::Graph;
use systole_network::op::Resize;
use systole_network::tensor::TensorId;

use super::{Context, Lowered};
use crate::error::CompileError;
use crate::layers::{Dims, Kind, Layer};
use crate::lower::Item;
use crate::lower::resize::ResizeLayer;
use crate::lower::taps::TapsLayer;
use crate::mapping::VectorMapping;
use crate::mapping::resize::Resizing;
use crate::mapping::taps::{Samples, Unpooling, slices};
use crate::memory::Place;

/// Whether a layer is one of them.
pub(super) fn has(kind: &Kind) -> bool {
    matches!(kind, Kind::Sample(_) | Kind::Unpool { .. } | Kind::Resize(_))
}

/// The mapping of one of them, where its smallest tile fits.
pub(super) fn map(
    layer: &Layer,
    [input, output]: [Dims; 2],
    graph: &Graph,
    machine: &Machine,
) -> Option<VectorMapping> {
    let bytes = |id: TensorId| graph.tensor(id).dtype.bytes() as u64;
    match &layer.kind {
        Kind::Sample(sample) => {
            let element_bytes = [layer.input, sample.offsets, layer.output].map(bytes);
            Samples { machine, sample, input, output, element_bytes }.search()
        }
        Kind::Unpool { window, switches } => {
            let element_bytes = [layer.input, *switches, layer.output].map(bytes);
            Unpooling { machine, window, input, output, element_bytes }.search()
        }
        Kind::Resize(resize) => {
            let element_bytes = [layer.input, layer.output].map(bytes);
            Resizing { machine, resize, input, output, element_bytes }.search()
        }
        _ => None,
    }
}

/// First channel and channels of the input of each piece of work on a tile.
pub(super) fn slices_of(layer: &Layer, input: Dims, most: usize) -> Vec<(usize, usize)> {
    match &layer.kind {
        Kind::Sample(sample) => slices(input[3], sample.offset_groups, most),
        _ => slices(input[3], 1, most),
    }
}

impl Context<'_> {
    pub(super) fn lower_taps(
        &self,
        index: u32,
        layer: &Layer,
        mapping: &VectorMapping,
        output: Place,
    ) -> Result<Lowered, CompileError> {
        let items = match &layer.kind {
            Kind::Sample(sample) => self.taps_layer(index, layer, mapping, (sample.offsets, output)).samples(sample)?,
            Kind::Unpool { window, switches } => {
                self.taps_layer(index, layer, mapping, (*switches, output)).unpooling(window)?
            }
            Kind::Resize(resize) => self.resized(index, layer, resize, (mapping, output))?,
            _ => return Err(CompileError::internal(&layer.name, "a layer without taps")),
        };
        let [rows, columns] = mapping.tile;
        let text = format!("{rows}x{columns} pixels x {} channels on the vector unit", mapping.channels);
        Ok(Lowered { items, image: vec![], entry: self.entry(layer, 0, 0, text), more_bytes: 0 })
    }

    /// Of samples or unpooling, with its second operand.
    fn taps_layer<'a>(
        &self,
        index: u32,
        layer: &'a Layer,
        mapping: &'a VectorMapping,
        (second, output): (TensorId, Place),
    ) -> TapsLayer<'a> {
        TapsLayer {
            layer: index,
            name: &layer.name,
            mapping,
            input: self.places[&layer.input],
            second: self.places[&second],
            output,
            quants: [layer.input, second, layer.output].map(|id| self.operand(id)),
            clamp: layer.clamp,
        }
    }

    fn resized(
        &self,
        index: u32,
        layer: &Layer,
        resize: &Resize,
        (mapping, output): (&VectorMapping, Place),
    ) -> Result<Vec<Item>, CompileError> {
        let lowering = ResizeLayer {
            layer: index,
            name: &layer.name,
            resize,
            mapping,
            input: self.places[&layer.input],
            output,
            quants: [layer.input, layer.output].map(|id| self.operand(id)),
            clamp: layer.clamp,
        };
        lowering.items()
    }
}
