//! M-3: configuration registers, and each instruction with the registers that it reads filled in.
//!
//! A unit runs its queue in program order, so an instruction sees the registers as all earlier instructions of its unit left them;
//! this does not depend on time. Nothing is checked here (see `traps`).

use systole_machine::isa::{
    ActivationFormat, DataflowChoice, Instruction, Operation, OutputFormat, Space, Unit, VectorOperand, WeightFormat,
};
use systole_machine::spec::Machine;

use super::scaling::Scaling;
pub(super) use super::vector_work::{Axis, Deform, Kind, Norm, Quant, Tensor, VectorWork, Window};

/// A memory of the machine (M-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Memory {
    Dram,
    /// Also the weights, where both are one memory.
    Activation,
    Weight,
    /// Addressed by vectors of C words.
    Accumulator,
}

/// M-4: bytes, distances in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Transfer {
    pub(super) dram: i64,
    pub(super) buffer: i64,
    pub(super) row_bytes: i64,
    pub(super) rows: i64,
    pub(super) planes: i64,
    pub(super) dram_row: i64,
    pub(super) dram_plane: i64,
    pub(super) buffer_row: i64,
    pub(super) buffer_plane: i64,
    pub(super) to_weight: bool,
    /// Bytes that come out of a stream; its own are `row_bytes` (M-15).
    pub(super) decoded: Option<i64>,
}

impl Transfer {
    /// The buffer on the chip's side.
    pub(super) fn memory(&self) -> Memory {
        if self.to_weight { Memory::Weight } else { Memory::Activation }
    }

    /// Bytes of a row in the buffer.
    pub(super) fn buffer_row_bytes(&self) -> i64 {
        self.decoded.unwrap_or(self.row_bytes)
    }
}

/// M-5 with all registers of the array.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Convolution {
    pub(super) height: i64,
    pub(super) width: i64,
    pub(super) row_pitch: i64,
    pub(super) pixel_pitch: i64,
    pub(super) kernel_h: i64,
    pub(super) kernel_w: i64,
    pub(super) stride_h: i64,
    pub(super) stride_w: i64,
    pub(super) dilation_h: i64,
    pub(super) dilation_w: i64,
    pub(super) pad_top: i64,
    pub(super) pad_left: i64,
    pub(super) packed: bool,
    pub(super) height_out: i64,
    pub(super) width_out: i64,
    pub(super) channels: i64,
    pub(super) block_step: i64,
    pub(super) zero_activation: i64,
    pub(super) zero_weight: i64,
    pub(super) signed_activation: bool,
    pub(super) signed_weight: bool,
    pub(super) activation: i64,
    pub(super) weight: i64,
    pub(super) accumulator: i64,
    pub(super) blocks: i64,
    pub(super) accumulate: bool,
    /// Set by every `ar.run`.
    pub(super) dataflow: DataflowChoice,
    /// N, input-stationary.
    pub(super) outputs: i64,
    pub(super) wide_activation: bool,
    pub(super) weight_format: WeightFormat,
    pub(super) activation_format: ActivationFormat,
}

impl Convolution {
    /// Whether an activation is a bit.
    pub(super) fn binary_activation(&self) -> bool {
        self.activation_format == ActivationFormat::Binary
    }

    /// Bytes of so many neighbouring activations, whole ones.
    pub(super) fn activation_bytes(&self, elements: i64) -> i64 {
        match (self.activation_format, self.wide_activation) {
            (ActivationFormat::Binary, _) => div_ceil(elements, 8),
            (ActivationFormat::Byte, true) => 2 * elements,
            (ActivationFormat::Byte, false) => elements,
        }
    }

    /// Bytes of so many neighbouring weights, whole ones.
    pub(super) fn weight_bytes(&self, weights: i64) -> i64 {
        div_ceil(weights * i64::from(self.weight_format.bits()), 8)
    }

