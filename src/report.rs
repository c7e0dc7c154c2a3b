//! `report.json`, and the text and CSV made from it: every number that people see stands in [`Report`].
//!
//! The report of a model, machine, seed and version is the same on every run and thread count, [`Host`] apart.

mod banks;
pub mod build;
mod csv;
pub mod text;
mod traffic;
pub(crate) mod waits;
mod widths;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::compare::Verification;

pub use csv::layers_csv;

/// Version of the report's keys.
pub const SCHEMA: u32 = 1;

/// The whole report; the order of fields is the order in the file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Version of the program.
    pub systole: String,
    /// The network.
    pub model: Model,
    /// The machine.
    pub hardware: Hardware,
    /// Sums and averages.
    pub total: Total,
    /// In order of execution.
    pub layers: Vec<Layer>,
    /// `null` where nothing was verified.
    pub verify: Option<Verification>,
    /// About this run on this computer; the only part that differs from run to run.
    pub host: Host,
}

/// The network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Model {
    /// Its name.
    pub name: String,
    /// The argument that named it.
    pub source: String,
    /// Multiply-accumulates of one image.
    pub macs: u64,
    /// Learnable parameters.
    pub parameters: u64,
    /// Weights and biases as stored.
    pub weight_bytes: u64,
    /// Images per run.
    pub batch: u64,
    /// Of weights and inputs that no file gave.
    pub seed: u64,
}

/// The machine.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Hardware {
    /// Its name.
    pub name: String,
    /// The argument that named it.
    pub source: String,
    /// Core clock.
    pub clock_mhz: f64,
    /// Of the array.
    pub peak_macs_per_cycle: u64,
    /// A multiply-accumulate is two operations.
    pub peak_tops: f64,
    /// `null` where it is infinite.
    pub dram_gb_s: Option<f64>,
}

/// Bounds on the cycles.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Roofline {
    /// All multiply-accumulates at peak.
    pub compute_cycles: u64,
    /// All compulsory bytes at full bandwidth; 0 on an ideal DRAM.
    pub dram_cycles: u64,
    /// Sum over layers of the larger of both.
    pub layer_cycles: u64,
    /// `layer_cycles` / `cycles`.
    pub attained: f64,
}

/// Traffic to the memory outside.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DramTraffic {
    /// On the bus, whole bursts.
    pub read_bytes: u64,
    /// On the bus, whole bursts.
    pub write_bytes: u64,
    /// What loads of compressed weights would have read beside `read_bytes` as copies; 0 where weights lie expanded in DRAM.
    pub bytes_saved: u64,
    /// Weights as stored, network inputs and outputs, each once.
    pub compulsory_bytes: u64,
    /// Over the whole run.
    pub average_gb_s: f64,
    /// In the busiest of the windows of [`build::WINDOW_CYCLES`] cycles, each transfer spread evenly over its time; at most the bus's bandwidth.
    pub peak_gb_s: f64,
    /// Bursts to rows that were open; `None` for a DRAM without rows.
    pub row_hit_rate: Option<f64>,
    /// What a banked DRAM did; `None` for others.
    pub banks: Option<DramBanks>,
}

/// What a banked DRAM did (D-9).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DramBanks {
    /// Share of bursts to rows that were open.
    #[serde(skip)]
    pub row_hit_rate: f64,
    /// Bursts to rows that were open.
    pub row_hits: u64,
    /// Bursts to banks that were closed.
    pub row_misses: u64,
    /// Bursts to banks in which another row was open.
    pub row_conflicts: u64,
    /// Refreshes up to each channel's last burst.
    pub refreshes: u64,
    /// Reads whose channel did a write before.
    pub write_to_read_turnarounds: u64,
    /// Bursts that went before an older one.
    pub reordered: u64,
    /// Data cycles of each channel's bus over the cycles of the run.
    pub bus_utilization: Vec<f64>,
    /// Reads by latency.
    pub read_latency: Vec<LatencyBucket>,
}

