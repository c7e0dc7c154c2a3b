//! The whole vocabulary of a machine file: every key, its type, its default, and which values engines run so far.
//!
//! The doc comments are the manual's text. What keys demand of each other is in `resolve`.

use super::error::Errors;
use super::node::{Kind, Node};
use super::read::{At, Value, choice, default, optional, required, required_unless, section, words};
use super::values::{Bandwidth, Bits, Bytes, Count, Cycles, Delay, Energy, Flag, Frequency, Name, OneOrMore, Rate};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;

mod dram;

pub(crate) use dram::{AddressMapping, BankedDram, DramPart, PagePolicy};

/// Largest on-chip memory: what the 32-bit addresses of instructions reach, less room for arithmetic.
const MEMORY: u64 = 1 << 30;

/// Keys whose value is a choice: what is below the choice may be named without it in settings from outside.
pub(crate) const CHOICES: [&str; 3] = ["dram", "vector.requantisation", "dma.weight_decoder"];

section! {
    /// An accelerator.
    Root {
        /// What reports call the machine.
        name: Name => required();
        /// Clocks.
        clocks: Clocks => required();
        /// The systolic array.
        array: Array => required();
        /// On-chip memories.
        buffers: Buffers => required();
        /// The unit that turns accumulators into activations and does everything element by element.
        vector: Vector => required();
        /// What moves data between DRAM and buffers.
        dma: Dma => default("{}");
        /// The memory outside.
        dram: Dram => required();
        /// Fetch, queues and tokens.
        control: Control => default("{}");
        /// Energy per action; leave the section out for reports without energies.
        energy: EnergyTable => optional();
    }
}

section! {
    /// Clocks. A banked DRAM has its own.
    Clocks {
        /// The clock of everything on chip; all cycles are its cycles.
        core: Frequency<1, 100_000_000_000> => required();
    }
}

section! {
    /// The systolic array.
    Array {
        /// R: length of the reduction that one fold covers.
        rows: Count<1, 1024> => required();
        /// C: output channels of one fold.
        columns: Count<1, 1024> => required();
        /// Number of equal arrays.
        count: Count<1, 4> => default("1");
        /// Who goes first when arrays want the same port.
        arbitration: Arbitration => default("fixed");
        /// Which operand stays in the processing elements; a list where the array supports several.
        dataflow: OneOrMore<Dataflow> => default("weight_stationary");
        /// Registers of the operand that stays in a processing element (of the sum, output-stationary): 2 has a shadow register, so that a tile loads (or drains) under the current one.
        weight_registers: Count<1, 2> => default("2");
        /// D: products that a processing element adds up in a cycle.
        dot_product_width: Count<1, 64> => default("1");
        /// L: cycles from a processing element's operands to its sum.
        pe_latency: Cycles<1, 64> => default("1 cycle");
        /// Widths of the operands, each with its rate. A width under 8 bits is one of weights, beside activations of up to 8 bits; 1 bit also one of activations (M-14). Weights of a width that is not listed are widened.
        operands: OneOrMore<Operand> => default("{width: 8 bit, rate: 1 MAC/cycle}");
        /// Width that activations of float models are quantised to (rules N-12, N-21); one of `operands`.
        activations: OperandWidth => default("8 bit").only(&["8 bit", "16 bit"]);
        /// Partial sums.
        accumulator: AccumulatorWord => default("{}");
    }
}

words! {
    /// Arbitration between arrays.
    Arbitration {
        /// The array of lower number goes first.
        Fixed = "fixed",
    }
}

words! {
    /// Dataflows.
    Dataflow {
        /// Weights stay, activations stream.
        WeightStationary = "weight_stationary",
        /// Sums stay, both operands stream.
        OutputStationary = "output_stationary",
        /// Activations stay, weights stream.
        InputStationary = "input_stationary",
    }
}

section! {
    /// One operand width.
    Operand {
        /// Bits of an operand as stored.
        width: OperandWidth => required();
        /// Multiply-accumulates of each multiplier of a processing element in a cycle; below 1, a vector takes 1 / rate cycles, rounded up.
        rate: Rate<1, 256_000> => default("1 MAC/cycle");
    }
}

words! {
    /// Operand widths.
    OperandWidth {
        /// Binary.
        One = "1 bit",
        /// Ternary, or two bits.
        Two = "2 bit",
        /// Nibbles.
        Four = "4 bit",
        /// Bytes.
        Eight = "8 bit",
        /// Half words.
        Sixteen = "16 bit",
    }
}

section! {
    /// A partial sum.
    AccumulatorWord {
        /// Bits of a sum.
        width: Bits<16, 48> => default("32 bit");
        /// What happens beyond its range.
        overflow: Overflow => default("wrap");
    }
}