    /// Bits by which the array's rate goes (M-14).
    pub(super) fn width_bits(&self) -> u32 {
        let wide = self.wide_activation && !self.binary_activation();
        if wide { 16 } else { self.weight_format.bits() }
    }

    /// ℓ: elements of a run.
    pub(super) fn run_elements(&self) -> i64 {
        if self.packed { self.kernel_w * self.channels } else { self.channels }
    }

    /// Runs of a kernel row.
    pub(super) fn runs(&self) -> i64 {
        if self.packed { 1 } else { self.kernel_w }
    }

    /// Chunks of a run, of `length` elements each.
    pub(super) fn chunks(&self, length: i64) -> i64 {
        div_ceil(self.run_elements(), length)
    }

    /// F: chunks of a block.
    pub(super) fn block_chunks(&self, length: i64) -> i64 {
        self.kernel_h * self.runs() * self.chunks(length)
    }

    /// Output pixels of a block.
    pub(super) fn pixels(&self) -> i64 {
        self.height_out * self.width_out
    }
}

/// What an instruction does.
#[derive(Clone, Debug)]
pub(super) enum Work {
    /// Configuration or sync: one cycle, no data.
    Control,
    Load(Transfer),
    Array(Box<Convolution>),
    Vector(Box<VectorWork>),
    Store(Transfer),
}

/// Rounded up, for positive divisors.
pub(super) fn div_ceil(value: i64, by: i64) -> i64 {
    (value + by - 1) / by
}

#[derive(Default)]
struct Registers {
    /// Whether both spaces of a load are the one memory.
    unified: bool,
    load: Transfer,
    store: Transfer,
    arrays: [Convolution; Unit::ARRAYS.len()],
    vector: VectorWork,
    /// Row and pixel pitch of a, b, out.
    pitches: [(i64, i64); 3],
}

/// The instructions with their registers, one entry each.
pub(super) fn resolve(machine: &Machine, instructions: &[Instruction]) -> Vec<Work> {
    let mut registers = Registers { unified: machine.unified, ..Registers::default() };
    instructions
        .iter()
        .map(|instruction| match instruction.unit() {
            Unit::Load | Unit::Store => registers.transfer(&instruction.operation),
            unit @ (Unit::Array | Unit::Array1 | Unit::Array2 | Unit::Array3) => {
                registers.convolution(unit, &instruction.operation)
            }
            Unit::Vector => registers.vector(&instruction.operation),
        })
        .collect()
}

macro_rules! int {
    ($value:expr) => {
        $value.get() as i64
    };
}

impl Registers {
    fn transfer(&mut self, operation: &Operation) -> Work {
        let registers = if operation.unit() == Unit::Load { &mut self.load } else { &mut self.store };
        match *operation {
            Operation::LoadShape { row_bytes, rows, planes } | Operation::StoreShape { row_bytes, rows, planes } => {
                (registers.row_bytes, registers.rows, registers.planes) = (int!(row_bytes), int!(rows), int!(planes));
            }
            Operation::LoadDramPitch { row_pitch, plane_pitch }
            | Operation::StoreDramPitch { row_pitch, plane_pitch } => {
                (registers.dram_row, registers.dram_plane) = (int!(row_pitch), int!(plane_pitch));
            }
            Operation::LoadBufferPitch { row_pitch, plane_pitch }
            | Operation::StoreBufferPitch { row_pitch, plane_pitch } => {
                (registers.buffer_row, registers.buffer_plane) = (int!(row_pitch), int!(plane_pitch));
            }
            Operation::LoadRun { dram, buffer, space } => {
                let to_weight = space == Space::Weight && !self.unified;
                return Work::Load(Transfer { dram: int!(dram), buffer: int!(buffer), to_weight, ..*registers });
            }
            Operation::LoadDecode { dram, buffer, bytes } => {
                return Work::Load(Transfer {
                    dram: int!(dram),
                    buffer: int!(buffer),
                    to_weight: !self.unified,
                    row_bytes: int!(bytes),
                    decoded: Some(registers.row_bytes),
                    ..*registers
                });
            }
            Operation::StoreRun { dram, buffer } => {
                return Work::Store(Transfer { dram: int!(dram), buffer: int!(buffer), ..*registers });
            }
            _ => {}
        }
        Work::Control
    }

