//! Tests of the rules on tiny programs, with cycles and values worked out by hand. Here: a small machine and shorthand for instructions.

mod arrays;
mod data;
mod dataflows;
mod hazards;
mod scaled;
mod sums;
mod timing;
mod values;

use systole_machine::isa::{
    DataflowChoice, Flag, Instruction, Operation, Real, RequantMode, Signed, Space, Unit, Unsigned,
};
use systole_machine::spec::{
    Array, Buffer, Control, Dataflow, Dram, Machine, OperandWidth, Overflow, Requantisation, Vector,
};

use super::run;
use crate::contract::{Job, Memories, Outcome, Timing};

const DRAM_BYTES: u64 = 4096;

/// 4 × 4 PEs, two weight registers, v = wl = 1; four banks of 256 B, of 256 B and of 8 vectors; a burst of 16 B takes 4 cycles of the bus and arrives 10 later.
fn machine() -> Machine {
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
        activation: Buffer { capacity_bytes: 1024, banks: 4, port_bytes: 4, ports: 1 },
        weight: Buffer { capacity_bytes: 1024, banks: 4, port_bytes: 4, ports: 1 },
        unified: false,
        accumulator: Buffer { capacity_bytes: 512, banks: 4, port_bytes: 16, ports: 1 },
        vector: Vector {
            lanes: 4,
            requantise_per_cycle: 3,
            latency_cycles: 2,
            float32: true,
            depthwise: false,
            requantisation: Requantisation::Float32,
        },
        outstanding_bursts: 4,
        weight_decoder: None,
        dram: Dram::Simple { bandwidth_bytes_per_s: 4_000_000_000, latency_cycles: 10, burst_bytes: 16 },
        control: Control { queue_depth: [4; 4], issue_interval_cycles: 1, token_max: 2 },
        energy: None,
    }
}

fn simulate(machine: &Machine, instructions: &[Instruction], image: &[(u64, &[u8])]) -> (Timing, Memories) {
    run(&Job { machine, instructions, dram_bytes: DRAM_BYTES }, image, 100_000).unwrap()
}

fn timing_of(machine: &Machine, instructions: &[Instruction]) -> Timing {
    let timing = simulate(machine, instructions, &[]).0;
    for unit in &timing.units {
        assert_eq!(unit.busy + unit.idle + unit.stalls.iter().sum::<u64>(), timing.total_cycles, "T-10");
    }
    timing
}

/// Fetch, start and end of each instruction of a program that halts.
fn spans(machine: &Machine, instructions: &[Instruction]) -> Vec<(u64, u64, u64)> {
    let timing = timing_of(machine, instructions);
    assert_eq!(timing.outcome, Outcome::Halted);
    timing.spans.iter().flatten().map(|span| (span.fetch, span.start, span.end)).collect()
}

fn u<const B: u32>(value: u64) -> Unsigned<B> {
    Unsigned::new(value).unwrap()
}

fn i<const B: u32>(value: i64) -> Signed<B> {
    Signed::new(value).unwrap()
}

fn plain(operation: Operation) -> Instruction {
    Instruction::new(operation)
}

trait Masks {
    fn waits(self, unit: Unit) -> Self;
    fn signals(self, unit: Unit) -> Self;
}

impl Masks for Instruction {
    fn waits(mut self, unit: Unit) -> Self {
        self.wait = self.wait.with(unit);
        self
    }
    fn signals(mut self, unit: Unit) -> Self {
        self.signal = self.signal.with(unit);
        self
    }
}

fn sync(unit: Unit) -> Instruction {
    plain(match unit {
        Unit::Load => Operation::LoadSync {},
        Unit::Array | Unit::Array1 | Unit::Array2 | Unit::Array3 => Operation::ArraySync { array: u(0) },
        Unit::Vector => Operation::VectorSync {},
        Unit::Store => Operation::StoreSync {},
    })
}

fn ld_shape(row_bytes: u64, rows: u64, planes: u64) -> Instruction {
    plain(Operation::LoadShape { row_bytes: u(row_bytes), rows: u(rows), planes: u(planes) })
}

fn ld_run(dram: u64, buffer: u64, space: Space) -> Instruction {
    plain(Operation::LoadRun { dram: u(dram), buffer: u(buffer), space })
}

