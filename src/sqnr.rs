//! Signal to quantisation noise of a network's outputs: the integer network against the float one on the same input.
//!
//! The same input means the values that the quantised inputs stand for. Not said here: how much of the noise a single layer makes.

use std::collections::BTreeMap;

use systole_compiler::passes::{Boundary, Quantised};
use systole_golden::{Keep, Options, Value, run};
use systole_network::graph::Graph;
use systole_network::tensor::{DType, TensorId};

use crate::pipeline;
use crate::problem::Failure;

/// `10 · log10(Σ f² / Σ (f − d)²)` over all outputs, `f` the float network's values and `d` what the integers stand for (N-3), in f64.
///
/// `golden` are the integer values of inputs and outputs. `None` where signal or noise is zero, or not finite.
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
    let mut inputs = BTreeMap::new();
    for boundary in &quantised.inputs {
        let (Some(&id), Some(value)) = (named.get(boundary.float_name.as_str()), golden.get(&boundary.tensor)) else {
            return Ok(None);
        };
        let real = || Value::F32(reals(&quantised.graph, boundary, value));
        inputs.insert(id, if imported.tensor(id).dtype == DType::F32 { real() } else { value.clone() });
    }
    let float =
        run(imported, &inputs, Options { seed, keep: Keep::Outputs }).map_err(pipeline::golden_failure)?.tensors;
    let (mut signal, mut noise) = (0.0, 0.0);
    for boundary in &quantised.outputs {
        let expected = named.get(boundary.float_name.as_str()).and_then(|id| float.get(id));
        let (Some(Value::F32(expected)), Some(value)) = (expected, golden.get(&boundary.tensor)) else { continue };
        for (&f, d) in expected.iter().zip(reals(&quantised.graph, boundary, value)) {
            signal += f64::from(f) * f64::from(f);
            noise += (f64::from(f) - f64::from(d)) * (f64::from(f) - f64::from(d));
        }
    }
    let ratio = 10.0 * f64::log10(signal / noise);
    Ok(Some(ratio).filter(|ratio| ratio.is_finite()))
}

/// What the integers of a boundary stand for (N-3).
fn reals(graph: &Graph, boundary: &Boundary, value: &Value) -> Vec<f32> {
    let quant = graph.tensor(boundary.tensor).quant.as_ref();
    let (scale, zero) = quant.map_or((1.0, 0), |quant| (quant.scale_of(0), quant.zero_point_of(0)));
    let real = |q: i32| (q - zero) as f32 * scale;
    match value {
        Value::U8(q) => q.iter().map(|&q| real(q.into())).collect(),
        Value::I8(q) => q.iter().map(|&q| real(q.into())).collect(),
        Value::I16(q) => q.iter().map(|&q| real(q.into())).collect(),
        _ => vec![],
    }
}
