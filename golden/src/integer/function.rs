//! Functions of one element, computed from their definition for each: rule N-24.

use systole_network::op::Function;

use super::operand::Operand;
use super::softmax::exp2p;
use super::target::Target;
use crate::call::Call;
use crate::error::GoldenError;

/// f of rule N-24, each operation rounded once.
fn value(function: Function, x: f32) -> f32 {
    match function {
        Function::Sigmoid => sigmoid(x),
        Function::Tanh => {
            let s = sigmoid(x + x);
            (s + s) - 1.0
        }
        Function::HardSwish => x * unit(x / 6.0 + 0.5),
        Function::HardSigmoid { alpha, beta } => unit(alpha * x + beta),
        Function::LeakyRelu { alpha } => below_zero(x, |x| alpha * x),
        Function::Elu { alpha } => below_zero(x, |x| alpha * (exp2p(x) - 1.0)),
    }
}

fn sigmoid(x: f32) -> f32 {
    let e = exp2p(-x.abs());
    let d = 1.0 + e;
    if x >= 0.0 { 1.0 / d } else { e / d }
}

fn unit(v: f32) -> f32 {
    v.clamp(0.0, 1.0)
}

fn below_zero(x: f32, f: impl Fn(f32) -> f32) -> f32 {
    if x < 0.0 { f(x) } else { x }
}

/// x of any shape.
pub(crate) fn evaluate(call: &Call<'_>, function: Function) -> Result<Vec<i32>, GoldenError> {
    let (x, target) = (Operand::of(call, 0)?, Target::of(call)?);
    let one = |q: i32| target.quantise(value(function, q as f32 * x.scale) / target.scale);
    Ok(x.centred().map(one).collect())
}

/// PRelu: x `[n, c, ...]` and slopes `[c]`.
pub(crate) fn prelu(call: &Call<'_>) -> Result<Vec<i32>, GoldenError> {
    let (x, slopes, target) = (Operand::of(call, 0)?, Operand::of(call, 1)?, Target::of(call)?);
    let broadcast = crate::broadcast::Broadcast::of(call)?;
    let slopes_of: Vec<f32> = slopes.centred().map(|q| q as f32 * slopes.scale).collect();
    let one = |(i, j): (usize, usize)| {
        let y = below_zero(x.at(i) as f32 * x.scale, |x| slopes_of[j] * x);
        target.quantise(y / target.scale)
    };
    Ok(broadcast.pairs().map(one).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALPHA: f32 = 0.3;

    /// Against double precision and the platform's exponential: as near as single precision gets.
    #[test]
    fn n24_functions_are_near_their_definition() {
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        type Definition = fn(f64) -> f64;
        let exact: [(Function, Definition); 6] = [
            (Function::Sigmoid, sigmoid),
            (Function::Tanh, f64::tanh),
            (Function::HardSwish, |x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0)),
            (Function::HardSigmoid { alpha: ALPHA, beta: 0.5 }, |x| (f64::from(ALPHA) * x + 0.5).clamp(0.0, 1.0)),
            (Function::LeakyRelu { alpha: ALPHA }, |x| if x < 0.0 { f64::from(ALPHA) * x } else { x }),
            (Function::Elu { alpha: ALPHA }, |x| if x < 0.0 { f64::from(ALPHA) * x.exp_m1() } else { x }),
        ];
        for step in -4000..=4000 {
            let x = step as f32 * 0.013;
            for (function, definition) in exact {
                let (y, expected) = (f64::from(value(function, x)), definition(x.into()));
                let bound = 2e-7 * expected.abs().max(1.0);
                assert!((y - expected).abs() < bound, "{function:?} of {x}: {y} instead of {expected}");
            }
        }
    }

    #[test]
    fn n24_ends_of_the_range() {
        for (function, low, high) in
            [(Function::Sigmoid, 0.0, 1.0), (Function::Tanh, -1.0, 1.0), (Function::Elu { alpha: 2.0 }, -2.0, f32::MAX)]
        {
            assert_eq!((value(function, f32::MIN), value(function, f32::MAX)), (low, high), "{function:?}");
        }
        assert_eq!(value(Function::HardSwish, -4.0), 0.0);
        assert_eq!(value(Function::Sigmoid, 0.0), 0.5);
        assert_eq!(value(Function::Tanh, 0.0), 0.0);
    }
}
