//! Shape inference: what each operator makes of its inputs' shapes.
//!
//! Attributes and shapes may come from a hostile file: every product and sum is checked, and no tensor may have more than
//! [`MAX_ELEMENTS`] elements, so that sizes derived later (bytes, addresses) stay far from overflow. Element types and quantisation are
//! not looked at here; [`verify`](mod@crate::verify) does that.
//!
//! Convolution: `floor((in − ((k − 1)·d + 1) + pads) / s) + 1` along each axis. Pooling is the same; in ceil mode the quotient rounds
//! up, and a window that would start beyond the input and its leading pad is dropped (so none lies wholly in padding, rule N-4).

use crate::op::{Conv, Op, Pool};

mod moves;
mod windows;

pub use moves::fits;

/// The largest number of elements of a tensor.
pub const MAX_ELEMENTS: usize = 1 << 40;

/// Why an operator does not fit its inputs. Messages say what to look at in the model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// Too few or too many inputs.
    #[error("takes {expected} inputs but has {found}")]
    InputCount {
        /// The allowed counts, in words.
        expected: &'static str,
        /// The count there is.
        found: usize,
    },
    /// An input of the wrong rank.
    #[error("{operand} must have rank {expected} but has shape {found:?}")]
    Rank {
        /// Which input.
        operand: &'static str,
        /// The rank the operator wants, in words.
        expected: &'static str,
        /// The shape there is.
        found: Vec<usize>,
    },
    /// An input whose shape contradicts another's, or the attributes.
    #[error("{operand} must have shape {expected:?} but has {found:?}")]
    Operand {
        /// Which input.
        operand: &'static str,
        /// The shape that the other inputs and the attributes ask for.
        expected: Vec<usize>,
        /// The shape there is.
        found: Vec<usize>,
    },
    /// Groups do not divide the channels.
    #[error("{groups} groups do not divide {channels} {which} channels; groups must divide both channel counts")]
    Groups {
        /// The group count.
        groups: usize,
        /// The channel count that it does not divide.
        channels: usize,
        /// "input" or "output".
        which: &'static str,
    },
    /// An attribute that must be positive is zero.
    #[error("{attribute} is zero; it must be at least 1")]
    ZeroAttribute {
        /// Which attribute.
        attribute: &'static str,
    },
    /// A window that does not fit even once.
    #[error(
        "a window of {window} does not fit the {padded} rows or columns of the padded input; the input is too small"
    )]
    WindowTooLarge {
        /// Extent of the window, dilation included.
        window: usize,
        /// Extent of the input with its padding.
        padded: usize,
    },
    /// Pooling with a pad as large as the kernel.
    #[error("a pad of {pad} is not smaller than the kernel of {kernel}; a pooling window would lie wholly in padding")]
    PadTooLarge {
        /// The pad.
        pad: usize,
        /// The kernel's extent along the same axis, dilation included.
        kernel: usize,
    },
    /// Pooling that may step from the leading pad over the whole input.
    #[error(
        "a dilation of {dilation} may step over the input of {input}; a pooling window would lie wholly in padding"
    )]
    StepsOver {
        /// The dilation.
        dilation: usize,
        /// The input along the same axis.
        input: usize,
    },
    /// A transposition that names an axis twice, or not at all.
    #[error("the permutation {perm:?} does not name each axis of shape {shape:?} once")]
    Permutation {
        /// The permutation.
        perm: Vec<usize>,
        /// The input's shape.
        shape: Vec<usize>,
    },
    /// An attribute that contradicts the input's shape.
    #[error("its {attribute} do not fit an input of shape {shape:?}")]
    Attribute {
        /// Which attribute, in words.
        attribute: &'static str,
        /// The input's shape.
        shape: Vec<usize>,
    },
    /// A dimension of zero.
    #[error("shape {shape:?} has a dimension of zero; every dimension must be at least 1 (give dynamic ones a size)")]
    ZeroDimension {
        /// The shape.
        shape: Vec<usize>,
    },
    /// More elements than [`MAX_ELEMENTS`], or a size that overflows.
    #[error("a tensor of this size is not supported (at most 2^40 elements)")]
    TooLarge,
}

/// Number of elements of a shape.
///
/// # Errors
/// A zero dimension, or more than [`MAX_ELEMENTS`].
pub fn elements(shape: &[usize]) -> Result<usize, ShapeError> {
    if shape.contains(&0) {
        return Err(ShapeError::ZeroDimension { shape: shape.to_vec() });
    }
    let product = shape.iter().try_fold(1usize, |n, &dim| n.checked_mul(dim)).ok_or(ShapeError::TooLarge)?;
    if product > MAX_ELEMENTS { Err(ShapeError::TooLarge) } else { Ok(product) }
}

