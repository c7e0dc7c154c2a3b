//! What the mapping of a convolution is called in the program's table of layers.

use systole_machine::spec::{Dataflow, Machine};

use crate::layers::Window;
use crate::mapping::ConvMapping;
use crate::mapping::conv::{Side, Spread};

/// Tile, chunks, and what is not as everyone presumes.
pub(super) fn conv_text(mapping: &ConvMapping, machine: &Machine, window: &Window) -> String {
    format!(
        "{}x{} pixels x {} chunks of {} channels{}{}{}{}{}{}",
        mapping.tile[0],
        mapping.tile[1],
        mapping.chunks.len(),
        mapping.chunks[0].outputs.1,
        dataflow_text(machine, mapping.dataflow),
        if mapping.packed { ", taps packed" } else { "" },
        if mapping.place.resident { ", weights resident" } else { ", weights streamed" },
        if mapping.shared { "" } else { ", input channels sliced" },
        if mapping.chunks[0].parts[0].kernel_rows.1 < window.kernel[0] { ", kernel rows split" } else { "" },
        spread_text(mapping.spread),
    )
}

/// Named where it is not what everyone presumes.
fn dataflow_text(machine: &Machine, dataflow: Dataflow) -> &'static str {
    match dataflow {
        Dataflow::WeightStationary if machine.array.dataflows.len() == 1 => "",
        Dataflow::WeightStationary => ", weight-stationary",
        Dataflow::OutputStationary => ", output-stationary",
        Dataflow::InputStationary => ", input-stationary",
    }
}

/// Named where there is something to tell.
fn spread_text(spread: Spread) -> String {
    if spread.arrays == 1 {
        return String::new();
    }
    let (side, common) = match spread.side {
        Side::Chunks => ("chunks", "input"),
        Side::Tiles => ("tiles", "weights"),
    };
    let copies = if spread.copies { format!(", each with its {common}") } else { String::new() };
    format!(", {side} over {} arrays{copies}", spread.arrays)
}
