//! Operand kinds: what may stand in a field, how many bits it takes, and its range. Constructors check; values stay checked.

use std::fmt;

/// A value that does not fit its field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{value} does not fit: {kind} takes {low} to {high}")]
pub struct RangeError {
    /// The value given.
    pub value: i128,
    /// The kind of operand.
    pub kind: &'static str,
    /// Smallest value.
    pub low: i128,
    /// Largest value.
    pub high: i128,
}

/// A field of an instruction word.
pub trait Operand: Copy + Eq + fmt::Debug {
    /// Width in the word.
    const BITS: u32;
    /// Kind as the documentation names it.
    fn kind() -> String;
    /// Right-aligned bits.
    fn to_bits(self) -> u64;
    /// From right-aligned bits; `None` where the pattern means nothing.
    fn from_bits(bits: u64) -> Option<Self>;
}

/// An unsigned integer of `B` bits (at most 40).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Unsigned<const B: u32>(u64);

impl<const B: u32> Unsigned<B> {
    /// Largest value.
    pub const MAX: u64 = (1 << B) - 1;

    /// # Errors
    /// `value` above [`Self::MAX`].
    pub fn new(value: u64) -> Result<Self, RangeError> {
        if value > Self::MAX {
            return Err(RangeError {
                value: i128::from(value),
                kind: "an unsigned field",
                low: 0,
                high: i128::from(Self::MAX),
            });
        }
        Ok(Unsigned(value))
    }

    /// The value.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl<const B: u32> Operand for Unsigned<B> {
    const BITS: u32 = B;
    fn kind() -> String {
        format!("u{B}")
    }
    fn to_bits(self) -> u64 {
        self.0
    }
    fn from_bits(bits: u64) -> Option<Self> {
        Self::new(bits).ok()
    }
}

/// A two's complement integer of `B` bits (at most 32).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Signed<const B: u32>(i64);

impl<const B: u32> Signed<B> {
    /// # Errors
    /// `value` outside `-2^(B-1) ..= 2^(B-1) - 1`.
    pub fn new(value: i64) -> Result<Self, RangeError> {
        let (low, high) = (-(1i64 << (B - 1)), (1i64 << (B - 1)) - 1);
        if value < low || value > high {
            return Err(RangeError {
                value: i128::from(value),
                kind: "a signed field",
                low: i128::from(low),
                high: i128::from(high),
            });
        }
        Ok(Signed(value))
    }

    /// The value.
    pub fn get(self) -> i64 {
        self.0
    }
}

impl<const B: u32> Operand for Signed<B> {
    const BITS: u32 = B;
    fn kind() -> String {
        format!("i{B}")
    }
    fn to_bits(self) -> u64 {
        (self.0 as u64) & ((1 << B) - 1)
    }
    fn from_bits(bits: u64) -> Option<Self> {
        let shift = 64 - B;
        Some(Signed(((bits << shift) as i64) >> shift))
    }
}

/// A single-precision number, kept as its bits so that equality is exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Real(u32);

impl Real {
    /// Any f32.
    pub fn new(value: f32) -> Self {
        Real(value.to_bits())
    }

    /// The value.
    pub fn get(self) -> f32 {
        f32::from_bits(self.0)
    }
}

impl Operand for Real {
    const BITS: u32 = 32;
    fn kind() -> String {
        "f32".into()
    }
    fn to_bits(self) -> u64 {
        u64::from(self.0)
    }
    fn from_bits(bits: u64) -> Option<Self> {
        u32::try_from(bits).ok().map(Real)
    }
}

/// One bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flag(pub bool);

impl Operand for Flag {
    const BITS: u32 = 1;
    fn kind() -> String {
        "flag".into()
    }
    fn to_bits(self) -> u64 {
        u64::from(self.0)
    }
    fn from_bits(bits: u64) -> Option<Self> {
        (bits <= 1).then_some(Flag(bits == 1))
    }
}

