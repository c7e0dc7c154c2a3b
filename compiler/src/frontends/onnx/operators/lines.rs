//! Convolutions of lines (rank 3): a line is an image of one row.

use systole_network::op::Op;
use systole_network::tensor::TensorId;

use super::{Inputs, image_shape};
use crate::frontends::onnx::attributes::NodeView;
use crate::frontends::onnx::importer::{Importer, Result};
use crate::frontends::onnx::operands::Reform;
use crate::frontends::onnx::proto::AttributeProto;
use crate::frontends::onnx::steps::integers;

/// Imports the node as that of an image, by `import`, and makes the result a line again.
pub(super) fn as_image(
    importer: &mut Importer<'_>,
    node: &NodeView<'_>,
    inputs: &Inputs<'_>,
    [x, weights]: [TensorId; 2],
    [n, c, w]: [usize; 3],
    import: impl FnOnce(&mut Importer<'_>, &NodeView<'_>, &Inputs<'_>) -> Result<()>,
) -> Result<()> {
    let attributes = one_row(node)?;
    let image = importer.reshaped(node, x, vec![n, c, 1, w])?;
    let weights = importer.reformed(weights, Reform::OneRow)?;
    let operands = [Some(image), Some(weights), inputs.optional(2)];
    let made = importer.part(node, attributes, |importer, view| import(importer, view, &Inputs(&operands)))?;
    let [n, m, _, length] = image_shape(importer, made)?;
    importer.emit(node, Op::Reshape, vec![made], vec![n, m, length])
}

/// The attributes of a window along a line, for an image of one row.
fn one_row(node: &NodeView<'_>) -> Result<Vec<AttributeProto>> {
    let across = [("kernel_shape", 1), ("strides", 1), ("dilations", 1), ("output_padding", 0), ("output_shape", 1)];
    let mut attributes = vec![];
    for (name, of_the_row) in across.into_iter().filter(|(name, _)| node.has(name)) {
        attributes.push(integers(name, &[of_the_row, node.spatial(name, 1, 0)?[0]]));
    }
    if node.has("pads") {
        let sides = node.spatial("pads", 2, 0)?;
        attributes.push(integers("pads", &[0, sides[0], 0, sides[1]]));
    }
    Ok(attributes)
}
