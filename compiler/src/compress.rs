//! The encoder of compressed weights (rule N-29), and where it pays.
//!
//! Written from the rule alone; no decoder is here. A tile becomes the shorter of two streams: runs of pruned weights with values between them, or values
//! alone. What does not get shorter on the bus stays as it is.

mod huffman;
pub(crate) mod stored;

use systole_machine::spec::Machine;

use crate::mapping::{bursts, bus_cycles};
use huffman::Code;

/// The run behind which no value stands.
const NO_VALUE: u8 = 255;

/// The stream of a tile, where a machine's decoder makes it worth its while: fewer bursts, and in the buffer at most a sixteenth later than the copy would
/// be (each burst's share takes whole cycles, T-8, which is a loss where shares are small).
pub(crate) fn worthwhile(tile: &[u8], fill: u8, machine: &Machine) -> Option<Vec<u8>> {
    let decoder = machine.weight_decoder?;
    let port = u64::from(machine.weight.port_bytes);
    let width = port.min(decoder.output_bytes.into()).max(1);
    let bytes = tile.len() as u64;
    let of_copy = bursts(machine, 1, bytes);
    let copied = bus_cycles(machine, of_copy).max(bytes.div_ceil(port));
    let in_time = |cycles: u64| 16 * cycles <= 17 * copied;
    // No stream is written faster.
    if !in_time(bytes.div_ceil(width)) {
        return None;
    }
    let stream = encode(tile, fill)?;
    let of_stream = bursts(machine, 1, stream.len() as u64);
    let share = (bytes * u64::from(machine.dram.burst_bytes())).div_ceil(stream.len() as u64);
    (of_stream < of_copy && in_time(of_stream * share.div_ceil(width))).then_some(stream)
}

/// The shortest stream for a tile; `None` where none is shorter than the tile.
pub fn encode(tile: &[u8], fill: u8) -> Option<Vec<u8>> {
    let with_runs = Plan::with_runs(tile, fill);
    let plain = Plan::values_alone(tile);
    let plan = if with_runs.bytes() < plain.bytes() { with_runs } else { plain };
    (plan.bytes() < tile.len() as u64).then(|| plan.stream(tile, fill))
}

/// How often each symbol occurs.
type Counts = [u64; 256];

/// The two codes of a stream, and how long it gets.
struct Plan {
    /// Absent where every byte is a value.
    runs: Option<Code>,
    values: Code,
    bits: u64,
}

impl Plan {
    fn values_alone(tile: &[u8]) -> Self {
        let mut counts: Counts = [0; 256];
        tile.iter().for_each(|&byte| counts[usize::from(byte)] += 1);
        let values = Code::of(&counts);
        Plan { bits: values.bits(&counts), runs: None, values }
    }

    fn with_runs(tile: &[u8], fill: u8) -> Self {
        let (mut runs, mut values): (Counts, Counts) = ([0; 256], [0; 256]);
        symbols(tile, fill, |run, value| {
            runs[usize::from(run)] += 1;
            value.iter().for_each(|&value| values[usize::from(value)] += 1);
        });
        let (code, of_values) = (Code::of(&runs), Code::of(&values));
        Plan { bits: code.bits(&runs) + of_values.bits(&values), runs: Some(code), values: of_values }
    }

    /// Of the whole stream.
    fn bytes(&self) -> u64 {
        let header = 1 + self.runs.as_ref().map_or(huffman::COUNTS, Code::header_bytes) + self.values.header_bytes();
        header as u64 + self.bits.div_ceil(8)
    }

    fn stream(&self, tile: &[u8], fill: u8) -> Vec<u8> {
        let mut stream = vec![fill];
        match &self.runs {
            Some(runs) => runs.write_header(&mut stream),
            None => stream.extend([0; huffman::COUNTS]),
        }
        self.values.write_header(&mut stream);
        let mut bits = Bits { bytes: stream, held: 0, count: 0 };
        match &self.runs {
            Some(runs) => symbols(tile, fill, |run, value| {
                bits.put(runs.word(run));
                value.iter().for_each(|&value| bits.put(self.values.word(value)));
            }),
            None => tile.iter().for_each(|&byte| bits.put(self.values.word(byte))),
        }
        bits.finish()
    }
}

/// The runs of `fill` in a tile, each with the value behind it. A run of [`NO_VALUE`] has none; the last one makes up what is left, however little.
fn symbols(tile: &[u8], fill: u8, mut symbol: impl FnMut(u8, Option<u8>)) {
    let mut run = 0u8;
    for &byte in tile {
        if byte != fill {
            symbol(run, Some(byte));
            run = 0;
        } else if run == NO_VALUE - 1 {
            symbol(NO_VALUE, None);
            run = 0;
        } else {
            run += 1;
        }
    }
    if run > 0 {
        symbol(NO_VALUE, None);
    }
}

/// Bits on their way into bytes, the most significant one first.
struct Bits {
    bytes: Vec<u8>,
    held: u32,
    count: u32,
}

impl Bits {
    /// A word and its length.
    fn put(&mut self, (word, length): (u16, u8)) {
        self.held = self.held << length | u32::from(word);
        self.count += u32::from(length);
        while self.count >= 8 {
            self.count -= 8;
            self.bytes.push((self.held >> self.count) as u8);
        }
    }

    fn finish(mut self) -> Vec<u8> {
        if self.count > 0 {
            self.bytes.push((self.held << (8 - self.count)) as u8);
        }
        self.bytes
    }
}

#[cfg(test)]
mod tests;
