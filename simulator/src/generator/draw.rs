//! Random choices, all from one seeded stream. Nothing here knows what is chosen.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// A stream of choices.
pub(super) struct Draw(ChaCha8Rng);

impl Draw {
    pub(super) fn new(seed: u64) -> Self {
        Draw(ChaCha8Rng::seed_from_u64(seed))
    }

    /// 64 random bits.
    pub(super) fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Any of `low..=high`; `low` where the range is empty.
    pub(super) fn range(&mut self, low: u64, high: u64) -> u64 {
        if high <= low { low } else { low + self.bits() % (high - low + 1) }
    }

    /// Any of `low..=high`, small ones far more often.
    pub(super) fn small(&mut self, low: u64, high: u64) -> u64 {
        let top = self.range(low, high);
        let top = self.range(low, top);
        self.range(low, top)
    }

    /// Any of `low..=high`.
    pub(super) fn signed(&mut self, low: i64, high: i64) -> i64 {
        low + self.range(0, (high - low) as u64) as i64
    }

    /// True so many times in a hundred.
    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.range(1, 100) <= percent
    }

    /// One of these.
    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.range(0, from.len() as u64 - 1) as usize]
    }

    /// One of these, each as often as its weight says.
    pub(super) fn weighted<T: Copy>(&mut self, from: &[(u64, T)]) -> T {
        let total: u64 = from.iter().map(|entry| entry.0).sum();
        let mut left = self.range(1, total.max(1));
        for (weight, item) in from {
            if left <= *weight {
                return *item;
            }
            left -= weight;
        }
        from[0].1
    }

    /// In random order.
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for index in (1..items.len()).rev() {
            items.swap(index, self.range(0, index as u64) as usize);
        }
    }

    /// A float with a magnitude in `2^low ..= 2^high`, now and then a special one.
    pub(super) fn float(&mut self, low: i64, high: i64) -> f32 {
        if self.chance(3) {
            return self.pick(&[
                0.0,
                -0.0,
                f32::INFINITY,
                f32::NEG_INFINITY,
                f32::NAN,
                1e-42,
                f32::MAX,
                f32::MIN_POSITIVE,
            ]);
        }
        let mantissa = 1.0 + (self.bits() >> 40) as f32 / (1u64 << 24) as f32;
        let sign = if self.chance(15) { -1.0 } else { 1.0 };
        sign * mantissa * 2f32.powi(self.signed(low, high) as i32)
    }
}
