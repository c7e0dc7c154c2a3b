//! The page: a table of what runs on which unit, refusals as footnotes.

use std::fmt::Write;

use rayon::prelude::*;
use systole::machine::config;
use systole::machine::spec::Machine;

use crate::cases::Case;
use crate::run::{Verdict, float, on};

const EDGE: &str = "edge-16x16";

/// Heads of the columns and the machines under them.
fn machines() -> Vec<(&'static str, Machine)> {
    let edge = config::preset(EDGE).expect("a preset");
    let changed = |settings: &[(&str, &str)]| config::load_with(edge, EDGE, settings).expect("a valid machine");
    let wide = "[{width: 8 bit, rate: 1 MAC/cycle}, {width: 16 bit, rate: 0.5 MAC/cycle}]";
    let tflite = config::preset("tflite-16x16").expect("a preset");
    vec![
        ("float32", changed(&[])),
        ("fixed_point", config::load(tflite, "tflite-16x16").expect("a valid machine")),
        ("shift", changed(&[("vector.requantisation", "shift")])),
        ("16 bit", changed(&[("array.operands", wide), ("array.activations", "16 bit")])),
    ]
}

const INTRODUCTION: &str = "\
# Operators

What each operator of an imported network becomes. This page is made by `tests/operators`, which compiles and runs a small float network for every
row on a machine of each arithmetic and compares every tensor with golden; a cell shows the instructions of array and vector unit that computed it: `ar.run` is the array, `ve.…` the vector unit; `-` is none (a view, or copies by DMA). Refusals are quoted below. `SYSTOLE_BLESS=1 cargo test --release --test operators` writes it.

The columns are the arithmetic of the machine (docs/numerics.md): `float32` is edge-16x16 with 8-bit activations, `fixed_point` tflite-16x16 (gemmlowp's two roundings), `shift` edge-16x16 with powers
of two, `16 bit` edge-16x16 with 16-bit activations. `golden` is the float form on the CPU, which `systole golden --float` runs.

";

pub(crate) fn page(cases: &[Case]) -> String {
    let machines = machines();
    let mut text = String::from(INTRODUCTION);
    let heads: Vec<&str> = machines.iter().map(|(head, _)| *head).collect();
    let _ = writeln!(text, "| operator | attributes | golden | {} |", heads.join(" | "));
    let _ = writeln!(text, "|---|---|---|{}", "---|".repeat(machines.len()));
    let rows: Vec<_> = cases
        .par_iter()
        .map(|case| {
            (
                float(&case.graph),
                machines.iter().map(|(_, machine)| on(&case.graph, case.operator, machine)).collect::<Vec<_>>(),
            )
        })
        .collect();
    let mut notes: Vec<String> = vec![];
    let mut note = |said: &str| {
        let place = notes.iter().position(|known| known == said).unwrap_or_else(|| {
            notes.push(said.to_owned());
            notes.len() - 1
        });
        format!("refused [{}]", place + 1)
    };
    for (case, (float, verdicts)) in cases.iter().zip(rows) {
        let golden = float.map_or_else(|said| note(&said), |()| "yes".into());
        let cells: Vec<String> = verdicts
            .iter()
            .map(|verdict| match verdict {
                Verdict::Runs(runs) => runs.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" "),
                Verdict::Refused(said) => note(said),
            })
            .map(|cell| if cell.is_empty() { "-".into() } else { cell })
            .collect();
        let _ = writeln!(text, "| {} | {} | {golden} | {} |", case.operator, case.attributes, cells.join(" | "));
    }
    if !notes.is_empty() {
        text += "\n## What is refused, in these words\n\n";
    }
    for (number, said) in (1..).zip(&notes) {
        let _ = writeln!(text, "{number}. {said}");
    }
    text
}
