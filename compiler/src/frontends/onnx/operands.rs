//! Constant operands in the graph's own form: per-channel vectors as `[c]`, fully connected weights as `[n_out, k]`.
//!
//! A constant may stand behind a Dequantize; then its integers are brought into the form and the Dequantize follows. A constant that
//! others read too is copied.

use bytes::Bytes;
use systole_network::graph::NodeId;
use systole_network::op::Op;
use systole_network::tensor::{Data, Tensor, TensorId};

use super::error::ImportError;
use super::importer::{Importer, Result};

/// Largest vector that a scalar is repeated to; more channels than any network has, and small.
const MAX_REPEATED: usize = 1 << 20;

/// The form wanted of a constant.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reform {
    /// `[c]`, from any shape of c elements, or one element repeated.
    Channels(usize),
    /// `[n, k]` from `[k, n]`.
    Transposed,
    /// `[m, c, 1, k]` from `[m, c, k]`: a line is an image of one row.
    OneRow,
    /// Axes of length 1 in front, up to this rank.
    Rank(usize),
}

impl Reform {
    fn suffix(self) -> &'static str {
        match self {
            Reform::Channels(_) => "channels",
            Reform::Transposed => "transposed",
            Reform::OneRow => "one_row",
            Reform::Rank(_) => "rank",
        }
    }
}

impl Importer<'_> {
    /// The Dequantize node that makes `id` from a constant.
    fn dequantize_of_constant(&self, id: TensorId) -> Option<NodeId> {
        let &node = self.producers.get(&id)?;
        let made = self.graph.node(node);
        let constant = made.op == Op::Dequantize && made.inputs.first().is_some_and(|&x| self.tensor(x).data.is_some());
        constant.then_some(node)
    }

    /// Whether `id` is a constant, possibly behind a Dequantize.
    pub(super) fn is_constant(&self, id: TensorId) -> bool {
        self.tensor(id).data.is_some() || self.dequantize_of_constant(id).is_some()
    }

    /// The constant `id` in another form; `id` itself when nobody else reads it.
    pub(super) fn reformed(&mut self, id: TensorId, reform: Reform) -> Result<TensorId> {
        if let Some(&made) = self.reformed.get(&(id, reform)) {
            return Ok(made);
        }
        let made = match self.dequantize_of_constant(id) {
            Some(node) => self.reform_dequantized(id, node, reform)?,
            None => self.reform_stored(id, reform)?,
        };
        self.reformed.insert((id, reform), made);
        Ok(made)
    }

    /// The transposed of `[k, n]` elements from `first` on of a constant that may stand behind a Dequantize of one scale.
    pub(super) fn transposed_part(&mut self, id: TensorId, first: usize, [k, n]: [usize; 2]) -> Result<TensorId> {
        let node = self.dequantize_of_constant(id);
        let source = node.map_or(id, |node| self.graph.node(node).inputs[0]);
        let old = self.tensor(source);
        let (element, one_scale) = (old.dtype.bytes(), old.quant.as_ref().is_none_or(|quant| quant.axis.is_none()));
        let Some(Data::Stored(bytes)) = old.data.as_ref().filter(|_| one_scale) else {
            let message = format!("its operand `{}` is not a constant of one scale", old.name);
            return Err(ImportError::unsupported(message));
        };
        let range = first * element..(first + k * n) * element;
        let bytes = bytes.get(range).map(|bytes| transposed(bytes, k, n, element));
        let bytes = bytes.ok_or_else(|| ImportError::invalid("its weights are fewer than their shape says"))?;
        self.take_copy(bytes.len())?;
        let mut part = Tensor { shape: vec![n, k], data: Some(Data::Stored(bytes)), ..self.tensor(source).clone() };
        part.name = self.fresh_tensor_name(&format!("{}:part", part.name));
        let made = self.graph.add_tensor(part);
        let Some(node) = node else { return Ok(made) };
        let name = self.fresh_tensor_name(&format!("{}:part", self.tensor(id).name));
        let output = self.graph.add_tensor(Tensor { name, shape: vec![n, k], ..self.tensor(id).clone() });
        let (name, origins) = (self.graph.node(node).name.clone(), self.graph.node(node).origins.clone());
        self.add_node(&name, Op::Dequantize, vec![made], output, origins);
        Ok(output)
    }

    fn reform_stored(&mut self, id: TensorId, reform: Reform) -> Result<TensorId> {
        let old = self.tensor(id);
        let elements = if let Reform::Channels(c) = reform { c } else { old.elements() };
        let bytes = elements.saturating_mul(old.dtype.bytes());
        self.take_copy(bytes)?;
        let mut changed = reform_tensor(self.tensor(id), reform)?;
        if self.uses(&changed.name) <= 1 {
            self.graph.tensors[id.0 as usize] = changed;
            return Ok(id);
        }
        changed.name = self.fresh_tensor_name(&format!("{}:{}", changed.name, reform.suffix()));
        Ok(self.graph.add_tensor(changed))
    }

    fn reform_dequantized(&mut self, id: TensorId, node: NodeId, reform: Reform) -> Result<TensorId> {
        let alone = self.uses(&self.tensor(id).name) <= 1;
        let integers = self.reformed(self.graph.node(node).inputs[0], reform)?;
        let shape = self.tensor(integers).shape.clone();
        if alone {
            self.graph.nodes[node.0 as usize].inputs[0] = integers;
            self.graph.tensors[id.0 as usize].shape = shape;
            return Ok(id);
        }
        let mut copy = Tensor { shape, ..self.tensor(id).clone() };
        copy.name = self.fresh_tensor_name(&format!("{}:{}", copy.name, reform.suffix()));
        let output = self.graph.add_tensor(copy);
        let (name, origins) = (self.graph.node(node).name.clone(), self.graph.node(node).origins.clone());
        self.add_node(&name, Op::Dequantize, vec![integers], output, origins);
        Ok(output)
    }
}

