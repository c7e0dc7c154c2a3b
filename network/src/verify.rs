//! The verifier: what must hold of a graph between passes. It reports every violation at once.
//!
//! Both forms, unless said otherwise. *Used* tensors are those that a node, or the graph's inputs or outputs, refer to; the others are
//! only looked at for their names.
//!
//! - **V-1 ids** Every tensor id exists; every node has exactly one output.
//! - **V-2 names** Tensor names are not empty and unique among tensors, node names among nodes.
//! - **V-3 producers** At most one node writes a tensor; none writes a constant or a graph input; a graph input is not constant and
//!   listed once.
//! - **V-4 sources** Every tensor that is read (also as a graph output) is written, constant, or a graph input; there is a graph output.
//! - **V-5 order** There is no cycle.
//! - **V-6 shapes** No dimension is 0, no tensor exceeds [`shape::MAX_ELEMENTS`]; operators fit their inputs and outputs have the
//!   inferred shape (bias lengths, groups and window attributes included); a reshape keeps the number of elements.
//! - **V-7 data** Stored bytes are as many as the shape needs; those of types under 8 bits are values of the type; seeded constants are f32, in the imported form, of a sane distribution.
//! - **V-8 quantisation is well formed** As many zero points as scales; several scales have an axis and match its dimension; scales are
//!   finite and above 0; zero points lie in the type's range (i32, and quantised i16: are 0); only integer tensors are quantised.
//! - **V-9 forms** Relu, Clip, Quantize and Dequantize are imported only, Rescale and clamps quantised only; a clamp is a non-empty part of
//!   the output type's range and not on a view.
//! - **V-10 types** Imported: f32, except around Quantize and Dequantize, through what only moves values, and integers of 8 to 64 bits in
//!   element-wise arithmetic (rule N-32). Quantised: activations
//!   i8, u8 or i16 (b1 for signs), i32 for sums that nothing reads (rule N-16), weights i8, u8 or narrower, biases i32, batch norm's vectors f32.
//! - **V-11 quantisation is there and agrees** Quantised: on every used integer tensor; imported: on Quantize's outputs and Dequantize's inputs.
//!   Views (and imported integer max pooling and concat) do not change it; where an imported one changes the shape, several scales may begin or end. Several scales only on weights (axis 0) and biases; a bias has
//!   scale `sx · sw[c]` (rule N-1).
//! - **V-12 constants** Quantised: weights, biases, batch norm's vectors and per-channel operands are constants.
//! - **V-13 attributes** Epsilon is finite and not negative (quantised: 0); a clip's bounds are ordered, not NaN.
//!
//! Not checked: that stored values are sensible, that tensors are used at all, how near a scale is to the data's range.
//!
//! [`shape::MAX_ELEMENTS`]: crate::shape::MAX_ELEMENTS

use std::collections::BTreeMap;
use std::fmt;

use crate::graph::{Graph, Node, NodeId};
use crate::tensor::{Tensor, TensorId};

mod quant;
mod shapes;
mod structure;
mod types;

/// The invariants, numbered as in the module's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// V-1.
    Ids = 1,
    /// V-2.
    Names,
    /// V-3.
    Producers,
    /// V-4.
    Sources,
    /// V-5.
    Order,
    /// V-6.
    Shapes,
    /// V-7.
    Data,
    /// V-8.
    QuantForm,
    /// V-9.
    Forms,
    /// V-10.
    Types,
    /// V-11.
    QuantAgreement,
    /// V-12.
    Constants,
    /// V-13.
    Attributes,
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "V-{}", *self as u8)
    }
}

/// Where a violation lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The graph as a whole.
    Graph,
    /// A node, by name (`#index` when it has none).
    Node(String),
    /// A tensor, by name (`#index` when it has none), and the node that writes it or, failing that, first reads it.
    Tensor {
        /// The tensor.
        tensor: String,
        /// The node.
        node: Option<String>,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Graph => write!(f, "the graph"),
            Place::Node(name) => write!(f, "node `{name}`"),
            Place::Tensor { tensor, node: Some(node) } => write!(f, "node `{node}`, tensor `{tensor}`"),
            Place::Tensor { tensor, node: None } => write!(f, "tensor `{tensor}`"),
        }
    }
}

