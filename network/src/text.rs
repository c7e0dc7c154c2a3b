//! The readable form of a graph, as `--emit graph` prints it: one tensor or node a line, the same text for the same graph.
//!
//! ```text
//! graph lenet-5, imported
//! input input: f32[1, 1, 28, 28]
//! const conv1_weight: f32[20, 1, 5, 5] = seeded normal(std 0.2828427)
//! conv1: f32[1, 20, 24, 24] = Conv(input, conv1_weight, conv1_bias) kernel 5x5 stride 1x1
//! output prob
//! ```
//!
//! A node line starts with its output; its own name follows in braces where it differs. Attributes at their neutral value (no pads,
//! one group, ...) are left out. Names with other than letters, digits and `._/:-` are quoted and escaped, so that a line
//! stays a line. It prints broken graphs too (an unknown tensor is `?7`), being what one looks at then. It is not read back.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::graph::{Form, Graph, Node, NodeId};
use crate::op::{Conv, Function, Op, Pool};
use crate::policy::Requantisation;
use crate::tensor::{Data, Distribution, Quant, Tensor, TensorId};

/// Scales and zero points shown of a per-channel quantisation.
const SHOWN_CHANNELS: usize = 2;

/// The graph with its nodes in the order in which they are stored.
pub fn to_text(graph: &Graph) -> String {
    render(graph, (0..graph.nodes.len()).map(|index| NodeId(index as u32)))
}

/// The graph with every producer before its consumers.
///
/// # Errors
/// A node on a cycle.
pub fn to_sorted_text(graph: &Graph) -> Result<String, NodeId> {
    Ok(render(graph, graph.topological_order()?.into_iter()))
}

fn render(graph: &Graph, order: impl Iterator<Item = NodeId>) -> String {
    let form = match graph.form {
        Form::Imported => "imported",
        Form::Quantised => "quantised",
    };
    let mut lines = vec![format!("graph {}, {form}{}", quoted(&graph.name), arithmetic(graph))];
    lines.extend(graph.inputs.iter().map(|&id| format!("input {}", declared(graph, id))));
    let mut constants = BTreeSet::new();
    for id in order {
        let node = graph.node(id);
        for &input in &node.inputs {
            let data = graph.tensors.get(input.0 as usize).and_then(|tensor| tensor.data.as_ref());
            if let Some(data) = data.filter(|_| constants.insert(input)) {
                lines.push(format!("const {} = {}", declared(graph, input), contents(data)));
            }
        }
        lines.push(node_line(graph, node));
    }
    lines.extend(graph.outputs.iter().map(|&id| format!("output {}", name(graph, id))));
    lines.push(String::new());
    lines.join("\n")
}

/// What differs from single-precision requantisation of 32-bit sums.
fn arithmetic(graph: &Graph) -> String {
    let mut text = match graph.policy.requantisation {
        Requantisation::Float32 => String::new(),
        Requantisation::FixedPoint { multiplier_bits, double_rounding: false } => {
            format!(", fixed point of {multiplier_bits} bits")
        }
        Requantisation::FixedPoint { multiplier_bits, double_rounding: true } => {
            format!(", fixed point of {multiplier_bits} bits, rounded twice")
        }
        Requantisation::Shift => ", powers of two".into(),
    };
    if graph.policy.accumulator_bits != 32 {
        text += &format!(", sums of {} bits", graph.policy.accumulator_bits);
    }
    text
}

fn node_line(graph: &Graph, node: &Node) -> String {
    let list = |ids: &[TensorId], show: fn(&Graph, TensorId) -> String| {
        ids.iter().map(|&id| show(graph, id)).collect::<Vec<_>>().join(", ")
    };
    let mut line = list(&node.outputs, declared);
    let same_name =
        node.outputs.first().and_then(|id| graph.tensors.get(id.0 as usize)).is_some_and(|t| t.name == node.name);
    if !same_name {
        line += &format!(" {{{}}}", quoted(&node.name));
    }
    line += &format!(" = {}({})", node.op.name(), list(&node.inputs, name));
    line += &attributes(&node.op);
    if let Some((low, high)) = node.clamp {
        line += &format!(" clamp {low}..={high}");
    }
    line
}

/// A name as it is when it is plain, otherwise quoted and escaped.
fn quoted(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._/:-".contains(c);
    if !name.is_empty() && name.chars().all(plain) { name.into() } else { format!("{name:?}") }
}

fn name(graph: &Graph, id: TensorId) -> String {
    graph.tensors.get(id.0 as usize).map_or_else(|| format!("?{}", id.0), |tensor| quoted(&tensor.name))
}

