//! Plans the integer form of a file with QuantizeLinear and DequantizeLinear: each Quantize, with the operator before it and the
//! Dequantizes before that, becomes one integer operator.
//!
//! Operators that only move or select values, and ReLU, may go without a Quantize: they keep their input's scale, exactly. Softmax
//! may, with rule N-12's scale. Everything else that stays in float is an error.

use systole_network::graph::NodeId;
use systole_network::op::Op;
use systole_network::tensor::{DType, Quant, TensorId};

use super::lower::{Failure, Lowering, Target};
use super::{Boundary, PassError, arithmetic, sums};

pub(super) fn plan(lowering: &mut Lowering<'_>) -> Result<(), Vec<PassError>> {
    let source = lowering.source;
    let order = source.topological_order().map_err(|node| vec![PassError::cycle(source, node)])?;
    let absorbed = absorbed(lowering, &order);
    let mut errors = vec![];
    for &id in &source.inputs {
        integer_input(lowering, id, &mut errors);
    }
    for &id in &order {
        let node = source.node(id);
        let Some(&output) = node.outputs.first() else {
            continue;
        };
        let made = match node.op {
            Op::Dequantize if source.tensor(node.inputs[0]).data.is_some() => continue,
            Op::Dequantize => lowering.value(node.inputs[0], id),
            Op::Quantize => quantise(lowering, id),
            _ if absorbed[id.0 as usize] => continue,
            _ => unquantised(lowering, id),
        };
        let value = made.map_err(|failure| errors.extend(reported(failure))).ok();
        lowering.stand_for(output, value);
    }
    for &id in &source.outputs {
        match lowering.known(id) {
            Some(Ok(tensor)) => lowering.outputs.push(Boundary { float_name: source.tensor(id).name.clone(), tensor }),
            Some(Err(failure)) => errors.extend(reported(failure)),
            None => errors.push(PassError::at_tensor(source, id, "an output of the network that is not quantised")),
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

pub(super) fn reported(failure: Failure) -> Option<PassError> {
    match failure {
        Failure::Poisoned => None,
        Failure::Error(error) => Some(error),
    }
}

/// An input that is an integer already.
fn integer_input(lowering: &mut Lowering<'_>, id: TensorId, errors: &mut Vec<PassError>) {
    let tensor = lowering.source.tensor(id);
    if tensor.dtype == DType::F32 {
        return;
    }
    let quant = tensor.quant.clone().or_else(|| sums::input_quant(lowering, id));
    match (quant, tensor.dtype.range()) {
        (Some(quant), Some(_)) if quant.axis.is_none() => {
            let (name, dtype) = (tensor.name.clone(), tensor.dtype);
            let value = lowering.input(id, &name, dtype, quant);
            lowering.stand_for(id, Some(value));
        }
        _ => {
            let message = format!("an input of type {} without one scale for all of it", tensor.dtype.name());
            errors.push(PassError::at_tensor(lowering.source, id, message));
            lowering.stand_for(id, None);
        }
    }
}

/// By node: whether its result has no integer form but the one that a later Quantize gives it.
fn floats(lowering: &Lowering<'_>, order: &[NodeId]) -> Vec<bool> {
    let source = lowering.source;
    let mut floats = vec![false; source.nodes.len()];
    for &id in order {
        let node = source.node(id);
        let made_by_float = |x: &TensorId| lowering.producers.get(x).is_some_and(|maker| floats[maker.0 as usize]);
        floats[id.0 as usize] = match &node.op {
            Op::Quantize | Op::Dequantize | Op::Softmax => false,
            op if sums::adds_integers(op) => false,
            op if hands_on(op) || matches!(op, Op::Relu | Op::Clip { .. }) => node.inputs.iter().any(made_by_float),
            _ => true,
        };
    }
    floats
}

/// Whether quantising before the operator is the same as quantising after it: it moves values, or selects by order, which rounding keeps.
fn hands_on(op: &Op) -> bool {
    op.only_moves() || matches!(op, Op::MaxPool(_) | Op::GlobalMaxPool | Op::Concat)
}

/// By node: whether every path from its output leads through activations that fuse, or operators that hand it on, to a Quantize, so
/// that it needs no value of its own.
fn absorbed(lowering: &Lowering<'_>, order: &[NodeId]) -> Vec<bool> {
    let source = lowering.source;
    let floats = floats(lowering, order);
    let mut absorbed = vec![false; source.nodes.len()];
    for &id in order.iter().rev() {
        let node = source.node(id);
        let readers = lowering.consumers.get(&node.outputs[0]).map_or(&[][..], Vec::as_slice);
        let output = source.outputs.contains(&node.outputs[0]);
        let takes = |reader: &NodeId| match source.node(*reader).op {
            Op::Quantize => !node.op.only_moves() || floats[id.0 as usize] || keeps_scale(lowering, id, *reader),
            ref op if hands_on(op) => floats[id.0 as usize] && absorbed[reader.0 as usize],
            Op::Relu | Op::Clip { .. } => clamps(&node.op) && absorbed[reader.0 as usize],
            _ => false,
        };
        absorbed[id.0 as usize] = !output && readers.iter().all(takes);
    }
    absorbed
}

/// Whether what the view `id` reads has the scale, zero point and type that the Quantize after it gives.
fn keeps_scale(lowering: &Lowering<'_>, id: NodeId, quantize: NodeId) -> bool {
    let source = lowering.source;
    let Some(before) = lowering.producers.get(&source.node(id).inputs[0]).map(|&maker| source.node(maker)) else {
        return false;
    };
    let (from, to) = (source.tensor(before.inputs[0]), source.tensor(source.node(quantize).outputs[0]));
    before.op == Op::Dequantize && from.data.is_none() && from.quant == to.quant && from.dtype == to.dtype
}

/// Whether the integer form of an operator ends in a saturation that a clamp can narrow.
pub(super) fn clamps(op: &Op) -> bool {
    matches!(
        op,
        Op::Conv(_)
            | Op::FullyConnected
            | Op::ConvTranspose(_)
            | Op::Add
            | Op::Sum
            | Op::Mul
            | Op::Lrn(_)
            | Op::Sub
            | Op::Div
            | Op::Max
            | Op::Min
            | Op::Function(_)
            | Op::PRelu
            | Op::BatchNorm { .. }
            | Op::AveragePool(_)
            | Op::GlobalAveragePool
            | Op::Relu
            | Op::Clip { .. }
    )
}

/// Everything from the nearest integer values to a Quantize.
fn quantise(lowering: &mut Lowering<'_>, id: NodeId) -> Result<TensorId, Failure> {
    let source = lowering.source;
    let node = source.node(id);
    let result = source.tensor(node.outputs[0]);
    let (Some(_), Some(quant)) = (result.dtype.range(), result.quant.clone().filter(|quant| quant.axis.is_none()))
    else {
        return Err(PassError::at_node(source, id, "activations are i8 or u8 with one scale").into());
    };
    let (name, origins) = (result.name.clone(), node.origins.clone());
    integers_of(lowering, id, node.inputs[0], Target { name, dtype: result.dtype, quant, clamp: None, origins }, 0)
}

/// The float tensor `x` as the integers that the Quantize `id` makes of it.
fn integers_of(
    lowering: &mut Lowering<'_>,
    id: NodeId,
    mut x: TensorId,
    mut target: Target,
    depth: usize,
) -> Result<TensorId, Failure> {
    let source = lowering.source;
    let range = target.dtype.range().unwrap_or((0, 255));
    let mut activations = vec![];
    let producer = loop {
        if lowering.known(x).is_some() {
            break None;
        }
        match lowering.producers.get(&x).copied() {
            Some(maker) if matches!(source.node(maker).op, Op::Relu | Op::Clip { .. }) => {
                activations.push(&source.node(maker).op);
                target.origins.splice(0..0, source.node(maker).origins.iter().cloned());
                x = source.node(maker).inputs[0];
            }
            other => break other,
        }
    };
    target.clamp = activations.iter().rev().fold(None, |clamp, op| Some(narrowed(clamp, op, &target.quant, range)));
    match (lowering.known(x), producer) {
        (Some(value), _) => Ok(lowering.rescale(value?, &source.node(id).name, target)),
        (None, Some(producer)) if hands_on(&source.node(producer).op) => {
            handed_on(lowering, id, producer, target, depth)
        }
        (None, Some(producer)) => lowering.step(producer, target),
        (None, None) if source.inputs.contains(&x) && target.clamp.is_none() => {
            Ok(lowering.input(x, &target.name, target.dtype, target.quant))
        }
        (None, None) => lowering.value(x, id),
    }
}

/// Operators in a row that hand on float values: one is common, and each costs a level of recursion.
const MAX_HANDED_ON: usize = 32;

/// What `producer` hands on to the Quantize `id`: float inputs are quantised before it instead.
fn handed_on(
    lowering: &mut Lowering<'_>,
    id: NodeId,
    producer: NodeId,
    target: Target,
    depth: usize,
) -> Result<TensorId, Failure> {
    let source = lowering.source;
    if depth == MAX_HANDED_ON {
        let message =
            format!("more than {MAX_HANDED_ON} operators that hand float values on lie before a QuantizeLinear");
        return Err(PassError::at_node(source, producer, message).help("quantise between them").into());
    }
    let mut inputs = source.node(producer).inputs.clone();
    inputs.sort_unstable();
    inputs.dedup();
    inputs.retain(|&input| lowering.known(input).is_none());
    for &input in &inputs {
        let name = source.tensor(input).name.clone();
        let before = Target { name, clamp: None, origins: vec![], ..target.clone() };
        let value = integers_of(lowering, id, input, before, depth + 1)?;
        lowering.stand_for(input, Some(value));
    }
    let made = lowering.step(producer, target);
    // Another Quantize may ask for another scale.
    inputs.into_iter().for_each(|input| lowering.forget(input));
    made
}

/// `clamp` (the whole range if none) and then one more activation, in integers. Rounding is monotonic, so this is exact.
pub(super) fn narrowed(clamp: Option<(i32, i32)>, activation: &Op, quant: &Quant, range: (i32, i32)) -> (i32, i32) {
    let (scale, zero_point) = (quant.scale_of(0), quant.zero_point_of(0));
    let bounds = match activation {
        Op::Clip { low, high } => {
            let bound = |v: f32| arithmetic::quantise(v, scale, zero_point, range);
            (bound(*low), bound(*high))
        }
        _ => (zero_point.clamp(range.0, range.1), range.1),
    };
    let (low, high) = clamp.unwrap_or(range);
    (low.clamp(bounds.0, bounds.1), high.clamp(bounds.0, bounds.1))
}

/// An operator that no Quantize follows.
fn unquantised(lowering: &mut Lowering<'_>, id: NodeId) -> Result<TensorId, Failure> {
    let source = lowering.source;
    let node = source.node(id);
    let x = node.inputs[0];
    let mut target = Target {
        name: source.tensor(node.outputs[0]).name.clone(),
        dtype: DType::U8,
        quant: Quant::per_tensor(1.0, 0),
        clamp: None,
        origins: vec![],
    };
    let stays = || {
        let message = format!("its result `{}` stays in float", source.tensor(node.outputs[0]).name);
        Failure::from(PassError::at_node(source, id, message).help("quantise it with QuantizeLinear"))
    };
    if node.inputs.iter().any(|&input| matches!(lowering.known(input), Some(Err(_)))) {
        return Err(Failure::Poisoned);
    }
    match &node.op {
        op if op.only_moves() => {}
        op if sums::adds_integers(op) => return lowering.step(id, target),
        // Refused there, for a reason of its own.
        Op::Cast => return lowering.step(id, target),
        Op::MaxPool(_) | Op::GlobalMaxPool | Op::Concat | Op::Relu | Op::Clip { .. } | Op::Softmax => {}
        _ => return Err(stays()),
    }
    let values = node.inputs.iter().map(|&input| lowering.value(input, id)).collect::<Result<Vec<_>, _>>()?;
    let value = lowering.value(x, id)?;
    target.dtype = lowering.graph.tensor(value).dtype;
    target.quant = lowering.quant(value);
    let range = target.dtype.range().unwrap_or((0, 255));
    let alike =
        |&other: &TensorId| lowering.quant(other) == target.quant && lowering.graph.tensor(other).dtype == target.dtype;
    match &node.op {
        Op::Concat if !values.iter().all(alike) => return Err(stays()),
        Op::Relu | Op::Clip { .. } => target.clamp = Some(narrowed(None, &node.op, &target.quant, range)),
        Op::Softmax => target.quant = Quant::per_tensor(1.0 / 256.0, range.0),
        _ => {}
    }
    lowering.step(id, target)
}
