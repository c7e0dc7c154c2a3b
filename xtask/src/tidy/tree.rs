//! The repository as paths and texts, so that checks can be tried on made-up trees.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// Texts by path in the repository, `/` between folders.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    files: BTreeMap<String, String>,
}

impl Tree {
    /// Reads the `.rs`, `.md` and `Cargo.toml` files under `root`, but for hidden folders and `target`.
    ///
    /// # Errors
    /// A file or folder cannot be read.
    pub fn read(root: &Path) -> io::Result<Tree> {
        let mut tree = Tree::default();
        tree.read_folder(root, "")?;
        Ok(tree)
    }

    /// A tree of these files.
    pub fn of(files: &[(&str, &str)]) -> Tree {
        Tree { files: files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect() }
    }

    fn read_folder(&mut self, folder: &Path, prefix: &str) -> io::Result<()> {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{prefix}{name}");
            if entry.file_type()?.is_dir() {
                if !name.starts_with('.') && name != "target" {
                    self.read_folder(&entry.path(), &format!("{path}/"))?;
                }
            } else if name.ends_with(".rs") || name.ends_with(".md") || name == "Cargo.toml" {
                self.files.insert(path, std::fs::read_to_string(entry.path())?);
            }
        }
        Ok(())
    }

    /// The text of a file.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// Paths and texts of the Rust sources that people write.
    pub fn sources(&self) -> impl Iterator<Item = (&str, &str)> {
        let written = |text: &str| !text.lines().take(3).any(|line| line.contains("@generated"));
        self.files
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
            .filter(move |(path, text)| path.ends_with(".rs") && written(text))
    }

    /// The sources of a module: `stem.rs` and all under `stem/`.
    pub fn module(&self, stem: &str) -> impl Iterator<Item = (&str, &str)> {
        let (file, folder) = (format!("{stem}.rs"), format!("{stem}/"));
        self.sources().filter(move |(path, _)| *path == file || path.starts_with(&folder))
    }
}
