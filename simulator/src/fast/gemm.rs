//! `ar.run` (M-5) as a matrix product: output pixels × reduction times reduction × columns, in 16-bit operands (bytes or wide ones), 32-bit sums modulo 2^32.
//!
//! The reduction has the window's elements only, without the rows that feed 0 beyond a short chunk: those weights do not matter. For
//! accumulators that wrap and have up to 32 bits; others are `plain`.

use rayon::prelude::*;
use std::cell::RefCell;
use std::ops::Range;

use systole_machine::spec::{Array, Dataflow};

use super::folds::Folds;
use super::mutant::{Mutant, on};
use super::plain::Adder;
use super::simd::{Decode, Level, TILE_COLUMNS, TILE_ROWS, Tile, interleave, with_level};
use super::work::Convolution;

/// Pairs of the reduction that stay in the first-level cache with a weight panel.
const PAIRS: usize = 256;
/// Operands of one task's strip of pixels at most, unless a tile needs more.
const STRIP: usize = 1 << 20;
/// Multiply-accumulates from which on work is divided among threads.
const PARALLEL: u64 = 400_000;

thread_local! {
    static ROWS: RefCell<Vec<i16>> = const { RefCell::new(Vec::new()) };
}

/// The geometry of a run in host words.
struct Plan<'a> {
    run: &'a Convolution,
    /// Length of the reduction, and the same rounded up to even: the distance of rows in memory.
    depth: usize,
    stride: usize,
    pixels: usize,
    /// Columns of the product: C, or N input-stationary.
    columns: usize,
    panels: usize,
    level: Level,
}

/// Weights as rows of one byte a column of the product.
struct Weights<'a> {
    /// Q: a run's rows are a multiple of it.
    chunk: usize,
    bytes: &'a [u8],
}

/// A part of the product: pixels × blocks, and for each block the accumulators of those pixels.
struct Task<'a> {
    pixels: Range<usize>,
    blocks: Range<usize>,
    sums: Vec<&'a mut [i32]>,
}

/// Computes array runs; keeps its memory from one to the next.
pub(super) struct Gemm {
    level: Level,
    panels: Vec<i16>,
    /// Input-stationary: weights with their outputs in rows, and the product before it is transposed.
    exchanged: Vec<u8>,
    product: Vec<i32>,
}

impl Gemm {
    pub(super) fn new(level: Level) -> Self {
        Gemm { level, panels: Vec::new(), exchanged: Vec::new(), product: Vec::new() }
    }

    /// M-5 for a run whose footprint is inside the memories.
    pub(super) fn run(
        &mut self,
        run: &Convolution,
        array: &Array,
        activation: &[u8],
        weight: &[u8],
        accumulator: &mut [i32],
    ) {
        let folds = Folds::new(run, array);
        let columns = array.columns as usize;
        let weight = &weight[run.weight as usize..];
        let words = folds.vectors(run.dataflow) as usize * columns;
        let words = &mut accumulator[run.accumulator as usize * columns..][..words];
        let add = run.accumulate && !on(Mutant::AccumulateIgnored);
        if run.dataflow == Dataflow::InputStationary {
            let mut exchanged = std::mem::take(&mut self.exchanged);
            let mut product = std::mem::take(&mut self.product);
            let bytes = folds.block_weights() * run.blocks;
            exchange(&folds, &weight[..bytes as usize], &mut exchanged);
            let size = (run.blocks * folds.pixels * folds.outputs) as usize;
            product.resize(size.max(product.len()), 0);
            self.product(run, &folds, activation, &exchanged, (false, &mut product[..size]));
            transpose(&folds, columns, add, &product[..size], words);
            (self.exchanged, self.product) = (exchanged, product);
        } else {
            self.product(run, &folds, activation, weight, (add, words));
        }
        Adder::new(array).narrow(words);
    }

    /// Sets the sums, pixel by pixel of each block, or adds to them, modulo 2^32.
    fn product(
        &mut self,
        run: &Convolution,
        folds: &Folds,
        activation: &[u8],
        weight: &[u8],
        (mut add, sums): (bool, &mut [i32]),
    ) {
        let depth = (run.runs() * run.run_length()) as usize;
        let columns = folds.outputs as usize;
        let plan = Plan {
            run,
            depth,
            stride: depth.next_multiple_of(2),
            pixels: folds.pixels as usize,
            columns,
            panels: columns.div_ceil(TILE_COLUMNS),
            level: self.level,
        };
        let weights = Weights { chunk: folds.chunk as usize, bytes: weight };
        let activations = if run.wide {
            wide_passes(run.zero_activation)
        } else {
            passes(run.signed_activation, run.zero_activation)
        };
        for activations in activations.into_iter().flatten() {
            for decode in passes(run.signed_weight, run.zero_weight).into_iter().flatten() {
                plan.pack_weights(&weights, decode, &mut self.panels);
                plan.multiply(activation, activations, &self.panels, add, sums);
                add = true;
            }
        }
    }
}

