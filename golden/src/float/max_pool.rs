//! Maximum pooling of floats, or of integers that keep their scale; padding never wins.

use systole_network::op::Pool;

use crate::call::Call;
use crate::error::GoldenError;
use crate::value::Value;
use crate::window::Window;

/// x `[n, c, h, w]`.
pub(crate) fn evaluate(call: &Call<'_>, pool: &Pool) -> Result<Value, GoldenError> {
    let (_, window) = call.pool_shape(pool)?;
    let pooled = match call.value(0)? {
        Value::F32(x) => maxima(x, &window).map(Value::F32),
        Value::I8(x) => maxima(x, &window).map(Value::I8),
        Value::U8(x) => maxima(x, &window).map(Value::U8),
        other => return Err(call.malformed(format!("an input of type {}", other.dtype().name()))),
    };
    pooled.ok_or_else(|| call.malformed("a window that lies wholly in padding"))
}

/// The largest element of each window; `None` when one is empty.
fn maxima<T: Copy + PartialOrd>(x: &[T], window: &Window) -> Option<Vec<T>> {
    let (h, w) = (window.rows.input, window.cols.input);
    let mut output = vec![];
    for plane in x.chunks_exact(h * w) {
        for oy in 0..window.rows.output {
            for ox in 0..window.cols.output {
                let cols = window.cols.inside(ox);
                let inside = window.rows.inside(oy).flat_map(|y| cols.clone().map(move |x| plane[y * w + x]));
                output.push(inside.reduce(|largest, v| if v > largest { v } else { largest })?);
            }
        }
    }
    Some(output)
}