words! {
    /// Overflow.
    Overflow {
        /// Modulo 2^width.
        Wrap = "wrap",
        /// Clamps.
        Saturate = "saturate",
    }
}

section! {
    /// On-chip memories: an activation and a weight buffer, or one unified scratchpad; and the accumulators.
    Buffers {
        /// Activations, the vector unit's parameters, and results.
        activation: Buffer => required_unless("unified");
        /// Weight tiles.
        weight: Buffer => required_unless("unified");
        /// One scratchpad instead of the two.
        unified: Buffer => optional();
        /// Partial sums, in vectors of one word per column.
        accumulator: Buffer => required();
    }
}

section! {
    /// A memory of equal banks, each a contiguous range of addresses.
    Buffer {
        /// Bytes in all banks together.
        capacity: Bytes<1, MEMORY> => required();
        /// Number of banks; double buffering is the compiler's use of them.
        banks: Count<1, 4096> => required();
        /// Bytes that a port moves in a cycle.
        port_width: Bytes<1, 65536> => required();
        /// Ports of each bank; a unit that uses a bank holds one.
        ports: Count<1, 64> => default("1");
    }
}

section! {
    /// The vector unit.
    Vector {
        /// Elements of an element-wise operation in a cycle.
        lanes: Count<1, 4096> => required();
        /// Elements that get bias, requantisation and clamp in a cycle.
        requantise_per_cycle: Count<1, 4096> => required();
        /// Cycles from the last element's issue to its write.
        latency: Cycles<0, 65535> => default("4 cycles");
        /// Latencies of single operations that differ from `latency`.
        latencies: Latencies => optional().only(&[]);
        /// Single-precision arithmetic present, for float islands and `float32` requantisation.
        float32: Flag => default("true");
        /// A multiply-accumulate per lane and cycle present, for depthwise convolutions.
        depthwise: Flag => default("false");
        /// How accumulators become activations.
        requantisation: Requantisation => default("float32");
    }
}

section! {
    /// Latencies by operation.
    Latencies {
        /// Accumulators to activations.
        requantise: Cycles<0, 65535> => optional();
        /// Sum of two tensors.
        add: Cycles<0, 65535> => optional();
        /// Product of two tensors.
        multiply: Cycles<0, 65535> => optional();
        /// Batch norm.
        affine: Cycles<0, 65535> => optional();
        /// Change of scale.
        rescale: Cycles<0, 65535> => optional();
        /// Max pooling.
        max_pool: Cycles<0, 65535> => optional();
        /// Average pooling.
        average_pool: Cycles<0, 65535> => optional();
        /// Softmax.
        softmax: Cycles<0, 65535> => optional();
        /// Depthwise convolution.
        depthwise: Cycles<0, 65535> => optional();
    }
}

choice! {
    /// How accumulators become activations.
    Requantisation {
        /// Single-precision multiplier (rule N-1); needs `vector.float32`.
        Float32 = "float32": Nothing,
        /// Integer multiplier and shift.
        FixedPoint = "fixed_point": FixedPoint,
        /// Power of two; scales are rounded on import.
        Shift = "shift": Nothing,
    }
}

section! {
    /// A choice without keys of its own.
    Nothing {}
}

section! {
    /// Integer requantisation.
    FixedPoint {
        /// Bits of the multiplier, its sign bit included.
        multiplier: Bits<8, 32> => default("32 bit");
        /// Rounding of the product.
        rounding: Rounding => default("single");
    }
}

words! {
    /// Rounding of a fixed-point product.
    Rounding {
        /// Once, after the shift.
        Single = "single",
        /// After the doubling high multiplication and after the shift, as gemmlowp does.
        Double = "double",
    }
}

section! {
    /// DMA. The depth of its queues is in `control.queue_depth`.
    Dma {
        /// Channels that load.
        load_channels: Count<1, 16> => default("1").only(&["1"]);
        /// Channels that store.
        store_channels: Count<1, 16> => default("1").only(&["1"]);
        /// Bytes a cycle between DRAM and buffers; without it, ports and DRAM are the limits.
        bus_width: Bytes<1, 4096> => optional().only(&[]);
        /// Bursts in flight at most, per channel.
        outstanding_bursts: Count<1, 65536> => default("32");
        /// Dimensions of a transfer, bytes of a row included: 3 is planes of rows.
        strided_dimensions: Count<1, 6> => default("3").only(&["3"]);
        /// What loads can write without reading DRAM.
        fill: Fill => default("none").only(&["none"]);
        /// Decompression of weights under way.
        weight_decoder: WeightDecoder => default("none");
    }
}

words! {
    /// Fill of padding.
    Fill {
        /// Nothing.
        None = "none",
        /// Zeros.
        Zero = "zero",
        /// Any byte that the instruction states.
        Constant = "constant",
    }
}

