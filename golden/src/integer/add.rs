//! Element-wise sum, rule N-6, and difference, rule N-25.

use systole_network::op::Op;
use systole_network::tensor::DType;

use super::operand::Operand;
use super::scaling::{Scaling, headroom, is_integer};
use super::target::Target;
use crate::broadcast::Broadcast;
use crate::call::Call;
use crate::error::GoldenError;

/// Operands as [`Broadcast`] pairs them.
pub(crate) fn evaluate(call: &Call<'_>) -> Result<Vec<i32>, GoldenError> {
    let broadcast = Broadcast::of(call)?;
    let (a, b, target) = (Operand::of(call, 0)?, Operand::of(call, 1)?, Target::of(call)?);
    if is_integer(call) {
        return integer(call, &a, &b, &broadcast);
    }
    let sum = |(i, j): (usize, usize)| {
        let (va, vb) = (a.at(i) as f32 * a.scale, b.at(j) as f32 * b.scale);
        let v = if subtracts(call) { va - vb } else { va + vb };
        target.quantise(v / target.scale)
    };
    Ok(broadcast.pairs().map(sum).collect())
}

fn subtracts(call: &Call<'_>) -> bool {
    call.node.op == Op::Sub
}

/// The integer form: both operands are brought to a common scale, with room below it.
fn integer(call: &Call<'_>, a: &Operand, b: &Operand, broadcast: &Broadcast) -> Result<Vec<i32>, GoldenError> {
    let target = Target::of(call)?;
    let wide = [a.dtype, b.dtype, call.output()?.dtype].contains(&DType::I16);
    let headroom = headroom(call, wide);
    let (sa, sb, sy) = (a.scale, b.scale, target.scale);
    let twice = 2.0 * f64::from(sa.max(sb));
    let common = sa.min(sb);
    let of_a = Scaling::new(call, &[sa], common, f64::from(sa) / twice)?;
    let of_b = Scaling::new(call, &[sb], common, f64::from(sb) / twice)?;
    let step = f64::from(1u32 << headroom);
    let of_sum = Scaling::new(call, &[common], sy, twice / (step * f64::from(sy)))?;
    let sum = |(i, j): (usize, usize)| {
        let raised = |q: i32| i128::from(q) << headroom;
        let (za, zb) = (of_a.apply(raised(a.at(i))), of_b.apply(raised(b.at(j))));
        target.place(of_sum.apply(if subtracts(call) { za - zb } else { za + zb }))
    };
    Ok(broadcast.pairs().map(sum).collect())
}
