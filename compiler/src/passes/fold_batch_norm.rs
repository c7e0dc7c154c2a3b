//! Folds per-channel scale and shift into their producer, in float models.
//!
//! A batch norm, or a product or sum with a per-channel constant, that alone reads a convolution or fully connected layer goes into
//! its weights and bias; a product or sum that alone reads a batch norm goes into its scale and bias. All in f32, rounded at each
//! step: `w' = w · a[c]`, `bias' = f32(bias · a[c]) + b[c]`, with a and b of rule N-8. Scale and shift *before* a convolution stay:
//! padding is not shifted.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;
use systole_network::graph::{Graph, NodeId};
use systole_network::op::Op;
use systole_network::tensor::{DType, Data, Tensor, TensorId, bytes_of_f32};

use super::{Context, PassError, Quantised, Values, arithmetic, constants, drop_unused, is_float, transposed};

pub(super) fn run(state: &mut Quantised, context: &Context<'_>) -> Result<(), Vec<PassError>> {
    if is_float(&state.graph) {
        let seed = match context.values {
            Values::Real { seed, .. } | Values::Weights { seed } => Some(*seed),
            Values::Structure => None,
        };
        if let Some(seed) = seed {
            draw_seeded(&mut state.graph, seed);
        }
        fold(&mut state.graph, seed)?;
    }
    Ok(())
}

/// Draws all seeded constants of a network with batch norm at once, in parallel: nearly all of them are about to be folded.
fn draw_seeded(graph: &mut Graph, seed: u64) {
    if !graph.nodes.iter().any(|node| matches!(node.op, Op::BatchNorm { .. })) {
        return;
    }
    graph.tensors.par_iter_mut().filter(|tensor| matches!(tensor.data, Some(Data::Seeded { .. }))).for_each(|tensor| {
        tensor.data = constants::floats(tensor, seed).map(|values| Data::Stored(bytes_of_f32(&values)));
    });
}

/// `seed` is absent when nobody will look at numbers.
fn fold(graph: &mut Graph, seed: Option<u64>) -> Result<(), Vec<PassError>> {
    let order = graph.topological_order().map_err(|node| vec![PassError::cycle(graph, node)])?;
    let consumers = graph.consumers();
    let mut producers = graph.producers();
    let names = graph.tensors.iter().map(|t| t.name.clone()).collect();
    let mut folder = Folder { names, seed, consumers: &consumers, graph };
    let mut removed = BTreeSet::new();
    for id in order {
        let node = folder.graph.node(id);
        let Some(&x) = node.inputs.first() else {
            continue;
        };
        let Some(&producer) = producers.get(&x) else {
            continue;
        };
        // Folding hands the output on, so the only reader of x is still the only one.
        let alone = consumers.get(&x).is_some_and(|readers| readers.len() == 1) && !folder.graph.outputs.contains(&x);
        if alone && folder.fold_into(id, producer) {
            let (output, origins) = (folder.graph.node(id).outputs[0], folder.graph.node(id).origins.clone());
            let producer_node = &mut folder.graph.nodes[producer.0 as usize];
            producer_node.outputs = vec![output];
            producer_node.origins.extend(origins);
            producers.insert(output, producer);
            removed.insert(id);
        }
    }
    let mut index = 0;
    graph.nodes.retain(|_| {
        index += 1;
        !removed.contains(&NodeId(index - 1))
    });
    drop_unused(graph);
    Ok(())
}

/// `a · x + b` for each channel; `None` inside where it is 1 or 0. Values are `None` when unknown.
struct Affine {
    a: Option<Option<Vec<f32>>>,
    b: Option<Option<Vec<f32>>>,
}

struct Folder<'a> {
    graph: &'a mut Graph,
    seed: Option<u64>,
    names: BTreeSet<String>,
    /// Of the graph as it came.
    consumers: &'a BTreeMap<TensorId, Vec<NodeId>>,
}

