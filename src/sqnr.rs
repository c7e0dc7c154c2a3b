//! Signal to quantisation noise of a network's outputs: the integer network against the float one on the same input.
//!
//! The same input means the values that the quantised inputs stand for. Not said here: how much of the noise a single layer makes.

use std::collections::BTreeMap;

use systole_compiler::passes::Quantised;
use systole_golden::{Keep, Options, Value, run};
use systole_network::graph::Graph;
use systole_network::tensor::{DType, TensorId};

use crate::pipeline;
use crate::problem::Failure;

/// `10 · log10(Σ f² / Σ (f − d)²)` over all outputs, `f` the float network's values and `d` what the integers stand for (N-3), in f64.
///
/// `golden` are the integer values of inputs and outputs. `None` where signal or noise is zero or not finite, and where an input has no
/// counterpart in the float network.
///
/// # Errors
/// What the float network cannot run.
pub fn sqnr_db(
    imported: &Graph,
    quantised: &Quantised,
    golden: &BTreeMap<TensorId, Value>,
    seed: u64,
) -> Result<Option<f64>, Failure> {
    let named: BTreeMap<&str, TensorId> =
        imported.inputs.iter().chain(&imported.outputs).map(|&id| (imported.tensor(id).name.as_str(), id)).collect();
    let ports = |boundaries| pipeline::ports(&quantised.graph, boundaries);
    let mut inputs = BTreeMap::new();
    for (boundary, port) in quantised.inputs.iter().zip(ports(&quantised.inputs)) {
        let (Some(&id), Some(value)) = (named.get(port.model_name()), golden.get(&boundary.tensor)) else {
            return Ok(None);
        };
        let real = || Value::F32(port.dequantise(&value.to_le_bytes()));
        inputs.insert(id, if imported.tensor(id).dtype == DType::F32 { real() } else { value.clone() });
    }
    let float =
        run(imported, &inputs, Options { seed, keep: Keep::Outputs }).map_err(pipeline::golden_failure)?.tensors;
    let (mut signal, mut noise) = (0.0, 0.0);
    for (boundary, port) in quantised.outputs.iter().zip(ports(&quantised.outputs)) {
        let expected = named.get(port.model_name()).and_then(|id| float.get(id));
        let (Some(Value::F32(expected)), Some(value)) = (expected, golden.get(&boundary.tensor)) else { continue };
        for (&f, d) in expected.iter().zip(port.dequantise(&value.to_le_bytes())) {
            signal += f64::from(f) * f64::from(f);
            noise += (f64::from(f) - f64::from(d)) * (f64::from(f) - f64::from(d));
        }
    }
    let ratio = 10.0 * f64::log10(signal / noise);
    Ok(Some(ratio).filter(|ratio| ratio.is_finite()))
}
