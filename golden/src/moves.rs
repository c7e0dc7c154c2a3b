//! Operators that only move values: rules N-15, N-23 and, for nearest pixels, N-30. Both forms use them.
//!
//! Each file says where every output element comes from; here the elements are taken from there, whatever their type.

mod blocks;
mod nearest;
mod pad;
mod places;
mod slice;
mod transpose;

pub(crate) use places::Places;

use systole_network::op::{Fill, Op};
use systole_network::tensor::Tensor;

use crate::call::Call;
use crate::error::GoldenError;
use crate::integer::Target;
use crate::value::{Element, Value, each};

/// For each output element in order, the index of the input element that it is; `None` where there is none.
type Sources = Vec<Option<usize>>;

/// The output of a node that only moves values.
pub(crate) fn evaluate(call: &Call<'_>) -> Result<Value, GoldenError> {
    let mut fill = 0.0;
    let sources = match &call.node.op {
        Op::Slice { starts, steps } => slice::sources(call, starts, steps)?,
        Op::Pad { before, after, fill: kind } => {
            if let Fill::Constant(value) = kind {
                fill = *value;
            }
            pad::sources(call, [before, after], *kind)?
        }
        Op::Transpose { perm } => transpose::sources(call, perm)?,
        Op::DepthToSpace { block, order } => blocks::to_space(call, *block, *order)?,
        Op::SpaceToDepth { block } => blocks::to_depth(call, *block)?,
        Op::Resize(resize) => nearest::sources(call, resize)?,
        _ => return Err(call.unsupported()),
    };
    taken(call, &sources, fill)
}

/// The elements at `sources`, and `fill` where there is none.
fn taken(call: &Call<'_>, sources: &[Option<usize>], fill: f32) -> Result<Value, GoldenError> {
    fn of<T: Element>(values: &[T], sources: &[Option<usize>], fill: T) -> Value {
        T::value(sources.iter().map(|source| source.and_then(|i| values.get(i).copied()).unwrap_or(fill)).collect())
    }
    let q = integer(call.output()?, fill);
    Ok(each!(call.value(0)?, values => of(values, sources, Element::of_number(fill, q))))
}

/// Rule N-2 for a real number; a tensor without a scale means its numbers as they are.
fn integer(tensor: &Tensor, real: f32) -> i64 {
    let (scale, zero) = tensor.quant.as_ref().map_or((1.0, 0), |quant| (quant.scale_of(0), quant.zero_point_of(0)));
    match tensor.dtype.range() {
        Some((low, high)) => Target { scale, zero, low, high }.quantise(real / scale).into(),
        None => (real / scale).round_ties_even() as i64 + i64::from(zero),
    }
}

/// Of a tensor of `shape`, the elements whose index along each axis is in that axis's list, in order.
fn along_axes(shape: &[usize], lists: &[Vec<Option<usize>>]) -> Sources {
    let mut sources = vec![Some(0)];
    for (length, list) in shape.iter().zip(lists) {
        let next = |base: &Option<usize>| {
            let base = *base;
            list.iter().map(move |index| base.zip(*index).map(|(base, index)| base * length + index))
        };
        sources = sources.iter().flat_map(next).collect();
    }
    sources
}
