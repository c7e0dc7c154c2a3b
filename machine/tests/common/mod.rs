//! Random numbers and random programs for the tests of container and assembler. Every test file uses its own part.
#![allow(dead_code, reason = "each test binary uses some of it")]

use systole_machine::isa::arbitrary::random_instruction;
use systole_machine::program::{ElementType, LayerEntry, Layout, ModelEntry, Program, Role, Segment, TensorEntry};

/// SplitMix64.
pub(crate) fn random(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// A text of 0 to 11 characters among those that need care.
pub(crate) fn random_text(next: &mut impl FnMut() -> u64) -> String {
    const LETTERS: [char; 16] =
        ['a', 'Z', '0', ' ', '"', '\\', '\n', '\r', '\t', '|', ';', 'é', '字', '\u{0}', '\u{7f}', '😀'];
    (0..next() % 12).map(|_| LETTERS[(next() % 16) as usize]).collect()
}

/// A program without flaws: all sizes small, all texts nasty, f32 of any bits.
pub(crate) fn random_program(next: &mut impl FnMut() -> u64) -> Program {
    let layers: Vec<LayerEntry> = (0..next() % 4).map(|_| random_layer(next)).collect();
    let instructions: Vec<_> = (0..next() % 20).map(|_| random_instruction(next)).collect();
    let source = instructions.iter().map(|_| random_source(next, layers.len())).collect();
    let image = random_image(next);
    let image_end = image.last().map_or(0, |segment| segment.address + segment.bytes.len() as u64);
    let dram_bytes = image_end + next() % 3 + 1000;
    Program {
        machine_yaml: random_text(next),
        model: ModelEntry {
            name: random_text(next),
            macs: next(),
            parameters: next(),
            weight_bytes: next(),
            batch: next(),
        },
        dram_bytes,
        instructions,
        source,
        layers,
        image,
        tensors: (0..next() % 4).map(|_| random_tensor(next)).collect(),
    }
}

fn random_source(next: &mut impl FnMut() -> u64, layers: usize) -> u32 {
    if layers == 0 || next().is_multiple_of(3) { u32::MAX } else { (next() % layers as u64) as u32 }
}

fn random_image(next: &mut impl FnMut() -> u64) -> Vec<Segment> {
    let mut address = 0;
    let mut segment = |_| {
        address += next() % 3;
        let bytes: Vec<u8> = (0..next() % 70).map(|_| next() as u8).collect();
        let segment = Segment { address, bytes };
        address += segment.bytes.len() as u64;
        segment
    };
    (0..3).map(&mut segment).collect()
}

fn random_layer(next: &mut impl FnMut() -> u64) -> LayerEntry {
    LayerEntry {
        name: random_text(next),
        nodes: (0..next() % 3).map(|_| random_text(next)).collect(),
        op: random_text(next),
        macs: next(),
        weight_bits: next() as u32,
        compulsory_bytes: next(),
        mapping: random_text(next),
    }
}

fn random_tensor(next: &mut impl FnMut() -> u64) -> TensorEntry {
    let dims = [next() % 3, next() % 4, next() % 3, next() % 3];
    let element = [ElementType::I8, ElementType::U8, ElementType::I16, ElementType::I32][(next() % 4) as usize];
    let pixel_pitch = element.bytes() * dims[1] + next() % 3;
    let row_pitch = dims[3] * pixel_pitch + next() % 3;
    TensorEntry {
        name: random_text(next),
        shape: vec![dims[0], dims[1] * dims[2] * dims[3]],
        dims,
        element,
        role: [Role::Input, Role::Output, Role::Intermediate][(next() % 3) as usize],
        layout: Layout::Nhwc,
        address: next() % 500,
        pixel_pitch,
        row_pitch,
        image_pitch: dims[2] * row_pitch + next() % 3,
        scale: f32::from_bits(next() as u32),
        zero_point: next() as i32,
        float_name: next().is_multiple_of(2).then(|| random_text(next)),
    }
}
