//! V-8, V-11: that quantisation is well formed, present, and agrees along the graph.

use super::{Checker, Invariant, Operands};
use crate::graph::Form;
use crate::op::Op;
use crate::tensor::{DType, Quant, Tensor, TensorId};

/// How far, relatively, a bias's scale may lie from `sx · sw[c]`: files compute the product in various precisions.
const BIAS_SCALE_TOLERANCE: f64 = 1e-5;

pub(super) fn check(checker: &mut Checker) {
    for (id, tensor) in checker.used() {
        match &tensor.quant {
            Some(quant) => well_formed(checker, id, tensor, quant),
            None if checker.graph.form == Form::Quantised && is_integer(tensor.dtype) => {
                missing(checker, id);
            }
            None => {}
        }
    }
    for operands in checker.sound_nodes() {
        match checker.graph.form {
            Form::Imported => imported(checker, &operands),
            Form::Quantised => quantised(checker, &operands),
        }
    }
}

fn is_integer(dtype: DType) -> bool {
    dtype.range().is_some() || dtype == DType::I32
}

fn missing(checker: &mut Checker, id: TensorId) {
    let remedy = "an integer means nothing without scale and zero point; give it both";
    checker.at_tensor(id, Invariant::QuantAgreement, "it has no quantisation", remedy);
}

fn well_formed(checker: &mut Checker, id: TensorId, tensor: &Tensor, quant: &Quant) {
    let quantised = checker.graph.form == Form::Quantised;
    let mut fault = |what: String, remedy| checker.at_tensor(id, Invariant::QuantForm, what, remedy);
    let (scales, zero_points) = (quant.scale.len(), quant.zero_point.len());
    if scales == 0 || scales != zero_points {
        fault(format!("it has {scales} scales and {zero_points} zero points"), "give as many of one as of the other");
    }
    match quant.axis.map(|axis| tensor.shape.get(axis)) {
        None if scales > 1 => fault(format!("it has {scales} scales and no axis"), "say which axis they run along"),
        Some(None) => fault("its axis lies beyond its rank".into(), "an axis is an index of the shape"),
        Some(Some(&dim)) if scales > 1 && scales != dim => {
            fault(format!("it has {scales} scales for {dim} channels"), "give one for all, or one for each channel");
        }
        _ => {}
    }
    if let Some((c, scale)) = quant.scale.iter().enumerate().find(|(_, scale)| !scale.is_finite() || **scale <= 0.0) {
        fault(format!("its scale is {scale} (channel {c})"), "a scale must be finite and above 0");
    }
    let symmetric = quantised && !matches!(tensor.dtype, DType::I8 | DType::U8);
    let range = match tensor.dtype {
        DType::I32 => Some((0, 0)),
        dtype if symmetric => dtype.range().map(|_| (0, 0)),
        dtype => dtype.range(),
    };
    let Some((low, high)) = range else {
        let remedy = "only i32 and the integers of 16 bits and fewer are";
        fault(format!("it is quantised, but of type {}", tensor.dtype.name()), remedy);
        return;
    };
    if let Some(zero) = quant.zero_point.iter().find(|zero| !(low..=high).contains(*zero)) {
        let what = format!("its zero point {zero} is outside {low}..={high}, the range of {}", tensor.dtype.name());
        fault(what, "a zero point must be a value of the type (of an i32 bias, and of quantised i16: 0)");
    }
}

fn imported(checker: &mut Checker, operands: &Operands) {
    let Operands { node, inputs, output, .. } = operands;
    match node.op {
        Op::Quantize if output.quant.is_none() => missing(checker, node.outputs[0]),
        Op::Dequantize => {
            for (id, _) in node.inputs.iter().zip(inputs).filter(|(_, tensor)| tensor.quant.is_none()) {
                missing(checker, *id);
            }
        }
        Op::MaxPool(_) | Op::GlobalMaxPool | Op::Concat => same_quantisation(checker, operands),
        // Several scales are of one shape: they may begin or end where a view changes it.
        ref op if op.only_moves() => {
            let several = |tensor: &Tensor| tensor.quant.as_ref().is_some_and(|quant| quant.axis.is_some());
            let ends = inputs.iter().all(|input| several(input)) && output.quant.is_none();
            let begins = several(output) && inputs.iter().all(|input| input.quant.is_none());
            if !ends && !begins {
                same_quantisation(checker, operands);
            }
        }
        _ => {}
    }
}

fn quantised(checker: &mut Checker, operands: &Operands) {
    let Operands { index, node, inputs, output } = operands;
    let weighted = matches!(node.op, Op::Conv(_) | Op::FullyConnected | Op::ConvTranspose(_));
    for (position, tensor) in inputs.iter().chain([output]).enumerate() {
        let several = tensor.quant.as_ref().filter(|quant| quant.scale.len() > 1);
        let is_weight = weighted && (1..inputs.len()).contains(&position);
        let allowed = several.is_none_or(|quant| is_weight && quant.axis == Some(0));
        if !allowed {
            let what = format!("tensor `{}` has several scales", tensor.name);
            let remedy = "only weights and biases may, one for each output channel (axis 0)";
            checker.at_node(*index, Invariant::QuantAgreement, what, remedy);
        }
    }
    match node.op {
        Op::Conv(_) | Op::FullyConnected | Op::ConvTranspose(_) => bias_scale(checker, operands),
        ref op if op.only_moves() => same_quantisation(checker, operands),
        _ => {}
    }
}

/// What only moves values must not change what they mean.
fn same_quantisation(checker: &mut Checker, operands: &Operands) {
    let Operands { index, node, inputs, output } = operands;
    if let Some(input) = inputs.iter().find(|input| input.quant != output.quant) {
        let what = format!("its input `{}` and its output `{}` differ in scale or zero point", input.name, output.name);
        let remedy = match node.op {
            Op::MaxPool(_) | Op::Concat => "values pass unchanged; dequantise and quantise where scales differ",
            _ => "it only changes the shape; rescale before it",
        };
        checker.at_node(*index, Invariant::QuantAgreement, what, remedy);
    }
}

/// Rule N-1: the bias is at scale `sx · sw[c]`.
fn bias_scale(checker: &mut Checker, operands: &Operands) {
    let [x, weights, bias] = &operands.inputs[..] else {
        return;
    };
    let (Some(x), Some(weights), Some(bias)) = (&x.quant, &weights.quant, &bias.quant) else {
        return; // Missing: said already.
    };
    let channels = weights.scale.len().max(bias.scale.len());
    let scale = |quant: &Quant, c: usize| quant.scale.get(if quant.scale.len() == 1 { 0 } else { c }).copied();
    for c in 0..channels {
        let (Some(sx), Some(sw), Some(sb)) = (scale(x, 0), scale(weights, c), scale(bias, c)) else {
            return; // Counts differ: V-8 or V-6 says so.
        };
        let expected = f64::from(sx * sw);
        let near = (f64::from(sb) - expected).abs() <= BIAS_SCALE_TOLERANCE * expected;
        if !near {
            let what = format!("the bias of channel {c} has scale {sb}, input times weight is {expected}");
            let remedy = "a bias is added to the sum of products and must share its scale (rule N-1)";
            checker.at_node(operands.index, Invariant::QuantAgreement, what, remedy);
            return;
        }
    }
}
