//! M-7: pixels between those of an image (N-30), of which a tile is there.

use super::operations::Operation;
use super::work::Axis;

/// The lines of a tile on both sides of a place, and how far the place is from the first.
struct Between {
    lower: i64,
    upper: i64,
    part: f32,
}

impl Axis {
    /// x of N-30 for output `o` of the tile, by the steps of M-7.
    fn place(&self, o: i64) -> f32 {
        let half = if self.centred { 0.5 } else { 0.0 };
        let numerator = (self.first_out + o) as f32 * self.factor + half;
        numerator / self.divisor - half
    }

    /// Around output `o`, in a tile of `size` lines.
    fn between(&self, o: i64, size: i64) -> Between {
        let (first, last) = (self.first_in, self.first_in + size - 1);
        let place = self.place(o);
        // NaN, too, is the first line.
        let place = if place > first as f32 { place.min(last as f32) } else { first as f32 };
        let lower = place.floor();
        let upper = (lower as i64 + 1).min(last);
        Between { lower: lower as i64 - first, upper: upper - first, part: place - lower }
    }
}

impl Between {
    /// L of N-30.
    fn mixed(&self, a: f32, b: f32) -> f32 {
        a * (1.0 - self.part) + b * self.part
    }
}

impl Operation<'_> {
    /// N-30, linear.
    pub(super) fn resized(&self, y: i64, x: i64, channel: i64) -> i64 {
        let (window, [rows, columns]) = (&self.work.window, &self.work.axes);
        let (row, column) = (rows.between(y, window.in_height), columns.between(x, window.in_width));
        let along =
            |line: i64| column.mixed(self.pixel(line, column.lower, channel), self.pixel(line, column.upper, channel));
        let v = row.mixed(along(row.lower), along(row.upper));
        let [scale_a, _, scale_out] = self.work.scales;
        self.output((v * scale_a) / scale_out)
    }
}
