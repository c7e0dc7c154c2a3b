//! A small builder of float graphs in the imported form: layers by name, constants seeded, shapes inferred.
//!
//! A layer `conv1` writes the tensor `conv1` and owns the constants `conv1_weight`, `conv1_bias`; its batch norm is the node `conv1_bn` with
//! `conv1_bn_scale`, `conv1_bn_bias`, `conv1_bn_mean` and `conv1_bn_variance`. Names are the caller's to keep unique.

mod taps;

use crate::graph::{Form, Graph, Node};
use crate::op::{Conv, ConvTranspose, Function, Lrn, Op, Pool};
use crate::shape::{ShapeError, elements, fits, infer, reshaped};
use crate::tensor::{DType, Data, Distribution, Tensor, TensorId};

/// Standard deviation of biases, and of batch norm means and shifts.
const BIAS: Distribution = Distribution::Normal { std: 0.1 };
/// Batch norm scales.
const BN_SCALE: [f32; 2] = [0.7, 1.2];
/// Batch norm variances.
const BN_VARIANCE: Distribution = Distribution::Uniform { low: 0.6, high: 1.6 };
/// Batch norm's epsilon, as most frameworks have it.
const BN_EPSILON: f32 = 1e-5;

/// Response normalisation as Caffe's files of AlexNet and GoogLeNet have it.
pub(super) const CAFFE_NORM: Lrn = Lrn { size: 5, alpha: 1e-4, beta: 0.75, bias: 1.0 };

/// What every layer function returns.
pub(super) type Layer = Result<TensorId, ShapeError>;

/// A convolution layer to be: square, stride 1, no padding, one group, with bias, unless said otherwise.
#[derive(Clone, Copy)]
pub(super) struct ConvLayer {
    channels: usize,
    /// `[kh, kw]`.
    kernel: [usize; 2],
    stride: usize,
    /// `[above and below, left and right]`.
    pad: [usize; 2],
    dilation: usize,
    groups: usize,
    bias: bool,
    /// Of the weights, times their He deviation.
    gain: f32,
}

/// A convolution to `channels` channels with a `kernel` × `kernel` window.
pub(super) fn conv(channels: usize, kernel: usize) -> ConvLayer {
    conv_rect(channels, [kernel; 2])
}

/// A convolution to `channels` channels with a window of `[kh, kw]`.
pub(super) fn conv_rect(channels: usize, kernel: [usize; 2]) -> ConvLayer {
    ConvLayer { channels, kernel, stride: 1, pad: [0; 2], dilation: 1, groups: 1, bias: true, gain: 1.0 }
}

impl ConvLayer {
    pub(super) fn stride(self, stride: usize) -> Self {
        ConvLayer { stride, ..self }
    }

    pub(super) fn pad(self, pad: usize) -> Self {
        ConvLayer { pad: [pad; 2], ..self }
    }

    /// Padding that keeps the image's size at stride 1, for odd windows.
    pub(super) fn same(self) -> Self {
        ConvLayer { pad: self.kernel.map(|k| k / 2), ..self }
    }

    pub(super) fn dilation(self, dilation: usize) -> Self {
        ConvLayer { dilation, ..self }
    }

    pub(super) fn groups(self, groups: usize) -> Self {
        ConvLayer { groups, ..self }
    }

    pub(super) fn gain(self, gain: f32) -> Self {
        ConvLayer { gain, ..self }
    }

    pub(super) fn no_bias(self) -> Self {
        ConvLayer { bias: false, ..self }
    }
}

/// [`pool`] in ceil mode.
pub(super) fn ceil_pool(kernel: usize, stride: usize, pad: usize) -> Pool {
    Pool { ceil_mode: true, ..pool(kernel, stride, pad) }
}

/// A square pooling window, the same pad on all sides, averages over what is there.
pub(super) fn pool(kernel: usize, stride: usize, pad: usize) -> Pool {
    Pool {
        kernel: [kernel; 2],
        stride: [stride; 2],
        dilation: [1, 1],
        pads: [pad; 4],
        ceil_mode: false,
        count_include_pad: false,
    }
}

/// Which few values weights have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FewValues {
    /// ±s.
    Binary,
    /// p, 0 and −n, p a fifth larger than n.
    Ternary,
    /// ±s, ±2s.
    TwoBit,
}

impl FewValues {
    fn of_deviation(self, std: f32) -> Distribution {
        match self {
            FewValues::Binary => Distribution::Signs { scale: std },
            FewValues::Ternary => {
                let scale = std * 1.5f32.sqrt();
                Distribution::Ternary { positive: 1.1 * scale, negative: scale / 1.1 }
            }
            FewValues::TwoBit => Distribution::Levels { scale: std / 2.5f32.sqrt() },
        }
    }
}

