//! What the mapping of a convolution is called in the program's table of layers.

use systole_machine::spec::{Dataflow, Machine};

use crate::mapping::conv::{Side, Spread};

/// Named where it is not what everyone presumes.
pub(super) fn dataflow_text(machine: &Machine, dataflow: Dataflow) -> &'static str {
    match dataflow {
        Dataflow::WeightStationary if machine.array.dataflows.len() == 1 => "",
        Dataflow::WeightStationary => ", weight-stationary",
        Dataflow::OutputStationary => ", output-stationary",
        Dataflow::InputStationary => ", input-stationary",
    }
}

/// Named where there is something to tell.
pub(super) fn spread_text(spread: Spread) -> String {
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
