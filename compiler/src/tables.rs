//! Tables of bytes (rule N-24): what `ve.table` looks up, made from the function that the layer computes.

use systole_network::graph::Graph;
use systole_network::op::Function;
use systole_network::tensor::{DType, TensorId};

use crate::error::CompileError;
use crate::image::{operand_values, stored};
use crate::layers::Layer;
use crate::passes::arithmetic::{dequantise, quantise};

/// Entries of a table, and its bytes.
pub(crate) const ENTRIES: u64 = 256;

/// What a table computes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Table {
    /// The same of all channels.
    Function(Function),
    /// PRelu: slopes of channels.
    Slopes(TensorId),
}

impl Table {
    /// Whether each channel has its own.
    pub fn is_per_channel(self) -> bool {
        matches!(self, Table::Slopes(_))
    }

    /// Bytes for all channels, and for each.
    pub(crate) fn bytes(self) -> [u64; 2] {
        if self.is_per_channel() { [0, ENTRIES] } else { [ENTRIES, 0] }
    }
}

/// The table, or that of each channel, one behind the other.
///
/// # Errors
/// Slopes without values.
pub(crate) fn bytes(graph: &Graph, layer: &Layer, table: Table) -> Result<Vec<u8>, CompileError> {
    match table {
        Table::Function(function) => Ok(entries(graph, layer, |x| value(function, x)).collect()),
        Table::Slopes(id) => {
            let slopes = graph.tensor(id);
            let (scale, zero) = slopes.quant.as_ref().map_or((1.0, 0), |q| (q.scale_of(0), q.zero_point_of(0)));
            let values = operand_values(slopes.dtype, stored(graph, id, &layer.name)?);
            let slopes = values.into_iter().map(|q| dequantise(q, scale, zero));
            Ok(slopes.flat_map(|slope| entries(graph, layer, move |x| if x < 0.0 { slope * x } else { x })).collect())
        }
    }
}

/// The entries of a function, by the byte of its operand.
fn entries(graph: &Graph, layer: &Layer, f: impl Fn(f32) -> f32) -> impl Iterator<Item = u8> {
    let quant = |id: TensorId| {
        let quant = graph.tensor(id).quant.as_ref();
        quant.map_or((1.0, 0), |quant| (quant.scale_of(0), quant.zero_point_of(0)))
    };
    let ((from, zero), (to, zero_out)) = (quant(layer.input), quant(layer.output));
    let (signed, clamp) = (graph.tensor(layer.input).dtype == DType::I8, layer.clamp);
    (0..=u8::MAX).map(move |byte| {
        let q = if signed { i32::from(byte as i8) } else { i32::from(byte) };
        quantise(f(dequantise(q, from, zero)), to, zero_out, clamp) as u8
    })
}

/// f of N-24.
fn value(function: Function, x: f32) -> f32 {
    let between_0_and_1 = |v: f32| v.clamp(0.0, 1.0);
    match function {
        Function::Sigmoid => sigmoid(x),
        Function::Tanh => 2.0 * sigmoid(2.0 * x) - 1.0,
        Function::HardSwish => x * between_0_and_1(x / 6.0 + 0.5),
        Function::HardSigmoid { alpha, beta } => between_0_and_1(alpha * x + beta),
        Function::LeakyRelu { alpha } if x < 0.0 => alpha * x,
        Function::Elu { alpha } if x < 0.0 => alpha * (exponential(x) - 1.0),
        Function::LeakyRelu { .. } | Function::Elu { .. } => x,
    }
}

fn sigmoid(x: f32) -> f32 {
    let e = exponential(-x.abs());
    (if x >= 0.0 { 1.0 } else { e }) / (1.0 + e)
}

/// `exp2p` of N-10 for x up to 0.
#[expect(clippy::excessive_precision, reason = "the digits are those of the rule")]
fn exponential(x: f32) -> f32 {
    const COEFFICIENTS: [f32; 5] =
        [1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1];
    let t = x * 1.44269502;
    // Where t is no number too.
    if !matches!(t.partial_cmp(&-126.0), Some(std::cmp::Ordering::Greater | std::cmp::Ordering::Equal)) {
        return 0.0;
    }
    let k = t.round_ties_even();
    let r = (x - k * 0.693359375) - k * -2.12194440e-4;
    let p = COEFFICIENTS.iter().fold(1.9875691500e-4, |p: f32, c| p * r + c);
    let power = f32::from_bits(((k as i32 + 127) as u32) << 23);
    ((p * (r * r) + r) + 1.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_at_a_few_places() {
        let near = |function, x: f32, y: f32| assert!((value(function, x) - y).abs() < 1e-6, "{function:?} of {x}");
        near(Function::Sigmoid, 1.0, 0.731_058_6);
        near(Function::Sigmoid, -2.0, 0.119_202_92);
        near(Function::Tanh, 1.0, 0.761_594_2);
        near(Function::Tanh, -0.25, -0.244_918_66);
        near(Function::HardSwish, -1.5, -0.375);
        near(Function::HardSigmoid { alpha: 0.2, beta: 0.5 }, 1.0, 0.7);
        near(Function::LeakyRelu { alpha: 0.1 }, -2.0, -0.2);
        near(Function::Elu { alpha: 2.0 }, -1.0, -1.264_241_1);
        near(Function::Elu { alpha: 2.0 }, -1e30, -2.0);
        near(Function::Sigmoid, f32::NEG_INFINITY, 0.0);
    }
}
