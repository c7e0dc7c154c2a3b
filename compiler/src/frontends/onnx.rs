//! ONNX files: quantised (QDQ or QOperator) and float networks of the operators in [`supported_operators`], opsets 6 to 25.
//!
//! The result is the imported form: shapes all known, Q/DQ explicit, per-channel operands as `[c]` constants in second place, weights
//! as `[n_out, k]`. Whatever is not understood exactly is an error that names it; nothing is guessed. Not modelled: training,
//! control flow, sequences, strings, tensors without elements, floats under 16 bits, scales and shapes that depend on data.

mod attributes;
mod constants;
mod error;
mod external;
mod floats;
mod importer;
mod operands;
mod operators;
pub mod proto;
mod steps;
mod window;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::Path;

use bytes::Bytes;
use prost::Message;
use systole_network::graph::Graph;

use attributes::NodeView;
use importer::{Importer, Missing};
use proto::{GraphProto, ModelProto};

pub use error::{ErrorKind, ImportError};
pub use operators::{Supported, supported, supported_operators};

/// Versions of the standard operators that import.
pub const OPSETS: RangeInclusive<i64> = 6..=25;

/// What the caller knows better than the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// Shapes of inputs, by name; they replace those of the file. An unknown batch size is 1 without this.
    pub shapes: BTreeMap<String, Vec<usize>>,
}

/// Reads a model file; weights stay in the mapped file.
///
/// # Errors
/// All problems of the file that can be seen at once.
pub fn import_file(path: &Path, options: &ImportOptions) -> Result<Graph, Vec<ImportError>> {
    let place = format!("file `{}`", path.display());
    let bytes = crate::mapped_file::map_file(path).map_err(|e| vec![ImportError::io(e.to_string()).at(&place)])?;
    let name = path.file_stem().map_or_else(|| "model".to_owned(), |stem| stem.to_string_lossy().into_owned());
    let folder = path.parent().unwrap_or(Path::new("."));
    import_bytes(bytes, Some(folder), &name, options)
}

/// Reads a model from memory. `folder` is where external data lie (none: they are an error); `name` names the graph.
///
/// # Errors
/// All problems of the model that can be seen at once.
pub fn import_bytes(
    bytes: Bytes,
    folder: Option<&Path>,
    name: &str,
    options: &ImportOptions,
) -> Result<Graph, Vec<ImportError>> {
    let file_bytes = bytes.len();
    let model = ModelProto::decode(bytes)
        .map_err(|e| vec![ImportError::invalid(format!("not an ONNX model, or a damaged one: {e}")).at("the file")])?;
    let opset = opset(&model).map_err(|e| vec![e.at("the file")])?;
    let Some(proto) = &model.graph else {
        return Err(vec![ImportError::invalid("not an ONNX model: it has no graph").at("the file")]);
    };
    let mut importer = Importer::new(proto, name, folder, file_bytes);
    check_initializer_names(&mut importer, proto);
    add_inputs(&mut importer, proto, options);
    for node in &proto.node {
        operators::import_node(&mut importer, &NodeView { proto: node, opset });
    }
    add_outputs(&mut importer, proto);
    if !importer.errors.is_empty() {
        return Err(importer.errors);
    }
    let mut graph = importer.graph;
    crate::passes::drop_unused(&mut graph);
    Ok(graph)
}

/// Version of the standard operators.
fn opset(model: &ModelProto) -> Result<i64, ImportError> {
    let standard = model.opset_import.iter().find(|set| matches!(set.domain.as_str(), "" | "ai.onnx"));
    match standard.map(|set| set.version) {
        Some(version) if OPSETS.contains(&version) => Ok(version),
        Some(version) => Err(ImportError::unsupported(format!("it uses opset {version}")).help(format!(
            "opsets {} to {} are supported; convert it with onnx.version_converter",
            OPSETS.start(),
            OPSETS.end()
        ))),
        None => Err(ImportError::invalid("not an ONNX model: it names no version of the standard operators")),
    }
}

fn check_initializer_names(importer: &mut Importer<'_>, proto: &GraphProto) {
    let mut seen = BTreeSet::new();
    for tensor in &proto.initializer {
        if !seen.insert(tensor.name.as_str()) {
            let error = ImportError::invalid("there are two of this name");
            importer.errors.push(error.at(format!("initializer `{}`", tensor.name)));
        }
    }
}

fn add_inputs(importer: &mut Importer<'_>, proto: &GraphProto, options: &ImportOptions) {
    // Before version 4 of the format initializers are listed as inputs too.
    let inputs: Vec<_> = proto.input.iter().filter(|info| !importer.is_initializer(&info.name)).collect();
    for info in &inputs {
        if let Err(error) = importer.add_input(info, options) {
            importer.errors.push(error.at(format!("input `{}`", info.name)));
            importer.poison(&info.name);
        }
    }
    for name in options.shapes.keys().filter(|name| !inputs.iter().any(|info| info.name == **name)) {
        let names: Vec<_> = inputs.iter().map(|info| info.name.as_str()).collect();
        let error = ImportError::invalid("a shape was given for it, but the model has no such input");
        importer.errors.push(error.help(format!("its inputs are: {}", names.join(", "))).at(format!("input `{name}`")));
    }
}

fn add_outputs(importer: &mut Importer<'_>, proto: &GraphProto) {
    if proto.output.is_empty() {
        importer.errors.push(ImportError::invalid("the graph has no outputs").at("the file"));
    }
    for info in &proto.output {
        let problem = match importer.lookup(&info.name) {
            Ok(id) if importer.graph.outputs.contains(&id) => Some(ImportError::invalid("it is listed twice")),
            Ok(id) => {
                importer.graph.outputs.push(id);
                None
            }
            Err(Missing::Poisoned) => None,
            Err(Missing::Error(error)) => Some(error),
        };
        importer.errors.extend(problem.map(|error| error.at(format!("output `{}`", info.name))));
    }
}
