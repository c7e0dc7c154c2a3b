//! Convolution as its definition has it: for each output pixel the patch of input that its window covers, for each output
//! channel a scalar product of patch and weights. Patches are gathered a few output pixels at a time, so that they stay in
//! the cache while all output channels read them. Number types and what becomes of a sum are the operator's.

use std::ops::Range;

use rayon::prelude::*;

use crate::window::Window;

/// Elements of the patches that are held at a time.
const PATCH_ELEMENTS: usize = 1 << 19;
/// Output channels that one task computes: a patch is read once from memory for all of them.
const CHANNELS_PER_TASK: usize = 4;

/// A convolution of one image and one group of channels.
pub(crate) struct Group<'a, T> {
    /// `[c, h, w]`; padding contributes `T::default()`.
    pub(crate) x: &'a [T],
    /// `[m, c, kh, kw]`.
    pub(crate) weights: &'a [T],
    /// Input channels.
    pub(crate) channels: usize,
    /// The sliding window.
    pub(crate) window: &'a Window,
}

impl<T: Copy + Default + Send + Sync> Group<'_, T> {
    /// Fills `output`, `[m, oh, ow]`, with `finish(channel, dot(patch, weights of the channel))`.
    pub(crate) fn run<S, Y: Send>(
        &self,
        output: &mut [Y],
        dot: impl Fn(&[T], &[T]) -> S + Sync,
        finish: impl Fn(usize, S) -> Y + Sync,
    ) {
        let length = self.channels * self.window.rows.kernel * self.window.cols.kernel;
        let pixels = self.window.pixels();
        let step = (PATCH_ELEMENTS / length).clamp(1, pixels);
        let mut patches = vec![T::default(); step * length];
        for first in (0..pixels).step_by(step) {
            let block = first..(first + step).min(pixels);
            let patches = &mut patches[..block.len() * length];
            self.gather(block.clone(), length, patches);
            output.par_chunks_mut(CHANNELS_PER_TASK * pixels).enumerate().for_each(|(task, planes)| {
                for (pixel, patch) in block.clone().zip(patches.chunks_exact(length)) {
                    for (offset, plane) in planes.chunks_exact_mut(pixels).enumerate() {
                        let channel = task * CHANNELS_PER_TASK + offset;
                        let weights = &self.weights[channel * length..][..length];
                        plane[pixel] = finish(channel, dot(patch, weights));
                    }
                }
            });
        }
    }

    /// Copies the patch, `[c, kh, kw]`, of each output pixel of `block`.
    fn gather(&self, block: Range<usize>, length: usize, patches: &mut [T]) {
        let (rows, cols) = (&self.window.rows, &self.window.cols);
        let plane = rows.input * cols.input;
        patches.par_chunks_mut(length).zip(block).for_each_init(Vec::new, |taps, (patch, pixel)| {
            let (oy, ox) = (pixel / cols.output, pixel % cols.output);
            taps.clear();
            for ky in 0..rows.kernel {
                for kx in 0..cols.kernel {
                    taps.push(rows.at(oy, ky).zip(cols.at(ox, kx)).map(|(y, x)| y * cols.input + x));
                }
            }
            for (patch, x) in patch.chunks_exact_mut(taps.len()).zip(self.x.chunks_exact(plane)) {
                for (value, tap) in patch.iter_mut().zip(taps.iter()) {
                    *value = tap.map_or(T::default(), |index| x[index]);
                }
            }
        });
    }
}
