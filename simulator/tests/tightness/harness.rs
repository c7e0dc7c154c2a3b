//! A small machine, and a run of a program, given as assembly, in both engines. Nothing here knows a rule but that the cycles of a unit add up.

use systole_machine::isa::assembler::assemble;
use systole_machine::spec::{
    Array, Buffer, Control, Dataflow, Dram, Machine, OperandWidth, Overflow, Requantisation, Vector,
};
use systole_simulator::compare::compare_timing;
use systole_simulator::contract::{Job, Outcome, Timing};
use systole_simulator::{fast, reference};

const DRAM_BYTES: u64 = 4096;
const FUEL_CYCLES: u64 = 100_000;

/// 4 × 4 PEs, two weight registers, W = 4 and v = 1; activation and weight banks of 256 B, accumulator banks of 8 vectors, all with one port; a burst of
/// 16 B takes 4 cycles of the bus and arrives 10 later; 4 instructions wait in a queue.
pub(crate) fn machine() -> Machine {
    Machine {
        name: "tight".into(),
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
        dram: simple(4_000_000_000, 10),
        control: Control { queue_depth: [4; 4], issue_interval_cycles: 1, token_max: 2 },
        energy: None,
    }
}

/// DRAM with this bandwidth and latency.
pub(crate) fn simple(bandwidth_bytes_per_s: u64, latency_cycles: u64) -> Dram {
    Dram::Simple { bandwidth_bytes_per_s, latency_cycles, burst_bytes: 16 }
}

/// The same machine, changed.
pub(crate) fn with(change: impl FnOnce(&mut Machine)) -> Machine {
    let mut machine = machine();
    change(&mut machine);
    machine
}

/// What both engines say of a program, the same.
pub(crate) fn timing(machine: &Machine, text: &str) -> Timing {
    let program = assemble(text).unwrap_or_else(|errors| panic!("{text}\n{errors:?}"));
    let job = Job { machine, instructions: &program.instructions, dram_bytes: DRAM_BYTES };
    let (slow, _) = reference::run(&job, &[], FUEL_CYCLES).expect("no image, and fuel enough");
    if let Some(divergence) = compare_timing(&slow, &fast::timing(&job)) {
        panic!("{text}\n{divergence}");
    }
    for unit in &slow.units {
        assert_eq!(unit.busy + unit.idle + unit.stalls.iter().sum::<u64>(), slow.total_cycles, "T-10\n{text}");
    }
    slow
}

/// The same of a program that halts.
pub(crate) fn halted(machine: &Machine, text: &str) -> Timing {
    let timing = timing(machine, text);
    assert_eq!(timing.outcome, Outcome::Halted, "{text}");
    timing
}

/// Fetch, start and end of each instruction of a program that halts.
pub(crate) fn spans(machine: &Machine, text: &str) -> Vec<(u64, u64, u64)> {
    halted(machine, text).spans.iter().flatten().map(|span| (span.fetch, span.start, span.end)).collect()
}

/// Start and end of each.
pub(crate) fn times(machine: &Machine, text: &str) -> Vec<(u64, u64)> {
    spans(machine, text).into_iter().map(|(_, start, end)| (start, end)).collect()
}

/// The same line many times.
pub(crate) fn repeat(line: &str, count: usize) -> String {
    format!("{line}\n").repeat(count)
}

/// The registers of a 1 × 1 convolution of `pixels` pixels of `channels` channels: three instructions.
pub(crate) fn pointwise(pixels: u64, channels: u64) -> String {
    format!(
        "ar.input height=1, width={pixels}, row_pitch=0, pixel_pitch={channels}
         ar.window kernel_h=1, kernel_w=1, stride_h=1, stride_w=1, dilation_h=1, dilation_w=1, pad_top=0, pad_left=0, packed=false
         ar.output height=1, width={pixels}, channels={channels}, block_step=0\n"
    )
}

/// An `ar.run` of one block from this activation address to this accumulator, without an end of line.
pub(crate) fn ar_run(activation: u64, accumulator: u64) -> String {
    format!("ar.run activation={activation}, weight=0, accumulator={accumulator}, blocks=1, accumulate=false")
}

/// The shape of a vector operation on one pixel of `channels` channels.
pub(crate) fn ve_shape(channels: u64) -> String {
    format!("ve.shape height=1, width=1, channels={channels}, block_channels=4\n")
}

/// The shape of a load of one row.
pub(crate) fn ld_shape(row_bytes: u64) -> String {
    format!("ld.shape row_bytes={row_bytes}, rows=1, planes=1\n")
}

/// A load into the activation buffer.
pub(crate) fn ld_run(dram: u64, buffer: u64) -> String {
    format!("ld.run dram={dram}, buffer={buffer}, space=act\n")
}

/// The shape of a store of one row.
pub(crate) fn st_shape(row_bytes: u64) -> String {
    format!("st.shape row_bytes={row_bytes}, rows=1, planes=1\n")
}

/// A store.
pub(crate) fn st_run(dram: u64, buffer: u64) -> String {
    format!("st.run dram={dram}, buffer={buffer}\n")
}
