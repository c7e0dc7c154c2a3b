//! Outputs of one bit: the sign of what would be scaled and rounded otherwise (rule N-28).

use systole_network::tensor::DType;

use crate::call::Call;
use crate::error::GoldenError;

/// Whether the node's output is a sign.
pub(crate) fn is_sign(call: &Call<'_>) -> Result<bool, GoldenError> {
    Ok(call.output()?.dtype == DType::B1)
}

/// +1 for numbers from 0 up, otherwise −1.
pub(crate) fn sign<T: PartialOrd + Default>(v: T) -> i32 {
    if v >= T::default() { 1 } else { -1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n28_zero_of_either_sign_is_positive_and_nan_is_not() {
        assert_eq!([0.0, -0.0, 1e-30, -1e-30, f32::NAN].map(sign), [1, 1, 1, -1, -1]);
        assert_eq!([0, 1, -1].map(sign), [1, 1, -1]);
    }
}
