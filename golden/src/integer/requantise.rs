//! From sums of products to activations: the end of rule N-1, in w-bit sums (rule N-20) and by either arithmetic.

use super::operand::{Operand, Weights};
use super::scaling::{Scaling, is_integer};
use super::sign::{is_sign, sign};
use super::target::Target;
use crate::call::Call;
use crate::error::GoldenError;

/// One factor for each output channel.
enum Factors {
    /// `m[c] = f32(f32(sx · sw[c]) / sy)`.
    Single(Vec<f32>),
    /// `Z` of N-17.
    Integer(Vec<Scaling>),
    /// Rule N-28: the sum's sign is all that counts.
    Sign,
}

/// What becomes of a sum.
pub(crate) struct Requantiser {
    target: Target,
    bias: Vec<i32>,
    /// w.
    bits: u32,
    factors: Factors,
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
        let target = Target::of(call)?;
        let bits = call.graph.policy.accumulator_bits;
        if !(1..=64).contains(&bits) {
            return Err(call.malformed(format!("sums of {bits} bits")));
        }
        let (sx, sy) = (x.scale, target.scale);
        let factors = if is_sign(call)? {
            Factors::Sign
        } else if is_integer(call) {
            let scaling = |&sw: &f32| {
                let product = if rounded_product { f64::from(sx * sw) } else { f64::from(sx) * f64::from(sw) };
                Scaling::new(call, &[sx, sw], sy, product / f64::from(sy))
            };
            Factors::Integer(weights.scale.iter().map(scaling).collect::<Result<_, _>>()?)
        } else {
            Factors::Single(weights.scale.iter().map(|&sw| sx * sw / sy).collect())
        };
        Ok(Requantiser { target, bias, bits, factors })
    }

    /// Whether products have to be added in more than 32 bits.
    pub(crate) fn is_wide(&self) -> bool {
        self.bits > 32
    }

    /// The activation that a channel's sum, known modulo 2^w at least, gives.
    pub(crate) fn finish(&self, channel: usize, sum: i64) -> i32 {
        let unused = 64 - self.bits;
        let acc = (sum.wrapping_add(self.bias[channel].into()) << unused) >> unused;
        match &self.factors {
            Factors::Sign => sign(acc),
            Factors::Single(m) => self.target.quantise(acc as f32 * m[channel]),
            Factors::Integer(scalings) => self.target.place(scalings[channel].apply(acc.into())),
        }
    }
}

/// Sum of products, modulo 2^32.
pub(crate) fn dot(x: &[i16], w: &[i16]) -> i64 {
    x.iter().zip(w).map(|(&x, &w)| i32::from(x) * i32::from(w)).fold(0, i32::wrapping_add).into()
}

/// Sum of products.
pub(crate) fn wide_dot(x: &[i16], w: &[i16]) -> i64 {
    x.iter().zip(w).map(|(&x, &w)| i64::from(i32::from(x) * i32::from(w))).sum()
}
