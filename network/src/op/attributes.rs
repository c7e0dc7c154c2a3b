//! Attributes of operators: windows, functions, and how images change size.

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
    /// Distance of taps, `[vertical, horizontal]`.
    pub dilation: [usize; 2],
    /// `[top, left, bottom, right]`.
    pub pads: [usize; 4],
    /// Output size rounds up; a window that would start beyond the input and its leading pad is dropped.
    pub ceil_mode: bool,
    /// Average only: padding counts in the divisor.
    pub count_include_pad: bool,
}

/// Transposed convolution: input pixel i of an axis adds to outputs `i·stride − pad + k·dilation`. Inputs: x `[n, c, h, w]`, weights
/// `[c, m / groups, kh, kw]` (quantised form: `[m, c / groups, kh, kw]`, so that scales run along axis 0), optional bias `[m]`. The output has `(in − 1)·stride − pads + (k − 1)·dilation + 1 + output_padding` pixels along an axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConvTranspose {
    /// `[kh, kw]`.
    pub kernel: [usize; 2],
    /// `[vertical, horizontal]`.
    pub stride: [usize; 2],
    /// `[vertical, horizontal]`.
    pub dilation: [usize; 2],
    /// `[top, left, bottom, right]`, cut off the output.
    pub pads: [usize; 4],
    /// `[vertical, horizontal]`: rows and columns more at the end, which only bias and cut-off rows reach.
    pub output_padding: [usize; 2],
    /// Number of groups; divides both channel counts.
    pub groups: usize,
}

impl ConvTranspose {
    /// The convolution with the same window, whose gradient it is: kernel, stride, dilation, pads and groups.
    pub fn window(&self) -> Conv {
        Conv { kernel: self.kernel, stride: self.stride, dilation: self.dilation, pads: self.pads, groups: self.groups }
    }
}

/// Deformable convolution's window: tap k of output pixel p reads x at a place moved by `offset[p][k]`, bilinearly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deform {
    /// The window, and the groups of the convolution.
    pub conv: Conv,
    /// Groups of input channels that share offsets.
    pub offset_groups: usize,
}

/// A function of one number, computed by a table on integers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Function {
    /// `1 / (1 + e^−x)`.
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// `x · max(0, min(1, x / 6 + 1 / 2))`.
    HardSwish,
    /// `max(0, min(1, alpha · x + beta))`.
    HardSigmoid {
        /// Slope.
        alpha: f32,
        /// Value at 0.
        beta: f32,
    },
    /// `x`, or `alpha · x` below 0.
    LeakyRelu {
        /// Slope below 0.
        alpha: f32,
    },
    /// `x`, or `alpha · (e^x − 1)` below 0.
    Elu {
        /// Limit towards −∞, negated.
        alpha: f32,
    },
}

/// What lies beyond the edge of a tensor that is padded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fill {
    /// This real value.
    Constant(f32),
    /// The image mirrored at its edge pixel.
    Reflect,
    /// The edge pixel.
    Edge,
    /// The other end.
    Wrap,
}

/// Order of the channels that become pixels, or that pixels become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DepthOrder {
    /// Place in the block first, then depth (ONNX's `DCR`).
    DepthColumnRow,
    /// Depth first, then place in the block (`CRD`).
    ColumnRowDepth,
}

/// How a resized image's pixel finds its place in the original: ONNX's `coordinate_transformation_mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coordinates {
    /// Pixel centres correspond: `(x + ½) / scale − ½`.
    HalfPixel,
    /// As `HalfPixel`, but 0 for an output of one pixel.
    PytorchHalfPixel,
    /// First and last pixels correspond.
    AlignCorners,
    /// `x / scale`.
    Asymmetric,
}

/// How a resized image takes values between pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interpolation {
    /// The nearest pixel, where exactly between two: the lower one.
    NearestPreferFloor,
    /// The nearest pixel, where exactly between two: the upper one.
    NearestPreferCeil,
    /// The pixel below.
    NearestFloor,
    /// The pixel above.
    NearestCeil,
    /// Bilinear; beyond the edge, the edge pixel.
    Linear,
}

/// Changes the size of an image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Resize {
    /// `[h, w]` of the output.
    pub size: [usize; 2],
    /// `[vertical, horizontal]`: output pixels an input pixel; not always the quotient of the sizes.
    pub scale: [f32; 2],
    /// Places.
    pub coordinates: Coordinates,
    /// Values.
    pub interpolation: Interpolation,
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

impl Function {
    /// Whether its attributes are numbers.
    pub fn is_defined(self) -> bool {
        match self {
            Function::Sigmoid | Function::Tanh | Function::HardSwish => true,
            Function::HardSigmoid { alpha, beta } => alpha.is_finite() && beta.is_finite(),
            Function::LeakyRelu { alpha } | Function::Elu { alpha } => alpha.is_finite(),
        }
    }

    /// ONNX's name.
    pub fn name(self) -> &'static str {
        match self {
            Function::Sigmoid => "Sigmoid",
            Function::Tanh => "Tanh",
            Function::HardSwish => "HardSwish",
            Function::HardSigmoid { .. } => "HardSigmoid",
            Function::LeakyRelu { .. } => "LeakyRelu",
            Function::Elu { .. } => "Elu",
        }
    }
}
