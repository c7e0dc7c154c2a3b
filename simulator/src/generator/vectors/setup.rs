//! The configuration of a vector instruction: registers that mean something to it.

use systole_machine::isa::{Flag, Operation, Real, RequantMode, VectorOperand};

use super::{Kind, Shape};
use crate::generator::builder::{Builder, Tensor, i, u};
use crate::generator::{parameters, resize, taps};

pub(super) fn configuration(builder: &mut Builder, shape: &Shape, tensors: &[Tensor; 3]) -> Vec<Operation> {
    let mut all = vec![Operation::VectorShape {
        height: u(shape.height),
        width: u(shape.width),
        channels: u(shape.channels),
        block_channels: u(shape.block_channels),
    }];
    for ((&operand, tensor), _) in VectorOperand::ALL.iter().zip(tensors).zip(shape.used()).filter(|(_, used)| *used) {
        let (row_pitch, pixel_pitch) = (u(tensor.row_pitch), u(tensor.pixel_pitch));
        all.push(Operation::VectorPitch { operand, row_pitch, pixel_pitch });
    }
    // Softmax in all 16 bits of its output, where the order of its sums shows.
    let fine = shape.kind == Kind::Softmax && builder.draw.chance(60);
    all.push(quant(builder, shape, fine));
    if shape.mode != RequantMode::Float32 {
        let sum = matches!(shape.kind, Kind::Add | Kind::AddChannel);
        all.extend(parameters::registers(builder.draw, shape.mode, sum, shape.kind.scaled()));
    } else if shape.kind == Kind::Gather {
        all.extend(taps::registers(builder.draw));
    } else if !matches!(shape.kind, Kind::Requant | Kind::Depthwise | Kind::MaxPool | Kind::ArgMax | Kind::Unpool) {
        let fine_scales = [builder.draw.float(-8, -4), 1.0, builder.draw.float(-21, -14)];
        let [a, b, out] = if fine { fine_scales } else { scales(builder) }.map(Real::new);
        all.push(Operation::VectorScale { a, b, out });
    }
    all.push(Operation::VectorFormat { out: shape.format });
    if shape.kind == Kind::Lrn {
        all.push(norm(builder, shape));
    }
    if shape.kind == Kind::Resize {
        all.extend(resize::registers(&shape.axes));
    }
    if shape.kind.pools() {
        let window = &shape.window;
        all.push(Operation::VectorWindow {
            kernel_h: u(window.kernel.0),
            kernel_w: u(window.kernel.1),
            stride_h: u(window.stride.0),
            stride_w: u(window.stride.1),
            pad_top: u(window.pad[0]),
            pad_left: u(window.pad[1]),
            pad_bottom: u(window.pad[2]),
            pad_right: u(window.pad[3]),
            in_height: u(window.input.0),
            in_width: u(window.input.1),
        });
        all.push(Operation::VectorDilation { dilation_h: u(window.dilation.0), dilation_w: u(window.dilation.1) });
    }
    all
}

/// Attributes of a normalisation: mostly such that the power is near 1, at times any.
fn norm(builder: &mut Builder, shape: &Shape) -> Operation {
    let d = &mut builder.draw;
    let wild = d.chance(15);
    let [alpha, beta, bias] = match () {
        () if wild => [d.float(-40, 40), d.float(-3, 6), d.float(-130, 40)],
        () => [d.float(-14, 1), d.float(-2, 1), d.float(-3, 3)],
    };
    let sign = if wild && d.chance(30) { -1.0 } else { 1.0 };
    Operation::VectorNorm {
        size: u(shape.norm),
        alpha: Real::new(sign * alpha),
        beta: Real::new(beta),
        bias: Real::new(bias),
    }
}

/// Scales of a, b and the output. Results that lie on or near a tie show in which order an engine rounds, so many are small multiples of each other, or have
/// an output so fine that its 16 bits count.
fn scales(builder: &mut Builder) -> [f32; 3] {
    let d = &mut builder.draw;
    let base = d.float(-7, 1);
    let mut related = || base * d.pick(&[1.0, 2.0, 4.0, 8.0, 0.5, 0.25, 3.0, 1.0 / 3.0, 5.0, 10.0, 0.1, 1.5, 7.0]);
    match related() {
        out if out != base && out != base * 2.0 && out != base * 4.0 => [base, related(), out],
        out if out == base => [base, related(), base * d.float(-12, -6)],
        _ => [base, d.float(-7, 1), d.float(-13, 1)],
    }
}

fn quant(builder: &mut Builder, shape: &Shape, fine: bool) -> Operation {
    let d = &mut builder.draw;
    let wild = d.chance(5);
    let zeros = shape.wide.map(|wide| match () {
        () if wild => d.signed(-32768, 32767),
        () if d.chance(if wide { 60 } else { 30 }) => 0,
        () => d.signed(-128, 255),
    });
    // What an operation has no operand for does not count.
    let used = shape.used();
    let [wide_a, wide_b, wide_out] =
        std::array::from_fn(|operand| Flag(if used[operand] { shape.wide[operand] } else { d.chance(20) }));
    let signed_out = d.chance(50);
    let whole = if signed_out { (-128, 127) } else { (0, 255) };
    let (low, high) = match d.range(0, 9) {
        _ if fine => (-32768, 32767),
        3..9 if wide_out.0 => (-32768, 32767),
        0 if d.chance(50) => (0, 0),
        0 | 4 => (-32768, 32767),
        1 => (d.signed(-32768, 0), d.signed(0, 32767)),
        2 | 3 => (d.signed(whole.0, 60), d.signed(60, whole.1)),
        _ => whole,
    };
    Operation::VectorQuant {
        zero_a: i(zeros[0]),
        zero_b: i(zeros[1]),
        zero_out: i(zeros[2]),
        low: i(low),
        high: i(high),
        signed_a: Flag(d.chance(50)),
        signed_b: Flag(d.chance(50)),
        signed_out: Flag(signed_out),
        wide_a,
        wide_b,
        wide_out,
    }
}
