//! Which elements of its two operands an element-wise operator pairs: equal shapes, `[n, c, ...]` and a vector `[c]`, or shapes of one
//! rank in which axes of length 1 repeat.

use crate::call::Call;
use crate::error::GoldenError;

/// How the operands of `Add`, `Mul` and their like meet.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Broadcast {
    /// Equal shapes, of so many elements.
    Same { count: usize },
    /// The second has one value per channel; `inner` elements of the first (h·w) follow each other in one channel.
    Channel { count: usize, channels: usize, inner: usize },
    /// The shapes of the output and of both operands, one rank.
    Repeat { output: Vec<usize>, own: [Vec<usize>; 2] },
}

impl Broadcast {
    /// From the shapes of a node's two inputs and of its output.
    pub(crate) fn of(call: &Call<'_>) -> Result<Broadcast, GoldenError> {
        let (a, b, output) = (&call.input(0)?.shape, &call.input(1)?.shape, &call.output()?.shape);
        let count = a.iter().product();
        match (a.as_slice(), b.as_slice()) {
            (a, b) if a == b => return Ok(Broadcast::Same { count }),
            ([_, c, rest @ ..], [channels]) if c == channels => {
                return Ok(Broadcast::Channel { count, channels: *c, inner: rest.iter().product() });
            }
            _ => {}
        }
        let one_rank = [a.len(), b.len()] == [output.len(); 2];
        let axis = |axis: usize| {
            output[axis] == a[axis].max(b[axis])
                && [a[axis], b[axis]].iter().all(|&own| own == 1 || own == output[axis])
        };
        if one_rank && (0..output.len()).all(axis) {
            return Ok(Broadcast::Repeat { output: output.clone(), own: [a.clone(), b.clone()] });
        }
        Err(call.malformed(format!("operands of shapes {a:?} and {b:?} for {output:?}")))
    }

    /// For each element of the output, in order, its elements of both operands.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let count = match self {
            Broadcast::Same { count } | Broadcast::Channel { count, .. } => *count,
            Broadcast::Repeat { output, .. } => output.iter().product(),
        };
        (0..count).map(|i| match self {
            Broadcast::Same { .. } => (i, i),
            Broadcast::Channel { channels, inner, .. } => (i, (i / inner) % channels),
            Broadcast::Repeat { output, own: [a, b] } => (source(i, output, a), source(i, output, b)),
        })
    }
}

/// The element of an operand of shape `own` that goes with element `i` of `output`: axes of length 1 repeat.
pub(crate) fn source(i: usize, output: &[usize], own: &[usize]) -> usize {
    let (mut rest, mut place, mut stride) = (i, 0, 1);
    for (&all, &own) in output.iter().zip(own).rev() {
        if own != 1 {
            place += rest % all * stride;
        }
        stride *= own;
        rest /= all;
    }
    place
}
