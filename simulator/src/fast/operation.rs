//! A vector operation with the registers that it reads (M-6, M-7). Computes nothing.

use systole_machine::isa::OutputFormat;

use super::scaled::{Factor, Mode};

/// Bytes between rows and between pixels of an operand.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pitch {
    pub(super) row: u64,
    pub(super) pixel: u64,
}

/// What a vector instruction computes (M-7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum VectorKind {
    #[default]
    Requant,
    Add,
    Mul,
    AddChannel,
    MulChannel,
    Affine,
    Rescale,
    MaxPool,
    AveragePool,
    Softmax,
    Lrn,
    Sum,
    Depthwise,
    Gather,
    ArgMax,
    Unpool,
    Resize,
    Table,
    ChannelTable,
    Max,
    MaxChannel,
    Min,
    MinChannel,
    Div,
    DivChannel,
}

impl VectorKind {
    /// Whether operand A is an input tile under windows.
    pub(super) fn pools(self) -> bool {
        matches!(self, VectorKind::MaxPool | VectorKind::AveragePool | VectorKind::Depthwise) || self.has_taps()
    }

    /// Whether `ve.window` says how large operand A is.
    pub(super) fn has_tile(self) -> bool {
        self.pools() || self == VectorKind::Resize
    }

    /// Whether it deals in single taps of the window (`taps`).
    pub(super) fn has_taps(self) -> bool {
        matches!(self, VectorKind::Gather | VectorKind::ArgMax | VectorKind::Unpool)
    }

    /// Whether parameters, per channel or per operand, are fetched.
    pub(super) fn has_params(self) -> bool {
        use VectorKind as Kind;
        matches!(self, Kind::Requant | Kind::Depthwise | Kind::Affine | Kind::Sum)
            || self.has_constants()
            || self.has_table()
    }

    /// Whether the second operand is a constant per channel.
    pub(super) fn has_constants(self) -> bool {
        use VectorKind as Kind;
        matches!(self, Kind::AddChannel | Kind::MulChannel | Kind::MaxChannel | Kind::MinChannel | Kind::DivChannel)
    }

    /// Whether parameters are tables of bytes.
    pub(super) fn has_table(self) -> bool {
        matches!(self, VectorKind::Table | VectorKind::ChannelTable)
    }

    /// Whether it is of those that choose or divide (N-25), which `pairs` computes.
    pub(super) fn pairs(self) -> bool {
        use VectorKind as Kind;
        matches!(self, Kind::Max | Kind::MaxChannel | Kind::Min | Kind::MinChannel | Kind::Div | Kind::DivChannel)
    }

    /// Whether operand a is a tensor in the activation buffer.
    pub(super) fn has_a(self) -> bool {
        self != VectorKind::Requant
    }

    /// Whether a second tensor is read.
    pub(super) fn has_b(self) -> bool {
        use VectorKind as Kind;
        matches!(self, Kind::Add | Kind::Mul | Kind::Max | Kind::Min | Kind::Div | Kind::Gather | Kind::Unpool)
    }
}

/// How the lines of a resized image along an axis find theirs in the tile that is there (`ve.axis`).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Axis {
    /// Of the output, in the whole result.
    pub(super) first_out: u16,
    /// Of the tile, in the whole image.
    pub(super) first_in: u16,
    pub(super) factor: f32,
    pub(super) divisor: f32,
    pub(super) centred: bool,
}

