//! Transposed convolutions through the passes: weights by output channel, scales of files, batch norm folded.

use systole_compiler::passes::{Values, legalise};
use systole_network::graph::{Form, Graph, Node};
use systole_network::op::{ConvTranspose, Op};
use systole_network::policy::{NumericPolicy, Requantisation};
use systole_network::tensor::{DType, Data, Quant, Tensor, TensorId, bytes_of_f32};
use systole_network::verify::verify;

/// `[c, m / groups]` weights of one tap.
fn point(groups: usize) -> Op {
    Op::ConvTranspose(ConvTranspose {
        kernel: [1; 2],
        stride: [2; 2],
        dilation: [1; 2],
        pads: [0; 4],
        output_padding: [1; 2],
        groups,
    })
}

struct Build(Graph);

impl Build {
    fn new() -> Self {
        Build(Graph::new("test", Form::Imported))
    }

    fn tensor(
        &mut self,
        name: &str,
        shape: &[usize],
        dtype: DType,
        quant: Option<Quant>,
        data: Option<Data>,
    ) -> TensorId {
        self.0.add_tensor(Tensor { name: name.into(), shape: shape.to_vec(), dtype, quant, data })
    }

    fn floats(&mut self, name: &str, shape: &[usize], values: &[f32]) -> TensorId {
        self.tensor(name, shape, DType::F32, None, Some(Data::Stored(bytes_of_f32(values))))
    }

    fn activation(&mut self, name: &str, shape: &[usize]) -> TensorId {
        self.tensor(name, shape, DType::F32, None, None)
    }

    fn node(&mut self, name: &str, op: Op, inputs: Vec<TensorId>, output: TensorId) {
        self.0.add_node(Node { name: name.into(), op, inputs, outputs: vec![output], clamp: None, origins: vec![] });
    }

    fn done(mut self, input: TensorId, output: TensorId) -> Graph {
        (self.0.inputs, self.0.outputs) = (vec![input], vec![output]);
        verify(&self.0).unwrap_or_else(|errors| panic!("{errors:#?}"));
        self.0
    }
}

/// The weights of the one node of the quantised form.
fn weights(graph: &Graph, policy: &NumericPolicy, values: &Values) -> Tensor {
    let made = legalise(graph, policy, values).unwrap_or_else(|errors| panic!("{errors:#?}")).graph;
    verify(&made).unwrap_or_else(|errors| panic!("{errors:#?}"));
    assert_eq!(made.nodes.len(), 1, "{:?}", made.nodes);
    assert!(matches!(made.nodes[0].op, Op::ConvTranspose(_)));
    made.tensor(made.nodes[0].inputs[1]).clone()
}

#[test]
fn float_weights_get_a_scale_for_each_output_channel_after_batch_norm_is_folded() {
    let mut b = Build::new();
    let (x, y, z) =
        (b.activation("x", &[1, 4, 2, 2]), b.activation("y", &[1, 2, 4, 4]), b.activation("z", &[1, 2, 4, 4]));
    // Two groups of two inputs and one output: output 0 from inputs 0 and 1, output 1 from 2 and 3.
    let w = b.floats("w", &[4, 1, 1, 1], &[1.0, -0.5, 2.0, 4.0]);
    b.node("up", point(2), vec![x, w], y);
    let vectors = [("scale", [127.0, 0.5]), ("bias", [0.0; 2]), ("mean", [0.0; 2]), ("variance", [1.0; 2])];
    let vectors = vectors.map(|(name, values)| b.floats(name, &[2], &values));
    b.node("bn", Op::BatchNorm { epsilon: 0.0 }, [&[y][..], &vectors].concat(), z);
    let graph = b.done(x, z);
    let calibration = [("x", (0.0, 1.0)), ("z", (-1.0, 1.0))].map(|(name, range)| (name.to_owned(), range)).into();
    let values = Values::Real { calibration: Some(calibration), seed: 0 };
    let w = weights(&graph, &NumericPolicy::default(), &values);
    assert_eq!(w.shape, [2, 2, 1, 1]);
    // 127 and −63.5 by 1; 1 and 2 by 2 / 127.
    assert_eq!(w.quant.as_ref().map(|quant| quant.scale.clone()), Some(vec![1.0, 2.0 / 127.0]));
    assert_eq!(w.data, Some(Data::Stored(vec![127, -64i8 as u8, 64, 127].into())));
}

/// x and weights of one group, 2 inputs and 3 outputs, behind Dequantize; a Quantize behind.
fn qdq(quant: Quant) -> Graph {
    let mut b = Build::new();
    let of = |scale| Some(Quant::per_tensor(scale, 0));
    let xq = b.tensor("xq", &[1, 2, 1, 1], DType::U8, of(0.5), None);
    let stored = Data::Stored(vec![1, 2, 3, 4, 5, 6].into());
    let wq = b.tensor("wq", &[2, 3, 1, 1], DType::I8, Some(quant), Some(stored));
    let yq = b.tensor("yq", &[1, 3, 2, 2], DType::U8, of(0.25), None);
    let (x, w, y) =
        (b.activation("x", &[1, 2, 1, 1]), b.activation("w", &[2, 3, 1, 1]), b.activation("y", &[1, 3, 2, 2]));
    b.node("xd", Op::Dequantize, vec![xq], x);
    b.node("wd", Op::Dequantize, vec![wq], w);
    b.node("up", point(1), vec![x, w], y);
    b.node("yq", Op::Quantize, vec![y], yq);
    b.done(xq, yq)
}

fn along(axis: usize, scale: &[f32]) -> Quant {
    Quant { scale: scale.to_vec(), zero_point: vec![0; scale.len()], axis: Some(axis) }
}

const FILE: Values = Values::Real { calibration: None, seed: 0 };

#[test]
fn a_files_weights_change_their_order_and_keep_their_scales() {
    let w = weights(&qdq(along(1, &[0.3, 0.5, 0.25])), &NumericPolicy::default(), &FILE);
    assert_eq!(w.shape, [3, 2, 1, 1]);
    assert_eq!(w.quant, Some(along(0, &[0.3, 0.5, 0.25])));
    assert_eq!(w.data, Some(Data::Stored(vec![1, 4, 2, 5, 3, 6].into())));
    // N-19: 0.3 becomes 0.5, 1 · 0.3 / 0.5 = 0.6, 4 · 0.3 / 0.5 = 2.4.
    let policy = NumericPolicy { requantisation: Requantisation::Shift, ..NumericPolicy::default() };
    let w = weights(&qdq(along(1, &[0.3, 0.5, 0.25])), &policy, &FILE);
    assert_eq!(w.quant, Some(along(0, &[0.5, 0.5, 0.25])));
    assert_eq!(w.data, Some(Data::Stored(vec![1, 2, 2, 5, 3, 6].into())));
}

#[test]
fn scales_of_input_channels_are_refused_by_name() {
    let errors = legalise(&qdq(along(0, &[0.5, 0.25])), &NumericPolicy::default(), &FILE).expect_err("no rule");
    let text: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert!(text.len() == 1 && text[0].contains("not scaled by output channel"), "{text:?}");
}
