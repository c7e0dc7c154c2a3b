//! Rule N-19 for files that are quantised: every scale becomes a power of two, stored integers are requantised. Float models get such scales
//! when they are quantised.

use std::collections::BTreeMap;

use bytes::Bytes;
use systole_network::graph::Graph;
use systole_network::op::Op;
use systole_network::policy::Requantisation;
use systole_network::tensor::{DType, Data, Quant, Tensor, TensorId};

use super::{Context, PassError, Quantised, constants, is_float, sums};

/// What a stored integer tensor is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Use {
    /// Follows from the scales of input and weights, which are not known here.
    Bias,
    /// An operand of a sum or product: keeps type and zero point.
    Operand,
    /// Becomes i8 around 0.
    Weights,
}

pub(super) fn run(state: &mut Quantised, context: &Context<'_>) -> Result<(), Vec<PassError>> {
    if context.policy.requantisation != Requantisation::Shift || is_float(&state.graph) {
        return Ok(());
    }
    let refused = sums::rescaled_inputs(&state.graph);
    if !refused.is_empty() {
        return Err(refused);
    }
    let uses = uses(&state.graph);
    for (index, tensor) in state.graph.tensors.iter_mut().enumerate() {
        let Some(quant) = tensor.quant.clone().filter(|_| matches!(tensor.dtype, DType::I8 | DType::U8)) else {
            continue;
        };
        let new = at_least(&quant);
        match uses.get(&TensorId(index as u32)) {
            _ if tensor.data.is_none() => tensor.quant = Some(new),
            None | Some(Use::Bias) => {}
            Some(Use::Operand) => requantise(tensor, &quant, new, tensor.dtype),
            Some(Use::Weights) => {
                let zero_point = vec![0; new.zero_point.len()];
                requantise(tensor, &quant, Quant { zero_point, ..new }, DType::I8);
            }
        }
    }
    Ok(())
}

/// What the constants behind Dequantize nodes are for; weights before all else.
pub(super) fn uses(graph: &Graph) -> BTreeMap<TensorId, Use> {
    let producers = graph.producers();
    let mut uses: BTreeMap<TensorId, Use> = BTreeMap::new();
    for node in &graph.nodes {
        for (position, &input) in node.inputs.iter().enumerate() {
            let Some(stored) = constants::behind_dequantize(graph, &producers, input) else { continue };
            let found = match (&node.op, position) {
                (Op::Conv(_) | Op::FullyConnected | Op::ConvTranspose(_), 1) => Use::Weights,
                (Op::Conv(_) | Op::FullyConnected | Op::ConvTranspose(_), 2) => Use::Bias,
                _ => Use::Operand,
            };
            let known = uses.entry(stored).or_insert(found);
            *known = found.max(*known);
        }
    }
    uses
}

/// `q' = sat(rhe(f64(q − z)·f64(s) / f64(s')) + z')`.
fn requantise(tensor: &mut Tensor, old: &Quant, new: Quant, dtype: DType) {
    let (Some(values), Some((low, high))) = (constants::integers(tensor), dtype.range()) else { return };
    let inner: usize = old.axis.map_or(usize::MAX, |axis| tensor.shape[axis + 1..].iter().product::<usize>().max(1));
    let channels = old.scale.len().max(1);
    let bytes: Vec<u8> = values
        .iter()
        .enumerate()
        .map(|(index, &q)| {
            let channel = index / inner % channels;
            let real = f64::from(q - old.zero_point_of(channel)) * f64::from(old.scale_of(channel));
            let rounded = (real / f64::from(new.scale_of(channel))).round_ties_even() as i64;
            (rounded + i64::from(new.zero_point_of(channel))).clamp(low.into(), high.into()) as u8
        })
        .collect();
    (tensor.dtype, tensor.quant, tensor.data) = (dtype, Some(new), Some(Data::Stored(Bytes::from(bytes))));
}

/// The same with scales `2^ceil(log2(s))`.
pub(super) fn at_least(quant: &Quant) -> Quant {
    Quant { scale: quant.scale.iter().map(|&scale| power(scale)).collect(), ..quant.clone() }
}

/// The least power of two that is not below `scale`; what is no scale stays, for the verifier to find.
pub(super) fn power(scale: f32) -> f32 {
    if !scale.is_finite() || scale <= 0.0 {
        return scale;
    }
    // Double precision has no subnormals here: the exponent is in its place.
    let bits = f64::from(scale).to_bits();
    let fraction = bits & ((1 << 52) - 1);
    let down = f64::from_bits(bits - fraction);
    (if fraction == 0 { down } else { 2.0 * down }) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_go_up_to_powers_of_two() {
        let scales = [1.0, 0.5, 0.3, 1.0000001, 2.5, 1e-40].map(power);
        assert_eq!(scales, [1.0, 0.5, 0.5, 2.0, 4.0, 2f32.powi(-132)]);
        assert!(power(f32::NAN).is_nan());
    }

    #[test]
    fn stored_integers_keep_what_they_mean() {
        let mut tensor = Tensor {
            name: "w".into(),
            shape: vec![2, 2],
            dtype: DType::U8,
            quant: None,
            data: Some(Data::Stored(Bytes::from(vec![10, 14, 10, 255]))),
        };
        let old = Quant { scale: vec![0.3, 0.5], zero_point: vec![10, 10], axis: Some(0) };
        let new = Quant { zero_point: vec![0, 0], ..at_least(&old) };
        requantise(&mut tensor, &old, new, DType::I8);
        // 4 · 0.3 / 0.5 = 2.4; 245 · 0.5 / 0.5 saturates.
        assert_eq!(tensor.data, Some(Data::Stored(Bytes::from(vec![0, 2, 0, 127]))));
        assert_eq!(tensor.dtype, DType::I8);
    }
}
