//! Operators and their attributes, for both forms of a graph.
//!
//! In the *imported* form they mean what ONNX says, on f32 (and element by element on integers, rule N-32). In the *quantised* form
//! inputs and outputs are i8/u8 with a [`crate::tensor::Quant`], weights i8 or u8, biases i32, and each operator follows the rule of `docs/numerics.md` named beside it.

mod attributes;

pub use attributes::{
    Conv, ConvTranspose, Coordinates, Deform, DepthOrder, Fill, Function, Interpolation, Lrn, Pool, Resize,
};

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
    /// Also of two tensors of one rank in which axes of length 1 repeat.
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
    /// Transposed convolution. Rule N-22.
    ConvTranspose(ConvTranspose),
    /// Imported form: deformable convolution, inputs x, weights, offsets `[n, offset_groups·kh·kw·2, h, w]`, optional bias `[m]`, optional mask
    /// `[n, offset_groups·kh·kw, h, w]`. The quantised form has a `DeformSample` and a convolution of one tap.
    DeformConv(Deform),
    /// What the taps of a deformable convolution read, inputs x and offsets, output `[n, c·kh·kw, h, w]` with channels ordered
    /// by group of the convolution, then tap, then channel. Files do not have it; passes make it. Rule N-26.
    DeformSample(Deform),
    /// Where each window's maximum is: imported form, its index in the flattened x (i64, ONNX's second output of MaxPool); quantised form, its
    /// tap in the window, `ky·kw + kx` (u8). The first in row order of equal ones. Rule N-27.
    ArgMaxPool(Pool),
    /// Puts pooled values back where they came from, 0 elsewhere; inputs x and what `ArgMaxPool` of the same window made; the output has the
    /// size that the graph says. Rule N-27.
    MaxUnpool(Pool),
    /// Maximum over h and w. Rule N-4.
    GlobalMaxPool,
    /// Element-wise difference, operands as for `Add`. Rule N-25.
    Sub,
    /// Element-wise quotient, operands as for `Add`. Rule N-25.
    Div,
    /// Element-wise maximum of two, operands as for `Add`. Rule N-25.
    Max,
    /// Element-wise minimum of two, operands as for `Add`. Rule N-25.
    Min,
    /// A function of each element. Rule N-24.
    Function(Function),
    /// `x`, or below 0 `x` times a constant per channel (second input, shape `[c]`). Rule N-25.
    PRelu,
    /// A box: along each axis every `step`-th index from `start`, as many as the output has. Rule N-23.
    Slice {
        /// First index along each axis.
        starts: Vec<usize>,
        /// Distance along each axis; negative ones go backwards.
        steps: Vec<i64>,
    },
    /// More on each side of each axis. Rule N-23.
    Pad {
        /// Before the first index of each axis.
        before: Vec<usize>,
        /// Behind the last.
        after: Vec<usize>,
        /// What is there.
        fill: Fill,
    },
    /// Channels become `block` × `block` pixels. Rule N-23.
    DepthToSpace {
        /// Side of the block.
        block: usize,
        /// Which channels.
        order: DepthOrder,
    },
    /// `block` × `block` pixels become channels, in the order of `DepthColumnRow`. Rule N-23.
    SpaceToDepth {
        /// Side of the block.
        block: usize,
    },
    /// Changes the size of an image. Rule N-30.
    Resize(Resize),
    /// Imported form: mean over the axes, which stay with length 1 or vanish.
    ReduceMean {
        /// Ascending.
        axes: Vec<usize>,
        /// Whether they stay.
        keep: bool,
    },
    /// Imported form: 1 where x ≥ 0, otherwise −1. Quantised, it is an output of type b1 of its producer, or of a `Rescale`. Rule N-28.
    Binarize,
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
        match self {
            Op::Reshape | Op::Identity | Op::Transpose { .. } | Op::Slice { .. } | Op::Pad { .. } => true,
            Op::DepthToSpace { .. } | Op::SpaceToDepth { .. } => true,
            Op::Resize(resize) => resize.interpolation != Interpolation::Linear,
            _ => false,
        }
    }

    /// Whether it computes each element from one of each of its two inputs, which may be tensors or a tensor and constants.
    pub fn is_pair(&self) -> bool {
        matches!(self, Op::Add | Op::Sub | Op::Mul | Op::Div | Op::Max | Op::Min)
    }

    /// Whether it is element-wise arithmetic, which the imported form has on integers too (rule N-32).
    pub fn is_arithmetic(&self) -> bool {
        self.is_pair() || matches!(self, Op::Sum)
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
            Op::ConvTranspose(_) => "ConvTranspose",
            Op::DeformConv(_) => "DeformConv",
            Op::DeformSample(_) => "DeformSample",
            Op::ArgMaxPool(_) => "ArgMaxPool",
            Op::MaxUnpool(_) => "MaxUnpool",
            Op::GlobalMaxPool => "GlobalMaxPool",
            Op::Sub => "Sub",
            Op::Div => "Div",
            Op::Max => "Max",
            Op::Min => "Min",
            Op::Function(function) => function.name(),
            Op::PRelu => "PRelu",
            Op::Slice { .. } => "Slice",
            Op::Pad { .. } => "Pad",
            Op::DepthToSpace { .. } => "DepthToSpace",
            Op::SpaceToDepth { .. } => "SpaceToDepth",
            Op::Resize(_) => "Resize",
            Op::ReduceMean { .. } => "ReduceMean",
            Op::Binarize => "Binarize",
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
