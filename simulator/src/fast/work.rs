//! Resolved instructions: configuration registers (M-3) folded into each run instruction, so that nothing later looks back.
//!
//! Models registers only; whether they make sense is `check`, what they touch `footprint`.

use systole_machine::isa::{
    ActivationFormat, DataflowChoice, ImageAxis, Instruction, Operation, OutputFormat, Space, Unit, UnitMask,
    VectorOperand, WeightFormat,
};
use systole_machine::spec::Dataflow;

use super::decode::Stream;
use super::mutant::{Mutant, on};
pub(super) use super::operation::{Axis, Pitch, VectorKind, VectorWork};
use super::scaled::{Factor, Mode};

/// Registers of a DMA channel, and after resolution one transfer (M-4).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Transfer {
    pub(super) dram: u64,
    pub(super) buffer: u64,
    pub(super) weight: bool,
    pub(super) row_bytes: u64,
    pub(super) rows: u64,
    pub(super) planes: u64,
    pub(super) dram_row: u64,
    pub(super) dram_plane: u64,
    pub(super) buffer_row: u64,
    pub(super) buffer_plane: u64,
}

/// Registers of the array, and after resolution one convolution (M-5).
#[derive(Clone, Copy, Debug)]
pub(super) struct Convolution {
    pub(super) dataflow: Dataflow,
    pub(super) height: u64,
    pub(super) width: u64,
    pub(super) row_pitch: u64,
    pub(super) pixel_pitch: u64,
    pub(super) kernel_h: u64,
    pub(super) kernel_w: u64,
    pub(super) stride_h: u64,
    pub(super) stride_w: u64,
    pub(super) dilation_h: u64,
    pub(super) dilation_w: u64,
    pub(super) pad_top: u64,
    pub(super) pad_left: u64,
    pub(super) packed: bool,
    pub(super) height_out: u64,
    pub(super) width_out: u64,
    pub(super) channels: u64,
    pub(super) block_step: u64,
    /// N, input-stationary.
    pub(super) outputs: u64,
    /// Activations of two bytes.
    pub(super) wide: bool,
    /// Activations of one bit, whatever `wide` says.
    pub(super) binary: bool,
    pub(super) weights: WeightFormat,
    pub(super) zero_activation: i32,
    pub(super) zero_weight: i32,
    pub(super) signed_activation: bool,
    pub(super) signed_weight: bool,
    pub(super) activation: u64,
    pub(super) weight: u64,
    pub(super) accumulator: u64,
    pub(super) blocks: u64,
    pub(super) accumulate: bool,
}

impl Default for Convolution {
    fn default() -> Self {
        Convolution {
            dataflow: Dataflow::WeightStationary,
            height: 0,
            width: 0,
            row_pitch: 0,
            pixel_pitch: 0,
            kernel_h: 0,
            kernel_w: 0,
            stride_h: 0,
            stride_w: 0,
            dilation_h: 0,
            dilation_w: 0,
            pad_top: 0,
            pad_left: 0,
            packed: false,
            height_out: 0,
            width_out: 0,
            channels: 0,
            block_step: 0,
            outputs: 0,
            wide: false,
            binary: false,
            weights: WeightFormat::Byte,
            zero_activation: 0,
            zero_weight: 0,
            signed_activation: false,
            signed_weight: false,
            activation: 0,
            weight: 0,
            accumulator: 0,
            blocks: 0,
            accumulate: false,
        }
    }
}

impl Convolution {
    /// e: bytes of an activation that is no bit.
    pub(super) fn bytes(&self) -> u64 {
        1 + u64::from(self.wide)
    }

    /// Bytes of a pixel's activations.
    pub(super) fn pixel_bytes(&self) -> u64 {
        if self.binary { self.channels.div_ceil(8) } else { self.channels * self.bytes() }
    }

    /// Bits whose rate the array has (M-14).
    pub(super) fn width(&self) -> u32 {
        if self.wide && !self.binary { 16 } else { self.weights.bits() }
    }

    /// Elements of one run (M-5).
    pub(super) fn run_length(&self) -> u64 {
        if self.packed { self.kernel_w * self.channels } else { self.channels }
    }

    /// Runs of one block.
    pub(super) fn runs(&self) -> u64 {
        self.kernel_h * if self.packed { 1 } else { self.kernel_w }
    }

    /// M: output pixels of one block.
    pub(super) fn pixels(&self) -> u64 {
        self.height_out * self.width_out
    }
}

