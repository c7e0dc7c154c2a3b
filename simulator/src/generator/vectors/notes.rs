//! What a vector instruction reaches, for the counts of the test.

use systole_machine::isa::{OutputFormat, RequantMode};

use super::{Builder, Kind, Shape, Tensor, resize, taps};

pub(super) fn note(builder: &mut Builder, shape: &Shape, tensors: &[Tensor; 3]) {
    let columns = u64::from(builder.machine.array.columns);
    let (window, lanes) = (&shape.window, u64::from(builder.machine.vector.lanes));
    let reduces = shape.kind.pools() && !shape.has_b() && shape.kind != Kind::Resize;
    // The first window ends before the input begins, or the last begins after its end.
    let extent = |kernel: u64, dilation: u64| kernel.saturating_sub(1) * dilation.max(1) + 1;
    let outside = extent(window.kernel.0, window.dilation.0) <= window.pad[0]
        || extent(window.kernel.1, window.dilation.1) <= window.pad[1]
        || (shape.height - 1) * window.stride.0 >= window.pad[0] + window.input.0
        || (shape.width - 1) * window.stride.1 >= window.pad[1] + window.input.1;
    let bits = shape.format == OutputFormat::Binary;
    let sums = shape.format == OutputFormat::Sum && shape.kind == Kind::Requant;
    let array = &builder.machine.array;
    let read = if shape.is_pair() { &tensors[..2] } else { &[] };
    let pixels = shape.width > 1 && read.iter().any(|tensor| tensor.pixel_pitch == 0);
    let rows = shape.height > 1 && read.iter().any(|tensor| tensor.row_pitch == 0);
    let both = |tensor: &Tensor| tensor.pixel_pitch == 0 && tensor.row_pitch == 0;
    let one = shape.height > 1 && shape.width > 1 && read.iter().any(both);
    let all = [
        ("requant: several blocks", shape.kind == Kind::Requant && shape.channels > shape.block_channels),
        ("requant: blocks under the columns", shape.kind == Kind::Requant && shape.block_channels < columns),
        ("lrn: a window beyond the channels", shape.kind == Kind::Lrn && shape.norm > shape.channels),
        ("lrn: an even window", shape.kind == Kind::Lrn && shape.norm.is_multiple_of(2)),
        ("sum: three or more tensors", shape.kind == Kind::Sum && shape.operands >= 3),
        ("requant: transposed", shape.transposed),
        ("requant: transposed, several groups", shape.transposed && shape.height * shape.width > columns),
        ("vector: large output", shape.height * shape.width * shape.channels > 70_000),
        ("table: one for all channels", shape.kind == Kind::Table && !shape.per_channel && shape.channels > 1),
        ("table: one for each channel", shape.kind == Kind::Table && shape.per_channel && shape.channels > 1),
        ("vector: a difference", shape.subtract),
        ("vector: constants of N-25", shape.table().is_some() && shape.kind.table(shape.mode).is_none()),
        ("vector: wide a", shape.wide[0]),
        ("vector: wide b", shape.wide[1]),
        ("vector: wide output", shape.wide[2]),
        ("vector: pixels of an operand repeat", pixels),
        ("vector: rows of an operand repeat", rows),
        ("vector: one pixel for all", one),
        ("vector: several widths", shape.wide != [shape.wide[2]; 3]),
        ("requant: wide, transposed", shape.transposed && shape.wide[2]),
        ("requant: records of 12, transposed", shape.transposed && shape.kind.table(shape.mode) == Some(4)),
        ("pool: wide", reduces && shape.wide[0]),
        ("pool: dilation", reduces && (window.dilation.0 > 1 || window.dilation.1 > 1)),
        ("vector: signs", shape.format == OutputFormat::Sign),
        ("vector: signs as bits", bits),
        ("vector: signs as bits, integer mode", bits && shape.mode != RequantMode::Float32),
        ("vector: signs that end within a byte", bits && !shape.channels.is_multiple_of(8)),
        ("requant: signs as bits, transposed", bits && shape.transposed),
        ("requant: sums", sums),
        ("requant: sums, integer mode", sums && shape.mode != RequantMode::Float32),
        ("requant: sums, transposed", sums && shape.transposed),
        ("requant: sums, pixels apart", sums && shape.width > 1 && tensors[2].pixel_pitch > 4 * shape.channels),
        ("requant: sums under 32 bits", sums && array.accumulator_bits < 32),
        ("requant: sums over 32 bits", sums && array.accumulator_bits > 32),
        ("pool: padding", reduces && window.pad != [0; 4]),
        ("pool: a window outside the input", reduces && outside),
        ("depthwise: several taps", shape.kind == Kind::Depthwise && window.kernel.0 * window.kernel.1 > 1),
        ("depthwise: padding", shape.kind == Kind::Depthwise && window.pad[0] + window.pad[1] > 0),
        ("depthwise: dilation", shape.kind == Kind::Depthwise && window.dilation.0.max(window.dilation.1) > 1),
        ("depthwise: wide", shape.kind == Kind::Depthwise && shape.wide[0]),
        ("depthwise: several turns", shape.kind == Kind::Depthwise && shape.channels > lanes),
    ];
    builder.notes.extend(all.iter().filter(|entry| entry.1).map(|entry| entry.0));
    taps::note(builder, shape);
    resize::note(builder, shape);
}
