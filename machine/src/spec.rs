//! A machine after its file was read and checked: plain numbers in base units.
//!
//! Every quantity here is used by both engines; how it acts on time is `docs/timing.md`. What the file may say beyond it is in
//! the schema (`config`), and refused by name there while no engine runs it.

mod dram;

pub use dram::{Banked, DramTiming, Field};

/// How operands move through the array.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dataflow {
    /// Weights stay in the PEs, activations stream.
    WeightStationary,
    /// Sums stay in the PEs.
    OutputStationary,
    /// Activations stay in the PEs, weights stream.
    InputStationary,
}

/// What an accumulator does beyond its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// Modulo 2^bits.
    Wrap,
    /// Clamps.
    Saturate,
}

/// How accumulators become activations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requantisation {
    /// Rule N-1 in single precision.
    Float32,
    /// Integer multiplier and shift (N-17, N-18).
    FixedPoint {
        /// B: bits of the multiplier, sign included.
        multiplier_bits: u32,
        /// Two roundings (`fixed_double`) instead of one.
        double_rounding: bool,
    },
    /// Power of two.
    Shift,
}

/// The systolic array.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// R: length of the reduction that one fold covers.
    pub rows: u32,
    /// C: output channels of one fold.
    pub columns: u32,
    /// Number of equal arrays, 1 to 4.
    pub count: u32,
    /// The dataflows that it supports, at least one, none twice.
    pub dataflows: Vec<Dataflow>,
    /// Registers of the operand (or sum) that stays: 1, or 2 with a shadow register.
    pub weight_registers: u32,
    /// D: products that a PE adds up in a cycle.
    pub dot_product_width: u32,
    /// L: cycles from a PE's operands to its sum.
    pub pe_latency_cycles: u32,
    /// Operand widths, each once.
    pub operands: Vec<OperandWidth>,
    /// Bits that activations of float models are quantised to, 8 or 16.
    pub activation_bits: u32,
    /// w: bits of an accumulator, 16 to 48.
    pub accumulator_bits: u32,
    /// Beyond them.
    pub overflow: Overflow,
}

/// An operand width of the array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OperandWidth {
    /// Bits of an operand as stored: 1, 2, 4, 8 or 16.
    pub bits: u32,
    /// Multiply-accumulates of each of a PE's D multipliers in a thousand cycles.
    pub rate_milli: u32,
}

impl Array {
    /// τ of T-5: cycles that a PE takes for a vector or step with operands of `bits` bits; `None` where it does not have them.
    pub fn interval_cycles(&self, bits: u32) -> Option<u64> {
        let width = self.operands.iter().find(|width| width.bits == bits)?;
        Some(u64::from(1000u32.div_ceil(width.rate_milli.max(1))))
    }

    /// Bytes of an accumulator word: whole ones.
    pub fn accumulator_bytes(&self) -> u64 {
        u64::from(self.accumulator_bits.div_ceil(8))
    }

    /// Whether programs may use this dataflow.
    pub fn supports(&self, dataflow: Dataflow) -> bool {
        self.dataflows.contains(&dataflow)
    }
}

/// One on-chip memory of equal banks, each a contiguous range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// Bytes in all; a multiple of `banks`.
    pub capacity_bytes: u64,
    /// Number of banks.
    pub banks: u32,
    /// Bytes that a port moves in a cycle.
    pub port_bytes: u32,
    /// Ports of each bank; a unit that uses a bank holds one.
    pub ports: u32,
}

impl Buffer {
    /// Bytes of one bank.
    pub fn bank_bytes(&self) -> u64 {
        self.capacity_bytes / u64::from(self.banks)
    }
}

/// The vector unit.
#[derive(Clone, Debug, PartialEq)]
pub struct Vector {
    /// Elements of an element-wise operation a cycle.
    pub lanes: u32,
    /// Elements requantised a cycle.
    pub requantise_per_cycle: u32,
    /// Cycles from the last element's issue to its write.
    pub latency_cycles: u32,
    /// Single-precision units present (float islands, `Requantisation::Float32`).
    pub float32: bool,
    /// One multiply-accumulate per lane and cycle present: `ve.depthwise`.
    pub depthwise: bool,
    /// How accumulators become activations.
    pub requantisation: Requantisation,
}

/// A decoder of compressed weights (N-29, M-15).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeightDecoder {
    /// Decoded bytes a cycle at most.
    pub output_bytes: u32,
    /// From a burst's arrival to its first decoded byte.
    pub latency_cycles: u32,
}

