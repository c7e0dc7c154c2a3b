//! How operands and results are stored on a machine (M-14): the narrowest width of the array that holds the weights' values, and which activations are bits.

use std::collections::{BTreeMap, BTreeSet};

use systole_machine::isa::{Operation, OutputFormat, WeightFormat};
use systole_machine::program::ElementType;
use systole_machine::spec::Machine;
use systole_network::graph::Graph;
use systole_network::tensor::{DType, TensorId};

use crate::error::CompileError;
use crate::layers::{Kind, Layer, Layers};
use crate::memory::Place;

/// Formats that hold a type's values, the narrowest first; only such as hold 0 too where `zero` is asked for.
fn candidates(dtype: DType, zero: bool) -> &'static [WeightFormat] {
    use WeightFormat::{Binary, Byte, Int2, Int4, Levels};
    match (dtype, zero) {
        (DType::B1, false) => &[Binary, Int2, Int4, Byte],
        (DType::B1 | DType::I2, _) => &[Int2, Int4, Byte],
        (DType::L2, false) => &[Levels, Int4, Byte],
        (DType::L2 | DType::I4, _) => &[Int4, Byte],
        _ => &[Byte],
    }
}

/// How the weights of a convolution are stored, which decides its rate; bytes where the array has nothing narrower. Tiles of several groups
/// and of the phases of a transposed convolution have zeros between weights, which some formats have not.
///
/// # Errors
/// Operands wider than any of the array.
pub(crate) fn weights(graph: &Graph, layer: &Layer, machine: &Machine) -> Result<WeightFormat, CompileError> {
    let Kind::Conv { weights, groups, .. } = &layer.kind else { return Ok(WeightFormat::Byte) };
    let wide = graph.tensor(layer.input).dtype == DType::I16;
    let lists = |bits: u32| machine.array.interval_cycles(bits).is_some();
    let fits = |format: &WeightFormat| match format {
        WeightFormat::Byte => lists(if wide { 16 } else { 8 }),
        packed => lists(packed.bits()) && (!wide || lists(16)),
    };
    candidates(graph.tensor(*weights).dtype, *groups > 1 || layer.phase().is_some()).iter().copied().find(fits).ok_or_else(|| {
        let bits = if wide { 16 } else { 8 };
        let message = format!(
            "its operands have {bits} bits, which the array of `{}` does not take; add `width: {bits} bit` to `array.operands`, or choose another machine",
            machine.name
        );
        CompileError::unsupported(&layer.name, message)
    })
}

/// The bits of a weight's value.
pub(crate) fn code(format: WeightFormat, value: i8) -> u8 {
    match format {
        WeightFormat::Byte => value as u8,
        WeightFormat::Int4 => value as u8 & 15,
        WeightFormat::Int2 => value as u8 & 3,
        WeightFormat::Levels => match value {
            ..-1 => 0,
            -1 => 1,
            0 | 1 => 2,
            _ => 3,
        },
        WeightFormat::Binary => u8::from(value > 0),
    }
}

/// Weights of a byte as rows of packed ones, `lanes` each, into `packed`.
pub(crate) fn pack(format: WeightFormat, bytes: &[u8], lanes: usize, packed: &mut [u8]) {
    let bits = format.bits() as usize;
    let rows = packed.chunks_exact_mut(row_bytes(format, lanes));
    for (row, weights) in rows.zip(bytes.chunks_exact(lanes)) {
        for (byte, weights) in row.iter_mut().zip(weights.chunks(8 / bits)) {
            let codes = weights.iter().rev().map(|&weight| code(format, weight as i8));
            *byte = codes.fold(0, |byte, code| if bits == 8 { code } else { byte << bits | code });
        }
    }
}

/// ϱ of M-14: bytes of a row of `lanes` weights.
pub(crate) fn row_bytes(format: WeightFormat, lanes: usize) -> usize {
    (lanes * format.bits() as usize).div_ceil(8)
}

/// Said of a layer whose weights have under 8 bits.
pub(crate) fn text(dtype: DType, format: WeightFormat, bits: bool) -> String {
    let activations = if bits { ", activations b1" } else { "" };
    if dtype.bits() >= 8 {
        return activations.to_owned();
    }
    let name = dtype.name();
    if format.bits() as usize == dtype.bits() {
        format!(", weights {name}{activations}")
    } else {
        format!(", weights {name} widened to {} bit{activations}", format.bits())
    }
}