    fn convolution(&mut self, unit: Unit, operation: &Operation) -> Work {
        let r = &mut self.arrays[unit.array().unwrap_or_default()];
        match *operation {
            Operation::ArrayInput { height, width, row_pitch, pixel_pitch, .. } => {
                (r.height, r.width) = (int!(height), int!(width));
                (r.row_pitch, r.pixel_pitch) = (int!(row_pitch), int!(pixel_pitch));
            }
            Operation::ArrayWindow {
                kernel_h,
                kernel_w,
                stride_h,
                stride_w,
                dilation_h,
                dilation_w,
                pad_top,
                pad_left,
                packed,
                ..
            } => {
                (r.kernel_h, r.kernel_w, r.stride_h, r.stride_w) =
                    (int!(kernel_h), int!(kernel_w), int!(stride_h), int!(stride_w));
                (r.dilation_h, r.dilation_w, r.pad_top, r.pad_left) =
                    (int!(dilation_h), int!(dilation_w), int!(pad_top), int!(pad_left));
                r.packed = packed.0;
            }
            Operation::ArrayOutput { height, width, channels, block_step, outputs, .. } => {
                r.outputs = int!(outputs);
                (r.height_out, r.width_out) = (int!(height), int!(width));
                (r.channels, r.block_step) = (int!(channels), int!(block_step));
            }
            Operation::ArrayQuant {
                zero_activation,
                zero_weight,
                signed_activation,
                signed_weight,
                wide_activation,
                ..
            } => {
                r.wide_activation = wide_activation.0;
                (r.zero_activation, r.zero_weight) = (zero_activation.get(), zero_weight.get());
                (r.signed_activation, r.signed_weight) = (signed_activation.0, signed_weight.0);
            }
            Operation::ArrayFormats { weight, activation, .. } => {
                (r.weight_format, r.activation_format) = (weight, activation);
            }
            Operation::ArrayRun { activation, weight, accumulator, blocks, accumulate, dataflow, .. } => {
                return Work::Array(Box::new(Convolution {
                    activation: int!(activation),
                    weight: int!(weight),
                    accumulator: int!(accumulator),
                    blocks: int!(blocks),
                    accumulate: accumulate.0,
                    dataflow,
                    ..*r
                }));
            }
            _ => {}
        }
        Work::Control
    }

    fn vector(&mut self, operation: &Operation) -> Work {
        match *operation {
            Operation::VectorShape { .. }
            | Operation::VectorPitch { .. }
            | Operation::VectorQuant { .. }
            | Operation::VectorScale { .. }
            | Operation::VectorWindow { .. }
            | Operation::VectorNorm { .. }
            | Operation::VectorDeform { .. }
            | Operation::VectorAxis { .. }
            | Operation::VectorFixed { .. }
            | Operation::VectorFormat { .. }
            | Operation::VectorDilation { .. }
            | Operation::VectorSync { .. } => {
                self.configure_vector(operation);
                Work::Control
            }
            Operation::VectorRequant { accumulator, params, out, mode, transposed } => {
                let mut work = self.work(Kind::Requant, None, None, Some(int!(params)), int!(out));
                work.accumulator = Some(int!(accumulator));
                (work.mode, work.transposed) = (Some(mode), transposed.0);
                Work::Vector(Box::new(work))
            }
            _ => self.tensor_work(operation),
        }
    }

