//! `systole golden`: the CPU reference's tensors.

use std::collections::BTreeMap;
use std::path::PathBuf;

use systole_golden::{Keep, Options, Value, run as run_golden};
use systole_network::graph::Graph;
use systole_network::tensor::TensorId;

use super::common::ModelArgs;
use super::console::Console;
use super::simulate::insert_output;
use crate::pipeline::{self, ModelOptions};
use crate::problem::Failure;
use crate::tensors::{self, Array, value};
use crate::{files, source};

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// `zoo:NAME` (`systole zoo` lists them), or the path of an `.onnx` file
    model: String,
    #[command(flatten)]
    model_args: ModelArgs,
    /// Inputs: `.npz` by tensor name, or `.npy` for a single input (default: seeded)
    #[arg(long, value_name = "F")]
    input: Option<PathBuf>,
    /// Where the tensors go
    #[arg(long, value_name = "F.npz")]
    output: PathBuf,
    /// Writes all tensors, not the outputs alone
    #[arg(long)]
    layers: bool,
    /// Runs the float network, before quantisation
    #[arg(long)]
    float: bool,
}

/// Runs the verb.
pub(super) fn run(args: &Args, console: &Console) -> Result<(), Failure> {
    let options = args.model_args.options()?;
    files::check_archive(&args.output)?;
    let arrays = if args.float { float(args, &options)? } else { integer(args, &options, console)? };
    tensors::write(&args.output, &arrays)?;
    console.note(&format!("{} tensors written to {}; seed {}", arrays.len(), args.output.display(), options.seed));
    Ok(())
}

fn keep(args: &Args) -> Keep {
    if args.layers { Keep::All } else { Keep::Outputs }
}

/// The imported form, in single precision.
fn float(args: &Args, options: &ModelOptions) -> Result<BTreeMap<String, Array>, Failure> {
    let imported = pipeline::import(&args.model, options)?;
    let graph = &imported.graph;
    let inputs = pipeline::float_inputs(graph, args.input.as_deref(), options.seed)?;
    let run = run_golden(graph, &inputs, Options { seed: options.seed, keep: keep(args) })
        .map_err(pipeline::golden_failure)?;
    Ok(run.tensors.into_iter().map(|(id, value)| named(graph, id, value)).collect())
}

/// The quantised form, under the machine's policy.
fn integer(args: &Args, options: &ModelOptions, console: &Console) -> Result<BTreeMap<String, Array>, Failure> {
    let machine = source::machine(&args.model_args.hw)?;
    let mut progress = console.progress(3);
    progress.step("reading the model");
    let imported = pipeline::import(&args.model, options)?;
    progress.step("calibrating, quantising");
    let quantised = pipeline::quantise(&imported, &machine.machine, options, true)?;
    let graph = &quantised.graph;
    let ports = pipeline::ports(graph, &quantised.inputs);
    let (bytes, _) = pipeline::input_bytes(&ports, args.input.as_deref(), options.seed)?;
    let boundaries = quantised.inputs.iter().zip(&ports);
    let inputs =
        boundaries.zip(bytes).map(|((boundary, port), bytes)| (boundary.tensor, value(bytes, port.element))).collect();
    progress.step("running the reference");
    let run = run_golden(graph, &inputs, Options { seed: options.seed, keep: keep(args) })
        .map_err(pipeline::golden_failure)?;
    drop(progress);
    let mut arrays: BTreeMap<String, Array> =
        run.tensors.iter().map(|(&id, value)| named(graph, id, value.clone())).collect();
    for (boundary, port) in quantised.outputs.iter().zip(pipeline::ports(graph, &quantised.outputs)) {
        if let Some(value) = run.tensors.get(&boundary.tensor) {
            insert_output(&mut arrays, &port, value.to_le_bytes());
        }
    }
    Ok(arrays)
}

fn named(graph: &Graph, id: TensorId, value: Value) -> (String, Array) {
    let tensor = graph.tensor(id);
    (tensor.name.clone(), Array { shape: tensor.shape.iter().map(|&length| length as u64).collect(), value })
}
