//! The operators: one table from ONNX's name to the function that imports it.

mod activation;
mod blocks;
mod channel;
mod deform;
mod elementwise;
mod integer;
mod linear;
mod lines;
mod moves;
mod normalise;
mod pool;
mod qlinear;
mod quantise;
mod reduce;
mod resize;
mod shape;
mod stack;
mod transposed;
mod volumes;

use systole_network::tensor::{DType, TensorId};

use super::attributes::NodeView;
use super::error::ImportError;
use super::importer::{Importer, Missing, Result};

/// Inputs of a node; `None` where an optional one is left out.
struct Inputs<'a>(&'a [Option<TensorId>]);

impl Inputs<'_> {
    fn required(&self, index: usize, what: &str) -> Result<TensorId> {
        self.optional(index).ok_or_else(|| ImportError::invalid(format!("it has no {what} (input {index})")))
    }

    fn optional(&self, index: usize) -> Option<TensorId> {
        self.0.get(index).copied().flatten()
    }

    fn at_most(&self, count: usize) -> Result<()> {
        match self.0.len() {
            n if n > count => Err(ImportError::invalid(format!("it has {n} inputs; {count} are possible"))),
            _ => Ok(()),
        }
    }
}

type Handler = fn(&mut Importer<'_>, &NodeView<'_>, &Inputs<'_>) -> Result<()>;

struct Operator {
    name: &'static str,
    /// Attributes that the handler understands, or that do not change results at inference.
    attributes: &'static [&'static str],
    /// Largest number of inputs.
    inputs: usize,
    import: Handler,
    domains: Domains,
    /// Largest number of outputs.
    outputs: usize,
}

/// In which sets of operators the name has this meaning.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Domains {
    /// ONNX's own.
    Standard,
    /// ONNX Runtime's, `com.microsoft`.
    Contributed,
    /// Both: ONNX Runtime's tools wrote it in their own domain before the standard had it for every type.
    Both,
}

