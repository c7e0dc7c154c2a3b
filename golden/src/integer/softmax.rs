//! Softmax over the channels of each pixel, in single precision with its own exponential: rule N-10.

use super::operand::Operand;
use super::target::Target;
use crate::call::Call;
use crate::error::GoldenError;

/// Cephes' `expf`, each product and sum rounded once; the constants are those of rule N-10.
#[expect(clippy::excessive_precision, reason = "the digits are those of the rule")]
pub(super) fn exp2p(x: f32) -> f32 {
    let t = x * 1.44269502;
    if t < -126.0 || t.is_nan() {
        return 0.0;
    }
    if t > 127.0 {
        return f32::INFINITY;
    }
    let k = t.round_ties_even();
    let r = (x - k * 0.693359375) - k * -2.12194440e-4;
    let mut p = 1.9875691500e-4;
    for c in [1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1] {
        p = p * r + c;
    }
    let y = (p * (r * r) + r) + 1.0;
    let exponent = (k as i32).clamp(-126, 127);
    y * f32::from_bits(((exponent + 127) as u32) << 23)
}

/// The probabilities of one pixel, whose channels hold `q`.
fn pixel(q: &[i32], x_scale: f32) -> Vec<f32> {
    let largest = q.iter().copied().max().unwrap_or(0);
    let e: Vec<f32> = q.iter().map(|&q| exp2p(-((largest - q) as f32 * x_scale))).collect();
    let s = e.iter().fold(0.0, |s, e| s + e);
    e.iter().map(|e| e / s).collect()
}

/// x `[n, c, h, w]`.
pub(crate) fn evaluate(call: &Call<'_>) -> Result<Vec<i32>, GoldenError> {
    let [_, c, h, w] = call.nchw(0)?;
    let (x, target) = (Operand::of(call, 0)?, Target::of(call)?);
    let pixels = h * w;
    let mut output = vec![0; x.q.len()];
    for (output, image) in output.chunks_exact_mut(c * pixels).zip(x.q.chunks_exact(c * pixels)) {
        for position in 0..pixels {
            let q: Vec<i32> = image[position..].iter().step_by(pixels).copied().collect();
            for (channel, p) in pixel(&q, x.scale).into_iter().enumerate() {
                output[channel * pixels + position] = target.quantise(p / target.scale);
            }
        }
    }
    Ok(output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n10_exp2p_is_one_at_zero_and_nothing_far_below() {
        assert_eq!(exp2p(0.0), 1.0);
        assert_eq!(exp2p(-0.0), 1.0);
        assert_eq!(exp2p(-88.0), 0.0);
        assert_eq!(exp2p(f32::NEG_INFINITY), 0.0);
        assert!(exp2p(-87.0) > 0.0);
    }

    #[test]
    fn n10_exp2p_is_close_to_the_exponential() {
        for step in 0..8_700 {
            let x = step as f32 * -0.01;
            let exact = f64::from(x).exp();
            let error = (f64::from(exp2p(x)) - exact).abs() / exact;
            assert!(error < 2.0 * f64::from(f32::EPSILON), "exp2p({x}) is off by {error}");
        }
    }

    #[test]
    fn n10_exp2p_rounds_where_the_rule_says() {
        // Worked in double precision with an explicit rounding to f32 after each step of the rule.
        let round = |v: f64| f64::from(v as f32);
        let constants = [1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1];
        for step in 1..5_000 {
            let x = f64::from(step as f32 * -0.017);
            let k = round(x * round(1.44269502)).round_ties_even();
            let r = round(round(x - round(k * 0.693359375)) - round(k * round(-2.12194440e-4)));
            let mut p = round(1.9875691500e-4);
            for c in constants {
                p = round(round(p * r) + round(c));
            }
            let y = round(round(round(p * round(r * r)) + r) + 1.0);
            assert_eq!(f64::from(exp2p(x as f32)), y * k.exp2(), "at {x}");
        }
    }

    #[test]
    fn n10_the_sum_runs_in_index_order() {
        let q: Vec<i32> = (0..1000).map(|i| (i * 37) % 256).collect();
        let p = pixel(&q, 0.01);
        let e: Vec<f32> = q.iter().map(|q| exp2p(-((255 - q) as f32 * 0.01))).collect();
        let mut s = 0.0f32;
        for e in &e {
            s += e;
        }
        assert_eq!(p[3], e[3] / s);
    }
}
