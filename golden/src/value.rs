//! The value of a tensor: its elements in logical row-major order. The shape is the graph's to know.

use systole_network::tensor::{DType, f32_of_bytes, i32_of_bytes};

/// A tensor value in logical NCHW row-major order.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Single precision.
    F32(Vec<f32>),
    /// Signed 8-bit.
    I8(Vec<i8>),
    /// Unsigned 8-bit.
    U8(Vec<u8>),
    /// Signed 16-bit.
    I16(Vec<i16>),
    /// Signed 32-bit.
    I32(Vec<i32>),
    /// Signed 64-bit.
    I64(Vec<i64>),
}

impl Value {
    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Value::F32(v) => v.len(),
            Value::I8(v) => v.len(),
            Value::U8(v) => v.len(),
            Value::I16(v) => v.len(),
            Value::I32(v) => v.len(),
            Value::I64(v) => v.len(),
        }
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Element type.
    pub fn dtype(&self) -> DType {
        match self {
            Value::F32(_) => DType::F32,
            Value::I8(_) => DType::I8,
            Value::U8(_) => DType::U8,
            Value::I16(_) => DType::I16,
            Value::I32(_) => DType::I32,
            Value::I64(_) => DType::I64,
        }
    }

    /// The elements as little-endian bytes.
    pub fn to_le_bytes(&self) -> Vec<u8> {
        match self {
            Value::F32(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Value::I8(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Value::U8(v) => v.clone(),
            Value::I16(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Value::I32(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Value::I64(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
        }
    }

    /// Reads little-endian elements; bytes that do not fill an element are ignored.
    pub fn from_le_bytes(dtype: DType, bytes: &[u8]) -> Value {
        match dtype {
            DType::F32 => Value::F32(f32_of_bytes(bytes)),
            DType::I8 | DType::I4 | DType::I2 | DType::L2 | DType::B1 => {
                Value::I8(bytes.iter().map(|&b| i8::from_le_bytes([b])).collect())
            }
            DType::U8 => Value::U8(bytes.to_vec()),
            DType::I16 => Value::I16(bytes.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect()),
            DType::I32 => Value::I32(i32_of_bytes(bytes)),
            DType::I64 => Value::I64(
                bytes
                    .chunks_exact(8)
                    .map(|b| i64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]))
                    .collect(),
            ),
        }
    }
}