/// One violated invariant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {what}; {remedy} [{invariant}]")]
pub struct VerifyError {
    /// Which invariant.
    pub invariant: Invariant,
    /// Where.
    pub place: Place,
    /// What is wrong.
    pub what: String,
    /// Why it may not be, or what to do.
    pub remedy: &'static str,
}

/// Checks all invariants of the module's list.
///
/// # Errors
/// Every violation, in the order of the checks, then of nodes and tensors.
pub fn verify(graph: &Graph) -> Result<(), Vec<VerifyError>> {
    let mut checker = Checker::new(graph);
    structure::check(&mut checker);
    shapes::check(&mut checker);
    quant::check(&mut checker);
    types::check(&mut checker);
    if checker.errors.is_empty() { Ok(()) } else { Err(checker.errors) }
}

/// The graph with what several checks need, and the errors so far.
struct Checker<'g> {
    graph: &'g Graph,
    /// For each used tensor the node that writes it or, failing that, first reads it.
    owners: BTreeMap<TensorId, Option<NodeId>>,
    errors: Vec<VerifyError>,
}

impl<'g> Checker<'g> {
    fn new(graph: &'g Graph) -> Self {
        let mut owners: BTreeMap<TensorId, Option<NodeId>> =
            graph.inputs.iter().chain(&graph.outputs).map(|&id| (id, None)).collect();
        let readers = graph.consumers().into_iter().filter_map(|(id, nodes)| Some((id, *nodes.first()?)));
        owners.extend(readers.chain(graph.producers()).map(|(id, node)| (id, Some(node))));
        owners.retain(|id, _| (id.0 as usize) < graph.tensors.len());
        Checker { graph, owners, errors: vec![] }
    }

    fn at_graph(&mut self, invariant: Invariant, what: impl Into<String>, remedy: &'static str) {
        self.errors.push(VerifyError { invariant, place: Place::Graph, what: what.into(), remedy });
    }

    fn at_node(&mut self, index: usize, invariant: Invariant, what: impl Into<String>, remedy: &'static str) {
        let place = Place::Node(self.node_label(index));
        self.errors.push(VerifyError { invariant, place, what: what.into(), remedy });
    }

    fn at_tensor(&mut self, id: TensorId, invariant: Invariant, what: impl Into<String>, remedy: &'static str) {
        let name = self.graph.tensors.get(id.0 as usize).map_or("", |tensor| &tensor.name);
        let node = self.owners.get(&id).copied().flatten().map(|node| self.node_label(node.0 as usize));
        let place = Place::Tensor { tensor: label(name, id.0 as usize), node };
        self.errors.push(VerifyError { invariant, place, what: what.into(), remedy });
    }

    fn node_label(&self, index: usize) -> String {
        label(&self.graph.nodes[index].name, index)
    }

    /// Used tensors whose ids exist, in id order.
    fn used(&self) -> Vec<(TensorId, &'g Tensor)> {
        self.owners.keys().map(|&id| (id, self.graph.tensor(id))).collect()
    }

    /// Nodes whose ids all exist, with their operands; the others have their V-1 error and no more is said of them.
    fn sound_nodes(&self) -> Vec<Operands<'g>> {
        self.graph.nodes.iter().enumerate().filter_map(|(index, node)| Operands::of(self.graph, index, node)).collect()
    }
}

/// A node with its tensors looked up.
struct Operands<'g> {
    index: usize,
    node: &'g Node,
    inputs: Vec<&'g Tensor>,
    output: &'g Tensor,
}

impl<'g> Operands<'g> {
    fn of(graph: &'g Graph, index: usize, node: &'g Node) -> Option<Self> {
        let tensor = |id: &TensorId| graph.tensors.get(id.0 as usize);
        let [output] = &node.outputs[..] else {
            return None;
        };
        let inputs = node.inputs.iter().map(tensor).collect::<Option<_>>()?;
        Some(Operands { index, node, inputs, output: tensor(output)? })
    }
}

fn label(name: &str, index: usize) -> String {
    if name.is_empty() { format!("#{index}") } else { name.into() }
}

#[cfg(test)]
mod tests;
