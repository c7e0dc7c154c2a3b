//! Shapes of the operators that both forms share: read from a node's tensors, checked against its attributes and its output.

use systole_network::op::{Conv, Pool};

use crate::call::Call;
use crate::error::GoldenError;
use crate::window::Window;

/// The shape of a convolution.
pub(crate) struct ConvShape {
    /// Images.
    pub(crate) n: usize,
    /// Input channels.
    pub(crate) c: usize,
    /// Output channels.
    pub(crate) m: usize,
    /// The sliding window.
    pub(crate) window: Window,
}

impl Call<'_> {
    /// The shape of this convolution: x `[n, c, h, w]`, weights `[m, c / groups, kh, kw]`.
    pub(crate) fn conv_shape(&self, conv: &Conv) -> Result<ConvShape, GoldenError> {
        let [n, c, h, w] = self.nchw(0)?;
        let weights = self.input(1)?.shape.as_slice();
        let &[m, c_group, kh, kw] = weights else {
            return Err(self.malformed(format!("weights of shape {weights:?}")));
        };
        let fits = [kh, kw] == conv.kernel && Some(c) == c_group.checked_mul(conv.groups);
        if !fits || !m.is_multiple_of(conv.groups) {
            return Err(self.malformed(format!("weights of shape {weights:?} do not fit {c} channels and {conv:?}")));
        }
        let window = Window::of_conv(conv, h, w)
            .ok_or_else(|| self.malformed(format!("{conv:?} does not fit an input of {h} x {w}")))?;
        self.expect_output([n, m, window.rows.output, window.cols.output])?;
        Ok(ConvShape { n, c, m, window })
    }

    /// `[n, k, n_out]` of this fully connected layer: x `[n, k]`, weights `[n_out, k]`.
    pub(crate) fn fully_connected_shape(&self) -> Result<[usize; 3], GoldenError> {
        let (x, weights) = (self.input(0)?.shape.as_slice(), self.input(1)?.shape.as_slice());
        match (x, weights) {
            (&[n, k], &[n_out, length]) if k == length => {
                self.expect_output([n, n_out, 1, 1])?;
                Ok([n, k, n_out])
            }
            _ => Err(self.malformed(format!("input of shape {x:?}, weights of shape {weights:?}"))),
        }
    }

    /// Number of planes, and the sliding window, of this pooling of `[n, c, h, w]`.
    pub(crate) fn pool_shape(&self, pool: &Pool) -> Result<(usize, Window), GoldenError> {
        let [n, c, h, w] = self.nchw(0)?;
        let window = Window::of_pool(pool, h, w)
            .ok_or_else(|| self.malformed(format!("{pool:?} does not fit an input of {h} x {w}")))?;
        self.expect_output([n, c, window.rows.output, window.cols.output])?;
        Ok((n * c, window))
    }

    /// The pooling whose one window is the whole of `[n, c, h, w]`.
    pub(crate) fn whole_image(&self) -> Result<Pool, GoldenError> {
        let [_, _, h, w] = self.nchw(0)?;
        Ok(Pool {
            kernel: [h, w],
            stride: [1; 2],
            pads: [0; 4],
            dilation: [1; 2],
            ceil_mode: false,
            count_include_pad: false,
        })
    }

    /// How many contiguous elements each input gives to an image of this concatenation along axis 1.
    pub(crate) fn concat_runs(&self) -> Result<Vec<usize>, GoldenError> {
        let output = self.output()?.shape.as_slice();
        let mut channels = 0;
        let mut runs = vec![];
        for i in 0..self.node.inputs.len() {
            let shape = self.input(i)?.shape.as_slice();
            match (shape, output) {
                ([n, c, rest @ ..], [out_n, _, out_rest @ ..]) if n == out_n && rest == out_rest => {
                    channels += c;
                    runs.push(shape.iter().skip(1).product());
                }
                _ => return Err(self.malformed(format!("input {i} of shape {shape:?}, output of {output:?}"))),
            }
        }
        if output.get(1) == Some(&channels) {
            return Ok(runs);
        }
        Err(self.malformed(format!("the inputs have {channels} channels together, the output has shape {output:?}")))
    }
}

/// Takes `runs[i]` elements of each input in turn until all are used up.
pub(crate) fn interleave<T: Copy>(inputs: &[&[T]], runs: &[usize]) -> Vec<T> {
    let images = match (inputs.first(), runs.first()) {
        (Some(input), Some(run)) => input.len() / run,
        _ => 0,
    };
    let mut output = vec![];
    for image in 0..images {
        for (input, &run) in inputs.iter().zip(runs) {
            output.extend_from_slice(&input[image * run..][..run]);
        }
    }
    output
}
