//! Tensors: element types, quantisation, and constant data (stored, or seeded and made on demand).
//!
//! Shapes are logical: `[n, c, h, w]` for activations (rank 2 `[n, c]` is read as `[n, c, 1, 1]`), `[m, c / groups, kh, kw]`
//! for convolution weights, `[n_out, k]` for fully connected weights, `[c]` for per-channel vectors. How a machine lays
//! them out in memory is none of this crate's business.

use bytes::Bytes;

/// Element type of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DType {
    /// IEEE single precision.
    F32,
    /// Signed 8-bit.
    I8,
    /// Unsigned 8-bit.
    U8,
    /// Signed 16-bit.
    I16,
    /// Signed 32-bit (biases).
    I32,
    /// Signed 64-bit (shapes in files).
    I64,
    /// Unsigned 16-bit.
    U16,
    /// Unsigned 32-bit.
    U32,
    /// Unsigned 64-bit.
    U64,
    /// A truth value: a byte of 0 or 1.
    Bool,
    /// Weights of 4 bits, −8 … 7 (rule N-28).
    I4,
    /// Weights of 2 bits, −2 … 1.
    I2,
    /// 4 bits without a sign (imported form).
    U4,
    /// 2 bits without a sign (imported form).
    U2,
    /// Weights of 2 bits, −2, −1, 1, 2.
    L2,
    /// One bit, −1, 1.
    B1,
}

impl DType {
    /// Bytes of one element as values are held here, where none shares a byte with another.
    pub fn bytes(self) -> usize {
        match self {
            DType::I8 | DType::U8 | DType::Bool => 1,
            DType::I4 | DType::I2 | DType::U4 | DType::U2 | DType::L2 | DType::B1 => 1,
            DType::I16 | DType::U16 => 2,
            DType::F32 | DType::I32 | DType::U32 => 4,
            DType::I64 | DType::U64 => 8,
        }
    }

    /// Bits of one element where it is packed (rule M-14).
    pub fn bits(self) -> usize {
        match self {
            DType::I4 | DType::U4 => 4,
            DType::I2 | DType::U2 | DType::L2 => 2,
            DType::B1 => 1,
            other => 8 * other.bytes(),
        }
    }

    /// The type that values are held in.
    pub fn held(self) -> DType {
        match self {
            DType::U4 | DType::U2 => DType::U8,
            narrow if narrow.bits() < 8 => DType::I8,
            other => other,
        }
    }

    /// Whether a number inside [`Self::range`] is a value of the type.
    pub fn has(self, value: i32) -> bool {
        value != 0 || !matches!(self, DType::L2 | DType::B1)
    }

    /// Whether it is an integer as processors have them, of 8 to 64 bits: what arithmetic without a scale takes (rule N-32).
    pub fn is_plain_integer(self) -> bool {
        let signed = matches!(self, DType::I8 | DType::I16 | DType::I32 | DType::I64);
        signed || matches!(self, DType::U8 | DType::U16 | DType::U32 | DType::U64)
    }

    /// Smallest and largest value of an integer type that Quantize makes; `None` for the others.
    pub fn range(self) -> Option<(i32, i32)> {
        match self {
            DType::I8 => Some((-128, 127)),
            DType::U8 => Some((0, 255)),
            DType::I16 => Some((-32768, 32767)),
            DType::U16 => Some((0, 65535)),
            DType::U4 => Some((0, 15)),
            DType::U2 => Some((0, 3)),
            DType::I4 => Some((-8, 7)),
            DType::I2 => Some((-2, 1)),
            DType::L2 => Some((-2, 2)),
            DType::B1 => Some((-1, 1)),
            _ => None,
        }
    }

    /// The name used in every text form.
    pub fn name(self) -> &'static str {
        match self {
            DType::F32 => "f32",
            DType::I8 => "i8",
            DType::U8 => "u8",
            DType::I16 => "i16",
            DType::I32 => "i32",
            DType::I64 => "i64",
            DType::U16 => "u16",
            DType::U32 => "u32",
            DType::U64 => "u64",
            DType::Bool => "bool",
            DType::U4 => "u4",
            DType::U2 => "u2",
            DType::I4 => "i4",
            DType::I2 => "i2",
            DType::L2 => "l2",
            DType::B1 => "b1",
        }
    }
}

/// Affine quantisation: `real = scale * (q - zero_point)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Quant {
    /// One scale, or one per channel along `axis`.
    pub scale: Vec<f32>,
    /// As many zero points as scales.
    pub zero_point: Vec<i32>,
    /// The channel axis when there is more than one scale.
    pub axis: Option<usize>,
}

