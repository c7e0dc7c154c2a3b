//! N-0, the exponential of N-10, the logarithm of N-13. No fused operations: every product and sum is rounded by itself.

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

/// `lnp` of N-13.
#[expect(clippy::excessive_precision, clippy::approx_constant, reason = "the constants stand as in the rule")]
pub(super) fn lnp(u: f32) -> f32 {
    let least = power_of_two(-126);
    let mut m = if u >= least { u.min(f32::MAX) } else { least };
    let mut e = 0i32;
    while m >= 1.0 {
        (m, e) = (m * 0.5, e + 1);
    }
    while m < 0.5 {
        (m, e) = (m * 2.0, e - 1);
    }
    let x = if m < 0.707_106_781_f32 {
        e -= 1;
        (m + m) - 1.0
    } else {
        m - 1.0
    };
    let z = x * x;
    let mut p = 7.037_683_629_2e-2_f32;
    for c in [
        -1.151_461_031_0e-1,
        1.167_699_874_0e-1,
        -1.242_014_084_6e-1,
        1.424_932_278_7e-1,
        -1.666_805_766_5e-1,
        2.000_071_476_5e-1,
        -2.499_999_399_3e-1,
        3.333_333_117_4e-1_f32,
    ] {
        p = p * x + c;
    }
    let y = (p * x) * z;
    let y = y + e as f32 * -2.121_944_40e-4_f32;
    let y = y - 0.5 * z;
    (x + y) + e as f32 * 0.693_359_375_f32
}
