//! Vector operations that deal in single taps of a window: samples (N-26), switches and unpooling (N-27), one row of the output at a time.

use super::elementwise::Writer;
use super::mutant::{Mutant, on};
use super::work::{VectorKind, VectorWork};

/// Row `y` of the output.
pub(super) fn row(work: &VectorWork, memory: &[u8], y: usize, out: &mut [u8]) {
    let y = y as i64;
    match work.kind {
        VectorKind::Gather => gather(work, memory, y, out),
        VectorKind::ArgMax => switches(work, memory, y, out),
        _ => unpool(work, memory, y, out),
    }
}

/// An operand a or b, read element by element.
pub(super) struct Source<'a> {
    memory: &'a [u8],
    base: u64,
    row: u64,
    pixel: u64,
    wide: bool,
    signed: bool,
}

impl<'a> Source<'a> {
    pub(super) fn new(work: &VectorWork, memory: &'a [u8], operand: usize) -> Self {
        let pitch = work.pitch[operand];
        let (base, signed) = if operand == 0 { (work.a, work.signed_a) } else { (work.b, work.signed_b) };
        Source { memory, base, row: pitch.row, pixel: pitch.pixel, wide: work.wide[operand], signed }
    }

    /// Place of a pixel's first element.
    pub(super) fn pixel(&self, y: i64, x: i64) -> usize {
        (self.base + y as u64 * self.row + x as u64 * self.pixel) as usize
    }

    /// Element `index` of the pixel at a place.
    pub(super) fn read(&self, pixel: usize, index: usize) -> i32 {
        if self.wide {
            let at = pixel + 2 * index;
            return i16::from_le_bytes([self.memory[at], self.memory[at + 1]]).into();
        }
        let byte = self.memory[pixel + index];
        if self.signed { (byte as i8).into() } else { byte.into() }
    }
}

/// Where results of a row go.
pub(super) struct Sink<'a> {
    pub(super) out: &'a mut [u8],
    pub(super) wide: bool,
}

impl Sink<'_> {
    pub(super) fn put(&mut self, index: usize, value: i32) {
        if self.wide {
            self.out[2 * index..][..2].copy_from_slice(&(value as i16).to_le_bytes());
        } else {
            self.out[index] = value as u8;
        }
    }
}

/// The two neighbours of a place along an axis that lie inside, each with its part of a sample.
fn neighbours(place: f32, size: u64) -> [(Option<i64>, f32); 2] {
    let below = place.floor();
    let part = place - below;
    let inside = |index: i64| (0..size as i64).contains(&index).then_some(index);
    let first = below as i64;
    [(inside(first), 1.0 - part), (inside(first + 1), part)]
}

fn gather(work: &VectorWork, memory: &[u8], y: i64, out: &mut [u8]) {
    let (image, offsets) = (Source::new(work, memory, 0), Source::new(work, memory, 1));
    let (writer, mut sink) = (Writer::new(work), Sink { out, wide: work.wide[2] });
    let channels = work.channels as usize;
    let taps = (work.kernel_h * work.kernel_w) as usize;
    let [down, across] = work.dilation();
    let mut sums = vec![0.0f32; channels];
    for x in 0..work.width as i64 {
        let moved = offsets.pixel(y, x);
        for tap in 0..taps {
            let [ky, kx] = [tap as i64 / work.kernel_w as i64, tap as i64 % work.kernel_w as i64];
            let offset = |index| (offsets.read(moved, index) - work.zero_b) as f32 * work.scale_b;
            let (dy, dx) = match on(Mutant::OffsetsSwapped) {
                true => (offset(2 * tap + 1), offset(2 * tap)),
                false => (offset(2 * tap), offset(2 * tap + 1)),
            };
            let py = (y * work.stride_h as i64 + i64::from(work.origin[0]) + ky * down) as f32 + dy;
            let px = (x * work.stride_w as i64 + i64::from(work.origin[1]) + kx * across) as f32 + dx;
            sums.fill(0.0);
            if py > -1.0 && py < work.in_height as f32 && px > -1.0 && px < work.in_width as f32 {
                samples(work, &image, [py, px], &mut sums);
            }
            let first = (x as usize * taps + tap) * channels;
            sums.iter().enumerate().for_each(|(channel, v)| sink.put(first + channel, writer.value(*v)));
        }
    }
}

