//! One small network for each operator and each corner of its attributes.

use systole::network::graph::Graph;
use systole::network::op::*;

use crate::graph::{NORMAL, POSITIVE, Small};

/// A row of the page.
pub(crate) struct Case {
    /// As reports and files call it.
    pub(crate) operator: &'static str,
    /// The corner.
    pub(crate) attributes: &'static str,
    pub(crate) graph: Graph,
}

const IMAGE: [usize; 4] = [1, 8, 12, 12];

/// Every operator of the imported form, by kind.
pub(crate) fn cases() -> Vec<Case> {
    let mut all = convolutions();
    all.extend(sums());
    all.extend(pools());
    all.extend(elementwise());
    all.extend(channels());
    all.extend(moves());
    all
}

/// One operator behind a ReLU, so that its input is an activation like others.
fn one(operator: &'static str, attributes: &'static str, op: Op) -> Case {
    let (mut small, input) = Small::new(&IMAGE);
    let x = small.node(Op::Relu, &[input]);
    let y = small.node(op, &[x]);
    Case { operator, attributes, graph: small.finish(y) }
}

/// As [`one`], of a graph that `build` makes on the activation.
fn built(
    operator: &'static str,
    attributes: &'static str,
    build: impl Fn(&mut Small, systole::network::tensor::TensorId) -> systole::network::tensor::TensorId,
) -> Case {
    let (mut small, input) = Small::new(&IMAGE);
    let x = small.node(Op::Relu, &[input]);
    let y = build(&mut small, x);
    Case { operator, attributes, graph: small.finish(y) }
}

fn window(kernel: [usize; 2]) -> Conv {
    let pads = [kernel[0] / 2, kernel[1] / 2, kernel[0] / 2, kernel[1] / 2];
    Conv { kernel, stride: [1; 2], dilation: [1; 2], pads, groups: 1 }
}

fn conv(attributes: &'static str, outputs: usize, conv: Conv) -> Case {
    built("Conv", attributes, move |small, x| {
        let c = small.shape(x)[1] / conv.groups;
        let weights = small.constant(&[outputs, c, conv.kernel[0], conv.kernel[1]], NORMAL);
        let bias = small.constant(&[outputs], NORMAL);
        small.node(Op::Conv(conv.clone()), &[x, weights, bias])
    })
}

fn transposed(attributes: &'static str, change: impl Fn(&mut ConvTranspose)) -> Case {
    let mut conv = ConvTranspose {
        kernel: [4; 2],
        stride: [2; 2],
        dilation: [1; 2],
        pads: [1; 4],
        output_padding: [0; 2],
        groups: 1,
    };
    change(&mut conv);
    built("ConvTranspose", attributes, move |small, x| {
        let weights = small.constant(&[8, 6 / conv.groups, conv.kernel[0], conv.kernel[1]], NORMAL);
        let bias = small.constant(&[6], NORMAL);
        small.node(Op::ConvTranspose(conv.clone()), &[x, weights, bias])
    })
}

fn deformable(attributes: &'static str, groups: usize, offset_groups: usize, mask: bool) -> Case {
    built("DeformConv", attributes, move |small, x| {
        let around = Conv { groups: 1, ..window([3; 2]) };
        let offset_weights = small.constant(&[18 * offset_groups, 8, 3, 3], NORMAL);
        let offsets = small.node(Op::Conv(around.clone()), &[x, offset_weights]);
        let weights = small.constant(&[6, 8 / groups, 3, 3], NORMAL);
        let mut inputs = vec![x, weights, offsets];
        if mask {
            let mask_weights = small.constant(&[9 * offset_groups, 8, 3, 3], NORMAL);
            inputs.push(small.node(Op::Conv(around.clone()), &[x, mask_weights]));
        }
        small.node(Op::DeformConv(Deform { conv: Conv { groups, ..around }, offset_groups }), &inputs)
    })
}

