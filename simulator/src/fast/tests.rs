//! Tests of the fast engine: a small machine and short ways to write programs.

mod dataflows;
mod events;
mod kernel;
mod order;
mod scaled;
mod time;
mod traps;
mod values;
mod vectors;

use systole_machine::isa::{
    DataflowChoice, Flag, Instruction, Operation, Real, RequantMode, Signed, Space, Unit, Unsigned, VectorOperand,
};
use systole_machine::spec::{
    Array, Buffer, Control, Dataflow, Dram, Machine, OperandWidth, Overflow, Requantisation, Vector as VectorUnit,
};

use crate::contract::{Job, Memories, Timing};

/// 4 × 4, one port a bank, bursts of 16 bytes without bus or latency.
pub(super) fn machine() -> Machine {
    Machine {
        name: "tiny".into(),
        clock_hz: 1_000_000_000,
        array: Array {
            rows: 4,
            columns: 4,
            count: 1,
            dataflows: vec![Dataflow::WeightStationary],
            dot_product_width: 1,
            pe_latency_cycles: 1,
            operands: vec![OperandWidth { bits: 8, rate_milli: 1000 }],
            weight_registers: 2,
            activation_bits: 8,
            accumulator_bits: 32,
            overflow: Overflow::Wrap,
        },
        activation: Buffer { capacity_bytes: 4096, banks: 4, port_bytes: 8, ports: 1 },
        weight: Buffer { capacity_bytes: 1024, banks: 2, port_bytes: 4, ports: 1 },
        unified: false,
        accumulator: Buffer { capacity_bytes: 1024, banks: 2, port_bytes: 16, ports: 1 },
        vector: VectorUnit {
            lanes: 4,
            requantise_per_cycle: 2,
            latency_cycles: 5,
            float32: true,
            depthwise: false,
            requantisation: Requantisation::Float32,
        },
        outstanding_bursts: 4,
        weight_decoder: None,
        dram: Dram::Ideal { burst_bytes: 16 },
        control: Control { queue_depth: [8; 4], issue_interval_cycles: 1, token_max: 3 },
        energy: None,
    }
}

pub(super) fn u<const B: u32>(value: u64) -> Unsigned<B> {
    Unsigned::new(value).expect("a value in range")
}

pub(super) fn i<const B: u32>(value: i64) -> Signed<B> {
    Signed::new(value).expect("a value in range")
}

/// Adds tokens to an instruction.
pub(super) trait Tokens {
    fn wait(self, unit: Unit) -> Self;
    fn signal(self, unit: Unit) -> Self;
}

impl Tokens for Instruction {
    fn wait(mut self, unit: Unit) -> Self {
        self.wait = self.wait.with(unit);
        self
    }
    fn signal(mut self, unit: Unit) -> Self {
        self.signal = self.signal.with(unit);
        self
    }
}

pub(super) fn sync(unit: Unit) -> Instruction {
    Instruction::new(match unit {
        Unit::Load => Operation::LoadSync {},
        Unit::Array => Operation::ArraySync { array: u(0) },
        Unit::Vector => Operation::VectorSync {},
        Unit::Store => Operation::StoreSync {},
        other => unreachable!("{other:?} is on no test machine"),
    })
}

pub(super) fn ld_shape(row_bytes: u64, rows: u64, planes: u64) -> Instruction {
    Instruction::new(Operation::LoadShape { row_bytes: u(row_bytes), rows: u(rows), planes: u(planes) })
}

pub(super) fn ld_dram(row_pitch: u64, plane_pitch: u64) -> Instruction {
    Instruction::new(Operation::LoadDramPitch { row_pitch: u(row_pitch), plane_pitch: u(plane_pitch) })
}

pub(super) fn ld_buffer(row_pitch: u64, plane_pitch: u64) -> Instruction {
    Instruction::new(Operation::LoadBufferPitch { row_pitch: u(row_pitch), plane_pitch: u(plane_pitch) })
}

pub(super) fn ld_run(dram: u64, buffer: u64, space: Space) -> Instruction {
    Instruction::new(Operation::LoadRun { dram: u(dram), buffer: u(buffer), space })
}

pub(super) fn st_shape(row_bytes: u64, rows: u64, planes: u64) -> Instruction {
    Instruction::new(Operation::StoreShape { row_bytes: u(row_bytes), rows: u(rows), planes: u(planes) })
}

pub(super) fn st_run(dram: u64, buffer: u64) -> Instruction {
    Instruction::new(Operation::StoreRun { dram: u(dram), buffer: u(buffer) })
}

