//! What can be wrong with an ONNX file: a kind for programs, a place, a cause and (where one is known) a remedy for people.

use std::fmt;

/// Whose fault a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A valid file, but with something that this frontend does not do.
    Unsupported,
    /// Not a valid ONNX file.
    Invalid,
    /// A file that cannot be read.
    Io,
}

/// One problem of a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ImportError {
    /// Whose fault it is.
    pub kind: ErrorKind,
    /// The node, tensor or file, as people know it: ``node `conv1` (Conv)``.
    pub place: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

impl ImportError {
    /// Something that is valid but not done.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::of(ErrorKind::Unsupported, message)
    }

    /// Something that no valid file has.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::of(ErrorKind::Invalid, message)
    }

    /// Something that could not be read.
    pub fn io(message: impl Into<String>) -> Self {
        Self::of(ErrorKind::Io, message)
    }

    fn of(kind: ErrorKind, message: impl Into<String>) -> Self {
        ImportError { kind, place: String::new(), message: message.into(), remedy: None }
    }

    /// Says where, unless a place nearer to the problem is known already.
    pub(crate) fn at(mut self, place: impl Into<String>) -> Self {
        if self.place.is_empty() {
            self.place = place.into();
        }
        self
    }

    /// Says what to do about it.
    pub(crate) fn help(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.place.is_empty() {
            write!(f, "{}: ", self.place)?;
        }
        f.write_str(&self.message)?;
        if let Some(remedy) = &self.remedy {
            write!(f, " (help: {remedy})")?;
        }
        Ok(())
    }
}
