//! The state of one import: tensors by name, the graph so far, the errors so far.
//!
//! A name whose maker failed is *poisoned*: its readers are skipped without a word, so that each problem is reported once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use systole_network::graph::{Form, Graph, Node, NodeId};
use systole_network::op::Op;
use systole_network::tensor::{DType, Data, Quant, Tensor, TensorId, f32_of_bytes};

use super::ImportOptions;
use super::attributes::NodeView;
use super::constants::{self, decode};
use super::error::ImportError;
use super::external::External;
use super::operands::Reform;
use super::proto::{GraphProto, TensorProto, ValueInfoProto};

/// Copies of constants that every file may ask for, in bytes, besides twice its own size.
const SMALL_COPIES: usize = 64 << 20;

pub(super) type Result<T> = std::result::Result<T, ImportError>;

/// Why an input could not be had.
pub(super) enum Missing {
    /// Whoever should have made it failed; that has been reported.
    Poisoned,
    /// To be reported.
    Error(ImportError),
}

pub(super) struct Importer<'a> {
    pub(super) graph: Graph,
    pub(super) errors: Vec<ImportError>,
    initializers: BTreeMap<&'a str, &'a TensorProto>,
    /// `None` is poisoned.
    known: BTreeMap<String, Option<TensorId>>,
    /// Readers of each name, graph outputs included.
    uses: BTreeMap<&'a str, usize>,
    pub(super) producers: BTreeMap<TensorId, NodeId>,
    /// Every name that the file or this import gave to a tensor.
    tensor_names: BTreeSet<String>,
    node_names: BTreeSet<String>,
    external: External,
    file_bytes: usize,
    /// Bytes of constants that this import made itself: a small file must not ask for gigabytes of copies.
    copied: usize,
    /// Copies of shared constants in another form.
    pub(super) reformed: BTreeMap<(TensorId, Reform), TensorId>,
}

impl<'a> Importer<'a> {
    pub(super) fn new(proto: &'a GraphProto, name: &str, folder: Option<&Path>, file_bytes: usize) -> Self {
        let mut uses: BTreeMap<&str, usize> = BTreeMap::new();
        let mut tensor_names = BTreeSet::new();
        for node in &proto.node {
            node.input.iter().for_each(|input| *uses.entry(input).or_default() += 1);
            tensor_names.extend(node.output.iter().cloned());
        }
        proto.output.iter().for_each(|output| *uses.entry(&output.name).or_default() += 1);
        tensor_names.extend(proto.initializer.iter().map(|t| t.name.clone()));
        tensor_names.extend(proto.input.iter().map(|t| t.name.clone()));
        Importer {
            graph: Graph::new(name, Form::Imported),
            errors: vec![],
            initializers: proto.initializer.iter().map(|t| (t.name.as_str(), t)).collect(),
            known: BTreeMap::new(),
            uses,
            producers: BTreeMap::new(),
            tensor_names,
            node_names: BTreeSet::new(),
            external: External::new(folder),
            file_bytes,
            copied: 0,
            reformed: BTreeMap::new(),
        }
    }

    pub(super) fn is_initializer(&self, name: &str) -> bool {
        self.initializers.contains_key(name)
    }

    pub(super) fn uses(&self, name: &str) -> usize {
        self.uses.get(name).copied().unwrap_or(0)
    }

    /// Accounts for a constant that is about to be made in another form.
    pub(super) fn take_copy(&mut self, bytes: usize) -> Result<()> {
        let allowed = (self.file_bytes + self.external.bytes()).saturating_mul(2).saturating_add(SMALL_COPIES);
        self.copied = self.copied.saturating_add(bytes);
        if self.copied > allowed {
            return Err(ImportError::unsupported(
                "transposed, repeated and quantised constants are several times as large as the file",
            ));
        }
        Ok(())
    }

    pub(super) fn tensor(&self, id: TensorId) -> &Tensor {
        self.graph.tensor(id)
    }

    /// Records that nobody should complain about a missing `name` any more.
    pub(super) fn poison(&mut self, name: &str) {
        self.known.entry(name.to_owned()).or_insert(None);
    }

    /// Adds a tensor that later nodes may read by its name.
    pub(super) fn define(&mut self, tensor: Tensor) -> Result<TensorId> {
        if self.known.get(&tensor.name).is_some_and(Option::is_some) || self.is_initializer(&tensor.name) {
            return Err(ImportError::invalid(format!("the tensor `{}` is made twice", tensor.name)));
        }
        let name = tensor.name.clone();
        let id = self.graph.add_tensor(tensor);
        self.known.insert(name, Some(id));
        Ok(id)
    }

