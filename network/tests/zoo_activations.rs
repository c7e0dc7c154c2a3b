//! The zoo's seeded networks behave like trained ones in the one respect that quantisation needs: activations neither vanish nor blow
//! up from layer to layer, and the result depends on the image. Run on scaled networks by a plain float evaluator that knows
//! only the operators the zoo has, on square windows.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use systole_network::graph::{Graph, Node};
use systole_network::op::{Conv, Function, Op, Pool};
use systole_network::tensor::{Data, TensorId};
use systole_network::{seed, zoo, zoo::Entry};

type Values = BTreeMap<TensorId, Vec<f32>>;

/// All tensors for image `index`.
fn run(graph: &Graph, index: u64) -> Values {
    let mut values = Values::new();
    for (id, tensor) in (0..).map(TensorId).zip(&graph.tensors) {
        if let Some(Data::Seeded { distribution }) = tensor.data {
            values.insert(id, seed::values(tensor, distribution, 0));
        }
    }
    let input = graph.inputs[0];
    values.insert(input, seed::image(&graph.tensor(input).shape, "input", index, 0));
    for id in graph.topological_order().expect("no cycle") {
        let node = graph.node(id);
        let result = evaluate(graph, node, &values);
        assert_eq!(result.len(), graph.tensor(node.outputs[0]).elements(), "{}", node.name);
        values.insert(node.outputs[0], result);
    }
    values
}

fn evaluate(graph: &Graph, node: &Node, values: &Values) -> Vec<f32> {
    let input = |i: usize| values[&node.inputs[i]].as_slice();
    let shape = |i: usize| graph.tensor(node.inputs[i]).nchw().expect("rank 4 or less");
    let [_, c, h, w] = shape(0);
    let x = input(0);
    match &node.op {
        Op::Conv(op) => {
            let bias = (node.inputs.len() == 3).then(|| input(2));
            convolve(op, x, shape(0), input(1), bias, graph.tensor(node.outputs[0]).nchw().expect("rank 4"))
        }
        Op::FullyConnected => {
            let bias = |o: usize| if node.inputs.len() == 3 { input(2)[o] } else { 0.0 };
            let rows = input(1).chunks(x.len()).enumerate();
            rows.map(|(o, row)| bias(o) + row.iter().zip(x).map(|(w, x)| w * x).sum::<f32>()).collect()
        }
        Op::MaxPool(op) | Op::AveragePool(op) => {
            let most = matches!(node.op, Op::MaxPool(_));
            pool(op, most, x, shape(0), graph.tensor(node.outputs[0]).nchw().expect("rank 4"))
        }
        Op::GlobalAveragePool => x.chunks(h * w).map(|plane| plane.iter().sum::<f32>() / (h * w) as f32).collect(),
        Op::Add => x.iter().zip(input(1)).map(|(a, b)| a + b).collect(),
        Op::Mul => x.iter().enumerate().map(|(i, x)| x * input(1)[i / (h * w) % c]).collect(),
        Op::BatchNorm { epsilon } => {
            let normalise = |i: usize, x: f32| {
                let i = i / (h * w) % c;
                (x - input(3)[i]) / (input(4)[i] + epsilon).sqrt() * input(1)[i] + input(2)[i]
            };
            x.iter().enumerate().map(|(i, &x)| normalise(i, x)).collect()
        }
        Op::Binarize => x.iter().map(|&x| if x >= 0.0 { 1.0 } else { -1.0 }).collect(),
        Op::Relu => x.iter().map(|x| x.max(0.0)).collect(),
        Op::Function(Function::Tanh) => x.iter().map(|x| x.tanh()).collect(),
        Op::Clip { low, high } => x.iter().map(|x| x.clamp(*low, *high)).collect(),
        Op::Concat => (0..node.inputs.len()).flat_map(|i| input(i).to_vec()).collect(),
        Op::Reshape => x.to_vec(),
        Op::Lrn(lrn) => {
            let plane = h * w;
            let near = |ch: usize| ch.saturating_sub((lrn.size - 1) / 2)..(ch + lrn.size / 2 + 1).min(c);
            let squares = |i: usize| near(i / plane % c).map(|ch| x[ch * plane + i % plane].powi(2)).sum::<f32>();
            let norm = |i: usize| (lrn.bias + lrn.alpha / lrn.size as f32 * squares(i)).powf(-lrn.beta);
            x.iter().enumerate().map(|(i, x)| x * norm(i)).collect()
        }
        Op::Transpose { perm } => {
            assert_eq!(perm[..], [0, 2, 1, 3], "the zoo shuffles channels");
            let order = (0..h).flat_map(|j| (0..c).flat_map(move |i| (0..w).map(move |k| (i * h + j) * w + k)));
            order.map(|i| x[i]).collect()
        }
        Op::Slice { starts, .. } => {
            let [_, oc, oh, ow] = graph.tensor(node.outputs[0]).nchw().expect("rank 4");
            let rows = (0..oc).flat_map(|ch| (0..oh).map(move |y| (ch * h + y + starts[2]) * w + starts[3]));
            rows.flat_map(|first| x[first..first + ow].to_vec()).collect()
        }
        Op::ConvTranspose(op) => {
            let [_, m, oh, ow] = graph.tensor(node.outputs[0]).nchw().expect("rank 4");
            let [k, s] = [op.kernel[0], op.stride[0]];
            let mut y = vec![0.0; m * oh * ow];
            for (i, x) in x.iter().enumerate() {
                let (ch, iy, ix) = (i / (h * w), i / w % h, i % w);
                for (o, ky) in (0..m).flat_map(|o| (0..k).map(move |ky| (o, ky))) {
                    let weights = &input(1)[((ch * m + o) * k + ky) * k..][..k];
                    let row = &mut y[(o * oh + iy * s + ky) * ow + ix * s..][..k];
                    row.iter_mut().zip(weights).for_each(|(y, weight)| *y += x * weight);
                }
            }
            y
        }
        Op::Softmax => {
            let most = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let e: Vec<f32> = x.iter().map(|x| (x - most).exp()).collect();
            let sum: f32 = e.iter().sum();
            e.iter().map(|e| e / sum).collect()
        }
        other => unreachable!("the zoo has no {}", other.name()),
    }
}