/// A graph under construction.
pub(super) struct Builder {
    graph: Graph,
}

impl Builder {
    /// A graph with one input, `input` of shape `[1, c, h, w]`.
    pub(super) fn new(name: &str, [c, h, w]: [usize; 3]) -> (Self, TensorId) {
        let mut builder = Builder { graph: Graph::new(name, Form::Imported) };
        let input = builder.tensor("input", vec![1, c, h, w], None);
        builder.graph.inputs.push(input);
        (builder, input)
    }

    /// The finished graph with its one output.
    pub(super) fn finish(mut self, output: TensorId) -> Graph {
        self.graph.outputs.push(output);
        self.graph
    }

    /// Channels of a tensor.
    pub(super) fn channels(&self, x: TensorId) -> usize {
        self.graph.tensor(x).shape.get(1).copied().unwrap_or(1)
    }

    pub(super) fn conv(&mut self, name: &str, x: TensorId, layer: ConvLayer) -> Layer {
        let ConvLayer { channels, kernel, stride, pad, dilation, groups, bias, gain } = layer;
        let weights = vec![channels, self.channels(x) / groups, kernel[0], kernel[1]];
        let inputs = self.weighted(name, x, weights, bias, gain);
        let pads = [pad[0], pad[1], pad[0], pad[1]];
        self.node(name, Op::Conv(Conv { kernel, stride: [stride; 2], dilation: [dilation; 2], pads, groups }), inputs)
    }

    /// Convolution without bias, then batch norm.
    pub(super) fn conv_bn(&mut self, name: &str, x: TensorId, layer: ConvLayer, gain: f32) -> Layer {
        let x = self.conv(name, x, layer.no_bias())?;
        self.batch_norm(name, x, gain)
    }

    /// Convolution without bias, batch norm, ReLU.
    pub(super) fn conv_bn_relu(&mut self, name: &str, x: TensorId, layer: ConvLayer, gain: f32) -> Layer {
        let x = self.conv_bn(name, x, layer, gain)?;
        self.relu(name, x)
    }

    /// Convolution with bias, ReLU.
    pub(super) fn conv_relu(&mut self, name: &str, x: TensorId, layer: ConvLayer) -> Layer {
        let x = self.conv(name, x, layer)?;
        self.relu(name, x)
    }

    pub(super) fn fully_connected(&mut self, name: &str, x: TensorId, outputs: usize) -> Layer {
        let inputs = self.weighted(name, x, vec![outputs, self.channels(x)], true, 1.0);
        self.node(name, Op::FullyConnected, inputs)
    }

    /// Fully connected without bias, then batch norm.
    pub(super) fn fully_connected_bn(&mut self, name: &str, x: TensorId, outputs: usize, gain: f32) -> Layer {
        let inputs = self.weighted(name, x, vec![outputs, self.channels(x)], false, 1.0);
        let x = self.node(name, Op::FullyConnected, inputs)?;
        self.batch_norm(name, x, gain)
    }

    /// Batch norm of the layer `of`. `gain` multiplies its scales: below 1 on the last one of a residual branch, so that sums over many
    /// blocks stay in range; above 1 where a long chain would fade.
    pub(super) fn batch_norm(&mut self, of: &str, x: TensorId, gain: f32) -> Layer {
        let [low, high] = BN_SCALE.map(|bound| bound * gain);
        let vectors =
            [("scale", Distribution::Uniform { low, high }), ("bias", BIAS), ("mean", BIAS), ("variance", BN_VARIANCE)];
        let mut inputs = vec![x];
        for (vector, distribution) in vectors {
            inputs.push(self.tensor(&format!("{of}_bn_{vector}"), vec![self.channels(x)], Some(distribution)));
        }
        self.node(&format!("{of}_bn"), Op::BatchNorm { epsilon: BN_EPSILON }, inputs)
    }

    pub(super) fn relu(&mut self, of: &str, x: TensorId) -> Layer {
        self.node(&format!("{of}_relu"), Op::Relu, vec![x])
    }

    pub(super) fn tanh(&mut self, of: &str, x: TensorId) -> Layer {
        self.node(&format!("{of}_tanh"), Op::Function(Function::Tanh), vec![x])
    }

    pub(super) fn relu6(&mut self, of: &str, x: TensorId) -> Layer {
        self.node(&format!("{of}_relu6"), Op::Clip { low: 0.0, high: 6.0 }, vec![x])
    }

