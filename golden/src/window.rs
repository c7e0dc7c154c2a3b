//! Where a sliding window lies: which input positions an output position reads, along one axis. Padding is a position
//! that does not exist; what it contributes is the operator's rule.

use systole_network::op::{Conv, Pool};

/// One spatial axis of a sliding window, in elements.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    /// Length of the input.
    pub(crate) input: usize,
    /// Length of the output.
    pub(crate) output: usize,
    /// Taps of the window.
    pub(crate) kernel: usize,
    stride: usize,
    dilation: usize,
    before: usize,
    after: usize,
}

/// Attributes beyond this are refused, so that sums and products of two of them cannot overflow.
const LIMIT: usize = 1 << 31;

impl Axis {
    /// `None` when the attributes are out of range or the window does not fit the padded input.
    ///
    /// In `ceil` mode the output length rounds up, but a last window that would start beyond input and leading pad is dropped.
    fn new(input: usize, kernel: usize, stride: usize, dilation: usize, pads: [usize; 2], ceil: bool) -> Option<Axis> {
        let [before, after] = pads;
        let positive = [input, kernel, stride, dilation].iter().all(|&v| v > 0 && v < LIMIT);
        if !positive || before >= LIMIT || after >= LIMIT {
            return None;
        }
        // Rounding up is rounding down with almost a stride more: a window may then hang over an input that is narrower.
        let room = before + input + after + if ceil { stride - 1 } else { 0 };
        let mut output = room.checked_sub((kernel - 1) * dilation + 1)? / stride + 1;
        if ceil && (output - 1) * stride >= input + before {
            output -= 1;
        }
        Some(Axis { input, output, kernel, stride, dilation, before, after })
    }

    /// The input position that tap `k` of output `o` reads; `None` in padding.
    pub(crate) fn at(&self, o: usize, k: usize) -> Option<usize> {
        (o * self.stride + k * self.dilation).checked_sub(self.before).filter(|&i| i < self.input)
    }

    /// The position of tap `k` of output `o`, in the padding or not.
    pub(crate) fn place(&self, o: usize, k: usize) -> i64 {
        (o * self.stride + k * self.dilation) as i64 - self.before as i64
    }

    /// The taps of window `o` inside the input: their positions.
    pub(crate) fn inside(&self, o: usize) -> impl ExactSizeIterator<Item = usize> + Clone + use<> {
        let start = o * self.stride;
        // The first tap at or behind the input's start, and the first at or behind its end.
        let first = self.before.saturating_sub(start).div_ceil(self.dilation).min(self.kernel);
        let end = (self.before + self.input).saturating_sub(start).div_ceil(self.dilation).min(self.kernel);
        let (before, dilation) = (self.before, self.dilation);
        (first..end.max(first)).map(move |k| start + k * dilation - before)
    }

    /// How many taps of window `o` lie inside input and explicit padding.
    pub(crate) fn inside_padded(&self, o: usize) -> usize {
        let rest = (self.before + self.input + self.after).saturating_sub(o * self.stride);
        rest.div_ceil(self.dilation).min(self.kernel)
    }
}

/// A sliding window over a plane.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    /// Vertical axis.
    pub(crate) rows: Axis,
    /// Horizontal axis.
    pub(crate) cols: Axis,
}

impl Window {
    /// The window of a convolution on planes of `h` x `w`; `None` when it does not fit.
    pub(crate) fn of_conv(conv: &Conv, h: usize, w: usize) -> Option<Window> {
        let [top, left, bottom, right] = conv.pads;
        let rows = Axis::new(h, conv.kernel[0], conv.stride[0], conv.dilation[0], [top, bottom], false)?;
        let cols = Axis::new(w, conv.kernel[1], conv.stride[1], conv.dilation[1], [left, right], false)?;
        Some(Window { rows, cols })
    }

    /// The window of a pooling on planes of `h` x `w`; `None` when it does not fit.
    pub(crate) fn of_pool(pool: &Pool, h: usize, w: usize) -> Option<Window> {
        let [top, left, bottom, right] = pool.pads;
        let rows = Axis::new(h, pool.kernel[0], pool.stride[0], pool.dilation[0], [top, bottom], pool.ceil_mode)?;
        let cols = Axis::new(w, pool.kernel[1], pool.stride[1], pool.dilation[1], [left, right], pool.ceil_mode)?;
        Some(Window { rows, cols })
    }

    /// Elements of an output plane.
    pub(crate) fn pixels(&self) -> usize {
        self.rows.output * self.cols.output
    }
}
