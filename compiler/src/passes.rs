//! Graph passes: from the imported form to the quantised one, in the order of [`PASSES`].
//!
//! Each pass is a file and a function over [`Quantised`]; what must hold between passes is what `systole_network::verify` checks.

mod absorb_pads;
pub(crate) mod arithmetic;
mod binary;
mod canonicalise;
mod constants;
mod deformable;
mod element_types;
mod fill;
mod fold_batch_norm;
mod islands;
mod lower;
mod narrow;
mod powers_of_two;
mod quantise;
mod quantise_float;
mod quantise_qdq;
mod sums;
mod switches;
mod transposed;
mod unused;

use std::collections::{BTreeMap, BTreeSet};

use systole_network::graph::{Graph, NodeId};
use systole_network::op::Op;
use systole_network::policy::NumericPolicy;
use systole_network::tensor::TensorId;

pub use islands::float_islands;
pub(crate) use unused::drop_unused;

/// Where the quantised graph gets its numbers from.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Weights are made or read, scales computed.
    Real {
        /// Smallest and largest value of each activation of a float model, by tensor name of [`prepare_float`]'s graph. Files that are
        /// quantised need none.
        calibration: Option<BTreeMap<String, (f64, f64)>>,
        /// Of seeded constants.
        seed: u64,
    },
    /// Somebody will look at the weights of a float model, and at nothing else that is quantised: as [`Values::Structure`], but with constants.
    Weights {
        /// Of seeded constants.
        seed: u64,
    },
    /// Nobody will look at numbers: the same nodes, tensors and shapes, constants unknown, scales 1 in float models.
    Structure,
}

/// An integer tensor at the edge of the network, and the float tensor of the imported graph that it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boundary {
    /// Name of the float tensor.
    pub float_name: String,
    /// The integer tensor; its `quant` converts (rules N-2 and N-3).
    pub tensor: TensorId,
}

/// A graph on its way through the passes.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantised {
    /// The graph.
    pub graph: Graph,
    /// One for each input of the quantised graph, in its order.
    pub inputs: Vec<Boundary>,
    /// One for each output of the quantised graph, in its order.
    pub outputs: Vec<Boundary>,
}

/// One reason why a graph cannot be brought to the quantised form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}{}", remedy.as_ref().map(|r| format!(" (help: {r})")).unwrap_or_default())]
pub struct PassError {
    /// The node or tensor: ``node `conv1` (Conv)``.
    pub place: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

/// What passes may depend on besides the graph.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Of the machine.
    pub policy: &'a NumericPolicy,
    /// Numbers or structure alone.
    pub values: &'a Values,
}

/// One step of the list.
pub struct Pass {
    /// As `--stop-after` and `--list-passes` name it.
    pub name: &'static str,
    /// What it does and why it stands where it stands.
    pub doc: &'static str,
    /// Does it.
    pub run: fn(&mut Quantised, &Context<'_>) -> Result<(), Vec<PassError>>,
}

impl PassError {
    pub(crate) fn at_node(graph: &Graph, node: NodeId, message: impl Into<String>) -> Self {
        let node = graph.node(node);
        PassError { place: format!("node `{}` ({})", node.name, node.op.name()), message: message.into(), remedy: None }
    }

    pub(crate) fn at_tensor(graph: &Graph, tensor: TensorId, message: impl Into<String>) -> Self {
        PassError { place: format!("tensor `{}`", graph.tensor(tensor).name), message: message.into(), remedy: None }
    }

    pub(crate) fn cycle(graph: &Graph, node: NodeId) -> Self {
        Self::at_node(graph, node, "it depends on its own result")
    }

    pub(crate) fn help(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

/// The passes, in order.
pub const PASSES: &[Pass] = &[
    Pass {
        name: "element-types",
        doc: "Refuses element types that no machine has, and arithmetic on integers without a scale; constants of 2 and 4 bits become what \
              machines have. First, so that what no machine runs is refused under the names that the file has.",
        run: element_types::run,
    },
    Pass {
        name: "canonicalise",
        doc: "Removes Identity and what nobody reads. Early, so that no later pass meets them between two nodes that it fuses.",
        run: canonicalise::run,
    },
    Pass {
        name: "absorb-pads",
        doc: "Padding of zero before a convolution or average, of −∞ before a maximum, becomes theirs. Before calibration, which no such \
              border then widens.",
        run: absorb_pads::run,
    },
    Pass {
        name: "deformable",
        doc: "Deformable convolutions become samples and convolutions of one tap. Before folding and quantisation, which then meet \
              ordinary convolutions, and calibrate what is sampled.",
        run: deformable::run,
    },
    Pass {
        name: "fold-batch-norm",
        doc: "Float models: scale and shift go into the convolution before them. Before quantisation, whose scales and calibration \
              are of the folded tensors.",
        run: fold_batch_norm::run,
    },
    Pass {
        name: "powers-of-two",
        doc: "Quantised files on machines that only shift: scales are rounded up to powers of two (N-19). Before quantisation, which \
              compares scales.",
        run: powers_of_two::run,
    },
    Pass {
        name: "quantise",
        doc: "Integer operators from Q/DQ pairs, or from calibration; activations become clamps. Last: only it changes the form.",
        run: quantise::run,
    },
];

/// Brings an imported graph to the quantised form.
///
/// # Errors
/// Everything that has no integer rule, or lacks a scale, by node.
pub fn legalise(imported: &Graph, policy: &NumericPolicy, values: &Values) -> Result<Quantised, Vec<PassError>> {
    run_passes(imported, PASSES, &Context { policy, values })
}

/// The float graph that calibration runs on: canonical, batch norm folded. Doing it twice changes nothing. With `values_real` false
/// folded weights are unknown. [`legalise`] takes the result in place of the imported graph, and then folds nothing again.
///
/// # Errors
/// As [`legalise`], for the passes that it runs.
pub fn prepare_float(imported: &Graph, values_real: bool, seed: u64) -> Result<Graph, Vec<PassError>> {
    let values = if values_real { Values::Real { calibration: None, seed } } else { Values::Structure };
    let policy = NumericPolicy::default();
    let form_changes = PASSES.len() - 1;
    run_passes(imported, &PASSES[..form_changes], &Context { policy: &policy, values: &values })
        .map(|state| state.graph)
}

fn run_passes(imported: &Graph, passes: &[Pass], context: &Context<'_>) -> Result<Quantised, Vec<PassError>> {
    let mut state = Quantised { graph: imported.clone(), inputs: vec![], outputs: vec![] };
    for pass in passes {
        (pass.run)(&mut state, context)?;
    }
    Ok(state)
}

/// Whether nothing in a graph is about integers, so that it needs calibration to be quantised.
pub fn is_float(graph: &Graph) -> bool {
    !graph.nodes.iter().any(|node| matches!(node.op, Op::Quantize | Op::Dequantize) || sums::adds_integers(&node.op))
}

/// `base`, or `base#n` for the first free n from the number of names on; taken from then on.
fn fresh_name(taken: &mut BTreeSet<String>, base: &str) -> String {
    let numbered = (taken.len()..).map(|n| format!("{base}#{n}"));
    let name = std::iter::once(base.to_owned()).chain(numbered).find(|name| !taken.contains(name)).unwrap_or_default();
    taken.insert(name.clone());
    name
}