    pub(super) fn max_pool(&mut self, name: &str, x: TensorId, pool: Pool) -> Layer {
        self.node(name, Op::MaxPool(pool), vec![x])
    }

    pub(super) fn average_pool(&mut self, name: &str, x: TensorId, pool: Pool) -> Layer {
        self.node(name, Op::AveragePool(pool), vec![x])
    }

    pub(super) fn global_average_pool(&mut self, name: &str, x: TensorId) -> Layer {
        self.node(name, Op::GlobalAveragePool, vec![x])
    }

    pub(super) fn flatten(&mut self, name: &str, x: TensorId) -> Layer {
        self.node(name, Op::Reshape, vec![x])
    }

    pub(super) fn add(&mut self, name: &str, a: TensorId, b: TensorId) -> Layer {
        self.node(name, Op::Add, vec![a, b])
    }

    /// Transposed convolution without bias: square, stride `stride`, no padding. Each output pixel meets `(kernel / stride)²` taps.
    pub(super) fn conv_transpose(
        &mut self,
        name: &str,
        x: TensorId,
        channels: usize,
        kernel: usize,
        stride: usize,
    ) -> Layer {
        let taps = kernel.div_ceil(stride);
        let std = (1.0 / (self.channels(x) * taps * taps) as f32).sqrt();
        let shape = vec![self.channels(x), channels, kernel, kernel];
        let weights = self.tensor(&format!("{name}_weight"), shape, Some(Distribution::Normal { std }));
        let conv = ConvTranspose {
            kernel: [kernel; 2],
            stride: [stride; 2],
            dilation: [1; 2],
            pads: [0; 4],
            output_padding: [0; 2],
            groups: 1,
        };
        self.node(name, Op::ConvTranspose(conv), vec![x, weights])
    }

    /// The square of `size` × `size` pixels whose first row and column are `offset`.
    pub(super) fn crop(&mut self, name: &str, x: TensorId, offset: usize, size: usize) -> Layer {
        self.crop_rect(name, x, [offset; 2], [size; 2])
    }

    /// The box of `size` rows and columns from row and column `first` on.
    pub(super) fn crop_rect(&mut self, name: &str, x: TensorId, first: [usize; 2], size: [usize; 2]) -> Layer {
        let [n, c, _, _] = self.graph.tensor(x).nchw().unwrap_or([1; 4]);
        let op = Op::Slice { starts: vec![0, 0, first[0], first[1]], steps: vec![1; 4] };
        self.shaped(name, op, x, vec![n, c, size[0], size[1]])
    }

    /// Local response normalisation over `size` channels; `alpha` is divided by the size, as Caffe and ONNX do.
    pub(super) fn lrn(&mut self, name: &str, x: TensorId, lrn: Lrn) -> Layer {
        self.node(name, Op::Lrn(lrn), vec![x])
    }

    /// Channel `(g, i)` of `groups` groups becomes channel `(i, g)`.
    pub(super) fn shuffle(&mut self, name: &str, x: TensorId, groups: usize) -> Layer {
        let shape = self.graph.tensor(x).shape.clone();
        let [n, c, h, w] = self.graph.tensor(x).nchw().unwrap_or([1; 4]);
        let x = self.shaped(&format!("{name}_split"), Op::Reshape, x, vec![n, groups, c / groups, h * w])?;
        let x = self.node(&format!("{name}_swap"), Op::Transpose { perm: vec![0, 2, 1, 3] }, vec![x])?;
        self.shaped(name, Op::Reshape, x, shape)
    }

    /// Rows (and columns) of an image.
    pub(super) fn size(&self, x: TensorId) -> usize {
        self.graph.tensor(x).shape.get(2).copied().unwrap_or(1)
    }

    /// All channels times a factor of the definition, which nobody learns.
    pub(super) fn scale(&mut self, name: &str, x: TensorId, factor: f32) -> Layer {
        let fixed = Distribution::Uniform { low: factor, high: factor };
        let factors = self.tensor(&format!("{name}_factor"), vec![self.channels(x)], Some(fixed));
        self.node(name, Op::Mul, vec![x, factors])
    }

    pub(super) fn concat(&mut self, name: &str, inputs: &[TensorId]) -> Layer {
        self.node(name, Op::Concat, inputs.to_vec())
    }

    pub(super) fn softmax(&mut self, name: &str, x: TensorId) -> Layer {
        self.node(name, Op::Softmax, vec![x])
    }

    /// The end of AlexNet and what came after it: two wide fully connected layers of `width`, one to the classes, softmax.
    pub(super) fn classify_fully_connected(&mut self, mut x: TensorId, width: usize) -> Layer {
        for layer in ["fc6", "fc7"] {
            x = self.fully_connected(layer, x, width)?;
            x = self.relu(layer, x)?;
        }
        x = self.fully_connected("fc8", x, 1000)?;
        self.softmax("prob", x)
    }

