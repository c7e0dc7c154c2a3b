//! What vector instructions that deal in single taps need beside the others: samples, switches, unpooling (N-26, N-27).

use systole_machine::isa::{Operation, Real};

use super::builder::{Builder, i};
use super::draw::Draw;
use super::vectors::{Kind, Shape};

/// Elements of a pixel of b and of the output.
pub(super) fn elements(shape: &Shape) -> [u64; 2] {
    let taps = shape.window.kernel.0 * shape.window.kernel.1;
    match shape.kind {
        Kind::Gather => [2 * taps, taps * shape.channels],
        _ => [shape.channels; 2],
    }
}

/// About how often an output element is worked on.
pub(super) fn passes(shape: &Shape) -> u64 {
    let taps = shape.window.kernel.0 * shape.window.kernel.1;
    match shape.kind {
        Kind::Gather => 5 * taps,
        Kind::Resize => 4,
        // The windows are not the output's.
        Kind::Unpool => 1 + (taps * shape.window.input.0 * shape.window.input.1).div_ceil(shape.height * shape.width),
        _ => taps,
    }
}

/// Scales such that most offsets are of a few pixels, many of them on one, and a place of the first window near the image.
pub(super) fn registers(d: &mut Draw) -> Vec<Operation> {
    let scale = match d.range(0, 5) {
        0 => d.float(-8, 6),
        1 | 2 => d.pick(&[0.25, 0.5, 0.125]),
        _ => d.float(-8, -3),
    };
    let mut origin = || if d.chance(5) { d.bits() as i32 as i64 } else { d.signed(-5, 3) };
    let (origin_y, origin_x) = (i(origin()), i(origin()));
    vec![
        Operation::VectorScale { a: Real::new(1.0), b: Real::new(scale), out: Real::new(1.0) },
        Operation::VectorDeform { origin_y, origin_x },
    ]
}

/// What occurs.
pub(super) fn note(builder: &mut Builder, shape: &Shape) {
    let (kernel, stride) = (shape.window.kernel, shape.window.stride);
    let several = kernel.0 * kernel.1 > 1;
    let overlap = kernel.0 > stride.0 || kernel.1 > stride.1;
    let gaps = kernel.0 < stride.0 || kernel.1 < stride.1;
    let all = [
        ("gather: several taps", shape.kind == Kind::Gather && several && shape.channels > 1),
        ("gather: strides", shape.kind == Kind::Gather && stride != (1, 1) && shape.height * shape.width > 1),
        ("argmax: several taps", shape.kind == Kind::ArgMax && several),
        ("unpool: windows that overlap", shape.kind == Kind::Unpool && overlap && shape.window.input != (1, 1)),
        ("unpool: windows with gaps", shape.kind == Kind::Unpool && gaps),
    ];
    builder.notes.extend(all.iter().filter(|entry| entry.1).map(|entry| entry.0));
}
