//! M-7: samples between pixels (N-26), switches and unpooling (N-27).

use super::operations::Operation;

/// Row, column and channel of an output.
type Place = (i64, i64, i64);

impl Operation<'_> {
    /// N-26: what a tap reads of a channel.
    pub(super) fn sample(&self, y: i64, x: i64, tap: i64, channel: i64) -> i64 {
        let (w, d) = (&self.work.window, &self.work.deform);
        let (ky, kx) = (tap / w.kernel_w, tap % w.kernel_w);
        let py = (y * w.stride_h + d.origin_y + ky * w.dilation_h.max(1)) as f32 + self.offset(y, x, 2 * tap);
        let px = (x * w.stride_w + d.origin_x + kx * w.dilation_w.max(1)) as f32 + self.offset(y, x, 2 * tap + 1);
        let within = |place: f32, size: i64| -1.0 < place && place < size as f32;
        let mut v = 0.0f32;
        if within(py, w.in_height) && within(px, w.in_width) {
            let (y0, x0) = (py.floor(), px.floor());
            let (fy, fx) = (py - y0, px - x0);
            let (gy, gx) = (1.0 - fy, 1.0 - fx);
            let (row, column) = (y0 as i64, x0 as i64);
            v = (gy * gx) * self.pixel(row, column, channel);
            v += (gy * fx) * self.pixel(row, column + 1, channel);
            v += (fy * gx) * self.pixel(row + 1, column, channel);
            v += (fy * fx) * self.pixel(row + 1, column + 1, channel);
        }
        self.output(v)
    }

    /// The real offset that an element of b is.
    fn offset(&self, y: i64, x: i64, element: i64) -> f32 {
        let quant = &self.work.quant;
        let value = self.raw(self.work.b, quant.signed_b, y, x, element) - quant.zero_b;
        value as f32 * self.work.scales[1]
    }

    /// t of N-26.
    pub(super) fn pixel(&self, row: i64, column: i64, channel: i64) -> f32 {
        let (quant, w) = (&self.work.quant, &self.work.window);
        if !(0..w.in_height).contains(&row) || !(0..w.in_width).contains(&column) {
            return 0.0;
        }
        (self.raw(self.work.a, quant.signed_a, row, column, channel) - quant.zero_a) as f32
    }

    /// N-27: the tap of a window's maximum; 0 where it has none.
    pub(super) fn switch(&self, y: i64, x: i64, channel: i64) -> i64 {
        let (w, quant) = (&self.work.window, &self.work.quant);
        let (mut largest, mut switch) = (None, 0);
        for tap in 0..w.kernel_h * w.kernel_w {
            let (row, column) = (w.row(y, tap / w.kernel_w), w.column(x, tap % w.kernel_w));
            if !(0..w.in_height).contains(&row) || !(0..w.in_width).contains(&column) {
                continue;
            }
            let value = self.raw(self.work.a, quant.signed_a, row, column, channel);
            if largest.is_none_or(|largest| value > largest) {
                (largest, switch) = (Some(value), tap);
            }
        }
        switch.clamp(quant.low, quant.high)
    }

    /// What an unpooled image holds where no switch points.
    pub(super) fn nothing(&self) -> i64 {
        let quant = &self.work.quant;
        quant.zero_out.clamp(quant.low, quant.high)
    }

    /// What the windows put where, in their order.
    pub(super) fn unpooled(&self) -> Vec<(Place, i64)> {
        let (work, w, quant) = (self.work, &self.work.window, &self.work.quant);
        let mut placed = Vec::new();
        for row in 0..w.in_height {
            for column in 0..w.in_width {
                for channel in 0..work.channels {
                    let tap = self.raw(work.b, quant.signed_b, row, column, channel);
                    let y = w.row(row, tap.div_euclid(w.kernel_w));
                    let x = w.column(column, tap.rem_euclid(w.kernel_w));
                    let is_tap = (0..w.kernel_h * w.kernel_w).contains(&tap);
                    if is_tap && (0..work.height).contains(&y) && (0..work.width).contains(&x) {
                        let value = self.raw(work.a, quant.signed_a, row, column, channel);
                        placed.push(((y, x, channel), value.clamp(quant.low, quant.high)));
                    }
                }
            }
        }
        placed
    }
}