    /// The tensor of this name; initializers are read on first use.
    pub(super) fn lookup(&mut self, name: &str) -> std::result::Result<TensorId, Missing> {
        match self.known.get(name) {
            Some(Some(id)) => return Ok(*id),
            Some(None) => return Err(Missing::Poisoned),
            None => {}
        }
        let Some(proto) = self.initializers.get(name) else {
            return Err(Missing::Error(ImportError::invalid(format!(
                "no earlier node, input or initializer makes `{name}`"
            ))));
        };
        match decode(proto, name, &mut self.external) {
            Ok(tensor) => {
                let id = self.graph.add_tensor(tensor);
                self.known.insert(name.to_owned(), Some(id));
                Ok(id)
            }
            Err(error) => {
                self.known.insert(name.to_owned(), None);
                Err(Missing::Error(error.at(format!("initializer `{name}`"))))
            }
        }
    }

    /// A constant that a node holds in an attribute, under the name of the node's output.
    pub(super) fn define_constant(&mut self, proto: &TensorProto, name: &str) -> Result<()> {
        let tensor = decode(proto, name, &mut self.external)?;
        self.define(tensor).map(|_| ())
    }

    /// Adds a node with one f32 output.
    pub(super) fn emit(&mut self, node: &NodeView<'_>, op: Op, inputs: Vec<TensorId>, shape: Vec<usize>) -> Result<()> {
        self.emit_typed(node, op, inputs, shape, DType::F32, None)
    }

    /// Adds a node with one output.
    pub(super) fn emit_typed(
        &mut self,
        node: &NodeView<'_>,
        op: Op,
        inputs: Vec<TensorId>,
        shape: Vec<usize>,
        dtype: DType,
        quant: Option<Quant>,
    ) -> Result<()> {
        let output = node.proto.output.first().filter(|name| !name.is_empty());
        let output = output.ok_or_else(|| ImportError::invalid("it has no output"))?;
        self.emit_as(node, node.name(), op, inputs, Tensor { name: output.clone(), shape, dtype, quant, data: None })
    }

    /// Adds a node of this name that makes `output`, one of those that the file's node has.
    pub(super) fn emit_as(
        &mut self,
        node: &NodeView<'_>,
        name: &str,
        op: Op,
        inputs: Vec<TensorId>,
        output: Tensor,
    ) -> Result<()> {
        check_made_shape(&op, &output.shape)?;
        let id = self.define(output)?;
        self.add_node(name, op, inputs, id, vec![node.name().to_owned()]);
        Ok(())
    }

    pub(super) fn add_node(
        &mut self,
        name: &str,
        op: Op,
        inputs: Vec<TensorId>,
        output: TensorId,
        origins: Vec<String>,
    ) {
        let name = fresh(&self.node_names, name);
        self.node_names.insert(name.clone());
        let id = self.graph.add_node(Node { name, op, inputs, outputs: vec![output], clamp: None, origins });
        self.producers.insert(output, id);
    }

    /// A tensor name that nobody has.
    pub(super) fn fresh_tensor_name(&mut self, base: &str) -> String {
        let name = fresh(&self.tensor_names, base);
        self.tensor_names.insert(name.clone());
        name
    }

    /// The elements of an f32 constant.
    pub(super) fn floats(&self, id: TensorId, what: &str) -> Result<Vec<f32>> {
        let tensor = self.tensor(id);
        match (&tensor.data, tensor.dtype) {
            (Some(Data::Stored(bytes)), DType::F32) => Ok(f32_of_bytes(bytes)),
            (Some(_), other) => {
                Err(ImportError::invalid(format!("its {what} `{}` is {}, not f32", tensor.name, other.name())))
            }
            (None, _) => Err(ImportError::unsupported(format!("its {what} `{}` is not a constant", tensor.name))),
        }
    }

    /// The elements of an integer constant.
    pub(super) fn integers(&self, id: TensorId, what: &str) -> Result<Vec<i64>> {
        let tensor = self.tensor(id);
        let Some(Data::Stored(bytes)) = &tensor.data else {
            return Err(ImportError::unsupported(format!("its {what} `{}` is not a constant", tensor.name)));
        };
        let wide = |chunk: &[u8]| chunk.iter().rev().fold(0u64, |v, &b| v << 8 | u64::from(b));
        match tensor.dtype {
            DType::I64 => Ok(bytes.chunks_exact(8).map(|b| wide(b) as i64).collect()),
            DType::I32 => Ok(bytes.chunks_exact(4).map(|b| i64::from(wide(b) as i32)).collect()),
            DType::I16 => Ok(bytes.chunks_exact(2).map(|b| i64::from(wide(b) as i16)).collect()),
            DType::I8 | DType::I4 | DType::I2 | DType::L2 | DType::B1 => {
                Ok(bytes.iter().map(|&b| i64::from(b as i8)).collect())
            }
            DType::U16 => Ok(bytes.chunks_exact(2).map(|b| wide(b) as i64).collect()),
            DType::U32 => Ok(bytes.chunks_exact(4).map(|b| wide(b) as i64).collect()),
            DType::U64 => bytes
                .chunks_exact(8)
                .map(|b| i64::try_from(wide(b)).map_err(|_| ImportError::invalid(format!("its {what} is too large"))))
                .collect(),
            DType::U8 | DType::U4 | DType::U2 => Ok(bytes.iter().map(|&b| i64::from(b)).collect()),
            DType::Bool => Err(ImportError::invalid(format!("its {what} `{}` is bool", tensor.name))),
            DType::F32 => Err(ImportError::invalid(format!("its {what} `{}` is f32, not an integer", tensor.name))),
        }
    }

