//! Quantised graph → layers: one fused operator each, over tensors with a physical shape.
//!
//! A fully connected node becomes a convolution whose kernel is the whole image, so that one implementation serves both. A reshape is a view
//! of its source. A concatenation becomes a rescaling copy per input that could not be placed straight into the result.
//! Not modelled here: fusing an addition or a pooling into the convolution before it.

pub mod boxes;
mod elementwise;
mod moves;
mod pooling;
pub(crate) mod resize;
pub mod shuffle;
pub mod transposed;

use std::collections::BTreeMap;

use systole_network::graph::{Graph, Node, NodeId};
use systole_network::op::{Deform, Lrn, Op, Pool, Resize};
use systole_network::policy::Requantisation;
use systole_network::tensor::{DType, Tensor, TensorId};

use crate::error::CompileError;
use crate::tables::Table;
use boxes::Move;
pub use elementwise::Pair;
use shuffle::Shuffle;
use transposed::{Cost, Pending, Phase, expand};

/// A window that walks over an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// `[kh, kw]`.
    pub kernel: [usize; 2],
    /// `[vertical, horizontal]`.
    pub stride: [usize; 2],
    /// `[vertical, horizontal]`.
    pub dilation: [usize; 2],
    /// `[top, left, bottom, right]`.
    pub pads: [usize; 4],
}

impl Window {
    /// One tap at stride 1.
    pub fn point() -> Self {
        Window { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], pads: [0; 4] }
    }

    fn of_pool(pool: &Pool) -> Self {
        Window { kernel: pool.kernel, stride: pool.stride, dilation: pool.dilation, pads: pool.pads }
    }

    /// Input rows (axis 0) or columns (axis 1) under `outputs` consecutive outputs.
    pub fn span(&self, axis: usize, outputs: usize) -> usize {
        (outputs - 1) * self.stride[axis] + (self.kernel[axis] - 1) * self.dilation[axis] + 1
    }
}

/// The second operand of an element-wise layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Second {
    /// Another activation; it and the first may repeat along axes of length 1.
    Tensor(TensorId),
    /// A constant per channel.
    Channel(TensorId),
}

/// What a layer computes.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Convolution or fully connected; weights `[m, c / groups, kh, kw]` in logical order.
    Conv {
        /// Weights.
        weights: TensorId,
        /// Bias, where there is one.
        bias: Option<TensorId>,
        /// The window.
        window: Window,
        /// Groups.
        groups: usize,
        /// A fully connected node: the whole image is the window.
        whole: bool,
        /// A part of a transposed convolution; `window` and `groups` are the part's.
        phase: Option<Box<Phase>>,
    },
    /// Sum.
    Add(Second),
    /// Of rule N-25.
    Pair(Pair, Second),
    /// A function by a table (N-24).
    Table(Table),
    /// Product.
    Mul(Second),
    /// Batch norm: constants a, b.
    Affine {
        /// Factor per channel.
        a: TensorId,
        /// Summand per channel.
        b: TensorId,
    },
    /// Change of scale; also the copy into a concatenation.
    Rescale,
    /// Maximum.
    MaxPool(Window),
    /// Average.
    AveragePool {
        /// The window.
        window: Window,
        /// Padding counts.
        include_pad: bool,
    },
    /// Over channels.
    Softmax,
    /// Over channels.
    Lrn(Lrn),
    /// Sum of the first operand and these.
    Sum(Vec<TensorId>),
    /// The channels of each pixel in another order.
    Shuffle(Shuffle),
    /// A copy by DMA alone.
    Move(Move),
    /// What moved taps read; the result has the input's channels for each tap, by group of the convolution.
    Sample(Sample),
    /// Another size, bilinearly.
    Resize(Resize),
    /// Where maxima are.
    ArgMax(Window),
    /// Windows' values back where their maxima were.
    Unpool {
        /// The window.
        window: Window,
        /// Taps of the maxima.
        switches: TensorId,
    },
}

/// Attributes and offsets of samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The window, where it lies without offsets.
    pub window: Window,
    /// Groups of the convolution.
    pub groups: usize,
    /// Groups of channels that share offsets.
    pub offset_groups: usize,
    /// Two a tap and offset group.
    pub offsets: TensorId,
}

