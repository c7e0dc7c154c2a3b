//! Values of constant tensors: stored, or seeded and made on demand.

use systole_network::seed;
use systole_network::tensor::{DType, Data, Tensor};

use crate::error::GoldenError;
use crate::value::Value;

/// The value of constant `tensor`, whose contents are `data`.
pub(crate) fn load(tensor: &Tensor, data: &Data, seed: u64) -> Result<Value, GoldenError> {
    let bad = |reason: &str| GoldenError::BadConstant { tensor: tensor.name.clone(), reason: reason.to_string() };
    match data {
        Data::Stored(bytes) if bytes.len() == tensor.elements() * tensor.dtype.bytes() => {
            Ok(Value::from_le_bytes(tensor.dtype, bytes))
        }
        Data::Stored(_) => Err(bad("the stored bytes do not fill the shape")),
        Data::Seeded { .. } if tensor.dtype != DType::F32 => Err(bad("seeded, but not of type f32")),
        Data::Seeded { distribution } => Ok(Value::F32(seed::values(tensor, *distribution, seed))),
        Data::Unknown => Err(GoldenError::UnknownConstant { tensor: tensor.name.clone() }),
    }
}
