//! `systole zoo`: the built-in networks.

use std::path::PathBuf;

use systole_network::zoo::{build, entries};

use super::common::{Format, SeedArg};
use super::console::{Console, beside};
use crate::problem::{Failure, Problem};
use crate::report::text::grouped;
use crate::source::unknown_network;
use crate::{export, files};

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    /// What is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Float ONNX of a network
    Export {
        /// Its name
        name: String,
        /// The file
        #[arg(short, long, value_name = "F.onnx")]
        output: PathBuf,
        #[command(flatten)]
        seed: SeedArg,
    },
}

/// Runs the verb.
pub(super) fn run(args: &Args, console: &Console) -> Result<(), Failure> {
    if let Some(Action::Export { name, output, seed }) = &args.action {
        let graph = build(name).ok_or_else(|| unknown_network(name))?;
        let bytes = export::onnx(&graph, seed.seed).map_err(|error| Failure::from(Problem::new(error.to_string())))?;
        files::write(output, &bytes)?;
        console.note(&format!("{} bytes written to {}; seed {}", bytes.len(), output.display(), seed.seed));
        return Ok(());
    }
    match args.format {
        Format::Text => console.print(&table()),
        Format::Json => console.print(&json()?),
    }
}

fn table() -> String {
    let mut out = format!("\x1b[1m{:<26} {:>14} {:>12}  {}\x1b[0m\n", "network", "MACs", "parameters", "variant");
    for entry in entries() {
        let (macs, parameters) = (grouped(entry.macs), grouped(entry.parameters));
        out += &beside(&format!("{:<26} {macs:>14} {parameters:>12}  ", entry.name), entry.variant);
    }
    out
}

fn json() -> Result<String, Failure> {
    let list: Vec<serde_json::Value> = entries()
        .iter()
        .map(|entry| {
            serde_json::json!({
                "name": entry.name, "paper": entry.paper, "variant": entry.variant, "input": entry.input,
                "macs": entry.macs, "parameters": entry.parameters
            })
        })
        .collect();
    serde_json::to_string_pretty(&list)
        .map(|text| text + "\n")
        .map_err(|error| Problem::new("the list cannot be written as JSON").because(error.to_string()).into())
}
