//! Products of stacks of matrices by constants: one product for each, and their results side by side.

use systole_network::op::Op;
use systole_network::tensor::TensorId;

use super::elementwise::broadcast;
use crate::frontends::onnx::attributes::NodeView;
use crate::frontends::onnx::error::ImportError;
use crate::frontends::onnx::importer::{Importer, Result};

/// Products that one node may become.
const MAX_PRODUCTS: usize = 256;

pub(super) fn mat_mul(
    importer: &mut Importer<'_>,
    node: &NodeView<'_>,
    [x, weights]: [TensorId; 2],
    x_shape: &[usize],
    w_shape: &[usize],
) -> Result<()> {
    let wrong = || ImportError::invalid(format!("operands of shapes {x_shape:?} and {w_shape:?} cannot be multiplied"));
    // A vector is a matrix of one row, which the result does not have.
    let (x_outer, n, k) = match *x_shape {
        [k] => (&[][..], None, k),
        [ref outer @ .., n, k] => (outer, Some(n), k),
        [] => return Err(wrong()),
    };
    let &[ref w_outer @ .., rows, m] = w_shape else { return Err(wrong()) };
    if rows != k {
        return Err(wrong());
    }
    let outer = broadcast(x_outer, w_outer).ok_or_else(wrong)?;
    let products: usize = outer.iter().product();
    if products > MAX_PRODUCTS {
        let message = format!("a stack of {products} products by weights of shape {w_shape:?}");
        return Err(ImportError::unsupported(message).help(format!("up to {MAX_PRODUCTS} are supported")));
    }
    let rows = n.unwrap_or(1);
    let stack = importer.reshaped(node, x, vec![x_outer.iter().product(), rows, k])?;
    let mut parts = vec![];
    for index in 0..products {
        let op = Op::Slice { starts: vec![place(index, &outer, x_outer), 0, 0], steps: vec![1; 3] };
        let part = importer.step(node, "part", op, vec![stack], vec![1, rows, k])?;
        let part = importer.reshaped(node, part, vec![rows, k])?;
        let matrix = importer.transposed_part(weights, place(index, &outer, w_outer) * k * m, [k, m])?;
        let product = importer.step(node, "product", Op::FullyConnected, vec![part, matrix], vec![rows, m])?;
        parts.push(importer.reshaped(node, product, vec![1, rows * m])?);
    }
    let joined = match parts.as_slice() {
        &[one] => one,
        _ => importer.step(node, "concat", Op::Concat, parts, vec![1, products * rows * m])?,
    };
    let shape = outer.iter().copied().chain(n).chain([m]).collect();
    importer.emit_like(node, Op::Reshape, vec![joined], shape)
}

/// Which matrix of a stack of shape `own` the `index`-th of a stack of shape `outer` is; axes of length 1 repeat, the last ones aligned.
fn place(index: usize, outer: &[usize], own: &[usize]) -> usize {
    let (mut index, mut stride, mut place) = (index, 1, 0);
    for (axis, &extent) in outer.iter().enumerate().rev() {
        let own = (axis + own.len()).checked_sub(outer.len()).map_or(1, |axis| own[axis]);
        if own > 1 {
            place += index % extent * stride;
        }
        stride *= own;
        index /= extent;
    }
    place
}
