//! More on each side of each axis: `Pad`.

use systole_network::op::Fill;

use super::{Sources, along_axes};
use crate::call::Call;
use crate::error::GoldenError;

/// What lies beyond an axis of `length` elements at `index`, counted from its first.
fn beyond(index: i64, length: i64, fill: Fill) -> Option<i64> {
    match fill {
        Fill::Constant(_) => (0..length).contains(&index).then_some(index),
        Fill::Edge => Some(index.clamp(0, length - 1)),
        Fill::Wrap => Some(index.rem_euclid(length)),
        Fill::Reflect if length == 1 => Some(0),
        // There and back again.
        Fill::Reflect => {
            let period = 2 * (length - 1);
            let place = index.rem_euclid(period);
            Some(place.min(period - place))
        }
    }
}

/// The output's element i of an axis is element i − before of the input, or what lies beyond.
pub(super) fn sources(call: &Call<'_>, [before, after]: [&[usize]; 2], fill: Fill) -> Result<Sources, GoldenError> {
    let (input, output) = (&call.input(0)?.shape, &call.output()?.shape);
    let padded: Option<Vec<usize>> = (0..input.len())
        .map(|axis| input[axis].checked_add(*before.get(axis)?)?.checked_add(*after.get(axis)?))
        .collect();
    if padded.as_ref() != Some(output) || before.len() != input.len() {
        return Err(call.malformed(format!("{input:?} padded by {before:?} and {after:?} is not {output:?}")));
    }
    let list = |axis: usize| -> Vec<Option<usize>> {
        let index = |i: usize| beyond(i as i64 - before[axis] as i64, input[axis] as i64, fill).map(|i| i as usize);
        (0..output[axis]).map(index).collect()
    };
    let lists: Vec<Vec<Option<usize>>> = (0..input.len()).map(list).collect();
    Ok(along_axes(input, &lists))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_edges() {
        let all = |fill| (-5..8).map(|i| beyond(i, 3, fill).unwrap_or(9)).collect::<Vec<_>>();
        assert_eq!(all(Fill::Constant(0.0)), [9, 9, 9, 9, 9, 0, 1, 2, 9, 9, 9, 9, 9]);
        assert_eq!(all(Fill::Edge), [0, 0, 0, 0, 0, 0, 1, 2, 2, 2, 2, 2, 2]);
        assert_eq!(all(Fill::Wrap), [1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1]);
        assert_eq!(all(Fill::Reflect), [1, 0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2, 1]);
    }
}
