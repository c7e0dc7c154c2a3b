//! Integer scalings at emission: the mode and the records of a machine's requantisation, and multipliers and shifts out of scales (rules N-18
//! and N-19). What they do to numbers is the machine's business (N-17).

use systole_machine::isa::{Operation, RequantMode, Signed, VectorOperand};
use systole_machine::spec::{Machine, Requantisation};
use systole_network::graph::Graph;
use systole_network::policy as network;

use crate::error::CompileError;
use crate::layers::{Kind, Layer, Pair};
use crate::lower::too_large;

/// The mode of every instruction that has one and does not need single precision.
pub(crate) fn mode(machine: &Machine) -> RequantMode {
    match machine.vector.requantisation {
        Requantisation::Float32 => RequantMode::Float32,
        Requantisation::FixedPoint { double_rounding: false, .. } => RequantMode::Fixed,
        Requantisation::FixedPoint { double_rounding: true, .. } => RequantMode::FixedDouble,
        Requantisation::Shift => RequantMode::Shift,
    }
}

/// ρ of M-7: bytes of a channel's parameters of `ve.requant`.
pub(crate) fn record_bytes(machine: &Machine) -> u64 {
    match machine.vector.requantisation {
        Requantisation::FixedPoint { .. } => 12,
        Requantisation::Float32 | Requantisation::Shift => 8,
    }
}

/// The machine's requantisation as a quantised graph's policy says it.
pub(crate) fn of_policy(requantisation: network::Requantisation) -> Requantisation {
    match requantisation {
        network::Requantisation::Float32 => Requantisation::Float32,
        network::Requantisation::FixedPoint { multiplier_bits, double_rounding } => {
            Requantisation::FixedPoint { multiplier_bits, double_rounding }
        }
        network::Requantisation::Shift => Requantisation::Shift,
    }
}

/// Refuses a graph that was quantised for another arithmetic than the machine's.
pub(crate) fn check_policy(graph: &Graph, machine: &Machine) -> Result<(), CompileError> {
    let policy = &graph.policy;
    if of_policy(policy.requantisation) == machine.vector.requantisation
        && policy.accumulator_bits == machine.array.accumulator_bits
    {
        return Ok(());
    }
    let message = format!(
        "the graph is quantised for {:?} of {}-bit sums, not for the arithmetic of `{}`",
        policy.requantisation, policy.accumulator_bits, machine.name
    );
    Err(CompileError::invalid(&graph.name, message))
}

/// Refuses a float island on a machine without single precision.
pub(crate) fn check_island(layer: &Layer, machine: &Machine) -> Result<(), CompileError> {
    let rule = match layer.kind {
        Kind::Affine { .. } => "N-8",
        Kind::Softmax => "N-10",
        Kind::Lrn(_) => "N-13",
        Kind::Sum(_) => "N-14",
        Kind::Sample { .. } => "N-26",
        Kind::Resize(_) => "N-30",
        Kind::Pair(Pair::Quotient, _) => "N-25",
        _ => return Ok(()),
    };
    if machine.vector.float32 {
        return Ok(());
    }
    let message = format!(
        "it is a float island, computed in single precision (rule {rule}), which the vector unit of `{}` does not have; set          `vector.float32: true`, end the network before it, or choose another machine",
        machine.name
    );
    Err(CompileError::unsupported(&layer.name, message))
}

/// A factor as the vector unit takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Factor {
    /// M.
    pub(crate) multiplier: i32,
    /// s.
    pub(crate) shift: i32,
}

impl Factor {
    /// The `ve.fixed` that sets it.
    pub(crate) fn register(self, operand: VectorOperand, layer: &str) -> Result<Operation, CompileError> {
        let too_large = |error| too_large(layer, &error);
        Ok(Operation::VectorFixed {
            operand,
            multiplier: Signed::new(self.multiplier.into()).map_err(too_large)?,
            shift: Signed::new(self.shift.into()).map_err(too_large)?,
        })
    }
}

/// Binary exponent and fraction in [½, 1) of a positive finite number that is not subnormal in double precision.
fn split(m: f64) -> (f64, i32) {
    let exponent = ((m.to_bits() >> 52) & 0x7ff) as i32 - 1022;
    let fraction = f64::from_bits((m.to_bits() & ((1 << 52) - 1)) | (1022 << 52));
    (fraction, exponent)
}

/// Rule N-18.
fn multiplier(m: f64, bits: u32) -> Factor {
    const TOO_SMALL: Factor = Factor { multiplier: 0, shift: 31 };
    if m < f64::MIN_POSITIVE {
        return TOO_SMALL;
    }
    let largest = ((1i64 << (bits - 1)) - 1) as i32;
    let too_large = Factor { multiplier: largest, shift: 1 };
    if !m.is_finite() {
        return too_large;
    }
    let (fraction, mut exponent) = split(m);
    // Exact: at most 31 places to the left, then one rounding, half away from zero.
    let mut rounded = (fraction * (1i64 << (bits - 1)) as f64).round() as i64;
    if rounded > i64::from(largest) {
        rounded /= 2;
        exponent += 1;
    }
    match bits as i32 - 1 - exponent {
        shift if shift > 62 => TOO_SMALL,
        shift if shift < 1 => too_large,
        shift => Factor { multiplier: rounded as i32, shift },
    }
}

/// Exponent of a scale that is a power of two (what else is in it does not get here: legalisation made it so).
fn log2(scale: f32) -> i32 {
    split(scale.into()).1 - 1
}