/// Registers of the vector unit, and after resolution one operation (M-6, M-7).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct VectorWork {
    pub(super) kind: VectorKind,
    pub(super) height: u64,
    pub(super) width: u64,
    pub(super) channels: u64,
    pub(super) block_channels: u64,
    pub(super) pitch: [Pitch; 3],
    pub(super) zero_a: i32,
    pub(super) zero_b: i32,
    pub(super) zero_out: i32,
    pub(super) low: i32,
    pub(super) high: i32,
    pub(super) signed_a: bool,
    pub(super) signed_b: bool,
    /// Operands of two bytes: a, b, out.
    pub(super) wide: [bool; 3],
    /// What is stored of a result.
    pub(super) format: OutputFormat,
    pub(super) scale_a: f32,
    pub(super) scale_b: f32,
    pub(super) scale_out: f32,
    pub(super) kernel_h: u64,
    pub(super) kernel_w: u64,
    pub(super) stride_h: u64,
    pub(super) stride_w: u64,
    /// As the registers have them: 0 counts as 1.
    pub(super) dilation_h: u64,
    pub(super) dilation_w: u64,
    pub(super) pad_top: u64,
    pub(super) pad_left: u64,
    pub(super) pad_bottom: u64,
    pub(super) pad_right: u64,
    pub(super) in_height: u64,
    pub(super) in_width: u64,
    /// Row and column of the image where the first window of `ve.gather` begins.
    pub(super) origin: [i32; 2],
    /// Of rows, of columns.
    pub(super) axes: [Axis; 2],
    pub(super) include_pad: bool,
    /// Sums are differences.
    pub(super) subtract: bool,
    /// How results are scaled.
    pub(super) mode: Mode,
    /// Integer scalings of a, b, out.
    pub(super) fixed: [Factor; 3],
    /// `ve.requant` of an input-stationary array's results.
    pub(super) transposed: bool,
    pub(super) norm_size: u64,
    pub(super) norm_alpha: f32,
    pub(super) norm_beta: f32,
    pub(super) norm_bias: f32,
    /// Tensors of `ve.sum`.
    pub(super) operands: u64,
    pub(super) accumulator: u64,
    pub(super) params: u64,
    pub(super) a: u64,
    pub(super) b: u64,
    pub(super) out: u64,
}

impl VectorWork {
    /// An operation on two tensors, or on a tensor and constants of channels: `b` is where either is.
    pub(super) fn pair(self, kinds: [VectorKind; 2], per_channel: bool, [a, b, out]: [u64; 3]) -> Self {
        VectorWork { kind: kinds[usize::from(per_channel)], a, b, params: b, out, ..self }
    }

    /// Rows of operand a where it is no pooling's input.
    pub(super) fn rows_a(&self) -> u64 {
        if self.kind == VectorKind::Sum { self.operands * self.height } else { self.height }
    }

    /// Distances between taps, vertical and horizontal.
    pub(super) fn dilation(&self) -> [i64; 2] {
        [self.dilation_h, self.dilation_w].map(|distance| distance.max(1) as i64)
    }

    /// Elements of a pixel of a, b or the output.
    pub(super) fn pixel(&self, operand: usize) -> u64 {
        match (self.kind, operand) {
            (VectorKind::Gather, 1) => 2 * self.kernel_h * self.kernel_w,
            (VectorKind::Gather, 2) => self.kernel_h * self.kernel_w * self.channels,
            _ => self.channels,
        }
    }

    /// Height and width of a, b or the output.
    pub(super) fn size(&self, operand: usize) -> (u64, u64) {
        match (self.kind, operand) {
            (kind, 0) if kind.has_tile() => (self.in_height, self.in_width),
            (VectorKind::Unpool, 1) => (self.in_height, self.in_width),
            (_, 0) => (self.rows_a(), self.width),
            _ => (self.height, self.width),
        }
    }

    /// Bytes of an element of a, b or the output, 0 where the operation has no such tensor.
    pub(super) fn bytes(&self, operand: usize) -> u64 {
        let used = [self.kind.has_a(), self.kind.has_b(), true];
        match operand {
            2 if self.format == OutputFormat::Sum => 4,
            _ => u64::from(used[operand]) << u32::from(self.wide[operand]),
        }
    }

    /// Bytes of a pixel of a, b or the output.
    pub(super) fn pixel_bytes(&self, operand: usize) -> u64 {
        let bits = operand == 2 && self.format == OutputFormat::Binary;
        if bits { self.channels.div_ceil(8) } else { self.pixel(operand) * self.bytes(operand) }
    }

    /// The most of any operand's bytes (T-6).
    pub(super) fn widest(&self) -> u64 {
        (0..3).map(|operand| self.bytes(operand)).max().unwrap_or(1)
    }

    /// ρ: bytes of a record of parameters (M-7).
    pub(super) fn record(&self) -> u64 {
        if self.kind.has_table() {
            return 256;
        }
        let sums = matches!(self.kind, VectorKind::Requant | VectorKind::Depthwise);
        if sums && matches!(self.mode, Mode::Fixed | Mode::FixedDouble) { 12 } else { 8 }
    }

    /// Bytes of weights behind each channel's record.
    pub(super) fn weights(&self) -> u64 {
        if self.kind == VectorKind::Depthwise { self.kernel_h * self.kernel_w } else { 0 }
    }

    /// Records of parameters.
    pub(super) fn entries(&self) -> u64 {
        match self.kind {
            VectorKind::Sum => self.operands,
            VectorKind::Table => 1,
            _ => self.channels,
        }
    }
}
