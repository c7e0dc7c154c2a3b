//! Element-wise arithmetic on integers that have no scale: rule N-32, modulo 2^n for n of 8, 16, 32 or 64 bits, signed or not.

use systole_network::op::Op;

use super::pairs;
use crate::call::Call;
use crate::error::GoldenError;
use crate::value::{Element, Value};

/// An integer of the processor.
trait Integer: Element + Ord {
    /// Modulo 2^n.
    fn sum(self, other: Self) -> Self;
    /// Modulo 2^n.
    fn difference(self, other: Self) -> Self;
    /// Modulo 2^n.
    fn product(self, other: Self) -> Self;
    /// Rounded towards zero, modulo 2^n; 0 where `other` is 0.
    fn quotient(self, other: Self) -> Self;
}

macro_rules! integers {
    ($($type:ty)*) => {$(
        impl Integer for $type {
            fn sum(self, other: Self) -> Self {
                self.wrapping_add(other)
            }

            fn difference(self, other: Self) -> Self {
                self.wrapping_sub(other)
            }

            fn product(self, other: Self) -> Self {
                self.wrapping_mul(other)
            }

            fn quotient(self, other: Self) -> Self {
                if other == 0 { 0 } else { self.wrapping_div(other) }
            }
        }
    )*};
}
integers! { i8 u8 i16 u16 i32 u32 i64 u64 }

/// Whether the node is one of rule N-32.
pub(crate) fn concerns(call: &Call<'_>) -> bool {
    call.node.op.is_arithmetic() && call.value(0).is_ok_and(|value| !matches!(value, Value::F32(_)))
}

/// The output of such a node.
pub(crate) fn evaluate(call: &Call<'_>) -> Result<Value, GoldenError> {
    match call.value(0)? {
        Value::I8(_) => of::<i8>(call),
        Value::U8(_) => of::<u8>(call),
        Value::I16(_) => of::<i16>(call),
        Value::U16(_) => of::<u16>(call),
        Value::I32(_) => of::<i32>(call),
        Value::U32(_) => of::<u32>(call),
        Value::I64(_) => of::<i64>(call),
        Value::U64(_) => of::<u64>(call),
        Value::F32(_) | Value::Bool(_) => Err(call.malformed("it is not of integers")),
    }
}

fn of<T: Integer>(call: &Call<'_>) -> Result<Value, GoldenError> {
    let f = match call.node.op {
        Op::Add | Op::Sum => T::sum,
        Op::Sub => T::difference,
        Op::Mul => T::product,
        Op::Div => T::quotient,
        Op::Max => T::max,
        Op::Min => T::min,
        _ => return Err(call.unsupported()),
    };
    let operand = |i: usize| T::elements(call.value(i)?).ok_or_else(|| call.malformed("operands of several types"));
    if call.node.op == Op::Sum {
        let mut sums = operand(0)?.to_vec();
        for i in 1..call.node.inputs.len() {
            let terms = Some(operand(i)?).filter(|terms| terms.len() == sums.len());
            let terms = terms.ok_or_else(|| call.malformed(format!("input {i} has another length")))?;
            sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum = f(*sum, *term));
        }
        return Ok(T::value(sums));
    }
    pairs::map_of(call, operand(0)?, operand(1)?, f).map(T::value)
}
