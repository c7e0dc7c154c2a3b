//! `ve.resize`: a row of an image in another size, bilinearly (N-30), from a tile of the image.

use super::elementwise::Writer;
use super::mutant::{Mutant, on};
use super::operation::Axis;
use super::taps::{Sink, Source};
use super::work::VectorWork;

/// Two neighbouring lines of the tile, and the part that each has.
#[derive(Clone, Copy)]
struct Blend {
    lines: [i64; 2],
    parts: [f32; 2],
}

impl Blend {
    fn of(self, [a, b]: [f32; 2]) -> f32 {
        a * self.parts[0] + b * self.parts[1]
    }
}

/// The blend for line `index` of the output, of a tile with so many lines.
fn blend(axis: &Axis, index: u64, lines: u64) -> Blend {
    let half = if axis.centred && !on(Mutant::ResizedWithoutCentre) { 0.5f32 } else { 0.0 };
    let index = if on(Mutant::ResizedFromTile) { index } else { u64::from(axis.first_out) + index };
    let place = (index as f32 * axis.factor + half) / axis.divisor - half;
    let first_in = u64::from(axis.first_in);
    let (start, end) = (first_in as f32, (first_in + lines - 1) as f32);
    let place = if on(Mutant::ResizedMirrored) { (place - start).abs() + start } else { place };
    // `max` takes the number where the other is none.
    let place = place.max(start).min(end);
    let (below, last) = (place as i64 - first_in as i64, lines as i64 - 1);
    let part = place - place.floor();
    Blend { lines: [below, (below + 1).min(last)], parts: [1.0 - part, part] }
}

/// Row `y` of the output.
pub(super) fn row(work: &VectorWork, memory: &[u8], y: usize, out: &mut [u8]) {
    let (image, writer) = (Source::new(work, memory, 0), Writer::new(work));
    let mut sink = Sink { out, wide: work.wide[2] };
    let down = blend(&work.axes[0], y as u64, work.in_height);
    let mut index = 0;
    for x in 0..work.width {
        let across = blend(&work.axes[1], x, work.in_width);
        let pixels = down.lines.map(|line| across.lines.map(|column| image.pixel(line, column)));
        for channel in 0..work.channels as usize {
            let [above, below] = pixels.map(|pair| pair.map(|at| (image.read(at, channel) - work.zero_a) as f32));
            let v = match on(Mutant::ResizedRowsFirst) {
                true => across.of([down.of([above[0], below[0]]), down.of([above[1], below[1]])]),
                false => down.of([across.of(above), across.of(below)]),
            };
            sink.put(index, writer.value((v * work.scale_a) / work.scale_out));
            index += 1;
        }
    }
}