/// The memory outside.
#[derive(Clone, Debug, PartialEq)]
pub enum Dram {
    /// Infinite bandwidth, no latency; still moved in bursts of this size.
    Ideal {
        /// Bytes of a burst, a power of two.
        burst_bytes: u32,
    },
    /// A bus and a latency.
    Simple {
        /// Bytes a second.
        bandwidth_bytes_per_s: u64,
        /// From the end of a burst on the bus to its arrival, core cycles (rounded up from the file's time).
        latency_cycles: u64,
        /// Bytes of a burst, a power of two.
        burst_bytes: u32,
    },
    /// Channels, banks and rows.
    Banked(Banked),
}

impl Dram {
    /// Bytes of a burst.
    pub fn burst_bytes(&self) -> u32 {
        match self {
            Dram::Ideal { burst_bytes } | Dram::Simple { burst_bytes, .. } => *burst_bytes,
            Dram::Banked(banked) => banked.burst_bytes,
        }
    }

    /// Bytes a second at most; `None` where infinite.
    pub fn bandwidth_bytes_per_s(&self) -> Option<u64> {
        match self {
            Dram::Ideal { .. } => None,
            Dram::Simple { bandwidth_bytes_per_s, .. } => Some(*bandwidth_bytes_per_s),
            Dram::Banked(banked) => Some(banked.bandwidth_bytes_per_s()),
        }
    }
}

/// Fetch, queues and tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// Instructions that wait in a unit's queue at most: load, array, vector, store.
    pub queue_depth: [u32; 4],
    /// Cycles from one fetch to the next, at least 1.
    pub issue_interval_cycles: u32,
    /// Largest count of a token semaphore.
    pub token_max: u32,
}

impl Control {
    /// Depth of a unit's queue; every array has the array's.
    pub fn queue_depth_of(&self, unit: crate::isa::Unit) -> u32 {
        let index = if unit.array().is_some() { crate::isa::Unit::Array as usize } else { unit as usize };
        self.queue_depth[index]
    }
}

/// Picojoules per action; every field stated or the whole absent.
#[derive(Clone, Debug, PartialEq)]
pub struct Energy {
    /// One multiply-accumulate.
    pub mac_pj: f64,
    /// One byte read or written in the activation buffer.
    pub activation_byte_pj: f64,
    /// One byte of the weight buffer.
    pub weight_byte_pj: f64,
    /// One byte of the accumulators.
    pub accumulator_byte_pj: f64,
    /// One element operation of the vector unit.
    pub vector_op_pj: f64,
    /// One byte over the DRAM bus.
    pub dram_byte_pj: f64,
}

/// A whole machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Machine {
    /// The file's `name`.
    pub name: String,
    /// Core clock.
    pub clock_hz: u64,
    /// The array.
    pub array: Array,
    /// Activations and the vector unit's parameters; also where results go. The whole of it when `unified`.
    pub activation: Buffer,
    /// Weight tiles. Equal to `activation` when `unified`.
    pub weight: Buffer,
    /// Activation and weight buffer are one memory (M-1).
    pub unified: bool,
    /// Partial sums, in vectors of `columns` words.
    pub accumulator: Buffer,
    /// The vector unit.
    pub vector: Vector,
    /// Bursts in flight at most, per channel.
    pub outstanding_bursts: u32,
    /// What decodes compressed weights on their way in, where there is something.
    pub weight_decoder: Option<WeightDecoder>,
    /// The memory outside.
    pub dram: Dram,
    /// Fetch and queues.
    pub control: Control,
    /// Energies, where the file states them.
    pub energy: Option<Energy>,
}

impl Machine {
    /// Bytes of one accumulator vector.
    pub fn accumulator_vector_bytes(&self) -> u64 {
        u64::from(self.array.columns) * self.array.accumulator_bytes()
    }

    /// Accumulator vectors that fit into one bank; vector v lies in bank `v / accumulator_vectors_per_bank()`.
    pub fn accumulator_vectors_per_bank(&self) -> u64 {
        self.accumulator.bank_bytes() / self.accumulator_vector_bytes()
    }

    /// All banks together.
    pub fn accumulator_vectors(&self) -> u64 {
        self.accumulator_vectors_per_bank() * u64::from(self.accumulator.banks)
    }

    /// Multiply-accumulates of 8-bit operands that `ve.depthwise` does in a cycle at most (T-6); 0 where the machine has none.
    pub fn vector_macs_per_cycle(&self) -> u64 {
        let lanes = self.vector.lanes.min(self.activation.port_bytes).max(1);
        if self.vector.depthwise { lanes.into() } else { 0 }
    }

    /// Multiply-accumulates of 8-bit operands a cycle at most, all arrays together (at least 1, so that it divides).
    pub fn peak_macs_per_cycle(&self) -> u64 {
        let array = &self.array;
        let multipliers = [array.count, array.rows, array.columns, array.dot_product_width];
        let all: u64 = multipliers.into_iter().map(u64::from).product();
        (all / array.interval_cycles(8).unwrap_or(1)).max(1)
    }
}
