//! QuantizeLinear and DequantizeLinear. The integer tensor carries scale and zero point. Those with blocks are in `blocks`.

use systole_network::op::Op;
use systole_network::tensor::{DType, Data, Quant, Tensor, TensorId};

use super::blocks::Blocks;
use super::{Inputs, float_shape};
use crate::frontends::onnx::attributes::{NodeView, normalise_axis};
use crate::frontends::onnx::error::ImportError;
use crate::frontends::onnx::importer::{Importer, Result};
use crate::frontends::onnx::proto::data_type;

pub(super) fn quantize_linear(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    let x = inputs.required(0, "input")?;
    let shape = float_shape(importer, x)?;
    let blocks = Blocks::of(importer, node, &shape, inputs.required(1, "scale")?)?;
    let stated = match node.int("output_dtype", 0)? {
        0 => None,
        number => Some(i32::try_from(number).map_or_else(|_| Err(bad_type(number)), super::super::constants::dtype)?),
    };
    let zero_point = inputs.optional(2);
    let dtype = match (zero_point.map(|id| importer.tensor(id).dtype), stated) {
        (Some(dtype), Some(other)) if dtype != other => {
            return Err(ImportError::invalid(format!(
                "its zero point is {}, its output {}",
                dtype.name(),
                other.name()
            )));
        }
        (Some(dtype), _) | (None, Some(dtype)) => dtype,
        (None, None) => DType::U8,
    };
    if dtype.range().is_none() {
        let message = format!("its output is {}; integers of 2 to 16 bits are supported", dtype.name());
        return Err(ImportError::unsupported(message));
    }
    let quant = parameters(importer, node, inputs, &shape)?;
    if let Some(blocks) = blocks {
        return blocks.quantize(importer, node, x, (dtype, quant));
    }
    if importer.tensor(x).data.is_some() {
        return quantise_constant(importer, node, x, dtype, quant);
    }
    importer.emit_typed(node, Op::Quantize, vec![x], shape, dtype, Some(quant))
}

fn bad_type(number: i64) -> ImportError {
    ImportError::invalid(format!("its attribute `output_dtype` is {number}"))
}

pub(super) fn dequantize_linear(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    let x = inputs.required(0, "input")?;
    let output = node.int("output_dtype", 0)?;
    if output != 0 && output != i64::from(data_type::FLOAT) {
        return Err(ImportError::unsupported("its output is not FLOAT"));
    }
    let (shape, dtype) = (importer.tensor(x).shape.clone(), importer.tensor(x).dtype);
    if dtype != DType::I32 && dtype.range().is_none() {
        let message = format!("its input `{}` is {}", importer.tensor(x).name, dtype.name());
        return Err(ImportError::unsupported(message).help("i32 and the integers of 2 to 16 bits are supported"));
    }
    if let Some(zero_point) = inputs.optional(2).map(|id| importer.tensor(id).dtype).filter(|&zero| zero != dtype) {
        return Err(ImportError::invalid(format!(
            "its input is {}, its zero point {}",
            dtype.name(),
            zero_point.name()
        )));
    }
    let quant = parameters(importer, node, inputs, &shape)?;
    if let Some(blocks) = Blocks::of(importer, node, &shape, inputs.required(1, "scale")?)? {
        return blocks.dequantize(importer, node, x, quant);
    }
    dequantize(importer, node, x, quant)
}

/// A Dequantize of integers that mean what `quant` says.
pub(super) fn dequantize(importer: &mut Importer<'_>, node: &NodeView<'_>, x: TensorId, quant: Quant) -> Result<()> {
    let (shape, dtype) = (importer.tensor(x).shape.clone(), importer.tensor(x).dtype);
    if dtype == DType::I32 && quant.zero_point.iter().any(|&z| z != 0) {
        return Err(ImportError::unsupported("its input is i32, but its zero point is not 0"));
    }
    let tensor = &mut importer.graph.tensors[x.0 as usize];
    match &tensor.quant {
        Some(other) if *other != quant => {
            return Err(ImportError::unsupported(format!(
                "it reads `{}` with another scale or zero point than others do",
                tensor.name
            )));
        }
        _ => tensor.quant = Some(quant),
    }
    if shape.is_empty() {
        return Err(ImportError::unsupported(format!("its input `{}` is a scalar", importer.tensor(x).name)));
    }
    importer.emit(node, Op::Dequantize, vec![x], shape)
}

/// Scale and zero point, checked against the shape of the data.
fn parameters(importer: &Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>, shape: &[usize]) -> Result<Quant> {
    let scale = importer.floats(inputs.required(1, "scale")?, "scale")?;
    if let Some(bad) = scale.iter().find(|s| !(s.is_finite() && **s > 0.0)) {
        return Err(ImportError::invalid(format!("its scale is {bad}")));
    }
    let zero_point = match inputs.optional(2) {
        Some(id) => importer.integers(id, "zero point")?,
        None => vec![0; scale.len()],
    };
    let zero_point: Vec<i32> = zero_point.iter().filter_map(|&z| i32::try_from(z).ok()).collect();
    if zero_point.len() != scale.len() {
        return Err(ImportError::invalid(format!(
            "it has {} scales and {} zero points",
            scale.len(),
            zero_point.len()
        )));
    }
    match scale.len() {
        // Along the rows that hold a block each.
        _ if node.int("block_size", 0)? != 0 => Ok(Quant { scale, zero_point, axis: Some(0) }),
        1 => Ok(Quant::per_tensor(scale[0], zero_point[0])),
        n => {
            let axis = normalise_axis(node.int("axis", 1)?, shape.len())?;
            if shape[axis] != n {
                return Err(ImportError::invalid(format!("it has {n} scales for axis {axis} of the shape {shape:?}")));
            }
            Ok(Quant { scale, zero_point, axis: Some(axis) })
        }
    }
}

/// Rule N-2 on a constant.
fn quantise_constant(
    importer: &mut Importer<'_>,
    node: &NodeView<'_>,
    x: TensorId,
    dtype: DType,
    quant: Quant,
) -> Result<()> {
    let width = dtype.bytes();
    importer.take_copy(importer.tensor(x).elements().saturating_mul(width))?;
    let values = importer.floats(x, "input")?;
    let shape = importer.tensor(x).shape.clone();
    let (low, high) = dtype.range().unwrap_or((0, 0));
    // Elements between two steps of the axis; one step covers everything when there is one scale.
    let inner: usize = quant.axis.map_or(usize::MAX, |axis| shape[axis + 1..].iter().product());
    let quantised = values.iter().enumerate().flat_map(|(index, &v)| {
        let c = (index / inner) % quant.scale.len();
        let q = crate::passes::arithmetic::quantise(v, quant.scale_of(c), quant.zero_point_of(c), (low, high));
        q.to_le_bytes().into_iter().take(width)
    });
    let data = Some(Data::Stored(quantised.collect()));
    let name = node.proto.output.first().ok_or_else(|| ImportError::invalid("it has no output"))?.clone();
    importer.define(Tensor { name, shape, dtype, quant: Some(quant), data }).map(|_| ())
}
