//! Plans the integer form of a float model: scales by rule N-12 from calibrated ranges, or all 1 when only structure is wanted.
//!
//! Which tensors share a scale, what fuses and what becomes a node follows from the graph alone, never from numbers.

use std::collections::BTreeMap;

use systole_network::graph::NodeId;
use systole_network::op::{Function, Op};
use systole_network::policy::{NumericPolicy, Requantisation};
use systole_network::tensor::{DType, Quant, TensorId};

use super::binary;
use super::lower::{Lowering, Target};
use super::powers_of_two::at_least;
use super::quantise_qdq::{clamps, narrowed, reported};
use super::{Boundary, Context, PassError, Values, arithmetic};

/// Ranges by definition: of softmax and sigmoid outputs one that gives scale 1/256 and zero point 0, in 16 bits 1/32768; of a tanh's 1/128.
fn range_by_definition(op: &Op, dtype: DType) -> Option<(f64, f64)> {
    match (op, dtype) {
        (Op::Softmax, DType::I16) => Some((0.0, 32_767.0 / 32_768.0)),
        (Op::Softmax | Op::Function(Function::Sigmoid), _) => Some((0.0, 255.0 / 256.0)),
        (Op::Function(Function::Tanh), _) => Some((-1.0, 127.0 / 128.0)),
        _ => None,
    }
}

