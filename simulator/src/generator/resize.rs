//! What `ve.resize` needs beside other vector instructions: where rows and columns lie (N-30), as compilers have it, and otherwise.

use systole_machine::isa::{Flag, ImageAxis, Operation, Real};

use super::builder::{Builder, u};
use super::draw::Draw;
use super::vectors::{Kind, Shape, Window};

/// `ve.axis` of an axis.
#[derive(Clone, Copy, Default)]
pub(super) struct Axis {
    first_out: u64,
    first_in: u64,
    factor: f32,
    divisor: f32,
    centred: bool,
}

impl Axis {
    /// About where output `o` of the tile lies in the tile.
    fn place(&self, o: u64) -> f64 {
        let half = if self.centred { 0.5 } else { 0.0 };
        let numerator = (self.first_out + o) as f64 * f64::from(self.factor) + half;
        numerator / f64::from(self.divisor) - half - self.first_in as f64
    }
}

/// Of a tile of `input` lines and an output of `output`: mostly such that the tile holds what the output needs, and beside the edges a little less.
pub(super) fn axis(d: &mut Draw, (input, output): (u64, u64)) -> Axis {
    let scale = match d.range(0, 5) {
        0 => 2.0,
        1 => d.pick(&[1.5, 0.5, 4.0, 3.0, 0.75]),
        2 => d.range(1, 40) as f32 / d.range(1, 40) as f32,
        _ => output as f32 / input as f32,
    };
    let aligned = d.chance(40);
    let (factor, divisor) = match (aligned, d.chance(5)) {
        (_, true) => (d.float(-3, 3), d.float(-3, 3)),
        (true, _) => ((input - 1 + d.small(0, 4)) as f32, (output - 1 + d.small(0, 4)).max(1) as f32),
        (false, _) => (1.0, scale),
    };
    let first_out = if d.chance(40) { 0 } else { d.small(0, 60) };
    let mut axis = Axis { first_out, first_in: 0, factor, divisor, centred: !aligned && d.chance(70) };
    // The first line of the tile is the first that is needed, or nearly.
    axis.first_in = (axis.place(0).clamp(0.0, 60_000.0) as u64).saturating_sub(d.small(0, 2)) + d.small(0, 2);
    if d.chance(3) {
        (axis.first_out, axis.first_in) = (d.range(0, 65_535), d.range(0, 65_535));
    }
    axis
}

/// Kernel and strides play no part, not even as zero.
pub(super) fn window(d: &mut Draw, mut window: Window) -> Window {
    if d.chance(50) {
        (window.kernel, window.stride) = ((d.range(0, 2), 0), (0, d.range(0, 2)));
    }
    window
}

pub(super) fn registers(axes: &[Axis; 2]) -> Vec<Operation> {
    let one = |(&axis, register): (&ImageAxis, &Axis)| Operation::VectorAxis {
        axis,
        first_out: u(register.first_out),
        first_in: u(register.first_in),
        factor: Real::new(register.factor),
        divisor: Real::new(register.divisor),
        centred: Flag(register.centred),
    };
    ImageAxis::ALL.iter().zip(axes).map(one).collect()
}

/// What occurs.
pub(super) fn note(builder: &mut Builder, shape: &Shape) {
    if shape.kind != Kind::Resize {
        return;
    }
    let sizes = [(shape.height, shape.window.input.0), (shape.width, shape.window.input.1)];
    let lines = |index: usize| (0..sizes[index].0).map(move |o| shape.axes[index].place(o));
    let last = |index: usize| (sizes[index].1 - 1) as f64;
    let between = |index: usize| lines(index).any(|place| place > 0.0 && place < last(index) && place.fract() != 0.0);
    let all = [
        ("resize: between rows and columns", between(0) && between(1)),
        ("resize: a tile behind the first", (0..2).any(|n| shape.axes[n].first_in > 0 && between(n))),
        ("resize: before the tile", (0..2).any(|n| lines(n).any(|place| place < 0.0))),
        ("resize: behind the tile", (0..2).any(|n| lines(n).any(|place| place > last(n)))),
        ("resize: down", (0..2).any(|n| between(n) && sizes[n].0 < sizes[n].1)),
        ("resize: corners aligned", (0..2).any(|n| between(n) && shape.axes[n].factor != 1.0)),
        ("resize: a window of no tap", shape.window.kernel.0 * shape.window.kernel.1 == 0),
    ];
    builder.notes.extend(all.iter().filter(|entry| entry.1).map(|entry| entry.0));
}