fn st_shape(row_bytes: u64, rows: u64, planes: u64) -> Instruction {
    plain(Operation::StoreShape { row_bytes: u(row_bytes), rows: u(rows), planes: u(planes) })
}

fn st_run(dram: u64, buffer: u64) -> Instruction {
    plain(Operation::StoreRun { dram: u(dram), buffer: u(buffer) })
}

fn ar_input(height: u64, width: u64, row_pitch: u64, pixel_pitch: u64) -> Instruction {
    plain(Operation::ArrayInput {
        height: u(height),
        width: u(width),
        row_pitch: u(row_pitch),
        pixel_pitch: u(pixel_pitch),
        array: u(0),
    })
}

/// Kernel, stride, dilation, pads: height and width each.
fn ar_window(kernel: [u64; 2], stride: [u64; 2], dilation: [u64; 2], pad: [u64; 2], packed: bool) -> Instruction {
    plain(Operation::ArrayWindow {
        kernel_h: u(kernel[0]),
        kernel_w: u(kernel[1]),
        stride_h: u(stride[0]),
        stride_w: u(stride[1]),
        dilation_h: u(dilation[0]),
        dilation_w: u(dilation[1]),
        pad_top: u(pad[0]),
        pad_left: u(pad[1]),
        packed: Flag(packed),
        array: u(0),
    })
}

fn ar_output(height: u64, width: u64, channels: u64, block_step: u64) -> Instruction {
    plain(Operation::ArrayOutput {
        height: u(height),
        width: u(width),
        channels: u(channels),
        block_step: u(block_step),
        outputs: u(0),
        array: u(0),
    })
}

fn ar_run(activation: u64, weight: u64, accumulator: u64, blocks: u64, accumulate: bool) -> Instruction {
    plain(Operation::ArrayRun {
        activation: u(activation),
        weight: u(weight),
        accumulator: u(accumulator),
        blocks: u(blocks),
        accumulate: Flag(accumulate),
        dataflow: DataflowChoice::WeightStationary,
        array: u(0),
    })
}

/// The same run in another dataflow.
fn in_dataflow(flow: DataflowChoice, mut run: Instruction) -> Instruction {
    if let Operation::ArrayRun { dataflow, .. } = &mut run.operation {
        *dataflow = flow;
    }
    run
}

/// The same output shape with N of an input-stationary array.
fn with_outputs(count: u64, mut output: Instruction) -> Instruction {
    if let Operation::ArrayOutput { outputs, .. } = &mut output.operation {
        *outputs = u(count);
    }
    output
}

/// [`machine`] with every dataflow.
fn every_dataflow() -> Machine {
    let mut machine = machine();
    machine.array.dataflows = vec![Dataflow::WeightStationary, Dataflow::OutputStationary, Dataflow::InputStationary];
    machine
}

fn ve_shape(height: u64, width: u64, channels: u64, block_channels: u64) -> Instruction {
    plain(Operation::VectorShape {
        height: u(height),
        width: u(width),
        channels: u(channels),
        block_channels: u(block_channels),
    })
}

/// Zero points a, b, out; clamp; both operands signed or not.
fn ve_quant(zeros: [i64; 3], clamp: [i64; 2], signed: bool) -> Instruction {
    plain(Operation::VectorQuant {
        zero_a: i(zeros[0]),
        zero_b: i(zeros[1]),
        zero_out: i(zeros[2]),
        low: i(clamp[0]),
        high: i(clamp[1]),
        signed_a: Flag(signed),
        signed_b: Flag(signed),
        signed_out: Flag(signed),
        wide_a: Flag(false),
        wide_b: Flag(false),
        wide_out: Flag(false),
    })
}

fn ve_scale(a: f32, b: f32, out: f32) -> Instruction {
    plain(Operation::VectorScale { a: Real::new(a), b: Real::new(b), out: Real::new(out) })
}

fn ve_requant(accumulator: u64, params: u64, out: u64) -> Instruction {
    plain(Operation::VectorRequant {
        accumulator: u(accumulator),
        params: u(params),
        out: u(out),
        mode: RequantMode::Float32,
        transposed: Flag(false),
    })
}

fn ve_rescale(a: u64, out: u64) -> Instruction {
    plain(Operation::VectorRescale { a: u(a), out: u(out), mode: RequantMode::Float32 })
}