impl Quant {
    /// One scale and zero point for the whole tensor.
    pub fn per_tensor(scale: f32, zero_point: i32) -> Self {
        Quant { scale: vec![scale], zero_point: vec![zero_point], axis: None }
    }

    /// The scale of channel `c`.
    pub fn scale_of(&self, c: usize) -> f32 {
        if self.scale.len() == 1 { self.scale[0] } else { self.scale[c] }
    }

    /// The zero point of all channels; `None` when they differ.
    pub fn one_zero_point(&self) -> Option<i32> {
        let (first, others) = self.zero_point.split_first()?;
        others.iter().all(|other| other == first).then_some(*first)
    }

    /// The zero point of channel `c`.
    pub fn zero_point_of(&self, c: usize) -> i32 {
        if self.zero_point.len() == 1 { self.zero_point[0] } else { self.zero_point[c] }
    }
}

/// How the values of a seeded constant are drawn (see [`crate::seed`]); float form only.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Distribution {
    /// Normal with this standard deviation (He initialisation of weights).
    Normal {
        /// Standard deviation.
        std: f32,
    },
    /// Uniform in `[low, high)` (batch norm scales, variances).
    Uniform {
        /// Lower end, included.
        low: f32,
        /// Upper end, excluded.
        high: f32,
    },
    /// Weights as Han 2015 leaves them: most are 0, the others share a few values, normally distributed and cut at two standard deviations.
    Pruned {
        /// Standard deviation of those that are not 0, before they are cut and shared.
        std: f32,
        /// Share of those that are not 0.
        density: f32,
        /// Values that they share, an even number: as many of either sign.
        levels: u16,
    },
    /// `scale` or `−scale`, equally often (binary weights).
    Signs {
        /// Their magnitude.
        scale: f32,
    },
    /// `positive`, 0 or `−negative`: 0 a third of the time, the others as often as gives the mean 0, about (ternary weights).
    Ternary {
        /// Above 0.
        positive: f32,
        /// Below 0, negated.
        negative: f32,
    },
    /// `scale` times one of −2, −1, 1, 2, equally often (two-bit weights).
    Levels {
        /// The smaller magnitude.
        scale: f32,
    },
}

impl Distribution {
    /// The type of weights that have these values times one scale, if there is one under 8 bits.
    pub fn narrow(self) -> Option<DType> {
        match self {
            Distribution::Signs { .. } => Some(DType::B1),
            Distribution::Ternary { positive, negative } if positive == negative => Some(DType::I2),
            Distribution::Levels { .. } => Some(DType::L2),
            _ => None,
        }
    }
}

/// Contents of a constant tensor.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// Little-endian elements in row-major logical order; may borrow from a mapped file.
    Stored(Bytes),
    /// f32 values drawn from ChaCha8 with stream = hash(tensor name), made on demand by [`crate::seed`].
    Seeded {
        /// What to draw.
        distribution: Distribution,
    },
    /// Exists (weights, biases, scales of a quantised form whose values nobody needs: `estimate`), contents unknown.
    Unknown,
}

/// Index of a tensor in its graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TensorId(pub u32);

/// A value that flows along the graph, or a constant.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Unique in the graph; the model's own name.
    pub name: String,
    /// Logical shape, outermost first.
    pub shape: Vec<usize>,
    /// Element type.
    pub dtype: DType,
    /// Present on every integer tensor of the quantised form.
    pub quant: Option<Quant>,
    /// Present on constants.
    pub data: Option<Data>,
}

impl Tensor {
    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// `[n, c, h, w]` of an activation of rank 1 to 4 (missing trailing axes are 1); `None` for higher ranks.
    pub fn nchw(&self) -> Option<[usize; 4]> {
        if self.shape.len() > 4 || self.shape.is_empty() {
            return None;
        }
        let mut dims = [1; 4];
        dims[..self.shape.len()].copy_from_slice(&self.shape);
        Some(dims)
    }
}

/// Little-endian bytes of `values`.
pub fn bytes_of_f32(values: &[f32]) -> Bytes {
    Bytes::from(values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>())
}

/// Little-endian bytes of `values`.
pub fn bytes_of_i32(values: &[i32]) -> Bytes {
    Bytes::from(values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>())
}

/// Reads little-endian f32; works for any alignment.
pub fn f32_of_bytes(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

/// Reads little-endian i32; works for any alignment.
pub fn i32_of_bytes(bytes: &[u8]) -> Vec<i32> {
    bytes.chunks_exact(4).map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}
