//! M-6, M-7: a vector operation with all registers of its unit. Nothing is checked or computed here.

use systole_machine::isa::{OutputFormat, RequantMode};

use super::scaling::Scaling;

/// Which vector operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    Requant,
    Add,
    Mul,
    AddChannel,
    MulChannel,
    Affine,
    Rescale,
    MaxPool,
    AveragePool {
        include_pad: bool,
    },
    Softmax,
    Lrn,
    Sum {
        operands: i64,
    },
    Depthwise,
    Table {
        per_channel: bool,
    },
    Max,
    Min,
    Div,
    Gather,
    ArgMax,
    Unpool,
    Resize,
}

impl Kind {
    /// Whether the first tensor operand is an input tile under windows.
    pub(super) fn pools(self) -> bool {
        matches!(
            self,
            Kind::MaxPool | Kind::AveragePool { .. } | Kind::Depthwise | Kind::Gather | Kind::ArgMax | Kind::Unpool
        )
    }

    /// Whether `ve.window` says how large the first tensor operand is.
    pub(super) fn has_input_tile(self) -> bool {
        self.pools() || self == Kind::Resize
    }

    /// Whether it ends with N-1's scaling of sums, from records of parameters.
    pub(super) fn requantises(self) -> bool {
        matches!(self, Kind::Requant | Kind::Depthwise)
    }

    /// Tensors that operand a holds, one below the other.
    pub(super) fn tensors(self) -> i64 {
        if let Kind::Sum { operands } = self { operands } else { 1 }
    }
}

/// Address and pitches of a tensor operand (M-6).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tensor {
    pub(super) address: i64,
    pub(super) row_pitch: i64,
    pub(super) pixel_pitch: i64,
    pub(super) height: i64,
    pub(super) width: i64,
    pub(super) channels: i64,
    /// Whether an element has two bytes.
    pub(super) wide: bool,
    /// Whether an element is a bit.
    pub(super) binary: bool,
    /// Whether an element is a sum of four bytes.
    pub(super) sum: bool,
}

impl Tensor {
    /// e; a bit counts as a byte (T-6).
    pub(super) fn element_bytes(&self) -> i64 {
        match () {
            () if self.sum => 4,
            () if self.binary => 1,
            () if self.wide => 2,
            () => 1,
        }
    }

    /// `e·channels`, whole bytes.
    pub(super) fn pixel_bytes(&self) -> i64 {
        if self.binary { (self.channels + 7) / 8 } else { self.channels * self.element_bytes() }
    }

    /// Address of an element that is no bit.
    pub(super) fn at(&self, y: i64, x: i64, channel: i64) -> i64 {
        self.address + y * self.row_pitch + x * self.pixel_pitch + channel * self.element_bytes()
    }

    /// One past the last element.
    pub(super) fn end(&self) -> i64 {
        self.at(self.height - 1, self.width - 1, 0) + self.pixel_bytes()
    }
}

/// `ve.window`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Window {
    pub(super) kernel_h: i64,
    pub(super) kernel_w: i64,
    pub(super) stride_h: i64,
    pub(super) stride_w: i64,
    pub(super) pad_top: i64,
    pub(super) pad_left: i64,
    pub(super) pad_bottom: i64,
    pub(super) pad_right: i64,
    pub(super) in_height: i64,
    pub(super) in_width: i64,
    /// `ve.dilation` as the register has it.
    pub(super) dilation_h: i64,
    pub(super) dilation_w: i64,
}

impl Window {
    /// Input row of a tap: before the input where negative.
    pub(super) fn row(&self, y: i64, tap: i64) -> i64 {
        y * self.stride_h - self.pad_top + tap * self.dilation_h.max(1)
    }

    /// Input column of a tap.
    pub(super) fn column(&self, x: i64, tap: i64) -> i64 {
        x * self.stride_w - self.pad_left + tap * self.dilation_w.max(1)
    }
}

/// `ve.deform`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Deform {
    pub(super) origin_y: i64,
    pub(super) origin_x: i64,
}

/// `ve.axis` of one axis.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Axis {
    pub(super) first_out: i64,
    pub(super) first_in: i64,
    pub(super) factor: f32,
    pub(super) divisor: f32,
    pub(super) centred: bool,
}

/// `ve.norm`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Norm {
    pub(super) size: i64,
    pub(super) alpha: f32,
    pub(super) beta: f32,
    pub(super) bias: f32,
}

/// `ve.quant`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Quant {
    pub(super) zero_a: i64,
    pub(super) zero_b: i64,
    pub(super) zero_out: i64,
    pub(super) low: i64,
    pub(super) high: i64,
    pub(super) signed_a: bool,
    pub(super) signed_b: bool,
    /// a, b, out have two bytes.
    pub(super) wide: [bool; 3],
}

/// M-7 with all registers of the vector unit.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct VectorWork {
    pub(super) kind: Kind,
    /// Of the operations that have one.
    pub(super) mode: Option<RequantMode>,
    /// `ve.requant` of an input-stationary array's results.
    pub(super) transposed: bool,
    /// The second term of a sum is subtracted.
    pub(super) subtract: bool,
    pub(super) height: i64,
    pub(super) width: i64,
    pub(super) channels: i64,
    pub(super) block_channels: i64,
    pub(super) a: Option<Tensor>,
    pub(super) b: Option<Tensor>,
    pub(super) out: Tensor,
    pub(super) params: Option<i64>,
    pub(super) accumulator: Option<i64>,
    pub(super) window: Window,
    pub(super) deform: Deform,
    /// Of rows, of columns.
    pub(super) axes: [Axis; 2],
    pub(super) norm: Norm,
    pub(super) quant: Quant,
    /// What is stored of a result.
    pub(super) format: OutputFormat,
    /// Scales a, b, out.
    pub(super) scales: [f32; 3],
    /// Integer scalings of a, b, out.
    pub(super) fixed: [Scaling; 3],
}

impl VectorWork {
    /// ρ: bytes of a record of parameters.
    pub(super) fn record_bytes(&self) -> i64 {
        if matches!(self.kind, Kind::Table { .. }) {
            return 256;
        }
        let long = matches!(self.mode, Some(RequantMode::Fixed | RequantMode::FixedDouble));
        if self.kind.requantises() && long { 12 } else { 8 }
    }

    /// Bytes of parameters of so many channels.
    pub(super) fn parameter_bytes(&self, channels: i64) -> i64 {
        let weights = if self.kind == Kind::Depthwise { self.window.kernel_h * self.window.kernel_w } else { 0 };
        (self.record_bytes() + weights) * channels
    }

    /// Records of parameters: one a channel, or a tensor of a sum of many, or one for all.
    pub(super) fn records(&self) -> i64 {
        match self.kind {
            Kind::Sum { operands } => operands,
            Kind::Table { per_channel: false } => 1,
            _ => self.channels,
        }
    }

    /// The tensors that it reads and writes.
    pub(super) fn tensors(&self) -> impl Iterator<Item = Tensor> {
        [self.a, self.b, Some(self.out)].into_iter().flatten()
    }
}
