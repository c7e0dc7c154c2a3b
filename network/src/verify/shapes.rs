//! V-6, V-7: shapes against inference, constant data against shapes.

use super::{Checker, Invariant, Operands};
use crate::graph::Form;
use crate::op::Op;
use crate::shape::{ShapeError, elements, fits, infer, reshaped};
use crate::tensor::{DType, Data, Distribution, Tensor, TensorId};

pub(super) fn check(checker: &mut Checker) {
    for (id, tensor) in checker.used() {
        match elements(&tensor.shape) {
            Ok(count) => data(checker, id, tensor, count),
            Err(error) => checker.at_tensor(id, Invariant::Shapes, error.to_string(), "its shape is not usable"),
        }
    }
    for operands in checker.sound_nodes() {
        output_shape(checker, &operands);
    }
}

fn output_shape(checker: &mut Checker, operands: &Operands) {
    let Operands { index, node, inputs, output } = operands;
    let all_usable = inputs.iter().chain([output]).all(|tensor| elements(&tensor.shape).is_ok());
    if !all_usable {
        return; // Said of the tensor already.
    }
    let shapes: Vec<&[usize]> = inputs.iter().map(|tensor| tensor.shape.as_slice()).collect();
    let inferred: Result<Vec<Vec<usize>>, ShapeError> = match (&node.op, &shapes[..]) {
        (Op::Reshape, [input]) => reshaped(input, Some(&output.shape)).map(|shape| vec![shape]),
        (Op::Slice { starts, steps }, [input]) if fits(starts, steps, input, &output.shape) => {
            Ok(vec![output.shape.clone()])
        }
        (Op::Slice { .. }, [input]) => Err(ShapeError::Attribute { attribute: "box", shape: input.to_vec() }),
        // How much an image has beyond its last window, or lacks under it, is for the graph to say.
        (Op::MaxUnpool(pool), shapes) => infer(&node.op, shapes).map(|made| {
            let more =
                |axis: usize| output.shape.get(axis + 2).and_then(|size| Some(size.abs_diff(*made[0].get(axis + 2)?)));
            let within = (0..2).all(|axis| {
                more(axis).is_some_and(|more| more < pool.stride[axis] + pool.kernel[axis] * pool.dilation[axis])
            });
            let same = output.shape.get(..2) == made[0].get(..2) && output.shape.len() == 4;
            if within && same { vec![output.shape.clone()] } else { made }
        }),
        (op, shapes) => infer(op, shapes),
    };
    match inferred.as_deref() {
        Ok([shape]) if *shape == output.shape => {}
        Ok(shapes) => {
            let expected = shapes.first().map_or(&[][..], Vec::as_slice);
            let what = format!(
                "{} makes shape {expected:?}, but its output `{}` has {:?}",
                node.op.name(),
                output.name,
                output.shape
            );
            checker.at_node(
                *index,
                Invariant::Shapes,
                what,
                "infer the shapes anew after changing inputs or attributes",
            );
        }
        Err(error) => {
            let what = format!("{} {error}", node.op.name());
            checker.at_node(*index, Invariant::Shapes, what, "the operator does not fit its inputs");
        }
    }
}

fn data(checker: &mut Checker, id: TensorId, tensor: &Tensor, count: usize) {
    match &tensor.data {
        Some(Data::Stored(bytes)) if bytes.len() != count * tensor.dtype.bytes() => {
            let (found, needed) = (bytes.len(), count * tensor.dtype.bytes());
            let what = format!("it stores {found} bytes, its shape and type need {needed}");
            checker.at_tensor(id, Invariant::Data, what, "the data is cut short or of another type");
        }
        Some(Data::Stored(bytes)) if tensor.dtype.bits() < 8 => narrow(checker, id, tensor, bytes),
        Some(Data::Seeded { distribution }) => seeded(checker, id, tensor, *distribution),
        _ => {}
    }
}

/// Each byte holds a value of the type.
fn narrow(checker: &mut Checker, id: TensorId, tensor: &Tensor, bytes: &[u8]) {
    let dtype = tensor.dtype;
    let (low, high) = dtype.range().unwrap_or((0, 0));
    let values = bytes.iter().map(|&byte| i32::from(byte as i8));
    if let Some(value) = values.into_iter().find(|q| !(low..=high).contains(q) || !dtype.has(*q)) {
        let what = format!("it stores {value}, which {} does not have", dtype.name());
        checker.at_tensor(id, Invariant::Data, what, "store it in a wider type");
    }
}

fn seeded(checker: &mut Checker, id: TensorId, tensor: &Tensor, distribution: Distribution) {
    if tensor.dtype != DType::F32 || checker.graph.form != Form::Imported {
        let what = format!("its data is seeded, its type {}", tensor.dtype.name());
        checker.at_tensor(
            id,
            Invariant::Data,
            what,
            "only f32 constants of the imported form are; quantise the values",
        );
    }
    let sane = match distribution {
        Distribution::Normal { std } => std.is_finite() && std >= 0.0,
        Distribution::Uniform { low, high } => low.is_finite() && high.is_finite() && low <= high,
        Distribution::Signs { scale } | Distribution::Levels { scale } => scale.is_finite() && scale > 0.0,
        Distribution::Ternary { positive, negative } => [positive, negative].iter().all(|s| s.is_finite() && *s > 0.0),
        Distribution::Pruned { std, density, levels } => {
            std.is_finite() && std >= 0.0 && (0.0..=1.0).contains(&density) && levels >= 2 && levels.is_multiple_of(2)
        }
    };
    if !sane {
        let what = format!("nothing can be drawn from {distribution:?}");
        checker.at_tensor(id, Invariant::Data, what, "parameters must be finite and ordered");
    }
}
