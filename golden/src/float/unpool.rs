//! Where maxima are, and unpooling, in single precision: indices into the flattened image, as ONNX has them.

use systole_network::op::{Op, Pool};

use crate::call::Call;
use crate::error::GoldenError;
use crate::value::Value;

/// Index of each window's first maximum in the flattened x `[n, c, h, w]`.
pub(crate) fn indices(call: &Call<'_>, pool: &Pool) -> Result<Vec<i64>, GoldenError> {
    let (_, window) = call.pool_shape(pool)?;
    let (h, w) = (window.rows.input, window.cols.input);
    let mut output = vec![];
    for (plane, x) in call.f32(0)?.chunks_exact(h * w).enumerate() {
        for oy in 0..window.rows.output {
            for ox in 0..window.cols.output {
                let inside = window.rows.inside(oy).flat_map(|y| window.cols.inside(ox).map(move |x| y * w + x));
                let first = inside.reduce(|best, at| if x[at] > x[best] { at } else { best });
                let first = first.ok_or_else(|| call.malformed("a window that lies wholly in padding"))?;
                output.push((plane * h * w + first) as i64);
            }
        }
    }
    Ok(output)
}

/// Values of x at their indices, 0 elsewhere; of values with the same index the last.
pub(crate) fn evaluate(call: &Call<'_>, pool: &Pool) -> Result<Vec<f32>, GoldenError> {
    let [n, c, h, w] = call.nchw(0)?;
    let output = call.output()?;
    let (Some([out_n, out_c, out_h, out_w]), Value::I64(indices)) = (output.nchw(), call.value(1)?) else {
        return Err(call.malformed("indices that are not i64, or an output of rank over 4"));
    };
    let image = indexed(call, pool, [h, w])?;
    if (out_n, out_c) != (n, c) || call.nchw(1)? != [n, c, h, w] {
        return Err(call.malformed("shapes that do not fit each other"));
    }
    let mut all = vec![0.0; n * c * out_h * out_w];
    for (value, &index) in call.f32(0)?.iter().zip(indices) {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        let (plane, y, x) = (index / (image[0] * image[1]), index / image[1] % image[0], index % image[1]);
        if plane >= n * c || y >= out_h || x >= out_w {
            return Err(call.malformed(format!("the index {index} lies outside its output")));
        }
        all[(plane * out_h + y) * out_w + x] = *value;
    }
    Ok(all)
}

/// Rows and columns of the images that the indices are of: those of the pooling that made them, else those that its windows cover.
fn indexed(call: &Call<'_>, pool: &Pool, pooled: [usize; 2]) -> Result<[usize; 2], GoldenError> {
    let indices = call.node.inputs[1];
    let maker = call.graph.producers().get(&indices).map(|&id| call.graph.node(id));
    if let Some(maker) = maker.filter(|maker| matches!(maker.op, Op::ArgMaxPool(_))) {
        let shape = &call.graph.tensor(maker.inputs[0]).shape;
        if let [_, _, h, w] = shape[..] {
            return Ok([h, w]);
        }
    }
    let covered = |axis: usize| {
        let extent = pool.kernel[axis].checked_sub(1)?.checked_mul(pool.dilation[axis])?.checked_add(1)?;
        let whole = (pooled[axis] - 1).checked_mul(pool.stride[axis])?.checked_add(extent)?;
        whole.checked_sub(pool.pads[axis].checked_add(pool.pads[axis + 2])?).filter(|&size| size > 0)
    };
    match [covered(0), covered(1)] {
        [Some(h), Some(w)] => Ok([h, w]),
        _ => Err(call.malformed(format!("{pool:?} covers no image"))),
    }
}
