//! One imported operator at a time to its integer form. Where scales come from is the plan's business, what is in the constants is
//! that of the jobs left for [`super::fill`]: here constants are made with the right shapes and unknown contents.

use std::collections::{BTreeMap, BTreeSet};

use systole_network::graph::{Form, Graph, Node, NodeId};
use systole_network::op::Op;
use systole_network::policy::{NumericPolicy, Requantisation};
use systole_network::tensor::{DType, Data, Quant, Tensor, TensorId};

use super::fill::{Job, bias_quant};
use super::{Boundary, PassError, constants, fresh_name, sums, switches, transposed};

/// Why there is no result.
pub(super) enum Failure {
    /// What it reads failed, which has been reported.
    Poisoned,
    /// To be reported.
    Error(PassError),
}

impl From<PassError> for Failure {
    fn from(error: PassError) -> Self {
        Failure::Error(error)
    }
}

type Result<T> = std::result::Result<T, Failure>;

/// The integer tensor that a step makes.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) name: String,
    pub(super) dtype: DType,
    pub(super) quant: Quant,
    /// Of a fused ReLU or clip.
    pub(super) clamp: Option<(i32, i32)>,
    /// Nodes of the file besides the operator itself.
    pub(super) origins: Vec<String>,
}

pub(super) struct Lowering<'a> {
    pub(super) source: &'a Graph,
    pub(super) producers: BTreeMap<TensorId, NodeId>,
    pub(super) consumers: BTreeMap<TensorId, Vec<NodeId>>,
    pub(super) graph: Graph,
    pub(super) jobs: Vec<Job>,
    pub(super) inputs: Vec<Boundary>,
    pub(super) outputs: Vec<Boundary>,
    /// The integer tensor that stands for a source tensor; `None` if its maker failed.
    values: BTreeMap<TensorId, Option<TensorId>>,
    /// Weights that are made already, by source tensor and the groups of a transposed convolution.
    weights: BTreeMap<(TensorId, Option<usize>), TensorId>,
    /// Constant operands of sums and products that are made already, by source tensor.
    operands: BTreeMap<TensorId, TensorId>,
    tensor_names: BTreeSet<String>,
    node_names: BTreeSet<String>,
}

impl<'a> Lowering<'a> {
    pub(super) fn new(source: &'a Graph, policy: NumericPolicy) -> Self {
        let mut graph = Graph::new(source.name.clone(), Form::Quantised);
        graph.policy = policy;
        Lowering {
            source,
            producers: source.producers(),
            consumers: source.consumers(),
            graph,
            jobs: vec![],
            inputs: vec![],
            outputs: vec![],
            values: BTreeMap::new(),
            weights: BTreeMap::new(),
            operands: BTreeMap::new(),
            tensor_names: BTreeSet::new(),
            node_names: BTreeSet::new(),
        }
    }

    /// The integer tensor that stands for `id`, if there is one.
    pub(super) fn known(&self, id: TensorId) -> Option<Result<TensorId>> {
        self.values.get(&id).map(|value| value.ok_or(Failure::Poisoned))
    }

    /// The integer tensor that stands for `id`, which `reader` wants.
    pub(super) fn value(&self, id: TensorId, reader: NodeId) -> Result<TensorId> {
        let name = &self.source.tensor(id).name;
        let value = self.known(id).unwrap_or_else(|| {
            let message = format!("its input `{name}` is not quantised");
            Err(PassError::at_node(self.source, reader, message).help("quantise it with QuantizeLinear").into())
        })?;
        if self.graph.tensor(value).dtype == DType::I32 {
            let message =
                format!("its input `{name}` is a sum of integers, with which a network can only end (rule N-16)");
            return Err(PassError::at_node(self.source, reader, message)
                .help("quantise the float model statically to Q/DQ pairs, or to QLinearConv and QLinearMatMul")
                .into());
        }
        Ok(value)
    }

    /// The source tensor has no integer value of its own any more.
    pub(super) fn forget(&mut self, source: TensorId) {
        self.values.remove(&source);
    }

    pub(super) fn stand_for(&mut self, source: TensorId, value: Option<TensorId>) {
        self.values.insert(source, value);
    }