/// Input-stationary weights, chunk by chunk the elements of each output, as rows of all outputs.
fn exchange(folds: &Folds, weight: &[u8], exchanged: &mut Vec<u8>) {
    let (chunk, outputs) = (folds.chunk as usize, folds.outputs as usize);
    exchanged.resize(weight.len(), 0);
    for (weight, rows) in weight.chunks_exact(chunk * outputs).zip(exchanged.chunks_exact_mut(chunk * outputs)) {
        for (n, output) in weight.chunks_exact(chunk).enumerate() {
            for (j, byte) in output.iter().enumerate() {
                rows[j * outputs + n] = *byte;
            }
        }
    }
}

/// Input-stationary: a block's product, pixel by pixel, to vectors of C pixels, output by output; lanes without a pixel get 0.
fn transpose(folds: &Folds, columns: usize, add: bool, product: &[i32], words: &mut [i32]) {
    let (pixels, outputs) = (folds.pixels as usize, folds.outputs as usize);
    let block_words = folds.block_vectors(Dataflow::InputStationary) as usize * columns;
    if !add {
        words.fill(0);
    }
    for (product, words) in product.chunks_exact(pixels * outputs).zip(words.chunks_exact_mut(block_words)) {
        for (p, sums) in product.chunks_exact(outputs).enumerate() {
            let first = p / columns * outputs * columns + p % columns;
            for (n, sum) in sums.iter().enumerate() {
                let word = &mut words[first + n * columns];
                *word = word.wrapping_add(*sum);
            }
        }
    }
}

/// Operands as one term, or as two where the zero point takes them out of 16 bits; a product of sums is a sum of products. `minus` may
/// wrap, the operands do not.
fn passes(signed: bool, zero: i32) -> [Option<Decode>; 3] {
    let (flip, offset, low, high) = if signed { (0x80, 128, -32640, 32640) } else { (0, 0, -32512, 32767) };
    let inside = zero.clamp(low, high);
    let whole = Decode { keep: 0xff, flip, minus: (inside + offset) as i16 };
    let rest = Decode { keep: 0, flip: 0, minus: (zero - inside) as i16 };
    [Some(whole), (rest.minus != 0 && !on(Mutant::LargeZeroPointCut)).then_some(rest), None]
}

/// Elements of two bytes fill 16 bits: their zero point is a term of its own, or two, since −(−2^15) is one too large.
fn wide_passes(zero: i32) -> [Option<Decode>; 3] {
    let minus = |part: i32| (part != 0).then_some(Decode { keep: 0, flip: 0, minus: part as i16 });
    [Some(Decode { keep: 0xff, flip: 0, minus: 0 }), minus(zero / 2), minus(zero - zero / 2)]
}

