//! Which element of its second operand an element-wise operator pairs with element `i` of the first.

use crate::call::Call;
use crate::error::GoldenError;

/// How the second operand of `Add` or `Mul` spreads over the first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Broadcast {
    /// Equal shapes.
    Same,
    /// One value per channel; `inner` elements of the first operand (h·w) follow each other in one channel.
    Channel { channels: usize, inner: usize },
}

impl Broadcast {
    /// From the shapes of a node's two inputs: equal, or `[n, c, ...]` and `[c]`.
    pub(crate) fn of(call: &Call<'_>) -> Result<Broadcast, GoldenError> {
        let (a, b) = (&call.input(0)?.shape, &call.input(1)?.shape);
        match (a.as_slice(), b.as_slice()) {
            (a, b) if a == b => Ok(Broadcast::Same),
            ([_, c, rest @ ..], [channels]) if c == channels => {
                Ok(Broadcast::Channel { channels: *c, inner: rest.iter().product() })
            }
            _ => Err(call.malformed(format!("operands of shapes {a:?} and {b:?}"))),
        }
    }

    /// Index into the second operand that goes with element `i` of the first.
    pub(crate) fn index(self, i: usize) -> usize {
        match self {
            Broadcast::Same => i,
            Broadcast::Channel { channels, inner } => (i / inner) % channels,
        }
    }
}
