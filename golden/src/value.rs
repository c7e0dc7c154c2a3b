//! The value of a tensor: its elements in logical row-major order. The shape is the graph's to know.

use systole_network::tensor::DType;

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
    /// Unsigned 16-bit.
    U16(Vec<u16>),
    /// Unsigned 32-bit.
    U32(Vec<u32>),
    /// Unsigned 64-bit.
    U64(Vec<u64>),
    /// Truth values.
    Bool(Vec<bool>),
}

/// A type of elements.
pub(crate) trait Element: Copy {
    /// Its name in graphs.
    const DTYPE: DType;

    /// A value of these elements.
    fn value(elements: Vec<Self>) -> Value;

    /// The elements of a value of this type.
    fn elements(value: &Value) -> Option<&[Self]>;

    /// From little-endian bytes, as many as an element has.
    fn of_bytes(bytes: &[u8]) -> Self;

    /// Little-endian bytes behind those of `bytes`.
    fn put(self, bytes: &mut Vec<u8>);

    /// What a number is in this type: floats take the real one, the others the integer.
    fn of_number(real: f32, integer: i64) -> Self;
}

macro_rules! elements {
    ($($kind:ident $type:ty: |$real:ident, $integer:ident| $number:expr, $from:expr, $to:ident;)*) => {$(
        impl Element for $type {
            const DTYPE: DType = DType::$kind;

            fn value(elements: Vec<Self>) -> Value {
                Value::$kind(elements)
            }

            fn elements(value: &Value) -> Option<&[Self]> {
                if let Value::$kind(elements) = value { Some(elements) } else { None }
            }

            fn of_bytes(bytes: &[u8]) -> Self {
                let mut whole = [0; size_of::<$type>()];
                whole.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
                $from(whole)
            }

            fn put(self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&$to::to_le_bytes(self.into()));
            }

            fn of_number($real: f32, $integer: i64) -> Self {
                $number
            }
        }
    )*};
}

elements! {
    F32 f32: |real, _integer| real, f32::from_le_bytes, f32;
    I8 i8: |_real, integer| integer as i8, i8::from_le_bytes, i8;
    U8 u8: |_real, integer| integer as u8, u8::from_le_bytes, u8;
    I16 i16: |_real, integer| integer as i16, i16::from_le_bytes, i16;
    I32 i32: |_real, integer| integer as i32, i32::from_le_bytes, i32;
    I64 i64: |_real, integer| integer, i64::from_le_bytes, i64;
    U16 u16: |_real, integer| integer as u16, u16::from_le_bytes, u16;
    U32 u32: |_real, integer| integer as u32, u32::from_le_bytes, u32;
    U64 u64: |_real, integer| integer as u64, u64::from_le_bytes, u64;
    Bool bool: |_real, integer| integer != 0, |[byte]: [u8; 1]| byte != 0, u8;
}

/// `$code` with the elements of a value as `$elements`, whatever their type.
macro_rules! each {
    ($value:expr, $elements:ident => $code:expr) => {
        match $value {
            $crate::value::Value::F32($elements) => $code,
            $crate::value::Value::I8($elements) => $code,
            $crate::value::Value::U8($elements) => $code,
            $crate::value::Value::I16($elements) => $code,
            $crate::value::Value::I32($elements) => $code,
            $crate::value::Value::I64($elements) => $code,
            $crate::value::Value::U16($elements) => $code,
            $crate::value::Value::U32($elements) => $code,
            $crate::value::Value::U64($elements) => $code,
            $crate::value::Value::Bool($elements) => $code,
        }
    };
}
pub(crate) use each;

fn read<T: Element>(bytes: &[u8]) -> Value {
    T::value(bytes.chunks_exact(size_of::<T>()).map(T::of_bytes).collect())
}

fn written<T: Element>(elements: &[T]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size_of_val(elements));
    elements.iter().for_each(|element| element.put(&mut bytes));
    bytes
}

fn type_of<T: Element>(_: &[T]) -> DType {
    T::DTYPE
}

impl Value {
    /// Number of elements.
    pub fn len(&self) -> usize {
        each!(self, elements => elements.len())
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Element type.
    pub fn dtype(&self) -> DType {
        each!(self, elements => type_of(elements))
    }

    /// The elements as little-endian bytes.
    pub fn to_le_bytes(&self) -> Vec<u8> {
        each!(self, elements => written(elements))
    }

    /// Reads little-endian elements; bytes that do not fill an element are ignored.
    pub fn from_le_bytes(dtype: DType, bytes: &[u8]) -> Value {
        match dtype {
            DType::F32 => read::<f32>(bytes),
            DType::I8 | DType::I4 | DType::I2 | DType::L2 | DType::B1 => read::<i8>(bytes),
            DType::U8 | DType::U4 | DType::U2 => read::<u8>(bytes),
            DType::I16 => read::<i16>(bytes),
            DType::I32 => read::<i32>(bytes),
            DType::I64 => read::<i64>(bytes),
            DType::U16 => read::<u16>(bytes),
            DType::U32 => read::<u32>(bytes),
            DType::U64 => read::<u64>(bytes),
            DType::Bool => read::<bool>(bytes),
        }
    }
}
