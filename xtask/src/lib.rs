//! Chores of the repository: [`docs`] writes the generated pages, [`tidy`] checks what the compiler cannot. Nothing of the product is here.

pub mod docs;
pub mod tidy;

use std::path::PathBuf;

/// The repository's root.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}