fn convolutions() -> Vec<Case> {
    let three = window([3; 2]);
    vec![
        conv("1×1", 12, window([1; 2])),
        conv("3×3", 12, three.clone()),
        conv("11×11, stride 4", 12, Conv { stride: [4; 2], ..window([11; 2]) }),
        conv("1×7", 12, window([1, 7])),
        conv("asymmetric padding", 12, Conv { pads: [0, 1, 2, 3], ..three.clone() }),
        conv("padding beyond the kernel", 12, Conv { pads: [5; 4], ..three.clone() }),
        conv("dilation 3", 12, Conv { dilation: [3; 2], pads: [3; 4], ..three.clone() }),
        conv("2 groups", 12, Conv { groups: 2, ..three.clone() }),
        conv("depthwise", 8, Conv { groups: 8, ..three.clone() }),
        conv("depthwise, multiplier 2", 16, Conv { groups: 8, ..three }),
        transposed("4×4, stride 2", |_| ()),
        transposed("3×3, stride 2, output padding 1", |conv| {
            (conv.kernel, conv.output_padding) = ([3; 2], [1; 2]);
        }),
        transposed("2 groups", |conv| conv.groups = 2),
        transposed("2×2, stride 3 (wider than the kernel)", |conv| {
            (conv.kernel, conv.stride, conv.pads) = ([2; 2], [3; 2], [0; 4]);
        }),
        transposed("dilation 2, stride 1", |conv| (conv.stride, conv.dilation) = ([1; 2], [2; 2])),
        deformable("3×3, one offset group", 1, 1, false),
        deformable("3×3, 2 groups, 2 offset groups", 2, 2, false),
        deformable("with a mask", 1, 1, true),
        built("FullyConnected", "of a flattened image", |small, x| {
            let flat = small.node(Op::Reshape, &[x]);
            let weights = small.constant(&[10, 8 * 144], NORMAL);
            small.node(Op::FullyConnected, &[flat, weights])
        }),
    ]
}

/// Of integers, with zero points of input and weights.
fn sums() -> Vec<Case> {
    let zeros = [100, -3];
    let conv = |attributes, outputs: usize, conv: Conv, cast: bool| {
        let (mut small, x) = Small::of_integers(&IMAGE);
        let weights = small.integers(&[outputs, IMAGE[1] / conv.groups, conv.kernel[0], conv.kernel[1]]);
        let sums = small.node(Op::ConvInteger { conv, zeros }, &[x, weights]);
        let operator = if cast { "Cast" } else { "ConvInteger" };
        let output = if cast { small.node(Op::Cast, &[sums]) } else { sums };
        Case { operator, attributes, graph: small.finish(output) }
    };
    let (mut product, x) = Small::of_integers(&[4, 60]);
    let weights = product.integers(&[10, 60]);
    let y = product.node(Op::MatMulInteger { zeros }, &[x, weights]);
    vec![
        conv("3×3: the sums are the output", 12, window([3; 2]), false),
        conv("2 groups, stride 2", 12, Conv { groups: 2, stride: [2; 2], ..window([3; 2]) }, false),
        conv("depthwise", 8, Conv { groups: 8, ..window([3; 2]) }, false),
        Case { operator: "MatMulInteger", attributes: "the sums are the output", graph: product.finish(y) },
        conv("of sums, to float", 12, window([3; 2]), true),
    ]
}

fn pool(kernel: usize, stride: usize, pad: usize) -> Pool {
    let (kernel, stride, pads) = ([kernel; 2], [stride; 2], [pad; 4]);
    Pool { kernel, stride, pads, dilation: [1; 2], ceil_mode: false, count_include_pad: false }
}

fn pools() -> Vec<Case> {
    let ceil = Pool { ceil_mode: true, ..pool(3, 2, 0) };
    vec![
        one("MaxPool", "3×3, stride 2", Op::MaxPool(pool(3, 2, 1))),
        one("MaxPool", "ceil mode", Op::MaxPool(ceil.clone())),
        one("MaxPool", "dilation 2", Op::MaxPool(Pool { dilation: [2; 2], ..pool(3, 1, 0) })),
        one("AveragePool", "without the padding", Op::AveragePool(pool(3, 2, 1))),
        one("AveragePool", "count_include_pad", Op::AveragePool(Pool { count_include_pad: true, ..pool(3, 2, 1) })),
        one("AveragePool", "ceil mode", Op::AveragePool(ceil)),
        one("GlobalAveragePool", "", Op::GlobalAveragePool),
        one("GlobalMaxPool", "", Op::GlobalMaxPool),
        one("ReduceMean", "over h and w", Op::ReduceMean { axes: vec![2, 3], keep: true }),
        one("ReduceMean", "over channels", Op::ReduceMean { axes: vec![1], keep: true }),
        unpooled("ArgMaxPool", "2×2, stride 2, read by a MaxUnpool", 2, 2),
        unpooled("MaxUnpool", "2×2, stride 2", 2, 2),
        unpooled("MaxUnpool", "3×3, stride 2 (windows overlap)", 3, 2),
    ]
}

