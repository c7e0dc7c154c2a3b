//! Transposed convolutions as ordinary ones of stride 1 (N-22): no inserted zero is fetched or multiplied.
//!
//! Outputs y with one remainder r of `y + pad` by the stride are a *phase*: the taps k with `k·dilation ≡ r` hit all of them, with input positions that
//! move by one from output to output, so that a phase is a convolution of stride 1 and dilation `dilation / gcd(stride, dilation)` with those taps in
//! reverse order. Vertical phases are layers of their own, each with every `stride`-th row of the result. Horizontal ones are either layers too, or
//! *side by side*: the channels of one layer's pixel are those of `stride` neighbouring pixels of the result, which needs the same window for
//! all of them. Without dilation they have it when windows begin at multiples of the stride, that is, before the leading pad is cut off: the result's rows
//! then have a margin in DRAM for the columns that are cut off. Taps that a phase lacks, where the stride does not divide the kernel, are zero weights, and
//! so are those between groups. The caller's cost decides between the two; where the result lies inside another tensor there is no margin.

use systole_network::op::ConvTranspose;
use systole_network::tensor::TensorId;

use super::{Dims, Kind, Layer, Layers, Window};
use crate::memory::Place;

/// What one of the layers of a transposed convolution reads and makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phase {
    /// The row of the tensor's kernel behind each row of the window; `None` is zero weights.
    pub rows: Vec<Option<usize>>,
    /// For each of the pixels of the result side by side in a pixel's channels, the column behind each column of the window.
    pub columns: Vec<Vec<Option<usize>>>,
    /// Groups of the tensor of weights.
    pub groups: usize,
    /// First row and column that the window reads, and how many there are from there on.
    pub input: [[usize; 2]; 2],
    /// First row and column of the result, the column less than `margin`.
    pub first: [usize; 2],
    /// Columns before the result's first with which this layer begins.
    pub margin: usize,
    /// Rows and columns of the result from one of this layer's to the next.
    pub steps: [usize; 2],
    /// Rows and columns of this layer.
    pub size: [usize; 2],
    /// Taps of the kernel that are this phase's, whether or not any output sees the image through them.
    pub taps: usize,
    /// It is the node's first.
    pub leads: bool,
}

impl Phase {
    /// `[n, h, w, c]` of what it reads, of an input of `dims`.
    pub fn input_dims(&self, dims: Dims) -> Dims {
        let [n, _, _, c] = dims;
        [n, self.input[1][0], self.input[1][1], c]
    }

    /// The part of the input that it reads.
    pub fn input_place(&self, input: &Place) -> Place {
        let [y, x] = self.input[0];
        input.part([0, y, x, 0], [1; 3], self.input_dims(input.dims))
    }

    /// `[n, h, w, c]` of what it makes, of a result of `dims`: pixels side by side are one.
    pub fn output_dims(&self, dims: Dims) -> Dims {
        [dims[0], self.size[0], self.size[1], dims[3] * self.columns.len()]
    }

    /// Where it makes that.
    pub fn output_place(&self, output: &Place) -> Place {
        let [y, x] = self.first;
        let dims = self.output_dims(output.dims);
        let place = output.part([0, y, x, 0], [1, self.steps[0], self.steps[1]], dims);
        Place { address: place.address - self.margin as u64 * output.pixel_pitch, ..place }
    }

    /// For reports.
    pub fn describe(&self) -> &'static str {
        match (self.columns.len(), self.steps) {
            (_, [1, 1]) => "",
            (1, _) => ", phases apart",
            _ => ", phases side by side",
        }
    }

    /// Whether its pixels do not follow one another in DRAM.
    pub fn is_scattered(&self) -> bool {
        self.columns.len() < self.steps[1]
    }

    /// The taps, `ky·kw + kx`, that meet in one sum, for each of the pixels side by side.
    pub fn taps_in_a_sum(&self, weights: &[usize]) -> Vec<Vec<usize>> {
        let width = weights.last().copied().unwrap_or(1);
        let rows: Vec<usize> = self.rows.iter().flatten().copied().collect();
        let of = |columns: &Vec<Option<usize>>| {
            rows.iter().flat_map(|ky| columns.iter().flatten().map(move |kx| ky * width + kx)).collect()
        };
        self.columns.iter().map(of).collect()
    }

    /// Multiply-accumulates, weights and bytes of biases: its share of the node's, of an input of `dims` and weights `[m, c / groups, kh, kw]`.
    pub fn work(&self, dims: Dims, shape: &[usize]) -> (u64, u64, u64) {
        let pixels = dims[..3].iter().product::<usize>() as u64;
        let weights = (shape[..2].iter().product::<usize>() * self.taps) as u64;
        (pixels * weights, weights, if self.leads { 4 * shape[0] as u64 } else { 0 })
    }
}

