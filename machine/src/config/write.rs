//! The resolved machine as YAML that [`load`](super::load) reads back to an equal machine; program files carry it.

use super::units;
use super::values::write;
use crate::spec::{Banked, Buffer, Dataflow, Dram, Energy, Machine, Overflow, Requantisation, Vector};
use std::fmt::Write;

/// Every key that [`Machine`] holds, defaults included, in base units that lose nothing: the DRAM's latency in cycles.
pub fn to_yaml(machine: &Machine) -> String {
    let mut out = String::new();
    let clock = write(&units::FREQUENCY, machine.clock_hz);
    line(&mut out, 0, "name", &quote(&machine.name));
    let _ = writeln!(out, "clocks:\n  core: {clock}");
    array(&mut out, machine);
    let _ = writeln!(out, "buffers:");
    if machine.unified {
        buffer(&mut out, "unified", &machine.activation);
    } else {
        buffer(&mut out, "activation", &machine.activation);
        buffer(&mut out, "weight", &machine.weight);
    }
    buffer(&mut out, "accumulator", &machine.accumulator);
    vector(&mut out, &machine.vector);
    let _ = writeln!(out, "dma:\n  outstanding_bursts: {}", machine.outstanding_bursts);
    if let Some(decoder) = &machine.weight_decoder {
        let _ = writeln!(out, "  weight_decoder:\n    huffman:");
        line(&mut out, 6, "output_width", &write(&units::BYTES, decoder.output_bytes.into()));
        line(&mut out, 6, "latency", &write(&units::CYCLES, decoder.latency_cycles.into()));
    }
    dram(&mut out, &machine.dram);
    control(&mut out, machine);
    if let Some(each) = &machine.energy {
        energy(&mut out, each);
    }
    out
}

fn line(out: &mut String, indent: usize, key: &str, value: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{:indent$}{key}: {value}", "");
}

