//! The top module: the array with the parameters of a machine, a port for each register of a run.

use std::fmt::Write;

use systole_machine::spec::{Dataflow, Machine, Overflow};

use super::run::PORTS;
use super::timing::drain_cycles;
use super::{TOP, Unsupported};

/// Bits of an operand after its zero point, any i16, is subtracted.
pub const OPERAND_BITS: u32 = 17;

/// The parameters of `systole_array`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// R.
    pub rows: u32,
    /// C.
    pub columns: u32,
    /// D.
    pub products: u32,
    /// L.
    pub latency_cycles: u32,
    /// Two registers of what stays.
    pub shadowed: bool,
    /// Weight- or input-stationary.
    pub operand_grid: bool,
    /// Output-stationary.
    pub output_grid: bool,
    /// Of an activation, at most.
    pub element_bytes: u32,
    /// w.
    pub word_bits: u32,
    /// Clamps instead of wrapping.
    pub saturates: bool,
    /// Accumulator vectors.
    pub vectors: u64,
    /// d.
    pub drain_cycles: u64,
}

impl Parameters {
    /// Those of a machine.
    ///
    /// # Errors
    /// It has something that the RTL does not model.
    pub fn of(machine: &Machine) -> Result<Self, Unsupported> {
        let array = &machine.array;
        if machine.unified {
            return Err(Unsupported::Unified);
        }
        if array.count > 1 {
            return Err(Unsupported::Arrays(array.count));
        }
        Ok(Parameters {
            rows: array.rows,
            columns: array.columns,
            products: array.dot_product_width,
            latency_cycles: array.pe_latency_cycles,
            shadowed: array.weight_registers == 2,
            operand_grid: array.dataflows.iter().any(|&each| each != Dataflow::OutputStationary),
            output_grid: array.supports(Dataflow::OutputStationary),
            element_bytes: if array.operands.iter().any(|each| each.bits == 16) { 2 } else { 1 },
            word_bits: array.accumulator_bits,
            saturates: array.overflow == Overflow::Saturate,
            vectors: machine.accumulator_vectors(),
            drain_cycles: drain_cycles(machine),
        })
    }

    /// Lanes of the activation port.
    pub fn lanes(&self) -> u32 {
        self.rows.max(self.columns)
    }

    /// Bits of a sum that leaves the array.
    pub fn sum_bits(&self) -> u32 {
        let terms = self.rows * self.products;
        (2 * OPERAND_BITS + terms.next_power_of_two().trailing_zeros() + 1).max(self.word_bits)
    }

    /// Ports besides the registers of a run: direction, name, bits.
    fn ports(&self) -> [(&'static str, &'static str, u32); 22] {
        let (rows, columns, lanes) = (self.rows, self.columns, self.lanes());
        let element = self.products * OPERAND_BITS;
        [
            ("input", "clk", 1),
            ("input", "reset", 1),
            ("input", "start", 1),
            ("output", "ready", 1),
            ("output", "engaged", 1),
            ("output", "ended", 1),
            ("output", "activation_address", lanes * 32),
            ("output", "activation_inside", lanes * self.products),
            ("output", "activation_wide", 1),
            ("input", "activation_data", lanes * self.products * self.element_bytes * 8),
            ("output", "weight_request", 1),
            ("output", "weight_address", 32),
            ("input", "weight_data", lanes * self.products * 8),
            ("input", "read_vector", 32),
            ("output", "read_words", columns * self.word_bits),
            ("output", "edge_rows_valid", rows),
            ("output", "edge_rows", rows * element),
            ("output", "edge_columns_valid", columns),
            ("output", "edge_columns_row", columns * 16),
            ("output", "edge_columns", columns * element),
            ("output", "leaving_valid", columns),
            ("output", "leaving_vector", columns * 32),
        ]
    }

    /// The last two ports.
    fn leaving(&self) -> [(&'static str, &'static str, u32); 2] {
        [
            ("output", "leaving_sum", self.columns * self.sum_bits()),
            ("output", "leaving_word", self.columns * self.word_bits),
        ]
    }

    /// All ports: direction, name, bits.
    pub fn all_ports(&self) -> Vec<(&'static str, String, u32)> {
        let run = PORTS.iter().map(|(name, bits)| ("input", format!("run_{name}"), *bits));
        let own = |(direction, name, bits): (&'static str, &str, u32)| (direction, name.to_owned(), bits);
        self.ports().into_iter().map(own).chain(self.leaving().into_iter().map(own)).chain(run).collect()
    }
}

/// The parameters as an instance states them.
pub(crate) fn stated(p: &Parameters) -> Vec<(&'static str, u64)> {
    vec![
        ("ROWS", p.rows.into()),
        ("COLUMNS", p.columns.into()),
        ("PRODUCTS", p.products.into()),
        ("LATENCY", p.latency_cycles.into()),
        ("SHADOWED", p.shadowed.into()),
        ("HAS_OPERAND_GRID", p.operand_grid.into()),
        ("HAS_OUTPUT_GRID", p.output_grid.into()),
        ("ELEMENT_BYTES", p.element_bytes.into()),
        ("OPERAND_BITS", OPERAND_BITS.into()),
        ("WORD_BITS", p.word_bits.into()),
        ("SATURATES", p.saturates.into()),
        ("VECTORS", p.vectors),
        ("DRAIN_CYCLES", p.drain_cycles),
    ]
}

/// The file.
pub(crate) fn text(p: &Parameters) -> String {
    let mut out = String::from(
        "// The array with the parameters of one machine; each register of an `ar.run` is a port, sampled in the cycle of `start`.\n",
    );
    let ports = p.all_ports();
    // Writing to a string cannot fail.
    let _ = writeln!(out, "module {TOP} (");
    for (index, (direction, name, bits)) in ports.iter().enumerate() {
        let width = if *bits > 1 { format!("[{}:0] ", bits - 1) } else { String::new() };
        let comma = if index + 1 == ports.len() { "" } else { "," };
        let _ = writeln!(out, "    {direction} logic {width}{name}{comma}");
    }
    out += ");\n  systole_types::run_t run;\n";
    for (name, _) in PORTS {
        let _ = writeln!(out, "  assign run.{name} = run_{name};");
    }
    out += "  systole_array #(\n";
    let stated: Vec<String> = stated(p).iter().map(|(name, value)| format!("      .{name}({value})")).collect();
    let own = p.ports().map(|port| port.1).into_iter().chain(p.leaving().map(|port| port.1));
    let connected: Vec<String> = own.map(|name| format!("      .{name}({name})")).collect();
    let _ = write!(
        out,
        "{}\n  ) array (\n      .run(run),\n{}\n  );\nendmodule\n",
        stated.join(",\n"),
        connected.join(",\n")
    );
    out
}
