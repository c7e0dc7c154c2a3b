//! What a whole program must satisfy beyond its parts: source map, constant image and tensor table agree with each other and with DRAM.
//!
//! Container and assembler both ask here. What the instructions do is not judged (M-10 to M-13 do that when they run).

use super::{Program, Segment, TensorEntry};

/// One thing wrong with a program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// `source` has not one entry for each instruction.
    #[error("the source map has {source_entries} entries for {instructions} instructions")]
    SourceLength {
        /// Entries of the source map.
        source_entries: usize,
        /// Instructions.
        instructions: usize,
    },
    /// An entry of `source` names no layer.
    #[error("instruction {instruction} belongs to layer {layer}, but there are {layers} layers")]
    SourceLayer {
        /// Index of the instruction.
        instruction: usize,
        /// Its layer.
        layer: u32,
        /// Number of layers.
        layers: usize,
    },
    /// A segment of the constant image is misplaced.
    #[error("image segment {segment} {place}")]
    Segment {
        /// Its index.
        segment: usize,
        /// What is wrong.
        place: Misplaced,
    },
    /// A tensor is misplaced or misshapen.
    #[error("tensor {tensor} {place}")]
    Tensor {
        /// Its index.
        tensor: usize,
        /// What is wrong.
        place: Misplaced,
    },
}

/// What is wrong with the place of a segment or tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misplaced {
    /// It does not end within DRAM.
    #[error("passes the end of DRAM ({dram_bytes} bytes)")]
    OutsideDram {
        /// Size of DRAM.
        dram_bytes: u64,
    },
    /// A segment begins before its predecessor ends.
    #[error("begins before the previous one ends")]
    Overlap,
    /// `shape` and `dims` have different numbers of elements, or one that passes 64 bits.
    #[error("has different numbers of elements in `shape` and `dims`")]
    Elements,
    /// A pitch is under the bytes of a pixel, row or image, so that they overlap.
    #[error("has a pitch under the bytes of its pixels, rows or images")]
    Pitch,
}

/// Everything wrong with `program`, in order of source map, image, tensors. Found as it is asked for, so that a hostile file costs no memory.
pub fn flaws(program: &Program) -> impl Iterator<Item = Flaw> {
    source_flaws(program).chain(image_flaws(program)).chain(tensor_flaws(program))
}

fn source_flaws(program: &Program) -> impl Iterator<Item = Flaw> {
    let (source_entries, instructions, layers) =
        (program.source.len(), program.instructions.len(), program.layers.len());
    let length = (source_entries != instructions).then_some(Flaw::SourceLength { source_entries, instructions });
    let unknown = move |layer: u32| layer != u32::MAX && layer as usize >= layers;
    let entries = program.source.iter().enumerate().filter(move |&(_, &layer)| unknown(layer));
    length.into_iter().chain(entries.map(move |(instruction, &layer)| Flaw::SourceLayer { instruction, layer, layers }))
}

fn image_flaws(program: &Program) -> impl Iterator<Item = Flaw> {
    let mut previous_end = 0;
    program.image.iter().enumerate().filter_map(move |(segment, entry)| {
        let end = segment_end(entry, previous_end, program.dram_bytes);
        previous_end = end.unwrap_or(previous_end);
        end.err().map(|place| Flaw::Segment { segment, place })
    })
}

fn tensor_flaws(program: &Program) -> impl Iterator<Item = Flaw> {
    program.tensors.iter().enumerate().filter_map(|(tensor, entry)| {
        check_tensor(entry, program.dram_bytes).err().map(|place| Flaw::Tensor { tensor, place })
    })
}

fn segment_end(segment: &Segment, previous_end: u64, dram_bytes: u64) -> Result<u64, Misplaced> {
    if segment.address < previous_end {
        return Err(Misplaced::Overlap);
    }
    let end = segment.address.checked_add(segment.bytes.len() as u64);
    end.filter(|&end| end <= dram_bytes).ok_or(Misplaced::OutsideDram { dram_bytes })
}

fn product(factors: &[u64]) -> Option<u64> {
    if factors.contains(&0) {
        return Some(0);
    }
    factors.iter().try_fold(1u64, |total, &factor| total.checked_mul(factor))
}

fn check_tensor(tensor: &TensorEntry, dram_bytes: u64) -> Result<(), Misplaced> {
    let [n, c, h, w] = tensor.dims;
    let elements = product(&tensor.dims).ok_or(Misplaced::Elements)?;
    if product(&tensor.shape) != Some(elements) {
        return Err(Misplaced::Elements);
    }
    if elements == 0 {
        return Ok(());
    }
    let outside = Misplaced::OutsideDram { dram_bytes };
    // From a pixel to a row to an image to the tensor: M-2.
    c.checked_mul(tensor.element.bits()).ok_or(Misplaced::Elements)?;
    let mut bytes = tensor.element.pixel_bytes(c);
    for (count, pitch) in [(w, tensor.pixel_pitch), (h, tensor.row_pitch), (n, tensor.image_pitch)] {
        if count > 1 && pitch < bytes {
            return Err(Misplaced::Pitch);
        }
        bytes = (count - 1).checked_mul(pitch).and_then(|last| last.checked_add(bytes)).ok_or(outside)?;
    }
    match tensor.address.checked_add(bytes) {
        Some(end) if end <= dram_bytes => Ok(()),
        _ => Err(outside),
    }
}