    /// Declares a graph input that is not an initializer.
    pub(super) fn add_input(&mut self, info: &ValueInfoProto, options: &ImportOptions) -> Result<()> {
        let tensor_type = info.type_.as_ref().and_then(|t| t.tensor_type.as_ref());
        let tensor_type = tensor_type.ok_or_else(|| ImportError::unsupported("it is not a tensor"))?;
        let dtype = constants::dtype(tensor_type.elem_type)?;
        let stated = tensor_type.shape.as_ref().map(|s| s.dim.as_slice());
        let shape = match (options.shapes.get(&info.name), stated) {
            (Some(given), Some(dims)) if given.len() != dims.len() => {
                return Err(ImportError::invalid(format!(
                    "the given shape {given:?} does not have its rank {}",
                    dims.len()
                )));
            }
            (Some(given), _) => given.clone(),
            (None, Some(dims)) => dims.iter().enumerate().map(|(axis, d)| extent(axis, d)).collect::<Result<_>>()?,
            (None, None) => return Err(unknown_extent("its rank is unknown")),
        };
        check_activation_shape(&shape, MAX_RANK)?;
        let id = self.define(Tensor { name: info.name.clone(), shape, dtype, quant: None, data: None })?;
        self.graph.inputs.push(id);
        Ok(())
    }
}

/// `base`, or `base#n` for the first free n from the number of names on (so that a file of equal names costs no search).
fn fresh(taken: &BTreeSet<String>, base: &str) -> String {
    let numbered = (taken.len()..).map(|n| format!("{base}#{n}"));
    std::iter::once(base.to_owned()).chain(numbered).find(|name| !taken.contains(name)).unwrap_or_default()
}

fn extent(axis: usize, dim: &super::proto::DimensionProto) -> Result<usize> {
    match dim.dim_value {
        Some(value) if value > 0 => usize::try_from(value).map_err(|_| ImportError::invalid("an extent is too large")),
        _ if axis == 0 => Ok(1),
        _ => Err(unknown_extent(&match &dim.dim_param {
            Some(name) => format!("its extent `{name}` (axis {axis}) is unknown"),
            None => format!("its extent of axis {axis} is unknown"),
        })),
    }
}

fn unknown_extent(message: &str) -> ImportError {
    ImportError::unsupported(message).help("give its shape, for example `--shape NAME=1x3x224x224`")
}

/// Rank of a batch of images.
const IMAGE_RANK: usize = 4;

/// Rank to which operators that only move values, or treat each alone, may go: a channel shuffle has 5.
const MAX_RANK: usize = 8;

fn any_rank(op: &Op) -> bool {
    let each = matches!(
        op,
        Op::Quantize
            | Op::Dequantize
            | Op::Relu
            | Op::Clip { .. }
            | Op::Function(_)
            | Op::PRelu
            | Op::Cast
            | Op::ReduceMean { .. }
    );
    op.only_moves() || each || op.is_arithmetic()
}

/// Whether the graph can hold what `op` makes.
pub(super) fn check_made_shape(op: &Op, shape: &[usize]) -> Result<()> {
    if shape.is_empty() && *op == Op::Reshape {
        return Ok(());
    }
    check_activation_shape(shape, if any_rank(op) { MAX_RANK } else { IMAGE_RANK })
}

fn check_activation_shape(shape: &[usize], most: usize) -> Result<()> {
    let size = constants::elements(shape)?;
    if size == 0 {
        return Err(ImportError::unsupported(format!("a tensor of shape {shape:?} has no elements")));
    }
    if shape.is_empty() || shape.len() > most {
        return Err(ImportError::unsupported(format!(
            "a tensor of rank {} (shape {shape:?}); ranks 1 to {most} are supported here",
            shape.len()
        )));
    }
    Ok(())
}
