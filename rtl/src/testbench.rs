//! The testbench: the template in `sv/systole_testbench.sv` with the machine's ports and one convolution for each of its dataflows.

use std::fmt::Write;

use systole_machine::isa::DataflowChoice;
use systole_machine::spec::{Dataflow, Machine};

use super::run::{PORTS, Run};
use super::timing::{run_cycles, step_cycles, tile_row_cycles};
use super::top::{OPERAND_BITS, Parameters};

const TEMPLATE: &str = include_str!("../sv/systole_testbench.sv");

/// Its text.
pub(crate) fn text(machine: &Machine, p: &Parameters) -> String {
    let mut declared = String::new();
    let mut connected = Vec::new();
    for (_, name, bits) in p.all_ports() {
        // Writing to a string cannot fail.
        let _ = writeln!(declared, "  logic [{}:0] {name};", bits - 1);
        connected.push(format!("      .{name}({name})"));
    }
    let numbers = [
        ("ROWS", p.rows),
        ("COLUMNS", p.columns),
        ("PRODUCTS", p.products),
        ("LANES", p.lanes()),
        ("ELEMENT_BYTES", p.element_bytes),
        ("OPERAND_BITS", OPERAND_BITS),
        ("WORD_BITS", p.word_bits),
        ("SATURATES", p.saturates.into()),
    ];
    let numbers: String = numbers.iter().map(|(name, value)| format!("  localparam int {name} = {value};\n")).collect();
    TEMPLATE
        .replace("  // @PARAMETERS@\n", &numbers)
        .replace("  // @PORTS@\n", &declared)
        .replace("      // @CONNECTIONS@\n", &(connected.join(",\n") + "\n"))
        .replace("    // @RUNS@\n", &runs(machine, p))
}

/// Statements that run the convolutions.
fn runs(machine: &Machine, p: &Parameters) -> String {
    let mut out = String::new();
    for dataflow in &machine.array.dataflows {
        let run = example(p, *dataflow);
        for (name, value) in run.ports() {
            let bits = PORTS.iter().find(|port| port.0 == name).map_or(1, |port| port.1);
            let _ = writeln!(out, "    run_{name} = {bits}'d{value};");
        }
        let _ = writeln!(out, "    run_beats = 32'd{};", step_cycles(machine, &run));
        let _ = writeln!(out, "    run_row_cycles = 32'd{};", tile_row_cycles(machine, &run));
        let _ = writeln!(out, "    convolve({});", run_cycles(machine, &run));
    }
    out
}

/// A convolution with padding, a stride and several chunks that fits into the machine's accumulators.
fn example(p: &Parameters, dataflow: Dataflow) -> Run {
    let base = Run {
        dataflow: match dataflow {
            Dataflow::WeightStationary => DataflowChoice::WeightStationary,
            Dataflow::OutputStationary => DataflowChoice::OutputStationary,
            Dataflow::InputStationary => DataflowChoice::InputStationary,
        },
        packed: true,
        signed_weight: true,
        zero_activation: 128,
        height: 5,
        width: 6,
        row_pitch: 18,
        pixel_pitch: 3,
        kernel_h: 3,
        kernel_w: 3,
        stride_h: 2,
        stride_w: 1,
        dilation_h: 1,
        dilation_w: 1,
        pad_top: 1,
        pad_left: 1,
        height_out: 3,
        width_out: 6,
        channels: 3,
        outputs: 4,
        blocks: 1,
        ..Run::default()
    };
    let vectors = match dataflow {
        Dataflow::InputStationary => 18u64.div_ceil(p.columns.into()) * 4,
        _ => 18,
    };
    if vectors <= p.vectors { base } else { Run { height_out: 1, width_out: 1, outputs: 1, ..base } }
}