/// Reads of some latency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LatencyBucket {
    /// Core cycles from request to arrival, at least.
    pub from_cycles: u64,
    /// Fewer than these; `None` where there is no limit.
    pub below_cycles: Option<u64>,
    /// Bursts.
    pub reads: u64,
}

/// Traffic to an on-chip memory.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sram {
    /// `activation`, `weight` or `accumulator`; `unified` instead of the first two where they are one memory.
    pub memory: String,
    /// Its size.
    pub capacity_bytes: u64,
    /// Bytes that the instructions of one layer touch, for the layer that touches most.
    pub peak_bytes: u64,
    /// Read by the units.
    pub read_bytes: u64,
    /// Written by the units.
    pub write_bytes: u64,
    /// Read and written, over the whole run.
    pub average_gb_s: f64,
}

/// The cycles of one unit; they add up to the total.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnitCycles {
    /// Working.
    pub busy: u64,
    /// Nothing to do.
    pub idle: u64,
    /// By cause.
    pub stall_cycles: BTreeMap<&'static str, u64>,
}

/// Sums and averages.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Total {
    /// T-11.
    pub cycles: u64,
    /// Of the whole batch.
    pub latency_ms: f64,
    /// Batch / latency.
    pub inferences_per_s: f64,
    /// Multiply-accumulates of the batch / (cycles · peak).
    pub array_utilization: f64,
    /// Bounds.
    pub roofline: Roofline,
    /// The memory outside.
    pub dram: DramTraffic,
    /// Memories on chip.
    pub sram: Vec<Sram>,
    /// Cycles that belong to no layer.
    pub idle_cycles: u64,
    /// By cause, summed over the units.
    pub stall_cycles: BTreeMap<&'static str, u64>,
    /// Each unit's cycles.
    pub units: BTreeMap<&'static str, UnitCycles>,
    /// `null` where the machine states no energies.
    pub energy_uj: Option<f64>,
    /// By unit.
    pub instructions: BTreeMap<&'static str, u64>,
}

/// A fused operator.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Layer {
    /// Unique.
    pub name: String,
    /// The model's nodes in it.
    pub nodes: Vec<String>,
    /// Operator.
    pub op: String,
    /// Multiply-accumulates of the batch.
    pub macs: u64,
    /// Its first instruction's start.
    pub start_cycle: u64,
    /// Its last instruction's end.
    pub end_cycle: u64,
    /// From where the layers before it stop to its own end, or to where a later layer takes over the array (or the vector unit): the cycles
    /// that the array was given to it. Its DMA may also run in its neighbours' cycles.
    pub cycles: u64,
    /// Multiply-accumulates / (cycles · peak).
    pub utilization: f64,
    /// What most of the cycles went to: `compute` (the array), `vector` (the unit), or what was waited for: `dram`, `vector`, `array`,
    /// `store`, `port`, `fetch`.
    pub bound_by: &'static str,
    /// Bytes on the bus for its loads.
    pub dram_read_bytes: u64,
    /// Bytes on the bus for its stores.
    pub dram_write_bytes: u64,
    /// What loads of its compressed weights would have read more as copies.
    pub dram_bytes_saved: u64,
    /// Of the layer's main unit within its cycles, by cause.
    pub stall_cycles: BTreeMap<&'static str, u64>,
    /// `null` where the machine states no energies.
    pub energy_uj: Option<f64>,
    /// Bits that a weight takes in DRAM and buffers; `null` without weights.
    pub weight_bits: Option<u32>,
    /// Whether the array lacks the width of the layer's weights, which are stored wider.
    pub widened: bool,
    /// The mapping in a line.
    pub mapping: String,
}

/// About this run on this computer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Host {
    /// Reading the model, seconds.
    pub import_s: f64,
    /// Calibration, passes, compilation.
    pub compile_s: f64,
    /// The timing run.
    pub timing_s: f64,
    /// The data run.
    pub data_s: f64,
    /// The CPU reference.
    pub golden_s: f64,
    /// Threads of the host.
    pub threads: usize,
}

impl Report {
    /// `report.json`.
    ///
    /// # Errors
    /// None that is known: all keys are text.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }
}
