//! What the taps of a deformable convolution read: rule N-26, for both forms.

use rayon::prelude::*;
use systole_network::op::Deform;

use crate::call::Call;
use crate::error::GoldenError;
use crate::window::Window;

/// The geometry of a deformable convolution.
pub(crate) struct Sampler {
    /// Images.
    pub(crate) n: usize,
    /// Input channels.
    pub(crate) c: usize,
    /// Groups of the convolution.
    pub(crate) groups: usize,
    /// Taps of the window.
    pub(crate) taps: usize,
    /// The window, where it would lie without offsets.
    pub(crate) window: Window,
    offset_groups: usize,
}

impl Sampler {
    /// x is input 0, the offsets are input `offsets`.
    pub(crate) fn of(call: &Call<'_>, deform: &Deform, offsets: usize) -> Result<Sampler, GoldenError> {
        let [n, c, h, w] = call.nchw(0)?;
        let Deform { conv, offset_groups } = deform;
        let window = Window::of_conv(conv, h, w)
            .ok_or_else(|| call.malformed(format!("{conv:?} does not fit an input of {h} x {w}")))?;
        let divides = |groups: usize| groups > 0 && c.is_multiple_of(groups);
        if !divides(conv.groups) || !divides(*offset_groups) {
            return Err(call.malformed(format!("{deform:?} does not fit {c} channels")));
        }
        let taps = window.rows.kernel * window.cols.kernel;
        let sampler = Sampler { n, c, groups: conv.groups, taps, window, offset_groups: *offset_groups };
        sampler.check(call, offsets, 2)?;
        Ok(sampler)
    }

    /// Refuses an input that has not `each` channels for each tap of each offset group.
    pub(crate) fn check(&self, call: &Call<'_>, input: usize, each: usize) -> Result<(), GoldenError> {
        let expected =
            [self.n, self.offset_groups * self.taps * each, self.window.rows.output, self.window.cols.output];
        if call.nchw(input)? == expected {
            return Ok(());
        }
        Err(call.malformed(format!("input {input} has shape {:?}, not {expected:?}", call.input(input)?.shape)))
    }

    /// The samples of x `[n, c, h, w]` as `[n, groups · taps · c / groups, pixels]`; offsets `[n, offset groups · taps · 2, pixels]`.
    pub(crate) fn samples(&self, x: &[f32], offsets: &[f32]) -> Vec<f32> {
        let (pixels, of_group) = (self.window.pixels(), self.c / self.groups);
        let (h, w) = (self.window.rows.input, self.window.cols.input);
        let mut all = vec![0.0; self.n * self.c * self.taps * pixels];
        all.par_chunks_exact_mut(pixels).enumerate().for_each(|(index, out)| {
            let (image, within) = (index / (self.c * self.taps), index % (self.c * self.taps));
            let group = within / (self.taps * of_group);
            let (tap, channel) = (within / of_group % self.taps, group * of_group + within % of_group);
            let plane = &x[(image * self.c + channel) * h * w..][..h * w];
            let moved = &offsets[self.pair(image, channel, tap) * pixels..][..2 * pixels];
            for (pixel, out) in out.iter_mut().enumerate() {
                let [py, px] = self.place(pixel, tap, [moved[pixel], moved[pixels + pixel]]);
                *out = bilinear(plane, [h, w], [py, px]);
            }
        });
        all
    }

    /// The plane of the offsets that has dy of this tap; dx is the next one.
    fn pair(&self, image: usize, channel: usize, tap: usize) -> usize {
        let group = channel / (self.c / self.offset_groups);
        ((image * self.offset_groups + group) * self.taps + tap) * 2
    }

    /// Index of a channel's mask of a tap among the planes of the mask.
    pub(crate) fn mask(&self, image: usize, channel: usize, tap: usize) -> usize {
        self.pair(image, channel, tap) / 2
    }

    /// py and px.
    fn place(&self, pixel: usize, tap: usize, [dy, dx]: [f32; 2]) -> [f32; 2] {
        let (rows, cols) = (&self.window.rows, &self.window.cols);
        let y = rows.place(pixel / cols.output, tap / cols.kernel);
        let x = cols.place(pixel % cols.output, tap % cols.kernel);
        [y as f32 + dy, x as f32 + dx]
    }
}

/// The value of a plane between its pixels, 0 outside.
fn bilinear(plane: &[f32], [h, w]: [usize; 2], [py, px]: [f32; 2]) -> f32 {
    if !(py > -1.0 && py < h as f32 && px > -1.0 && px < w as f32) {
        return 0.0;
    }
    let (y0, x0) = (py.floor(), px.floor());
    let (fy, fx) = (py - y0, px - x0);
    let (gy, gx) = (1.0 - fy, 1.0 - fx);
    let at = |dy: i64, dx: i64| {
        let (y, x) = (y0 as i64 + dy, x0 as i64 + dx);
        let inside = y >= 0 && x >= 0 && y < h as i64 && x < w as i64;
        if inside { plane[y as usize * w + x as usize] } else { 0.0 }
    };
    let mut v = (gy * gx) * at(0, 0);
    v += (gy * fx) * at(0, 1);
    v += (fy * gx) * at(1, 0);
    v += (fy * fx) * at(1, 1);
    v
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n26_values_between_pixels_and_beyond_the_edge() {
        let v = |py, px| bilinear(&[10.0, 20.0, 30.0, 40.0], [2, 2], [py, px]);
        assert_eq!(v(0.5, 0.25), 22.5);
        assert_eq!((v(1.0, 1.0), v(0.0, 1.0)), (40.0, 20.0));
        // Half of the last row is beyond the image.
        assert_eq!((v(1.5, 0.0), v(-0.5, 1.0)), (15.0, 10.0));
        assert_eq!([v(-1.0, 0.0), v(2.0, 0.0), v(0.0, f32::NAN), v(f32::INFINITY, 0.0)], [0.0; 4]);
    }
}
