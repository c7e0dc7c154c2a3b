//! The numeric policy: what a machine's arithmetic asks of a quantised graph.
//!
//! It is stated by the machine and given to the compiler's legalisation; it models formats and rules, not speed.

use crate::tensor::DType;

/// How accumulators become activations again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requantisation {
    /// A single-precision multiplier, rounded to nearest even: the rules of `docs/numerics.md` as written.
    Float32,
    /// An integer multiplier and a shift (N-17, N-18).
    FixedPoint {
        /// B: bits of the multiplier, sign included.
        multiplier_bits: u32,
        /// Two roundings (`fixed_double`) instead of one.
        double_rounding: bool,
    },
    /// Powers of two (N-19).
    Shift,
}

/// What the machine computes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NumericPolicy {
    /// From accumulator to activation.
    pub requantisation: Requantisation,
    /// Width of the accumulator in bits; sums are taken modulo two to this power.
    pub accumulator_bits: u32,
    /// Type that activations of float models are quantised to (files that are quantised keep theirs).
    pub activation: DType,
}

impl Default for NumericPolicy {
    fn default() -> Self {
        NumericPolicy { requantisation: Requantisation::Float32, accumulator_bits: 32, activation: DType::U8 }
    }
}
