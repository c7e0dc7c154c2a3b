//! `TensorProto` to constant tensor: every place in which the format can hold elements, with lengths checked before use.
//!
//! Elements in `raw_data` or external files stay where they are; those in typed fields are copied. The other floating-point types are read
//! as single precision: FLOAT16 and BFLOAT16 exactly, DOUBLE rounded. Elements of 2 and 4 bits, which share bytes in files, get a byte each.
//! Further element types are unsupported.

use bytes::Bytes;
use systole_network::tensor::{DType, Data, Tensor};

use super::error::ImportError;
use super::external::External;
use super::floats;
use super::proto::{TensorProto, data_type};

/// Largest tensor, in elements: what 32-bit indices address.
pub(super) const MAX_ELEMENTS: usize = 1 << 31;

/// Number of elements of a shape; an error beyond [`MAX_ELEMENTS`].
pub(super) fn elements(shape: &[usize]) -> Result<usize, ImportError> {
    // A zero extent does not excuse the others: products are taken of all in any order later.
    let total = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d.max(1))).filter(|&n| n <= MAX_ELEMENTS);
    match total {
        None => Err(ImportError::unsupported(format!("its shape {shape:?} has more than 2^31 elements"))),
        Some(_) => Ok(shape.iter().product()),
    }
}

/// The element type of an ONNX type number.
pub(super) fn dtype(number: i32) -> Result<DType, ImportError> {
    const NAMES: [&str; 27] = [
        "UNDEFINED",
        "FLOAT",
        "UINT8",
        "INT8",
        "UINT16",
        "INT16",
        "INT32",
        "INT64",
        "STRING",
        "BOOL",
        "FLOAT16",
        "DOUBLE",
        "UINT32",
        "UINT64",
        "COMPLEX64",
        "COMPLEX128",
        "BFLOAT16",
        "FLOAT8E4M3FN",
        "FLOAT8E4M3FNUZ",
        "FLOAT8E5M2",
        "FLOAT8E5M2FNUZ",
        "UINT4",
        "INT4",
        "FLOAT4E2M1",
        "FLOAT8E8M0",
        "UINT2",
        "INT2",
    ];
    match number {
        data_type::FLOAT | data_type::FLOAT16 | data_type::BFLOAT16 | data_type::DOUBLE => Ok(DType::F32),
        data_type::INT16 => Ok(DType::I16),
        data_type::UINT8 => Ok(DType::U8),
        data_type::INT8 => Ok(DType::I8),
        data_type::INT32 => Ok(DType::I32),
        data_type::INT64 => Ok(DType::I64),
        data_type::UINT16 => Ok(DType::U16),
        data_type::UINT32 => Ok(DType::U32),
        data_type::UINT64 => Ok(DType::U64),
        data_type::BOOL => Ok(DType::Bool),
        data_type::INT4 => Ok(DType::I4),
        data_type::UINT4 => Ok(DType::U4),
        data_type::INT2 => Ok(DType::I2),
        data_type::UINT2 => Ok(DType::U2),
        other => match usize::try_from(other).ok().and_then(|i| NAMES.get(i)) {
            Some(&name) if other > 0 => {
                Err(ImportError::unsupported(format!("its element type {name} is not supported"))
                    .help("supported are FLOAT, FLOAT16, BFLOAT16, DOUBLE, BOOL and the integers of 2 to 64 bits"))
            }
            _ => Err(ImportError::invalid(format!("its element type {other} does not exist"))),
        },
    }
}

