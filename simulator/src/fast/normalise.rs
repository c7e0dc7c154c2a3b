//! Vector operations over several channels or several tensors: local response normalisation (N-13), sums of many (N-14).
//!
//! One pixel at a time, operands without their zero points; nothing is contracted.

use super::elementwise::{Params, Writer, exp2p};
use super::mutant::{Mutant, on};
use super::work::VectorWork;

/// N-13 for one pixel. The sum of squares slides from channel to channel: modulo 2^32 that is exact.
pub(super) fn lrn(work: &VectorWork, a: &[i32], out: &mut [i32]) {
    let writer = Writer::new(work);
    let size = work.norm_size as usize;
    let (mut below, mut above) = ((size - 1) / 2, size - 1 - (size - 1) / 2);
    if on(Mutant::LrnWindowLow) {
        std::mem::swap(&mut below, &mut above);
    }
    let share = if on(Mutant::LrnAlphaWhole) { work.norm_alpha } else { work.norm_alpha / size as f32 };
    let alpha = share * work.scale_a * work.scale_a;
    let square = |value: i32| value.wrapping_mul(value);
    let mut squares = a.iter().take(above).fold(0i32, |sum, &value| sum.wrapping_add(square(value)));
    for (channel, out) in out.iter_mut().enumerate() {
        if let Some(&enters) = a.get(channel + above) {
            squares = squares.wrapping_add(square(enters));
        }
        if let Some(leaves) = channel.checked_sub(below + 1) {
            squares = squares.wrapping_sub(square(a[leaves]));
        }
        let power = exp2p(-work.norm_beta * lnp(work.norm_bias + squares as f32 * alpha));
        let value = a[channel] as f32 * work.scale_a;
        *out = writer.value(value * power / work.scale_out);
    }
}

/// The logarithm of N-13.
#[expect(clippy::excessive_precision, clippy::approx_constant, reason = "the constants as the rule writes them")]
fn lnp(u: f32) -> f32 {
    let u = if u >= f32::MIN_POSITIVE { u } else { f32::MIN_POSITIVE };
    let bits = if u > f32::MAX { f32::MAX.to_bits() } else { u.to_bits() };
    let mut exponent = (bits >> 23) as i32 - 126;
    let mantissa = f32::from_bits(bits & 0x007f_ffff | 0x3f00_0000);
    let mut x = mantissa - 1.0;
    if mantissa < 0.707_106_781 {
        exponent -= 1;
        x = mantissa + mantissa - 1.0;
    }
    let coefficients = [
        -1.151_461_031_0e-1,
        1.167_699_874_0e-1,
        -1.242_014_084_6e-1,
        1.424_932_278_7e-1,
        -1.666_805_766_5e-1,
        2.000_071_476_5e-1,
        -2.499_999_399_3e-1,
        3.333_333_117_4e-1,
    ];
    let (z, e) = (x * x, exponent as f32);
    let p = coefficients.iter().fold(7.037_683_629_2e-2_f32, |p, c| p * x + c);
    let low = p * x * z + e * -2.121_944_40e-4 - 0.5 * z;
    x + low + e * 0.693_359_375
}

/// The real value of an element of one of N-14's tensors.
#[inline(always)]
pub(super) fn term(params: &Params, operand: usize, value: i32) -> f32 {
    let zero = params.second[if on(Mutant::SumFirstTwice) { 0 } else { operand }] as i32;
    value.wrapping_sub(zero) as f32 * f32::from_bits(params.first[operand])
}