macro_rules! choice {
    ($(#[$doc:meta])* $name:ident, $bits:literal, { $($(#[$vdoc:meta])* $variant:ident = $value:literal => $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant = $value),+ }

        impl $name {
            /// Every choice.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];
            /// The word in assembly.
            pub fn name(self) -> &'static str {
                match self { $($name::$variant => $text),+ }
            }
        }

        impl Operand for $name {
            const BITS: u32 = $bits;
            fn kind() -> String {
                [$($text),+].join(" | ")
            }
            fn to_bits(self) -> u64 {
                self as u64
            }
            fn from_bits(bits: u64) -> Option<Self> {
                match bits { $($value => Some($name::$variant),)+ _ => None }
            }
        }
    };
}

choice!(
    /// Which on-chip memory a load writes.
    Space, 2, {
        /// Activation buffer.
        Activation = 0 => "act",
        /// Weight buffer.
        Weight = 1 => "wgt",
    }
);

choice!(
    /// Which operand of a vector operation a pitch belongs to.
    VectorOperand, 2, {
        /// First input.
        A = 0 => "a",
        /// Second input.
        B = 1 => "b",
        /// Output.
        Out = 2 => "out",
    }
);

choice!(
    /// An axis of an image.
    ImageAxis, 1, {
        /// Vertical.
        Rows = 0 => "rows",
        /// Horizontal.
        Columns = 1 => "columns",
    }
);

choice!(
    /// How a vector operation scales.
    RequantMode, 2, {
        /// Single precision.
        Float32 = 0 => "float32",
        /// Multiplier and shift, rounded once (rule N-17).
        Fixed = 1 => "fixed",
        /// Multiplier and shift, rounded twice (rule N-17).
        FixedDouble = 2 => "fixed_double",
        /// Power of two (rule N-17).
        Shift = 3 => "shift",
    }
);

choice!(
    /// Which operand stays in the PEs during an `ar.run`.
    DataflowChoice, 2, {
        /// Weights.
        WeightStationary = 0 => "ws",
        /// Sums.
        OutputStationary = 1 => "os",
        /// Activations.
        InputStationary = 2 => "is",
    }
);

choice!(
    /// How the weights of an `ar.run` are stored (rule M-14).
    WeightFormat, 3, {
        /// Bytes, as `ar.quant` says.
        Byte = 0 => "byte",
        /// 4 bits, two's complement.
        Int4 = 1 => "i4",
        /// 2 bits, two's complement.
        Int2 = 2 => "i2",
        /// 2 bits: −2, −1, 1, 2.
        Levels = 3 => "l2",
        /// 1 bit: −1, 1.
        Binary = 4 => "b1",
    }
);

choice!(
    /// How the activations of an `ar.run` are stored (rule M-14).
    ActivationFormat, 1, {
        /// Bytes or pairs of them, as `ar.quant` says.
        Byte = 0 => "byte",
        /// 1 bit: −1, 1.
        Binary = 1 => "b1",
    }
);

choice!(
    /// What a vector operation stores (rule M-14).
    OutputFormat, 2, {
        /// The result.
        Plain = 0 => "plain",
        /// Its sign, as an element.
        Sign = 1 => "sign",
        /// Its sign, as a bit.
        Binary = 2 => "b1",
        /// The sum before it is scaled, in four bytes.
        Sum = 3 => "sum",
    }
);

macro_rules! first_is_default {
    ($($name:ident: $variant:ident),+) => {
        $(
            #[allow(clippy::derivable_impls, reason = "the macro of the choices derives the same for each")]
            impl Default for $name {
                fn default() -> Self {
                    $name::$variant
                }
            }
        )+
    };
}

first_is_default!(WeightFormat: Byte, ActivationFormat: Byte, OutputFormat: Plain);

impl WeightFormat {
    /// Bits of a weight as stored.
    pub fn bits(self) -> u32 {
        match self {
            WeightFormat::Byte => 8,
            WeightFormat::Int4 => 4,
            WeightFormat::Int2 | WeightFormat::Levels => 2,
            WeightFormat::Binary => 1,
        }
    }
}

#[allow(clippy::derivable_impls, reason = "the macro of the choices derives the same for each")]
impl Default for DataflowChoice {
    fn default() -> Self {
        DataflowChoice::WeightStationary
    }
}
