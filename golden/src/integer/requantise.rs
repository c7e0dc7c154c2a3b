//! From sums of products to activations: the end of rule N-1, in w-bit sums (rule N-20) and by either arithmetic; or to nothing but themselves (rule N-16).

use systole_network::op::Op;
use systole_network::tensor::DType;

use super::operand::{Operand, Weights};
use super::scaling::{Scaling, is_integer};
use super::sign::{is_sign, sign};
use super::target::Target;
use crate::call::Call;
use crate::error::GoldenError;

/// What becomes of a sum with its bias; one factor for each output channel.
enum End {
    /// `m[c] = f32(f32(sx · sw[c]) / sy)`.
    Single(Target, Vec<f32>),
    /// `Z` of N-17.
    Integer(Target, Vec<Scaling>),
    /// Rule N-28: the sum's sign is all that counts.
    Sign,
    /// Rule N-16.
    Sum,
}

/// What becomes of a sum.
pub(crate) struct Requantiser {
    bias: Vec<i32>,
    /// w.
    bits: u32,
    end: End,
}

impl Requantiser {
    /// `rounded_product` as fully connected layers have it (rule N-18): `sx · sw[c]` is a single-precision number before it is divided.
    pub(crate) fn new(
        call: &Call<'_>,
        x: &Operand,
        weights: &Weights,
        bias: Vec<i32>,
        rounded_product: bool,
    ) -> Result<Self, GoldenError> {
        let bits = call.graph.policy.accumulator_bits;
        if !(1..=64).contains(&bits) {
            return Err(call.malformed(format!("sums of {bits} bits")));
        }
        if is_sum(call)? {
            return Ok(Requantiser { bias, bits, end: End::Sum });
        }
        let target = Target::of(call)?;
        let (sx, sy) = (x.scale, target.scale);
        let end = if is_sign(call)? {
            End::Sign
        } else if is_integer(call) {
            let scaling = |&sw: &f32| {
                let product = if rounded_product { f64::from(sx * sw) } else { f64::from(sx) * f64::from(sw) };
                Scaling::new(call, &[sx, sw], sy, product / f64::from(sy))
            };
            End::Integer(target, weights.scale.iter().map(scaling).collect::<Result<_, _>>()?)
        } else {
            End::Single(target, weights.scale.iter().map(|&sw| sx * sw / sy).collect())
        };
        Ok(Requantiser { bias, bits, end })
    }

    /// Whether products have to be added in more than 32 bits.
    pub(crate) fn is_wide(&self) -> bool {
        self.bits > 32
    }

    /// The activation that a channel's sum, known modulo 2^w at least, gives.
    pub(crate) fn finish(&self, channel: usize, sum: i64) -> i32 {
        let unused = 64 - self.bits;
        let acc = (sum.wrapping_add(self.bias[channel].into()) << unused) >> unused;
        match &self.end {
            End::Sum => acc as i32,
            End::Sign => sign(acc),
            End::Single(target, m) => target.quantise(acc as f32 * m[channel]),
            End::Integer(target, scalings) => target.place(scalings[channel].apply(acc.into())),
        }
    }
}

/// Whether the node's output is the sum itself (rule N-16).
fn is_sum(call: &Call<'_>) -> Result<bool, GoldenError> {
    let sum = call.output()?.dtype == DType::I32;
    if sum && (call.node.clamp.is_some() || matches!(call.node.op, Op::ConvTranspose(_))) {
        return Err(
            call.malformed("only convolutions and fully connected layers have sums as outputs, without a clamp")
        );
    }
    Ok(sum)
}

/// Sum of products, modulo 2^32.
pub(crate) fn dot(x: &[i16], w: &[i16]) -> i64 {
    x.iter().zip(w).map(|(&x, &w)| i32::from(x) * i32::from(w)).fold(0, i32::wrapping_add).into()
}

/// Sum of products.
pub(crate) fn wide_dot(x: &[i16], w: &[i16]) -> i64 {
    x.iter().zip(w).map(|(&x, &w)| i64::from(i32::from(x) * i32::from(w))).sum()
}