pub(super) fn ar_input(height: u64, width: u64, row_pitch: u64, pixel_pitch: u64) -> Instruction {
    Instruction::new(Operation::ArrayInput {
        height: u(height),
        width: u(width),
        row_pitch: u(row_pitch),
        pixel_pitch: u(pixel_pitch),
        array: u(0),
    })
}

/// A window of kernel, stride, dilation, pad (each of height and width).
pub(super) fn ar_window(
    kernel: (u64, u64),
    stride: (u64, u64),
    dilation: (u64, u64),
    pad: (u64, u64),
    packed: bool,
) -> Instruction {
    Instruction::new(Operation::ArrayWindow {
        kernel_h: u(kernel.0),
        kernel_w: u(kernel.1),
        stride_h: u(stride.0),
        stride_w: u(stride.1),
        dilation_h: u(dilation.0),
        dilation_w: u(dilation.1),
        pad_top: u(pad.0),
        pad_left: u(pad.1),
        packed: Flag(packed),
        array: u(0),
    })
}

pub(super) fn ar_output(height: u64, width: u64, channels: u64, block_step: u64) -> Instruction {
    Instruction::new(Operation::ArrayOutput {
        height: u(height),
        width: u(width),
        channels: u(channels),
        block_step: u(block_step),
        outputs: u(0),
        array: u(0),
    })
}

pub(super) fn ar_run(activation: u64, weight: u64, accumulator: u64, blocks: u64, accumulate: bool) -> Instruction {
    Instruction::new(Operation::ArrayRun {
        activation: u(activation),
        weight: u(weight),
        accumulator: u(accumulator),
        blocks: u(blocks),
        accumulate: Flag(accumulate),
        dataflow: DataflowChoice::WeightStationary,
        array: u(0),
    })
}

/// Three instructions for a pointwise convolution of `pixels` pixels with 4 channels.
pub(super) fn pointwise(pixels: u64) -> [Instruction; 3] {
    [ar_input(1, pixels, 0, 4), ar_window((1, 1), (1, 1), (1, 1), (0, 0), false), ar_output(1, pixels, 4, 0)]
}

pub(super) fn ve_shape(height: u64, width: u64, channels: u64, block_channels: u64) -> Instruction {
    Instruction::new(Operation::VectorShape {
        height: u(height),
        width: u(width),
        channels: u(channels),
        block_channels: u(block_channels),
    })
}

pub(super) fn ve_pitch(operand: VectorOperand, row_pitch: u64, pixel_pitch: u64) -> Instruction {
    Instruction::new(Operation::VectorPitch { operand, row_pitch: u(row_pitch), pixel_pitch: u(pixel_pitch) })
}

pub(super) fn ve_requant(accumulator: u64, params: u64, out: u64) -> Instruction {
    Instruction::new(Operation::VectorRequant {
        accumulator: u(accumulator),
        params: u(params),
        out: u(out),
        mode: RequantMode::Float32,
        transposed: Flag(false),
    })
}

pub(super) fn ve_rescale(a: u64, out: u64) -> Instruction {
    Instruction::new(Operation::VectorRescale { a: u(a), out: u(out), mode: RequantMode::Float32 })
}

pub(super) fn ve_maxpool(a: u64, out: u64) -> Instruction {
    Instruction::new(Operation::VectorMaxPool { a: u(a), out: u(out) })
}

pub(super) fn ve_scale(a: f32, b: f32, out: f32) -> Instruction {
    Instruction::new(Operation::VectorScale { a: Real::new(a), b: Real::new(b), out: Real::new(out) })
}

pub(super) const DRAM: u64 = 8192;

pub(super) fn timing(machine: &Machine, instructions: &[Instruction]) -> Timing {
    let timing = super::timing(&Job { machine, instructions, dram_bytes: DRAM });
    for unit in timing.units {
        assert_eq!(unit.busy + unit.idle + unit.stalls.iter().sum::<u64>(), timing.total_cycles, "T-10: {timing:?}");
    }
    timing
}

pub(super) fn run(machine: &Machine, instructions: &[Instruction], image: &[(u64, &[u8])]) -> (Timing, Memories) {
    super::run(&Job { machine, instructions, dram_bytes: DRAM }, image).expect("the image fits")
}

/// Starts and ends of instructions that started.
pub(super) fn spans(timing: &Timing) -> Vec<(u64, u64)> {
    timing.spans.iter().flatten().map(|span| (span.start, span.end)).collect()
}

/// Random numbers (splitmix).
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In `low..=high`.
    pub(super) fn range(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low + 1)
    }

    pub(super) fn flag(&mut self) -> bool {
        self.next() & 1 == 1
    }

    pub(super) fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }
}
