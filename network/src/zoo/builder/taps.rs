//! Layers of deformable and of decoding networks: moved taps, switches, unpooling, and transposed convolution back to a size there was.

use super::{Builder, Layer};
use crate::op::{Conv, ConvTranspose, Deform, Op, Pool};
use crate::shape::{ShapeError, infer};
use crate::tensor::{DType, TensorId};

impl Builder {
    /// A 3×3 deformable convolution without bias, at stride 1 with padding that keeps the image's size, and one offset group; its offsets
    /// are `name`_offset, a convolution of the same window. What He weights make of rectified values is a pixel or two.
    pub(in super::super) fn deformable(&mut self, name: &str, x: TensorId, channels: usize, dilation: usize) -> Layer {
        let conv = Conv { kernel: [3; 2], stride: [1; 2], dilation: [dilation; 2], pads: [dilation; 4], groups: 1 };
        let of = format!("{name}_offset");
        let from = self.channels(x);
        let inputs = self.weighted(&of, x, vec![18, from, 3, 3], true, 1.0);
        let offsets = self.node(&of, Op::Conv(conv.clone()), inputs)?;
        let mut inputs = self.weighted(name, x, vec![channels, from, 3, 3], false, 1.0);
        inputs.push(offsets);
        self.node(name, Op::DeformConv(Deform { conv, offset_groups: 1 }), inputs)
    }

    /// Maximum pooling `name`, and where its maxima were, `name`_switches.
    pub(in super::super) fn switched_pool(
        &mut self,
        name: &str,
        x: TensorId,
        pool: &Pool,
    ) -> Result<[TensorId; 2], ShapeError> {
        let switches = self.node(&format!("{name}_switches"), Op::ArgMaxPool(pool.clone()), vec![x])?;
        self.graph.tensors[switches.0 as usize].dtype = DType::I64;
        Ok([self.node(name, Op::MaxPool(pool.clone()), vec![x])?, switches])
    }

    /// Values back where the switches say, in an image of the size of `like`.
    pub(in super::super) fn unpool(
        &mut self,
        name: &str,
        [x, switches]: [TensorId; 2],
        pool: Pool,
        like: TensorId,
    ) -> Layer {
        let output = self.node(name, Op::MaxUnpool(pool), vec![x, switches])?;
        let size = self.graph.tensor(like).shape[2..].to_vec();
        self.graph.tensors[output.0 as usize].shape.splice(2.., size);
        Ok(output)
    }

    /// Transposed convolution with bias, to an image of the size of `like`.
    pub(in super::super) fn transposed_to(
        &mut self,
        name: &str,
        x: TensorId,
        [channels, kernel, stride, pad]: [usize; 4],
        like: TensorId,
    ) -> Layer {
        let from = self.channels(x);
        let mut conv = ConvTranspose {
            kernel: [kernel; 2],
            stride: [stride; 2],
            dilation: [1; 2],
            pads: [pad; 4],
            output_padding: [0; 2],
            groups: 1,
        };
        let mut inputs = self.weighted(name, x, vec![from, channels, kernel, kernel], false, 1.0);
        let shapes: Vec<&[usize]> = inputs.iter().map(|&id| self.graph.tensor(id).shape.as_slice()).collect();
        let made = infer(&Op::ConvTranspose(conv.clone()), &shapes)?.swap_remove(0);
        let wanted = self.graph.tensor(like).shape.clone();
        conv.output_padding = [2, 3].map(|axis| wanted[axis].saturating_sub(made[axis]));
        inputs.push(self.tensor(&format!("{name}_bias"), vec![channels], Some(super::BIAS)));
        self.node(name, Op::ConvTranspose(conv), inputs)
    }
}
