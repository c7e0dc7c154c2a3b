//! From the imported to the quantised form: steps are planned from Q/DQ pairs or from calibration, lowered to integer operators with
//! empty constants, and the constants filled in last, so that structure cannot depend on numbers.

use systole_network::graph::Form;

use super::lower::Lowering;
use super::{
    Context, PassError, Quantised, Values, absorb_pads, drop_unused, fill, is_float, quantise_float, quantise_qdq,
};

pub(super) fn run(state: &mut Quantised, context: &Context<'_>) -> Result<(), Vec<PassError>> {
    let source = std::mem::replace(&mut state.graph, systole_network::graph::Graph::new("", Form::Quantised));
    let float = is_float(&source);
    let mut lowering = Lowering::new(&source, *context.policy);
    if float {
        quantise_float::plan(&mut lowering, context)?;
    } else {
        quantise_qdq::plan(&mut lowering)?;
    }
    let Lowering { mut graph, jobs, inputs, outputs, .. } = lowering;
    graph.inputs = inputs.iter().map(|boundary| boundary.tensor).collect();
    graph.outputs = outputs.iter().map(|boundary| boundary.tensor).collect();
    match context.values {
        Values::Real { seed, .. } | Values::Weights { seed } => fill::fill(&source, &mut graph, &jobs, *seed),
        // A quantised file brings its numbers along: they cost nothing, and its scales decide what rescales.
        Values::Structure if !float => fill::fill(&source, &mut graph, &jobs, 0),
        Values::Structure => {}
    }
    // What a Quantize between padding and reader hid before.
    absorb_pads::absorb(&mut graph);
    *state = Quantised { graph, inputs, outputs };
    renumber(state);
    Ok(())
}

/// Drops constants that nobody reads and keeps the boundaries in step.
fn renumber(state: &mut Quantised) {
    drop_unused(&mut state.graph);
    let ends =
        state.inputs.iter_mut().zip(&state.graph.inputs).chain(state.outputs.iter_mut().zip(&state.graph.outputs));
    for (boundary, &tensor) in ends {
        boundary.tensor = tensor;
    }
}
