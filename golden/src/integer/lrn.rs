//! Local response normalisation: rule N-13, with its own logarithm.

use systole_network::op::Lrn;

use super::operand::Operand;
use super::softmax::exp2p;
use super::target::Target;
use crate::call::Call;
use crate::error::GoldenError;

/// x `[n, c, h, w]`.
pub(crate) fn evaluate(call: &Call<'_>, lrn: &Lrn) -> Result<Vec<i32>, GoldenError> {
    let [_, c, h, w] = call.nchw(0)?;
    let (x, target) = (Operand::of(call, 0)?, Target::of(call)?);
    if lrn.size == 0 {
        return Err(call.malformed("a window of no channels"));
    }
    let a = lrn.alpha / lrn.size as f32 * x.scale * x.scale;
    let pixels = h * w;
    let q: Vec<i32> = x.centred().collect();
    let mut output = vec![0; q.len()];
    for (output, image) in output.chunks_exact_mut(c * pixels).zip(q.chunks_exact(c * pixels)) {
        for channel in 0..c {
            let first = channel.saturating_sub((lrn.size - 1) / 2);
            let last = (channel + lrn.size / 2).min(c - 1);
            for pixel in 0..pixels {
                let squares = (first..=last).map(|near| image[near * pixels + pixel]);
                let sum = squares.fold(0i32, |sum, q| sum.wrapping_add(q.wrapping_mul(q)));
                let power = exp2p(-lrn.beta * lnp(lrn.bias + sum as f32 * a));
                let index = channel * pixels + pixel;
                let y = image[index] as f32 * x.scale * power;
                output[index] = target.quantise(y / target.scale);
            }
        }
    }
    Ok(output)
}

/// The natural logarithm of the rule.
#[expect(clippy::excessive_precision, clippy::approx_constant, reason = "the digits are those of the rule")]
fn lnp(u: f32) -> f32 {
    let u = if u >= f32::MIN_POSITIVE { u.min(f32::MAX) } else { f32::MIN_POSITIVE };
    // In [1, 2) · 2^floor; the rule wants [½, 1).
    let floor = (u.to_bits() >> 23) as i32 - 127;
    let half = f32::from_bits(u.to_bits() % (1 << 23) + (126 << 23));
    let (x, e) = if half < 0.707106781 { (half + half - 1.0, floor) } else { (half - 1.0, floor + 1) };
    let e = e as f32;
    let z = x * x;
    let mut p = 7.0376836292e-2;
    p = p * x - 1.1514610310e-1;
    p = p * x + 1.1676998740e-1;
    p = p * x - 1.2420140846e-1;
    p = p * x + 1.4249322787e-1;
    p = p * x - 1.6668057665e-1;
    p = p * x + 2.0000714765e-1;
    p = p * x - 2.4999993993e-1;
    p = p * x + 3.3333331174e-1;
    let mut y = p * x * z;
    y += e * -2.12194440e-4;
    y -= 0.5 * z;
    (x + y) + e * 0.693359375
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n13_lnp_is_close_to_the_logarithm() {
        let mut near_one = 0;
        for step in -4000..4000 {
            let u = (f64::from(step) * 0.021).exp() as f32;
            let exact = f64::from(u).ln();
            // Relative to 1 near u = 1, where the logarithm is small.
            let error = (f64::from(lnp(u)) - exact).abs() / exact.abs().max(1.0);
            near_one += i32::from(exact.abs() < 1.0);
            assert!(error < 1.5 * f64::from(f32::EPSILON), "lnp({u}) is off by {error}");
        }
        assert!(near_one > 50);
    }

    #[test]
    fn n13_lnp_of_what_has_no_logarithm() {
        let least = lnp(f32::MIN_POSITIVE);
        assert!((least + 87.33654).abs() < 1e-4, "{least}");
        for u in [0.0, -1.0, f32::NAN, f32::NEG_INFINITY, 1e-40] {
            assert_eq!(lnp(u), least);
        }
        assert_eq!(lnp(f32::INFINITY), lnp(f32::MAX));
        assert_eq!(lnp(1.0), 0.0);
    }
}
