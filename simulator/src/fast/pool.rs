//! Pooling of bytes in single precision (M-7): maxima and averages over windows (N-4, N-5), one row of the output at a time. The rest is `general`.
//!
//! Windows are clipped first, so that the cost is that of the elements inside.

use std::ops::Range;

use super::elementwise::{Reader, Writer};
use super::mutant::{Mutant, on};
use super::work::VectorWork;

/// The part of a window inside `0..size`, and the size of its part inside the padded input.
#[inline(always)]
fn clip(at: u64, stride: u64, kernel: u64, pads: (u64, u64), size: u64) -> (Range<u64>, u64) {
    let first = at * stride;
    let end = first + kernel;
    let inside = |position: u64| position.saturating_sub(pads.0).min(size);
    let padded = end.min(pads.0 + size + pads.1).saturating_sub(first);
    (inside(first)..inside(end), padded)
}

/// A window of one output element.
pub(super) struct Window {
    rows: Range<u64>,
    columns: Range<u64>,
    /// Elements inside the padded input.
    pub(super) padded: u64,
}

impl Window {
    #[inline(always)]
    pub(super) fn new(work: &VectorWork, y: usize, x: usize) -> Self {
        let pads = ((work.pad_top, work.pad_bottom), (work.pad_left, work.pad_right));
        let (rows, high) = clip(y as u64, work.stride_h, work.kernel_h, pads.0, work.in_height);
        let (columns, wide) = clip(x as u64, work.stride_w, work.kernel_w, pads.1, work.in_width);
        Window { rows, columns, padded: high * wide }
    }

    /// Elements inside the input.
    #[inline(always)]
    pub(super) fn elements(&self) -> u64 {
        (self.rows.end - self.rows.start) * (self.columns.end - self.columns.start)
    }

    /// The pixels inside the input.
    #[inline(always)]
    pub(super) fn pixels<'a>(&self, work: &VectorWork, activation: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let (base, pitch, bytes) = (work.a, work.pitch[0], (work.channels * work.bytes(0)) as usize);
        let columns = self.columns.clone();
        self.rows.clone().flat_map(move |y| {
            let row = base + y * pitch.row;
            columns.clone().map(move |x| &activation[(row + x * pitch.pixel) as usize..][..bytes])
        })
    }
}

/// Row `y` of `ve.maxpool` (N-4).
#[inline(always)]
pub(super) fn max(work: &VectorWork, activation: &[u8], y: usize, out: &mut [u8]) {
    let (reader, writer) = (Reader::new(work.signed_a, 0), Writer::new(work));
    let channels = work.channels as usize;
    // Bytes in the order of their values.
    let flip = if work.signed_a { 0x80 } else { 0 };
    let mut largest = vec![0u8; channels];
    for (x, out) in out.chunks_exact_mut(channels).enumerate() {
        let window = Window::new(work, y, x);
        if window.elements() == 0 {
            out.fill(writer.clamp(if on(Mutant::EmptyMaximum) { i32::MAX } else { i32::MIN }));
            continue;
        }
        largest.fill(0);
        for pixel in window.pixels(work, activation) {
            for (largest, byte) in largest.iter_mut().zip(pixel) {
                *largest = (*largest).max(byte ^ flip);
            }
        }
        for (out, largest) in out.iter_mut().zip(&largest) {
            *out = writer.clamp(reader.read(largest ^ flip));
        }
    }
}

/// Row `y` of `ve.avgpool` (N-5).
#[inline(always)]
pub(super) fn average(work: &VectorWork, activation: &[u8], y: usize, out: &mut [u8]) {
    let (reader, writer) = (Reader::new(work.signed_a, work.zero_a), Writer::new(work));
    let channels = work.channels as usize;
    let mut sums = vec![0i64; channels];
    for (x, out) in out.chunks_exact_mut(channels).enumerate() {
        let window = Window::new(work, y, x);
        let counted = if work.include_pad || on(Mutant::AverageCountsPad) { window.padded } else { window.elements() };
        let factor = work.scale_a / (work.scale_out * counted.max(1) as f32);
        sums.fill(0);
        for pixel in window.pixels(work, activation) {
            for (sum, byte) in sums.iter_mut().zip(pixel) {
                *sum += i64::from(reader.read(*byte));
            }
        }
        for (out, sum) in out.iter_mut().zip(&sums) {
            *out = writer.write(*sum as f32 * factor);
        }
    }
}
