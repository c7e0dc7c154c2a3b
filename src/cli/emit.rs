//! The stages of compilation as text: `compile --emit`.

use std::fmt::Write;

use systole_compiler::compile::Mapping;
use systole_compiler::mapping::{ConvMapping, VectorMapping};
use systole_machine::isa::assembler::disassemble;
use systole_machine::isa::{UNITS, Unit};
use systole_network::graph::Graph;
use systole_network::tensor::TensorId;
use systole_network::text;

use super::common::Built;

/// What can be printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Stage {
    /// The program as assembly
    Asm,
    /// The quantised graph
    Graph,
    /// Fused operators
    Fused,
    /// Tiling of each layer
    Mapping,
    /// Where tensors and constants lie in DRAM
    Memory,
    /// Instructions in program order with their tokens
    Schedule,
}

/// The stage as text.
pub(super) fn stage_text(stage: Stage, built: &Built) -> String {
    match stage {
        Stage::Asm => disassemble(&built.compiled.program),
        Stage::Graph => text::to_text(&built.quantised.graph),
        Stage::Fused => fused(built),
        Stage::Mapping => mapping(built),
        Stage::Memory => memory(built),
        Stage::Schedule => schedule(built),
    }
}

fn described(graph: &Graph, id: TensorId) -> String {
    let tensor = graph.tensor(id);
    let shape: Vec<String> = tensor.shape.iter().map(usize::to_string).collect();
    format!("{} {}[{}]", tensor.name, tensor.dtype.name(), shape.join(", "))
}

fn fused(built: &Built) -> String {
    let graph = &built.quantised.graph;
    let mut out = String::new();
    for (index, layer) in built.compiled.layers.layers.iter().enumerate() {
        let (input, output) = (described(graph, layer.input), described(graph, layer.output));
        let (low, high) = layer.clamp;
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{index} {}: {} {input} -> {output}", layer.name, layer.op);
        let _ = writeln!(
            out,
            "    from [n, h, w, c] = {:?}, clamp {low} to {high}, nodes {}",
            layer.output_first,
            layer.nodes.join(", ")
        );
    }
    out
}

fn mapping(built: &Built) -> String {
    let mut out = String::new();
    let layers = built.compiled.program.layers.iter().zip(&built.compiled.mappings);
    for (index, (layer, mapping)) in layers.enumerate() {
        let _ = writeln!(out, "{index} {}: {}", layer.name, layer.mapping);
        match mapping {
            Mapping::Conv(conv) => conv_details(&mut out, conv),
            Mapping::Vector(vector) => vector_details(&mut out, vector),
            Mapping::Move(copy) => region(&mut out, "copied", &copy.regions, copy.region_bytes),
        }
    }
    out
}

fn conv_details(out: &mut String, conv: &ConvMapping) {
    let parts: usize = conv.chunks.iter().map(|chunk| chunk.parts.len()).sum();
    let _ = writeln!(
        out,
        "    {} chunks in {parts} parts, {} bytes of weights, about {} cycles",
        conv.chunks.len(),
        conv.weight_bytes,
        conv.cycles
    );
    for (name, (addresses, bytes)) in
        ["input", "output", "parameters"].into_iter().zip(conv.place.regions.iter().zip(conv.region_bytes))
    {
        region(out, name, addresses, bytes);
    }
}

fn vector_details(out: &mut String, vector: &VectorMapping) {
    let _ = writeln!(out, "    about {} cycles", vector.cycles);
    let names = ["first operand", "second operand", "parameters", "output"];
    for (name, (addresses, bytes)) in names.into_iter().zip(vector.regions.iter().zip(vector.region_bytes)) {
        region(out, name, addresses, bytes);
    }
}

fn region(out: &mut String, name: &str, slots: &[u64], bytes: u64) {
    if bytes == 0 {
        return;
    }
    let mut places: Vec<String> = slots.iter().map(|address| format!("{address:#x}")).collect();
    places.dedup();
    let _ = writeln!(out, "    {name}: {bytes} bytes at {}", places.join(" and "));
}

fn memory(built: &Built) -> String {
    let program = &built.compiled.program;
    let tensors = program.tensors.iter().map(|entry| {
        let what = format!(
            "tensor {} [n, c, h, w] = {:?}, {} bytes a pixel, {} a row",
            entry.name, entry.dims, entry.pixel_pitch, entry.row_pitch
        );
        (entry.address, entry.dims[0] * entry.dims[2] * entry.dims[3] * entry.element.pixel_bytes(entry.dims[1]), what)
    });
    let constants =
        program.image.iter().map(|segment| (segment.address, segment.bytes.len() as u64, "constants".to_owned()));
    let mut all: Vec<(u64, u64, String)> = tensors.chain(constants).collect();
    all.sort();
    let mut out = format!("DRAM: {} bytes\n", program.dram_bytes);
    for (address, bytes, what) in all {
        let _ = writeln!(out, "{address:#012x} {bytes:>12} bytes  {what}");
    }
    out
}

fn schedule(built: &Built) -> String {
    let mut out = String::new();
    for (index, step) in built.compiled.steps.iter().enumerate() {
        let units = |set: [bool; UNITS]| {
            let names: Vec<&str> = Unit::ALL.into_iter().filter(|&unit| set[unit as usize]).map(Unit::name).collect();
            names.join(", ")
        };
        let name = built.compiled.program.layers.get(step.layer as usize).map_or("", |layer| &layer.name);
        let _ = write!(out, "{index} {} {} of {name}", step.unit().name(), step.run.mnemonic());
        for (keyword, set) in [("wait", step.waits), ("signal", step.signals)] {
            if set.contains(&true) {
                let _ = write!(out, " {keyword}({})", units(set));
            }
        }
        out.push('\n');
    }
    out
}
