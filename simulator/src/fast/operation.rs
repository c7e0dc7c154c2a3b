//! A vector operation with the registers that it reads (M-6, M-7). Computes nothing.

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
}

impl VectorKind {
    /// Whether operand A is an input tile under windows.
    pub(super) fn pools(self) -> bool {
        matches!(self, VectorKind::MaxPool | VectorKind::AveragePool | VectorKind::Depthwise)
    }

    /// Whether parameters, per channel or per operand, are fetched.
    pub(super) fn has_params(self) -> bool {
        use VectorKind as Kind;
        let of_sums = matches!(self, Kind::Requant | Kind::Depthwise | Kind::Sum);
        of_sums || matches!(self, Kind::AddChannel | Kind::MulChannel | Kind::Affine)
    }

    /// Whether operand a is a tensor in the activation buffer.
    pub(super) fn has_a(self) -> bool {
        self != VectorKind::Requant
    }

    /// Whether a second tensor is read.
    pub(super) fn has_b(self) -> bool {
        matches!(self, VectorKind::Add | VectorKind::Mul)
    }
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
    pub(super) include_pad: bool,
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
    /// Rows of operand a where it is no pooling's input.
    pub(super) fn rows_a(&self) -> u64 {
        if self.kind == VectorKind::Sum { self.operands * self.height } else { self.height }
    }

    /// Bytes of an element of a, b or the output, 0 where the operation has no such tensor.
    pub(super) fn bytes(&self, operand: usize) -> u64 {
        let used = [self.kind.has_a(), self.kind.has_b(), true];
        u64::from(used[operand]) << u32::from(self.wide[operand])
    }

    /// The most of any operand's bytes (T-6).
    pub(super) fn widest(&self) -> u64 {
        (0..3).map(|operand| self.bytes(operand)).max().unwrap_or(1)
    }

    /// ρ: bytes of a record of parameters (M-7).
    pub(super) fn record(&self) -> u64 {
        let sums = matches!(self.kind, VectorKind::Requant | VectorKind::Depthwise);
        if sums && matches!(self.mode, Mode::Fixed | Mode::FixedDouble) { 12 } else { 8 }
    }

    /// Bytes of weights behind each channel's record.
    pub(super) fn weights(&self) -> u64 {
        if self.kind == VectorKind::Depthwise { self.kernel_h * self.kernel_w } else { 0 }
    }

    /// Records of parameters.
    pub(super) fn entries(&self) -> u64 {
        if self.kind == VectorKind::Sum { self.operands } else { self.channels }
    }
}