/// Input pixels under a window along one axis: `(window position, pixel)`.
fn taps(out: usize, kernel: usize, stride: usize, pad: usize, size: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..kernel).filter_map(move |k| Some((k, (out * stride + k).checked_sub(pad).filter(|&i| i < size)?)))
}

fn convolve(
    op: &Conv,
    x: &[f32],
    [_, c, h, w]: [usize; 4],
    weights: &[f32],
    bias: Option<&[f32]>,
    [_, m, oh, ow]: [usize; 4],
) -> Vec<f32> {
    let ([kh, kw], [sy, sx], [py, px, ..], per_group) = (op.kernel, op.stride, op.pads, c / op.groups);
    let mut y: Vec<f32> = (0..m * oh * ow).map(|i| bias.map_or(0.0, |bias| bias[i / (oh * ow)])).collect();
    for (o, i) in (0..m).flat_map(|o| (0..per_group).map(move |i| (o, i))) {
        let plane = &x[(o / (m / op.groups) * per_group + i) * h * w..][..h * w];
        for (oy, row) in y[o * oh * ow..][..oh * ow].chunks_mut(ow).enumerate() {
            for (ky, iy) in taps(oy, kh, sy, py, h) {
                let pixels = &plane[iy * w..][..w];
                let weights = &weights[((o * per_group + i) * kh + ky) * kw..][..kw];
                for (kx, weight) in weights.iter().enumerate() {
                    let first = px.saturating_sub(kx).div_ceil(sx);
                    let under = pixels.iter().skip(first * sx + kx - px).step_by(sx);
                    row[first.min(ow)..].iter_mut().zip(under).for_each(|(sum, pixel)| *sum += weight * pixel);
                }
            }
        }
    }
    y
}

/// Largest or mean value under each window. The zoo counts padding only where no window hangs over the far edge.
fn pool(op: &Pool, most: bool, x: &[f32], [_, c, h, w]: [usize; 4], [_, _, oh, ow]: [usize; 4]) -> Vec<f32> {
    let (k, s, p) = (op.kernel[0], op.stride[0], op.pads[0]);
    let mut y = Vec::with_capacity(c * oh * ow);
    for (o, oy, ox) in (0..c).flat_map(|o| (0..oh).flat_map(move |oy| (0..ow).map(move |ox| (o, oy, ox)))) {
        let rows = taps(oy, k, s, p, h);
        let window = rows.flat_map(|(_, iy)| taps(ox, k, s, p, w).map(move |(_, ix)| x[(o * h + iy) * w + ix]));
        let (count, sum, max) =
            window.fold((0, 0.0, f32::NEG_INFINITY), |(n, sum, max), x: f32| (n + 1, sum + x, max.max(x)));
        let divisor = if op.count_include_pad { k * k } else { count };
        y.push(if most { max } else { sum / divisor as f32 });
    }
    y
}

/// Root mean square.
fn rms(values: &[f32]) -> f32 {
    (values.iter().map(|v| v * v).sum::<f32>() / values.len() as f32).sqrt()
}

/// Checks one network; how many values met ReLU6's upper bound.
fn check(&Entry { name, small_input, .. }: &Entry) -> usize {
    let graph = zoo::build_scaled(name, 8, if small_input == 32 { 64 } else { small_input }).expect("large enough");
    let (first, second) = (run(&graph, 0), run(&graph, 1));
    for node in graph.nodes.iter().filter(|node| node.op != Op::Softmax) {
        let size = rms(&first[&node.outputs[0]]);
        assert!((0.05..20.0).contains(&size), "{name}: {} has root mean square {size}", node.name);
    }
    let [p, q] = [&first, &second].map(|values| &values[&graph.outputs[0]]);
    let probabilities = graph.nodes.iter().any(|node| node.op == Op::Softmax && node.outputs == graph.outputs);
    let most = p.iter().copied().fold(0.0, f32::max);
    assert!(!probabilities || most < 0.9999, "{name}: one class takes all, {most}");
    let moved: f32 = p.iter().zip(q).map(|(p, q)| (p - q).abs()).sum();
    assert!(moved > 0.02, "{name}: two images give nearly the same result, {moved}");
    let clips = graph.nodes.iter().filter(|node| matches!(node.op, Op::Clip { .. }));
    clips.map(|node| first[&node.outputs[0]].iter().filter(|&&value| value == 6.0).count()).sum()
}

/// Networks with samples between pixels and switches, which the evaluator does not know; `tests/networks` runs them and asks for lively tensors.
const ELSEWHERE: [&str; 2] = ["deformable-resnet-50", "deconvnet"];

/// In parallel, to save time.
#[test]
fn activations_keep_their_range() {
    let (next, clipped) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let plain = |entry: &Entry| !ELSEWHERE.contains(&entry.name);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(entry) = zoo::entries().get(next.fetch_add(1, Relaxed)) {
                    if plain(entry) {
                        clipped.fetch_add(check(entry), Relaxed);
                    }
                }
            });
        }
    });
    let clipped = clipped.into_inner();
    assert!(clipped > 20, "ReLU6 must meet values beyond 6: {clipped}");
}