/// A fused operator.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Unique; the name of its first node (and of the input, for a concatenation's copies).
    pub name: String,
    /// Operator as reports show it.
    pub op: String,
    /// Names of the model's nodes in it.
    pub nodes: Vec<String>,
    /// What it computes.
    pub kind: Kind,
    /// First operand.
    pub input: TensorId,
    /// Where the result goes.
    pub output: TensorId,
    /// Where the result begins in `output`: image, row, column, channel.
    pub output_first: Dims,
    /// Clamp, within the output type.
    pub clamp: (i32, i32),
}

impl Layer {
    /// The part of a transposed convolution that it is.
    pub fn phase(&self) -> Option<&Phase> {
        match &self.kind {
            Kind::Conv { phase, .. } => phase.as_deref(),
            _ => None,
        }
    }

    /// The second activation of an element-wise layer.
    pub fn second(&self) -> Option<TensorId> {
        match self.kind {
            Kind::Add(Second::Tensor(id)) | Kind::Mul(Second::Tensor(id)) | Kind::Pair(_, Second::Tensor(id)) => {
                Some(id)
            }
            _ => None,
        }
    }
}

/// The physical shape of an activation: `[n, h, w, c]`.
pub type Dims = [usize; 4];

/// Layers and what they work on.
#[derive(Clone, Debug)]
pub struct Layers {
    /// In order of execution.
    pub layers: Vec<Layer>,
    /// Physical shapes of all activations.
    pub dims: BTreeMap<TensorId, Dims>,
    /// Activations that lie inside another one.
    pub inside: BTreeMap<TensorId, Inside>,
    /// Columns in DRAM before and behind each row of an activation that has bytes of its own; nobody reads them.
    pub margins: BTreeMap<TensorId, [usize; 2]>,
}

/// Where an activation lies inside another one: a view in its source, an input of a concatenation in the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inside {
    /// The other one.
    pub whole: TensorId,
    /// First image, row, column, channel.
    pub first: Dims,
    /// Images, rows, columns of the other one from one to the next.
    pub steps: [usize; 3],
}

impl Inside {
    /// All of it.
    fn all(whole: TensorId) -> Self {
        Inside { whole, first: [0; 4], steps: [1; 3] }
    }
}

struct Builder<'a> {
    graph: &'a Graph,
    layers: Vec<Layer>,
    dims: BTreeMap<TensorId, Dims>,
    inside: BTreeMap<TensorId, Inside>,
    transposed: Vec<Pending>,
    errors: Vec<CompileError>,
    consumers: BTreeMap<TensorId, Vec<NodeId>>,
}

/// Makes the layers of a quantised graph. `cost` chooses between ways that all compute the same.
///
/// # Errors
/// Every node that no instruction sequence serves, by name.
pub fn layers(graph: &Graph, cost: Cost<'_>) -> Result<Layers, Vec<CompileError>> {
    let order = graph.topological_order().map_err(|node| {
        vec![CompileError::invalid(&graph.node(node).name, "the graph has a cycle through this node")]
    })?;
    let mut builder = Builder {
        graph,
        layers: vec![],
        dims: BTreeMap::new(),
        inside: BTreeMap::new(),
        transposed: vec![],
        errors: vec![],
        consumers: graph.consumers(),
    };
    for &input in &graph.inputs {
        builder.set_logical_dims(input, "the input");
    }
    let produced = graph.producers();
    for id in order {
        let node = graph.node(id);
        if node.inputs.iter().any(|t| produced.contains_key(t) && !builder.dims.contains_key(t)) {
            continue; // an earlier node failed and was reported
        }
        if let Err(error) = builder.add(node) {
            builder.errors.push(error);
        }
    }
    if !builder.errors.is_empty() {
        return Err(builder.errors);
    }
    let Builder { layers, dims, inside, transposed, .. } = builder;
    let mut layers = Layers { layers, dims, inside, margins: BTreeMap::new() };
    expand(&mut layers, &transposed, cost);
    Ok(layers)
}

fn same_quantisation(a: &Tensor, b: &Tensor) -> bool {
    a.dtype == b.dtype && a.quant == b.quant
}