/// The shapes of an operator's outputs (one, for every operator so far), from those of its inputs, constants included.
///
/// For [`Op::Reshape`], whose target only the graph knows (it is the output tensor's shape), this is `[n, everything else]`; see [`reshaped`]. So do the boxes of [`Op::Slice`] and the images of
/// [`Op::MaxUnpool`]: see [`fits`].
///
/// # Errors
/// Wrong number, rank or shape of inputs, attributes that do not fit, sizes beyond [`MAX_ELEMENTS`].
pub fn infer(op: &Op, inputs: &[&[usize]]) -> Result<Vec<Vec<usize>>, ShapeError> {
    for shape in inputs {
        elements(shape)?;
    }
    let output = match op {
        Op::Conv(conv) | Op::ConvInteger { conv, .. } => convolution(conv, inputs)?,
        Op::FullyConnected | Op::MatMulInteger { .. } => fully_connected(inputs)?,
        Op::MaxPool(pool) | Op::AveragePool(pool) => pooling(pool, only(inputs)?)?,
        Op::ConvTranspose(conv) => windows::transposed(conv, inputs)?,
        Op::DeformConv(deform) => windows::deformable(deform, inputs)?,
        Op::DeformSample(deform) => windows::samples(deform, inputs)?,
        Op::ArgMaxPool(pool) => pooling(pool, only(inputs)?)?,
        Op::MaxUnpool(pool) => windows::unpooled(pool, inputs)?,
        Op::Slice { .. } => only(inputs)?.to_vec(),
        Op::Pad { before, after, .. } => moves::padded(before, after, only(inputs)?)?,
        Op::DepthToSpace { block, .. } => moves::depth_to_space(*block, only(inputs)?)?,
        Op::SpaceToDepth { block } => moves::space_to_depth(*block, only(inputs)?)?,
        Op::Resize(resize) => moves::resized(resize, only(inputs)?)?,
        Op::ReduceMean { axes, keep } => moves::reduced(axes, *keep, only(inputs)?)?,
        Op::GlobalAveragePool | Op::GlobalMaxPool => {
            let [n, c, _, _] = rank4("the input", only(inputs)?)?;
            vec![n, c, 1, 1]
        }
        Op::Add | Op::Mul | Op::Sub | Op::Div | Op::Max | Op::Min => elementwise(inputs)?,
        Op::PRelu => moves::per_channel(inputs)?,
        Op::BatchNorm { .. } => batch_norm(inputs)?,
        Op::Concat => concat(inputs)?,
        Op::Softmax => with_channels(only(inputs)?)?.to_vec(),
        Op::Reshape => reshaped(only(inputs)?, None)?,
        Op::Lrn(lrn) if lrn.size == 0 => return Err(ShapeError::ZeroAttribute { attribute: "size" }),
        Op::Lrn(_) => with_channels(only(inputs)?)?.to_vec(),
        Op::Sum => sum(inputs)?,
        Op::Transpose { perm } => transposed(perm, only(inputs)?)?,
        Op::Function(_)
        | Op::Relu
        | Op::Clip { .. }
        | Op::Binarize
        | Op::Rescale
        | Op::Identity
        | Op::Cast
        | Op::Quantize
        | Op::Dequantize => only(inputs)?.to_vec(),
    };
    elements(&output)?;
    Ok(vec![output])
}

/// The shape of a [`Op::Reshape`]'s output: `target` with its first dimension fitted to the input (so that the batch may change), or
/// `[n, everything else]` without a target.
///
/// # Errors
/// The input's elements do not fill the target's rows.
pub fn reshaped(input: &[usize], target: Option<&[usize]>) -> Result<Vec<usize>, ShapeError> {
    let total = elements(input)?;
    let Some(target) = target else {
        let n = input.first().copied().unwrap_or(1);
        return Ok(vec![n, total / n]);
    };
    let (first, row) = target.split_at(target.len().min(1));
    let per_row = elements(row)?;
    if !total.is_multiple_of(per_row) || (first.is_empty() && total != 1) {
        let operand = "the input (as many elements as)";
        return Err(ShapeError::Operand { operand, expected: target.to_vec(), found: input.to_vec() });
    }
    Ok(first.iter().map(|_| total / per_row).chain(row.iter().copied()).collect())
}

