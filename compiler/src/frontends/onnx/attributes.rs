//! A node as the operators see it: attributes by name and type, and how to name the node to people.

use super::error::ImportError;
use super::proto::{AttributeProto, NodeProto, TensorProto, attribute_type};

type Result<T> = std::result::Result<T, ImportError>;

/// A node and the operator set that gives it its meaning.
#[derive(Clone, Copy)]
pub(super) struct NodeView<'a> {
    pub(super) proto: &'a NodeProto,
    pub(super) opset: i64,
}

impl<'a> NodeView<'a> {
    /// ``node `conv1` (Conv)``; a nameless node goes by its first output.
    pub(super) fn place(&self) -> String {
        format!("node `{}` ({})", self.name(), self.proto.op_type)
    }

    /// The node's name, or that of its first output.
    pub(super) fn name(&self) -> &'a str {
        let first_output = self.proto.output.first().map_or("", String::as_str);
        if self.proto.name.is_empty() { first_output } else { &self.proto.name }
    }

    /// Refuses attributes outside `known`: what is not understood may change the result.
    pub(super) fn check_attributes(&self, known: &[&str]) -> Result<()> {
        match self.proto.attribute.iter().find(|a| !known.contains(&a.name.as_str())) {
            Some(a) => Err(ImportError::unsupported(format!("its attribute `{}` is not supported", a.name))),
            None => Ok(()),
        }
    }

    fn find(&self, name: &str, kind: i32) -> Result<Option<&'a AttributeProto>> {
        match self.proto.attribute.iter().find(|a| a.name == name) {
            // Writers before ONNX 1.1 left the kind out.
            Some(a) if a.kind != kind && a.kind != 0 => {
                Err(ImportError::invalid(format!("its attribute `{name}` has the wrong type")))
            }
            found => Ok(found),
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.proto.attribute.iter().any(|a| a.name == name)
    }

    pub(super) fn int(&self, name: &str, default: i64) -> Result<i64> {
        Ok(self.find(name, attribute_type::INT)?.map_or(default, |a| a.i))
    }

    pub(super) fn float(&self, name: &str, default: f32) -> Result<f32> {
        Ok(self.find(name, attribute_type::FLOAT)?.map_or(default, |a| a.f))
    }

    pub(super) fn ints(&self, name: &str) -> Result<Option<&'a [i64]>> {
        Ok(self.find(name, attribute_type::INTS)?.map(|a| a.ints.as_slice()))
    }

    pub(super) fn floats(&self, name: &str) -> Result<Option<&'a [f32]>> {
        Ok(self.find(name, attribute_type::FLOATS)?.map(|a| a.floats.as_slice()))
    }

    pub(super) fn tensor(&self, name: &str) -> Result<Option<&'a TensorProto>> {
        Ok(self.find(name, attribute_type::TENSOR)?.and_then(|a| a.t.as_ref()))
    }

    pub(super) fn string(&self, name: &str, default: &'static str) -> Result<&'a str> {
        match self.find(name, attribute_type::STRING)? {
            None => Ok(default),
            Some(a) => std::str::from_utf8(&a.s)
                .map_err(|_| ImportError::invalid(format!("its attribute `{name}` is not text"))),
        }
    }

    /// Refuses a value other than the only one that is done.
    pub(super) fn expect_int(&self, name: &str, only: i64) -> Result<()> {
        match self.int(name, only)? {
            value if value == only => Ok(()),
            value => {
                Err(ImportError::unsupported(format!("its attribute `{name}` is {value}; only {only} is supported")))
            }
        }
    }

    /// Two positive integers, or `default`.
    pub(super) fn pair(&self, name: &str, default: [usize; 2]) -> Result<[usize; 2]> {
        let Some(ints) = self.ints(name)? else {
            return Ok(default);
        };
        let values = self.extents(name, ints, 1)?;
        <[usize; 2]>::try_from(values).map_err(|_| {
            ImportError::unsupported(format!(
                "its attribute `{name}` has {} values; two-dimensional windows have 2",
                ints.len()
            ))
        })
    }

    /// As many positive integers as there are spatial axes, or `default` for each.
    pub(super) fn spatial(&self, name: &str, axes: usize, default: i64) -> Result<Vec<i64>> {
        let Some(ints) = self.ints(name)? else {
            return Ok(vec![default; axes]);
        };
        self.extents(name, ints, 0)?;
        if ints.len() == axes {
            return Ok(ints.to_vec());
        }
        Err(ImportError::invalid(format!("its attribute `{name}` has {} values, not {axes}", ints.len())))
    }

    /// 0 or 1.
    pub(super) fn flag(&self, name: &str) -> Result<bool> {
        match self.int(name, 0)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(ImportError::invalid(format!("its attribute `{name}` is {other}"))),
        }
    }

    /// Four integers from 0 up, or zeros.
    pub(super) fn pads(&self) -> Result<[usize; 4]> {
        let Some(ints) = self.ints("pads")? else {
            return Ok([0; 4]);
        };
        let values = self.extents("pads", ints, 0)?;
        <[usize; 4]>::try_from(values).map_err(|_| {
            ImportError::unsupported(format!(
                "its attribute `pads` has {} values; two-dimensional windows have 4",
                ints.len()
            ))
        })
    }

    /// Integers from `least` to 2^31: products of two never overflow.
    fn extents(&self, name: &str, ints: &[i64], least: i64) -> Result<Vec<usize>> {
        match ints.iter().find(|v| !(least..=1 << 31).contains(*v)) {
            Some(v) => Err(ImportError::invalid(format!("its attribute `{name}` has the value {v}"))),
            None => Ok(ints.iter().map(|&v| v as usize).collect()),
        }
    }

    /// An axis attribute, counted from the front.
    pub(super) fn axis(&self, default: i64, rank: usize) -> Result<usize> {
        normalise_axis(self.int("axis", default)?, rank)
    }
}

/// Counts an axis from the front. `rank` itself is not an axis.
pub(super) fn normalise_axis(axis: i64, rank: usize) -> Result<usize> {
    let counted = if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
    match usize::try_from(counted) {
        Ok(counted) if counted < rank => Ok(counted),
        _ => Err(ImportError::invalid(format!("its axis {axis} does not exist in a tensor of rank {rank}"))),
    }
}