choice! {
    /// Weight decoders.
    WeightDecoder {
        /// None: weights lie in DRAM as the array wants them.
        None = "none": Nothing,
        /// Runs of pruned weights and shared values, both in entropy codes (rule N-29).
        Huffman = "huffman": HuffmanDecoder,
    }
}

section! {
    /// A decoder between DRAM and the weight buffer.
    HuffmanDecoder {
        /// Decoded bytes that it puts out in a cycle at most.
        output_width: Bytes<1, 65536> => default("16 B");
        /// From a burst's arrival to its first decoded byte.
        latency: Cycles<0, 65535> => default("8 cycles");
    }
}

choice! {
    /// The memory outside.
    Dram {
        /// Infinite bandwidth, no latency.
        Ideal = "ideal": IdealDram,
        /// A bus and a latency.
        Simple = "simple": SimpleDram,
        /// Channels, banks and rows with JEDEC timings.
        Banked = "banked": BankedDram,
    }
}

section! {
    /// DRAM without limits.
    IdealDram {
        /// Bytes of a burst, a power of two.
        burst: Bytes<1, 65536> => default("64 B");
    }
}

section! {
    /// DRAM as a bus and a latency.
    SimpleDram {
        /// Bytes a second over the bus.
        bandwidth: Bandwidth<1, 1_000_000_000_000_000> => required();
        /// From the end of a burst on the bus to its arrival, rounded up to core cycles.
        latency: Delay => required();
        /// Bytes of a burst, a power of two.
        burst: Bytes<1, 65536> => default("64 B");
    }
}

section! {
    /// Fetch, queues and tokens.
    Control {
        /// Instructions that wait in a unit's queue at most: one number for all, or one per unit.
        queue_depth: QueueDepth => default("32");
        /// Cycles from one fetch to the next.
        issue_interval: Cycles<1, 65535> => default("1 cycle");
        /// Largest count of a token semaphore.
        token_max: Count<1, 4_294_967_295> => default("255");
    }
}

/// Most instructions that a queue may hold.
const QUEUE: u64 = 65536;

section! {
    /// Queue depths by unit.
    Queues {
        /// The load channel's.
        load: Count<1, QUEUE> => required();
        /// The array's.
        array: Count<1, QUEUE> => required();
        /// The vector unit's.
        vector: Count<1, QUEUE> => required();
        /// The store channel's.
        store: Count<1, QUEUE> => required();
    }
}

/// Queue depths: one for all units or one each.
#[derive(Clone, Debug)]
pub(crate) enum QueueDepth {
    /// Of every unit.
    All(Count<1, QUEUE>),
    /// Of each.
    Each(Queues),
}

impl QueueDepth {
    /// Load, array, vector, store; `None` where one could not be read.
    pub(crate) fn by_unit(&self) -> Option<[u64; 4]> {
        let value = |at: &Option<At<Count<1, QUEUE>>>| at.as_ref().map(|at| at.value.0);
        match self {
            QueueDepth::All(depth) => Some([depth.0; 4]),
            QueueDepth::Each(each) => {
                Some([value(&each.load)?, value(&each.array)?, value(&each.vector)?, value(&each.store)?])
            }
        }
    }
}

impl Value for QueueDepth {
    fn read(node: &Node, path: &str, errors: &mut Errors<'_>) -> Option<Self> {
        match node.kind {
            Kind::Map(_) => Queues::read(node, path, errors).map(QueueDepth::Each),
            _ => Count::read(node, path, errors).map(QueueDepth::All),
        }
    }
    fn text(&self) -> String {
        match self {
            QueueDepth::All(depth) => depth.text(),
            QueueDepth::Each(each) => each.text(),
        }
    }
}

impl JsonSchema for QueueDepth {
    fn schema_name() -> Cow<'static, str> {
        "QueueDepth".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let all = generator.subschema_for::<Count<1, QUEUE>>();
        let kind = format!("a count, 1 to {QUEUE}, or one per unit");
        json_schema!({ "anyOf": [all, generator.subschema_for::<Queues>()], "x-kind": kind, "examples": [32] })
    }
    fn inline_schema() -> bool {
        true
    }
}

section! {
    /// Energy per action. Stated as a whole: every key or none.
    EnergyTable {
        /// One multiply-accumulate.
        mac: Energy<false> => required();
        /// One byte read or written in the activation buffer.
        activation: Energy<true> => required();
        /// One byte of the weight buffer.
        weight: Energy<true> => required();
        /// One byte of the accumulators.
        accumulator: Energy<true> => required();
        /// One element operation of the vector unit.
        vector_operation: Energy<false> => required();
        /// One byte over the DRAM bus.
        dram: Energy<true> => required();
    }
}
