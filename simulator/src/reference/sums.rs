//! N-20: the addition of sums of w bits.

use systole_machine::spec::{Machine, Overflow};

/// The words of the accumulators: their bits, and what lies beyond them.
#[derive(Clone, Copy)]
pub(super) struct Words {
    bits: u32,
    saturates: bool,
}

impl Words {
    pub(super) fn of(machine: &Machine) -> Self {
        Words { bits: machine.array.accumulator_bits, saturates: machine.array.overflow == Overflow::Saturate }
    }

    /// `a ⊕ b`. Both are far below 2^62, so that their sum is exact.
    pub(super) fn add(self, a: i64, b: i64) -> i64 {
        let sum = a + b;
        if self.saturates {
            let limit = 1i64 << (self.bits - 1);
            sum.clamp(-limit, limit - 1)
        } else {
            // Two's complement: the upper bits go, the sign is that of bit w − 1.
            sum << (64 - self.bits) >> (64 - self.bits)
        }
    }
}