/// An instruction with its registers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Work {
    /// Configuration or sync: only tokens and a cycle.
    Configure,
    Load(Transfer),
    Decode(Stream),
    Store(Transfer),
    Array(Convolution),
    Vector(VectorWork),
}

/// One resolved instruction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) unit: Unit,
    pub(super) wait: UnitMask,
    pub(super) signal: UnitMask,
    pub(super) work: Work,
}

/// All registers of the machine (M-3); 0 at first.
#[derive(Default)]
pub(super) struct Registers {
    load: Transfer,
    store: Transfer,
    arrays: [Convolution; Unit::ARRAYS.len()],
    vector: VectorWork,
}

impl Registers {
    /// Takes the next instruction of the program.
    pub(super) fn resolve(&mut self, instruction: &Instruction) -> Step {
        let work = match instruction.unit() {
            Unit::Load => self.load(&instruction.operation),
            Unit::Array => self.array(0, &instruction.operation),
            Unit::Array1 => self.array(1, &instruction.operation),
            Unit::Array2 => self.array(2, &instruction.operation),
            Unit::Array3 => self.array(3, &instruction.operation),
            Unit::Vector => self.vector(&instruction.operation),
            Unit::Store => self.store(&instruction.operation),
        };
        Step { unit: instruction.unit(), wait: instruction.wait, signal: instruction.signal, work }
    }

    fn load(&mut self, operation: &Operation) -> Work {
        let unit = &mut self.load;
        match *operation {
            Operation::LoadShape { row_bytes, rows, planes } => {
                (unit.row_bytes, unit.rows, unit.planes) = (row_bytes.get(), rows.get(), planes.get());
            }
            Operation::LoadDramPitch { row_pitch, plane_pitch } => {
                (unit.dram_row, unit.dram_plane) = (row_pitch.get(), plane_pitch.get());
            }
            Operation::LoadBufferPitch { row_pitch, plane_pitch } => {
                (unit.buffer_row, unit.buffer_plane) = (row_pitch.get(), plane_pitch.get());
            }
            Operation::LoadRun { dram, buffer, space } => {
                let weight = space == Space::Weight;
                return Work::Load(Transfer { dram: dram.get(), buffer: buffer.get(), weight, ..*unit });
            }
            Operation::LoadDecode { dram, buffer, bytes } => {
                return Work::Decode(Stream {
                    dram: dram.get(),
                    bytes: bytes.get(),
                    buffer: buffer.get(),
                    decoded: unit.row_bytes,
                    one_row: unit.rows == 1 && unit.planes == 1,
                });
            }
            _ => {}
        }
        Work::Configure
    }

    fn store(&mut self, operation: &Operation) -> Work {
        let unit = &mut self.store;
        match *operation {
            Operation::StoreShape { row_bytes, rows, planes } => {
                (unit.row_bytes, unit.rows, unit.planes) = (row_bytes.get(), rows.get(), planes.get());
            }
            Operation::StoreDramPitch { row_pitch, plane_pitch } => {
                (unit.dram_row, unit.dram_plane) = (row_pitch.get(), plane_pitch.get());
            }
            Operation::StoreBufferPitch { row_pitch, plane_pitch } => {
                (unit.buffer_row, unit.buffer_plane) = (row_pitch.get(), plane_pitch.get());
            }
            Operation::StoreRun { dram, buffer } => {
                return Work::Store(Transfer { dram: dram.get(), buffer: buffer.get(), ..*unit });
            }
            _ => {}
        }
        Work::Configure
    }

