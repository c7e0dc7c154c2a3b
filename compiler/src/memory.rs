//! Where things lie in DRAM: activations, weight tiles, parameters.
//!
//! Every activation has bytes of its own, so that each can be read after a run; a reshape or slice shares its source's, a concatenation's input lies inside the result.
//! Not modelled: activations that stay on chip from layer to layer, and reuse of DRAM.

use std::collections::{BTreeMap, BTreeSet};

use systole_network::graph::Graph;
use systole_network::tensor::TensorId;

use crate::layers::{Dims, Layers};

/// Alignment of everything in DRAM: a burst.
const ALIGNMENT: u64 = 64;

/// An activation in DRAM; as a box inside a larger one its pixels, rows and images may lie further apart than they are long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its first byte.
    pub address: u64,
    /// `[n, h, w, c]`.
    pub dims: Dims,
    /// Bytes from pixel to pixel.
    pub pixel_pitch: u64,
    /// Bytes from row to row.
    pub row_pitch: u64,
    /// Bytes from image to image.
    pub image_pitch: u64,
    /// e: bytes of an element (M-2).
    pub element_bytes: u64,
    /// Elements are bits, eight a byte (M-14); `element_bytes` is 1 then.
    pub bits: bool,
}

impl Place {
    /// Without gaps.
    pub fn dense(address: u64, dims: Dims, element_bytes: u64) -> Self {
        let [_, h, w, c] = dims.map(|d| d as u64);
        let pixel_pitch = c * element_bytes;
        let row_pitch = w * pixel_pitch;
        Place { address, dims, pixel_pitch, row_pitch, image_pitch: h * row_pitch, element_bytes, bits: false }
    }

    /// The same with eight channels a byte.
    pub fn dense_bits(address: u64, dims: Dims) -> Self {
        let [n, h, w, c] = dims;
        Place { dims, bits: true, ..Place::dense(address, [n, h, w, c.div_ceil(8)], 1) }
    }

    /// Bytes from one image, row, column, channel to the next.
    pub fn pitches(&self) -> [u64; 4] {
        [self.image_pitch, self.row_pitch, self.pixel_pitch, self.element_bytes]
    }

    /// Address of image `n`, row `y`, column `x`, channel `c`.
    pub fn at(&self, n: usize, y: usize, x: usize, c: usize) -> u64 {
        let steps = [n, y, x].into_iter().zip(self.pitches());
        self.address + steps.map(|(index, pitch)| index as u64 * pitch).sum::<u64>() + self.pixel_bytes(c)
    }

    /// A box in it: every `steps`-th image, row, column from `first` on. Channels have the step 1.
    pub fn part(&self, first: Dims, steps: [usize; 3], dims: Dims) -> Self {
        let [n, y, x, c] = first;
        let [of_image, of_row, of_pixel] = steps.map(|step| step as u64);
        Place {
            address: self.at(n, y, x, c),
            dims,
            pixel_pitch: of_pixel * self.pixel_pitch,
            row_pitch: of_row * self.row_pitch,
            image_pitch: of_image * self.image_pitch,
            element_bytes: self.element_bytes,
            bits: self.bits,
        }
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
            let [before, behind] = layers.margins.get(&id).copied().unwrap_or([0; 2]);
            let [n, h, w, c] = dims;
            let around = [n, h, before + w + behind, c];
            let around = match bits.contains(&id) {
                true => Place::dense_bits(0, around),
                false => Place::dense(0, around, element_bytes),
            };
            // The first margin once more behind the last row, so that the tensor's own images end with its bytes.
            let bytes = n as u64 * around.image_pitch + before as u64 * around.pixel_pitch;
            let around = Place { address: dram.allocate(bytes), ..around };
            places.insert(id, around.part([0, 0, before, 0], [1; 3], dims));
        }
    }
    let mut placed = vec![];
    for &id in layers.inside.keys() {
        // From the tensor that has bytes of its own inwards.
        let mut chain = vec![id];
        while let Some(inside) = chain.last().and_then(|last| layers.inside.get(last)) {
            chain.push(inside.whole);
        }
        let own = chain.pop().and_then(|whole| places.get(&whole).copied());
        let place = chain.iter().rev().fold(own, |place, part| {
            let inside = &layers.inside[part];
            place.map(|place| place.part(inside.first, inside.steps, layers.dims[part]))
        });
        placed.extend(place.map(|place| (id, place)));
    }
    places.extend(placed);
    places
}