impl Plan<'_> {
    fn macs(&self) -> u64 {
        self.run.blocks * self.pixels as u64 * (self.depth * self.columns) as u64
    }

    fn parallel(&self) -> bool {
        self.macs() >= PARALLEL && rayon::current_num_threads() > 1
    }

    /// Entries of one packed panel.
    fn panel(&self) -> usize {
        self.stride * TILE_COLUMNS
    }

    /// Weights as panels of 16 columns: by block, panel, pair of the reduction, column.
    fn pack_weights(&self, weights: &Weights, decode: Decode, panels: &mut Vec<i16>) {
        let size = self.run.blocks as usize * self.panels * self.panel();
        if panels.len() < size {
            panels.resize(size, 0);
        }
        let pack = |(index, panel): (usize, &mut [i16])| self.pack_panel(weights, decode, index, panel);
        if self.parallel() {
            panels[..size].par_chunks_mut(self.panel()).enumerate().for_each(pack);
        } else {
            panels[..size].chunks_mut(self.panel()).enumerate().for_each(pack);
        }
    }

    fn pack_panel(&self, weights: &Weights, decode: Decode, index: usize, panel: &mut [i16]) {
        let (block, first) = (index / self.panels, index % self.panels * TILE_COLUMNS);
        let width = TILE_COLUMNS.min(self.columns - first);
        let length = self.run.run_length() as usize;
        let run_rows = length.div_ceil(weights.chunk) * weights.chunk;
        let block_rows = run_rows * self.run.runs() as usize;
        // Position in the reduction → first byte of its weights.
        let mut rows = (0..self.run.runs() as usize).flat_map(|run| {
            let first_row = block * block_rows + run * run_rows;
            (first_row..first_row + length).map(|row| row * self.columns + first)
        });
        let zero = [0; TILE_COLUMNS];
        for out in panel.as_chunks_mut::<{ 2 * TILE_COLUMNS }>().0 {
            let (first, second) = (rows.next(), rows.next());
            let mut partial = [zero; 2];
            let mut row = |byte: Option<usize>, k: usize| -> [u8; TILE_COLUMNS] {
                let Some(byte) = byte else { return zero };
                match weights.bytes[byte..byte + width].first_chunk::<TILE_COLUMNS>() {
                    Some(whole) => *whole,
                    None => {
                        partial[k][..width].copy_from_slice(&weights.bytes[byte..byte + width]);
                        partial[k]
                    }
                }
            };
            let rows = [row(first, 0), row(second, 1)];
            interleave(self.level, [&rows[0], &rows[1]], decode, out);
        }
    }

    /// The product, divided into tasks whose sums do not overlap.
    fn multiply(&self, activation: &[u8], decode: Decode, panels: &[i16], add: bool, sums: &mut [i32]) {
        let blocks = self.run.blocks as usize;
        let threads = if self.parallel() { rayon::current_num_threads() } else { 1 };
        let pieces = if threads > 1 { 2 * threads } else { 1 };
        let strips = pieces.min(self.pixels.div_ceil(2 * TILE_ROWS)).max(1);
        let longest = (STRIP / self.stride).max(TILE_ROWS);
        let strip = self.pixels.div_ceil(strips).next_multiple_of(TILE_ROWS).min(longest);
        let group = blocks.div_ceil(pieces.div_ceil(strips)).max(1);
        let run = |task: Task| ROWS.with_borrow_mut(|rows| self.task(task, activation, decode, panels, add, rows));
        let tasks = self.tasks(strip, group, sums);
        if threads > 1 {
            tasks.into_par_iter().with_max_len(1).for_each(run);
        } else {
            tasks.into_iter().for_each(run);
        }
    }

    fn tasks<'a>(&self, strip: usize, group: usize, sums: &'a mut [i32]) -> Vec<Task<'a>> {
        let blocks = self.run.blocks as usize;
        let strips = self.pixels.div_ceil(strip);
        let mut tasks: Vec<Task> = (0..blocks.div_ceil(group) * strips)
            .map(|task| {
                let (first, pixel) = (task / strips * group, task % strips * strip);
                Task {
                    pixels: pixel..(pixel + strip).min(self.pixels),
                    blocks: first..(first + group).min(blocks),
                    sums: Vec::with_capacity(group),
                }
            })
            .collect();
        for (block, sums) in sums.chunks_mut(self.pixels * self.columns).enumerate() {
            for (index, sums) in sums.chunks_mut(strip * self.columns).enumerate() {
                tasks[block / group * strips + index].sums.push(sums);
            }
        }
        tasks
    }

    fn task(&self, task: Task, activation: &[u8], decode: Decode, panels: &[i16], add: bool, rows: &mut Vec<i16>) {
        let size = task.pixels.len() * self.stride;
        if rows.len() < size {
            rows.resize(size, 0);
        }
        let rows = &mut rows[..size];
        let mut packed = None;
        for (block, sums) in task.blocks.zip(task.sums) {
            let base = self.run.activation as usize + block * self.run.block_step as usize;
            if packed != Some(base) {
                with_level(
                    self.level,
                    #[inline(always)]
                    || self.pack_rows(&activation[base..], decode, &task.pixels, rows),
                );
                packed = Some(base);
            }
            let panels = &panels[block * self.panels * self.panel()..][..self.panels * self.panel()];
            self.block(rows, panels, add, sums);
        }
    }

    /// The operands of a strip of pixels, row by row: the window in the order of kernel row, tap, channel.
    #[inline(always)]
    fn pack_rows(&self, activation: &[u8], decode: Decode, pixels: &Range<usize>, rows: &mut [i16]) {
        let run = self.run;
        // Neighbouring taps are neighbouring bytes.
        let joined = run.dilation_w == 1 && run.channels * run.bytes() == run.pixel_pitch;
        for (pixel, row) in pixels.clone().zip(rows.chunks_exact_mut(self.stride)) {
            row[self.depth..].fill(0);
            let (y, x) = (pixel as u64 / run.width_out, pixel as u64 % run.width_out);
            let line = (run.kernel_w * run.channels) as usize;
            for (ky, out) in row[..self.depth].chunks_exact_mut(line).enumerate() {
                let dilation = if on(Mutant::DilationIgnored) { 1 } else { run.dilation_h };
                let Some(iy) = inside(y * run.stride_h + ky as u64 * dilation, run.pad_top, run.height) else {
                    out.fill(0);
                    continue;
                };
                let input = &activation[(iy * run.row_pitch) as usize..];
                if joined {
                    joined_taps(run, x, input, decode, out);
                } else {
                    single_taps(run, x, input, decode, out);
                }
            }
        }
    }

    fn block(&self, rows: &[i16], panels: &[i16], add: bool, sums: &mut [i32]) {
        let pairs = self.stride / 2;
        for first in (0..pairs).step_by(PAIRS) {
            let count = PAIRS.min(pairs - first);
            let add = add || first > 0;
            for (index, panel) in panels.chunks_exact(self.panel()).enumerate() {
                let weights = &panel[2 * TILE_COLUMNS * first..][..2 * TILE_COLUMNS * count];
                let column = index * TILE_COLUMNS;
                let tiles = rows.chunks(TILE_ROWS * self.stride).zip(sums.chunks_mut(TILE_ROWS * self.columns));
                for (a, sums) in tiles {
                    let rows = a.len() / self.stride;
                    let tile = Tile { a: &a[2 * first..], stride: self.stride, weights, pairs: count, rows, add };
                    if column + TILE_COLUMNS <= self.columns {
                        tile.multiply(self.level, &mut sums[column..], self.columns);
                    } else {
                        self.narrow(&tile, column, sums);
                    }
                }
            }
        }
    }

    /// A tile that the array's last columns do not fill.
    fn narrow(&self, tile: &Tile, column: usize, sums: &mut [i32]) {
        let mut whole = [0; TILE_ROWS * TILE_COLUMNS];
        let width = self.columns - column;
        for (row, whole) in whole.chunks_exact_mut(TILE_COLUMNS).enumerate().take(tile.rows) {
            whole[..width].copy_from_slice(&sums[row * self.columns + column..][..width]);
        }
        tile.multiply(self.level, &mut whole, TILE_COLUMNS);
        for (row, whole) in whole.chunks_exact(TILE_COLUMNS).enumerate().take(tile.rows) {
            sums[row * self.columns + column..][..width].copy_from_slice(&whole[..width]);
        }
    }
}