fn only<'a>(inputs: &[&'a [usize]]) -> Result<&'a [usize], ShapeError> {
    match inputs {
        [input] => Ok(input),
        _ => Err(ShapeError::InputCount { expected: "1", found: inputs.len() }),
    }
}

fn rank4(operand: &'static str, shape: &[usize]) -> Result<[usize; 4], ShapeError> {
    shape.try_into().map_err(|_| ShapeError::Rank { operand, expected: "4", found: shape.to_vec() })
}

fn rank2(operand: &'static str, shape: &[usize]) -> Result<[usize; 2], ShapeError> {
    shape.try_into().map_err(|_| ShapeError::Rank { operand, expected: "2", found: shape.to_vec() })
}

/// The shape, when it has a channel axis.
fn with_channels(shape: &[usize]) -> Result<&[usize], ShapeError> {
    if shape.len() >= 2 {
        return Ok(shape);
    }
    Err(ShapeError::Rank { operand: "the input", expected: "2 or more", found: shape.to_vec() })
}

fn must_be(operand: &'static str, expected: &[usize], found: &[usize]) -> Result<(), ShapeError> {
    if expected == found {
        return Ok(());
    }
    Err(ShapeError::Operand { operand, expected: expected.to_vec(), found: found.to_vec() })
}

/// Splits x, weights and the optional bias; checks the bias's length against the weights' first dimension.
fn weighted<'a>(inputs: &[&'a [usize]]) -> Result<(&'a [usize], &'a [usize]), ShapeError> {
    match inputs {
        [x, w] => Ok((x, w)),
        [x, w, bias] => {
            must_be("the bias", &w[..w.len().min(1)], bias)?;
            Ok((x, w))
        }
        _ => Err(ShapeError::InputCount { expected: "2 or 3", found: inputs.len() }),
    }
}

fn convolution(conv: &Conv, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
    let (x, weights) = weighted(inputs)?;
    let ([n, c, h, w], [m, ..]) = (rank4("the input", x)?, rank4("the weights", weights)?);
    if conv.groups == 0 {
        return Err(ShapeError::ZeroAttribute { attribute: "groups" });
    }
    for (channels, which) in [(c, "input"), (m, "output")] {
        if channels % conv.groups != 0 {
            return Err(ShapeError::Groups { groups: conv.groups, channels, which });
        }
    }
    must_be("the weights", &[m, c / conv.groups, conv.kernel[0], conv.kernel[1]], weights)?;
    let [top, left, bottom, right] = conv.pads;
    let out_h = Axis { input: h, before: top, after: bottom, ..Axis::of(conv, 0) }.convolved()?;
    let out_w = Axis { input: w, before: left, after: right, ..Axis::of(conv, 1) }.convolved()?;
    Ok(vec![n, m, out_h, out_w])
}

fn fully_connected(inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
    let (x, weights) = weighted(inputs)?;
    let ([n, k], [n_out, _]) = (rank2("the input (flatten it first)", x)?, rank2("the weights", weights)?);
    must_be("the weights", &[n_out, k], weights)?;
    Ok(vec![n, n_out])
}

fn pooling(pool: &Pool, x: &[usize]) -> Result<Vec<usize>, ShapeError> {
    let [n, c, h, w] = rank4("the input", x)?;
    let [top, left, bottom, right] = pool.pads;
    let axis = |axis: usize, input, before, after| {
        let (kernel, stride, dilation) = (pool.kernel[axis], pool.stride[axis], pool.dilation[axis]);
        Axis { input, before, after, kernel, stride, dilation }
    };
    let out_h = axis(0, h, top, bottom).pooled(pool.ceil_mode)?;
    let out_w = axis(1, w, left, right).pooled(pool.ceil_mode)?;
    Ok(vec![n, c, out_h, out_w])
}

fn elementwise(inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
    let [a, b] = inputs else {
        return Err(ShapeError::InputCount { expected: "2", found: inputs.len() });
    };
    if a.len() == b.len() {
        // Axes of length 1 repeat.
        let pairs = a.iter().zip(*b);
        let made = pairs.map(|(&a, &b)| if a == b || b == 1 { Some(a) } else { (a == 1).then_some(b) });
        return match made.collect() {
            Some(made) => Ok(made),
            None => must_be("the second input", a, b).map(|()| a.to_vec()),
        };
    }
    // Only a per-channel vector will do.
    let expected = if b.len() == 1 && a.len() >= 2 { &a[1..2] } else { a };
    must_be("the second input", expected, b)?;
    Ok(a.to_vec())
}

