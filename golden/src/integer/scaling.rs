//! Integer scalings: a multiplier and a shift out of a real factor (rules N-18, N-19), and what they make of an integer (rule N-17).

use systole_network::policy::Requantisation;

use crate::call::Call;
use crate::error::GoldenError;

/// Which `Z` of rule N-17.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    Fixed,
    FixedDouble,
    Shift,
}

/// `Z`: about `x` times a real factor, in integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scaling {
    rule: Rule,
    multiplier: i128,
    shift: i32,
}

/// Whether the graph computes with integer scalings.
pub(crate) fn is_integer(call: &Call<'_>) -> bool {
    call.graph.policy.requantisation != Requantisation::Float32
}

/// λ of rule N-6, where any of these operands may be wide.
pub(crate) fn headroom(call: &Call<'_>, wide: bool) -> u32 {
    match call.graph.policy.requantisation {
        Requantisation::Shift => 0,
        _ if wide => 15,
        _ => 20,
    }
}

impl Scaling {
    /// By the product of `of` over `by`, computed exactly for powers of two; `fixed` is the factor of rule N-18.
    pub(crate) fn new(call: &Call<'_>, of: &[f32], by: f32, fixed: f64) -> Result<Scaling, GoldenError> {
        match call.graph.policy.requantisation {
            Requantisation::FixedPoint { multiplier_bits, double_rounding } => {
                let rule = if double_rounding { Rule::FixedDouble } else { Rule::Fixed };
                let (multiplier, shift) = multiplier(fixed, multiplier_bits);
                Ok(Scaling { rule, multiplier, shift })
            }
            Requantisation::Shift => {
                let exponent = |scale: f32| {
                    exponent_of(scale).ok_or_else(|| call.malformed(format!("scale {scale} is no power of two")))
                };
                let mut shift = exponent(by)?;
                for &scale in of {
                    shift -= exponent(scale)?;
                }
                Ok(Scaling { rule: Rule::Shift, multiplier: 0, shift: shift.clamp(-31, 62) })
            }
            Requantisation::Float32 => Err(call.malformed("an integer scaling in single precision")),
        }
    }

    /// `Z(x)`.
    pub(crate) fn apply(self, x: i128) -> i128 {
        let s = self.shift;
        match self.rule {
            Rule::Fixed => (x * self.multiplier + (1 << (s - 1))) >> s,
            Rule::Shift if s <= 0 => x << -s,
            Rule::Shift => (x + (1 << (s - 1))) >> s,
            Rule::FixedDouble => {
                let x = sat_i32(sat_i32(x) << (31 - s).max(0));
                let product = x * self.multiplier;
                let nudge = if product >= 0 { 1 << 30 } else { 1 - (1 << 30) };
                let high = (product + nudge) / (1 << 31);
                let r = (s - 31).max(0);
                let mask = (1i128 << r) - 1;
                let threshold = (mask >> 1) + i128::from(high < 0);
                (high >> r) + i128::from(high & mask > threshold)
            }
        }
    }
}

fn sat_i32(x: i128) -> i128 {
    x.clamp(i128::from(i32::MIN), i128::from(i32::MAX))
}

/// Rule N-18. A factor that single precision rounded to 0 has no exponent, and counts as one that is too small.
fn multiplier(m: f64, bits: u32) -> (i128, i32) {
    let top = f64::from(1u32 << (bits - 1));
    if m <= 0.0 {
        return (0, 31);
    }
    if m.is_infinite() {
        return (top as i128 - 1, 1);
    }
    let (mut fraction, mut exponent) = (m, 0);
    while fraction >= 1.0 {
        fraction /= 2.0;
        exponent += 1;
    }
    while fraction < 0.5 {
        fraction *= 2.0;
        exponent -= 1;
    }
    let mut rounded = (fraction * top).round();
    if rounded == top {
        rounded /= 2.0;
        exponent += 1;
    }
    match bits as i32 - 1 - exponent {
        63.. => (0, 31),
        shift @ 1..=62 => (rounded as i128, shift),
        _ => (top as i128 - 1, 1),
    }
}

/// log2 of a power of two.
fn exponent_of(scale: f32) -> Option<i32> {
    let exponent = f64::from(scale).log2().round() as i32;
    (scale > 0.0 && 2f64.powi(exponent) == f64::from(scale)).then_some(exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn z(rule: Rule, x: i128, multiplier: i128, shift: i32) -> i128 {
        Scaling { rule, multiplier, shift }.apply(x)
    }

    #[test]
    fn n17_the_examples_of_the_rule() {
        let three_quarters = 1_610_612_736;
        assert_eq!(z(Rule::Fixed, 1000, three_quarters, 37), 12);
        assert_eq!(z(Rule::FixedDouble, 1000, three_quarters, 37), 12);
        assert_eq!(z(Rule::Shift, -3, 0, 1), -1);
        assert_eq!(z(Rule::FixedDouble, -3, 1 << 30, 31), -1);
        assert_eq!(z(Rule::FixedDouble, -3, 1 << 30, 32), -1);
        assert_eq!(z(Rule::Shift, 5, 0, -3), 40);
        assert_eq!(z(Rule::Shift, 5, 0, 0), 5);
    }

    #[test]
    fn n18_multipliers_are_normalised_and_end_at_the_range_of_shifts() {
        assert_eq!(multiplier(1.0, 32), (1 << 30, 30));
        assert_eq!(multiplier(0.75, 32), (1_610_612_736, 31));
        assert_eq!(multiplier(0.75, 16), (24_576, 15));
        // 1 − 2^-40 rounds to 2^31, which is halved.
        assert_eq!(multiplier(1.0 - 2f64.powi(-40), 32), (1 << 30, 30));
        assert_eq!(multiplier(2f64.powi(-32), 32), (1 << 30, 62));
        assert_eq!(multiplier(2f64.powi(-33), 32), (0, 31));
        assert_eq!(multiplier(2f64.powi(29), 32), (1 << 30, 1));
        assert_eq!(multiplier(2f64.powi(30), 32), ((1 << 31) - 1, 1));
        assert_eq!(multiplier(0.0, 32), (0, 31));
    }

    #[test]
    fn n18_is_the_quantize_multiplier_of_tflite() {
        // The cases of its unit tests, as (factor, multiplier, exponent); s = 31 − exponent.
        let cases = [
            (0.25, 1_073_741_824, -1),
            (0.50 - 5e-9, 2_147_483_627, -1),
            (0.50 - 1e-10, 1_073_741_824, 0),
            (0.50, 1_073_741_824, 0),
            (0.75, 1_610_612_736, 0),
            (1.0 - 1e-9, 2_147_483_646, 0),
            (1.0 + 1e-11, 1_073_741_824, 1),
            (1.25, 1_342_177_280, 1),
        ];
        for (m, expected, exponent) in cases {
            assert_eq!(multiplier(m, 32), (expected, 31 - exponent), "{m}");
        }
    }

    #[test]
    fn n19_only_powers_of_two_have_a_logarithm() {
        assert_eq!(exponent_of(0.125), Some(-3));
        assert_eq!(exponent_of(f32::MIN_POSITIVE / 2.0), Some(-127));
        assert_eq!(exponent_of(0.3), None);
        assert_eq!(exponent_of(1.0000001), None);
    }
}
