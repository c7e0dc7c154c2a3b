//! The proof of N-20: on machines whose sums saturate, or wrap in fewer than the 32 bits of N-1, no sum may leave its range in any order of additions.
//!
//! It looks at stored weights and biases and only refuses; nothing else of the compiler depends on what it finds. Not used: that an input's values may not fill the range of its type.

use rayon::prelude::*;
use systole_machine::spec::{Machine, Overflow};
use systole_network::graph::Graph;
use systole_network::tensor::{DType, i32_of_bytes};

use crate::error::CompileError;
use crate::image::{stored, weight_zero_point};
use crate::layers::{Kind, Layer, Layers};

/// Proves it for every layer.
///
/// # Errors
/// Each layer with an output channel whose sums may leave the range, and constants without values.
pub(crate) fn check_sums(graph: &Graph, layers: &Layers, machine: &Machine) -> Result<(), Vec<CompileError>> {
    let array = &machine.array;
    if array.overflow == Overflow::Wrap && array.accumulator_bits >= 32 {
        return Ok(());
    }
    let errors: Vec<CompileError> =
        layers.layers.par_iter().filter_map(|layer| check_layer(graph, layer, machine).err()).collect();
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

fn check_layer(graph: &Graph, layer: &Layer, machine: &Machine) -> Result<(), CompileError> {
    let bits = machine.array.accumulator_bits;
    let limit = (1i128 << (bits - 1)) - 1;
    let Some((channel, reach)) = largest_sum(graph, layer)?.filter(|&(_, reach)| reach > limit) else {
        return Ok(());
    };
    let needed = 129 - reach.leading_zeros();
    let (overflow, effect) = match machine.array.overflow {
        Overflow::Saturate => ("saturating", "clamp, with a result that depends on the order of additions"),
        Overflow::Wrap => ("wrapping", "wrap, other than the 32 bits of the model's arithmetic"),
    };
    let remedy = if needed <= 48 {
        format!("set `array.accumulator.width` to {needed} bit or more")
    } else {
        "use `array.accumulator` that wraps".to_owned()
    };
    Err(CompileError::unsupported(
        &layer.name,
        format!(
            "the sums of output channel {channel} may reach {reach}, beyond {limit}: the {bits}-bit {overflow} accumulators of `{}` could {effect} \
             (rule N-20); {remedy}, or choose another machine",
            machine.name
        ),
    ))
}

/// The output channel that may reach the largest magnitude, and that magnitude: Σ|qw − zw|·max|qx − zx| + |bias|.
fn largest_sum(graph: &Graph, layer: &Layer) -> Result<Option<(usize, i128)>, CompileError> {
    let Kind::Conv { weights, bias, .. } = &layer.kind else { return Ok(None) };
    let input = graph.tensor(layer.input);
    let zero = i64::from(input.quant.as_ref().map_or(0, |quant| quant.zero_point_of(0)));
    let (low, high) = input.dtype.range().unwrap_or((-128, 127));
    let operand = (i64::from(high) - zero).abs().max((i64::from(low) - zero).abs());
    let tensor = graph.tensor(*weights);
    let zero_weight = i64::from(weight_zero_point(graph, *weights, &layer.name)?);
    let bytes = stored(graph, *weights, &layer.name)?;
    let biases = match bias {
        Some(id) => i32_of_bytes(stored(graph, *id, &layer.name)?),
        None => vec![],
    };
    let outputs = tensor.shape.first().copied().unwrap_or(0).max(1);
    let taps_in_a_sum = layer.phase().map(|phase| phase.taps_in_a_sum(&tensor.shape));
    let value = |q: u8| if tensor.dtype == DType::I8 { i64::from(q as i8) } else { i64::from(q) };
    let sums = bytes.chunks_exact((bytes.len() / outputs).max(1)).enumerate().map(|(channel, weights)| {
        let magnitude = |&q: &u8| (value(q) - zero_weight).abs();
        let products = match &taps_in_a_sum {
            None => weights.iter().map(magnitude).sum::<i64>(),
            Some(sums) => {
                let taps = weights.len() / tensor.shape.get(1).copied().unwrap_or(1).max(1);
                let of_tap = |&tap: &usize| weights.iter().skip(tap).step_by(taps).map(magnitude).sum::<i64>();
                sums.iter().map(|sum| sum.iter().map(of_tap).sum()).max().unwrap_or(0)
            }
        };
        let bias = biases.get(channel).map_or(0, |bias| i128::from(bias.unsigned_abs()));
        (channel, i128::from(products) * i128::from(operand) + bias)
    });
    Ok(sums.max_by_key(|&(channel, reach)| (reach, std::cmp::Reverse(channel))))
}