impl Folder<'_> {
    fn fold_into(&mut self, id: NodeId, producer: NodeId) -> bool {
        let Some(affine) = self.affine(id) else {
            return false;
        };
        match self.graph.node(producer).op {
            Op::Conv(_) | Op::FullyConnected | Op::ConvTranspose(_) => self.fold_into_linear(producer, affine),
            Op::BatchNorm { .. } if !matches!(self.graph.node(id).op, Op::BatchNorm { .. }) => {
                self.fold_into_batch_norm(producer, affine);
            }
            _ => return false,
        }
        true
    }

    fn values(&self, id: TensorId) -> Option<Vec<f32>> {
        constants::floats(self.graph.tensor(id), self.seed?)
    }

    fn affine(&self, id: NodeId) -> Option<Affine> {
        let node = self.graph.node(id);
        let vector = |index: usize| {
            let &operand = node.inputs.get(index)?;
            let tensor = self.graph.tensor(operand);
            let channels = self.graph.tensor(node.outputs[0]).shape.get(1)?;
            (tensor.data.is_some() && tensor.shape == [*channels]).then(|| self.values(operand))
        };
        match node.op {
            Op::Mul => Some(Affine { a: Some(vector(1)?), b: None }),
            Op::Add => Some(Affine { a: None, b: Some(vector(1)?) }),
            Op::BatchNorm { epsilon } => {
                let (scale, bias, mean, variance) = (vector(1)?, vector(2)?, vector(3)?, vector(4)?);
                let (a, b) = match (scale, bias, mean, variance) {
                    (Some(scale), Some(bias), Some(mean), Some(variance)) => {
                        let channel =
                            |c: usize| arithmetic::batch_norm(scale[c], bias[c], mean[c], variance[c], epsilon);
                        let (a, b) = (0..scale.len()).map(channel).unzip();
                        (Some(a), Some(b))
                    }
                    _ => (None, None),
                };
                Some(Affine { a: Some(a), b: Some(b) })
            }
            _ => None,
        }
    }

    fn fold_into_linear(&mut self, producer: NodeId, affine: Affine) {
        let (weights, bias) = {
            let inputs = &self.graph.node(producer).inputs;
            (inputs[1], inputs.get(2).copied())
        };
        let shape = self.graph.tensor(weights).shape.clone();
        let groups = match &self.graph.node(producer).op {
            Op::ConvTranspose(conv) => Some(conv.groups),
            _ => None,
        };
        let channels =
            groups.and_then(|groups| transposed::shape(&shape, groups)).map_or(shape[0], |by_output| by_output[0]);
        if let Some(a) = &affine.a {
            let scaled = self.values(weights).zip(a.as_ref()).map(|(mut w, a)| {
                let row = w.len() / channels.max(1);
                let channel = |index: usize| match groups {
                    Some(groups) => transposed::output_channel(&shape, groups, index),
                    None => index / row,
                };
                w.iter_mut().enumerate().for_each(|(index, w)| *w *= a[channel(index)]);
                w
            });
            let name = self.graph.tensor(weights).name.clone();
            self.graph.nodes[producer.0 as usize].inputs[1] = self.replacement(&name, shape, scaled, Some(weights));
        }
        if bias.is_none() && affine.b.is_none() {
            return;
        }
        let old = match bias {
            Some(id) => self.values(id),
            None => Some(vec![0.0; channels]),
        };
        let shifted = apply(old, &affine);
        let name = match bias {
            Some(id) => self.graph.tensor(id).name.clone(),
            None => format!("{}:bias", self.graph.node(producer).name),
        };
        let made = self.replacement(&name, vec![channels], shifted, bias);
        let inputs = &mut self.graph.nodes[producer.0 as usize].inputs;
        inputs.truncate(2);
        inputs.push(made);
    }

    fn fold_into_batch_norm(&mut self, producer: NodeId, affine: Affine) {
        let (scale, bias) = (self.graph.node(producer).inputs[1], self.graph.node(producer).inputs[2]);
        let shape = self.graph.tensor(scale).shape.clone();
        let name = |folder: &Self, id: TensorId| folder.graph.tensor(id).name.clone();
        if let Some(a) = &affine.a {
            let scaled = self.values(scale).zip(a.as_ref()).map(|(s, a)| s.iter().zip(a).map(|(s, a)| s * a).collect());
            let made = self.replacement(&name(self, scale), shape.clone(), scaled, Some(scale));
            self.graph.nodes[producer.0 as usize].inputs[1] = made;
        }
        let shifted = apply(self.values(bias), &affine);
        let made = self.replacement(&name(self, bias), shape, shifted, Some(bias));
        self.graph.nodes[producer.0 as usize].inputs[2] = made;
    }

    /// A new f32 constant in place of `old`, under its name if nobody else reads `old`.
    fn replacement(
        &mut self,
        name: &str,
        shape: Vec<usize>,
        values: Option<Vec<f32>>,
        old: Option<TensorId>,
    ) -> TensorId {
        let data = Some(values.map_or(Data::Unknown, |values| Data::Stored(bytes_of_f32(&values))));
        // What this pass has made has one reader and is not in the list.
        let shared = |id: TensorId| self.consumers.get(&id).is_some_and(|readers| readers.len() > 1);
        if let Some(id) = old.filter(|&id| !shared(id)) {
            self.graph.tensors[id.0 as usize].data = data;
            return id;
        }
        let name = super::fresh_name(&mut self.names, name);
        let made = self.graph.add_tensor(Tensor { name, shape, dtype: DType::F32, quant: None, data });
        // A channel times a number still has as few values.
        if let Some(&narrow) = old.and_then(|id| self.graph.narrow.get(&id)) {
            self.graph.narrow.insert(made, narrow);
        }
        made
    }
}

/// `f32(v · a) + b`.
fn apply(values: Option<Vec<f32>>, affine: &Affine) -> Option<Vec<f32>> {
    let mut values = values?;
    if let Some(a) = &affine.a {
        values.iter_mut().zip(a.as_ref()?).for_each(|(v, a)| *v *= a);
    }
    if let Some(b) = &affine.b {
        values.iter_mut().zip(b.as_ref()?).for_each(|(v, b)| *v += b);
    }
    Some(values)
}
