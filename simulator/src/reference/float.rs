//! N-0 and the exponential of N-10. No fused operations: every product and sum is rounded by itself.

/// N-0 with the clamp `[low, high]`: `sat(rhe(value) + zero)`.
pub(super) fn saturate(value: f32, zero: i64, low: i64, high: i64) -> i64 {
    const LIMIT: f32 = 2_147_483_648.0;
    let rounded = if value.is_nan() { 0 } else { value.round_ties_even().clamp(-LIMIT, LIMIT) as i64 };
    (rounded + zero).clamp(low, high)
}

/// `exp2p` of N-10.
#[expect(clippy::excessive_precision, reason = "the constants stand as in the rule")]
pub(super) fn exp2p(x: f32) -> f32 {
    let t = x * 1.442_695_02_f32;
    if t.is_nan() || t < -126.0 {
        return 0.0;
    }
    if t > 127.0 {
        return f32::INFINITY;
    }
    let k = t.round_ties_even();
    let r = (x - k * 0.693_359_375_f32) - k * -2.121_944_40e-4_f32;
    let mut p = 1.987_569_15e-4_f32;
    for c in [1.398_199_950_7e-3, 8.333_451_907_3e-3, 4.166_579_589_4e-2, 1.666_666_545_9e-1, 5.000_000_120_1e-1_f32] {
        p = p * r + c;
    }
    let y = (p * (r * r) + r) + 1.0;
    y * power_of_two(k as i32)
}

/// 2^k by doubling or halving, exact for normal results.
fn power_of_two(k: i32) -> f32 {
    let factor: f32 = if k < 0 { 0.5 } else { 2.0 };
    (0..k.unsigned_abs()).fold(1.0, |power, _| power * factor)
}
