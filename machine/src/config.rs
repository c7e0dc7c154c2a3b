//! What a YAML file may say of a machine, read with all its errors at once.
//!
//! `schema` is the whole vocabulary; `resolve` turns it into [`Machine`]. What the vocabulary has and no engine simulates is refused by name,
//! never ignored. The steps of [`load`]: text to a tree that knows its places (`node`), keys by the tables (`read`, `values`, `units`), checks
//! between keys (`resolve`); whatever is wrong is collected on the way (`error`).
//!
//! Reading order: `schema`, `resolve`, `read`.

mod derived;
mod document;
mod error;
mod node;
mod read;
mod resolve;
mod schema;
mod settings;
mod suggest;
mod units;
mod values;
mod write;

pub use derived::{BufferGeometry, Derived, FpgaEstimate, derived};
pub use document::{config_markdown, schema_json};
pub use error::{ConfigError, ErrorKind, render, render_styled};
pub use write::to_yaml;

use crate::spec::Machine;
use error::Errors;
use read::Value;

/// Presets by name, embedded in the binary.
static PRESETS: [(&str, &str); 14] = [
    ("binary-64x64", include_str!("../../hw-configs/binary-64x64.yaml")),
    ("dpu-b4096", include_str!("../../hw-configs/dpu-b4096.yaml")),
    ("edge-16x16", include_str!("../../hw-configs/edge-16x16.yaml")),
    ("ethos-u55-256", include_str!("../../hw-configs/ethos-u55-256.yaml")),
    ("gemmini-16x16", include_str!("../../hw-configs/gemmini-16x16.yaml")),
    ("input-stationary-32x32", include_str!("../../hw-configs/input-stationary-32x32.yaml")),
    ("int4-32x32", include_str!("../../hw-configs/int4-32x32.yaml")),
    ("nvdla-large", include_str!("../../hw-configs/nvdla-large.yaml")),
    ("output-stationary-32x32", include_str!("../../hw-configs/output-stationary-32x32.yaml")),
    ("scale-sim-32x32", include_str!("../../hw-configs/scale-sim-32x32.yaml")),
    ("tflite-16x16", include_str!("../../hw-configs/tflite-16x16.yaml")),
    ("tpu-v1", include_str!("../../hw-configs/tpu-v1.yaml")),
    ("vta-pynq", include_str!("../../hw-configs/vta-pynq.yaml")),
    ("zigzag-tpu-like", include_str!("../../hw-configs/zigzag-tpu-like.yaml")),
];

/// The presets: name and YAML, in order of name.
pub fn presets() -> &'static [(&'static str, &'static str)] {
    &PRESETS
}

/// The YAML of a preset.
pub fn preset(name: &str) -> Option<&'static str> {
    PRESETS.iter().find(|(preset, _)| *preset == name).map(|(_, yaml)| *yaml)
}

/// A commented YAML to start from: every key that a simulated machine can state.
pub fn init_yaml() -> String {
    include_str!("config/init.yaml").to_owned()
}

/// The machine that `source`, the text of the file `path`, describes.
///
/// # Errors
/// Everything that is wrong with the file, in order of place, up to a hundred errors; a file that is not YAML at all gives one.
pub fn load(source: &str, path: &str) -> Result<Machine, Vec<ConfigError>> {
    load_with(source, path, &[])
}

/// [`load`], with keys set from outside: `("array.rows", "32")`, `("dram.bandwidth", "25.6 GB/s")`. A key below a choice may leave the
/// choice's name out; values are YAML.
///
/// # Errors
/// As [`load`]. What is wrong with a setting is placed at the value that it replaces, or at the section that it adds to.
pub fn load_with(source: &str, path: &str, settings: &[(&str, &str)]) -> Result<Machine, Vec<ConfigError>> {
    read(source, settings).map_err(|mut errors| {
        errors.iter_mut().for_each(|error| path.clone_into(&mut error.path));
        errors
    })
}

fn read(source: &str, settings: &[(&str, &str)]) -> Result<Machine, Vec<ConfigError>> {
    let mut node = node::parse(source).map_err(|error| vec![*error])?;
    let mut errors = Errors::new(source);
    for (key, value) in settings {
        settings::apply(&mut node, key, value, &mut errors);
    }
    let machine = schema::Root::read(&node, "", &mut errors).and_then(|root| resolve::resolve(&root, &mut errors));
    match machine {
        Some(machine) if errors.is_empty() => Ok(machine),
        _ => {
            // A machine that fails must say why; this names the defect if a check ever forgets to.
            if errors.is_empty() {
                errors.invalid(&node.span, "this machine cannot be read", "", "please report this file");
            }
            Err(errors.finish())
        }
    }
}