/// A double-quoted YAML scalar.
fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control()
                || ('\u{7f}'..='\u{a0}').contains(&c)
                || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') =>
            {
                let _ = write!(out, "\\U{:08x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn array(out: &mut String, machine: &Machine) {
    let array = &machine.array;
    let dataflow = |dataflow: &Dataflow| match dataflow {
        Dataflow::WeightStationary => "weight_stationary",
        Dataflow::OutputStationary => "output_stationary",
        Dataflow::InputStationary => "input_stationary",
    };
    let dataflows: Vec<&str> = array.dataflows.iter().map(dataflow).collect();
    let overflow = match array.overflow {
        Overflow::Wrap => "wrap",
        Overflow::Saturate => "saturate",
    };
    let _ = writeln!(out, "array:\n  rows: {}\n  columns: {}", array.rows, array.columns);
    line(out, 2, "count", &array.count.to_string());
    line(out, 2, "dataflow", &format!("[{}]", dataflows.join(", ")));
    line(out, 2, "weight_registers", &array.weight_registers.to_string());
    line(out, 2, "dot_product_width", &array.dot_product_width.to_string());
    line(out, 2, "pe_latency", &write(&units::CYCLES, array.pe_latency_cycles.into()));
    let _ = writeln!(out, "  operands:");
    for operand in &array.operands {
        let rate = write(&units::RATE, operand.rate_milli.into());
        let _ = writeln!(out, "    - {{width: {} bit, rate: {rate}}}", operand.bits);
    }
    line(out, 2, "activations", &format!("{} bit", array.activation_bits));
    let _ = writeln!(out, "  accumulator:");
    line(out, 4, "width", &write(&units::BITS, array.accumulator_bits.into()));
    line(out, 4, "overflow", overflow);
}

fn buffer(out: &mut String, name: &str, buffer: &Buffer) {
    let _ = writeln!(out, "  {name}:");
    line(out, 4, "capacity", &write(&units::BYTES, buffer.capacity_bytes));
    line(out, 4, "banks", &buffer.banks.to_string());
    line(out, 4, "port_width", &write(&units::BYTES, buffer.port_bytes.into()));
    line(out, 4, "ports", &buffer.ports.to_string());
}

fn vector(out: &mut String, vector: &Vector) {
    let requantisation = match vector.requantisation {
        Requantisation::Float32 => "float32".to_owned(),
        Requantisation::FixedPoint { multiplier_bits, double_rounding } => {
            let rounding = if double_rounding { "double" } else { "single" };
            format!("{{fixed_point: {{multiplier: {multiplier_bits} bit, rounding: {rounding}}}}}")
        }
        Requantisation::Shift => "shift".to_owned(),
    };
    let _ = writeln!(out, "vector:");
    line(out, 2, "lanes", &vector.lanes.to_string());
    line(out, 2, "requantise_per_cycle", &vector.requantise_per_cycle.to_string());
    line(out, 2, "latency", &write(&units::CYCLES, vector.latency_cycles.into()));
    line(out, 2, "float32", &vector.float32.to_string());
    line(out, 2, "depthwise", &vector.depthwise.to_string());
    line(out, 2, "requantisation", &requantisation);
}

fn dram(out: &mut String, dram: &Dram) {
    let burst = write(&units::BYTES, dram.burst_bytes().into());
    match dram {
        Dram::Ideal { .. } => {
            let _ = writeln!(out, "dram:\n  ideal:");
        }
        Dram::Banked(dram) => return banked(out, dram),
        Dram::Simple { bandwidth_bytes_per_s, latency_cycles, .. } => {
            let _ = writeln!(out, "dram:\n  simple:");
            line(out, 4, "bandwidth", &write(&units::BANDWIDTH, *bandwidth_bytes_per_s));
            line(out, 4, "latency", &write(&units::CYCLES, *latency_cycles));
        }
    }
    line(out, 4, "burst", &burst);
}

/// Every number of the part, also where the preset has the same.
fn banked(out: &mut String, dram: &Banked) {
    let order: Vec<String> = dram.mapping.iter().map(|(field, bits)| format!("{}:{bits}", field.name())).collect();
    let _ = writeln!(out, "dram:\n  banked:");
    line(out, 4, "preset", &dram.preset);
    line(out, 4, "channels", &dram.channels.to_string());
    line(out, 4, "ranks", &dram.ranks.to_string());
    line(out, 4, "address_mapping", &quote(&order.join(" ")));
    line(out, 4, "page_policy", if dram.closed_page { "closed" } else { "open" });
    line(out, 4, "refresh", &dram.refresh.to_string());
    line(out, 4, "clock", &write(&units::FREQUENCY, dram.clock_hz));
    line(out, 4, "queue_depth", &dram.queue_depth.to_string());
    let _ = writeln!(out, "    part:");
    for (key, number) in super::banked::numbers(dram) {
        line(out, 6, key, &number.to_string());
    }
}

fn control(out: &mut String, machine: &Machine) {
    let [load, array, vector, store] = machine.control.queue_depth;
    let depths = format!("{{load: {load}, array: {array}, vector: {vector}, store: {store}}}");
    let _ = writeln!(out, "control:");
    line(out, 2, "queue_depth", &depths);
    line(out, 2, "issue_interval", &write(&units::CYCLES, machine.control.issue_interval_cycles.into()));
    line(out, 2, "token_max", &machine.control.token_max.to_string());
}

fn energy(out: &mut String, energy: &Energy) {
    let _ = writeln!(out, "energy:");
    line(out, 2, "mac", &format!("{} pJ", energy.mac_pj));
    line(out, 2, "activation", &format!("{} pJ/B", energy.activation_byte_pj));
    line(out, 2, "weight", &format!("{} pJ/B", energy.weight_byte_pj));
    line(out, 2, "accumulator", &format!("{} pJ/B", energy.accumulator_byte_pj));
    line(out, 2, "vector_operation", &format!("{} pJ", energy.vector_op_pj));
    line(out, 2, "dram", &format!("{} pJ/B", energy.dram_byte_pj));
}
