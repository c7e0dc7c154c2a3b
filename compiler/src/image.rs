//! Constants as the machine reads them: weight tiles in the order of folds, and a record of parameters a channel.

use rayon::prelude::*;
use systole_machine::spec::{Dataflow, Machine, Requantisation};
use systole_network::graph::Graph;
use systole_network::tensor::{DType, Data, Quant, Tensor, TensorId, f32_of_bytes, i32_of_bytes};

use crate::error::CompileError;
use crate::fixed::{self, Factor};
use crate::formats::pack;
use crate::layers::transposed::Phase;
use crate::layers::{Kind, Layer, Second};
use crate::mapping::conv::chunk_elements;
use crate::mapping::{Chunk, ConvMapping, Part};
use crate::tables;

/// Bytes of a stored constant.
pub(crate) fn stored<'a>(graph: &'a Graph, id: TensorId, layer: &str) -> Result<&'a [u8], CompileError> {
    let tensor = graph.tensor(id);
    match &tensor.data {
        Some(Data::Stored(bytes)) if bytes.len() == tensor.elements() * tensor.dtype.bytes() => Ok(bytes),
        Some(Data::Stored(bytes)) => Err(CompileError::invalid(
            layer,
            format!(
                "constant `{}` holds {} bytes, its shape {:?} asks for others",
                tensor.name,
                bytes.len(),
                tensor.shape
            ),
        )),
        _ => Err(CompileError::invalid(layer, format!("constant `{}` has no stored values", tensor.name))),
    }
}

/// The weights of a convolution, `[m, c / groups, kh, kw]`, and where a tile's byte comes from.
struct Weights<'a> {
    bytes: &'a [u8],
    outputs_per_group: usize,
    inputs_per_group: usize,
    kernel: [usize; 2],
    /// Output channels of the tensor.
    outputs: usize,
    /// What window and output channels of a part of a transposed convolution are in the tensor.
    phase: Option<&'a Phase>,
    /// The byte of real zero: the zero point.
    zero: u8,
}

impl Weights<'_> {
    /// The byte for output channel `n` and input channel `c` (of the whole input); real zero where they are of different groups.
    fn at(&self, n: usize, c: usize, ky: usize, kx: usize) -> u8 {
        let Some(phase) = self.phase else { return self.stored(n, c, ky, kx) };
        match (phase.rows[ky], phase.columns[n / self.outputs][kx]) {
            (Some(ky), Some(kx)) => self.stored(n % self.outputs, c, ky, kx),
            _ => self.zero,
        }
    }

    /// The same for output channel and tap of the tensor.
    fn stored(&self, n: usize, c: usize, ky: usize, kx: usize) -> u8 {
        if c / self.inputs_per_group != n / self.outputs_per_group {
            return self.zero;
        }
        let [kh, kw] = self.kernel;
        self.bytes[((n * self.inputs_per_group + c % self.inputs_per_group) * kh + ky) * kw + kx]
    }
}

/// The one zero point of a layer's weights (`zw` of rule N-1): the array subtracts the same from all (`ar.quant`).
///
/// # Errors
/// Zero points that differ between channels.
pub fn weight_zero_point(graph: &Graph, weights: TensorId, layer: &str) -> Result<i32, CompileError> {
    let tensor = graph.tensor(weights);
    tensor
        .quant
        .as_ref()
        .map_or(Some(0), Quant::one_zero_point)
        .ok_or_else(|| CompileError::unsupported(layer, format!("weights `{}` have several zero points", tensor.name)))
}

