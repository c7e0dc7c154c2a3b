//! A machine after its file was read and checked: plain numbers in base units.
//!
//! Every quantity here is used by both engines; how it acts on time is `docs/timing.md`. What the file may say beyond it is in
//! the schema (`config`), and refused by name there while no engine runs it.

/// How operands move through the array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// Integer multiplier and shift.
    FixedPoint,
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
    /// The one dataflow that programs for this machine use.
    pub dataflow: Dataflow,
    /// 1, or 2 with a shadow register.
    pub weight_registers: u32,
    /// Bits of an accumulator (32 so far).
    pub accumulator_bits: u32,
    /// Beyond them.
    pub overflow: Overflow,
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
    /// One multiply-accumulate per lane and cycle present (no instruction uses it yet).
    pub depthwise: bool,
    /// How accumulators become activations.
    pub requantisation: Requantisation,
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
}

impl Dram {
    /// Bytes of a burst.
    pub fn burst_bytes(&self) -> u32 {
        match *self {
            Dram::Ideal { burst_bytes } | Dram::Simple { burst_bytes, .. } => burst_bytes,
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
    /// Activations and the vector unit's parameters; also where results go.
    pub activation: Buffer,
    /// Weight tiles.
    pub weight: Buffer,
    /// Partial sums, in vectors of `columns` words.
    pub accumulator: Buffer,
    /// The vector unit.
    pub vector: Vector,
    /// Bursts in flight at most, per channel.
    pub outstanding_bursts: u32,
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
        u64::from(self.array.columns) * u64::from(self.array.accumulator_bits.div_ceil(8))
    }

    /// Accumulator vectors that fit into one bank; vector v lies in bank `v / accumulator_vectors_per_bank()`.
    pub fn accumulator_vectors_per_bank(&self) -> u64 {
        self.accumulator.bank_bytes() / self.accumulator_vector_bytes()
    }

    /// All banks together.
    pub fn accumulator_vectors(&self) -> u64 {
        self.accumulator_vectors_per_bank() * u64::from(self.accumulator.banks)
    }

    /// Multiply-accumulates a cycle at most.
    pub fn peak_macs_per_cycle(&self) -> u64 {
        u64::from(self.array.rows) * u64::from(self.array.columns)
    }
}