/// Name, type, shape and quantisation.
fn declared(graph: &Graph, id: TensorId) -> String {
    let name = name(graph, id);
    let Some(Tensor { shape, dtype, quant, .. }) = graph.tensors.get(id.0 as usize) else {
        return name;
    };
    format!("{name}: {}{shape:?}{}", dtype.name(), quant.as_ref().map(quantisation).unwrap_or_default())
}

fn quantisation(quant: &Quant) -> String {
    let axis = quant.axis.map(|axis| format!(" axis {axis}")).unwrap_or_default();
    format!(" scale {} zero {}{axis}", some_of(&quant.scale), some_of(&quant.zero_point))
}

/// The first few of the values, and how many there are when not all are shown.
fn some_of<T: std::fmt::Display>(values: &[T]) -> String {
    if let [value] = values {
        return value.to_string();
    }
    let mut text = values.iter().take(SHOWN_CHANNELS).map(T::to_string).collect::<Vec<_>>().join(", ");
    if values.len() > SHOWN_CHANNELS {
        text += &format!(", ... {} in all", values.len());
    }
    format!("({text})")
}

fn contents(data: &Data) -> String {
    match data {
        Data::Stored(bytes) => format!("stored {} bytes", bytes.len()),
        Data::Seeded { distribution: Distribution::Normal { std } } => format!("seeded normal(std {std})"),
        Data::Seeded { distribution: Distribution::Uniform { low, high } } => format!("seeded uniform({low}..{high})"),
        Data::Seeded { distribution: Distribution::Signs { scale } } => format!("seeded signs({scale})"),
        Data::Seeded { distribution: Distribution::Ternary { positive, negative } } => {
            format!("seeded ternary({positive}, -{negative})")
        }
        Data::Seeded { distribution: Distribution::Levels { scale } } => format!("seeded levels({scale})"),
        Data::Seeded { distribution: Distribution::Pruned { std, density, levels } } => {
            format!("seeded pruned(std {std}, density {density}, {levels} levels)")
        }
        Data::Unknown => "unknown".into(),
    }
}

/// The operator's attributes, each after a space.
fn attributes(op: &Op) -> String {
    match op {
        Op::Conv(conv) => convolution(conv),
        Op::MaxPool(pool) | Op::AveragePool(pool) => pooling(pool),
        Op::BatchNorm { epsilon } => format!(" epsilon {epsilon}"),
        Op::ConvInteger { conv, zeros } => format!("{} zeros {zeros:?}", convolution(conv)),
        Op::MatMulInteger { zeros } => format!(" zeros {zeros:?}"),
        Op::Clip { low, high } => format!(" {low}..={high}"),
        Op::Lrn(lrn) => format!(" size {} alpha {} beta {} bias {}", lrn.size, lrn.alpha, lrn.beta, lrn.bias),
        Op::Transpose { perm } => format!(" perm {perm:?}"),
        other => more_attributes(other),
    }
}

fn more_attributes(op: &Op) -> String {
    match op {
        Op::ConvTranspose(conv) => {
            format!("{} output padding {:?}", convolution(&conv.window()), conv.output_padding)
        }
        Op::DeformConv(deform) | Op::DeformSample(deform) => {
            format!("{} offset groups {}", convolution(&deform.conv), deform.offset_groups)
        }
        Op::ArgMaxPool(pool) | Op::MaxUnpool(pool) => pooling(pool),
        Op::Function(function) => match function {
            Function::HardSigmoid { alpha, beta } => format!(" alpha {alpha} beta {beta}"),
            Function::LeakyRelu { alpha } | Function::Elu { alpha } => format!(" alpha {alpha}"),
            Function::Sigmoid | Function::Tanh | Function::HardSwish => String::new(),
        },
        Op::Slice { starts, steps } => format!(" starts {starts:?} steps {steps:?}"),
        Op::Pad { before, after, fill } => format!(" before {before:?} after {after:?} fill {fill:?}"),
        Op::DepthToSpace { block, order } => format!(" block {block} order {order:?}"),
        Op::SpaceToDepth { block } => format!(" block {block}"),
        Op::Resize(resize) => format!(" {resize:?}"),
        Op::ReduceMean { axes, keep } => format!(" axes {axes:?} keep {keep}"),
        _ => String::new(),
    }
}

fn convolution(conv: &Conv) -> String {
    let mut text = window(conv.kernel, conv.stride, conv.pads);
    if conv.dilation != [1, 1] {
        let [vertical, horizontal] = conv.dilation;
        let _ = write!(text, " dilation {vertical}x{horizontal}");
    }
    if conv.groups != 1 {
        let _ = write!(text, " groups {}", conv.groups);
    }
    text
}

fn pooling(pool: &Pool) -> String {
    let mut text = window(pool.kernel, pool.stride, pool.pads);
    if pool.dilation != [1, 1] {
        let _ = write!(text, " dilation {}x{}", pool.dilation[0], pool.dilation[1]);
    }
    for (flag, name) in [(pool.ceil_mode, " ceil"), (pool.count_include_pad, " count-include-pad")] {
        if flag {
            text += name;
        }
    }
    text
}