    fn array(&mut self, number: usize, operation: &Operation) -> Work {
        let unit = &mut self.arrays[if on(Mutant::RegistersShared) { 0 } else { number }];
        match *operation {
            Operation::ArrayInput { height, width, row_pitch, pixel_pitch, .. } => {
                (unit.height, unit.width) = (height.get(), width.get());
                (unit.row_pitch, unit.pixel_pitch) = (row_pitch.get(), pixel_pitch.get());
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
                (unit.kernel_h, unit.kernel_w) = (kernel_h.get(), kernel_w.get());
                (unit.stride_h, unit.stride_w) = (stride_h.get(), stride_w.get());
                (unit.dilation_h, unit.dilation_w) = (dilation_h.get(), dilation_w.get());
                (unit.pad_top, unit.pad_left, unit.packed) = (pad_top.get(), pad_left.get(), packed.0);
            }
            Operation::ArrayOutput { height, width, channels, block_step, outputs, .. } => {
                (unit.height_out, unit.width_out) = (height.get(), width.get());
                (unit.channels, unit.block_step) = (channels.get(), block_step.get());
                unit.outputs = outputs.get();
            }
            Operation::ArrayQuant {
                zero_activation,
                zero_weight,
                signed_activation,
                signed_weight,
                wide_activation,
                ..
            } => {
                (unit.zero_activation, unit.zero_weight) = (zero_activation.get() as i32, zero_weight.get() as i32);
                (unit.signed_activation, unit.signed_weight) = (signed_activation.0, signed_weight.0);
                unit.wide = wide_activation.0;
            }
            Operation::ArrayFormats { weight, activation, .. } => {
                (unit.weights, unit.binary) = (weight, activation == ActivationFormat::Binary);
            }
            Operation::ArrayRun { activation, weight, accumulator, blocks, accumulate, dataflow, .. } => {
                return Work::Array(Convolution {
                    dataflow: match dataflow {
                        DataflowChoice::WeightStationary => Dataflow::WeightStationary,
                        DataflowChoice::OutputStationary => Dataflow::OutputStationary,
                        DataflowChoice::InputStationary => Dataflow::InputStationary,
                    },
                    activation: activation.get(),
                    weight: weight.get(),
                    accumulator: accumulator.get(),
                    blocks: blocks.get(),
                    accumulate: accumulate.0,
                    ..*unit
                });
            }
            _ => {}
        }
        Work::Configure
    }

    fn vector(&mut self, operation: &Operation) -> Work {
        use VectorKind as Kind;
        let unit = self.vector;
        let work = match *operation {
            Operation::VectorRequant { accumulator, params, out, transposed, .. } => VectorWork {
                kind: Kind::Requant,
                transposed: transposed.0,
                accumulator: accumulator.get(),
                params: params.get(),
                out: out.get(),
                ..unit
            },
            Operation::VectorAdd { a, b, out, subtract, .. } => {
                VectorWork { kind: Kind::Add, a: a.get(), b: b.get(), out: out.get(), subtract: subtract.0, ..unit }
            }
            Operation::VectorMul { a, b, out, .. } => {
                VectorWork { kind: Kind::Mul, a: a.get(), b: b.get(), out: out.get(), ..unit }
            }
            Operation::VectorAddChannel { a, params, out, subtract, .. } => VectorWork {
                kind: Kind::AddChannel,
                a: a.get(),
                params: params.get(),
                out: out.get(),
                subtract: subtract.0,
                ..unit
            },
            Operation::VectorTable { a, params, out, per_channel } => {
                let kind = if per_channel.0 { Kind::ChannelTable } else { Kind::Table };
                VectorWork { kind, a: a.get(), params: params.get(), out: out.get(), ..unit }
            }
            Operation::VectorMax { a, b, out, per_channel, .. } => {
                unit.pair([Kind::Max, Kind::MaxChannel], per_channel.0, [a.get(), b.get(), out.get()])
            }
            Operation::VectorMin { a, b, out, per_channel, .. } => {
                unit.pair([Kind::Min, Kind::MinChannel], per_channel.0, [a.get(), b.get(), out.get()])
            }
            Operation::VectorDiv { a, b, out, per_channel } => {
                unit.pair([Kind::Div, Kind::DivChannel], per_channel.0, [a.get(), b.get(), out.get()])
            }
            Operation::VectorMulChannel { a, params, out, .. } => {
                VectorWork { kind: Kind::MulChannel, a: a.get(), params: params.get(), out: out.get(), ..unit }
            }
            Operation::VectorAffine { a, params, out } => {
                VectorWork { kind: Kind::Affine, a: a.get(), params: params.get(), out: out.get(), ..unit }
            }
            Operation::VectorRescale { a, out, .. } => {
                VectorWork { kind: Kind::Rescale, a: a.get(), out: out.get(), ..unit }
            }
            Operation::VectorMaxPool { a, out } => {
                VectorWork { kind: Kind::MaxPool, a: a.get(), out: out.get(), ..unit }
            }
            Operation::VectorAveragePool { a, out, include_pad, .. } => {
                VectorWork { kind: Kind::AveragePool, a: a.get(), out: out.get(), include_pad: include_pad.0, ..unit }
            }
            Operation::VectorSoftmax { a, out } => {
                VectorWork { kind: Kind::Softmax, a: a.get(), out: out.get(), ..unit }
            }
            Operation::VectorLrn { a, out } => VectorWork { kind: Kind::Lrn, a: a.get(), out: out.get(), ..unit },
            Operation::VectorSum { a, params, out, operands } => VectorWork {
                kind: Kind::Sum,
                a: a.get(),
                params: params.get(),
                out: out.get(),
                operands: operands.get(),
                ..unit
            },
            Operation::VectorGather { a, b, out } => {
                VectorWork { kind: Kind::Gather, a: a.get(), b: b.get(), out: out.get(), ..unit }
            }
            Operation::VectorArgMax { a, out } => VectorWork { kind: Kind::ArgMax, a: a.get(), out: out.get(), ..unit },
            Operation::VectorUnpool { a, b, out } => {
                VectorWork { kind: Kind::Unpool, a: a.get(), b: b.get(), out: out.get(), ..unit }
            }
            Operation::VectorResize { a, out } => VectorWork { kind: Kind::Resize, a: a.get(), out: out.get(), ..unit },
            Operation::VectorDepthwise { a, params, out, .. } => {
                VectorWork { kind: Kind::Depthwise, a: a.get(), params: params.get(), out: out.get(), ..unit }
            }
            _ => {
                self.vector_register(operation);
                return Work::Configure;
            }
        };
        let mut work = VectorWork { mode: Mode::of(operation), ..work };
        // A bit is no element of two bytes.
        work.wide[2] &= work.format != OutputFormat::Binary;
        Work::Vector(work)
    }