impl Builder<'_> {
    fn set_logical_dims(&mut self, id: TensorId, node: &str) {
        let tensor = self.graph.tensor(id);
        match tensor.nchw() {
            Some([n, c, h, w]) => {
                self.dims.insert(id, [n, h, w, c]);
            }
            None => self.errors.push(CompileError::unsupported(
                node,
                format!("tensor `{}` has rank {}; up to 4 is supported", tensor.name, tensor.shape.len()),
            )),
        }
    }

    fn add(&mut self, node: &Node) -> Result<(), CompileError> {
        let output = node.outputs[0];
        match &node.op {
            Op::Reshape | Op::Identity => return self.add_view(node),
            Op::Transpose { perm } => return self.add_transpose(node, perm),
            Op::Concat => return self.add_concat(node),
            Op::Slice { .. } | Op::Pad { .. } | Op::DepthToSpace { .. } | Op::SpaceToDepth { .. } | Op::Resize(_) => {
                return self.add_move(node);
            }
            Op::Rescale => {
                self.dims.insert(output, self.dims[&node.inputs[0]]);
            }
            Op::Sum => self.add_sum_dims(node)?,
            op if op.is_pair() && self.graph.tensor(node.inputs[1]).data.is_none() => self.add_pair_dims(node)?,
            Op::Function(_) => {
                self.dims.insert(output, self.dims[&node.inputs[0]]);
            }
            Op::FullyConnected => self.set_logical_dims(output, &node.name),
            _ => {
                self.require_image(node, node.inputs[0])?;
                self.set_logical_dims(output, &node.name);
            }
        }
        let kind = self.kind(node)?;
        if let Op::ConvTranspose(conv) = &node.op {
            self.transposed.push(Pending { index: self.layers.len(), conv: conv.clone() });
        }
        self.push(node, kind, node.inputs[0], output, [0; 4], node.name.clone());
        Ok(())
    }

    /// Refuses a tensor that only looks like an image: its pixels and channels are those of the tensor that it was reshaped from.
    fn require_image(&self, node: &Node, id: TensorId) -> Result<(), CompileError> {
        let (tensor, [n, h, w, c]) = (self.graph.tensor(id), self.dims[&id]);
        if tensor.nchw() == Some([n, c, h, w]) {
            return Ok(());
        }
        let message = format!(
            "{} reads `{}`, reshaped to {:?} from an image of [{n}, {c}, {h}, {w}]; between such reshapes only transpositions of channels \
             and element-wise operators are supported",
            node.op.name(),
            tensor.name,
            tensor.shape
        );
        Err(CompileError::unsupported(&node.name, message))
    }

    fn add_transpose(&mut self, node: &Node, perm: &[usize]) -> Result<(), CompileError> {
        let (input, output) = (node.inputs[0], node.outputs[0]);
        let (from, dims) = (self.graph.tensor(input), self.dims[&input]);
        let Some(shuffle) = shuffle::shuffle(&from.shape, perm, dims) else {
            return self.add_transposed(node, perm);
        };
        if self.wants_image(output, dims) {
            return self.add_transposed(node, perm);
        }
        self.dims.insert(output, dims);
        if shuffle.is_identity() {
            self.inside.insert(output, Inside::all(input));
        } else {
            self.push(node, Kind::Shuffle(shuffle), input, output, [0; 4], node.name.clone());
        }
        Ok(())
    }

    fn push(&mut self, node: &Node, kind: Kind, input: TensorId, output: TensorId, first: Dims, name: String) {
        let range = self.graph.tensor(output).dtype.range().unwrap_or((-128, 127));
        self.layers.push(Layer {
            name,
            op: node.op.name().to_owned(),
            nodes: if node.origins.is_empty() { vec![node.name.clone()] } else { node.origins.clone() },
            kind,
            input,
            output,
            output_first: first,
            clamp: node.clamp.unwrap_or(range),
        });
    }

    fn kind(&self, node: &Node) -> Result<Kind, CompileError> {
        let dims = self.dims[&node.inputs[0]];
        Ok(match &node.op {
            Op::Conv(conv) => Kind::Conv {
                weights: node.inputs[1],
                bias: node.inputs.get(2).copied(),
                window: Window { kernel: conv.kernel, stride: conv.stride, dilation: conv.dilation, pads: conv.pads },
                groups: conv.groups,
                whole: false,
                phase: None,
            },
            // Its phases are chosen when all layers are known.
            Op::ConvTranspose(conv) => Kind::Conv {
                weights: node.inputs[1],
                bias: node.inputs.get(2).copied(),
                window: Window::point(),
                groups: conv.groups,
                whole: false,
                phase: None,
            },
            Op::FullyConnected => Kind::Conv {
                weights: node.inputs[1],
                bias: node.inputs.get(2).copied(),
                window: Window { kernel: [dims[1], dims[2]], ..Window::point() },
                groups: 1,
                whole: true,
                phase: None,
            },
            Op::Add | Op::Mul | Op::Sub | Op::Div | Op::Max | Op::Min | Op::Function(_) | Op::PRelu => {
                return self.elementwise(node);
            }
            Op::BatchNorm { .. } => Kind::Affine { a: node.inputs[1], b: node.inputs[2] },
            Op::Rescale => Kind::Rescale,
            Op::Lrn(_) if self.graph.tensor(node.inputs[0]).dtype == DType::I16 => {
                let message = "local response normalisation adds squares in 32 bits (rule N-13), which 16-bit activations overflow";
                return Err(CompileError::unsupported(&node.name, message));
            }
            Op::Lrn(lrn) => Kind::Lrn(*lrn),
            Op::Sum => Kind::Sum(node.inputs[1..].to_vec()),
            Op::DeformSample(_) | Op::MaxUnpool(_) if !self.keeps_quantisation(node) => {
                return Err(CompileError::invalid(&node.name, "its result has another scale than its input"));
            }
            Op::DeformSample(Deform { conv, offset_groups }) => {
                self.require_image(node, node.inputs[1])?;
                let window =
                    Window { kernel: conv.kernel, stride: conv.stride, dilation: conv.dilation, pads: conv.pads };
                let (groups, offset_groups, offsets) = (conv.groups, *offset_groups, node.inputs[1]);
                Kind::Sample(Sample { window, groups, offset_groups, offsets })
            }
            Op::ArgMaxPool(pool) => Kind::ArgMax(Window::of_pool(pool)),
            Op::MaxUnpool(pool) => {
                self.require_image(node, node.inputs[1])?;
                Kind::Unpool { window: Window::of_pool(pool), switches: node.inputs[1] }
            }
            Op::MaxPool(_) | Op::GlobalMaxPool | Op::AveragePool(_) | Op::GlobalAveragePool => {
                return self.pooling(node);
            }
            Op::Softmax => {
                let logical = self.graph.tensor(node.inputs[0]).shape.get(1).copied();
                if logical != Some(dims[3]) {
                    return Err(CompileError::unsupported(&node.name, "softmax over a flattened image"));
                }
                Kind::Softmax
            }
            other => {
                return Err(CompileError::unsupported(
                    &node.name,
                    format!("operator {} has no instruction sequence", other.name()),
                ));
            }
        })
    }

    /// Whether scalings are integers (N-17).
    fn is_integer(&self) -> bool {
        self.graph.policy.requantisation != Requantisation::Float32
    }

    fn keeps_quantisation(&self, node: &Node) -> bool {
        same_quantisation(self.graph.tensor(node.inputs[0]), self.graph.tensor(node.outputs[0]))
    }

    fn add_view(&mut self, node: &Node) -> Result<(), CompileError> {
        let (input, output) = (node.inputs[0], node.outputs[0]);
        let (from, to) = (self.graph.tensor(input), self.graph.tensor(output));
        let dims = self.dims[&input];
        let keeps_batch = [from, to].iter().all(|tensor| tensor.shape.first() == Some(&dims[0]));
        let flattens = to.shape.len() == 2 || (to.shape.len() > 2 && to.shape[2..].iter().all(|&d| d == 1));
        let splits = shuffle::pixel_axis(&to.shape, dims).is_some();
        let fits = keeps_batch && (flattens || splits || from.shape == to.shape);
        if !fits || self.wants_image(output, dims) {
            return self.add_reshaped(node);
        }
        self.dims.insert(output, dims);
        if same_quantisation(from, to) {
            self.inside.insert(output, Inside::all(input));
        } else {
            self.push(node, Kind::Rescale, input, output, [0; 4], node.name.clone());
        }
        Ok(())
    }

    /// An input that nothing else claims and that has the result's quantisation is computed in place; the others are copied.
    fn add_concat(&mut self, node: &Node) -> Result<(), CompileError> {
        let output = node.outputs[0];
        for &input in &node.inputs {
            self.require_image(node, input)?;
        }
        self.set_logical_dims(output, &node.name);
        let mut first = [0; 4];
        for &input in &node.inputs {
            let free = self.is_free(input);
            let once = node.inputs.iter().filter(|&&other| other == input).count() == 1;
            if free && once && same_quantisation(self.graph.tensor(input), self.graph.tensor(output)) {
                self.inside.insert(input, Inside { first, ..Inside::all(output) });
            } else {
                let name = format!("{}/{}", node.name, self.graph.tensor(input).name);
                self.push(node, Kind::Rescale, input, output, first, name);
            }
            first[3] += self.dims[&input][3];
        }
        Ok(())
    }
}