/// What stands for one transposed convolution until its phases are chosen.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    /// Its place among the layers.
    pub(super) index: usize,
    pub(super) conv: ConvTranspose,
}

/// Cycles of a layer, about; `None` where it does not run at all.
pub type Cost<'a> = &'a dyn Fn(&Layer, &Layers) -> Option<u64>;

/// Puts the cheaper way's layers in the place of each that is pending.
pub(super) fn expand(layers: &mut Layers, pending: &[Pending], cost: Cost<'_>) {
    // From the last on, so that earlier places stay.
    for Pending { index, conv } in pending.iter().rev() {
        let layer = layers.layers[*index].clone();
        let Some((phases, margin)) = cheaper(&layer, conv, layers, cost) else { continue };
        if let Some(margin) = margin {
            layers.margins.insert(layer.output, margin);
        }
        layers.layers.splice(index..=index, phases);
    }
}

/// Layers, and the columns of margin before and behind each row of the result.
type Way = (Vec<Layer>, Option<[usize; 2]>);

fn cheaper(layer: &Layer, conv: &ConvTranspose, layers: &Layers, cost: Cost<'_>) -> Option<Way> {
    let (input, output) = (*layers.dims.get(&layer.input)?, *layers.dims.get(&layer.output)?);
    let apart = || (made(layer, conv, [input, output], false), None);
    let may = conv.dilation[1] == 1 && conv.stride[1] > 1 && !layers.inside.contains_key(&layer.output);
    if !may {
        return Some(apart());
    }
    let margin = Columns::side_by_side(conv, input[2], output[2]).margin;
    let beside = (made(layer, conv, [input, output], true), Some(margin));
    let total = |way: &Way| way.0.iter().try_fold(0u64, |sum, layer| Some(sum + cost(layer, layers)?));
    let apart = apart();
    Some(match (total(&beside), total(&apart)) {
        (Some(beside_cycles), Some(apart_cycles)) if beside_cycles > apart_cycles => apart,
        (None, Some(_)) => apart,
        _ => beside,
    })
}

/// The layers of a node, side by side or apart.
fn made(layer: &Layer, conv: &ConvTranspose, [input, output]: [Dims; 2], beside: bool) -> Vec<Layer> {
    let Kind::Conv { weights, bias, .. } = layer.kind else { return vec![] };
    let rows = phases(conv, 0, input[1], output[1]);
    let columns = if beside {
        vec![Columns::side_by_side(conv, input[2], output[2])]
    } else {
        phases(conv, 1, input[2], output[2]).into_iter().map(Columns::from).collect()
    };
    let several = rows.len() * columns.len() > 1;
    let mut made = vec![];
    for row in &rows {
        for column in &columns {
            let name = match (several, beside) {
                (false, _) => layer.name.clone(),
                (true, true) => format!("{}/{}", layer.name, row.first),
                (true, false) => format!("{}/{}x{}", layer.name, row.first, column.axis.first),
            };
            let kind = kind((weights, bias), conv, [row, &column.axis], column, made.is_empty());
            made.push(Layer { name, kind, ..layer.clone() });
        }
    }
    made
}

fn kind(
    (weights, bias): (TensorId, Option<TensorId>),
    conv: &ConvTranspose,
    axes: [&Axis; 2],
    columns: &Columns,
    leads: bool,
) -> Kind {
    let of = |value: fn(&Axis) -> usize| axes.map(value);
    let phase = Phase {
        rows: axes[0].taps.clone(),
        columns: columns.taps.clone(),
        groups: conv.groups,
        input: [of(|axis| axis.crop), of(|axis| axis.input)],
        first: of(|axis| axis.first),
        margin: columns.margin[0],
        steps: conv.stride,
        size: of(|axis| axis.outputs),
        taps: axes[0].count * axes[1].count,
        leads,
    };
    let window = Window {
        kernel: of(|axis| axis.taps.len()),
        stride: [1, 1],
        dilation: of(|axis| axis.dilation),
        pads: [axes[0].pads[0], axes[1].pads[0], axes[0].pads[1], axes[1].pads[1]],
    };
    let groups = if columns.taps.len() > 1 { 1 } else { conv.groups };
    Kind::Conv { weights, bias, window, groups, whole: false, phase: Some(Box::new(phase)) }
}