    fn tensor_work(&self, operation: &Operation) -> Work {
        let (kind, a, b, params, out, mode) = match *operation {
            Operation::VectorAdd { a, b, out, mode, .. } => (Kind::Add, a, Some(b), None, out, Some(mode)),
            Operation::VectorMul { a, b, out, mode } => (Kind::Mul, a, Some(b), None, out, Some(mode)),
            Operation::VectorAddChannel { a, params, out, mode, .. } => {
                (Kind::AddChannel, a, None, Some(params), out, Some(mode))
            }
            Operation::VectorMulChannel { a, params, out, mode } => {
                (Kind::MulChannel, a, None, Some(params), out, Some(mode))
            }
            Operation::VectorAffine { a, params, out } => (Kind::Affine, a, None, Some(params), out, None),
            Operation::VectorRescale { a, out, mode } => (Kind::Rescale, a, None, None, out, Some(mode)),
            Operation::VectorMaxPool { a, out } => (Kind::MaxPool, a, None, None, out, None),
            Operation::VectorAveragePool { a, out, include_pad, mode } => {
                (Kind::AveragePool { include_pad: include_pad.0 }, a, None, None, out, Some(mode))
            }
            Operation::VectorSoftmax { a, out } => (Kind::Softmax, a, None, None, out, None),
            Operation::VectorLrn { a, out } => (Kind::Lrn, a, None, None, out, None),
            Operation::VectorSum { a, params, out, operands } => {
                (Kind::Sum { operands: int!(operands) }, a, None, Some(params), out, None)
            }
            Operation::VectorTable { a, params, out, per_channel } => {
                (Kind::Table { per_channel: per_channel.0 }, a, None, Some(params), out, None)
            }
            // The second operand is a tensor, or parameters of channels.
            Operation::VectorMax { a, b, out, mode, per_channel } => {
                (Kind::Max, a, (!per_channel.0).then_some(b), per_channel.0.then_some(b), out, Some(mode))
            }
            Operation::VectorMin { a, b, out, mode, per_channel } => {
                (Kind::Min, a, (!per_channel.0).then_some(b), per_channel.0.then_some(b), out, Some(mode))
            }
            Operation::VectorDiv { a, b, out, per_channel } => {
                (Kind::Div, a, (!per_channel.0).then_some(b), per_channel.0.then_some(b), out, None)
            }
            Operation::VectorGather { a, b, out } => (Kind::Gather, a, Some(b), None, out, None),
            Operation::VectorArgMax { a, out } => (Kind::ArgMax, a, None, None, out, None),
            Operation::VectorUnpool { a, b, out } => (Kind::Unpool, a, Some(b), None, out, None),
            Operation::VectorResize { a, out } => (Kind::Resize, a, None, None, out, None),
            Operation::VectorDepthwise { a, params, out, mode } => {
                (Kind::Depthwise, a, None, Some(params), out, Some(mode))
            }
            _ => return Work::Control,
        };
        let mut work = self.work(kind, Some(int!(a)), b.map(|b| int!(b)), params.map(|p| int!(p)), int!(out));
        work.mode = mode;
        work.subtract = matches!(
            *operation,
            Operation::VectorAdd { subtract, .. } | Operation::VectorAddChannel { subtract, .. } if subtract.0
        );
        Work::Vector(Box::new(work))
    }

