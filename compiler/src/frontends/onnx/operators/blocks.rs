//! Blocked quantisation (attribute `block_size`, rule N-33): each block of an axis has a scale and a zero point of its own. With the elements of
//! each block in a row it is quantisation along the rows. Constants are dequantised here.

use systole_network::op::Op;
use systole_network::tensor::{DType, Data, Quant, Tensor, TensorId, bytes_of_f32};

use super::quantise::dequantize;
use crate::frontends::onnx::attributes::NodeView;
use crate::frontends::onnx::error::ImportError;
use crate::frontends::onnx::importer::{Importer, Result};
use crate::passes::arithmetic::dequantise;

/// The blocks of a tensor.
pub(super) struct Blocks {
    shape: Vec<usize>,
    /// `[before the axis, blocks, elements of a block, behind the axis]`.
    parts: [usize; 4],
}

impl Blocks {
    /// Those of a tensor of this shape, if the node has any.
    pub(super) fn of(
        importer: &Importer<'_>,
        node: &NodeView<'_>,
        shape: &[usize],
        scale: TensorId,
    ) -> Result<Option<Blocks>> {
        let size = match usize::try_from(node.int("block_size", 0)?) {
            Ok(0) => return Ok(None),
            Ok(size) => size,
            Err(_) => return Err(ImportError::invalid("its attribute `block_size` is negative")),
        };
        let axis = node.axis(1, shape.len())?;
        if !shape[axis].is_multiple_of(size) {
            let message = format!("an axis of {} elements is no whole number of blocks of {size}", shape[axis]);
            return Err(ImportError::unsupported(message));
        }
        let mut expected = shape.to_vec();
        expected[axis] /= size;
        let found = &importer.tensor(scale).shape;
        if *found != expected {
            return Err(ImportError::invalid(format!("its scales have the shape {found:?}, its blocks {expected:?}")));
        }
        let (before, behind) = (shape[..axis].iter().product(), shape[axis + 1..].iter().product());
        Ok(Some(Blocks { shape: shape.to_vec(), parts: [before, expected[axis], size, behind] }))
    }

    fn rows_shape(&self) -> Vec<usize> {
        let [before, blocks, size, behind] = self.parts;
        vec![before * blocks * behind, size]
    }

    /// The elements of each block in a row.
    fn in_rows(&self, importer: &mut Importer<'_>, node: &NodeView<'_>, x: TensorId) -> Result<TensorId> {
        let mut x = importer.reshaped(node, x, self.parts.to_vec())?;
        if self.parts[3] > 1 {
            x = importer.permuted(node, x, vec![0, 1, 3, 2])?;
        }
        importer.reshaped(node, x, self.rows_shape())
    }

    /// The rows as the node's output, back in place; integers without a scale, since one axis has none for all of them.
    fn in_place(&self, importer: &mut Importer<'_>, node: &NodeView<'_>, rows: TensorId) -> Result<()> {
        let [before, blocks, size, behind] = self.parts;
        let dtype = importer.tensor(rows).dtype;
        let mut x = rows;
        if behind > 1 {
            let (turned, back) = (vec![before, blocks, behind, size], vec![0, 1, 3, 2]);
            x = importer.typed_step(node, "shape", Op::Reshape, vec![x], (turned, dtype, None))?;
            x = importer.permuted(node, x, back)?;
        }
        importer.emit_typed(node, Op::Reshape, vec![x], self.shape.clone(), dtype, None)
    }

    /// QuantizeLinear of a computed tensor.
    pub(super) fn quantize(
        &self,
        importer: &mut Importer<'_>,
        node: &NodeView<'_>,
        x: TensorId,
        (dtype, quant): (DType, Quant),
    ) -> Result<()> {
        if importer.tensor(x).data.is_some() {
            return Err(ImportError::unsupported("it quantises a constant in blocks").help("store it quantised"));
        }
        let rows = self.in_rows(importer, node, x)?;
        let made = (self.rows_shape(), dtype, Some(quant));
        let rows = importer.typed_step(node, "blocks", Op::Quantize, vec![rows], made)?;
        self.in_place(importer, node, rows)
    }

    /// DequantizeLinear; of a constant the real numbers (rule N-3).
    pub(super) fn dequantize(
        &self,
        importer: &mut Importer<'_>,
        node: &NodeView<'_>,
        x: TensorId,
        quant: Quant,
    ) -> Result<()> {
        if importer.tensor(x).data.is_some() {
            return self.dequantize_constant(importer, node, x, &quant);
        }
        let rows = self.in_rows(importer, node, x)?;
        let real = importer.part(node, vec![], |importer, view| dequantize(importer, view, rows, quant))?;
        self.in_place(importer, node, real)
    }

    fn dequantize_constant(
        &self,
        importer: &mut Importer<'_>,
        node: &NodeView<'_>,
        x: TensorId,
        quant: &Quant,
    ) -> Result<()> {
        let [_, blocks, size, behind] = self.parts;
        importer.take_copy(importer.tensor(x).elements().saturating_mul(4))?;
        let integers = importer.integers(x, "input")?;
        let real = integers.iter().enumerate().map(|(index, &q)| {
            let (outer, place) = (index / behind / size / blocks, index / behind / size % blocks);
            let row = (outer * blocks + place) * behind + index % behind;
            // Integers that are dequantised have 32 bits at most.
            dequantise(q as i32, quant.scale_of(row), quant.zero_point_of(row))
        });
        let data = Some(Data::Stored(bytes_of_f32(&real.collect::<Vec<f32>>())));
        let name = node.proto.output.first().ok_or_else(|| ImportError::invalid("it has no output"))?.clone();
        let made = Tensor { name, shape: self.shape.clone(), dtype: DType::F32, quant: None, data };
        importer.define(made).map(|_| ())
    }
}
