//! Layers that only move values, by loads and stores: the regions they pass through, and the value that fills borders.

use systole_machine::program::Segment;
use systole_machine::spec::Machine;
use systole_network::graph::Graph;
use systole_network::op::{Fill, Op};

use super::{Constants, Context, Lowered, MAX_PIECES};
use crate::error::CompileError;
use crate::layers::boxes::Source;
use crate::layers::{Dims, Kind, Layer};
use crate::lower::moves::MoveLayer;
use crate::memory::{Dram, Place};
use crate::passes::arithmetic::quantise;

/// The regions of the activation buffer that a copy passes through in turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MoveMapping {
    /// Their first bytes.
    pub regions: [u64; 2],
    /// Bytes of each.
    pub region_bytes: u64,
}

/// Parts of a copy that are worth it, so that one is stored while the next is loaded; and bytes of a part below which it is not.
const PARTS: u64 = 4;
const LEAST_BYTES: u64 = 4096;

impl MoveMapping {
    /// Two halves of the buffer at most, each of whole elements.
    pub(super) fn of(machine: &Machine, output: Dims, element_bytes: u64) -> Self {
        let half = machine.activation.capacity_bytes / 2 / element_bytes * element_bytes;
        let bytes = output.iter().map(|&d| d as u64).product::<u64>() * element_bytes;
        let part = bytes.div_ceil(PARTS).next_multiple_of(element_bytes);
        MoveMapping { regions: [0, half], region_bytes: part.max(LEAST_BYTES).min(half) }
    }
}

impl Context<'_> {
    pub(super) fn lower_move(
        &self,
        index: u32,
        layer: &Layer,
        mapping: MoveMapping,
        output: Place,
        dram: &mut Dram,
        constants: Constants,
    ) -> Result<Lowered, CompileError> {
        let Kind::Move(copy) = &layer.kind else {
            return Err(CompileError::internal(&layer.name, "a copy's mapping on another layer"));
        };
        let [_, _, width, channels] = output.dims;
        let mut image = vec![];
        let fills = copy.pieces.iter().any(|piece| piece.source == Source::Fill);
        let row_bytes = if fills { (width * channels) as u64 * output.element_bytes } else { 0 };
        // Every row of every image is the same.
        let row = Place::dense(dram.allocate(row_bytes), [1, 1, width, channels], output.element_bytes);
        let fill = Place { row_pitch: 0, image_pitch: 0, ..row };
        if fills && constants == Constants::Real {
            let element = fill_element(self.graph, layer)?;
            let bytes = element.into_iter().cycle().take(row_bytes as usize).collect();
            image.push(Segment { address: fill.address, bytes });
        }
        let lowering = MoveLayer {
            layer: index,
            name: &layer.name,
            copy,
            input: self.places[&layer.input],
            fill,
            output,
            regions: mapping.regions,
            region_bytes: mapping.region_bytes,
            most_items: MAX_PIECES,
        };
        let items = lowering.items()?;
        let text = format!("{} boxes in {} copies by DMA", copy.pieces.len(), items.len());
        Ok(Lowered { items, image, entry: self.entry(layer, 0, row_bytes, text), more_bytes: 0 })
    }
}

/// The bytes of one element of the border: the fill's value by rule N-2.
fn fill_element(graph: &Graph, layer: &Layer) -> Result<Vec<u8>, CompileError> {
    let node = graph.nodes.iter().find(|node| node.outputs.contains(&layer.output));
    let Some(Op::Pad { fill: Fill::Constant(value), .. }) = node.map(|node| &node.op) else {
        return Err(CompileError::internal(&layer.name, "a border without a value"));
    };
    let tensor = graph.tensor(layer.output);
    let (scale, zero) = tensor.quant.as_ref().map_or((1.0, 0), |q| (q.scale_of(0), q.zero_point_of(0)));
    let q = quantise(*value, scale, zero, tensor.dtype.range().unwrap_or((-128, 127)));
    Ok(q.to_le_bytes().into_iter().take(tensor.dtype.bytes()).collect())
}