    fn work(&self, kind: Kind, a: Option<i64>, b: Option<i64>, params: Option<i64>, out: i64) -> VectorWork {
        let v = &self.vector;
        let tensor = |address: i64, operand: VectorOperand, height: i64, width: i64| {
            let (row_pitch, pixel_pitch) = self.pitches[operand as usize];
            Tensor {
                address,
                row_pitch,
                pixel_pitch,
                height,
                width,
                channels: v.channels,
                wide: v.quant.wide[operand as usize],
                binary: operand == VectorOperand::Out && v.format == OutputFormat::Binary,
                sum: operand == VectorOperand::Out && v.format == OutputFormat::Sum,
            }
        };
        let taps = v.window.kernel_h * v.window.kernel_w;
        let (in_height, in_width) = if kind.has_input_tile() {
            (v.window.in_height, v.window.in_width)
        } else {
            (kind.tensors() * v.height, v.width)
        };
        VectorWork {
            kind,
            a: a.map(|address| tensor(address, VectorOperand::A, in_height, in_width)),
            b: b.map(|address| match kind {
                Kind::Gather => Tensor { channels: 2 * taps, ..tensor(address, VectorOperand::B, v.height, v.width) },
                Kind::Unpool => tensor(address, VectorOperand::B, in_height, in_width),
                _ => tensor(address, VectorOperand::B, v.height, v.width),
            }),
            out: match kind {
                Kind::Gather => {
                    Tensor { channels: taps * v.channels, ..tensor(out, VectorOperand::Out, v.height, v.width) }
                }
                _ => tensor(out, VectorOperand::Out, v.height, v.width),
            },
            params,
            accumulator: None,
            ..*v
        }
    }

    fn configure_vector(&mut self, operation: &Operation) {
        let v = &mut self.vector;
        match *operation {
            Operation::VectorShape { height, width, channels, block_channels } => {
                (v.height, v.width) = (int!(height), int!(width));
                (v.channels, v.block_channels) = (int!(channels), int!(block_channels));
            }
            Operation::VectorPitch { operand, row_pitch, pixel_pitch } => {
                self.pitches[operand as usize] = (int!(row_pitch), int!(pixel_pitch));
            }
            Operation::VectorQuant {
                zero_a,
                zero_b,
                zero_out,
                low,
                high,
                signed_a,
                signed_b,
                wide_a,
                wide_b,
                wide_out,
                ..
            } => {
                v.quant = Quant {
                    zero_a: zero_a.get(),
                    zero_b: zero_b.get(),
                    zero_out: zero_out.get(),
                    low: low.get(),
                    high: high.get(),
                    signed_a: signed_a.0,
                    signed_b: signed_b.0,
                    wide: [wide_a.0, wide_b.0, wide_out.0],
                };
            }
            Operation::VectorFixed { operand, multiplier, shift } => {
                v.fixed[operand as usize] = Scaling { multiplier: multiplier.get(), shift: shift.get() };
            }
            Operation::VectorFormat { out } => v.format = out,
            Operation::VectorScale { a, b, out } => v.scales = [a.get(), b.get(), out.get()],
            Operation::VectorDeform { origin_y, origin_x } => {
                v.deform = Deform { origin_y: origin_y.get(), origin_x: origin_x.get() };
            }
            Operation::VectorAxis { axis, first_out, first_in, factor, divisor, centred } => {
                let (first_out, first_in) = (int!(first_out), int!(first_in));
                let (factor, divisor, centred) = (factor.get(), divisor.get(), centred.0);
                v.axes[axis as usize] = Axis { first_out, first_in, factor, divisor, centred };
            }
            Operation::VectorNorm { size, alpha, beta, bias } => {
                v.norm = Norm { size: int!(size), alpha: alpha.get(), beta: beta.get(), bias: bias.get() };
            }
            Operation::VectorWindow {
                kernel_h,
                kernel_w,
                stride_h,
                stride_w,
                pad_top,
                pad_left,
                pad_bottom,
                pad_right,
                in_height,
                in_width,
            } => {
                v.window = Window {
                    kernel_h: int!(kernel_h),
                    kernel_w: int!(kernel_w),
                    stride_h: int!(stride_h),
                    stride_w: int!(stride_w),
                    pad_top: int!(pad_top),
                    pad_left: int!(pad_left),
                    pad_bottom: int!(pad_bottom),
                    pad_right: int!(pad_right),
                    in_height: int!(in_height),
                    in_width: int!(in_width),
                    ..v.window
                };
            }
            Operation::VectorDilation { dilation_h, dilation_w } => {
                (v.window.dilation_h, v.window.dilation_w) = (int!(dilation_h), int!(dilation_w));
            }
            _ => {}
        }
    }
}