/// A phase along one axis.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Axis {
    /// Kernel positions of the window, in its order.
    taps: Vec<Option<usize>>,
    /// Of the window.
    dilation: usize,
    /// First position of the result.
    first: usize,
    /// Positions of the result.
    outputs: usize,
    /// Input positions before the first that is read.
    crop: usize,
    /// Input positions from there on.
    input: usize,
    /// Before and behind those.
    pads: [usize; 2],
    /// Taps that the phase has.
    count: usize,
}

impl Axis {
    /// `start`: input position under the window's first tap at the first output.
    fn new(taps: Vec<Option<usize>>, dilation: usize, [first, outputs]: [usize; 2], start: i64, input: usize) -> Self {
        let count = taps.iter().flatten().count();
        let last = start + (outputs - 1 + (taps.len().max(1) - 1) * dilation) as i64;
        // No output sees the image: bias alone.
        if taps.is_empty() || start >= input as i64 || last < 0 {
            return Axis {
                taps: vec![None],
                dilation: 1,
                first,
                outputs,
                crop: 0,
                input,
                pads: [0, outputs.saturating_sub(input)],
                count,
            };
        }
        let crop = start.max(0) as usize;
        let pads = [start.min(0).unsigned_abs() as usize, (last + 1 - input as i64).max(0) as usize];
        let dilation = if taps.len() == 1 { 1 } else { dilation };
        Axis { taps, dilation, first, outputs, crop, input: input - crop, pads, count }
    }
}

/// The phases of an axis that have an output, by their first one.
fn phases(conv: &ConvTranspose, axis: usize, input: usize, output: usize) -> Vec<Axis> {
    let (stride, dilation, pad) = (conv.stride[axis], conv.dilation[axis], conv.pads[axis]);
    let mut phases: Vec<Axis> = (0..stride.min(output))
        .map(|first| {
            let place = first + pad;
            let of_phase = |k: &usize| k * dilation % stride == place % stride;
            let taps: Vec<usize> = (0..conv.kernel[axis]).rev().filter(of_phase).collect();
            // Exact: both have the remainder of the phase.
            let behind = |k: usize| (place as i64 - (k * dilation) as i64) / stride as i64;
            let start = taps.first().map_or(0, |&k| behind(k));
            let outputs = (output - first).div_ceil(stride);
            let taps = taps.into_iter().map(Some).collect();
            Axis::new(taps, dilation / common_divisor(stride, dilation), [first, outputs], start, input)
        })
        .collect();
    // Taps of outputs that are all cut off count with the first phase: multiply-accumulates of a transposed convolution are those before cutting.
    let missing = conv.kernel[axis] - phases.iter().map(|phase| phase.count).sum::<usize>();
    if let Some(first) = phases.first_mut() {
        first.count += missing;
    }
    phases
}

/// Columns of a layer, of one phase or of all side by side.
struct Columns {
    axis: Axis,
    /// For each phase.
    taps: Vec<Vec<Option<usize>>>,
    margin: [usize; 2],
}

impl From<Axis> for Columns {
    fn from(axis: Axis) -> Self {
        Columns { taps: vec![axis.taps.clone()], axis, margin: [0, 0] }
    }
}

impl Columns {
    /// All phases of a row without dilation; windows begin at multiples of the stride.
    fn side_by_side(conv: &ConvTranspose, input: usize, output: usize) -> Self {
        let (kernel, stride, pad) = (conv.kernel[1], conv.stride[1], conv.pads[1]);
        let (from, to) = (pad / stride, (pad + output - 1) / stride);
        let width = kernel.div_ceil(stride);
        let tap = |phase: usize, place: usize| Some(phase + (width - 1 - place) * stride).filter(|&k| k < kernel);
        let window: Vec<Option<usize>> = (0..width).map(|place| tap(0, place)).collect();
        let start = from as i64 - (width - 1) as i64;
        let axis = Axis::new(window, 1, [0, to - from + 1], start, input);
        // Where no output sees the image the window is one of zeros.
        let sees = axis.taps.iter().any(Option::is_some);
        let of_phase = |phase| if sees { (0..width).map(|place| tap(phase, place)).collect() } else { vec![None] };
        let taps = (0..stride).map(of_phase).collect();
        let margin = [pad - from * stride, (to + 1) * stride - pad - output];
        Columns { axis: Axis { count: kernel, ..axis }, taps, margin }
    }
}

