//! Program to bytes. Every length is written as it is; nothing is checked.

use super::{ALIGNMENT, ENTRY_BYTES, HEADER_BYTES, MAGIC, Section, VERSION, machine_hash};
use crate::program::{LayerEntry, Program, TensorEntry};

/// The whole file.
pub(super) fn program(program: &Program) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(MAGIC);
    u32(&mut out, VERSION);
    u32(&mut out, Section::ALL.len() as u32);
    u32(&mut out, 0);
    out.resize(HEADER_BYTES + ENTRY_BYTES * Section::ALL.len(), 0);
    for section in Section::ALL {
        pad(&mut out);
        let start = out.len();
        body(&mut out, section, program);
        let entry = table_entry(section, start, out.len() - start);
        let at = HEADER_BYTES + ENTRY_BYTES * section as usize;
        out[at..at + ENTRY_BYTES].copy_from_slice(&entry);
    }
    pad(&mut out);
    let checksum = crc32fast::hash(&out);
    u32(&mut out, checksum);
    out
}

fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
}

fn table_entry(section: Section, start: usize, length: usize) -> Vec<u8> {
    let mut entry = section.tag().as_bytes().to_vec();
    u32(&mut entry, 0);
    u64(&mut entry, start as u64);
    u64(&mut entry, length as u64);
    entry
}

fn body(out: &mut Vec<u8>, section: Section, program: &Program) {
    match section {
        Section::Machine => {
            out.extend(machine_hash(&program.machine_yaml));
            out.extend(program.machine_yaml.as_bytes());
        }
        Section::Model => {
            let model = &program.model;
            text(out, &model.name);
            [model.macs, model.parameters, model.weight_bytes, model.batch].into_iter().for_each(|v| u64(out, v));
        }
        Section::Code => program.instructions.iter().for_each(|i| out.extend(i.encode().to_le_bytes())),
        Section::Image => {
            u64(out, program.dram_bytes);
            u64(out, program.image.len() as u64);
            for segment in &program.image {
                u64(out, segment.address);
                u64(out, segment.bytes.len() as u64);
                out.extend(&segment.bytes);
            }
        }
        Section::Tensors => {
            u64(out, program.tensors.len() as u64);
            program.tensors.iter().for_each(|entry| tensor(out, entry));
        }
        Section::Layers => {
            u64(out, program.layers.len() as u64);
            program.layers.iter().for_each(|entry| layer(out, entry));
        }
        Section::Source => program.source.iter().for_each(|&layer| u32(out, layer)),
    }
}

fn tensor(out: &mut Vec<u8>, tensor: &TensorEntry) {
    text(out, &tensor.name);
    u64(out, tensor.shape.len() as u64);
    tensor.shape.iter().for_each(|&extent| u64(out, extent));
    tensor.dims.iter().for_each(|&extent| u64(out, extent));
    out.extend([tensor.element as u8, tensor.role as u8, tensor.layout as u8]);
    u64(out, tensor.address);
    [tensor.pixel_pitch, tensor.row_pitch, tensor.image_pitch].into_iter().for_each(|pitch| u64(out, pitch));
    u32(out, tensor.scale.to_bits());
    out.extend(tensor.zero_point.to_le_bytes());
    match &tensor.float_name {
        None => out.push(0),
        Some(name) => {
            out.push(1);
            text(out, name);
        }
    }
}

fn layer(out: &mut Vec<u8>, layer: &LayerEntry) {
    text(out, &layer.name);
    u64(out, layer.nodes.len() as u64);
    layer.nodes.iter().for_each(|node| text(out, node));
    text(out, &layer.op);
    u64(out, layer.macs);
    u32(out, layer.weight_bits);
    u64(out, layer.compulsory_bytes);
    text(out, &layer.mapping);
}

fn u32(out: &mut Vec<u8>, value: u32) {
    out.extend(value.to_le_bytes());
}

fn u64(out: &mut Vec<u8>, value: u64) {
    out.extend(value.to_le_bytes());
}

fn text(out: &mut Vec<u8>, text: &str) {
    u64(out, text.len() as u64);
    out.extend(text.as_bytes());
}