/// Rule N-19's shift, within the range of N-17.
fn power(shift: i32) -> Factor {
    Factor { multiplier: 0, shift: shift.clamp(-31, 62) }
}

/// The factor of N-1 for one output channel; `None` in single precision. `rounded_product` as fully connected layers have it.
pub(crate) fn requantise(requantisation: Requantisation, [x, w, y]: [f32; 3], rounded_product: bool) -> Option<Factor> {
    match requantisation {
        Requantisation::Float32 => None,
        Requantisation::Shift => Some(power(log2(y) - log2(x) - log2(w))),
        Requantisation::FixedPoint { multiplier_bits, .. } => {
            let product = if rounded_product { f64::from(x * w) } else { f64::from(x) * f64::from(w) };
            Some(multiplier(product / f64::from(y), multiplier_bits))
        }
    }
}

/// The factors of N-6.
pub(crate) fn add(requantisation: Requantisation, [a, b, out]: [f32; 3], wide: bool) -> Vec<(VectorOperand, Factor)> {
    let factors = match requantisation {
        Requantisation::Float32 => return vec![],
        Requantisation::Shift => {
            let common = log2(a).min(log2(b));
            [common - log2(a), common - log2(b), log2(out) - common].map(power)
        }
        Requantisation::FixedPoint { multiplier_bits, .. } => {
            let [a, b, out] = [a, b, out].map(f64::from);
            let twice = 2.0 * a.max(b);
            let raised = if wide { 32_768.0 } else { 1_048_576.0 };
            [a / twice, b / twice, twice / (raised * out)].map(|m| multiplier(m, multiplier_bits))
        }
    };
    [VectorOperand::A, VectorOperand::B, VectorOperand::Out].into_iter().zip(factors).collect()
}

/// The factors of N-25's maximum and minimum: N-9's of both operands.
pub(crate) fn choose(requantisation: Requantisation, [a, b, out]: [f32; 3]) -> Vec<(VectorOperand, Factor)> {
    let each = [(VectorOperand::A, a), (VectorOperand::B, b)].into_iter();
    each.flat_map(|(operand, from)| rescale(requantisation, [from, out]).into_iter().map(move |(_, f)| (operand, f)))
        .collect()
}

/// The factor of N-7.
pub(crate) fn multiply(requantisation: Requantisation, [a, b, out]: [f32; 3]) -> Vec<(VectorOperand, Factor)> {
    let factor = match requantisation {
        Requantisation::Float32 => return vec![],
        Requantisation::Shift => power(log2(out) - log2(a) - log2(b)),
        Requantisation::FixedPoint { multiplier_bits, .. } => multiplier(f64::from(a * b / out), multiplier_bits),
    };
    vec![(VectorOperand::Out, factor)]
}

/// The factor of N-9.
pub(crate) fn rescale(requantisation: Requantisation, [from, to]: [f32; 2]) -> Vec<(VectorOperand, Factor)> {
    let factor = match requantisation {
        Requantisation::Float32 => return vec![],
        Requantisation::Shift => power(log2(to) - log2(from)),
        Requantisation::FixedPoint { multiplier_bits, .. } => {
            multiplier(f64::from(from) / f64::from(to), multiplier_bits)
        }
    };
    vec![(VectorOperand::Out, factor)]
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIXED: Requantisation = Requantisation::FixedPoint { multiplier_bits: 32, double_rounding: false };

    fn factor(multiplier: i32, shift: i32) -> Factor {
        Factor { multiplier, shift }
    }

    #[test]
    fn multipliers_are_normalised_and_end_at_the_range_of_shifts() {
        assert_eq!(multiplier(1.0, 32), factor(1 << 30, 30));
        assert_eq!(multiplier(0.75, 16), factor(24_576, 15));
        assert_eq!(multiplier(1.0 - 2f64.powi(-40), 32), factor(1 << 30, 30));
        assert_eq!(multiplier(2f64.powi(-32), 32), factor(1 << 30, 62));
        assert_eq!(multiplier(2f64.powi(-33), 32), factor(0, 31));
        assert_eq!(multiplier(2f64.powi(30), 32), factor(i32::MAX, 1));
        assert_eq!((multiplier(0.0, 32), multiplier(f64::INFINITY, 8)), (factor(0, 31), factor(127, 1)));
    }

    #[test]
    fn sums_have_room_below_their_common_scale() {
        // Scales ¼, ⅛ and ½: t = ½; ½ and ¼; ½ / (2^20 · ½) = 2^-20 = ½ · 2^-19.
        let [a, b, out] = [factor(1 << 30, 31), factor(1 << 30, 32), factor(1 << 30, 50)];
        let expected = vec![(VectorOperand::A, a), (VectorOperand::B, b), (VectorOperand::Out, out)];
        assert_eq!(add(FIXED, [0.25, 0.125, 0.5], false), expected);
        let shifts: Vec<i32> =
            add(Requantisation::Shift, [0.25, 0.125, 0.5], false).iter().map(|f| f.1.shift).collect();
        assert_eq!(shifts, [-1, 0, 2]);
    }

    #[test]
    fn powers_of_two_are_shifts() {
        let shift = |scales| requantise(Requantisation::Shift, scales, false).map(|factor| factor.shift);
        assert_eq!(shift([0.5, 0.25, 1.0]), Some(3));
        assert_eq!(shift([4.0, 2.0, 0.5]), Some(-4));
        assert_eq!(shift([2f32.powi(-60), 2f32.powi(-60), 1.0]), Some(62));
        assert_eq!(requantise(Requantisation::Float32, [1.0; 3], false), None);
    }
}