fn reform_tensor(tensor: &Tensor, reform: Reform) -> Result<Tensor> {
    let Some(Data::Stored(bytes)) = &tensor.data else {
        return Err(ImportError::unsupported(format!("its operand `{}` is not a constant", tensor.name)));
    };
    let element = tensor.dtype.bytes();
    let (shape, axis, bytes) = match (reform, tensor.shape.as_slice()) {
        (Reform::Channels(c), _) if tensor.elements() == c => (vec![c], Some(0), bytes.clone()),
        (Reform::Channels(c), _) if tensor.elements() == 1 && c <= MAX_REPEATED => {
            (vec![c], Some(0), Bytes::from(bytes.repeat(c)))
        }
        (Reform::Transposed, &[k, n]) => {
            let axis = tensor.quant.as_ref().and_then(|q| q.axis).map(|axis| 1 - axis.min(1));
            (vec![n, k], axis, transposed(bytes, k, n, element))
        }
        (Reform::OneRow, &[m, c, k]) => {
            (vec![m, c, 1, k], tensor.quant.as_ref().and_then(|q| q.axis).filter(|&axis| axis < 2), bytes.clone())
        }
        (Reform::Rank(rank), shape) if shape.len() <= rank => {
            let added = rank - shape.len();
            let axis = tensor.quant.as_ref().and_then(|q| q.axis).map(|axis| axis + added);
            (std::iter::repeat_n(1, added).chain(shape.iter().copied()).collect(), axis, bytes.clone())
        }
        (_, shape) => {
            return Err(ImportError::unsupported(format!("its operand `{}` has the shape {shape:?}", tensor.name)));
        }
    };
    let mut quant = tensor.quant.clone();
    if let Some(quant) = &mut quant {
        quant.axis = quant.axis.and(axis);
    }
    Ok(Tensor { name: tensor.name.clone(), shape, dtype: tensor.dtype, quant, data: Some(Data::Stored(bytes)) })
}

/// `[n, k]` from `[k, n]`, elements of `element` bytes.
fn transposed(bytes: &[u8], k: usize, n: usize, element: usize) -> Bytes {
    let mut out = Vec::with_capacity(bytes.len());
    for column in 0..n {
        for row in 0..k {
            let at = (row * n + column) * element;
            out.extend_from_slice(&bytes[at..at + element]);
        }
    }
    Bytes::from(out)
}
