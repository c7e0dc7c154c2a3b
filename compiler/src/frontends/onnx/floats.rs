//! Floating-point elements of other widths, as single precision.

use bytes::Bytes;

use super::proto::{TensorProto, data_type};

/// Bytes of an element of a type that is converted; `None` for the others.
pub(super) fn width(number: i32) -> Option<usize> {
    match number {
        data_type::FLOAT16 | data_type::BFLOAT16 => Some(2),
        data_type::DOUBLE => Some(8),
        _ => None,
    }
}

/// The elements in the typed field that belongs to such a type, little-endian.
pub(super) fn typed_elements(proto: &TensorProto) -> Bytes {
    match proto.data_type {
        data_type::DOUBLE => proto.double_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
        // Half precision lies there as the bits of an unsigned number.
        _ => proto.int32_data.iter().flat_map(|&v| (v as u16).to_le_bytes()).collect(),
    }
}

/// Elements of such a type as f32; those of another type stay as they are.
pub(super) fn single_precision(number: i32, bytes: Bytes) -> Bytes {
    let halves = || bytes.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]]));
    match number {
        data_type::FLOAT16 => halves().flat_map(|bits| of_half(bits).to_le_bytes()).collect(),
        data_type::BFLOAT16 => halves().flat_map(|bits| (u32::from(bits) << 16).to_le_bytes()).collect(),
        data_type::DOUBLE => {
            let double = |b: &[u8]| f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]);
            bytes.chunks_exact(8).flat_map(|b| (double(b) as f32).to_le_bytes()).collect()
        }
        _ => bytes,
    }
}

/// IEEE half precision: 1 sign bit, 5 of exponent (bias 15), 10 of fraction.
fn of_half(bits: u16) -> f32 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f32::from(bits & 1023));
    let magnitude = match exponent {
        0 => fraction * 2f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1024.0 + fraction) * 2f32.powi(exponent - 25),
    };
    if bits >> 15 == 1 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_exact() {
        let cases = [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x3555, 0.333_251_95),
            (0x7bff, 65504.0),
            (0x0001, 5.960_464_5e-8),
            (0x0400, 6.103_515_6e-5),
            (0xfc00, f32::NEG_INFINITY),
        ];
        for (bits, value) in cases {
            assert_eq!(of_half(bits), value, "{bits:#x}");
        }
        assert!(of_half(0x7e00).is_nan());
    }
}
