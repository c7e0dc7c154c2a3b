//! DRAMs as machine files say them, and random numbers.

use systole_machine::config;
use systole_machine::spec::{Banked, Dram};

/// A machine's DRAM with these keys of `dram.banked`.
pub(crate) fn dram(keys: &str) -> Banked {
    let settings = [("dram", format!("{{banked: {{{keys}}}}}"))];
    let settings: Vec<(&str, &str)> = settings.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let preset = config::preset("edge-16x16").expect("the preset");
    match config::load_with(preset, "edge-16x16", &settings).expect("the keys").dram {
        Dram::Banked(banked) => banked,
        other => panic!("no banked DRAM: {other:?}"),
    }
}

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}
