//! N-17: integer scalings, in integers that hold every intermediate result exactly.

use std::ops::RangeInclusive;

use systole_machine::isa::RequantMode;

/// A multiplier and a shift, as registers or parameters hold them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Scaling {
    pub(super) multiplier: i64,
    pub(super) shift: i64,
}

/// The shifts that a mode has a meaning for; `None` for single precision.
pub(super) fn shifts(mode: RequantMode) -> Option<RangeInclusive<i64>> {
    match mode {
        RequantMode::Float32 => None,
        RequantMode::Fixed => Some(1..=62),
        RequantMode::FixedDouble => Some(0..=62),
        RequantMode::Shift => Some(-31..=62),
    }
}

/// Z(x). A shift out of range counts as the nearest end, a negative multiplier as 0. No mode scales `x` in single precision: it stays.
pub(super) fn scaled(mode: RequantMode, scaling: Scaling, x: i128) -> i128 {
    let Some(range) = shifts(mode) else { return x };
    let shift = scaling.shift.clamp(*range.start(), *range.end());
    let multiplier = i128::from(scaling.multiplier.max(0));
    match mode {
        RequantMode::FixedDouble => rounded_twice(x, multiplier, shift),
        RequantMode::Fixed => rounded_once(x * multiplier, shift),
        _ if shift > 0 => rounded_once(x, shift),
        _ => x * (1 << -shift),
    }
}

/// `(x + 2^(s−1)) >> s`, 1 ≤ s.
fn rounded_once(x: i128, shift: i64) -> i128 {
    (x + (1 << (shift - 1))) >> shift
}

fn saturated(x: i128) -> i128 {
    x.clamp(i32::MIN.into(), i32::MAX.into())
}

/// `fixed_double`.
fn rounded_twice(x: i128, multiplier: i128, shift: i64) -> i128 {
    let (left, right) = ((31 - shift).max(0), (shift - 31).max(0));
    let product = saturated(saturated(x) * (1 << left)) * multiplier;
    let nudge = if product >= 0 { 1 << 30 } else { 1 - (1 << 30) };
    // Integer division rounds towards zero.
    let high = (product + nudge) / (1 << 31);
    let whole = 1i128 << right;
    let threshold = (whole - 1) / 2 + i128::from(high < 0);
    (high >> right) + i128::from(high.rem_euclid(whole) > threshold)
}
