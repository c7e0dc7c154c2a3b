//! Generated pages: their paths and contents. Tests beside each generator say when a page is stale.

use std::io;
use std::path::Path;

/// Path in the repository and contents of every generated page.
pub fn pages() -> Vec<(&'static str, String)> {
    vec![("docs/isa.md", systole_machine::isa::document::isa_markdown())]
}

/// Writes the pages under `root`; gives the paths of those that changed.
///
/// # Errors
/// A page cannot be written.
pub fn write(root: &Path) -> io::Result<Vec<&'static str>> {
    let mut changed = Vec::new();
    for (path, contents) in pages() {
        let file = root.join(path);
        if std::fs::read_to_string(&file).ok().as_ref() != Some(&contents) {
            std::fs::write(&file, contents)?;
            changed.push(path);
        }
    }
    Ok(changed)
}
