//! Data: executes the instructions that started, one after the other, in an order that agrees with happens-before.
//!
//! Any such order gives the same values, since a program with a race stops before it (M-12). Time is not its business.

use rayon::prelude::*;

use systole_machine::isa::{OutputFormat, Unit};
use systole_machine::spec::Array;

use super::decode::decode;
use super::elementwise;
use super::gemm::Gemm;
use super::general;
use super::plain::{self, Adder};
use super::pool;
use super::simd::{Level, with_level};
use super::table;
use super::taps;
use super::unpack;
use super::work::{Pitch, Step, Transfer, VectorKind, VectorWork, Work};
use crate::contract::{Accumulators, EngineError, Job, Memories, Span, zeroed_dram};

/// Output elements from which on a vector operation is divided among threads.
const PARALLEL: usize = 1 << 16;

/// The memories before the first instruction (M-1).
pub(super) fn memories(job: &Job, image: &[(u64, &[u8])]) -> Result<Memories, EngineError> {
    let machine = job.machine;
    let end = |&(address, bytes): &(u64, &[u8])| address.saturating_add(bytes.len() as u64);
    let largest = image.iter().map(end).max().unwrap_or(0);
    if largest > job.dram_bytes {
        return Err(EngineError::ImageTooLarge { image: largest, dram: job.dram_bytes });
    }
    let mut dram = zeroed_dram(job.dram_bytes)?;
    for &(address, bytes) in image {
        dram[address as usize..][..bytes.len()].copy_from_slice(bytes);
    }
    Ok(Memories {
        dram,
        activation: vec![0; machine.activation.capacity_bytes as usize],
        weight: if machine.unified { Vec::new() } else { vec![0; machine.weight.capacity_bytes as usize] },
        accumulator: Accumulators::zeroed(machine),
    })
}

/// Executes what `spans` say has started.
pub(super) fn execute(job: &Job, steps: &[Step], spans: &[Option<Span>], memories: &mut Memories) {
    execute_and(job, steps, spans, memories, |_, _| {});
}

/// As [`execute`]; `done(index, memories)` after each instruction, before any that starts after it.
pub(super) fn execute_and(
    job: &Job,
    steps: &[Step],
    spans: &[Option<Span>],
    memories: &mut Memories,
    mut done: impl FnMut(usize, &Memories) + Send,
) {
    let started = |(index, span): (usize, &Option<Span>)| span.map(|span| (span.start, steps[index].unit, index));
    let mut order: Vec<(u64, Unit, usize)> = spans.iter().enumerate().filter_map(started).collect();
    // An instruction starts at or after the end of all that come before it in another unit, and after the start of those of its own.
    order.sort_unstable();
    let mut executor = Executor::new(job, Level::detect());
    // Inside the pool, so that dividing work costs no switch of threads.
    rayon::scope(|_| {
        for &(_, _, index) in &order {
            executor.step(&steps[index].work, memories);
            done(index, memories);
        }
    });
}

struct Executor<'a> {
    level: Level,
    array: &'a Array,
    /// Whether weights lie in the activation buffer.
    unified: bool,
    gemm: Gemm,
    /// Results of a vector operation before they are written (M-6).
    out: Vec<u8>,
}

impl<'a> Executor<'a> {
    fn new(job: &Job<'a>, level: Level) -> Self {
        Executor {
            level,
            array: &job.machine.array,
            unified: job.machine.unified,
            gemm: Gemm::new(level),
            out: Vec::new(),
        }
    }

    fn step(&mut self, work: &Work, memories: &mut Memories) {
        let Memories { dram, activation, weight, accumulator } = memories;
        match work {
            Work::Configure => {}
            Work::Load(transfer) => {
                let buffer = if transfer.weight && !self.unified { weight } else { activation };
                copy(transfer, |at, from, bytes| {
                    buffer[at..at + bytes].copy_from_slice(&dram[from..from + bytes]);
                });
            }
            Work::Decode(stream) => {
                let buffer = if self.unified { activation } else { weight };
                let out = &mut buffer[stream.buffer as usize..][..stream.decoded as usize];
                decode(&dram[stream.dram as usize..][..stream.bytes as usize], out);
            }
            Work::Store(transfer) => copy(transfer, |from, at, bytes| {
                dram[at..at + bytes].copy_from_slice(&activation[from..from + bytes]);
            }),
            Work::Array(run) => {
                let weight: &[u8] = if self.unified { activation } else { weight };
                let unpacked = unpack::operands(run, self.array, activation, weight);
                let (run, activation, weight) = match &unpacked {
                    Some(unpacked) => unpacked.given(activation, weight),
                    None => (run, &activation[..], weight),
                };
                match accumulator {
                    Accumulators::Narrow(words) if Adder::new(self.array).wraps_narrow() => {
                        self.gemm.run(run, self.array, activation, weight, words);
                    }
                    words => plain::run(run, self.array, activation, weight, words),
                }
            }
            Work::Vector(work) => self.vector(work, activation, accumulator),
        }
    }

