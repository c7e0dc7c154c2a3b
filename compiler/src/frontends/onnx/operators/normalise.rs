//! Local response normalisation.

use systole_network::op::{Lrn, Op};

use super::{Inputs, image_shape};
use crate::frontends::onnx::attributes::NodeView;
use crate::frontends::onnx::error::ImportError;
use crate::frontends::onnx::importer::{Importer, Result};

pub(super) fn lrn(importer: &mut Importer<'_>, node: &NodeView<'_>, inputs: &Inputs<'_>) -> Result<()> {
    let x = inputs.required(0, "input")?;
    let shape = image_shape(importer, x)?;
    let size = usize::try_from(node.int("size", 0)?).ok().filter(|&size| size > 0);
    let size = size.ok_or_else(|| ImportError::invalid("its attribute `size` is not positive"))?;
    let (alpha, beta) = (node.float("alpha", 1e-4)?, node.float("beta", 0.75)?);
    let lrn = Lrn { size, alpha, beta, bias: node.float("bias", 1.0)? };
    if !lrn.is_defined() {
        let message = format!("its attributes are alpha {alpha}, beta {beta}, bias {}", lrn.bias);
        return Err(ImportError::unsupported(message).help(
            "alpha and beta from 0 up and bias above 0 are supported: others may take the root of a negative number",
        ));
    }
    importer.emit(node, Op::Lrn(lrn), vec![x], shape.to_vec())
}