/// All channels at a place inside the image or less than a pixel from it.
fn samples(work: &VectorWork, image: &Source, [py, px]: [f32; 2], sums: &mut [f32]) {
    let mut first = true;
    for (row, of_row) in neighbours(py, work.in_height) {
        for (column, of_column) in neighbours(px, work.in_width) {
            let part = of_row * of_column;
            let pixel = row.zip(column).map(|(row, column)| image.pixel(row, column));
            let edge = if on(Mutant::OutsideIsZeroByte) { part * -work.zero_a as f32 } else { 0.0 };
            for (channel, sum) in sums.iter_mut().enumerate() {
                let term = pixel.map_or(edge, |pixel| part * (image.read(pixel, channel) - work.zero_a) as f32);
                *sum = if first { term } else { *sum + term };
            }
            first = false;
        }
    }
}

/// The taps of a window along an axis that lie inside, each with its place.
fn inside(start: i64, kernel: u64, distance: i64, size: u64) -> impl Iterator<Item = (i64, i64)> + Clone {
    let first = (-start).max(0).div_euclid(distance) + i64::from((-start).max(0).rem_euclid(distance) > 0);
    let places = (first..kernel as i64).map(move |tap| (tap, start + tap * distance));
    places.take_while(move |&(_, place)| place < size as i64)
}

fn switches(work: &VectorWork, memory: &[u8], y: i64, out: &mut [u8]) {
    let (image, mut sink) = (Source::new(work, memory, 0), Sink { out, wide: work.wide[2] });
    let channels = work.channels as usize;
    let [down, across] = work.dilation();
    let rows = inside(y * work.stride_h as i64 - work.pad_top as i64, work.kernel_h, down, work.in_height);
    let mut best = vec![(i32::MIN, 0i64); channels];
    for x in 0..work.width as i64 {
        let columns = inside(x * work.stride_w as i64 - work.pad_left as i64, work.kernel_w, across, work.in_width);
        best.fill((i32::MIN, 0));
        for (ky, row) in rows.clone() {
            for (kx, column) in columns.clone() {
                let pixel = image.pixel(row, column);
                for (channel, (largest, tap)) in best.iter_mut().enumerate() {
                    let value = image.read(pixel, channel);
                    if value > *largest || (on(Mutant::LastMaximum) && value == *largest) {
                        (*largest, *tap) = (value, ky * work.kernel_w as i64 + kx);
                    }
                }
            }
        }
        for (channel, (_, tap)) in best.iter().enumerate() {
            let clamped = (*tap).clamp(work.low.into(), work.high.into());
            sink.put(x as usize * channels + channel, clamped as i32);
        }
    }
}

fn unpool(work: &VectorWork, memory: &[u8], y: i64, out: &mut [u8]) {
    let (values, switches) = (Source::new(work, memory, 0), Source::new(work, memory, 1));
    let mut sink = Sink { out, wide: work.wide[2] };
    let channels = work.channels as usize;
    let [down, across] = work.dilation();
    let empty = work.zero_out.clamp(work.low, work.high);
    (0..work.width as usize * channels).for_each(|index| sink.put(index, empty));
    let (kernel_h, kernel_w, stride) = (work.kernel_h as i64, work.kernel_w as i64, work.stride_h as i64);
    // The windows that this row lies in, unless it is between their taps.
    let padded = y + work.pad_top as i64;
    let extent = (kernel_h - 1) * down + 1;
    let first = (padded - extent + stride).max(0) / stride;
    for row in first..(padded / stride + 1).min(work.in_height as i64) {
        let below = padded - row * stride;
        if below % down != 0 {
            continue;
        }
        let ky = below / down;
        for column in 0..work.in_width as i64 {
            let (value, switch) = (values.pixel(row, column), switches.pixel(row, column));
            let start = column * work.stride_w as i64 - work.pad_left as i64;
            for channel in 0..channels {
                let kx = i64::from(switches.read(switch, channel)) - ky * kernel_w;
                let x = start + kx * across;
                if (0..kernel_w).contains(&kx) && (0..work.width as i64).contains(&x) {
                    let clamped = values.read(value, channel).clamp(work.low, work.high);
                    sink.put(x as usize * channels + channel, clamped);
                }
            }
        }
    }
}
