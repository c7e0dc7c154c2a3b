//! Pooling layers, over windows and over whole images.

use systole_network::graph::Node;
use systole_network::op::Op;

use super::{Builder, Kind, Window};
use crate::error::CompileError;

impl Builder<'_> {
    pub(super) fn pooling(&self, node: &Node) -> Result<Kind, CompileError> {
        let dims = self.dims[&node.inputs[0]];
        let whole = Window { kernel: [dims[1], dims[2]], ..Window::point() };
        Ok(match &node.op {
            Op::MaxPool(_) | Op::GlobalMaxPool if !self.keeps_quantisation(node) => {
                return Err(CompileError::unsupported(&node.name, "max pooling that also changes the scale"));
            }
            Op::MaxPool(pool) => Kind::MaxPool(Window::of_pool(pool)),
            Op::GlobalMaxPool => Kind::MaxPool(whole),
            Op::AveragePool(_) | Op::GlobalAveragePool if self.is_integer() && !self.keeps_quantisation(node) => {
                let message = "average pooling in integers that also changes the scale";
                return Err(CompileError::unsupported(&node.name, message));
            }
            Op::AveragePool(pool) => {
                Kind::AveragePool { window: Window::of_pool(pool), include_pad: pool.count_include_pad }
            }
            Op::GlobalAveragePool => Kind::AveragePool { window: whole, include_pad: false },
            other => return Err(CompileError::internal(&node.name, format!("{} is no pooling", other.name()))),
        })
    }
}
