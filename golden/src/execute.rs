//! Runs a graph node by node in topological order, on one image or on several side by side.
//!
//! Values that depend on constants alone are computed once for all images. Nothing here is specific to an operator.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use systole_network::graph::{Form, Graph, Node, NodeId};
use systole_network::tensor::{Tensor, TensorId};

use crate::call::Call;
use crate::constants;
use crate::error::GoldenError;
use crate::value::Value;
use crate::{float, integer};

/// Which activations a run hands back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// The graph's outputs; others are freed after their last consumer.
    #[default]
    Outputs,
    /// Every computed activation.
    All,
}

/// How to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Seed of the seeded constants.
    pub seed: u64,
    /// What to hand back.
    pub keep: Keep,
}

/// The result of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// The activations that were asked for. With [`Keep::All`] those that nodes computed, and the graph's outputs.
    pub tensors: BTreeMap<TensorId, Value>,
}

/// Runs `graph` on one set of inputs. The form of the graph decides between integer and float arithmetic.
///
/// # Errors
/// An input that is missing or does not fit, a constant without contents, a graph that contradicts itself.
pub fn run(graph: &Graph, inputs: &BTreeMap<TensorId, Value>, options: Options) -> Result<Run, GoldenError> {
    let mut kept: BTreeMap<TensorId, Arc<Value>> = BTreeMap::new();
    let outputs: BTreeSet<TensorId> = graph.outputs.iter().copied().collect();
    let mut state = State::new(graph, std::slice::from_ref(inputs), options.seed)?;
    for output in &graph.outputs {
        if let Some(value) = state.images[0].get(output) {
            kept.insert(*output, Arc::clone(value));
        }
    }
    state.run(|id, values| {
        if options.keep == Keep::All || outputs.contains(&id) {
            kept.insert(id, Arc::clone(&values[0]));
        }
    })?;
    drop(state);
    for output in &graph.outputs {
        if !kept.contains_key(output) {
            kept.insert(*output, Arc::new(constant(graph, *output, options.seed)?));
        }
    }
    Ok(Run { tensors: kept.into_iter().map(|(id, value)| (id, Arc::unwrap_or_clone(value))).collect() })
}

/// Runs one node. `inputs` holds its activations; constants that it does not hold come from the graph.
///
/// # Errors
/// As [`run`].
pub fn run_node(
    graph: &Graph,
    node: NodeId,
    inputs: &BTreeMap<TensorId, Value>,
    seed: u64,
) -> Result<Vec<Value>, GoldenError> {
    check_graph(graph)?;
    let Some(node) = graph.nodes.get(node.0 as usize) else {
        return Err(bad_graph(format!("no node {}", node.0)));
    };
    let mut constants = BTreeMap::new();
    for &id in &node.inputs {
        match inputs.get(&id) {
            Some(value) => check_input(graph.tensor(id), value)?,
            None => {
                constants.insert(id, constant(graph, id, seed)?);
            }
        }
    }
    let values = node.inputs.iter().filter_map(|id| inputs.get(id).or_else(|| constants.get(id))).collect();
    Ok(vec![evaluate(graph, node, values)?])
}

/// Smallest and largest value of every f32 activation (graph inputs included) over `images`, in index order. NaN does not
/// count; a tensor of NaN alone has the empty range `(∞, −∞)`.
///
/// # Errors
/// As [`run`].
pub fn ranges(
    graph: &Graph,
    images: &[BTreeMap<TensorId, Value>],
    seed: u64,
) -> Result<BTreeMap<TensorId, (f64, f64)>, GoldenError> {
    let mut ranges = BTreeMap::new();
    let mut state = State::new(graph, images, seed)?;
    for &id in &graph.inputs {
        widen(&mut ranges, id, state.images.iter().filter_map(|image| image.get(&id)));
    }
    state.run(|id, values| widen(&mut ranges, id, values.iter()))?;
    Ok(ranges)
}

/// Widens the range of tensor `id` by its f32 values.
fn widen<'a>(ranges: &mut BTreeMap<TensorId, (f64, f64)>, id: TensorId, values: impl Iterator<Item = &'a Arc<Value>>) {
    for value in values {
        let Value::F32(elements) = value.as_ref() else { continue };
        let range = ranges.entry(id).or_insert((f64::INFINITY, f64::NEG_INFINITY));
        for &element in elements {
            let element = f64::from(element);
            if element < range.0 {
                range.0 = element;
            }
            if element > range.1 {
                range.1 = element;
            }
        }
    }
}

/// A run under way: the live values of each image.
struct State<'a> {
    graph: &'a Graph,
    seed: u64,
    images: Vec<BTreeMap<TensorId, Arc<Value>>>,
    /// Readers of each tensor that have yet to run.
    readers: BTreeMap<TensorId, usize>,
    /// Computed tensors that depend on constants alone.
    derived: BTreeSet<TensorId>,
}

impl<'a> State<'a> {
    /// Starts with the graph's inputs.
    fn new(graph: &'a Graph, images: &[BTreeMap<TensorId, Value>], seed: u64) -> Result<Self, GoldenError> {
        check_graph(graph)?;
        let mut state = State { graph, seed, images: vec![], readers: BTreeMap::new(), derived: BTreeSet::new() };
        for inputs in images {
            let mut live = BTreeMap::new();
            for &id in &graph.inputs {
                let tensor = graph.tensor(id);
                let missing = || GoldenError::MissingInput { tensor: tensor.name.clone() };
                let value = inputs.get(&id).ok_or_else(missing)?;
                check_input(tensor, value)?;
                live.insert(id, Arc::new(value.clone()));
            }
            state.images.push(live);
        }
        for input in graph.nodes.iter().flat_map(|node| &node.inputs) {
            *state.readers.entry(*input).or_default() += 1;
        }
        Ok(state)
    }

