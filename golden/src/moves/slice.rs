//! Boxes: `Slice`.

use super::{Sources, along_axes};
use crate::call::Call;
use crate::error::GoldenError;

/// Along each axis every `steps`-th element from `starts` on, as many as the output has.
pub(super) fn sources(call: &Call<'_>, starts: &[usize], steps: &[i64]) -> Result<Sources, GoldenError> {
    let (input, output) = (&call.input(0)?.shape, &call.output()?.shape);
    if [starts.len(), steps.len(), output.len()].iter().any(|&rank| rank != input.len()) {
        return Err(call.malformed(format!("a box of rank {} in {input:?}", starts.len())));
    }
    let mut lists = vec![];
    for axis in 0..input.len() {
        let index = |i: usize| {
            let moved = i128::from(steps[axis]) * i as i128;
            usize::try_from(starts[axis] as i128 + moved).ok().filter(|&index| index < input[axis])
        };
        let list: Vec<Option<usize>> = (0..output[axis]).map(index).collect();
        if list.contains(&None) {
            return Err(call.malformed(format!("the box leaves {input:?} along axis {axis}")));
        }
        lists.push(list);
    }
    Ok(along_axes(input, &lists))
}