    /// The quantisation of an integer activation of the result.
    pub(super) fn quant(&self, id: TensorId) -> Quant {
        self.graph.tensor(id).quant.clone().unwrap_or_else(|| Quant::per_tensor(1.0, 0))
    }

    /// An input of the network.
    pub(super) fn input(&mut self, float: TensorId, name: &str, dtype: DType, quant: Quant) -> TensorId {
        let shape = self.source.tensor(float).shape.clone();
        let tensor = self.tensor(name, shape, dtype, Some(quant), None);
        self.inputs.push(Boundary { float_name: self.source.tensor(float).name.clone(), tensor });
        tensor
    }

    /// Requantises a value.
    pub(super) fn rescale(&mut self, x: TensorId, name: &str, target: Target) -> TensorId {
        let shape = self.graph.tensor(x).shape.clone();
        self.node(name, Op::Rescale, vec![x], shape, target, vec![])
    }

    /// The integer form of the operator `id`.
    pub(super) fn step(&mut self, id: NodeId, target: Target) -> Result<TensorId> {
        let source = self.source;
        let node = source.node(id);
        if let Some(sum) = sums::step(self, id, &target)? {
            return Ok(sum);
        }
        let x = node.inputs.first().copied().ok_or_else(|| PassError::at_node(source, id, "it has no input"))?;
        let (op, inputs) = match &node.op {
            Op::Conv(_) | Op::FullyConnected | Op::ConvTranspose(_) => (node.op.clone(), self.linear(id)?),
            Op::Function(_) | Op::PRelu if target.dtype == DType::I16 => {
                let message = "a table of 16-bit activations would have 65536 entries (rule N-24)";
                return Err(PassError::at_node(source, id, message).help("use 8-bit activations").into());
            }
            Op::Add | Op::Mul | Op::Sub | Op::Div | Op::Max | Op::Min | Op::PRelu => {
                (node.op.clone(), vec![self.value(x, id)?, self.operand(id, target.dtype)?])
            }
            Op::BatchNorm { .. } => (Op::BatchNorm { epsilon: 0.0 }, self.affine(id)?),
            Op::Relu | Op::Clip { .. } | Op::Binarize => (Op::Rescale, vec![self.value(x, id)?]),
            Op::Concat | Op::Sum => {
                let values = node.inputs.iter().map(|&input| self.value(input, id)).collect::<Result<_>>()?;
                (node.op.clone(), values)
            }
            Op::MaxPool(_)
            | Op::AveragePool(_)
            | Op::GlobalAveragePool
            | Op::GlobalMaxPool
            | Op::Function(_)
            | Op::Softmax
            | Op::Lrn(_)
            | Op::Reshape
            | Op::Transpose { .. }
            | Op::Slice { .. }
            | Op::Pad { .. }
            | Op::DepthToSpace { .. }
            | Op::SpaceToDepth { .. }
            | Op::Resize(_)
            | Op::Identity => (node.op.clone(), vec![self.value(x, id)?]),
            Op::Cast => {
                let message =
                    "sums are scaled in float by the nodes after it, which no instruction does with the same rounding";
                return Err(PassError::at_node(source, id, message)
                    .help("quantise the float model statically to Q/DQ pairs, or to QLinearConv and QLinearMatMul")
                    .into());
            }
            Op::DeformSample(_) => (node.op.clone(), vec![self.value(x, id)?, self.value(node.inputs[1], id)?]),
            Op::ArgMaxPool(pool) => {
                switches::check_pool(source, id, pool)?;
                let target = switches::target(target);
                let shape = source.tensor(node.outputs[0]).shape.clone();
                let x = self.value(x, id)?;
                return Ok(self.node(&node.name, node.op.clone(), vec![x], shape, target, node.origins.clone()));
            }
            Op::MaxUnpool(pool) => {
                switches::check_unpool(source, &self.producers, id, pool)?;
                (node.op.clone(), vec![self.value(x, id)?, self.value(node.inputs[1], id)?])
            }
            Op::DeformConv(_) => {
                let message = format!("{} has no integer form yet", node.op.name());
                return Err(PassError::at_node(source, id, message).into());
            }
            Op::ReduceMean { axes, .. } => {
                let message =
                    format!("a mean over the axes {axes:?}; only one over h and w, of an image, has an integer form");
                return Err(PassError::at_node(source, id, message).into());
            }
            Op::Rescale | Op::Quantize | Op::Dequantize | Op::ConvInteger { .. } | Op::MatMulInteger { .. } => {
                return Err(PassError::at_node(source, id, "it does not belong in an imported graph here").into());
            }
        };
        let shape = source.tensor(node.outputs[0]).shape.clone();
        if matches!(op, Op::AveragePool(_) | Op::GlobalAveragePool)
            && let Some(average) = self.average_before(inputs[0], &target)
        {
            let averaged = self.node(&node.name, op, inputs, shape, average, node.origins.clone());
            return Ok(self.rescale(averaged, &format!("{}:rescale", node.name), target));
        }
        Ok(self.node(&node.name, op, inputs, shape, target, node.origins.clone()))
    }

