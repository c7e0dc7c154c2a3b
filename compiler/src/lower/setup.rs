//! Configuration of the vector unit, an instruction a function.

use systole_machine::isa::{Flag, Operation, Real, Signed, VectorOperand};
use systole_network::tensor::DType;

use crate::error::CompileError;
use crate::layers::Window;
use crate::lower::{field, too_large};

pub(crate) fn shape(
    name: &str,
    size: [usize; 2],
    channels: usize,
    block_channels: usize,
) -> Result<Operation, CompileError> {
    Ok(Operation::VectorShape {
        height: field(size[0] as u64, name)?,
        width: field(size[1] as u64, name)?,
        channels: field(channels as u64, name)?,
        block_channels: field(block_channels as u64, name)?,
    })
}

pub(crate) fn pitches(name: &str, operand: VectorOperand, row: u64, pixel: u64) -> Result<Operation, CompileError> {
    Ok(Operation::VectorPitch { operand, row_pitch: field(row, name)?, pixel_pitch: field(pixel, name)? })
}

/// `types`: element type and zero point of a, b, out.
pub(crate) fn quant(name: &str, types: [(DType, i32); 3], clamp: (i32, i32)) -> Result<Operation, CompileError> {
    let value = |value: i32| Signed::<16>::new(i64::from(value)).map_err(|error| too_large(name, &error));
    let signed = |index: usize| Flag(types[index].0 != DType::U8);
    let wide = |index: usize| Flag(types[index].0 == DType::I16);
    Ok(Operation::VectorQuant {
        zero_a: value(types[0].1)?,
        zero_b: value(types[1].1)?,
        zero_out: value(types[2].1)?,
        low: value(clamp.0)?,
        high: value(clamp.1)?,
        signed_a: signed(0),
        signed_b: signed(1),
        signed_out: signed(2),
        wide_a: wide(0),
        wide_b: wide(1),
        wide_out: wide(2),
    })
}

pub(crate) fn scales(a: f32, b: f32, out: f32) -> Operation {
    Operation::VectorScale { a: Real::new(a), b: Real::new(b), out: Real::new(out) }
}

/// `pads`: top, left, bottom, right.
pub(crate) fn image_window(
    name: &str,
    window: &Window,
    pads: [usize; 4],
    input: [usize; 2],
) -> Result<Operation, CompileError> {
    Ok(Operation::VectorWindow {
        kernel_h: field(window.kernel[0] as u64, name)?,
        kernel_w: field(window.kernel[1] as u64, name)?,
        stride_h: field(window.stride[0] as u64, name)?,
        stride_w: field(window.stride[1] as u64, name)?,
        pad_top: field(pads[0] as u64, name)?,
        pad_left: field(pads[1] as u64, name)?,
        pad_bottom: field(pads[2] as u64, name)?,
        pad_right: field(pads[3] as u64, name)?,
        in_height: field(input[0] as u64, name)?,
        in_width: field(input[1] as u64, name)?,
    })
}
