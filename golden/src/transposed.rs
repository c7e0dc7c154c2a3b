//! Transposed convolution as its definition has it (rule N-22): along each axis tap k of input pixel i adds to output pixel
//! `i·stride + k·dilation − pad`. Output pixels that the same taps hit share their weights' order, so that each is a scalar product
//! of the input pixels behind those taps and the weights in that order. What no tap hits has an empty product.

use std::collections::BTreeMap;

use rayon::prelude::*;
use systole_network::op::ConvTranspose;

use crate::call::Call;
use crate::error::GoldenError;

/// Attributes beyond this are refused, so that sums and products of two of them cannot overflow.
const LIMIT: usize = 1 << 31;

/// Pixels that one task computes.
const PIXELS_PER_TASK: usize = 64;

/// Which of the two layouts the weights have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WeightOrder {
    /// `[c, m / groups, kh, kw]`, of the imported form.
    InputFirst,
    /// `[m, c / groups, kh, kw]`, of the quantised form.
    OutputFirst,
}

/// One spatial axis.
#[derive(Clone, Debug)]
struct Axis {
    input: usize,
    output: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    before: usize,
}

impl Axis {
    fn new(input: usize, conv: &ConvTranspose, axis: usize) -> Option<Axis> {
        let (kernel, stride, dilation) = (conv.kernel[axis], conv.stride[axis], conv.dilation[axis]);
        let (before, after, more) = (conv.pads[axis], conv.pads[axis + 2], conv.output_padding[axis]);
        let positive = [input, kernel, stride, dilation].iter().all(|&v| v > 0 && v < LIMIT);
        if !positive || [before, after, more].iter().any(|&v| v >= LIMIT) {
            return None;
        }
        let whole = (input - 1) * stride + (kernel - 1) * dilation + 1 + more;
        let output = whole.checked_sub(before + after).filter(|&output| output > 0)?;
        Some(Axis { input, output, kernel, stride, dilation, before })
    }

    /// The taps that hit output `o`, each with the input position behind it.
    fn hits(&self, o: usize) -> Vec<(usize, usize)> {
        let behind = |k: usize| {
            let place = (o + self.before).checked_sub(k * self.dilation)?;
            (place.is_multiple_of(self.stride) && place / self.stride < self.input).then_some((k, place / self.stride))
        };
        (0..self.kernel).filter_map(behind).collect()
    }
}

/// A transposed convolution's shape.
#[derive(Clone, Debug)]
pub(crate) struct Transposed {
    /// Images.
    pub(crate) n: usize,
    /// Input channels.
    pub(crate) c: usize,
    /// Output channels.
    pub(crate) m: usize,
    groups: usize,
    rows: Axis,
    cols: Axis,
    order: WeightOrder,
}

impl Transposed {
    /// The shape of a node, checked against its weights and its output.
    pub(crate) fn of(call: &Call<'_>, conv: &ConvTranspose, order: WeightOrder) -> Result<Transposed, GoldenError> {
        let [n, c, h, w] = call.nchw(0)?;
        let weights = call.input(1)?.shape.as_slice();
        let misfit = || call.malformed(format!("weights of shape {weights:?} do not fit {c} channels and {conv:?}"));
        let &[first, second, kh, kw] = weights else { return Err(misfit()) };
        let (inputs, m) = match order {
            WeightOrder::InputFirst => (Some(first), second.checked_mul(conv.groups)),
            WeightOrder::OutputFirst => (second.checked_mul(conv.groups), Some(first)),
        };
        let divides = conv.groups > 0 && c.is_multiple_of(conv.groups);
        let m = m.filter(|m| divides && inputs == Some(c) && [kh, kw] == conv.kernel && m.is_multiple_of(conv.groups));
        let m = m.ok_or_else(misfit)?;
        let axes = Axis::new(h, conv, 0).zip(Axis::new(w, conv, 1));
        let (rows, cols) =
            axes.ok_or_else(|| call.malformed(format!("{conv:?} does not fit an input of {h} x {w}")))?;
        call.expect_output([n, m, rows.output, cols.output])?;
        Ok(Transposed { n, c, m, groups: conv.groups, rows, cols, order })
    }

