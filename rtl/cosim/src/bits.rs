//! Bit fields of ports: values of some bits side by side, the first in the lowest bits.

/// Writes the low `bits` of `value` at bit `at`; what was there must be 0.
pub(crate) fn put(into: &mut [u8], at: usize, bits: usize, value: u64) {
    let value = if bits < 64 { value & ((1 << bits) - 1) } else { value };
    let mut shifted = u128::from(value) << (at % 8);
    for byte in &mut into[at / 8..(at + bits).div_ceil(8)] {
        *byte |= shifted as u8;
        shifted >>= 8;
    }
}

/// The `bits` at bit `at`.
pub(crate) fn get(from: &[u8], at: usize, bits: usize) -> u64 {
    let bytes = from[at / 8..(at + bits).div_ceil(8)].iter().rev();
    let wide = bytes.fold(0u128, |value, byte| (value << 8) | u128::from(*byte));
    let value = (wide >> (at % 8)) as u64;
    if bits < 64 { value & ((1 << bits) - 1) } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_back() {
        let mut bytes = [0; 20];
        let fields = [(17, 0x1_ffff), (1, 0), (34, 0x2_1234_5678), (48, 0xffff_0000_ffff), (3, 5)];
        let mut at = 0;
        for (bits, value) in fields {
            put(&mut bytes, at, bits, value);
            at += bits;
        }
        let mut at = 0;
        for (bits, value) in fields {
            assert_eq!(get(&bytes, at, bits), value);
            at += bits;
        }
    }
}
