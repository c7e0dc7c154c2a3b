//! What can go wrong between a quantised graph and a program.

/// Whether the input is wrong, or beyond what is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The graph contradicts itself.
    Invalid,
    /// Meaningful, but not supported (yet, or by this machine).
    Unsupported,
    /// A defect of the compiler, found by its own checker.
    Internal,
}

/// One problem, at one node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{node}: {message}")]
pub struct CompileError {
    /// Kind.
    pub kind: ErrorKind,
    /// Name of the node or layer.
    pub node: String,
    /// What, why, what to do.
    pub message: String,
}

impl CompileError {
    /// A contradiction.
    pub fn invalid(node: &str, message: impl Into<String>) -> Self {
        CompileError { kind: ErrorKind::Invalid, node: node.to_owned(), message: message.into() }
    }

    /// A limit.
    pub fn unsupported(node: &str, message: impl Into<String>) -> Self {
        CompileError { kind: ErrorKind::Unsupported, node: node.to_owned(), message: message.into() }
    }

    /// A defect.
    pub fn internal(node: &str, message: impl Into<String>) -> Self {
        CompileError { kind: ErrorKind::Internal, node: node.to_owned(), message: message.into() }
    }
}