    /// Runs every node; `computed` sees each tensor's values, one per image, when they are made.
    fn run(&mut self, mut computed: impl FnMut(TensorId, &[Arc<Value>])) -> Result<(), GoldenError> {
        let graph = self.graph;
        let order = graph
            .topological_order()
            .map_err(|node| bad_graph(format!("node `{}` lies on a cycle", graph.node(node).name)))?;
        for id in order {
            let node = graph.node(id);
            let values = self.step(node)?;
            for &output in &node.outputs {
                computed(output, &values);
                for (live, value) in self.images.iter_mut().zip(&values) {
                    if self.readers.contains_key(&output) {
                        live.insert(output, Arc::clone(value));
                    }
                }
            }
            self.release(node);
        }
        Ok(())
    }

    /// The output of one node for each image.
    fn step(&mut self, node: &Node) -> Result<Vec<Arc<Value>>, GoldenError> {
        let graph = self.graph;
        let mut constants = BTreeMap::new();
        let mut constant_only = true;
        for &id in &node.inputs {
            if graph.tensor(id).data.is_some() {
                constants.insert(id, constant(graph, id, self.seed)?);
            } else if !self.derived.contains(&id) {
                constant_only = false;
            }
        }
        let mut results: Vec<Arc<Value>> = vec![];
        for live in &self.images {
            if let (true, Some(first)) = (constant_only, results.first()) {
                results.push(Arc::clone(first));
                continue;
            }
            let mut values = vec![];
            for id in &node.inputs {
                let value = constants.get(id).or_else(|| live.get(id).map(Arc::as_ref));
                values.push(value.ok_or_else(|| uncomputed(graph.tensor(*id)))?);
            }
            results.push(Arc::new(evaluate(graph, node, values)?));
        }
        if constant_only {
            self.derived.extend(&node.outputs);
        }
        Ok(results)
    }

    /// Frees the inputs that `node` was the last to read.
    fn release(&mut self, node: &Node) {
        for input in &node.inputs {
            let Some(left) = self.readers.get_mut(input) else { continue };
            *left -= 1;
            if *left == 0 {
                self.images.iter_mut().for_each(|live| {
                    live.remove(input);
                });
            }
        }
    }
}

/// The output of `node`, checked against its tensor.
fn evaluate(graph: &Graph, node: &Node, values: Vec<&Value>) -> Result<Value, GoldenError> {
    let call = Call { graph, node, values };
    let output = call.output()?;
    let value = match graph.form {
        Form::Imported => float::evaluate(&call)?,
        Form::Quantised => integer::evaluate(&call)?,
    };
    if (value.dtype(), value.len()) == (output.dtype.held(), output.elements()) {
        return Ok(value);
    }
    let (made, said) = (value.dtype().name(), output.dtype.name());
    Err(call.malformed(format!("makes {} x {made}, the graph says {} x {said}", value.len(), output.elements())))
}

fn constant(graph: &Graph, id: TensorId, seed: u64) -> Result<Value, GoldenError> {
    let tensor = graph.tensor(id);
    match &tensor.data {
        Some(data) => constants::load(tensor, data, seed),
        None => Err(GoldenError::MissingInput { tensor: tensor.name.clone() }),
    }
}

fn check_input(tensor: &Tensor, value: &Value) -> Result<(), GoldenError> {
    if (tensor.dtype.held(), tensor.elements()) == (value.dtype(), value.len()) {
        return Ok(());
    }
    Err(GoldenError::InputMismatch {
        tensor: tensor.name.clone(),
        expected: tensor.dtype,
        expected_elements: tensor.elements(),
        dtype: value.dtype(),
        elements: value.len(),
    })
}

/// Refuses indices out of range and shapes that no memory holds.
fn check_graph(graph: &Graph) -> Result<(), GoldenError> {
    let ids = graph.nodes.iter().flat_map(|node| node.inputs.iter().chain(&node.outputs));
    let dangling = ids.chain(&graph.inputs).chain(&graph.outputs).find(|id| id.0 as usize >= graph.tensors.len());
    if let Some(id) = dangling {
        return Err(bad_graph(format!("no tensor {}", id.0)));
    }
    for tensor in &graph.tensors {
        if tensor.shape.contains(&0) {
            return Err(bad_graph(format!("tensor `{}` of shape {:?} is empty", tensor.name, tensor.shape)));
        }
        let bytes = tensor.shape.iter().try_fold(tensor.dtype.bytes(), |bytes, &length| bytes.checked_mul(length));
        if bytes.is_none_or(|bytes| isize::try_from(bytes).is_err()) {
            return Err(bad_graph(format!("tensor `{}` of shape {:?} is too large", tensor.name, tensor.shape)));
        }
    }
    Ok(())
}

fn bad_graph(reason: String) -> GoldenError {
    GoldenError::BadGraph { reason }
}

fn uncomputed(tensor: &Tensor) -> GoldenError {
    bad_graph(format!("nothing computes tensor `{}`", tensor.name))
}
