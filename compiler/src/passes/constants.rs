//! Numbers behind constant tensors, wherever they come from.

use std::collections::BTreeMap;

use systole_network::graph::{Graph, NodeId};
use systole_network::op::Op;
use systole_network::seed;
use systole_network::tensor::{DType, Data, Tensor, TensorId, f32_of_bytes, i32_of_bytes};

use super::arithmetic::dequantise;

/// Values of an f32 constant; `None` when they are unknown.
pub(super) fn floats(tensor: &Tensor, seed: u64) -> Option<Vec<f32>> {
    match tensor.data.as_ref()? {
        Data::Stored(bytes) if tensor.dtype == DType::F32 => Some(f32_of_bytes(bytes)),
        Data::Seeded { distribution } => Some(seed::values(tensor, *distribution, seed)),
        Data::Stored(_) | Data::Unknown => None,
    }
}

/// Values of an integer constant; `None` when they are unknown.
pub(super) fn integers(tensor: &Tensor) -> Option<Vec<i32>> {
    let Some(Data::Stored(bytes)) = &tensor.data else {
        return None;
    };
    match tensor.dtype {
        DType::I8 | DType::I4 | DType::I2 | DType::L2 | DType::B1 => {
            Some(bytes.iter().map(|&b| i32::from(b as i8)).collect())
        }
        DType::U8 | DType::U4 | DType::U2 => Some(bytes.iter().map(|&b| i32::from(b)).collect()),
        DType::I16 => Some(bytes.chunks_exact(2).map(|b| i32::from(i16::from_le_bytes([b[0], b[1]]))).collect()),
        DType::I32 => Some(i32_of_bytes(bytes)),
        DType::U16 => Some(bytes.chunks_exact(2).map(|b| i32::from(u16::from_le_bytes([b[0], b[1]]))).collect()),
        DType::F32 | DType::I64 | DType::U32 | DType::U64 | DType::Bool => None,
    }
}

/// The integer constant that `id` is the Dequantize of.
pub(super) fn behind_dequantize(
    graph: &Graph,
    producers: &BTreeMap<TensorId, NodeId>,
    id: TensorId,
) -> Option<TensorId> {
    let node = graph.node(*producers.get(&id)?);
    let integers = *node.inputs.first()?;
    (node.op == Op::Dequantize && graph.tensor(integers).data.is_some()).then_some(integers)
}

/// Real values of a constant that may stand behind a Dequantize (rule N-3).
pub(super) fn reals(
    graph: &Graph,
    producers: &BTreeMap<TensorId, NodeId>,
    id: TensorId,
    seed: u64,
) -> Option<Vec<f32>> {
    let Some(stored) = behind_dequantize(graph, producers, id) else {
        return floats(graph.tensor(id), seed);
    };
    let tensor = graph.tensor(stored);
    let quant = tensor.quant.as_ref()?;
    let inner: usize = quant.axis.map_or(usize::MAX, |axis| tensor.shape[axis + 1..].iter().product());
    let real = |(index, &q): (usize, &i32)| {
        let c = (index / inner) % quant.scale.len();
        dequantise(q, quant.scale_of(c), quant.zero_point_of(c))
    };
    Some(integers(tensor)?.iter().enumerate().map(real).collect())
}