    fn vector(&mut self, work: &VectorWork, activation: &mut [u8], accumulator: &Accumulators) {
        let work = &flat(work);
        let row = (work.width * work.pixel_bytes(2)) as usize;
        let size = row * work.height as usize;
        self.out.resize(size.max(self.out.len()), 0);
        let out = &mut self.out[..size];
        let params = elementwise::Params::read(work, activation);
        let sums = elementwise::Sums::new(work, self.array, accumulator);
        let level = self.level;
        let memory: &[u8] = activation;
        let general = general::needed(work);
        let compute = |(y, out): (usize, &mut [u8])| {
            if work.kind.has_table() {
                return table::row(work, memory, y, out);
            }
            if work.kind.has_taps() {
                return taps::row(work, memory, y, out);
            }
            if general {
                return general::Row::new(work, &params, &sums, memory).compute(y, out);
            }
            with_level(
                level,
                #[inline(always)]
                || match work.kind {
                    VectorKind::Requant => elementwise::requant(work, &params, &sums, y, out),
                    VectorKind::MaxPool => pool::max(work, memory, y, out),
                    VectorKind::AveragePool => pool::average(work, memory, y, out),
                    _ => elementwise::row(work, &params, memory, y, out),
                },
            );
        };
        if size >= PARALLEL && rayon::current_num_threads() > 1 {
            let rows = (work.height as usize).div_ceil(4 * rayon::current_num_threads());
            out.par_chunks_mut(row).enumerate().with_min_len(rows).for_each(compute);
        } else {
            out.chunks_mut(row).enumerate().for_each(compute);
        }
        write(work, out, activation);
    }
}

/// M-4: calls `copy(buffer address, DRAM address, bytes)` for each stretch.
fn copy(t: &Transfer, mut copy: impl FnMut(usize, usize, usize)) {
    let joined = t.dram_row == t.row_bytes && t.buffer_row == t.row_bytes;
    let (rows, bytes) = if joined { (1, t.rows * t.row_bytes) } else { (t.rows, t.row_bytes) };
    for plane in 0..t.planes {
        for row in 0..rows {
            let buffer = t.buffer + plane * t.buffer_plane + row * t.buffer_row;
            let dram = t.dram + plane * t.dram_plane + row * t.dram_row;
            copy(buffer as usize, dram as usize, bytes as usize);
        }
    }
}

/// Operations that treat all channels alike, on dense pixels: a row is one pixel of many channels, and a dense image one row.
fn flat(work: &VectorWork) -> VectorWork {
    let mut flat = *work;
    if work.format == OutputFormat::Binary {
        return flat;
    }
    let operands: &[usize] = match work.kind {
        VectorKind::Add | VectorKind::Mul | VectorKind::Max | VectorKind::Min | VectorKind::Div => &[0, 1, 2],
        VectorKind::Rescale | VectorKind::Table => &[0, 2],
        _ => return flat,
    };
    if work.width == 1
        || operands.iter().all(|&operand| work.pitch[operand].pixel == work.channels * work.bytes(operand))
    {
        (flat.width, flat.channels) = (1, work.width * work.channels);
    }
    flat
}

/// Stores the results.
fn write(work: &VectorWork, out: &[u8], activation: &mut [u8]) {
    let Pitch { row, pixel } = work.pitch[2];
    let bytes = work.pixel_bytes(2) as usize;
    let dense = pixel == bytes as u64 || work.width == 1;
    for (y, line) in out.chunks_exact(bytes * work.width as usize).enumerate() {
        let at = (work.out + y as u64 * row) as usize;
        if dense {
            activation[at..at + line.len()].copy_from_slice(line);
        } else {
            for (x, element) in line.chunks_exact(bytes).enumerate() {
                activation[at + x * pixel as usize..][..bytes].copy_from_slice(element);
            }
        }
    }
}
