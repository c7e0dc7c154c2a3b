//! Blocked quantisation (attribute `block_size`, rule N-33): each block of an axis has a scale and a zero point of its own. With the elements of
//! each block in a row it is quantisation along the rows. Constants are dequantised here.

use systole_network::op::{Fill, Op};
use systole_network::tensor::{DType, Data, Quant, Tensor, TensorId, bytes_of_f32};

use super::quantise::dequantize;
use crate::frontends::onnx::attributes::NodeView;
use crate::frontends::onnx::error::ImportError;
use crate::frontends::onnx::importer::{Importer, Result};
use crate::passes::arithmetic::dequantise;

/// The blocks of a tensor.
pub(super) struct Blocks {
    shape: Vec<usize>,
    /// Elements before the axis, along it, and behind it.
    sides: [usize; 3],
    /// How many blocks the axis has.
    count: usize,
    /// Elements of a block; the last one may have fewer.
    size: usize,
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
        let mut expected = shape.to_vec();
        expected[axis] = shape[axis].div_ceil(size);
        let found = &importer.tensor(scale).shape;
        if *found != expected {
            return Err(ImportError::invalid(format!("its scales have the shape {found:?}, its blocks {expected:?}")));
        }
        let (before, behind) = (shape[..axis].iter().product(), shape[axis + 1..].iter().product());
        let (sides, size) = ([before, shape[axis], behind], size.min(shape[axis]));
        Ok(Some(Blocks { shape: shape.to_vec(), sides, count: expected[axis], size }))
    }

    fn rows_shape(&self) -> Vec<usize> {
        let [before, _, behind] = self.sides;
        vec![before * self.count * behind, self.size]
    }

    /// The elements of each block in a row; what the last one lacks is 0.
    fn in_rows(&self, importer: &mut Importer<'_>, node: &NodeView<'_>, x: TensorId) -> Result<TensorId> {
        let [before, length, behind] = self.sides;
        let (count, size) = (self.count, self.size);
        let mut x = x;
        if count * size > length {
            x = importer.reshaped(node, x, vec![before, length, behind])?;
            let after = vec![0, count * size - length, 0];
            let fill = Op::Pad { before: vec![0; 3], after, fill: Fill::Constant(0.0) };
            x = importer.step(node, "fill", fill, vec![x], vec![before, count * size, behind])?;
        }
        x = importer.reshaped(node, x, vec![before, count, size, behind])?;
        if behind > 1 {
            x = importer.permuted(node, x, vec![0, 1, 3, 2])?;
        }
        importer.reshaped(node, x, self.rows_shape())
    }

    /// The rows as the node's output, back in place; integers without a scale, since one axis has none for all of them.
    fn in_place(&self, importer: &mut Importer<'_>, node: &NodeView<'_>, rows: TensorId) -> Result<()> {
        let [before, length, behind] = self.sides;
        let (count, size) = (self.count, self.size);
        let dtype = importer.tensor(rows).dtype;
        let mut x = rows;
        if behind > 1 {
            let turned = vec![before, count, behind, size];
            x = importer.typed_step(node, "shape", Op::Reshape, vec![x], (turned, dtype, None))?;
            x = importer.permuted(node, x, vec![0, 1, 3, 2])?;
        }
        if count * size > length {
            let whole = vec![before, count * size, behind];
            x = importer.typed_step(node, "shape", Op::Reshape, vec![x], (whole, dtype, None))?;
            let used = Op::Slice { starts: vec![0; 3], steps: vec![1; 3] };
            x = importer.step(node, "cut", used, vec![x], vec![before, length, behind])?;
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
        let [_, length, behind] = self.sides;
        importer.take_copy(importer.tensor(x).elements().saturating_mul(4))?;
        let integers = importer.integers(x, "input")?;
        let real = integers.iter().enumerate().map(|(index, &q)| {
            let (outer, place) = (index / behind / length, index / behind % length);
            let row = (outer * self.count + place / self.size) * behind + index % behind;
            // Integers that are dequantised have 32 bits at most.
            dequantise(q as i32, quant.scale_of(row), quant.zero_point_of(row))
        });
        let data = Some(Data::Stored(bytes_of_f32(&real.collect::<Vec<f32>>())));
        let name = node.proto.output.first().ok_or_else(|| ImportError::invalid("it has no output"))?.clone();
        let made = Tensor { name, shape: self.shape.clone(), dtype: DType::F32, quant: None, data };
        importer.define(made).map(|_| ())
    }
}