const fn operator(name: &'static str, attributes: &'static [&'static str], inputs: usize, import: Handler) -> Operator {
    Operator { name, attributes, inputs, import, domains: Domains::Standard, outputs: 1 }
}

const fn of(domains: Domains, operator: Operator) -> Operator {
    Operator { domains, ..operator }
}

const fn with_outputs(outputs: usize, operator: Operator) -> Operator {
    Operator { outputs, ..operator }
}

/// Sorted by name.
#[rustfmt::skip]
const OPERATORS: &[Operator] = &[
    operator("Add", &[], 2, elementwise::add),
    operator("AveragePool", &["auto_pad", "ceil_mode", "count_include_pad", "dilations", "kernel_shape", "pads", "strides"], 1, pool::average_pool),
    operator("BatchNormalization", &["epsilon", "momentum", "spatial", "training_mode"], 5, channel::batch_normalization),
    operator("Cast", &["saturate", "to"], 1, integer::cast),
    operator("Clip", &["max", "min"], 3, activation::clip),
    operator("Concat", &["axis"], usize::MAX, channel::concat),
    operator("Constant", &["value", "value_float", "value_floats", "value_int", "value_ints"], 0, shape::constant),
    operator("Conv", &["auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"], 3, linear::conv),
    operator("ConvInteger", &["auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"], 4, integer::conv),
    operator("ConvTranspose", &["auto_pad", "dilations", "group", "kernel_shape", "output_padding", "output_shape", "pads", "strides"], 3, transposed::conv_transpose),
    operator("DeformConv", &["dilations", "group", "kernel_shape", "offset_group", "pads", "strides"], 5, deform::deform_conv),
    operator("DepthToSpace", &["blocksize", "mode"], 1, moves::depth_to_space),
    of(Domains::Both, operator("DequantizeLinear", &["axis", "block_size", "output_dtype"], 3, quantise::dequantize_linear)),
    operator("Div", &[], 2, elementwise::div),
    with_outputs(2, operator("Dropout", &["ratio", "seed"], 3, shape::dropout)),
    operator("Elu", &["alpha"], 1, activation::elu),
    operator("Flatten", &["axis"], 1, shape::flatten),
    operator("Gemm", &["alpha", "beta", "transA", "transB"], 3, linear::gemm),
    operator("GlobalAveragePool", &[], 1, pool::global_average_pool),
    operator("GlobalMaxPool", &[], 1, pool::global_max_pool),
    operator("HardSigmoid", &["alpha", "beta"], 1, activation::hard_sigmoid),
    operator("HardSwish", &[], 1, activation::hard_swish),
    operator("Identity", &[], 1, shape::identity),
    operator("LRN", &["alpha", "beta", "bias", "size"], 1, normalise::lrn),
    operator("LeakyRelu", &["alpha"], 1, activation::leaky_relu),
    operator("MatMul", &[], 2, linear::mat_mul),
    operator("MatMulInteger", &[], 4, integer::mat_mul),
    operator("Max", &[], usize::MAX, elementwise::max),
    with_outputs(2, operator("MaxPool", &["auto_pad", "ceil_mode", "dilations", "kernel_shape", "pads", "storage_order", "strides"], 1, pool::max_pool)),
    operator("MaxUnpool", &["kernel_shape", "pads", "strides"], 3, pool::max_unpool),
    operator("Min", &[], usize::MAX, elementwise::min),
    operator("Mul", &[], 2, elementwise::mul),
    operator("PRelu", &[], 2, activation::prelu),
    operator("Pad", &["mode", "pads", "value"], 4, moves::pad),
    of(Domains::Contributed, operator("QGemm", &["alpha", "transA", "transB"], 9, qlinear::gemm)),
    of(Domains::Contributed, operator("QLinearAdd", &[], 8, qlinear::add)),
    of(Domains::Contributed, operator("QLinearAveragePool", &["auto_pad", "ceil_mode", "channels_last", "count_include_pad", "kernel_shape", "pads", "strides"], 5, qlinear::average_pool)),
    of(Domains::Contributed, operator("QLinearConcat", &["axis"], usize::MAX, qlinear::concat)),
    operator("QLinearConv", &["auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"], 9, qlinear::conv),
    of(Domains::Contributed, operator("QLinearGlobalAveragePool", &["channels_last"], 5, qlinear::global_average_pool)),
    operator("QLinearMatMul", &[], 8, qlinear::mat_mul),
    of(Domains::Contributed, operator("QLinearMul", &[], 8, qlinear::mul)),
    of(Domains::Contributed, operator("QLinearSoftmax", &["axis", "opset"], 5, qlinear::softmax)),
    of(Domains::Both, operator("QuantizeLinear", &["axis", "block_size", "output_dtype", "precision", "saturate"], 3, quantise::quantize_linear)),
    operator("ReduceMean", &["axes", "keepdims", "noop_with_empty_axes"], 2, reduce::reduce_mean),
    operator("Relu", &[], 1, activation::relu),
    operator("Reshape", &["allowzero"], 2, shape::reshape),
    operator("Resize", &["antialias", "axes", "coordinate_transformation_mode", "cubic_coeff_a", "exclude_outside", "extrapolation_value", "keep_aspect_ratio_policy", "mode", "nearest_mode"], 4, resize::resize),
    operator("Sigmoid", &[], 1, activation::sigmoid),
    operator("Slice", &["axes", "ends", "starts"], 5, moves::slice),
    operator("Softmax", &["axis"], 1, channel::softmax),
    operator("SpaceToDepth", &["blocksize"], 1, moves::space_to_depth),
    with_outputs(usize::MAX, operator("Split", &["axis", "num_outputs", "split"], 2, moves::split)),
    operator("Squeeze", &["axes"], 2, shape::squeeze),
    operator("Sub", &[], 2, elementwise::sub),
    operator("Sum", &[], usize::MAX, elementwise::sum),
    operator("Tanh", &[], 1, activation::tanh),
    operator("Transpose", &["perm"], 1, shape::transpose),
    operator("Unsqueeze", &["axes"], 2, shape::unsqueeze),
    operator("Upsample", &["mode", "scales"], 2, resize::upsample),
];

/// Names of the ONNX operators that import, sorted.
pub fn supported_operators() -> impl Iterator<Item = &'static str> {
    OPERATORS.iter().map(|operator| operator.name)
}

/// An ONNX operator that imports, in every version of the standard operators that does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Supported {
    /// Its name.
    pub name: &'static str,
    /// Sets of operators that have it.
    pub domains: &'static [&'static str],
    /// Attributes that are understood, or that change no result at inference; any other is refused.
    pub attributes: &'static [&'static str],
}

