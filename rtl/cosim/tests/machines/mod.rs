//! The machines of the tests: every side of the array from 1 to 16, dot products, slow PEs, one and two registers, narrow and wide sums, narrow ports.

use systole_machine::config;
use systole_machine::spec::{Buffer, Dataflow, Machine, OperandWidth, Overflow};

/// R, C, D, L, registers, bits of a sum, whether it saturates, port widths of activations, weights and accumulators (words), rate in a thousand cycles.
type Row = (&'static str, [u32; 5], u32, bool, [u32; 3], u32);

const ROWS: [Row; 9] = [
    ("one PE", [1, 1, 1, 1, 2], 32, false, [4, 4, 1], 1000),
    ("4 x 4", [4, 4, 1, 1, 2], 32, false, [16, 8, 8], 1000),
    ("a row", [1, 7, 2, 1, 1], 24, true, [2, 64, 7], 1000),
    ("a column", [5, 1, 1, 3, 2], 16, true, [8, 3, 1], 1000),
    ("wide", [3, 8, 4, 2, 2], 48, false, [32, 16, 3], 400),
    ("high", [8, 3, 2, 1, 1], 20, false, [5, 2, 3], 1000),
    ("slow", [6, 5, 3, 3, 1], 16, true, [64, 64, 2], 400),
    ("narrow ports", [4, 6, 1, 2, 2], 33, true, [1, 1, 1], 1000),
    ("16 x 16", [16, 16, 1, 1, 2], 32, false, [32, 16, 16], 1000),
];

/// All machines, with all dataflows.
pub(crate) fn all() -> Vec<(&'static str, Machine)> {
    ROWS.iter().map(|row| (row.0, machine(row))).collect()
}

fn machine((name, [rows, columns, products, latency, registers], bits, saturates, ports, rate): &Row) -> Machine {
    let yaml = config::preset("edge-16x16").expect("a preset");
    let mut machine = config::load(yaml, "edge-16x16").expect("a machine");
    machine.name = (*name).to_owned();
    let array = &mut machine.array;
    (array.rows, array.columns, array.dot_product_width) = (*rows, *columns, *products);
    (array.pe_latency_cycles, array.weight_registers) = (*latency, *registers);
    array.dataflows = vec![Dataflow::WeightStationary, Dataflow::OutputStationary, Dataflow::InputStationary];
    array.operands = vec![OperandWidth { bits: 8, rate_milli: *rate }];
    array.accumulator_bits = *bits;
    array.overflow = if *saturates { Overflow::Saturate } else { Overflow::Wrap };
    let word = array.accumulator_bytes() as u32;
    let buffer = |bytes: u64, port_bytes| Buffer { capacity_bytes: bytes, banks: 1, port_bytes, ports: 3 };
    machine.activation = buffer(4096, ports[0]);
    machine.weight = buffer(16384, ports[1]);
    machine.accumulator = buffer(u64::from(word * columns) * 256, word * ports[2]);
    machine
}