/// A position of the padded input as one of the input, if it is inside.
#[inline(always)]
fn inside(position: u64, pad: u64, size: u64) -> Option<u64> {
    position.checked_sub(pad).filter(|&position| position < size)
}

#[inline(always)]
fn decode_all(wide: bool, bytes: &[u8], decode: Decode, out: &mut [i16]) {
    if wide {
        for (out, pair) in out.iter_mut().zip(bytes.as_chunks::<2>().0) {
            *out = i16::from_le_bytes(pair.map(|byte| byte & decode.keep)).wrapping_sub(decode.minus);
        }
        return;
    }
    for (out, byte) in out.iter_mut().zip(bytes) {
        *out = decode.apply(*byte);
    }
}

/// All taps of a kernel row as one range of bytes with zeros around it.
#[inline(always)]
fn joined_taps(run: &Convolution, x: u64, input: &[u8], decode: Decode, out: &mut [i16]) {
    let left = x * run.stride_w;
    let first = run.pad_left.saturating_sub(left).min(run.kernel_w);
    let end = (run.width + run.pad_left).saturating_sub(left).clamp(first, run.kernel_w);
    let (from, to) = ((first * run.channels) as usize, (end * run.channels) as usize);
    out[..from].fill(0);
    out[to..].fill(0);
    if from < to {
        let start = ((left + first - run.pad_left) * run.pixel_pitch) as usize;
        let bytes = (to - from) * run.bytes() as usize;
        decode_all(run.wide, &input[start..start + bytes], decode, &mut out[from..to]);
    }
}

#[inline(always)]
fn single_taps(run: &Convolution, x: u64, input: &[u8], decode: Decode, out: &mut [i16]) {
    for (kx, out) in out.chunks_exact_mut(run.channels as usize).enumerate() {
        match inside(x * run.stride_w + kx as u64 * run.dilation_w, run.pad_left, run.width) {
            Some(ix) => {
                let start = (ix * run.pixel_pitch) as usize;
                let bytes = (run.channels * run.bytes()) as usize;
                decode_all(run.wide, &input[start..start + bytes], decode, out);
            }
            None => out.fill(0),
        }
    }
}
