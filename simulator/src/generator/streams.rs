//! Streams of compressed weights in DRAM (N-29), good ones and others, and the loads that decode them (M-15).

use systole_machine::isa::{Operation, Unit};

use super::builder::{Builder, Piece, u};
use super::draw::Draw;
use super::footprint::{Access, Memory};
use super::weights;

/// Bytes of a stream without symbols: fill and the counts of two codes.
const HEADER: u64 = 31;

/// Writes streams behind the tables of parameters, where the load unit reads; their first bytes and lengths.
pub(super) fn streams(b: &mut Builder, dram: &mut [u8]) -> Vec<(u64, u64)> {
    let last = b.tables[b.tables.len() - 1];
    let mut first = last.first + last.record * last.entries;
    let end = b.rooms[Unit::Load as usize].0[Memory::Dram as usize].1;
    let mut all = vec![];
    while first + HEADER < end {
        let most = b.draw.pick(&[60, 60, 120, 400, 3000]);
        let bytes = stream(b.draw, (end - first).min(most));
        dram[first as usize..][..bytes.len()].copy_from_slice(&bytes);
        all.push((first, bytes.len() as u64));
        first += bytes.len() as u64 + b.draw.small(0, 40);
    }
    all
}

/// A stream of at most so many bytes: its words are any bits.
fn stream(d: &mut Draw, most: u64) -> Vec<u8> {
    let mut bytes = vec![d.bits() as u8];
    let runs = d.chance(70);
    // Short runs, and at times the one that has no value behind it.
    let run = |d: &mut Draw| if d.chance(15) { 255 } else { d.small(0, 40) as u8 };
    code(d, &mut bytes, runs, run);
    let values = d.chance(95);
    code(d, &mut bytes, values, |d| d.bits() as u8);
    let words = d.small(1, most);
    bytes.extend((0..words).map(|_| d.bits() as u8));
    // A header that says too much, or something else.
    if d.chance(10) {
        let at = d.range(0, HEADER.min(bytes.len() as u64 - 1)) as usize;
        bytes[at] = d.bits() as u8;
    }
    bytes.truncate(most as usize);
    bytes
}

/// A code whose words leave some bits without meaning, or none, now and then too many of them.
fn code(d: &mut Draw, bytes: &mut Vec<u8>, any: bool, symbol: impl Fn(&mut Draw) -> u8) {
    let longest = d.pick(&[1, 3, 5, 9, 15, 15]);
    // Words of the present length that are not taken.
    let mut free = 1u64;
    let mut words = 0;
    for length in 1..=15 {
        free = (2 * free).min(200);
        let most = if length == longest { free.min(20) } else { (free - 1).min(3) };
        let count = if any && length <= longest { d.range(0, most) } else { 0 };
        let count = if any && d.chance(2) { d.range(0, 20) } else { count };
        free = free.saturating_sub(count).max(1);
        words += count;
        bytes.push(count as u8);
    }
    bytes.extend((0..words).map(|_| symbol(d)));
}

/// A load that decodes: a stream, the front of one, or what lies anywhere.
pub(super) fn decode(b: &mut Builder) -> Option<Piece> {
    let memory = weights(b.machine);
    let room = b.rooms[Unit::Load as usize].length(memory);
    let of_streams = (!b.streams.is_empty() && b.draw.chance(75)).then(|| b.draw.pick(&b.streams));
    let (first, bytes) = match of_streams {
        Some((first, bytes)) if bytes <= room && b.draw.chance(70) => {
            b.notes.insert("decode: a stream");
            (first, bytes)
        }
        Some((first, bytes)) => {
            b.notes.insert("decode: the front of a stream");
            (first, b.draw.range(1, bytes.min(room)))
        }
        None => {
            let most = room.min(b.rooms[Unit::Load as usize].length(Memory::Dram)).min(b.limits.row);
            let bytes = b.draw.range(1, most);
            b.notes.insert("decode: any bytes");
            (b.place(Unit::Load, Memory::Dram, bytes)?, bytes)
        }
    };
    let decoded = if b.draw.chance(20) { b.draw.range(bytes, room) } else { b.draw.small(bytes, room) };
    let buffer = b.place(Unit::Load, memory, decoded)?;
    Some(Piece {
        configuration: vec![Operation::LoadShape { row_bytes: u(decoded), rows: u(1), planes: u(1) }],
        run: Operation::LoadDecode { dram: u(first), buffer: u(buffer), bytes: u(bytes) },
        accesses: vec![Access::new(Memory::Dram, false, first, bytes), Access::new(memory, true, buffer, decoded)],
    })
}