fn window([kh, kw]: [usize; 2], [sv, sh]: [usize; 2], pads: [usize; 4]) -> String {
    let mut text = format!(" kernel {kh}x{kw} stride {sv}x{sh}");
    if pads != [0; 4] {
        let _ = write!(text, " pads {pads:?}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zoo;

    #[test]
    fn lenet_reads_as_expected() {
        let text = to_sorted_text(&zoo::build("lenet-5").expect("builds")).expect("no cycle");
        let expected = "\
graph lenet-5, imported
input input: f32[1, 1, 28, 28]
const conv1_weight: f32[20, 1, 5, 5] = seeded normal(std 0.2828427)
const conv1_bias: f32[20] = seeded normal(std 0.1)
conv1: f32[1, 20, 24, 24] = Conv(input, conv1_weight, conv1_bias) kernel 5x5 stride 1x1
pool1: f32[1, 20, 12, 12] = MaxPool(conv1) kernel 2x2 stride 2x2
const conv2_weight: f32[50, 20, 5, 5] = seeded normal(std 0.06324556)
const conv2_bias: f32[50] = seeded normal(std 0.1)
conv2: f32[1, 50, 8, 8] = Conv(pool1, conv2_weight, conv2_bias) kernel 5x5 stride 1x1
pool2: f32[1, 50, 4, 4] = MaxPool(conv2) kernel 2x2 stride 2x2
flatten: f32[1, 800] = Reshape(pool2)
const ip1_weight: f32[500, 800] = seeded normal(std 0.05)
const ip1_bias: f32[500] = seeded normal(std 0.1)
ip1: f32[1, 500] = FullyConnected(flatten, ip1_weight, ip1_bias)
ip1_relu: f32[1, 500] = Relu(ip1)
const ip2_weight: f32[10, 500] = seeded normal(std 0.06324556)
const ip2_bias: f32[10] = seeded normal(std 0.1)
ip2: f32[1, 10] = FullyConnected(ip1_relu, ip2_weight, ip2_bias)
prob: f32[1, 10] = Softmax(ip2)
output prob
";
        assert_eq!(text, expected);
    }

    #[test]
    fn attributes_that_matter_are_shown() {
        let text = |name| to_text(&zoo::build(name).expect("builds"));
        assert!(text("resnet-50").contains(" kernel 7x7 stride 2x2 pads [3, 3, 3, 3]\n"));
        assert!(text("squeezenet-1.1").contains(" = MaxPool(conv1_relu) kernel 3x3 stride 2x2 ceil\n"));
        assert!(text("mobilenet-v1").contains(" kernel 3x3 stride 1x1 pads [1, 1, 1, 1] groups 32\n"));
        assert!(text("mobilenet-v1").contains(" = Clip(conv1_bn) 0..=6\n"));
        assert!(text("resnet-18").contains("conv1_bn_scale: f32[64] = seeded uniform(0.7..1.2)\n"));
    }

    #[test]
    fn sorting_undoes_any_order_of_nodes() {
        let graph = zoo::build("resnet-18").expect("builds");
        let mut reversed = graph.clone();
        reversed.nodes.reverse();
        assert_ne!(to_text(&reversed), to_text(&graph));
        let sorted = to_sorted_text(&reversed).expect("no cycle");
        let at = |text: &str| sorted.find(text).expect("the line is there");
        assert!(at("\nconv1: ") < at("\nres2a: ") && at("\nres2a: ") < at("\nfc1000: "));
        assert_eq!(sorted.lines().count(), to_text(&graph).lines().count());
    }

    #[test]
    fn names_and_ids_from_anywhere_keep_to_their_line() {
        let mut graph = zoo::build("lenet-5").expect("builds");
        let lines = to_text(&graph).lines().count();
        graph.nodes[0].name = "conv\n1".into();
        graph.nodes[0].clamp = Some((0, 6));
        graph.nodes[1].inputs[0] = TensorId(999);
        let conv = graph.nodes[0].outputs[0].0 as usize;
        graph.tensors[conv].quant = Some(Quant { scale: vec![0.5; 3], zero_point: vec![1; 3], axis: Some(0) });
        let text = to_text(&graph);
        assert_eq!(text.lines().count(), lines);
        let line = "conv1: f32[1, 20, 24, 24] scale (0.5, 0.5, ... 3 in all) zero (1, 1, ... 3 in all) axis 0 {\"conv\\n1\"} = Conv(";
        assert!(text.contains(line), "{text}");
        assert!(text.contains(" stride 1x1 clamp 0..=6\n") && text.contains("MaxPool(?999)"), "{text}");
    }
}
