//! External data: elements that lie in files beside the model, mapped once a file.
//!
//! Locations are relative to the model's folder and must not lead out of it. Checksums (`checksum` key) are not verified.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use bytes::Bytes;

use super::error::ImportError;
use super::proto::TensorProto;

/// The files beside a model.
pub(super) struct External {
    folder: Option<PathBuf>,
    files: BTreeMap<PathBuf, Bytes>,
}

impl External {
    pub(super) fn new(folder: Option<&Path>) -> Self {
        External { folder: folder.map(Path::to_path_buf), files: BTreeMap::new() }
    }

    /// Bytes of the files that were read from so far.
    pub(super) fn bytes(&self) -> usize {
        self.files.values().map(Bytes::len).sum()
    }

    /// The elements of `tensor`, which must be `expected` bytes.
    pub(super) fn read(&mut self, tensor: &TensorProto, expected: usize) -> Result<Bytes, ImportError> {
        let entry = |key: &str| tensor.external_data.iter().find(|e| e.key == key).map(|e| e.value.as_str());
        let location = entry("location").ok_or_else(|| ImportError::invalid("its external data have no location"))?;
        let number = |key: &str| -> Result<Option<usize>, ImportError> {
            let parse = |text: &str| text.trim().parse::<usize>().ok();
            match entry(key) {
                None => Ok(None),
                Some(text) => parse(text).map(Some).ok_or_else(|| {
                    ImportError::invalid(format!("the {key} `{text}` of its external data is not a byte count"))
                }),
            }
        };
        let offset = number("offset")?.unwrap_or(0);
        let length = number("length")?.unwrap_or(expected);
        if length != expected {
            return Err(ImportError::invalid(format!(
                "its shape and type need {expected} bytes, but its external data have {length}"
            )));
        }
        let file = self.file(location)?;
        match offset.checked_add(length) {
            Some(end) if end <= file.len() => Ok(file.slice(offset..end)),
            _ => Err(ImportError::invalid(format!(
                "its external data are bytes {offset} to {} of `{location}`, which has {}",
                offset.saturating_add(length),
                file.len()
            ))),
        }
    }

    fn file(&mut self, location: &str) -> Result<Bytes, ImportError> {
        let folder = self.folder.as_deref().ok_or_else(|| {
            ImportError::unsupported(format!(
                "its data lie in the external file `{location}`, but the model was read from memory"
            ))
        })?;
        let relative = Path::new(location);
        let inside = relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if location.is_empty() || !inside {
            return Err(ImportError::invalid(format!(
                "the external file `{location}` lies outside the model's folder"
            )));
        }
        let path = folder.join(relative);
        if let Some(bytes) = self.files.get(&path) {
            return Ok(bytes.clone());
        }
        let bytes = crate::mapped_file::map_file(&path)
            .map_err(|e| ImportError::io(format!("cannot read its external data from `{}`: {e}", path.display())))?;
        self.files.insert(path, bytes.clone());
        Ok(bytes)
    }
}