pub(super) fn plan(lowering: &mut Lowering<'_>, context: &Context<'_>) -> Result<(), Vec<PassError>> {
    let source = lowering.source;
    let order = source.topological_order().map_err(|node| vec![PassError::cycle(source, node)])?;
    let dtype = context.policy.activation;
    let Some(range) = dtype.range() else {
        let message = format!("activations of type {} are not supported", dtype.name());
        return Err(vec![PassError {
            place: "the numeric policy".into(),
            message,
            remedy: Some("use i8, u8 or i16".into()),
        }]);
    };
    let quants = scales(lowering, &order, context)?;
    // Every activation is in a group, and every group has a scale.
    let quant_of = |id: TensorId| quants.get(&id).cloned().unwrap_or_else(|| Quant::per_tensor(1.0, 0));
    let binary = binary::tensors(source, &order);
    let mut errors = vec![];
    for &id in &source.inputs {
        let value = lowering.input(id, &source.tensor(id).name, dtype, quant_of(id));
        lowering.stand_for(id, Some(value));
    }
    for &id in &order {
        let node = source.node(id);
        if is_fused(lowering, id) {
            continue;
        }
        let chain = fused_chain(lowering, id);
        let output = output_of(lowering, id);
        if binary.contains(&output) {
            let origins = chain.iter().flat_map(|&id| source.node(id).origins.iter().cloned()).collect();
            let target = binary::target(source, output, origins);
            let value = lowering.step(id, target).map_err(|failure| errors.extend(reported(failure))).ok();
            lowering.stand_for(output, value);
            continue;
        }
        let quant = quant_of(output);
        let own = is_activation(&node.op).then_some(id);
        let activations = own.iter().chain(&chain).map(|&id| &source.node(id).op);
        let clamp = match context.values {
            Values::Structure | Values::Weights { .. } => activations.map(|_| range).next_back(),
            Values::Real { .. } => activations.fold(None, |clamp, op| Some(narrowed(clamp, op, &quant, range))),
        };
        let origins = chain.iter().flat_map(|&id| source.node(id).origins.iter().cloned()).collect();
        let target = Target { name: source.tensor(output).name.clone(), dtype, quant, clamp, origins };
        let value = lowering.step(id, target).map_err(|failure| errors.extend(reported(failure))).ok();
        lowering.stand_for(output, value);
    }
    for &id in &source.outputs {
        if let Some(Ok(tensor)) = lowering.known(id) {
            lowering.outputs.push(Boundary { float_name: source.tensor(id).name.clone(), tensor });
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

fn is_activation(op: &Op) -> bool {
    matches!(op, Op::Relu | Op::Clip { .. })
}

/// Whether an activation becomes a clamp of the node before it.
fn is_fused(lowering: &Lowering<'_>, id: NodeId) -> bool {
    let node = lowering.source.node(id);
    let x = node.inputs[0];
    let alone =
        lowering.consumers.get(&x).is_some_and(|readers| readers.len() == 1) && !lowering.source.outputs.contains(&x);
    let before = lowering.producers.get(&x).map(|&producer| &lowering.source.node(producer).op);
    let fuses = if node.op == Op::Binarize { binary::has_sign } else { clamps };
    (is_activation(&node.op) || node.op == Op::Binarize) && alone && before.is_some_and(fuses)
}

/// The activations that become the clamp of `id`, in order.
fn fused_chain(lowering: &Lowering<'_>, id: NodeId) -> Vec<NodeId> {
    let mut chain = vec![];
    let mut last = id;
    while let Some(&[next]) = lowering.consumers.get(&lowering.source.node(last).outputs[0]).map(Vec::as_slice)
        && is_fused(lowering, next)
    {
        chain.push(next);
        last = next;
    }
    chain
}

/// What `id` makes, with the activations that fuse into it.
fn output_of(lowering: &Lowering<'_>, id: NodeId) -> TensorId {
    let last = fused_chain(lowering, id).last().copied().unwrap_or(id);
    lowering.source.node(last).outputs[0]
}

/// The quantisation of each activation that has one: that of its group.
fn scales(
    lowering: &Lowering<'_>,
    order: &[NodeId],
    context: &Context<'_>,
) -> Result<BTreeMap<TensorId, Quant>, Vec<PassError>> {
    let source = lowering.source;
    let calibration = match context.values {
        Values::Structure | Values::Weights { .. } => return Ok(BTreeMap::new()),
        Values::Real { calibration: Some(calibration), .. } => calibration,
        Values::Real { calibration: None, .. } => {
            let message = "a float model needs the ranges of its activations".to_owned();
            return Err(vec![PassError { place: "the network".into(), message, remedy: Some("calibrate it".into()) }]);
        }
    };
    let mut groups = Groups::default();
    let made = order.iter().filter(|&&id| fused_chain(lowering, id).is_empty()).map(|&id| source.node(id).outputs[0]);
    // Indices are no activations: their quantised form has a scale of its own.
    let made = made.filter(|&id| source.tensor(id).dtype == DType::F32);
    let activations: Vec<TensorId> = source.inputs.iter().copied().chain(made).collect();
    for &id in order {
        let node = source.node(id);
        if node.op.only_moves() || matches!(node.op, Op::Concat | Op::MaxPool(_) | Op::GlobalMaxPool) {
            node.inputs.iter().for_each(|&input| groups.join(input, node.outputs[0]));
        }
        if let Op::MaxUnpool(_) = node.op {
            groups.join(node.inputs[0], node.outputs[0]);
        }
        if let Op::DeformSample(_) = node.op {
            groups.share(node.inputs[0], node.outputs[0]);
        }
        // An average of integers is at the scale of what it averages (N-5), whose range holds it.
        let averages = matches!(node.op, Op::AveragePool(_) | Op::GlobalAveragePool);
        if averages && context.policy.requantisation != Requantisation::Float32 {
            groups.share(node.inputs[0], output_of(lowering, id));
        }
    }
    let mut ranges: BTreeMap<TensorId, (f64, f64)> = BTreeMap::new();
    let mut errors = vec![];
    for &id in activations.iter().filter(|id| !groups.scaled_by_reader.contains_key(id)) {
        match range_of(lowering, id, calibration, context.policy) {
            Ok((min, max)) => {
                let range = ranges.entry(groups.root(id)).or_insert((min, max));
                *range = (range.0.min(min), range.1.max(max));
            }
            Err(error) => errors.push(error),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let policy = context.policy;
    let quant = |id: TensorId| {
        let (min, max) = *ranges.get(&groups.root(id))?;
        let quant = arithmetic::activation_quant(min, max, policy.activation);
        Some(if policy.requantisation == Requantisation::Shift { at_least(&quant) } else { quant })
    };
    Ok(activations.iter().filter_map(|&id| Some((id, quant(id)?))).collect())
}

/// The range of a tensor that no reader forces a scale on.
fn range_of(
    lowering: &Lowering<'_>,
    id: TensorId,
    calibration: &BTreeMap<String, (f64, f64)>,
    policy: &NumericPolicy,
) -> Result<(f64, f64), PassError> {
    let source = lowering.source;
    let mut made = id;
    let averages = policy.requantisation != Requantisation::Float32;
    // What shares its input's scale has its range too.
    let shares = |op: &Op| match op {
        Op::MaxPool(_) | Op::GlobalMaxPool => true,
        Op::AveragePool(_) | Op::GlobalAveragePool => averages,
        op => op.only_moves(),
    };
    let defined = loop {
        match lowering.producers.get(&made).map(|&producer| source.node(producer)) {
            Some(node) if shares(&node.op) => made = node.inputs[0],
            Some(node) => break range_by_definition(&node.op, policy.activation),
            None => break None,
        }
    };
    if let Some(range) = defined {
        return Ok(range);
    }
    let name = &source.tensor(id).name;
    match calibration.get(name) {
        Some(&(min, max)) if min.is_finite() && max.is_finite() && min <= max => Ok((min, max)),
        Some((min, max)) => Err(PassError::at_tensor(source, id, format!("its calibrated range is {min} to {max}"))),
        None => Err(PassError::at_tensor(source, id, "it has no calibrated range")),
    }
}

/// Tensors that must share a scale: disjoint sets.
#[derive(Default)]
struct Groups {
    parent: BTreeMap<TensorId, TensorId>,
    /// Tensors whose reader decides on the scale.
    scaled_by_reader: BTreeMap<TensorId, ()>,
}

impl Groups {
    fn root(&self, id: TensorId) -> TensorId {
        let mut root = id;
        while let Some(&parent) = self.parent.get(&root) {
            root = parent;
        }
        root
    }

    /// `input` takes the scale of `output`.
    fn join(&mut self, input: TensorId, output: TensorId) {
        self.scaled_by_reader.insert(input, ());
        self.share(input, output);
    }

    /// Both have one scale, for the ranges of both.
    fn share(&mut self, input: TensorId, output: TensorId) {
        let (from, to) = (self.root(input), self.root(output));
        if from != to {
            self.parent.insert(from, to);
        }
    }
}
