//! Pooling of bytes in single precision (M-7): maxima and averages over windows (N-4, N-5), one row of the output at a time. The rest is `general`.
//!
//! Windows are clipped first, so that the cost is that of the elements inside.

use super::elementwise::{Reader, Writer};
use super::mutant::{Mutant, on};
use super::work::VectorWork;

/// The taps of a window that lie inside the input, along an axis: input positions `first + k · step` and which tap the first is.
#[derive(Clone, Copy)]
pub(super) struct Taps {
    first: u64,
    step: u64,
    count: u64,
    tap: u64,
}

impl Taps {
    #[inline(always)]
    fn positions(self) -> impl Iterator<Item = u64> {
        (0..self.count).map(move |k| self.first + k * self.step)
    }
}

/// One axis of a window.
struct Axis {
    stride: u64,
    kernel: u64,
    dilation: u64,
    /// Before and behind the input.
    pads: (u64, u64),
    size: u64,
}

/// The taps of window `at` inside the input, and how many lie inside the padded input.
#[inline(always)]
fn clip(at: u64, axis: &Axis) -> (Taps, u64) {
    let (first, step) = (at * axis.stride, if on(Mutant::PoolDilationIgnored) { 1 } else { axis.dilation.max(1) });
    // Taps in front of a position of the padded input.
    let before = |position: u64| position.saturating_sub(first).div_ceil(step).min(axis.kernel);
    let (tap, end) = (before(axis.pads.0), before(axis.pads.0 + axis.size));
    let padded = before(axis.pads.0 + axis.size + axis.pads.1);
    (Taps { first: (first + tap * step).saturating_sub(axis.pads.0), step, count: end - tap, tap }, padded)
}

/// A window of one output element.
pub(super) struct Window {
    rows: Taps,
    columns: Taps,
    /// Elements inside the padded input.
    pub(super) padded: u64,
}

impl Window {
    #[inline(always)]
    pub(super) fn new(work: &VectorWork, y: usize, x: usize) -> Self {
        let vertical = Axis {
            stride: work.stride_h,
            kernel: work.kernel_h,
            dilation: work.dilation_h,
            pads: (work.pad_top, work.pad_bottom),
            size: work.in_height,
        };
        let horizontal = Axis {
            stride: work.stride_w,
            kernel: work.kernel_w,
            dilation: work.dilation_w,
            pads: (work.pad_left, work.pad_right),
            size: work.in_width,
        };
        let (rows, high) = clip(y as u64, &vertical);
        let (columns, wide) = clip(x as u64, &horizontal);
        Window { rows, columns, padded: high * wide }
    }

    /// Elements inside the input.
    #[inline(always)]
    pub(super) fn elements(&self) -> u64 {
        self.rows.count * self.columns.count
    }

    /// The taps of those pixels, numbered by kernel rows.
    pub(super) fn taps(&self, work: &VectorWork) -> impl Iterator<Item = u64> + use<> {
        let (rows, columns, width) = (self.rows, self.columns, work.kernel_w);
        let numbers = |taps: Taps| taps.tap..taps.tap + taps.count;
        numbers(rows).flat_map(move |ky| numbers(columns).map(move |kx| ky * width + kx))
    }

    /// The pixels inside the input.
    #[inline(always)]
    pub(super) fn pixels<'a>(&self, work: &VectorWork, activation: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let (base, pitch, bytes) = (work.a, work.pitch[0], (work.channels * work.bytes(0)) as usize);
        let columns = self.columns;
        self.rows.positions().flat_map(move |y| {
            let row = base + y * pitch.row;
            columns.positions().map(move |x| &activation[(row + x * pitch.pixel) as usize..][..bytes])
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
