//! What can go wrong when golden runs a graph.

use systole_network::tensor::DType;

/// Why a graph cannot be run.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GoldenError {
    /// No value was given for a graph input, or for an input of the single node to run.
    #[error("no value for tensor `{tensor}`")]
    MissingInput {
        /// The tensor's name.
        tensor: String,
    },
    /// A given value has another type or number of elements than its tensor.
    #[error("tensor `{tensor}` holds {expected_elements} x {}, the value given {elements} x {}", .expected.name(), .dtype.name())]
    InputMismatch {
        /// The tensor's name.
        tensor: String,
        /// Element type of the tensor.
        expected: DType,
        /// Number of elements of the tensor.
        expected_elements: usize,
        /// Element type of the value.
        dtype: DType,
        /// Number of elements of the value.
        elements: usize,
    },
    /// A constant whose contents the graph does not hold.
    #[error("the values of constant `{tensor}` are unknown")]
    UnknownConstant {
        /// The tensor's name.
        tensor: String,
    },
    /// A constant whose contents do not fit its shape and type.
    #[error("constant `{tensor}`: {reason}")]
    BadConstant {
        /// The tensor's name.
        tensor: String,
        /// What does not fit.
        reason: String,
    },
    /// An operator that this form of a graph does not have.
    #[error("node `{node}`: {op} does not exist in this form of the graph")]
    Unsupported {
        /// The node's name.
        node: String,
        /// The operator's name.
        op: &'static str,
    },
    /// A node whose tensors, attributes and shapes contradict each other.
    #[error("node `{node}`: {reason}")]
    Malformed {
        /// The node's name.
        node: String,
        /// The contradiction.
        reason: String,
    },
    /// The graph as a whole: a cycle, an index out of range, a tensor that nothing computes.
    #[error("graph: {reason}")]
    BadGraph {
        /// What is wrong.
        reason: String,
    },
}
