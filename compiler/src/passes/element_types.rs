//! Element types of the imported form that no machine has: refused by node, before anything is made of them.
//!
//! Constants of 2 and 4 bits behind a Dequantize are brought to types that machines have: signed weights around 0 stay as narrow as they are
//! (rule N-28; not where scales become powers of two, N-19, which makes other integers of them), the others get a byte each. Their values stay.

use systole_network::graph::{Graph, Node, NodeId};
use systole_network::op::Op;
use systole_network::policy::Requantisation;
use systole_network::tensor::{DType, TensorId};

use super::powers_of_two::{Use, uses};
use super::{Context, PassError, Quantised};

pub(super) fn run(state: &mut Quantised, context: &Context<'_>) -> Result<(), Vec<PassError>> {
    let graph = &mut state.graph;
    let mut errors: Vec<PassError> =
        (0..graph.nodes.len()).filter_map(|index| node(graph, NodeId(index as u32))).collect();
    for &id in graph.outputs.iter().filter(|&&id| graph.tensor(id).data.is_some()) {
        let message = "an output of the network that is a constant";
        errors.push(PassError::at_tensor(graph, id, message).help("take it out of the outputs"));
    }
    for &id in graph.inputs.iter().filter(|&&id| strange(graph.tensor(id).dtype)) {
        let message = format!("an input of type {}", graph.tensor(id).dtype.name());
        errors.push(PassError::at_tensor(graph, id, message).help(HELP));
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    widen(graph, context.policy.requantisation == Requantisation::Shift);
    Ok(())
}

const HELP: &str =
    "machines have activations of i8 and u8 with one scale, and i16 of float models; `golden --float` runs it as it is";

const SCALES: &str = "use QLinearAdd and its kin, or DequantizeLinear before; `golden --float` runs it as it is";

/// Whether no activation of a machine has this type.
fn strange(dtype: DType) -> bool {
    let narrow = matches!(dtype, DType::I4 | DType::U4 | DType::I2 | DType::U2);
    narrow || matches!(dtype, DType::U16 | DType::U32 | DType::U64 | DType::Bool)
}

/// Why no machine runs a node, if its types say so.
fn node(graph: &Graph, id: NodeId) -> Option<PassError> {
    let Node { op, inputs, outputs, .. } = graph.node(id);
    let output = graph.tensor(*outputs.first()?);
    let integers = op.is_arithmetic() && output.dtype != DType::F32;
    let message = match op {
        _ if integers => {
            format!("arithmetic on {} without a scale (rule N-32)", output.dtype.name())
        }
        Op::Quantize if !matches!(output.dtype, DType::I8 | DType::U8) => {
            format!("it makes activations of type {}", output.dtype.name())
        }
        Op::Quantize if output.quant.as_ref().is_some_and(|quant| quant.axis.is_some()) => {
            "it makes activations of several scales".into()
        }
        Op::Dequantize => {
            let input = graph.tensor(*inputs.first()?);
            let wide = input.dtype == DType::I16 || strange(input.dtype);
            match input.data {
                None if wide => format!("it reads activations of type {}", input.dtype.name()),
                None if input.quant.as_ref().is_some_and(|quant| quant.axis.is_some()) => {
                    "it reads activations of several scales".into()
                }
                Some(_) if matches!(input.dtype, DType::I16 | DType::U16) => {
                    format!("it reads constants of type {}", input.dtype.name())
                }
                _ => return None,
            }
        }
        _ if strange(output.dtype) => format!("its result is {}", output.dtype.name()),
        _ if output.shape.is_empty() => "its result has rank 0".into(),
        _ => return None,
    };
    let error = PassError::at_node(graph, id, message);
    Some(if integers { error.help(SCALES) } else { error.help(HELP) })
}

/// Narrow constants that machines do not have as they are become those of a byte.
fn widen(graph: &mut Graph, requantised: bool) {
    let uses = uses(graph);
    for (index, tensor) in graph.tensors.iter_mut().enumerate() {
        if tensor.data.is_none() || !matches!(tensor.dtype, DType::I4 | DType::U4 | DType::I2 | DType::U2) {
            continue;
        }
        let weights = uses.get(&TensorId(index as u32)) == Some(&Use::Weights);
        let around_zero = tensor.quant.as_ref().is_some_and(|quant| quant.zero_point.iter().all(|&zero| zero == 0));
        if !weights || !around_zero || requantised || matches!(tensor.dtype, DType::U4 | DType::U2) {
            tensor.dtype = tensor.dtype.held();
        }
    }
}