    /// Integers average at the scale of their input (N-5 of N-17): what a change of scale, which is a step of its own, reads.
    fn average_before(&self, x: TensorId, target: &Target) -> Option<Target> {
        let (quant, dtype) = (self.quant(x), self.graph.tensor(x).dtype);
        let integer = self.graph.policy.requantisation != Requantisation::Float32;
        let name = format!("{}:average", target.name);
        (integer && (&quant, dtype) != (&target.quant, target.dtype)).then_some(Target {
            name,
            dtype,
            quant,
            clamp: None,
            origins: vec![],
        })
    }

    fn linear(&mut self, id: NodeId) -> Result<Vec<TensorId>> {
        let node = self.source.node(id);
        let x = self.value(node.inputs[0], id)?;
        let w = self.weights(node.inputs[1], id)?;
        let bias = node.inputs.get(2).copied();
        let channels = self.graph.tensor(w).shape[0];
        let name = match bias {
            Some(bias) => {
                let stored = constants::behind_dequantize(self.source, &self.producers, bias).unwrap_or(bias);
                self.source.tensor(stored).name.clone()
            }
            None => format!("{}:bias", node.name),
        };
        let quant = bias_quant(&self.graph, x, w);
        let out = self.tensor(&name, vec![channels], DType::I32, Some(quant), Some(Data::Unknown));
        self.jobs.push(Job::Bias { source: bias, x, w, out });
        Ok(vec![x, w, out])
    }

    /// i8 or u8 weights from those behind a Dequantize; i8 from f32.
    fn weights(&mut self, id: TensorId, reader: NodeId) -> Result<TensorId> {
        let groups = match &self.source.node(reader).op {
            Op::ConvTranspose(conv) => Some(conv.groups),
            _ => None,
        };
        if let Some(&made) = self.weights.get(&(id, groups)) {
            return Ok(made);
        }
        let unsupported = |message: String| Failure::from(PassError::at_node(self.source, reader, message));
        let stored = constants::behind_dequantize(self.source, &self.producers, id);
        let tensor = self.source.tensor(stored.unwrap_or(id));
        let shape = match groups.and_then(|groups| transposed::shape(&tensor.shape, groups)) {
            Some(shape) => shape.to_vec(),
            None => tensor.shape.clone(),
        };
        let quant = match stored {
            Some(_) if tensor.dtype.range().is_none() => {
                let message =
                    format!("its weights `{}` are {}; i8 and u8 are supported", tensor.name, tensor.dtype.name());
                return Err(unsupported(message));
            }
            Some(_) => {
                let quant = tensor.quant.clone().unwrap_or_else(|| Quant::per_tensor(1.0, 0));
                let by_output = match groups {
                    Some(groups) => transposed::quant(&quant, &tensor.shape, groups),
                    None => Some(quant).filter(|quant| quant.axis.is_none_or(|axis| axis == 0)),
                };
                let Some(quant) = by_output else {
                    let message = format!("its weights `{}` are not scaled by output channel", tensor.name);
                    return Err(unsupported(message));
                };
                if quant.one_zero_point().is_none() {
                    let message = format!("its weights `{}` have several zero points", tensor.name);
                    return Err(unsupported(message));
                }
                quant
            }
            None if tensor.data.is_none() => {
                return Err(unsupported(format!("its weights `{}` are not constant", tensor.name)));
            }
            None => {
                let channels = shape.first().copied().unwrap_or(0);
                Quant { scale: vec![1.0; channels], zero_point: vec![0; channels], axis: Some(0) }
            }
        };
        let data = match (&tensor.data, groups) {
            _ if stored.is_none() => Some(Data::Unknown),
            // One byte each, of i8 and u8.
            (Some(Data::Stored(bytes)), Some(groups)) if bytes.len() == tensor.elements() => {
                Some(Data::Stored(transposed::by_output(bytes, &tensor.shape, groups).into()))
            }
            (data, _) => data.clone(),
        };
        let name = tensor.name.clone();
        let narrow = self.source.narrow.get(&id).copied();
        let dtype = if stored.is_some() { tensor.dtype } else { narrow.unwrap_or(DType::I8) };
        let out = self.tensor(&name, shape, dtype, Some(quant), data);
        if stored.is_none() {
            self.jobs.push(Job::Weights { source: id, out, transposed: groups });
        }
        self.weights.insert((id, groups), out);
        Ok(out)
    }

