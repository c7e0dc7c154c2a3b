//! The way from a real number to the output's integers: `sat(rhe(v) + z)` (rule N-0).

use crate::call::Call;
use crate::error::GoldenError;

/// The output's quantisation, and the range that results are clamped to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Target {
    /// Scale `sy`.
    pub(crate) scale: f32,
    /// Zero point `zy`.
    pub(crate) zero: i32,
    /// Smallest result.
    pub(crate) low: i32,
    /// Largest result.
    pub(crate) high: i32,
}

impl Target {
    /// The target of a node: its output's quantisation, its clamp or else the range of the output's type.
    pub(crate) fn of(call: &Call<'_>) -> Result<Target, GoldenError> {
        let output = call.output()?;
        let Some((least, most)) = output.dtype.range() else {
            return Err(call.malformed(format!("output of type {}, not i8, u8 or i16", output.dtype.name())));
        };
        let (low, high) = call.node.clamp.unwrap_or((least, most));
        if low < least || high > most || low > high {
            return Err(call.malformed(format!("clamp [{low}, {high}] is not a part of [{least}, {most}]")));
        }
        match &output.quant {
            Some(quant) if quant.scale.len() == 1 && quant.zero_point.len() == 1 => {
                Ok(Target { scale: quant.scale[0], zero: quant.zero_point[0], low, high })
            }
            _ => Err(call.malformed("the output has not one scale and one zero point")),
        }
    }

    /// `sat(rhe(v) + zero)`: rule N-0.
    pub(crate) fn quantise(self, v: f32) -> i32 {
        const LIMIT: f32 = 2_147_483_648.0;
        let rounded = if v.is_nan() { 0 } else { v.round_ties_even().clamp(-LIMIT, LIMIT) as i64 };
        let shifted = rounded + i64::from(self.zero);
        shifted.clamp(i64::from(self.low), i64::from(self.high)) as i32
    }

    /// `sat(z + zero)` of a scaled integer.
    pub(crate) fn place(self, z: i128) -> i32 {
        (z + i128::from(self.zero)).clamp(self.low.into(), self.high.into()) as i32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const U8: Target = Target { scale: 1.0, zero: 3, low: 0, high: 255 };

    #[test]
    fn n0_ties_go_to_even_before_the_zero_point_is_added() {
        let q: Vec<i32> = [0.5, 1.5, 2.5, -0.5, -1.5, -2.5].map(|v| U8.quantise(v)).to_vec();
        assert_eq!(q, [3, 5, 5, 3, 1, 1]);
    }

    #[test]
    fn n0_saturates_and_takes_nan_for_zero() {
        assert_eq!(U8.quantise(f32::NAN), 3);
        assert_eq!(U8.quantise(f32::INFINITY), 255);
        assert_eq!(U8.quantise(f32::NEG_INFINITY), 0);
        assert_eq!(U8.quantise(3.0e38), 255);
        assert_eq!(U8.quantise(252.4), 255);
        assert_eq!(U8.quantise(-3.6), 0);
    }

    #[test]
    fn n0_a_clamp_replaces_the_range_of_the_type() {
        let relu6 = Target { scale: 1.0, zero: -128, low: -128, high: 64 };
        assert_eq!(relu6.quantise(300.0), 64);
        assert_eq!(relu6.quantise(-1.0), -128);
        assert_eq!(relu6.quantise(192.5), 64);
        assert_eq!(relu6.quantise(191.0), 63);
    }
}