/// A constant with the given name.
pub(super) fn decode(proto: &TensorProto, name: &str, external: &mut External) -> Result<Tensor, ImportError> {
    let dtype = dtype(proto.data_type)?;
    let shape = proto.dims.iter().map(|&d| usize::try_from(d)).collect::<Result<Vec<_>, _>>();
    let shape = shape.map_err(|_| ImportError::invalid(format!("its shape {:?} has a negative extent", proto.dims)))?;
    let count = elements(&shape)?;
    let stored = match floats::width(proto.data_type) {
        Some(width) => count * width,
        None => (count * dtype.bits()).div_ceil(8),
    };
    let bytes = match (proto.data_location, &proto.raw_data) {
        (1, _) => external.read(proto, stored)?,
        (0, Some(raw)) => raw.clone(),
        (0, None) => match floats::width(proto.data_type) {
            Some(_) => floats::typed_elements(proto),
            None => typed_elements(proto, dtype)?,
        },
        (other, _) => {
            return Err(ImportError::invalid(format!("its data location {other} does not exist")));
        }
    };
    if bytes.len() != stored {
        return Err(ImportError::invalid(format!(
            "its shape {shape:?} of {} needs {stored} bytes, but it has {}",
            dtype.name(),
            bytes.len()
        )));
    }
    let bytes = match dtype.bits() {
        bits if bits < 8 => unpacked(&bytes, count, bits, dtype.held() == DType::I8),
        _ => floats::single_precision(proto.data_type, bytes),
    };
    if let Some(byte) = bytes.iter().find(|&&byte| dtype == DType::Bool && byte > 1) {
        return Err(ImportError::invalid(format!("its element {byte} is no truth value")));
    }
    Ok(Tensor { name: name.to_owned(), shape, dtype, quant: None, data: Some(Data::Stored(bytes)) })
}

/// A byte for each of `count` elements of `bits` bits, the first in a byte's lowest ones.
fn unpacked(bytes: &[u8], count: usize, bits: usize, signed: bool) -> Bytes {
    let unused = 8 - bits;
    let element = |index: usize| {
        let high = bytes[index * bits / 8] >> (index * bits % 8) << unused;
        if signed { ((high as i8) >> unused) as u8 } else { high >> unused }
    };
    (0..count).map(element).collect()
}

/// Elements of the typed field that belongs to `dtype`.
fn typed_elements(proto: &TensorProto, dtype: DType) -> Result<Bytes, ImportError> {
    let narrow = |low: i32, high: i32| -> Result<Bytes, ImportError> {
        match proto.int32_data.iter().find(|v| !(low..=high).contains(v)) {
            Some(v) => Err(ImportError::invalid(format!("its element {v} does not fit {}", dtype.name()))),
            None => Ok(proto.int32_data.iter().flat_map(|v| v.to_le_bytes().into_iter().take(dtype.bytes())).collect()),
        }
    };
    match dtype {
        DType::F32 => Ok(proto.float_data.iter().flat_map(|v| v.to_le_bytes()).collect()),
        DType::I32 => Ok(proto.int32_data.iter().flat_map(|v| v.to_le_bytes()).collect()),
        DType::I64 => Ok(proto.int64_data.iter().flat_map(|v| v.to_le_bytes()).collect()),
        DType::U32 => {
            let fits = proto
                .uint64_data
                .iter()
                .map(|&v| u32::try_from(v).map(u32::to_le_bytes))
                .collect::<Result<Vec<_>, _>>();
            let fits = fits.map_err(|_| ImportError::invalid("an element does not fit u32"))?;
            Ok(fits.into_flattened().into())
        }
        DType::U64 => Ok(proto.uint64_data.iter().flat_map(|v| v.to_le_bytes()).collect()),
        DType::I8 => narrow(-128, 127),
        // Of types under 8 bits a byte of elements.
        DType::U8 | DType::I4 | DType::U4 | DType::I2 | DType::U2 => narrow(0, 255),
        DType::Bool => narrow(0, 1),
        DType::I16 => narrow(-32_768, 32_767),
        DType::U16 => narrow(0, 65_535),
        // No file's type is read as one of these (`dtype`).
        DType::L2 | DType::B1 => {
            Err(ImportError::unsupported(format!("its element type {} is not supported", dtype.name())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By a table of what each byte holds, written by hand.
    #[test]
    fn elements_that_share_bytes_get_their_own() {
        let signed = |bytes: &[u8], count, bits| -> Vec<i8> {
            unpacked(bytes, count, bits, true).iter().map(|&byte| byte as i8).collect()
        };
        assert_eq!(signed(&[0x7f, 0x08], 3, 4), [-1, 7, -8]);
        assert_eq!(signed(&[0b11_10_01_00, 0b10], 5, 2), [0, 1, -2, -1, -2]);
        assert_eq!(&unpacked(&[0x7f, 0x08], 3, 4, false)[..], [15, 7, 8]);
        assert_eq!(&unpacked(&[0b11_10_01_00], 4, 2, false)[..], [0, 1, 2, 3]);
    }
}
