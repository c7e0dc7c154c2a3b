//! The order in which units are looked at where it must not matter: the table's, or one drawn anew each time.
//!
//! A cycle is evaluated first, on what is visible at its beginning, and then committed; who comes first where two want the same thing is `arbitration`.

use systole_machine::isa::{UNITS, Unit};

/// Draws orders, or does not.
pub(super) struct Order {
    state: Option<u64>,
}

impl Order {
    pub(super) fn new(shuffle: Option<u64>) -> Self {
        Order { state: shuffle }
    }

    /// All units, each once.
    pub(super) fn units(&mut self) -> [Unit; UNITS] {
        let mut units = Unit::ALL;
        if let Some(state) = &mut self.state {
            for last in (1..UNITS).rev() {
                units.swap(last, (next(state) % (last as u64 + 1)) as usize);
            }
        }
        units
    }
}

/// SplitMix64.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
