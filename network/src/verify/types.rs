//! V-9, V-10, V-12, V-13: what each operator may be applied to in each form.

use super::{Checker, Invariant, Operands};
use crate::graph::Form;
use crate::op::Op;
use crate::tensor::DType;

pub(super) fn check(checker: &mut Checker) {
    for operands in checker.sound_nodes() {
        form(checker, &operands);
        clamp(checker, &operands);
        attributes(checker, &operands);
        match checker.graph.form {
            Form::Imported => imported_types(checker, &operands),
            Form::Quantised => {
                quantised_types(checker, &operands);
                constants(checker, &operands);
            }
        }
    }
}

/// Whether the operator exists in this form.
fn belongs(op: &Op, form: Form) -> bool {
    match op {
        Op::Relu | Op::Clip { .. } | Op::Binarize | Op::Quantize | Op::Dequantize => form == Form::Imported,
        Op::ConvInteger { .. } | Op::MatMulInteger { .. } | Op::Cast => form == Form::Imported,
        Op::DeformConv(_) | Op::ReduceMean { .. } => form == Form::Imported,
        Op::Rescale => form == Form::Quantised,
        _ => true,
    }
}

fn form(checker: &mut Checker, operands: &Operands) {
    let (op, form) = (&operands.node.op, checker.graph.form);
    if belongs(op, form) {
        return;
    }
    let (what, remedy) = match form {
        Form::Quantised => ("does not exist in the quantised form", "legalise it (a clamp, or a rescale)"),
        Form::Imported => ("does not exist in the imported form", "use Dequantize and Quantize"),
    };
    checker.at_node(operands.index, Invariant::Forms, format!("{} {what}", op.name()), remedy);
}

fn clamp(checker: &mut Checker, operands: &Operands) {
    let Some((low, high)) = operands.node.clamp else {
        return;
    };
    let form = checker.graph.form;
    let mut fault = |what: String, remedy| checker.at_node(operands.index, Invariant::Forms, what, remedy);
    if form == Form::Imported {
        fault("it has a clamp".into(), "clamps are of the quantised form; use Relu or Clip");
        return;
    }
    if operands.node.op.only_moves() {
        fault("a view has a clamp".into(), "clamp its producer, or rescale");
    }
    if operands.output.dtype == DType::I32 {
        fault("a sum has a clamp".into(), "sums are stored as they are (rule N-16); remove it");
    }
    let Some((least, most)) = operands.output.dtype.range() else {
        return; // Not an activation type: V-10 says so.
    };
    if low > high || low < least || high > most {
        fault(format!("its clamp {low}..={high} is not a part of {least}..={most}"), "stay within the output's type");
    }
}

fn attributes(checker: &mut Checker, operands: &Operands) {
    let quantised = checker.graph.form == Form::Quantised;
    let fault = match operands.node.op {
        Op::BatchNorm { epsilon } if !epsilon.is_finite() || epsilon < 0.0 => {
            Some((format!("its epsilon is {epsilon}"), "it must be finite and not negative"))
        }
        Op::BatchNorm { epsilon } if quantised && epsilon != 0.0 => {
            Some((format!("its epsilon is {epsilon}"), "quantised, it is part of the constant `a`; set it to 0"))
        }
        Op::Function(function) if !function.is_defined() => {
            Some((format!("its attributes are {function:?}"), "they must be finite"))
        }
        Op::Lrn(lrn) if !lrn.is_defined() => Some((
            format!("its attributes are {lrn:?}"),
            "alpha and beta must be finite and from 0 up, bias finite and above 0",
        )),
        Op::Clip { low, high } if low.is_nan() || high.is_nan() || low > high => {
            Some((format!("its bounds are {low} and {high}"), "the lower must not exceed the upper"))
        }
        _ => None,
    };
    if let Some((what, remedy)) = fault {
        checker.at_node(operands.index, Invariant::Attributes, what, remedy);
    }
}

const FLOAT: &[DType] = &[DType::F32];
const ACTIVATION: &[DType] = &[DType::I8, DType::U8];
const WEIGHT: &[DType] = &[DType::I8, DType::U8, DType::I4, DType::I2, DType::L2, DType::B1];
const QUANTISED: &[DType] = &[DType::I8, DType::U8, DType::I16, DType::B1];
/// Of what adds up products: a sum may be the result itself (rule N-16), which nothing reads.
const OF_SUMS: &[DType] = &[DType::I8, DType::U8, DType::I16, DType::B1, DType::I32];
const RESULT: &[DType] = &[DType::I8, DType::U8, DType::I16];
const BIAS: &[DType] = &[DType::I32];
/// Weights of integer sums: those with a zero point of their own for each output have it subtracted.
const CENTRED: &[DType] = &[DType::I8, DType::U8, DType::I16];
const INDEX: &[DType] = &[DType::I64];
/// What files quantise to.
const INTEGRAL: &[DType] = &[DType::I8, DType::U8, DType::I16, DType::U16, DType::I4, DType::U4, DType::I2, DType::U2];
const DEQUANTISABLE: &[DType] =
    &[DType::I8, DType::U8, DType::I16, DType::U16, DType::I32, DType::I4, DType::U4, DType::I2, DType::U2];