    /// Second operand of a sum or product: a value, or a constant in the type of the activations.
    fn operand(&mut self, id: NodeId, dtype: DType) -> Result<TensorId> {
        let node = self.source.node(id);
        let &operand = node.inputs.get(1).ok_or_else(|| PassError::at_node(self.source, id, "it has one input"))?;
        if let Some(&made) = self.operands.get(&operand) {
            return Ok(made);
        }
        let stored = constants::behind_dequantize(self.source, &self.producers, operand);
        let tensor = self.source.tensor(stored.unwrap_or(operand));
        if tensor.data.is_none() {
            return self.value(operand, id);
        }
        let (name, shape) = (tensor.name.clone(), tensor.shape.clone());
        let out = if stored.is_some() {
            if tensor.dtype.range().is_none() || tensor.quant.as_ref().is_none_or(|q| q.axis.is_some()) {
                let message = format!("its constant `{name}` is {} or scaled by channel", tensor.dtype.name());
                return Err(PassError::at_node(self.source, id, message)
                    .help("i8 and u8 with one scale are supported")
                    .into());
            }
            let (quant, data) = (tensor.quant.clone(), tensor.data.clone());
            self.tensor(&name, shape, tensor.dtype, quant, data)
        } else {
            let made = self.tensor(&name, shape, dtype, Some(Quant::per_tensor(1.0, 0)), Some(Data::Unknown));
            self.jobs.push(Job::Operand { source: operand, out: made });
            made
        };
        self.operands.insert(operand, out);
        Ok(out)
    }

    fn affine(&mut self, id: NodeId) -> Result<Vec<TensorId>> {
        let node = self.source.node(id);
        let (Op::BatchNorm { epsilon }, &[x, scale, bias, mean, variance]) = (&node.op, node.inputs.as_slice()) else {
            return Err(PassError::at_node(self.source, id, "a batch norm has five inputs").into());
        };
        let x = self.value(x, id)?;
        let shape = self.source.tensor(scale).shape.clone();
        let a = self.tensor(&format!("{}:a", node.name), shape.clone(), DType::F32, None, Some(Data::Unknown));
        let b = self.tensor(&format!("{}:b", node.name), shape, DType::F32, None, Some(Data::Unknown));
        self.jobs.push(Job::Affine { source: [scale, bias, mean, variance], epsilon: *epsilon, a, b });
        Ok(vec![x, a, b])
    }

    pub(super) fn tensor(
        &mut self,
        name: &str,
        shape: Vec<usize>,
        dtype: DType,
        quant: Option<Quant>,
        data: Option<Data>,
    ) -> TensorId {
        let name = fresh_name(&mut self.tensor_names, name);
        self.graph.add_tensor(Tensor { name, shape, dtype, quant, data })
    }

    pub(super) fn node(
        &mut self,
        name: &str,
        op: Op,
        inputs: Vec<TensorId>,
        shape: Vec<usize>,
        target: Target,
        mut origins: Vec<String>,
    ) -> TensorId {
        let output = self.tensor(&target.name, shape, target.dtype, Some(target.quant), None);
        let name = fresh_name(&mut self.node_names, name);
        origins.extend(target.origins);
        self.graph.add_node(Node { name, op, inputs, outputs: vec![output], clamp: target.clamp, origins });
        output
    }
}
