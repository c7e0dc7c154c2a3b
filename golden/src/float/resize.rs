//! `Resize` of floats: the nearest pixel, or rule N-30's mean of four.

use systole_network::op::{Interpolation, Resize};

use crate::call::Call;
use crate::error::GoldenError;
use crate::value::Value;
use crate::{bilinear, moves};

/// x `[n, c, h, w]`.
pub(crate) fn evaluate(call: &Call<'_>, resize: &Resize) -> Result<Value, GoldenError> {
    match resize.interpolation {
        Interpolation::Linear => bilinear::evaluate(call, resize, call.f32(0)?).map(Value::F32),
        _ => moves::evaluate(call),
    }
}