    /// `[n, m, oh, ow]` of `finish(output channel, dot(x, weights))`, the operands being those of the taps that hit.
    pub(crate) fn run<T, S, Y>(
        &self,
        x: &[T],
        weights: &[T],
        dot: impl Fn(&[T], &[T]) -> S + Sync,
        finish: impl Fn(usize, S) -> Y + Sync,
    ) -> Vec<Y>
    where
        T: Copy + Send + Sync,
        Y: Copy + Default + Send + Sync,
    {
        let (rows, cols) = (by_taps(&self.rows), by_taps(&self.cols));
        let plane = self.rows.output * self.cols.output;
        let m_group = self.m / self.groups;
        let mut output = vec![Y::default(); self.n * self.m * plane];
        for (index, output) in output.chunks_exact_mut(m_group * plane).enumerate() {
            let part = Part { shape: self, image: index / self.groups, group: index % self.groups };
            let kinds: Vec<_> = rows.iter().flat_map(|rows| cols.iter().map(move |cols| (rows, cols))).collect();
            let done: Vec<(usize, Vec<Y>)> = kinds
                .into_par_iter()
                .flat_map(|((ky, ys), (kx, xs))| {
                    let ordered = part.weights(weights, ky, kx);
                    let pixels: Vec<_> = ys.iter().flat_map(|y| xs.iter().map(move |x| (y, x))).collect();
                    let computed: Vec<Vec<(usize, Vec<Y>)>> = pixels
                        .par_chunks(PIXELS_PER_TASK)
                        .map(|pixels| {
                            let compute = |&(y, column): &(&Pixel, &Pixel)| {
                                let patch = part.patch(x, y, column);
                                let length = patch.len();
                                let channel = |m: usize| {
                                    let sum = dot(&patch, &ordered[m * length..][..length]);
                                    finish(part.group * m_group + m, sum)
                                };
                                (y.output * self.cols.output + column.output, (0..m_group).map(channel).collect())
                            };
                            pixels.iter().map(compute).collect()
                        })
                        .collect();
                    computed.into_iter().flatten().collect::<Vec<_>>()
                })
                .collect();
            for (pixel, channels) in done {
                for (m, value) in channels.into_iter().enumerate() {
                    output[m * plane + pixel] = value;
                }
            }
        }
        output
    }
}

/// An output row or column, and the input positions behind the taps that hit it.
#[derive(Clone, Debug)]
struct Pixel {
    output: usize,
    behind: Vec<usize>,
}

/// The outputs of an axis, by the taps that hit them.
fn by_taps(axis: &Axis) -> BTreeMap<Vec<usize>, Vec<Pixel>> {
    let mut kinds: BTreeMap<Vec<usize>, Vec<Pixel>> = BTreeMap::new();
    for output in 0..axis.output {
        let (taps, behind) = axis.hits(output).into_iter().unzip();
        kinds.entry(taps).or_default().push(Pixel { output, behind });
    }
    kinds
}

/// One image and one group of channels.
#[derive(Clone, Copy)]
struct Part<'a> {
    shape: &'a Transposed,
    image: usize,
    group: usize,
}

impl Part<'_> {
    /// `[m / groups, c / groups, taps]` of the weights.
    fn weights<T: Copy>(&self, weights: &[T], ky: &[usize], kx: &[usize]) -> Vec<T> {
        let Transposed { c, m, groups, rows, cols, order, .. } = self.shape;
        let (c_group, m_group) = (c / groups, m / groups);
        let at = |m: usize, c: usize, ky: usize, kx: usize| {
            let pair = match order {
                WeightOrder::InputFirst => (self.group * c_group + c) * m_group + m,
                WeightOrder::OutputFirst => (self.group * m_group + m) * c_group + c,
            };
            weights[(pair * rows.kernel + ky) * cols.kernel + kx]
        };
        let mut ordered = Vec::with_capacity(m_group * c_group * ky.len() * kx.len());
        for m in 0..m_group {
            for c in 0..c_group {
                for &ky in ky {
                    ordered.extend(kx.iter().map(|&kx| at(m, c, ky, kx)));
                }
            }
        }
        ordered
    }

    /// `[c / groups, taps]` of the input behind a pixel.
    fn patch<T: Copy>(&self, x: &[T], row: &Pixel, column: &Pixel) -> Vec<T> {
        let Transposed { c, groups, rows, cols, .. } = self.shape;
        let c_group = c / groups;
        let first = self.image * c + self.group * c_group;
        let mut patch = Vec::with_capacity(c_group * row.behind.len() * column.behind.len());
        for c in first..first + c_group {
            for y in &row.behind {
                let line = (c * rows.input + y) * cols.input;
                patch.extend(column.behind.iter().map(|place| x[line + place]));
            }
        }
        patch
    }
}
