//! Where things lie in DRAM: activations, weight tiles, parameters.
//!
//! Every activation has bytes of its own, so that each can be read after a run; a reshape shares its source's, a concatenation's input lies inside the result.
//! Not modelled: activations that stay on chip from layer to layer, and reuse of DRAM.

use std::collections::{BTreeMap, BTreeSet};

use systole_network::graph::Graph;
use systole_network::tensor::TensorId;

use crate::layers::{Dims, Layers};

/// Alignment of everything in DRAM: a burst.
const ALIGNMENT: u64 = 64;

/// An activation in DRAM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its first byte.
    pub address: u64,
    /// `[n, h, w, c]`.
    pub dims: Dims,
    /// Bytes from pixel to pixel.
    pub pixel_pitch: u64,
    /// e: bytes of an element (M-2).
    pub element_bytes: u64,
    /// Elements are bits, eight a byte (M-14); `element_bytes` is 1 then.
    pub bits: bool,
}

impl Place {
    /// Address of image `n`, row `y`, column `x`, channel `c`.
    pub fn at(&self, n: usize, y: usize, x: usize, c: usize) -> u64 {
        let pixel = ((n * self.dims[1] + y) * self.dims[2] + x) as u64;
        self.address + pixel * self.pixel_pitch + self.pixel_bytes(c)
    }

    /// Bytes of so many channels of a pixel, whole ones.
    pub fn pixel_bytes(&self, channels: usize) -> u64 {
        if self.bits { channels.div_ceil(8) as u64 } else { channels as u64 * self.element_bytes }
    }
}

/// Hands out DRAM.
#[derive(Debug, Default)]
pub struct Dram {
    next: u64,
}

impl Dram {
    /// Aligned bytes.
    pub fn allocate(&mut self, bytes: u64) -> u64 {
        let address = self.next;
        self.next = (address + bytes).next_multiple_of(ALIGNMENT);
        address
    }

    /// Bytes in use.
    pub fn bytes(&self) -> u64 {
        self.next
    }
}

/// Places all activations; those of `bits` packed.
pub fn place_activations(
    graph: &Graph,
    layers: &Layers,
    bits: &BTreeSet<TensorId>,
    dram: &mut Dram,
) -> BTreeMap<TensorId, Place> {
    let mut places: BTreeMap<TensorId, Place> = BTreeMap::new();
    for (&id, &dims) in &layers.dims {
        if !layers.inside.contains_key(&id) && graph.tensor(id).data.is_none() {
            let element_bytes = graph.tensor(id).dtype.bytes() as u64;
            let mut place = Place { address: 0, dims, pixel_pitch: 0, element_bytes, bits: bits.contains(&id) };
            place.pixel_pitch = place.pixel_bytes(dims[3]);
            let bytes = dims[..3].iter().map(|&d| d as u64).product::<u64>() * place.pixel_pitch;
            places.insert(id, Place { address: dram.allocate(bytes), ..place });
        }
    }
    for &id in layers.inside.keys() {
        let (mut whole, mut channel) = (id, 0);
        while let Some(&(outer, first)) = layers.inside.get(&whole) {
            whole = outer;
            channel += first;
        }
        let outer = places[&whole];
        let address = outer.address + outer.pixel_bytes(channel);
        places.insert(id, Place { address, dims: layers.dims[&id], ..outer });
    }
    places
}