/// The ONNX operators that import, sorted by name.
pub fn supported() -> impl Iterator<Item = Supported> {
    OPERATORS.iter().map(|operator| Supported {
        name: operator.name,
        domains: match operator.domains {
            Domains::Standard => &["ai.onnx"],
            Domains::Contributed => &["com.microsoft"],
            Domains::Both => &["ai.onnx", "com.microsoft"],
        },
        attributes: operator.attributes,
    })
}

/// Imports one node, or reports why not and poisons its outputs.
pub(super) fn import_node(importer: &mut Importer<'_>, node: &NodeView<'_>) {
    let mut problems = vec![];
    let done = try_import(importer, node, &mut problems);
    importer.errors.extend(problems.into_iter().map(|error| error.at(node.place())));
    if !done {
        node.proto.output.iter().for_each(|name| importer.poison(name));
    }
}

fn try_import(importer: &mut Importer<'_>, node: &NodeView<'_>, problems: &mut Vec<ImportError>) -> bool {
    let operator = find(node).and_then(|operator| check(importer, node, operator).map(|()| operator));
    let operator = operator.map_err(|error| problems.push(error)).ok();
    let mut inputs = vec![];
    let mut complete = true;
    for name in &node.proto.input {
        match (name.as_str(), operator.is_some()) {
            ("", _) => inputs.push(None),
            // What an unknown operator reads may be of types that would only add noise.
            (_, false) => {}
            (name, true) => match importer.lookup(name) {
                Ok(id) => inputs.push(Some(id)),
                Err(missing) => {
                    complete = false;
                    if let Missing::Error(error) = missing {
                        problems.push(error);
                    }
                }
            },
        }
    }
    let Some(operator) = operator.filter(|_| complete) else {
        return false;
    };
    match (operator.import)(importer, node, &Inputs(&inputs)) {
        Ok(()) => true,
        Err(error) => {
            problems.push(error);
            false
        }
    }
}

fn find(node: &NodeView<'_>) -> Result<&'static Operator> {
    let proto = node.proto;
    let standard = matches!(proto.domain.as_str(), "" | "ai.onnx");
    let contributed = proto.domain == "com.microsoft";
    let known = |operator: &&Operator| match operator.domains {
        Domains::Standard => standard,
        Domains::Contributed => contributed,
        Domains::Both => standard || contributed,
    };
    let found = OPERATORS.iter().find(|operator| operator.name == proto.op_type).filter(known);
    found.ok_or_else(|| {
        let domain = if standard { String::new() } else { format!(" of the domain `{}`", proto.domain) };
        let supported: Vec<_> = supported_operators().collect();
        ImportError::unsupported(format!("the operator {}{domain} is not supported", proto.op_type))
            .help(format!("supported are {}", supported.join(", ")))
    })
}

fn check(importer: &Importer<'_>, node: &NodeView<'_>, operator: &Operator) -> Result<()> {
    let known: &[&str] = operator.attributes;
    node.check_attributes(known)?;
    Inputs(&vec![None; node.proto.input.len()]).at_most(operator.inputs)?;
    if node.int("training_mode", 0)? != 0 {
        return Err(ImportError::unsupported("it trains (its attribute `training_mode` is not 0)"));
    }
    match node.proto.output.iter().skip(operator.outputs).find(|name| !name.is_empty() && importer.uses(name) > 0) {
        Some(name) => Err(ImportError::unsupported(format!("its additional output `{name}` is not supported"))),
        None => Ok(()),
    }
}

/// The shape of an f32 operand.
fn float_shape(importer: &Importer<'_>, id: TensorId) -> Result<Vec<usize>> {
    let tensor = importer.tensor(id);
    match tensor.dtype {
        DType::F32 => Ok(tensor.shape.clone()),
        other => Err(ImportError::unsupported(format!("its input `{}` is {}, not f32", tensor.name, other.name()))),
    }
}

/// The extents of an f32 image.
fn image_shape(importer: &Importer<'_>, id: TensorId) -> Result<[usize; 4]> {
    float_shape(importer, id)?;
    extents(importer, id)
}

/// The extents of an image of any type.
fn extents(importer: &Importer<'_>, id: TensorId) -> Result<[usize; 4]> {
    let shape = &importer.tensor(id).shape;
    <[usize; 4]>::try_from(shape.as_slice()).map_err(|_| {
        let name = &importer.tensor(id).name;
        ImportError::unsupported(format!("its input `{name}` has rank {}; only rank 4 is supported", shape.len()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_unique() {
        let names: Vec<_> = supported_operators().collect();
        assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "{names:?}");
    }
}
