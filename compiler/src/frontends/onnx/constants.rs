//! `TensorProto` to constant tensor: every place in which the format can hold elements, with lengths checked before use.
//!
//! Elements in `raw_data` or external files stay where they are; those in typed fields are copied. The other floating-point types are read
//! as single precision: FLOAT16 and BFLOAT16 exactly, DOUBLE rounded. Further element types are unsupported.

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
        other => match usize::try_from(other).ok().and_then(|i| NAMES.get(i)) {
            Some(&name) if other > 0 => {
                Err(ImportError::unsupported(format!("its element type {name} is not supported"))
                    .help("supported are FLOAT, FLOAT16, BFLOAT16, DOUBLE, UINT8, INT8, INT16, INT32, INT64"))
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
    let width = floats::width(proto.data_type).unwrap_or(dtype.bytes());
    let bytes = match (proto.data_location, &proto.raw_data) {
        (1, _) => external.read(proto, count * width)?,
        (0, Some(raw)) => raw.clone(),
        (0, None) => match floats::width(proto.data_type) {
            Some(_) => floats::typed_elements(proto),
            None => typed_elements(proto, dtype)?,
        },
        (other, _) => {
            return Err(ImportError::invalid(format!("its data location {other} does not exist")));
        }
    };
    if bytes.len() != count * width {
        return Err(ImportError::invalid(format!(
            "its shape {shape:?} of {} needs {} bytes, but it has {}",
            dtype.name(),
            count * width,
            bytes.len()
        )));
    }
    let bytes = floats::single_precision(proto.data_type, bytes);
    Ok(Tensor { name: name.to_owned(), shape, dtype, quant: None, data: Some(Data::Stored(bytes)) })
}

/// Elements of the typed field that belongs to `dtype`.
fn typed_elements(proto: &TensorProto, dtype: DType) -> Result<Bytes, ImportError> {
    let narrow = |low: i32, high: i32| -> Result<Bytes, ImportError> {
        match proto.int32_data.iter().find(|v| !(low..=high).contains(v)) {
            Some(v) => Err(ImportError::invalid(format!("its element {v} does not fit {}", dtype.name()))),
            None => Ok(proto.int32_data.iter().map(|&v| v as u8).collect()),
        }
    };
    match dtype {
        DType::F32 => Ok(proto.float_data.iter().flat_map(|v| v.to_le_bytes()).collect()),
        DType::I32 => Ok(proto.int32_data.iter().flat_map(|v| v.to_le_bytes()).collect()),
        DType::I64 => Ok(proto.int64_data.iter().flat_map(|v| v.to_le_bytes()).collect()),
        DType::I8 => narrow(-128, 127),
        DType::U8 => narrow(0, 255),
        DType::I16 => match proto.int32_data.iter().find(|&&v| i16::try_from(v).is_err()) {
            Some(v) => Err(ImportError::invalid(format!("its element {v} does not fit {}", dtype.name()))),
            None => Ok(proto.int32_data.iter().flat_map(|&v| (v as i16).to_le_bytes()).collect()),
        },
        // No file's type is read as one of these (`dtype`).
        DType::I4 | DType::I2 | DType::L2 | DType::B1 => {
            Err(ImportError::unsupported(format!("its element type {} is not supported", dtype.name())))
        }
    }
}
