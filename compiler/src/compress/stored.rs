//! The weights of a layer as they lie in DRAM: tiles one behind the other, or streams where the machine decodes them.

use std::collections::BTreeMap;

use rayon::prelude::*;
use systole_machine::program::Segment;
use systole_machine::spec::Machine;
use systole_network::graph::Graph;

use super::worthwhile;
use crate::compile::Constants;
use crate::error::CompileError;
use crate::image::{weight_tiles, weight_zero_point};
use crate::layers::{Kind, Layer};
use crate::mapping::ConvMapping;
use crate::memory::Dram;

/// Where the weights of one part are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Their first byte in DRAM, or that of their stream.
    pub(crate) address: u64,
    /// Bytes of the stream; `None` where they lie as they are.
    pub(crate) stream: Option<u64>,
}

/// Where all parts of a layer are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredWeights {
    first: u64,
    /// By their offset among all tiles, where there are streams.
    places: BTreeMap<u64, Place>,
    /// Bytes in all.
    bytes: u64,
}

impl StoredWeights {
    /// Allocates them: where they are, and what DRAM holds there if constants are wanted. They are made where somebody looks at them: the lengths of streams depend on values, so that a machine with a decoder always does.
    ///
    /// # Errors
    /// Weights without values.
    pub(crate) fn new(
        graph: &Graph,
        layer: &Layer,
        mapping: &ConvMapping,
        machine: &Machine,
        inputs: usize,
        dram: &mut Dram,
        constants: Constants,
    ) -> Result<(Self, Vec<Segment>), CompileError> {
        let real = constants == Constants::Real;
        let tiles = || weight_tiles(graph, layer, mapping, machine, inputs);
        let Kind::Conv { weights, .. } = &layer.kind else {
            return Err(CompileError::internal(&layer.name, "asked for the weights of a layer that has none"));
        };
        let fill = weight_zero_point(graph, *weights, &layer.name)? as u8;
        if machine.weight_decoder.is_none() {
            let first = dram.allocate(mapping.weight_bytes);
            let image = if real { vec![Segment { address: first, bytes: tiles()? }] } else { vec![] };
            return Ok((StoredWeights { first, places: BTreeMap::new(), bytes: mapping.weight_bytes }, image));
        }
        let tiles = tiles()?;
        let parts: Vec<(u64, &[u8])> = mapping
            .chunks
            .iter()
            .flat_map(|chunk| &chunk.parts)
            .map(|part| (part.weight_offset, &tiles[part.weight_offset as usize..][..part.weight_bytes as usize]))
            .collect();
        let streams: Vec<Option<Vec<u8>>> = parts.par_iter().map(|(_, tile)| worthwhile(tile, fill, machine)).collect();
        let mut stored = StoredWeights { first: 0, places: BTreeMap::new(), bytes: 0 };
        let mut image = vec![];
        for ((offset, tile), stream) in parts.into_iter().zip(streams) {
            let length = stream.as_ref().map(|stream| stream.len() as u64);
            let bytes = length.unwrap_or(tile.len() as u64);
            let place = Place { address: dram.allocate(bytes), stream: length };
            stored.bytes += bytes;
            stored.places.insert(offset, place);
            if real {
                let bytes = stream.unwrap_or_else(|| tile.to_vec());
                image.push(Segment { address: place.address, bytes });
            }
        }
        Ok((stored, image))
    }

    /// Where the tiles at an offset among all of them are.
    pub(crate) fn place(&self, offset: u64) -> Place {
        let plain = Place { address: self.first + offset, stream: None };
        self.places.get(&offset).copied().unwrap_or(plain)
    }

    /// Bytes that streams have less than so many weights. (Tiles have more: they are filled up.)
    pub(crate) fn saved(&self, weights: u64) -> u64 {
        if self.places.is_empty() { 0 } else { weights.saturating_sub(self.bytes) }
    }

    /// For the line that tells a mapping: nothing where nothing is compressed.
    pub(crate) fn text(&self) -> String {
        let streams = self.places.values().filter(|place| place.stream.is_some()).count();
        match (streams, self.places.len()) {
            (0, _) => String::new(),
            (streams, parts) if streams == parts => ", weights compressed".to_owned(),
            (streams, parts) => format!(", {streams} of {parts} weight tiles compressed"),
        }
    }
}
