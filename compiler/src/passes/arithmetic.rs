//! The numbered rules of `docs/numerics.md` that apply at compile time. Rules that run on the machine are not here.

use systole_network::tensor::{DType, Quant};

/// Rules N-0 and N-2.
pub(crate) fn quantise(x: f32, scale: f32, zero_point: i32, range: (i32, i32)) -> i32 {
    let v = x / scale;
    let rounded = if v.is_nan() { 0 } else { v.round_ties_even().clamp(-2147483648.0, 2147483648.0) as i64 };
    (rounded + i64::from(zero_point)).clamp(i64::from(range.0), i64::from(range.1)) as i32
}

/// Rule N-3.
pub(crate) fn dequantise(q: i32, scale: f32, zero_point: i32) -> f32 {
    (i64::from(q) - i64::from(zero_point)) as f32 * scale
}

/// Rule N-11 for one channel; `scale` is `f32(sx · sw[c])`.
pub(super) fn bias(b: f64, scale: f32) -> i32 {
    // The conversion saturates, and takes NaN to 0.
    (b / f64::from(scale)).round_ties_even() as i32
}

/// Rule N-12 (i16: N-21) for an activation of type `dtype` whose values lie in `[min, max]`.
pub(super) fn activation_quant(min: f64, max: f64, dtype: DType) -> Quant {
    let (min, max) = (min.min(0.0), max.max(0.0));
    if dtype == DType::I16 {
        let scale = match (-min).max(max) {
            0.0 => 1.0,
            largest => ((largest / 32_767.0) as f32).max(SMALLEST_SCALE),
        };
        return Quant::per_tensor(scale, 0);
    }
    let scale = match max - min {
        0.0 => 1.0,
        range => ((range / 255.0) as f32).max(SMALLEST_SCALE),
    };
    let zero_point = (-min / f64::from(scale)).round_ties_even().clamp(0.0, 255.0) as i32;
    Quant::per_tensor(scale, zero_point + dtype.range().map_or(0, |(low, _)| low))
}

/// 2^-60.
const SMALLEST_SCALE: f32 = 1.0 / (1u64 << 60) as f32;

/// Rule N-12 for the weights of one output channel: the scale, and the integers appended to `out`. The scale is NaN where a weight is
/// not finite, which the graph's verifier refuses by name. `round` is what becomes of the rule's scale (N-19).
pub(super) fn quantise_weights(weights: &[f32], out: &mut [u8], round: fn(f32) -> f32) -> f32 {
    if weights.iter().any(|w| !w.is_finite()) {
        return f32::NAN;
    }
    let largest = weights.iter().fold(0.0f32, |most, w| most.max(w.abs()));
    let scale = round(if largest == 0.0 { 1.0 } else { (largest / 127.0).max(f32::MIN_POSITIVE) });
    for (q, &w) in out.iter_mut().zip(weights) {
        *q = (w / scale).round_ties_even().clamp(-127.0, 127.0) as i8 as u8;
    }
    scale
}

/// Rule N-8: `a` and `b` of one channel.
pub(super) fn batch_norm(scale: f32, bias: f32, mean: f32, variance: f32, epsilon: f32) -> (f32, f32) {
    let a = scale / (variance + epsilon).sqrt();
    (a, bias - mean * a)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_that_are_not_finite_get_no_scale() {
        for bad in [f32::NAN, f32::INFINITY] {
            assert!(quantise_weights(&[1.0, bad, 2.0], &mut [0; 3], |scale| scale).is_nan());
        }
    }

    #[test]
    fn quantise_rounds_to_even_and_saturates() {
        let u8_range = (0, 255);
        assert_eq!(quantise(2.5, 1.0, 10, u8_range), 12);
        assert_eq!(quantise(3.5, 1.0, 10, u8_range), 14);
        assert_eq!(quantise(f32::NAN, 1.0, 10, u8_range), 10);
        assert_eq!(quantise(f32::INFINITY, 1.0, 10, u8_range), 255);
        assert_eq!(quantise(f32::NEG_INFINITY, 1.0, 255, u8_range), 0);
    }

    #[test]
    fn activation_scales() {
        assert_eq!(activation_quant(0.5, 255.0, DType::U8), Quant::per_tensor(1.0, 0));
        assert_eq!(activation_quant(-127.0, 128.0, DType::U8), Quant::per_tensor(1.0, 127));
        assert_eq!(activation_quant(-127.0, 128.0, DType::I8), Quant::per_tensor(1.0, -1));
        assert_eq!(activation_quant(0.0, 0.0, DType::U8), Quant::per_tensor(1.0, 0));
        // N-21.
        assert_eq!(activation_quant(-65_534.0, 10.0, DType::I16), Quant::per_tensor(2.0, 0));
        assert_eq!(activation_quant(0.0, 0.0, DType::I16), Quant::per_tensor(1.0, 0));
        assert_eq!(activation_quant(0.0, 255.0 / 256.0, DType::U8), Quant::per_tensor(1.0 / 256.0, 0));
    }

    #[test]
    fn weights_and_biases() {
        let mut q = [0; 3];
        assert_eq!(quantise_weights(&[-127.0, 0.5, 1.5], &mut q, |scale| scale), 1.0);
        assert_eq!(q, [-127i8 as u8, 0, 2]);
        assert_eq!(quantise_weights(&[-127.0, 0.5, 3.0], &mut q, |scale| 2.0 * scale), 2.0);
        assert_eq!(q, [-64i8 as u8, 0, 2]);
        assert_eq!(quantise_weights(&[0.0; 3], &mut q, |scale| scale), 1.0);
        // N-11.
        assert_eq!((bias(2.5, 1.0), bias(1e30, 1.0), bias(-1e30, 1.0)), (2, i32::MAX, i32::MIN));
        assert_eq!(batch_norm(2.0, 1.0, 3.0, 3.0, 1.0), (1.0, -2.0));
    }
}