fn unpooled(operator: &'static str, attributes: &'static str, kernel: usize, stride: usize) -> Case {
    built(operator, attributes, move |small, x| {
        let window = pool(kernel, stride, 0);
        let switches = small.node(Op::ArgMaxPool(window.clone()), &[x]);
        let pooled = small.node(Op::MaxPool(window.clone()), &[x]);
        small.shaped(Op::MaxUnpool(window), &[pooled, switches], &IMAGE)
    })
}

fn elementwise() -> Vec<Case> {
    let functions = [
        ("Sigmoid", Function::Sigmoid),
        ("Tanh", Function::Tanh),
        ("HardSwish", Function::HardSwish),
        ("HardSigmoid", Function::HardSigmoid { alpha: 0.2, beta: 0.5 }),
        ("LeakyRelu", Function::LeakyRelu { alpha: 0.1 }),
        ("Elu", Function::Elu { alpha: 1.0 }),
    ];
    let binaries =
        [("Add", Op::Add), ("Mul", Op::Mul), ("Sub", Op::Sub), ("Div", Op::Div), ("Max", Op::Max), ("Min", Op::Min)];
    let mut all = vec![
        behind_conv("Relu", "behind a convolution: its clamp", Op::Relu),
        one("Relu", "alone", Op::Relu),
        behind_conv("Clip", "behind a convolution: its clamp", Op::Clip { low: 0.0, high: 1.0 }),
    ];
    all.extend(functions.map(|(name, function)| behind_conv(name, "", Op::Function(function))));
    all.push(built("Binarize", "behind a convolution, before another", |small, x| {
        let y = convolved(small, x);
        let signs = small.node(Op::Binarize, &[y]);
        convolved(small, signs)
    }));
    all.push(built("PRelu", "a slope per channel", |small, x| {
        let (y, slope) = (convolved(small, x), small.constant(&[8], POSITIVE));
        small.node(Op::PRelu, &[y, slope])
    }));
    for (name, op) in binaries {
        let tensors = op.clone();
        all.push(built(name, "two activations", move |small, x| {
            let (a, b) = (convolved(small, x), positive(small, x));
            small.node(tensors.clone(), &[a, b])
        }));
        let gated = op.clone();
        all.push(built(name, "an activation of one value a channel", move |small, x| {
            let mean = small.node(Op::GlobalAveragePool, &[x]);
            let gate = positive(small, mean);
            small.node(gated.clone(), &[x, gate])
        }));
        all.push(built(name, "a constant per channel", move |small, x| {
            let constant = small.constant(&[8], POSITIVE);
            small.node(op.clone(), &[x, constant])
        }));
    }
    all.push(built("Mul", "an activation of one value a pixel", |small, x| {
        let weights = small.constant(&[1, 8, 1, 1], NORMAL);
        let gate = small.node(Op::Conv(window([1; 2])), &[x, weights]);
        small.node(Op::Mul, &[x, gate])
    }));
    all.push(built("Sum", "of three", |small, x| {
        let (a, b) = (convolved(small, x), convolved(small, x));
        small.node(Op::Sum, &[x, a, b])
    }));
    all
}

fn convolved(small: &mut Small, x: systole::network::tensor::TensorId) -> systole::network::tensor::TensorId {
    let channels = small.shape(x)[1];
    let weights = small.constant(&[8, channels, 1, 1], NORMAL);
    small.node(Op::Conv(window([1; 2])), &[x, weights])
}

/// Away from 0, so that quotients are tame.
fn positive(small: &mut Small, x: systole::network::tensor::TensorId) -> systole::network::tensor::TensorId {
    let (weights, bias) = (small.constant(&[8, 8, 1, 1], POSITIVE), small.constant(&[8], POSITIVE));
    let y = small.node(Op::Conv(window([1; 2])), &[x, weights, bias]);
    small.node(Op::Relu, &[y])
}

fn behind_conv(operator: &'static str, attributes: &'static str, op: Op) -> Case {
    built(operator, attributes, move |small, x| {
        let y = convolved(small, x);
        small.node(op.clone(), &[y])
    })
}

