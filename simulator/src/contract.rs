//! What both engines take and give: job, outcome, trap, spans, counters. No arithmetic, no addresses, no timing rule lives here.

mod retire;

use systole_machine::isa::{Instruction, UNITS, Unit};
use systole_machine::spec::Machine;

pub use retire::{Memory, Retire, Written};
pub(crate) use retire::{digest, in_order};

/// A program ready to run. Both engines take the instructions as they are; validity is theirs to judge (M-10 to M-13).
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// The machine.
    pub machine: &'a Machine,
    /// The instruction stream.
    pub instructions: &'a [Instruction],
    /// Size of DRAM.
    pub dram_bytes: u64,
}

/// Why a program was stopped (M-10, M-12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Trap {
    /// A token mask names its own unit or one that the machine lacks.
    BadToken,
    /// The machine lacks what the operation needs.
    Unsupported,
    /// Registers describe no valid shape.
    BadShape,
    /// Outside a memory.
    OutOfBounds,
    /// Unordered accesses to the same bytes.
    Race,
    /// A semaphore could pass its maximum.
    TokenOverflow,
}

/// An instruction that waits for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its unit.
    pub unit: Unit,
    /// Its index in the program.
    pub instruction: usize,
    /// The units whose tokens it lacks, in order.
    pub missing: Vec<Unit>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All instructions ended.
    Halted,
    /// Stopped before this instruction.
    Trap {
        /// Why.
        trap: Trap,
        /// Index of the instruction.
        instruction: usize,
    },
    /// Nothing can start any more: the head of each queue that is not empty, by unit.
    Deadlock {
        /// One for each stuck unit.
        waiting: Vec<Waiting>,
    },
}

/// When one instruction ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Fetch cycle.
    pub fetch: u64,
    /// Start cycle.
    pub start: u64,
    /// End cycle.
    pub end: u64,
}

/// What kept a unit waiting, in order of priority within its rule T-10.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stall {
    /// No token from the load unit.
    TokenLoad = 0,
    /// No token from the array.
    TokenArray = 1,
    /// No token from the vector unit.
    TokenVector = 2,
    /// No token from the store unit.
    TokenStore = 3,
    /// No token from the second array.
    TokenArray1 = 4,
    /// No token from the third.
    TokenArray2 = 5,
    /// No token from the fourth.
    TokenArray3 = 6,
    /// No bank port.
    Port = 7,
    /// DRAM latency or bandwidth.
    Dram = 8,
}

/// How many causes there are.
pub const STALLS: usize = 9;

impl Stall {
    /// All, in order of index.
    pub const ALL: [Stall; STALLS] = [
        Stall::TokenLoad,
        Stall::TokenArray,
        Stall::TokenVector,
        Stall::TokenStore,
        Stall::TokenArray1,
        Stall::TokenArray2,
        Stall::TokenArray3,
        Stall::Port,
        Stall::Dram,
    ];

    /// As reports name it.
    pub fn name(self) -> &'static str {
        let names: [&str; STALLS] = [
            "token_load",
            "token_array",
            "token_vector",
            "token_store",
            "token_array1",
            "token_array2",
            "token_array3",
            "port",
            "dram",
        ];
        names[self as usize]
    }
}

/// The cycles of one unit; they add up to the total.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnitCycles {
    /// Working.
    pub busy: u64,
    /// Nothing to do.
    pub idle: u64,
    /// By [`Stall`].
    pub stalls: [u64; STALLS],
}

/// The timing of a run. Equal for both engines, on every program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How it ended.
    pub outcome: Outcome,
    /// T-11.
    pub total_cycles: u64,
    /// By instruction; `None` for those that never started.
    pub spans: Vec<Option<Span>>,
    /// By unit.
    pub units: [UnitCycles; UNITS],
    /// Bytes on the DRAM bus, whole bursts: read, written.
    pub dram_bus_bytes: [u64; 2],
}

/// Memories after a run. Equal for both engines, on every program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memories {
    /// DRAM, all `dram_bytes`.
    pub dram: Vec<u8>,
    /// Activation buffer.
    pub activation: Vec<u8>,
    /// Weight buffer; empty where the activation buffer is the one memory of both (`Machine::unified`).
    pub weight: Vec<u8>,
    /// Accumulators, vector by vector.
    pub accumulator: Accumulators,
}

/// Accumulator words, sign-extended: of up to 32 bits, or of more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accumulators {
    /// Up to 32 bits.
    Narrow(Vec<i32>),
    /// 33 to 48 bits.
    Wide(Vec<i64>),
}

impl Accumulators {
    /// Zeros for a machine.
    pub fn zeroed(machine: &Machine) -> Self {
        let words = (machine.accumulator_vectors() * u64::from(machine.array.columns)) as usize;
        if machine.array.accumulator_bits <= 32 {
            Accumulators::Narrow(vec![0; words])
        } else {
            Accumulators::Wide(vec![0; words])
        }
    }

    /// Number of words.
    pub fn len(&self) -> usize {
        match self {
            Accumulators::Narrow(words) => words.len(),
            Accumulators::Wide(words) => words.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The word at an index below [`Self::len`].
    pub fn get(&self, index: usize) -> i64 {
        match self {
            Accumulators::Narrow(words) => words[index].into(),
            Accumulators::Wide(words) => words[index],
        }
    }

    /// Sets the word at an index below [`Self::len`]; a value that the words can hold.
    pub fn set(&mut self, index: usize, value: i64) {
        match self {
            Accumulators::Narrow(words) => words[index] = value as i32,
            Accumulators::Wide(words) => words[index] = value,
        }
    }
}

/// A host-side failure, never the program's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The DRAM image handed in is larger than `dram_bytes`.
    #[error("the DRAM image has {image} bytes, the program states {dram}")]
    ImageTooLarge {
        /// Bytes of the image.
        image: u64,
        /// Bytes of DRAM.
        dram: u64,
    },
    /// The host cannot give this much memory.
    #[error("this computer has no {bytes} bytes of memory for the DRAM that the program states")]
    OutOfMemory {
        /// Bytes asked for.
        bytes: u64,
    },
    /// A part of the machine that this engine does not simulate.
    #[error("{0} is not simulated by this engine")]
    Unsupported(&'static str),
    /// The host's limit on cycles was passed (reference engine).
    #[error("still running after {0} cycles")]
    OutOfFuel(u64),
}

/// Zeroed DRAM of `bytes` bytes, or an error where the host cannot give it.
pub(crate) fn zeroed_dram(bytes: u64) -> Result<Vec<u8>, EngineError> {
    let refused = EngineError::OutOfMemory { bytes };
    let Ok(size) = usize::try_from(bytes) else { return Err(refused) };
    // Asking first turns an abort into an error; the zeroed allocation then takes pages only as they are touched.
    let mut probe: Vec<u8> = Vec::new();
    if probe.try_reserve_exact(size).is_err() {
        return Err(refused);
    }
    drop(probe);
    Ok(vec![0; size])
}
