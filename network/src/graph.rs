//! The graph: tensors and the nodes between them. petgraph does the ordering, behind [`Graph::topological_order`].

use std::collections::BTreeMap;

use petgraph::graph::DiGraph;

use crate::op::Op;
use crate::policy::NumericPolicy;
use crate::tensor::{DType, Tensor, TensorId};

/// Index of a node in its graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u32);

/// Which of the two forms a graph is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As the file says: float operators, Quantize and Dequantize explicit.
    Imported,
    /// Integer operators; what golden runs and the compiler compiles.
    Quantised,
}

/// An operator applied to tensors.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The model's own name, or one made from the output's; not empty, unique.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// In the operator's order; constants included.
    pub inputs: Vec<TensorId>,
    /// One, for every operator so far.
    pub outputs: Vec<TensorId>,
    /// Quantised form: results are clamped to this range (a fused ReLU or clip), within the output type's.
    pub clamp: Option<(i32, i32)>,
    /// Names of the file's nodes that this node stands for.
    pub origins: Vec<String>,
}

/// A network. Fields are open to passes; [`crate::verify::verify`] says what must hold between passes.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    /// The network's name.
    pub name: String,
    /// Which form it is in.
    pub form: Form,
    /// Indexed by [`TensorId`].
    pub tensors: Vec<Tensor>,
    /// Indexed by [`NodeId`]; in no particular order.
    pub nodes: Vec<Node>,
    /// Non-constant inputs.
    pub inputs: Vec<TensorId>,
    /// Results.
    pub outputs: Vec<TensorId>,
    /// Imported form: f32 weights that have, by the network's definition, for each output channel only values of such a type times a scale
    /// (rule N-28).
    pub narrow: BTreeMap<TensorId, DType>,
    /// Quantised form: the arithmetic that its integers are of. Scales and this decide every result.
    pub policy: NumericPolicy,
}

impl Graph {
    /// An empty graph, of the default policy.
    pub fn new(name: impl Into<String>, form: Form) -> Self {
        let policy = NumericPolicy::default();
        let (name, narrow) = (name.into(), BTreeMap::new());
        Graph { name, form, tensors: vec![], nodes: vec![], inputs: vec![], outputs: vec![], narrow, policy }
    }

    /// The tensor with this index.
    pub fn tensor(&self, id: TensorId) -> &Tensor {
        &self.tensors[id.0 as usize]
    }

    /// The node with this index.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    /// Adds a tensor.
    pub fn add_tensor(&mut self, tensor: Tensor) -> TensorId {
        self.tensors.push(tensor);
        TensorId(self.tensors.len() as u32 - 1)
    }

    /// Adds a node.
    pub fn add_node(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        NodeId(self.nodes.len() as u32 - 1)
    }

    /// The node that writes each tensor.
    pub fn producers(&self) -> BTreeMap<TensorId, NodeId> {
        let mut producers = BTreeMap::new();
        for (index, node) in self.nodes.iter().enumerate() {
            for &output in &node.outputs {
                producers.insert(output, NodeId(index as u32));
            }
        }
        producers
    }

    /// The nodes that read each tensor, in node order.
    pub fn consumers(&self) -> BTreeMap<TensorId, Vec<NodeId>> {
        let mut consumers: BTreeMap<TensorId, Vec<NodeId>> = BTreeMap::new();
        for (index, node) in self.nodes.iter().enumerate() {
            for &input in &node.inputs {
                consumers.entry(input).or_default().push(NodeId(index as u32));
            }
        }
        consumers
    }

    /// Nodes in an order in which every producer precedes its consumers; ties follow node order.
    ///
    /// # Errors
    /// A node on a cycle.
    pub fn topological_order(&self) -> Result<Vec<NodeId>, NodeId> {
        let producers = self.producers();
        let mut dag: DiGraph<(), ()> = DiGraph::with_capacity(self.nodes.len(), self.nodes.len());
        let vertices: Vec<_> = self.nodes.iter().map(|_| dag.add_node(())).collect();
        for (index, node) in self.nodes.iter().enumerate() {
            for input in &node.inputs {
                if let Some(producer) = producers.get(input) {
                    dag.add_edge(vertices[producer.0 as usize], vertices[index], ());
                }
            }
        }
        if let Err(cycle) = petgraph::algo::toposort(&dag, None) {
            return Err(NodeId(cycle.node_id().index() as u32));
        }
        let mut pending: Vec<usize> =
            vertices.iter().map(|&v| dag.edges_directed(v, petgraph::Direction::Incoming).count()).collect();
        let mut ready: std::collections::BTreeSet<usize> =
            pending.iter().enumerate().filter(|(_, n)| **n == 0).map(|(index, _)| index).collect();
        let mut order = Vec::with_capacity(self.nodes.len());
        while let Some(index) = ready.pop_first() {
            order.push(NodeId(index as u32));
            for next in dag.neighbors_directed(vertices[index], petgraph::Direction::Outgoing) {
                pending[next.index()] -= 1;
                if pending[next.index()] == 0 {
                    ready.insert(next.index());
                }
            }
        }
        Ok(order)
    }
}