    fn vector_register(&mut self, operation: &Operation) {
        let unit = &mut self.vector;
        match *operation {
            Operation::VectorShape { height, width, channels, block_channels } => {
                (unit.height, unit.width) = (height.get(), width.get());
                (unit.channels, unit.block_channels) = (channels.get(), block_channels.get());
            }
            Operation::VectorPitch { operand, row_pitch, pixel_pitch } => {
                unit.pitch[index(operand)] = Pitch { row: row_pitch.get(), pixel: pixel_pitch.get() };
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
                (unit.zero_a, unit.zero_b) = (zero_a.get() as i32, zero_b.get() as i32);
                (unit.zero_out, unit.low, unit.high) = (zero_out.get() as i32, low.get() as i32, high.get() as i32);
                (unit.signed_a, unit.signed_b) = (signed_a.0, signed_b.0);
                unit.wide = [wide_a.0, wide_b.0, wide_out.0];
            }
            Operation::VectorFixed { operand, multiplier, shift } => {
                unit.fixed[index(operand)] = Factor { multiplier: multiplier.get(), shift: shift.get() };
            }
            Operation::VectorFormat { out } => unit.format = out,
            Operation::VectorScale { a, b, out } => {
                (unit.scale_a, unit.scale_b, unit.scale_out) = (a.get(), b.get(), out.get());
            }
            Operation::VectorDeform { origin_y, origin_x } => {
                unit.origin = [origin_y.get() as i32, origin_x.get() as i32]
            }
            Operation::VectorAxis { axis, first_out, first_in, factor, divisor, centred } => {
                let (first_out, first_in, factor) = (first_out.get() as u16, first_in.get() as u16, factor.get());
                let (divisor, centred) = (divisor.get(), centred.0);
                let number = usize::from(axis == ImageAxis::Columns);
                unit.axes[number] = Axis { first_out, first_in, factor, divisor, centred };
            }
            Operation::VectorNorm { size, alpha, beta, bias } => {
                (unit.norm_size, unit.norm_alpha) = (size.get(), alpha.get());
                (unit.norm_beta, unit.norm_bias) = (beta.get(), bias.get());
            }
            Operation::VectorDilation { dilation_h, dilation_w } => {
                (unit.dilation_h, unit.dilation_w) = (dilation_h.get(), dilation_w.get());
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
                (unit.kernel_h, unit.kernel_w) = (kernel_h.get(), kernel_w.get());
                (unit.stride_h, unit.stride_w) = (stride_h.get(), stride_w.get());
                (unit.pad_top, unit.pad_left) = (pad_top.get(), pad_left.get());
                (unit.pad_bottom, unit.pad_right) = (pad_bottom.get(), pad_right.get());
                (unit.in_height, unit.in_width) = (in_height.get(), in_width.get());
            }
            _ => {}
        }
    }
}

/// Place of an operand's registers.
fn index(operand: VectorOperand) -> usize {
    match operand {
        VectorOperand::A => 0,
        VectorOperand::B => 1,
        VectorOperand::Out => 2,
    }
}
