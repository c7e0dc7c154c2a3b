//! Changes of scale, zero point and type: rule N-9. Also views, which must not need one.

use super::operand::Operand;
use super::scaling::{Scaling, is_integer};
use super::sign::{is_sign, sign};
use super::target::Target;
use crate::call::Call;
use crate::error::GoldenError;
use crate::value::Value;

/// Rule N-9 from one input to the node's output.
pub(crate) struct Rescaling {
    scale: f32,
    zero: i32,
    target: Target,
    identity: bool,
    /// In place of single precision.
    integer: Option<Scaling>,
}

impl Rescaling {
    /// From input `x` to `target`; the identity when nothing differs and there is no clamp.
    pub(crate) fn new(call: &Call<'_>, x: &Operand, target: Target) -> Result<Rescaling, GoldenError> {
        let same = x.scale == target.scale && x.zero == target.zero && x.dtype == call.output()?.dtype;
        let factor = f64::from(x.scale) / f64::from(target.scale);
        let integer = match is_integer(call) {
            true => Some(Scaling::new(call, &[x.scale], target.scale, factor)?),
            false => None,
        };
        Ok(Rescaling { scale: x.scale, zero: x.zero, target, identity: same && call.node.clamp.is_none(), integer })
    }

    /// `sat(rhe(f32(f32(q − zx) · sx) / sy) + zy)`, or `sat(Z(q − zx) + zy)`.
    pub(crate) fn apply(&self, q: i32) -> i32 {
        if self.identity {
            return q;
        }
        if let Some(scaling) = self.integer {
            return self.target.place(scaling.apply((q - self.zero).into()));
        }
        let v = (q - self.zero) as f32 * self.scale;
        self.target.quantise(v / self.target.scale)
    }
}

/// x of any shape.
pub(crate) fn evaluate(call: &Call<'_>) -> Result<Vec<i32>, GoldenError> {
    let (x, target) = (Operand::of(call, 0)?, Target::of(call)?);
    if is_sign(call)? {
        return Ok(x.centred().map(sign).collect());
    }
    let rescaling = Rescaling::new(call, &x, target)?;
    Ok(x.q.iter().map(|&q| rescaling.apply(q)).collect())
}

/// `Reshape` and `Identity`: the same integers, with the same meaning.
pub(crate) fn view(call: &Call<'_>) -> Result<Value, GoldenError> {
    check_view(call)?;
    Ok(call.value(0)?.clone())
}

/// Refuses a node that should only move values but changes what they mean.
pub(crate) fn check_view(call: &Call<'_>) -> Result<(), GoldenError> {
    if call.input(0)?.quant != call.output()?.quant || call.node.clamp.is_some() {
        return Err(call.malformed("a view may not change the quantisation"));
    }
    Ok(())
}
