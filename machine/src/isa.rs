//! The instruction set: units, tokens, instructions. The table is in [`table`]; what instructions do is `docs/machine.md`,
//! when they do it `docs/timing.md`.

pub mod arbitrary;
pub mod assembler;
pub mod document;
pub mod format;
mod meaning;
pub mod operand;
pub mod table;

pub use operand::{
    ActivationFormat, DataflowChoice, Flag, ImageAxis, Operand, OutputFormat, RangeError, Real, RequantMode, Signed,
    Space, Unsigned, VectorOperand, WeightFormat,
};
pub use table::{DecodeError, Operation};

/// How many units the instruction set knows.
pub const UNITS: usize = 7;

/// A unit with an instruction queue of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Unit {
    /// DRAM to buffers.
    Load = 0,
    /// Systolic array.
    Array = 1,
    /// Vector unit.
    Vector = 2,
    /// Activation buffer to DRAM.
    Store = 3,
    /// The second systolic array.
    Array1 = 4,
    /// The third.
    Array2 = 5,
    /// The fourth.
    Array3 = 6,
}

impl Unit {
    /// All, in order of index.
    pub const ALL: [Unit; UNITS] =
        [Unit::Load, Unit::Array, Unit::Vector, Unit::Store, Unit::Array1, Unit::Array2, Unit::Array3];
    /// The units of a machine with one array.
    pub const WITH_ONE_ARRAY: [Unit; 4] = [Unit::Load, Unit::Array, Unit::Vector, Unit::Store];
    /// The arrays, by number; a machine has the first `array.count` of them.
    pub const ARRAYS: [Unit; 4] = [Unit::Array, Unit::Array1, Unit::Array2, Unit::Array3];

    /// Lower-case name, as in assembly and reports.
    pub fn name(self) -> &'static str {
        ["load", "array", "vector", "store", "array1", "array2", "array3"][self as usize]
    }

    /// The number of an array; `None` for another unit.
    pub fn array(self) -> Option<usize> {
        Unit::ARRAYS.iter().position(|&unit| unit == self)
    }
}

/// A set of units, bit k for `Unit::ALL[k]`; bit 7 names a unit that no machine has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct UnitMask(pub u8);

impl UnitMask {
    /// Whether `unit` is in the set.
    pub fn contains(self, unit: Unit) -> bool {
        self.0 & (1 << unit as u8) != 0
    }

    /// The set with `unit` too.
    #[must_use]
    pub fn with(self, unit: Unit) -> Self {
        UnitMask(self.0 | 1 << unit as u8)
    }

    /// Whether the set is empty.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// One instruction: tokens and operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Instruction {
    /// Before it starts, one token is taken from each of these units' semaphores towards this instruction's unit.
    pub wait: UnitMask,
    /// When its effects are visible, one token is given to each of these units.
    pub signal: UnitMask,
    /// What it does.
    pub operation: Operation,
}

impl Instruction {
    /// Without tokens.
    pub fn new(operation: Operation) -> Self {
        Instruction { wait: UnitMask::default(), signal: UnitMask::default(), operation }
    }

    /// The unit whose queue it goes to.
    pub fn unit(&self) -> Unit {
        self.operation.unit()
    }
}
