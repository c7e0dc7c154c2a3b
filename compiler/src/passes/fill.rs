//! Puts numbers into the constants of a quantised graph. Weights first, in parallel, since the scales of biases follow from theirs.

use std::collections::BTreeMap;

use bytes::Bytes;
use rayon::prelude::*;
use systole_network::graph::{Graph, NodeId};
use systole_network::policy::Requantisation;
use systole_network::tensor::{DType, Data, Quant, TensorId, bytes_of_f32, bytes_of_i32};

use super::narrow::nearest_power;
use super::powers_of_two::{at_least, power};
use super::{arithmetic, constants, narrow, transposed};

/// One constant (or pair) to make. `source` is of the imported graph, `out`, `x`, `w`, `a`, `b` of the quantised one.
pub(super) enum Job {
    /// i8 weights of f32 ones, by rule N-12.
    /// `transposed`: groups of a transposed convolution, whose weights change their order.
    Weights { source: TensorId, out: TensorId, transposed: Option<usize> },
    /// i32 bias by rule N-11; zeros without a source.
    Bias { source: Option<TensorId>, x: TensorId, w: TensorId, out: TensorId },
    /// `a` and `b` of rule N-8 from scale, bias, mean, variance.
    Affine { source: [TensorId; 4], epsilon: f32, a: TensorId, b: TensorId },
    /// A constant operand as an activation, by rule N-12 over its own values.
    Operand { source: TensorId, out: TensorId },
}

/// Does all jobs. What the source does not know stays unknown.
pub(super) fn fill(source: &Graph, graph: &mut Graph, jobs: &[Job], seed: u64) {
    let shifts = graph.policy.requantisation == Requantisation::Shift;
    let round = if shifts { power } else { std::convert::identity };
    let round_few = if shifts { nearest_power } else { std::convert::identity };
    let weights: Vec<(TensorId, Quant, Bytes)> = jobs
        .par_iter()
        .filter_map(|job| match job {
            Job::Weights { source: from, out, transposed } => {
                let dtype = graph.tensor(*out).dtype;
                let round = if dtype == DType::I8 { round } else { round_few };
                weights(source, *from, *transposed, seed, (dtype, round)).map(|(quant, bytes)| (*out, quant, bytes))
            }
            _ => None,
        })
        .collect();
    for (out, quant, bytes) in weights {
        set(graph, out, Some(quant), bytes);
    }
    let numbers = Numbers { source, producers: source.producers(), seed };
    for job in jobs {
        match job {
            Job::Weights { .. } => {}
            Job::Bias { source, x, w, out } => numbers.bias(graph, *source, [*x, *w], *out),
            Job::Affine { source, epsilon, a, b } => numbers.affine(graph, *source, *epsilon, [*a, *b]),
            Job::Operand { source, out } => {
                if let Some(values) = numbers.reals(*source) {
                    operand(graph, *out, &values);
                }
            }
        }
    }
}

/// Where numbers come from.
struct Numbers<'a> {
    source: &'a Graph,
    producers: BTreeMap<TensorId, NodeId>,
    seed: u64,
}

impl Numbers<'_> {
    fn reals(&self, id: TensorId) -> Option<Vec<f32>> {
        constants::reals(self.source, &self.producers, id, self.seed)
    }

    fn bias(&self, graph: &mut Graph, from: Option<TensorId>, [x, w]: [TensorId; 2], out: TensorId) {
        let quant = bias_quant(graph, x, w);
        let channel = |(c, b): (usize, f32)| arithmetic::bias(b.into(), quant.scale_of(c));
        let values = match from {
            None => Some(vec![0; graph.tensor(out).elements()]),
            Some(id) => match constants::behind_dequantize(self.source, &self.producers, id) {
                Some(stored) => stored_bias(self.source, stored, &quant),
                None => self.reals(id).map(|reals| reals.into_iter().enumerate().map(channel).collect()),
            },
        };
        graph.tensors[out.0 as usize].quant = Some(quant);
        if let Some(values) = values {
            set(graph, out, None, bytes_of_i32(&values));
        }
    }

    fn affine(&self, graph: &mut Graph, from: [TensorId; 4], epsilon: f32, [a, b]: [TensorId; 2]) {
        if let [Some(scale), Some(bias), Some(mean), Some(variance)] = from.map(|id| self.reals(id)) {
            let channel = |c: usize| arithmetic::batch_norm(scale[c], bias[c], mean[c], variance[c], epsilon);
            let (a_values, b_values): (Vec<f32>, Vec<f32>) = (0..scale.len()).map(channel).unzip();
            set(graph, a, None, bytes_of_f32(&a_values));
            set(graph, b, None, bytes_of_f32(&b_values));
        }
    }
}

