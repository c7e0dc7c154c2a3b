//! Program to text, in one canonical form: assembling it gives the same program, and printing that the same text.

use super::UNITS;
use super::scalar::{show_bits, show_real};
use super::words::{ELEMENTS, LAYOUTS, ROLES};
use crate::isa::format::{by_mnemonic, may_be_left_out};
use crate::isa::{Instruction, UnitMask};
use crate::program::{LayerEntry, Program, Segment, TensorEntry};

/// Bytes on a line of the image.
const BYTES_A_LINE: usize = 32;
/// Bytes in a word of such a line.
const BYTES_A_WORD: usize = 4;

/// The whole text.
pub(super) fn program(program: &Program) -> String {
    let mut out = String::from(".machine\n");
    program.machine_yaml.split('\n').for_each(|line| machine_line(&mut out, line));
    let model = &program.model;
    out += &format!(
        "\n.model name={}, macs={}, parameters={}, weight_bytes={}, batch={}\n.dram bytes={}\n",
        quote(&model.name),
        model.macs,
        model.parameters,
        model.weight_bytes,
        model.batch,
        program.dram_bytes
    );
    program.tensors.iter().for_each(|entry| tensor(&mut out, entry));
    program.image.iter().for_each(|entry| segment(&mut out, entry));
    program.layers.iter().enumerate().for_each(|(index, entry)| layer(&mut out, index, entry));
    code(&mut out, program);
    out
}

fn machine_line(out: &mut String, line: &str) {
    out.push('|');
    if line.chars().any(char::is_control) {
        out.push_str(&quote(line));
    } else if !line.is_empty() {
        out.push(' ');
        out.push_str(line);
    }
    out.push('\n');
}

fn tensor(out: &mut String, tensor: &TensorEntry) {
    *out += &format!(
        "\n.tensor name={}, shape={:?}, dims={:?}, element={}, role={}, layout={}, address={:#x}, pixel_pitch={}, \
         row_pitch={}, image_pitch={}, scale={}, zero_point={}",
        quote(&tensor.name),
        tensor.shape,
        tensor.dims,
        word(ELEMENTS, tensor.element),
        word(ROLES, tensor.role),
        word(LAYOUTS, tensor.layout),
        tensor.address,
        tensor.pixel_pitch,
        tensor.row_pitch,
        tensor.image_pitch,
        show_real(tensor.scale),
        tensor.zero_point
    );
    if let Some(name) = &tensor.float_name {
        *out += &format!(", float_name={}", quote(name));
    }
    out.push('\n');
}

fn segment(out: &mut String, segment: &Segment) {
    *out += &format!("\n.image address={:#x}\n", segment.address);
    for line in segment.bytes.chunks(BYTES_A_LINE) {
        out.push_str(".bytes");
        for word in line.chunks(BYTES_A_WORD) {
            out.push(' ');
            for byte in word {
                out.extend([byte >> 4, byte & 15].map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])));
            }
        }
        out.push('\n');
    }
}

fn layer(out: &mut String, index: usize, layer: &LayerEntry) {
    let nodes: Vec<String> = layer.nodes.iter().map(|node| quote(node)).collect();
    *out += &format!(
        "\n; layer {index}\n.layer name={}, nodes=[{}], op={}, macs={}, weight_bits={}, compulsory_bytes={}, mapping={}\n",
        quote(&layer.name),
        nodes.join(", "),
        quote(&layer.op),
        layer.macs,
        layer.weight_bits,
        layer.compulsory_bytes,
        quote(&layer.mapping)
    );
}

fn code(out: &mut String, program: &Program) {
    let mut current = u32::MAX;
    for (index, entry) in program.instructions.iter().enumerate() {
        let layer = program.source.get(index).copied().unwrap_or(u32::MAX);
        if layer != current || index == 0 {
            current = layer;
            out.push_str(&in_layer(program, layer));
        }
        instruction(out, entry);
    }
}

fn in_layer(program: &Program, layer: u32) -> String {
    match program.layers.get(layer as usize) {
        Some(entry) => format!("\n.in layer={layer} ; {}\n", quote(&entry.name)),
        None if layer == u32::MAX => "\n.in layer=none\n".into(),
        None => format!("\n.in layer={layer}\n"),
    }
}

/// One instruction and the end of its line.
pub(super) fn instruction(out: &mut String, instruction: &Instruction) {
    let mnemonic = instruction.operation.mnemonic();
    out.push_str(mnemonic);
    if let Some(format) = by_mnemonic(mnemonic) {
        let bits = instruction.operation.field_bits();
        let fields = format.row.fields.iter().zip(&format.formats).zip(bits);
        let written = fields.filter(|((field, _), bits)| *bits != 0 || !may_be_left_out(field.name));
        for (index, ((field, kind), bits)) in written.enumerate() {
            out.push_str(if index == 0 { " " } else { ", " });
            out.push_str(field.name);
            out.push('=');
            out.push_str(&show_bits(bits, kind, field.bits));
        }
    }
    tokens(out, "wait", instruction.wait);
    tokens(out, "signal", instruction.signal);
    out.push('\n');
}

fn tokens(out: &mut String, keyword: &str, mask: UnitMask) {
    if mask.is_empty() {
        return;
    }
    let units: Vec<&str> = (0..8).filter(|bit| mask.0 >> bit & 1 == 1).map(|bit: usize| UNITS[bit]).collect();
    *out += &format!(" {keyword}({})", units.join(", "));
}

fn word<T: PartialEq>(words: &[(&'static str, T)], value: T) -> &'static str {
    words.iter().find(|word| word.1 == value).map_or("", |word| word.0)
}

fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
