//! A mapping in words, for reports.

use systole_machine::spec::{Dataflow, Machine};

use super::{ConvMapping, Side, Spread};
use crate::layers::Window;

impl ConvMapping {
    /// Tile, chunks, and what is not as everyone presumes.
    pub fn describe(&self, machine: &Machine, window: &Window) -> String {
        format!(
            "{}x{} pixels x {} chunks of {} channels{}{}{}{}{}{}",
            self.tile[0],
            self.tile[1],
            self.chunks.len(),
            self.chunks[0].outputs.1,
            dataflow_text(machine, self.dataflow),
            if self.packed { ", taps packed" } else { "" },
            if self.place.resident { ", weights resident" } else { ", weights streamed" },
            if self.shared { "" } else { ", input channels sliced" },
            if self.chunks[0].parts[0].kernel_rows.1 < window.kernel[0] { ", kernel rows split" } else { "" },
            spread_text(self.spread),
        )
    }
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
