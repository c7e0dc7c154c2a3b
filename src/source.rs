//! Where models and machines come from: files by path, the zoo and the presets by name.

use std::path::{Path, PathBuf};

use systole_compiler::frontends::onnx::{self, ImportError, ImportOptions};
use systole_machine::config;
use systole_machine::spec::Machine;
use systole_network::graph::Graph;
use systole_network::zoo;

use crate::files;
use crate::problem::{Failure, Problem, did_you_mean, not_available};

/// Prefix of the built-in networks.
const ZOO: &str = "zoo:";

/// The machine where none is named.
pub const DEFAULT_MACHINE: &str = "edge-16x16";

/// A machine and where it came from.
#[derive(Clone, Debug)]
pub struct LoadedMachine {
    /// The machine.
    pub machine: Machine,
    /// The argument that named it.
    pub source: String,
}

/// Reads a model: `zoo:NAME`, or a file in one of the supported formats.
///
/// # Errors
/// An unknown name or format; all problems of the file.
pub fn model(source: &str, options: &ImportOptions) -> Result<Graph, Failure> {
    if let Some(name) = source.strip_prefix(ZOO) {
        if !options.shapes.is_empty() {
            return Err(Problem::new("`--shape` is for files; the networks of the zoo have fixed shapes").into());
        }
        return zoo::build(name).ok_or_else(|| unknown_network(name));
    }
    let path = Path::new(source);
    match path.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase).as_deref() {
        Some("onnx") => {
            files::check_readable(path)?;
            onnx::import_file(path, options)
                .map_err(|errors| Failure::Input(errors.iter().map(|error| import_problem(error, source)).collect()))
        }
        Some(format @ ("tflite" | "prototxt" | "csv")) => Err(not_available(&format!("reading `.{format}` models"))),
        _ => Err(unknown_format(source)),
    }
}

/// The network of the zoo is unknown.
pub fn unknown_network(name: &str) -> Failure {
    Problem::new(format!("there is no network `{name}` in the zoo")).help(did_you_mean(name, &zoo::names())).into()
}

fn unknown_format(source: &str) -> Failure {
    let problem = Problem::new(format!("`{source}` is no model that can be read"));
    let problem = match zoo::names().contains(&source) {
        true => problem.help(format!("did you mean `{ZOO}{source}`?")),
        false => {
            problem.help(format!("give the path of an `.onnx` file, or `{ZOO}NAME` (`systole zoo` lists the names)"))
        }
    };
    problem.into()
}

fn import_problem(error: &ImportError, source: &str) -> Problem {
    let whole = error.place.is_empty() || error.place == "the file";
    let place =
        if whole || error.place.contains(source) { source.to_owned() } else { format!("{source}: {}", error.place) };
    Problem::new(&error.message).at(place).help(error.remedy.clone().unwrap_or_default())
}

/// Reads a machine: the name of a preset, or the path of a YAML file.
///
/// # Errors
/// An unknown name; all problems of the file.
pub fn machine(source: &str) -> Result<LoadedMachine, Failure> {
    let (text, path) = machine_text(source)?;
    let machine = parse_machine(&text, &path)?;
    Ok(LoadedMachine { machine, source: source.to_owned() })
}

/// The YAML of a preset or a file, and how messages call it.
///
/// # Errors
/// An unknown name, an unreadable file.
pub fn machine_text(source: &str) -> Result<(String, String), Failure> {
    if let Some(yaml) = config::preset(source) {
        return Ok((yaml.to_owned(), format!("hw-configs/{source}.yaml")));
    }
    let path = PathBuf::from(source);
    let looks_like_path = path.extension().is_some() || source.contains(std::path::MAIN_SEPARATOR) || path.exists();
    if !looks_like_path {
        let names: Vec<&str> = config::presets().iter().map(|(name, _)| *name).collect();
        return Err(Problem::new(format!("there is no machine `{source}`: neither a preset nor a file"))
            .help(did_you_mean(source, &names))
            .into());
    }
    if !path.exists() {
        return Err(Problem::new(format!("there is no file `{source}`"))
            .help(format!(
                "`systole hw init -o {source}` writes one to start from; `systole hw list` names the presets"
            ))
            .into());
    }
    Ok((files::read_text(&path)?, source.to_owned()))
}

/// Reads the YAML of a machine.
///
/// # Errors
/// All problems of the text.
pub fn parse_machine(text: &str, path: &str) -> Result<Machine, Failure> {
    config::load(text, path)
        .map_err(|errors| Failure::Input(vec![Problem::Rendered(config::render_styled(&errors, text, path))]))
}