fn set(graph: &mut Graph, id: TensorId, quant: Option<Quant>, bytes: Bytes) {
    let tensor = &mut graph.tensors[id.0 as usize];
    tensor.data = Some(Data::Stored(bytes));
    tensor.quant = quant.or(tensor.quant.take());
}

fn weights(
    source: &Graph,
    id: TensorId,
    groups: Option<usize>,
    seed: u64,
    (dtype, round): (DType, fn(f32) -> f32),
) -> Option<(Quant, Bytes)> {
    let tensor = source.tensor(id);
    let mut values = constants::floats(tensor, seed)?;
    let mut channels = *tensor.shape.first()?;
    if let Some(groups) = groups {
        values = transposed::by_output(&values, &tensor.shape, groups);
        channels = transposed::shape(&tensor.shape, groups)?[0];
    }
    let row = values.len().checked_div(channels).filter(|&row| row > 0)?;
    let mut quantised = vec![0; values.len()];
    let scale: Vec<f32> = quantised
        .par_chunks_mut(row)
        .zip(values.par_chunks(row))
        .map(|(out, weights)| match dtype {
            DType::I8 => arithmetic::quantise_weights(weights, out, round),
            _ => narrow::quantise_weights(weights, out, dtype, round),
        })
        .collect();
    Some((Quant { zero_point: vec![0; scale.len()], scale, axis: Some(0) }, Bytes::from(quantised)))
}

/// `f32(sx · sw[c])`, zero point 0. Made anew when the scales of float weights are known.
pub(super) fn bias_quant(graph: &Graph, x: TensorId, w: TensorId) -> Quant {
    let scale_of = |id: TensorId| graph.tensor(id).quant.as_ref().map_or(&[1.0f32][..], |q| &q.scale);
    let sx = scale_of(x)[0];
    let scale: Vec<f32> = scale_of(w).iter().map(|sw| sx * sw).collect();
    let axis = (scale.len() > 1).then_some(0);
    Quant { zero_point: vec![0; scale.len()], scale, axis }
}

/// The file's integers where its scale is ours; otherwise brought to our scale as rule N-11 says.
fn stored_bias(source: &Graph, stored: TensorId, ours: &Quant) -> Option<Vec<i32>> {
    let tensor = source.tensor(stored);
    let theirs = tensor.quant.as_ref()?;
    let convert = |(c, q): (usize, i32)| match theirs.scale_of(c) {
        scale if scale == ours.scale_of(c) => q,
        scale => arithmetic::bias(f64::from(q) * f64::from(scale), ours.scale_of(c)),
    };
    Some(constants::integers(tensor)?.into_iter().enumerate().map(convert).collect())
}

fn operand(graph: &mut Graph, out: TensorId, values: &[f32]) {
    let dtype = graph.tensor(out).dtype;
    let Some(range) = dtype.range() else { return };
    let (min, max) = values.iter().fold((0.0f64, 0.0f64), |(min, max), &v| (min.min(v.into()), max.max(v.into())));
    let mut quant = arithmetic::activation_quant(min, max, dtype);
    if graph.policy.requantisation == Requantisation::Shift {
        quant = at_least(&quant);
    }
    let (scale, zero_point) = (quant.scale_of(0), quant.zero_point_of(0));
    let integers = values.iter().map(|&v| arithmetic::quantise(v, scale, zero_point, range));
    let bytes: Bytes = match dtype {
        DType::I16 => integers.flat_map(|q| (q as i16).to_le_bytes()).collect(),
        _ => integers.map(|q| q as u8).collect(),
    };
    set(graph, out, Some(quant), bytes);
}
