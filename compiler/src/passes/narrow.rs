//! Weights of few values (rule N-28): from real numbers to the integers of a type under 8 bits.

use systole_network::tensor::DType;

/// The scale of one output channel, and its integers into `out`; NaN where a weight is not finite, or is none of the values that the
/// type has at that scale: the graph's verifier refuses it by name. `round` is what becomes of the scale (N-19), after the integers.
pub(super) fn quantise_weights(weights: &[f32], out: &mut [u8], dtype: DType, round: fn(f32) -> f32) -> f32 {
    let largest = weights.iter().fold(0.0f32, |most, w| most.max(w.abs()));
    let steps = match dtype {
        DType::L2 => 2.0,
        DType::I4 => 7.0,
        _ => 1.0,
    };
    let scale = if largest == 0.0 { 1.0 } else { (largest / steps).max(f32::MIN_POSITIVE) };
    for (out, &w) in out.iter_mut().zip(weights) {
        let q = (w / scale).round_ties_even();
        // Batch norm folded before has rounded each product; 2^-12 is far beyond that, and far under a step.
        let exact = dtype == DType::I4 || (w / scale - q).abs() <= 1.0 / 4096.0;
        if !w.is_finite() || !exact || !dtype.has(q as i32) {
            return f32::NAN;
        }
        *out = q as i8 as u8;
    }
    round(scale)
}

/// The power of two nearest in the logarithm, the larger of two.
pub(super) fn nearest_power(scale: f32) -> f32 {
    let above = super::powers_of_two::power(scale);
    // Below 1/√2 of the power above it is nearer to half of that.
    if f64::from(scale) * std::f64::consts::SQRT_2 < f64::from(above) { above / 2.0 } else { above }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quantised(weights: &[f32], dtype: DType) -> (f32, Vec<i8>) {
        let mut out = vec![0; weights.len()];
        let scale = quantise_weights(weights, &mut out, dtype, |scale| scale);
        (scale, out.into_iter().map(|q| q as i8).collect())
    }

    #[test]
    fn few_values_are_found_again() {
        assert_eq!(quantised(&[-0.3, 0.3, 0.3], DType::B1), (0.3, vec![-1, 1, 1]));
        assert_eq!(quantised(&[0.25, 0.0, -0.25], DType::I2), (0.25, vec![1, 0, -1]));
        assert_eq!(quantised(&[0.5, -0.25, 0.25, -0.5], DType::L2), (0.25, vec![2, -1, 1, -2]));
        assert_eq!(quantised(&[7.0, -2.6, 0.4, 0.0], DType::I4), (1.0, vec![7, -3, 0, 0]));
    }

    #[test]
    fn other_values_get_no_scale() {
        assert!(quantised(&[0.3, 0.2], DType::B1).0.is_nan());
        assert!(quantised(&[0.3, 0.0], DType::B1).0.is_nan());
        assert!(quantised(&[1.0, 0.0], DType::L2).0.is_nan());
        assert!(quantised(&[1.0, f32::NAN], DType::I2).0.is_nan());
    }

    #[test]
    fn powers_are_the_nearest() {
        assert_eq!([1.0, 0.7, 0.71, 0.5, 3.0].map(nearest_power), [1.0, 0.5, 1.0, 0.5, 4.0]);
    }
}