/// All weight tiles of a convolution, part after part (M-5's order within a part).
///
/// # Errors
/// Weights without values, or with several zero points.
pub fn weight_tiles(
    graph: &Graph,
    layer: &Layer,
    mapping: &ConvMapping,
    machine: &Machine,
    inputs: usize,
) -> Result<Vec<u8>, CompileError> {
    let Kind::Conv { weights, groups, .. } = &layer.kind else {
        return Err(CompileError::internal(&layer.name, "asked for the weights of a layer that has none"));
    };
    let tensor = graph.tensor(*weights);
    let phase = layer.phase();
    let groups = phase.map_or(*groups, |phase| phase.groups);
    let source = Weights {
        bytes: stored(graph, *weights, &layer.name)?,
        outputs_per_group: tensor.shape[0] / groups,
        inputs_per_group: inputs / groups,
        kernel: kernel_of(layer, &tensor.shape),
        outputs: tensor.shape[0],
        phase,
        // Two's complement for i8.
        zero: weight_zero_point(graph, *weights, &layer.name)? as u8,
    };
    let mut bytes = vec![0; mapping.weight_bytes as usize];
    let mut pieces: Vec<(&Chunk, &Part, &mut [u8])> = vec![];
    let mut rest = bytes.as_mut_slice();
    for chunk in &mapping.chunks {
        for part in &chunk.parts {
            let (piece, tail) = rest.split_at_mut(part.weight_bytes as usize);
            pieces.push((chunk, part, piece));
            rest = tail;
        }
    }
    pieces.into_par_iter().for_each(|(chunk, part, piece)| {
        let elements = chunk_elements(machine, mapping.dataflow);
        let (rows, lanes) = match mapping.dataflow {
            Dataflow::InputStationary => (chunk.block_channels, elements),
            Dataflow::WeightStationary | Dataflow::OutputStationary => (elements, machine.array.columns as usize),
        };
        let mut tiles = vec![source.zero; chunk.blocks * part.folds * rows * lanes];
        fill_part(&source, chunk, part, mapping, machine, &mut tiles);
        pack(mapping.weight_format, &tiles, lanes, piece);
    });
    Ok(bytes)
}

/// `[kh, kw]` of the stored weights.
fn kernel_of(layer: &Layer, shape: &[usize]) -> [usize; 2] {
    match (&layer.kind, shape) {
        (Kind::Conv { phase: Some(_), .. }, &[_, _, kh, kw]) => [kh, kw],
        (Kind::Conv { window, .. }, _) => window.kernel,
        _ => [1, 1],
    }
}

fn fill_part(
    source: &Weights<'_>,
    chunk: &Chunk,
    part: &Part,
    mapping: &ConvMapping,
    machine: &Machine,
    out: &mut [u8],
) {
    // A chunk of elements by lanes, weight- and output-stationary; outputs by elements, input-stationary.
    let elements = chunk_elements(machine, mapping.dataflow);
    let (lanes, by_element, by_output) = match mapping.dataflow {
        Dataflow::InputStationary => (chunk.block_channels, 1, elements),
        Dataflow::WeightStationary | Dataflow::OutputStationary => {
            let columns = machine.array.columns as usize;
            (columns, columns, 1)
        }
    };
    let packed = mapping.packed;
    let kw = source.phase.map_or(source.kernel[1], |phase| phase.columns[0].len());
    let channels = if chunk.block_step > 0 { chunk.run_channels } else { part.channels.1 };
    let (runs, run) = if packed { (1, kw * channels) } else { (kw, channels) };
    let mut tiles = out.chunks_exact_mut(elements * lanes);
    for block in 0..chunk.blocks {
        let first_output = chunk.outputs.0 + block * chunk.block_channels;
        let outputs = chunk.block_channels.min(chunk.outputs.0 + chunk.outputs.1 - first_output);
        let first_input = part.channels.0 + block * chunk.block_step;
        for ky in part.kernel_rows.0..part.kernel_rows.0 + part.kernel_rows.1 {
            for tap in 0..runs {
                for start in (0..run).step_by(elements) {
                    let Some(tile) = tiles.next() else { return };
                    for element in 0..elements.min(run - start) {
                        let k = start + element;
                        let kx = if packed { k / channels } else { tap };
                        for output in 0..outputs {
                            tile[element * by_element + output * by_output] =
                                source.at(first_output + output, first_input + k % channels, ky, kx);
                        }
                    }
                }
            }
        }
    }
}

fn interleave(first: impl Iterator<Item = [u8; 4]>, second: impl Iterator<Item = [u8; 4]>) -> Vec<u8> {
    first.zip(second).flat_map(|(a, b)| [a, b].concat()).collect()
}