/// Activations of type b1 that are stored as bits: where the array has 1 bit, those that only convolutions of one group read, and that lie by themselves.
/// The others take a byte an element.
pub(crate) fn bits(graph: &Graph, layers: &Layers, machine: &Machine) -> BTreeSet<TensorId> {
    if machine.array.interval_cycles(1).is_none() {
        return BTreeSet::new();
    }
    // Those that lie in another, by the outermost.
    let mut groups: BTreeMap<TensorId, Vec<TensorId>> = BTreeMap::new();
    let mut apart = BTreeSet::new();
    for &id in layers.dims.keys() {
        let mut whole = id;
        while let Some(inside) = layers.inside.get(&whole) {
            if inside.first != [0; 4] || inside.steps != [1; 3] || layers.dims[&inside.whole] != layers.dims[&whole] {
                apart.insert(id);
            }
            whole = inside.whole;
        }
        if layers.margins.contains_key(&id) {
            apart.insert(id);
        }
        groups.entry(whole).or_default().push(id);
    }
    let reads_bits = |layer: &Layer| matches!(layer.kind, Kind::Conv { groups: 1, phase: None, .. });
    let mut read_otherwise = BTreeSet::new();
    for layer in &layers.layers {
        if !reads_bits(layer) {
            read_otherwise.insert(layer.input);
            read_otherwise.extend(layer.second());
            if let Kind::Sum(more) = &layer.kind {
                read_otherwise.extend(more);
            }
        }
        let has_sign = matches!(layer.kind, Kind::Conv { phase: None, .. } | Kind::Affine { .. } | Kind::Rescale);
        if layer.output_first != [0; 4] || !has_sign {
            read_otherwise.insert(layer.output);
        }
    }
    let fits = |id: &TensorId| {
        let at_edge = graph.inputs.contains(id) || graph.outputs.contains(id);
        graph.tensor(*id).dtype == DType::B1 && !at_edge && !read_otherwise.contains(id) && !apart.contains(id)
    };
    groups.into_values().filter(|group| group.iter().all(fits)).flatten().collect()
}

/// The register of a result's format, where it is not plain.
pub(crate) fn output(dtype: DType, place: &Place) -> Option<Operation> {
    let out = match dtype {
        DType::B1 if place.bits => OutputFormat::Binary,
        DType::B1 => OutputFormat::Sign,
        DType::I32 => OutputFormat::Sum,
        _ => return None,
    };
    Some(Operation::VectorFormat { out })
}

/// A tensor's elements in DRAM.
pub(crate) fn element(dtype: DType, place: &Place) -> ElementType {
    match dtype {
        _ if place.bits => ElementType::B1,
        DType::I8 | DType::B1 => ElementType::I8,
        DType::I16 => ElementType::I16,
        DType::I32 => ElementType::I32,
        _ => ElementType::U8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_lie_from_the_lowest_bits_up_in_rows_of_whole_bytes() {
        let pack = |format, values: &[i8], lanes| {
            let bytes: Vec<u8> = values.iter().map(|&value| value as u8).collect();
            let mut packed = vec![0; values.len() / lanes * row_bytes(format, lanes)];
            super::pack(format, &bytes, lanes, &mut packed);
            packed
        };
        assert_eq!(pack(WeightFormat::Int4, &[-8, 7, 1, 0, 0, -1], 3), [0x78, 0x01, 0x00, 0x0f]);
        assert_eq!(pack(WeightFormat::Int2, &[-1, 0, 1, -2, 1], 5), [0b10_01_00_11, 0b01]);
        assert_eq!(pack(WeightFormat::Levels, &[-2, -1, 1, 2], 4), [0b11_10_01_00]);
        assert_eq!(pack(WeightFormat::Binary, &[1, -1, -1, 1, 1, 1, 1, 1, 1], 9), [0b1111_1001, 1]);
        assert_eq!(pack(WeightFormat::Byte, &[-1, 2], 2), [255, 2]);
    }
}