    /// The usual end: global average, one fully connected layer to the classes, softmax.
    pub(super) fn classify(&mut self, x: TensorId, classes: usize) -> Layer {
        let x = self.global_average_pool("pool", x)?;
        let x = self.flatten("flatten", x)?;
        let x = self.fully_connected("fc", x, classes)?;
        self.softmax("prob", x)
    }

    /// x, He-normal weights of that shape times the gain, and a bias.
    fn weighted(&mut self, name: &str, x: TensorId, shape: Vec<usize>, bias: bool, gain: f32) -> Vec<TensorId> {
        let (channels, fan_in) = (shape[0], shape[1..].iter().product::<usize>());
        let std = gain * (2.0 / fan_in as f32).sqrt();
        let weights = self.tensor(&format!("{name}_weight"), shape, Some(Distribution::Normal { std }));
        let mut inputs = vec![x, weights];
        if bias {
            inputs.push(self.tensor(&format!("{name}_bias"), vec![channels], Some(BIAS)));
        }
        inputs
    }

    /// The weights of the layer `name` have few values, with the deviation that they would have had.
    pub(super) fn few_values(&mut self, name: &str, values: FewValues) {
        let name = format!("{name}_weight");
        let Some(index) = self.graph.tensors.iter().position(|tensor| tensor.name == name) else { return };
        let tensor = &mut self.graph.tensors[index];
        if let Some(Data::Seeded { distribution: Distribution::Normal { std } }) = tensor.data {
            let distribution = values.of_deviation(std);
            tensor.data = Some(Data::Seeded { distribution });
            self.graph.narrow.extend(distribution.narrow().map(|dtype| (TensorId(index as u32), dtype)));
        }
    }

    /// A batch norm whose means lie around `mean`, as behind a pooling of maxima.
    pub(super) fn batch_norm_around(&mut self, of: &str, x: TensorId, mean: f32) -> Layer {
        let y = self.batch_norm(of, x, 1.0)?;
        let name = format!("{of}_bn_mean");
        if let Some(tensor) = self.graph.tensors.iter_mut().find(|tensor| tensor.name == name) {
            let distribution = Distribution::Uniform { low: 0.8 * mean, high: 1.2 * mean };
            tensor.data = Some(Data::Seeded { distribution });
        }
        Ok(y)
    }

    pub(super) fn binarize(&mut self, of: &str, x: TensorId) -> Layer {
        self.node(&format!("{of}_sign"), Op::Binarize, vec![x])
    }

    pub(super) fn fully_connected_no_bias(&mut self, name: &str, x: TensorId, outputs: usize) -> Layer {
        let inputs = self.weighted(name, x, vec![outputs, self.channels(x)], false, 1.0);
        self.node(name, Op::FullyConnected, inputs)
    }

    fn tensor(&mut self, name: &str, shape: Vec<usize>, distribution: Option<Distribution>) -> TensorId {
        let data = distribution.map(|distribution| Data::Seeded { distribution });
        self.graph.add_tensor(Tensor { name: name.into(), shape, dtype: DType::F32, quant: None, data })
    }

    fn node(&mut self, name: &str, op: Op, inputs: Vec<TensorId>) -> Layer {
        let shapes: Vec<&[usize]> = inputs.iter().map(|&id| self.graph.tensor(id).shape.as_slice()).collect();
        let shape = infer(&op, &shapes)?.swap_remove(0);
        self.push(name, op, inputs, shape)
    }

    /// A node whose output has the shape that only the network can say.
    fn shaped(&mut self, name: &str, op: Op, x: TensorId, shape: Vec<usize>) -> Layer {
        elements(&shape)?;
        let input = &self.graph.tensor(x).shape;
        let fitting = match &op {
            Op::Slice { starts, steps } => fits(starts, steps, input, &shape),
            _ => reshaped(input, Some(&shape))? == shape,
        };
        if !fitting {
            return Err(ShapeError::Operand { operand: "the input", expected: shape, found: input.clone() });
        }
        self.push(name, op, vec![x], shape)
    }

    fn push(&mut self, name: &str, op: Op, inputs: Vec<TensorId>, shape: Vec<usize>) -> Layer {
        let output = self.tensor(name, shape, None);
        let origins = vec![name.into()];
        self.graph.add_node(Node { name: name.into(), op, inputs, outputs: vec![output], clamp: None, origins });
        Ok(output)
    }
}
