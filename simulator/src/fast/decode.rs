//! Compressed weights (N-29): a whole stream at once, words found by their first bits.
//!
//! Models values alone; when the bytes of a stream move is `dma`.

use super::mutant::{Mutant, on};

/// Bits of the longest word.
const LONGEST: usize = 15;
/// Bits by which words are looked up; longer ones are searched.
const LOOKED_UP: usize = 10;
/// The run after which no value stands.
const NO_VALUE: u8 = 255;

/// Registers of `ld.shape`, and after resolution one stream (M-15).
#[derive(Clone, Copy, Debug)]
pub(super) struct Stream {
    pub(super) dram: u64,
    /// Z.
    pub(super) bytes: u64,
    /// In the weight buffer.
    pub(super) buffer: u64,
    /// N.
    pub(super) decoded: u64,
    /// Whether `ld.shape` says one row.
    pub(super) one_row: bool,
}

impl Stream {
    /// The decoded bytes, first and end, of stream bytes `first..end` (T-8).
    pub(super) fn share(&self, first: u64, end: u64) -> (u64, u64) {
        // 24 bits times 24 bits.
        let up = if on(Mutant::ShareRoundsUp) { self.bytes - 1 } else { 0 };
        let place = |byte: u64| self.buffer + (byte * self.decoded + up) / self.bytes;
        (place(first), place(end))
    }
}

/// A code: lists and limits instead of words.
struct Code<'s> {
    symbols: &'s [u8],
    /// By length: 15 bits below it begin with a word as long, unless with a shorter one.
    limit: [u32; LONGEST + 1],
    /// By length: what, added to a word, is its place in `symbols`.
    place: [i64; LONGEST + 1],
    /// By the first bits: length of the word, 0 where it is longer, and its symbol. Empty for few bits to come.
    table: Vec<(u8, u8)>,
}

impl<'s> Code<'s> {
    /// The code at the front of `header`, and what follows it.
    fn read(header: &'s [u8], look_up: bool) -> Option<(Self, &'s [u8])> {
        let (counts, rest) = header.split_at_checked(LONGEST)?;
        let total = counts.iter().map(|&count| usize::from(count)).sum();
        let (symbols, rest) = rest.split_at_checked(total)?;
        let mut code = Code { symbols, limit: [0; LONGEST + 1], place: [0; LONGEST + 1], table: vec![] };
        let (mut end, mut before) = (0u32, 0i64);
        for (length, &count) in (1..).zip(counts) {
            let first = 2 * end;
            end = first + u32::from(count);
            code.limit[length] = end << (LONGEST - length);
            code.place[length] = before - i64::from(first);
            before += i64::from(count);
        }
        if look_up {
            code.table = (0..1 << LOOKED_UP).map(|bits| code.entry(bits << (LONGEST - LOOKED_UP))).collect();
        }
        Some((code, rest))
    }

    fn entry(&self, window: u32) -> (u8, u8) {
        self.search(window, 1, LOOKED_UP).map_or((0, 0), |(length, symbol)| (length as u8, symbol))
    }

    /// The word of `from` to `to` bits with which 15 bits begin: its length and symbol.
    fn search(&self, window: u32, from: usize, to: usize) -> Option<(usize, u8)> {
        let length = (from..=to).find(|&length| window < self.limit[length])?;
        let word = i64::from(window >> (LONGEST - length));
        let symbol = self.symbols.get(usize::try_from(word + self.place[length]).ok()?)?;
        Some((length, *symbol))
    }

    /// The symbol of the next word, which has to be there whole.
    fn symbol(&self, bits: &mut Bits<'_>) -> Option<u8> {
        let window = bits.window();
        let looked_up = self.table.get((window >> (LONGEST - LOOKED_UP)) as usize).filter(|entry| entry.0 > 0);
        let (length, symbol) = match looked_up {
            Some(&(length, symbol)) => (usize::from(length), symbol),
            None => self.search(window, if self.table.is_empty() { 1 } else { LOOKED_UP + 1 }, LONGEST)?,
        };
        bits.take(length).then_some(symbol)
    }
}

/// Bits of bytes, the most significant one first.
struct Bits<'s> {
    bytes: &'s [u8],
    at: usize,
}

impl Bits<'_> {
    /// The next 15, zeros behind the end.
    fn window(&self) -> u32 {
        let byte = self.at / 8;
        let get = |offset: usize| self.bytes.get(byte + offset).copied().unwrap_or(0);
        u32::from_be_bytes([get(0), get(1), get(2), 0]) << (self.at % 8) >> 17
    }

    /// Goes on; false where there are not as many.
    fn take(&mut self, bits: usize) -> bool {
        self.at += bits;
        self.at <= 8 * self.bytes.len()
    }
}

/// Decodes `stream` into `out`, all of it.
pub(super) fn decode(stream: &[u8], out: &mut [u8]) {
    let Some((&fill, header)) = stream.split_first() else { return out.fill(0) };
    out.fill(fill);
    let look_up = out.len() > 1 << LOOKED_UP;
    let Some((runs, header)) = Code::read(header, look_up) else { return };
    let Some((values, bytes)) = Code::read(header, look_up) else { return };
    let mut bits = Bits { bytes, at: 0 };
    let mut at = 0;
    while at < out.len() {
        if !runs.symbols.is_empty() {
            let Some(run) = runs.symbol(&mut bits) else { return };
            at += usize::from(run);
            if (run == NO_VALUE && !on(Mutant::LongestRunHasValue)) || at >= out.len() {
                continue;
            }
        }
        let Some(value) = values.symbol(&mut bits) else { return };
        out[at] = value;
        at += 1;
    }
}