fn common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conv(kernel: usize, stride: usize, dilation: usize, pads: [usize; 2], more: usize) -> ConvTranspose {
        ConvTranspose {
            kernel: [kernel; 2],
            stride: [stride; 2],
            dilation: [dilation; 2],
            pads: [pads[0], pads[0], pads[1], pads[1]],
            output_padding: [more; 2],
            groups: 1,
        }
    }

    /// Input positions and taps by output, from the phases, against the definition; `None` where the attributes leave no output.
    fn agree(conv: &ConvTranspose, input: usize) -> Option<()> {
        let [kernel, stride, dilation, pad] = [conv.kernel[1], conv.stride[1], conv.dilation[1], conv.pads[1]];
        let whole = (input - 1) * stride + (kernel - 1) * dilation + 1 + conv.output_padding[1];
        let output = whole.checked_sub(pad + conv.pads[3]).filter(|&output| output > 0)?;
        let expected = |y: usize| {
            let hit = |k: usize| (0..input).find(|i| i * stride + k * dilation == y + pad).map(|i| (k, i));
            (0..kernel).filter_map(hit).collect::<Vec<_>>()
        };
        let mut ways: Vec<(Vec<Columns>, usize)> =
            vec![(phases(conv, 1, input, output).into_iter().map(Columns::from).collect(), stride)];
        if dilation == 1 {
            ways.push((vec![Columns::side_by_side(conv, input, output)], 1));
        }
        for (columns, step) in ways {
            let mut made = vec![None; output];
            let mut count = 0;
            for column in &columns {
                count += column.axis.count;
                for (phase, place) in (0..column.taps.len()).flat_map(|p| (0..column.axis.outputs).map(move |o| (p, o)))
                {
                    let y = match step {
                        1 => (place * stride + phase).checked_sub(column.margin[0]),
                        _ => Some(column.axis.first + place * step),
                    };
                    let Some(seen) = y.and_then(|y| made.get_mut(y)) else { continue };
                    let read = |(index, tap): (usize, &Option<usize>)| {
                        let at = (place + index * column.axis.dilation).checked_sub(column.axis.pads[0])?;
                        (at < column.axis.input).then(|| tap.map(|tap| (tap, at + column.axis.crop)))?
                    };
                    let mut hits: Vec<_> = column.taps[phase].iter().enumerate().filter_map(read).collect();
                    hits.sort_unstable();
                    assert!(seen.replace(hits).is_none(), "output {y:?} is made twice");
                }
            }
            assert_eq!(count, kernel, "{conv:?}");
            let made: Vec<_> = made.into_iter().map(|hits| hits.expect("every output is made")).collect();
            assert_eq!(made, (0..output).map(expected).collect::<Vec<_>>(), "{conv:?} over {input}");
        }
        Some(())
    }

    #[test]
    fn phases_read_what_the_definition_reads() {
        let mut checked = 0;
        for index in 0..6 * 5 * 4 * 4 * 4 * 3 * 4 {
            let digit = |place: usize, base: usize| index / place % base;
            let conv = conv(
                1 + digit(1, 6),
                1 + digit(6, 5),
                1 + digit(30, 4),
                [digit(120, 4), digit(480, 4)],
                digit(1920, 3),
            );
            checked += usize::from(agree(&conv, 1 + digit(5760, 4)).is_some());
        }
        assert!(checked > 15_000, "{checked}");
    }

    #[test]
    fn a_stride_that_divides_the_kernel_needs_no_zero_weights() {
        let columns = Columns::side_by_side(&conv(4, 2, 1, [1, 1], 0), 5, 10);
        assert_eq!(columns.taps, [[Some(2), Some(0)], [Some(3), Some(1)]]);
        // Outputs −1 to 10 of 6 pixels of two; the first and the last are cut off.
        assert_eq!((columns.axis.outputs, columns.margin), (6, [1, 1]));
        let columns = Columns::side_by_side(&conv(3, 2, 1, [1, 1], 1), 5, 10);
        assert_eq!(columns.taps, [[Some(2), Some(0)], [None, Some(1)]]);
    }
}