fn channels() -> Vec<Case> {
    let norm = |small: &mut Small, x| {
        let [scale, bias, mean] = [POSITIVE, NORMAL, NORMAL].map(|distribution| small.constant(&[8], distribution));
        let variance = small.constant(&[8], POSITIVE);
        small.node(Op::BatchNorm { epsilon: 1e-5 }, &[x, scale, bias, mean, variance])
    };
    vec![
        built("BatchNormalization", "behind a convolution: folded", move |small, x| {
            let y = convolved(small, x);
            norm(small, y)
        }),
        built("BatchNormalization", "alone", norm),
        one("LRN", "size 5", Op::Lrn(Lrn { size: 5, alpha: 1e-4, beta: 0.75, bias: 1.0 })),
        one("Softmax", "over channels", Op::Softmax),
        built("Concat", "of channels", |small, x| {
            let y = convolved(small, x);
            small.node(Op::Concat, &[x, y])
        }),
        built("Concat", "of flattened images", |small, x| {
            let y = convolved(small, x);
            let [a, b] = [x, y].map(|id| small.node(Op::Reshape, &[id]));
            small.node(Op::Concat, &[a, b])
        }),
    ]
}

fn moves() -> Vec<Case> {
    let pad = |fill| Op::Pad { before: vec![0, 0, 1, 2], after: vec![0, 0, 2, 1], fill };
    let resize = |size: usize, interpolation| Resize {
        size: [size; 2],
        scale: [size as f32 / 12.0; 2],
        coordinates: Coordinates::HalfPixel,
        interpolation,
    };
    let linear = |size, coordinates| Op::Resize(Resize { coordinates, ..resize(size, Interpolation::Linear) });
    vec![
        one("Identity", "", Op::Identity),
        one("Reshape", "to a vector", Op::Reshape),
        one("Transpose", "rows and columns", Op::Transpose { perm: vec![0, 1, 3, 2] }),
        one("Transpose", "channels last", Op::Transpose { perm: vec![0, 2, 3, 1] }),
        built("Transpose", "a channel shuffle", |small, x| {
            let split = small.shaped(Op::Reshape, &[x], &[1, 2, 4, 144]);
            let swapped = small.node(Op::Transpose { perm: vec![0, 2, 1, 3] }, &[split]);
            small.shaped(Op::Reshape, &[swapped], &IMAGE)
        }),
        slice("a box of the image", vec![0, 0, 2, 3], vec![1; 4], [1, 8, 7, 6]),
        slice("some channels", vec![0, 2, 0, 0], vec![1; 4], [1, 4, 12, 12]),
        slice("every second pixel", vec![0; 4], vec![1, 1, 2, 2], [1, 8, 6, 6]),
        slice("backwards", vec![0, 0, 11, 11], vec![1, 1, -1, -1], IMAGE),
        one("Pad", "a constant", pad(Fill::Constant(0.0))),
        built("Pad", "zero, before a convolution: its padding", move |small, x| {
            let padded = small.node(pad(Fill::Constant(0.0)), &[x]);
            let weights = small.constant(&[8, 8, 3, 3], NORMAL);
            small.node(Op::Conv(Conv { pads: [0; 4], ..window([3; 2]) }), &[padded, weights])
        }),
        one("Pad", "reflect", pad(Fill::Reflect)),
        one("Pad", "edge", pad(Fill::Edge)),
        one("Pad", "wrap", pad(Fill::Wrap)),
        one("DepthToSpace", "DCR", Op::DepthToSpace { block: 2, order: DepthOrder::DepthColumnRow }),
        one("DepthToSpace", "CRD", Op::DepthToSpace { block: 2, order: DepthOrder::ColumnRowDepth }),
        one("SpaceToDepth", "", Op::SpaceToDepth { block: 2 }),
        one("Resize", "nearest, twice the size", Op::Resize(resize(24, Interpolation::NearestFloor))),
        one("Resize", "nearest, 12 to 18 pixels", Op::Resize(resize(18, Interpolation::NearestPreferFloor))),
        one("Resize", "linear, twice the size", linear(24, Coordinates::HalfPixel)),
        one("Resize", "linear, 12 to 18 pixels", linear(18, Coordinates::HalfPixel)),
        one("Resize", "linear, 12 to 7 pixels", linear(7, Coordinates::HalfPixel)),
        one("Resize", "linear, corners aligned", linear(20, Coordinates::AlignCorners)),
        one("Resize", "linear, asymmetric", linear(18, Coordinates::Asymmetric)),
        one("Resize", "linear, half pixel as PyTorch has it, to one pixel", linear(1, Coordinates::PytorchHalfPixel)),
    ]
}

fn slice(attributes: &'static str, starts: Vec<usize>, steps: Vec<i64>, shape: [usize; 4]) -> Case {
    built("Slice", attributes, move |small, x| {
        small.shaped(Op::Slice { starts: starts.clone(), steps: steps.clone() }, &[x], &shape)
    })
}
