//! Integer scalings (N-17): multipliers and shifts instead of single precision.
//!
//! Values of 32 bits, which is nearly all, are scaled in 64; the rest in 128.

use systole_machine::isa::{Operation, RequantMode};

use super::mutant::{Mutant, on};

/// How an operation scales.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mode {
    #[default]
    Float,
    Fixed,
    FixedDouble,
    Shift,
}

impl Mode {
    /// The field `mode`; single precision for operations without one.
    pub(super) fn of(operation: &Operation) -> Self {
        let (Operation::VectorRequant { mode, .. }
        | Operation::VectorAdd { mode, .. }
        | Operation::VectorMul { mode, .. }
        | Operation::VectorAddChannel { mode, .. }
        | Operation::VectorMulChannel { mode, .. }
        | Operation::VectorRescale { mode, .. }
        | Operation::VectorMax { mode, .. }
        | Operation::VectorMin { mode, .. }
        | Operation::VectorAveragePool { mode, .. }
        | Operation::VectorDepthwise { mode, .. }) = *operation
        else {
            return Mode::Float;
        };
        match mode {
            RequantMode::Float32 => Mode::Float,
            RequantMode::Fixed => Mode::Fixed,
            RequantMode::FixedDouble => Mode::FixedDouble,
            RequantMode::Shift => Mode::Shift,
        }
    }

    /// The smallest shift; the largest is 62 in every mode.
    fn least_shift(self) -> i64 {
        match self {
            Mode::Float | Mode::Fixed => 1,
            Mode::FixedDouble => 0,
            Mode::Shift => -31,
        }
    }

    /// Whether a register's shift may be used.
    pub(super) fn takes(self, shift: i64) -> bool {
        self == Mode::Float || (self.least_shift()..=62).contains(&shift)
    }
}

/// Multiplier and shift as a register or a record has them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Factor {
    pub(super) multiplier: i64,
    pub(super) shift: i64,
}

/// Z of N-17, ready to use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    mode: Mode,
    multiplier: i64,
    shift: i64,
}

impl Scale {
    #[inline(always)]
    pub(super) fn new(mode: Mode, factor: Factor) -> Self {
        let shift = factor.shift.clamp(mode.least_shift(), 62);
        Scale { mode, multiplier: factor.multiplier.max(0), shift }
    }

    /// Z(x).
    #[inline(always)]
    pub(super) fn apply(self, x: i128) -> i128 {
        match (i32::try_from(x), self.mode) {
            (Ok(x), _) => self.narrow(x).into(),
            (Err(_), Mode::FixedDouble) => self.narrow(if x < 0 { i32::MIN } else { i32::MAX }).into(),
            (Err(_), Mode::Shift) => shifted(x, self.shift),
            (Err(_), _) => shifted(x * i128::from(self.multiplier), self.shift),
        }
    }

    /// Z(x): no intermediate result has more than 64 bits.
    #[inline(always)]
    pub(super) fn narrow(self, x: i32) -> i64 {
        let (x, s) = (i64::from(x), self.shift);
        match self.mode {
            Mode::FixedDouble if !on(Mutant::RoundedOnce) => self.twice(x),
            Mode::Shift if s <= 0 => x << -s,
            Mode::Shift => (x + half(s)) >> s,
            _ => (x * self.multiplier + half(s.max(1))) >> s,
        }
    }

    /// A doubling product's upper half, to the nearest with ties upwards; then a division, to the nearest with ties away from zero.
    #[inline(always)]
    fn twice(self, x: i64) -> i64 {
        let left = (31 - self.shift).max(0);
        let right = self.shift.max(31) - 31;
        let x = (x << left).clamp(i32::MIN.into(), i32::MAX.into());
        let high = (x * self.multiplier + half(31)) >> 31;
        if right == 0 {
            return high;
        }
        let magnitude = (high.abs() + half(right)) >> right;
        if high < 0 && !on(Mutant::TiesUpTwice) { -magnitude } else { (high + half(right)) >> right }
    }
}

/// 2^(s−1).
#[inline(always)]
fn half(shift: i64) -> i64 {
    if on(Mutant::RoundingDropped) { 0 } else { 1 << (shift - 1) }
}

fn shifted(x: i128, shift: i64) -> i128 {
    if shift > 0 { (x + i128::from(half(shift))) >> shift } else { x << -shift }
}