fn sum(inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
    let ([first, rest @ ..], 3..) = (inputs, inputs.len()) else {
        return Err(ShapeError::InputCount { expected: "at least 3", found: inputs.len() });
    };
    for shape in rest {
        must_be("a later input", first, shape)?;
    }
    Ok(first.to_vec())
}

fn transposed(perm: &[usize], input: &[usize]) -> Result<Vec<usize>, ShapeError> {
    let mut sorted = perm.to_vec();
    sorted.sort_unstable();
    if !sorted.iter().copied().eq(0..input.len()) {
        return Err(ShapeError::Permutation { perm: perm.to_vec(), shape: input.to_vec() });
    }
    Ok(perm.iter().map(|&axis| input[axis]).collect())
}

fn batch_norm(inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
    let ([x, vectors @ ..], 3 | 5) = (inputs, inputs.len()) else {
        return Err(ShapeError::InputCount { expected: "5 (imported) or 3 (quantised)", found: inputs.len() });
    };
    let x = with_channels(x)?;
    for vector in vectors {
        must_be("a per-channel input", &x[1..2], vector)?;
    }
    Ok(x.to_vec())
}

fn concat(inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
    let Some((first, rest)) = inputs.split_first() else {
        return Err(ShapeError::InputCount { expected: "at least 1", found: 0 });
    };
    let mut out = with_channels(first)?.to_vec();
    for shape in rest {
        // Equal in rank and in all but the channel axis.
        let channels = shape.get(1).copied().unwrap_or(0);
        let expected: Vec<usize> =
            first.iter().enumerate().map(|(axis, &dim)| if axis == 1 { channels } else { dim }).collect();
        must_be("a later input", &expected, shape)?;
        out[1] = out[1].checked_add(channels).ok_or(ShapeError::TooLarge)?;
    }
    Ok(out)
}

/// One spatial axis of a windowed operator.
struct Axis {
    input: usize,
    before: usize,
    after: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
}

impl Axis {
    /// Kernel, stride and dilation of a convolution along `axis`.
    fn of(conv: &Conv, axis: usize) -> Axis {
        let (kernel, stride, dilation) = (conv.kernel[axis], conv.stride[axis], conv.dilation[axis]);
        Axis { input: 0, before: 0, after: 0, kernel, stride, dilation }
    }

    /// Extents of the window and of the padded input.
    fn extents(&self) -> Result<(usize, usize), ShapeError> {
        for (value, attribute) in [(self.kernel, "kernel"), (self.stride, "stride"), (self.dilation, "dilation")] {
            if value == 0 {
                return Err(ShapeError::ZeroAttribute { attribute });
            }
        }
        let window = (self.kernel - 1).checked_mul(self.dilation).and_then(|span| span.checked_add(1));
        let padded = self.input.checked_add(self.before).and_then(|sum| sum.checked_add(self.after));
        window.zip(padded).ok_or(ShapeError::TooLarge)
    }

    fn convolved(&self) -> Result<usize, ShapeError> {
        let (window, padded) = self.extents()?;
        let room = padded.checked_sub(window).ok_or(ShapeError::WindowTooLarge { window, padded })?;
        Ok(room / self.stride + 1)
    }

    fn pooled(&self, ceil_mode: bool) -> Result<usize, ShapeError> {
        let (window, padded) = self.extents()?;
        if let Some(&pad) = [self.before, self.after].iter().find(|&&pad| pad >= window) {
            return Err(ShapeError::PadTooLarge { pad, kernel: window });
        }
        // The first tap behind the leading pad is less than a dilation from the input's start.
        if self.before > 0 && self.dilation > self.input {
            return Err(ShapeError::StepsOver { dilation: self.dilation, input: self.input });
        }
        if !ceil_mode {
            return self.convolved();
        }
        // Rounding up is rounding down with almost a stride of padding more.
        let reach = padded.checked_add(self.stride - 1).ok_or(ShapeError::TooLarge)?;
        let room = reach.checked_sub(window).ok_or(ShapeError::WindowTooLarge { window, padded })?;
        let last = room / self.stride;
        // Cannot overflow: at most `room`. Cannot reach 0 from 0, since the input has at least one element.
        let dropped = last * self.stride >= self.input + self.before;
        Ok(if dropped { last } else { last + 1 })
    }
}

#[cfg(test)]
#[path = "shape_tests.rs"]
mod tests;