fn scale(tensor: &Tensor, channel: usize) -> f32 {
    tensor.quant.as_ref().map_or(1.0, |quant| quant.scale_of(channel))
}

/// Records of a convolution's requantisation (M-7): bias i32, then `f32(f32(sx · sw[c]) / sy)`, or multiplier and shift, or shift.
///
/// # Errors
/// A bias without values.
pub fn requant_params(
    graph: &Graph,
    layer: &Layer,
    channels: usize,
    requantisation: Requantisation,
) -> Result<Vec<u8>, CompileError> {
    let Kind::Conv { weights, bias, whole, .. } = &layer.kind else {
        return Err(CompileError::internal(&layer.name, "asked for the parameters of a layer that has none"));
    };
    let biases = match bias {
        Some(id) => i32_of_bytes(stored(graph, *id, &layer.name)?),
        None => vec![0; graph.tensor(*weights).shape.first().copied().unwrap_or(channels)],
    };
    let (x, w, y) = (graph.tensor(layer.input), graph.tensor(*weights), graph.tensor(layer.output));
    let (sx, sy) = (scale(x, 0), scale(y, 0));
    let mut records = vec![];
    // Pixels side by side in a phase's channels have the parameters of one pixel each.
    let mut biases = biases.into_iter().enumerate().cycle();
    for (channel, bias) in biases.by_ref().take(channels) {
        let sw = scale(w, channel);
        records.extend(bias.to_le_bytes());
        match fixed::requantise(requantisation, [sx, sw, sy], *whole) {
            None => records.extend((sx * sw / sy).to_le_bytes()),
            Some(Factor { shift, .. }) if requantisation == Requantisation::Shift => {
                records.extend(shift.to_le_bytes());
            }
            Some(Factor { multiplier, shift }) => {
                records.extend([multiplier, shift].into_iter().flat_map(i32::to_le_bytes));
            }
        }
    }
    Ok(records)
}

/// Parameters of an element-wise layer with constants per channel; `None` when it has none.
///
/// # Errors
/// Constants without values.
pub fn channel_params(graph: &Graph, layer: &Layer) -> Result<Option<Vec<u8>>, CompileError> {
    match &layer.kind {
        Kind::Add(Second::Channel(id)) | Kind::Mul(Second::Channel(id)) | Kind::Pair(_, Second::Channel(id)) => {
            let wide = operand_values(graph.tensor(*id).dtype, stored(graph, *id, &layer.name)?);
            Ok(Some(interleave(wide.into_iter().map(i32::to_le_bytes), std::iter::repeat([0; 4]))))
        }
        Kind::Affine { a, b } => {
            let constants = |id| Ok::<_, CompileError>(f32_of_bytes(stored(graph, id, &layer.name)?));
            let (a, b) = (constants(*a)?, constants(*b)?);
            Ok(Some(interleave(a.into_iter().map(f32::to_le_bytes), b.into_iter().map(f32::to_le_bytes))))
        }
        Kind::Sum(more) => {
            let tensors = || std::iter::once(&layer.input).chain(more).map(|id| graph.tensor(*id));
            let zero = |tensor: &Tensor| tensor.quant.as_ref().map_or(0, |quant| quant.zero_point_of(0));
            let zeros = tensors().map(|tensor| zero(tensor).to_le_bytes());
            Ok(Some(interleave(tensors().map(|tensor| scale(tensor, 0).to_le_bytes()), zeros)))
        }
        Kind::Table(table) => tables::bytes(graph, layer, *table).map(Some),
        _ => Ok(None),
    }
}

/// The integers of a constant operand.
pub(crate) fn operand_values(dtype: DType, bytes: &[u8]) -> Vec<i32> {
    match dtype {
        DType::I8 => bytes.iter().map(|&q| i32::from(q as i8)).collect(),
        DType::I16 => bytes.chunks_exact(2).map(|q| i32::from(i16::from_le_bytes([q[0], q[1]]))).collect(),
        _ => bytes.iter().map(|&q| i32::from(q)).collect(),
    }
}
