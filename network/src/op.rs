//! Operators and their attributes, for both forms of a graph.
//!
//! In the *imported* form they mean what ONNX says, on f32. In the *quantised* form inputs and outputs are i8/u8 with a
//! [`crate::tensor::Quant`], weights i8 or u8, biases i32, and each operator follows the rule of `docs/numerics.md` named beside it.

/// Two-dimensional convolution. Inputs: x `[n, c, h, w]`, weights `[m, c / groups, kh, kw]`, optional bias `[m]`.
/// Quantised: rule N-1 (bias i32 at scale `f32(sx * sw)`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conv {
    /// `[kh, kw]`.
    pub kernel: [usize; 2],
    /// `[vertical, horizontal]`.
    pub stride: [usize; 2],
    /// `[vertical, horizontal]`.
    pub dilation: [usize; 2],
    /// `[top, left, bottom, right]`.
    pub pads: [usize; 4],
    /// Number of groups; divides both channel counts.
    pub groups: usize,
}

/// Maximum or average pooling over windows. Quantised: rules N-4 (max), N-5 (average).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// `[kh, kw]`.
    pub kernel: [usize; 2],
    /// `[vertical, horizontal]`.
    pub stride: [usize; 2],
    /// `[top, left, bottom, right]`.
    pub pads: [usize; 4],
    /// Output size rounds up; a window that would start beyond the input and its leading pad is dropped.
    pub ceil_mode: bool,
    /// Average only: padding counts in the divisor.
    pub count_include_pad: bool,
}

/// Local response normalisation across channels. Quantised: rule N-13.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lrn {
    /// Channels in a window: `(size − 1) / 2` below the channel itself, rounded down, the rest above; those that exist count.
    pub size: usize,
    /// Weight of the sum of squares, before it is divided by `size`.
    pub alpha: f32,
    /// Exponent.
    pub beta: f32,
    /// Summand beside the sum of squares (`k` in papers).
    pub bias: f32,
}

impl Lrn {
    /// Whether the power of rule N-13 is one of a positive number.
    pub fn is_defined(&self) -> bool {
        let from_zero = |v: f32| v.is_finite() && v >= 0.0;
        from_zero(self.alpha) && from_zero(self.beta) && from_zero(self.bias) && self.bias > 0.0
    }
}

/// What a node computes.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Convolution.
    Conv(Conv),
    /// `y = x · wᵀ + b`; inputs x `[n, k]`, w `[n_out, k]`, optional b `[n_out]`. Quantised: rule N-1.
    FullyConnected,
    /// Maximum pooling; padding never wins. Rule N-4.
    MaxPool(Pool),
    /// Average pooling. Rule N-5.
    AveragePool(Pool),
    /// Mean over h and w. Rule N-5 with n = h·w.
    GlobalAveragePool,
    /// Element-wise sum of two equal shapes, or of a tensor and a per-channel constant (second input, shape `[c]`). Rule N-6.
    Add,
    /// Element-wise product, operands as for `Add`. Rule N-7.
    Mul,
    /// Inference batch norm; imported inputs x, scale, bias, mean, variance (each `[c]`).
    /// Quantised: x and two f32 constants `a`, `b` of shape `[c]`. Rule N-8.
    BatchNorm {
        /// Added to the variance (imported form; 0 in the quantised one).
        epsilon: f32,
    },
    /// `max(x, 0)`. Only in the imported form: in the quantised one it is a clamp on its producer, or a `Rescale` with a clamp.
    Relu,
    /// `min(max(x, low), high)`. Imported form only, as for `Relu`.
    Clip {
        /// Lower bound.
        low: f32,
        /// Upper bound.
        high: f32,
    },
    /// Concatenation along the channel axis (1). Quantised: inputs with a scale other than the output's follow rule N-9.
    Concat,
    /// Over the channel axis (1), for each pixel. Quantised: rule N-10.
    Softmax,
    /// Local response normalisation across channels. Rule N-13.
    Lrn(Lrn),
    /// Element-wise sum of three or more activations of one shape, in order. Rule N-14.
    Sum,
    /// Output axis i is input axis `perm[i]`; values unchanged.
    Transpose {
        /// A permutation of the axes.
        perm: Vec<usize>,
    },
    /// Changes scale, zero point or type only (also a lone integer ReLU, by its clamp). Quantised form only. Rule N-9.
    Rescale,
    /// `[n, c, h, w]` to `[n, c·h·w]`, or any other change of shape that keeps the logical order; a view.
    Reshape,
    /// Copies its input (dropout at inference too).
    Identity,
    /// Imported form: convolution of integers to an i32 sum, without bias and without scales. Rule N-16.
    ConvInteger {
        /// The window.
        conv: Conv,
        /// Zero points of input and weights.
        zeros: [i32; 2],
    },
    /// Imported form: product of integers, inputs x `[n, k]`, w `[n_out, k]`, to an i32 sum. Rule N-16.
    MatMulInteger {
        /// Zero points of input and weights.
        zeros: [i32; 2],
    },
    /// Imported form: i32 to the nearest f32.
    Cast,
    /// Imported form: float to integer; the output tensor carries the `Quant`. Rule N-2.
    Quantize,
    /// Imported form: integer to float; the input tensor carries the `Quant`.
    Dequantize,
}

impl Op {
    /// Whether it hands values on as they are, in another shape or order: type and quantisation stay.
    pub fn only_moves(&self) -> bool {
        matches!(self, Op::Reshape | Op::Identity | Op::Transpose { .. })
    }

    /// ONNX's name of the operator, as reports show it.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Conv(_) => "Conv",
            Op::FullyConnected => "FullyConnected",
            Op::MaxPool(_) => "MaxPool",
            Op::AveragePool(_) => "AveragePool",
            Op::GlobalAveragePool => "GlobalAveragePool",
            Op::Add => "Add",
            Op::Mul => "Mul",
            Op::BatchNorm { .. } => "BatchNormalization",
            Op::Relu => "Relu",
            Op::Clip { .. } => "Clip",
            Op::Concat => "Concat",
            Op::Softmax => "Softmax",
            Op::Lrn(_) => "LRN",
            Op::Sum => "Sum",
            Op::Transpose { .. } => "Transpose",
            Op::Rescale => "Rescale",
            Op::Reshape => "Reshape",
            Op::Identity => "Identity",
            Op::ConvInteger { .. } => "ConvInteger",
            Op::MatMulInteger { .. } => "MatMulInteger",
            Op::Cast => "Cast",
            Op::Quantize => "QuantizeLinear",
            Op::Dequantize => "DequantizeLinear",
        }
    }
}
