//! Functions of one element in double precision, rounded once: the yardstick of rule N-24.

use systole_network::op::Function;

use crate::broadcast::Broadcast;
use crate::call::Call;
use crate::error::GoldenError;

/// f(x).
pub(crate) fn value(function: Function, x: f32) -> f32 {
    let x = f64::from(x);
    let y = match function {
        Function::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        Function::Tanh => x.tanh(),
        Function::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
        Function::HardSigmoid { alpha, beta } => (f64::from(alpha) * x + f64::from(beta)).clamp(0.0, 1.0),
        Function::LeakyRelu { alpha } if x < 0.0 => f64::from(alpha) * x,
        Function::Elu { alpha } if x < 0.0 => f64::from(alpha) * x.exp_m1(),
        Function::LeakyRelu { .. } | Function::Elu { .. } => x,
    };
    y as f32
}

/// x, or below 0 x times the slope of its channel.
pub(crate) fn prelu(call: &Call<'_>) -> Result<Vec<f32>, GoldenError> {
    let broadcast = Broadcast::of(call)?;
    let (x, slopes) = (call.f32(0)?, call.f32(1)?);
    Ok(broadcast.pairs().map(|(i, j)| if x[i] < 0.0 { slopes[j] * x[i] } else { x[i] }).collect())
}