/// The node's output if `position` is `None`, else one of its inputs must have one of these types.
fn expect(checker: &mut Checker, operands: &Operands, position: Option<usize>, allowed: &[DType]) {
    let Some(tensor) = position.map_or(Some(operands.output), |input| operands.inputs.get(input).copied()) else {
        return;
    };
    if allowed.contains(&tensor.dtype) {
        return;
    }
    let names: Vec<&str> = allowed.iter().map(|dtype| dtype.name()).collect();
    let (name, dtype, op) = (&tensor.name, tensor.dtype.name(), operands.node.op.name());
    let what = format!("tensor `{name}` is {dtype}, {op} takes or makes {} there", names.join(" or "));
    checker.at_node(operands.index, Invariant::Types, what, "convert it before, or quantise the operator");
}

fn imported_types(checker: &mut Checker, operands: &Operands) {
    let (of_inputs, of_output) = match operands.node.op {
        Op::Quantize => (FLOAT, INTEGRAL),
        Op::Dequantize => (DEQUANTISABLE, FLOAT),
        Op::ConvInteger { .. } | Op::MatMulInteger { .. } => {
            expect(checker, operands, Some(0), ACTIVATION);
            expect(checker, operands, Some(1), CENTRED);
            return expect(checker, operands, None, BIAS);
        }
        Op::Cast => (BIAS, FLOAT),
        Op::MaxPool(_) | Op::GlobalMaxPool if operands.output.dtype != DType::F32 => {
            same_type(checker, operands);
            (ACTIVATION, ACTIVATION)
        }
        Op::Concat => return same_type(checker, operands),
        ref op if op.is_arithmetic() && operands.output.dtype.is_plain_integer() => {
            return same_type(checker, operands);
        }
        Op::ArgMaxPool(_) => (FLOAT, INDEX),
        Op::MaxUnpool(_) => {
            expect(checker, operands, Some(0), FLOAT);
            expect(checker, operands, Some(1), INDEX);
            return expect(checker, operands, None, FLOAT);
        }
        ref op if op.only_moves() => return same_type(checker, operands),
        _ => (FLOAT, FLOAT),
    };
    for input in 0..operands.inputs.len() {
        expect(checker, operands, Some(input), of_inputs);
    }
    expect(checker, operands, None, of_output);
}

fn quantised_types(checker: &mut Checker, operands: &Operands) {
    let op = &operands.node.op;
    if op.only_moves() {
        same_type(checker, operands);
    }
    if matches!(op, Op::BatchNorm { .. }) && operands.inputs.len() == 5 {
        let what = "it has the five inputs of the imported form";
        checker.at_node(operands.index, Invariant::Forms, what, "quantised, they are x, a and b (rule N-8)");
        return;
    }
    for input in 0..operands.inputs.len() {
        let allowed = match (op, input) {
            (Op::Conv(_) | Op::FullyConnected | Op::ConvTranspose(_), 2) => BIAS,
            (Op::Conv(_) | Op::FullyConnected | Op::ConvTranspose(_), 1) => WEIGHT,
            (Op::BatchNorm { .. }, 1..) => FLOAT,
            _ => QUANTISED,
        };
        expect(checker, operands, Some(input), allowed);
    }
    let results = match op {
        Op::Conv(_) | Op::FullyConnected => OF_SUMS,
        Op::BatchNorm { .. } | Op::Rescale => QUANTISED,
        op if op.only_moves() => QUANTISED,
        _ => RESULT,
    };
    expect(checker, operands, None, results);
}

fn same_type(checker: &mut Checker, operands: &Operands) {
    let output = operands.output.dtype;
    if let Some(input) = operands.inputs.iter().find(|input| input.dtype != output) {
        let what = format!("its input is {}, its output {}", input.dtype.name(), output.name());
        checker.at_node(operands.index, Invariant::Types, what, "it moves values and must keep their type");
    }
}

fn constants(checker: &mut Checker, operands: &Operands) {
    let Operands { index, node, inputs, .. } = operands;
    let first = match (&node.op, &inputs[..]) {
        (Op::Conv(_) | Op::FullyConnected | Op::ConvTranspose(_) | Op::BatchNorm { .. } | Op::PRelu, _) => 1,
        (op, [a, b]) if op.is_pair() && a.shape.len() > 1 && b.shape.len() == 1 => 1,
        _ => return,
    };
    for tensor in inputs.iter().skip(first).filter(|tensor| tensor.data.is_none()) {
        let what = format!("`{}` is computed at run time", tensor.name);
        checker.at_node(*index, Invariant::Constants, what, "weights and per-channel vectors must be constants");
    }
}
