//! Sliding windows: explicit pads and output extents from what convolution and pooling say.

use super::attributes::NodeView;
use super::error::ImportError;

/// One window over an image.
pub(super) struct Window {
    /// `[kh, kw]`.
    pub(super) kernel: [usize; 2],
    pub(super) stride: [usize; 2],
    pub(super) dilation: [usize; 2],
    /// Output extents round up.
    pub(super) ceil: bool,
}

impl Window {
    /// `[top, left, bottom, right]` and `[oh, ow]` over an input of extents `[h, w]`.
    pub(super) fn place(
        &self,
        node: &NodeView<'_>,
        input: [usize; 2],
    ) -> Result<([usize; 4], [usize; 2]), ImportError> {
        let mut pads = [0; 4];
        match node.string("auto_pad", "NOTSET")? {
            "NOTSET" | "" => pads = node.pads()?,
            "VALID" => {}
            same @ ("SAME_UPPER" | "SAME_LOWER") => {
                for axis in 0..2 {
                    let (less, more) = self.same_pads(axis, input[axis]);
                    (pads[axis], pads[axis + 2]) = if same == "SAME_UPPER" { (less, more) } else { (more, less) };
                }
            }
            other => {
                return Err(ImportError::invalid(format!("its attribute `auto_pad` is `{other}`")));
            }
        }
        let mut output = [0; 2];
        for axis in 0..2 {
            output[axis] = self.output(axis, input[axis], pads[axis], pads[axis + 2])?;
        }
        Ok((pads, output))
    }

    /// Extent of the kernel with its dilation.
    pub(super) fn extent(&self, axis: usize) -> usize {
        (self.kernel[axis] - 1) * self.dilation[axis] + 1
    }

    /// Smaller and larger half of what makes the output `ceil(input / stride)`.
    fn same_pads(&self, axis: usize, input: usize) -> (usize, usize) {
        let output = input.div_ceil(self.stride[axis]);
        let covered = output.saturating_sub(1) * self.stride[axis] + self.extent(axis);
        let total = covered.saturating_sub(input);
        (total / 2, total - total / 2)
    }

    fn output(&self, axis: usize, input: usize, before: usize, after: usize) -> Result<usize, ImportError> {
        let (extent, stride, padded) = (self.extent(axis), self.stride[axis], input + before + after);
        let Some(room) = padded.checked_sub(extent) else {
            return Err(ImportError::invalid(format!(
                "its window of extent {extent} does not fit into {input} + {before} + {after} padding"
            )));
        };
        if !self.ceil {
            return Ok(room / stride + 1);
        }
        let rounded_up = room.div_ceil(stride) + 1;
        // A window that would start beyond the input and its leading pad is dropped.
        let starts_beyond = (rounded_up - 1) * stride >= input + before;
        Ok(rounded_up - usize::from(starts_beyond))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frontends::onnx::proto::NodeProto;

    fn window(kernel: usize, stride: usize, dilation: usize, ceil: bool) -> Window {
        Window { kernel: [kernel; 2], stride: [stride; 2], dilation: [dilation; 2], ceil }
    }

    #[test]
    fn output_extents() {
        assert_eq!(window(3, 2, 1, false).output(0, 224, 1, 1), Ok(112));
        assert_eq!(window(3, 1, 2, false).output(0, 10, 0, 0), Ok(6));
        assert_eq!(window(3, 2, 1, true).output(0, 112, 0, 0), Ok(56));
        assert_eq!(window(3, 2, 1, false).output(0, 112, 0, 0), Ok(55));
        // The third window would start at 4, where the input and its leading pad end.
        assert_eq!(window(2, 2, 1, true).output(0, 3, 1, 1), Ok(2));
        assert!(window(5, 1, 1, false).output(0, 4, 0, 0).is_err());
    }

    #[test]
    fn same_splits_the_padding() {
        let mut proto = NodeProto::default();
        for (mode, pads) in [("SAME_UPPER", [0, 0, 1, 1]), ("SAME_LOWER", [1, 1, 0, 0]), ("VALID", [0; 4])] {
            proto.attribute = vec![crate::frontends::onnx::proto::AttributeProto {
                name: "auto_pad".into(),
                kind: 3,
                s: mode.as_bytes().to_vec().into(),
                ..Default::default()
            }];
            let node = NodeView { proto: &proto, opset: 13 };
            let (got, _) = window(3, 2, 1, false).place(&node, [8, 8]).expect("a valid window");
            assert_eq!(got, pads, "{mode}");
        }
    }
}
