//! Files as verbs write and read them: beside their place and renamed, so that nothing half-written is ever left behind.

use std::io::Write;
use std::path::Path;

use crate::problem::{Failure, Problem};

/// Reads a whole file.
///
/// # Errors
/// An input failure that names the file.
pub fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| cannot("read", path, &error))
}

/// Reads a whole text file.
///
/// # Errors
/// As [`read`], also for bytes that are not UTF-8.
pub fn read_text(path: &Path) -> Result<String, Failure> {
    String::from_utf8(read(path)?).map_err(|error| {
        let place = error.utf8_error().valid_up_to();
        Problem::new("this file is not text")
            .at(path.display().to_string())
            .because(format!("byte {place} is not UTF-8"))
            .into()
    })
}

/// Writes a file beside its place, then renames it.
///
/// # Errors
/// An input failure that names the file; nothing is left behind then.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    write_with(path, |file| file.write_all(bytes))
}

/// As [`write()`], by a function that fills the file.
///
/// # Errors
/// As [`write()`].
pub fn write_with(
    path: &Path,
    fill: impl FnOnce(&mut std::io::BufWriter<&mut std::fs::File>) -> std::io::Result<()>,
) -> Result<(), Failure> {
    let written = temporary(path).and_then(|mut file| {
        let mut writer = std::io::BufWriter::new(file.as_file_mut());
        fill(&mut writer)?;
        writer.flush()?;
        drop(writer);
        file.persist(path).map(drop).map_err(|error| error.error)
    });
    written.map_err(|error| cannot("write", path, &error))
}

/// Fails now if a file could not be written at `path` later. Meant to come before long work.
///
/// # Errors
/// As [`write()`].
pub fn check_writable(path: &Path) -> Result<(), Failure> {
    if path.is_dir() {
        return Err(Problem::new(format!("cannot write `{}`", path.display())).because("it is a directory").into());
    }
    temporary(path).map(drop).map_err(|error| cannot("write", path, &error))
}

/// Makes a directory for results and fails now if files cannot be written there later.
///
/// # Errors
/// An input failure that names the directory.
pub fn prepare_directory(path: &Path) -> Result<(), Failure> {
    let probed = std::fs::create_dir_all(path).and_then(|()| tempfile::NamedTempFile::new_in(path).map(drop));
    probed.map_err(|error| {
        Problem::new(format!("cannot write into the directory `{}`", path.display()))
            .because(error.to_string())
            .help("choose another directory with `--out`")
            .into()
    })
}

/// A new file in the directory of `path`, with the permissions of an ordinary one; it vanishes unless it is persisted.
fn temporary(path: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".systole-");
    // Temporary files are private by default; results are not.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

fn cannot(verb: &str, path: &Path, error: &std::io::Error) -> Failure {
    // The temporary file's name is in the error's text, and nobody's business.
    let cause = match error.raw_os_error() {
        Some(code) => std::io::Error::from_raw_os_error(code).to_string(),
        None => error.to_string(),
    };
    Problem::new(format!("cannot {verb} `{}`", path.display())).because(cause).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_writes_leave_nothing_and_keep_the_old_file() {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join("report.json");
        write(&path, b"old").expect("writable");
        let failed = write_with(&path, |file| {
            file.write_all(b"half")?;
            Err(std::io::Error::other("the disk is full"))
        });
        assert!(failed.is_err());
        assert_eq!(read(&path).expect("still there"), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).expect("readable").count(), 1);
    }

    #[test]
    fn unwritable_places_are_found_early() {
        let folder = tempfile::tempdir().expect("a directory");
        let file = folder.path().join("file");
        write(&file, b"").expect("writable");
        assert!(prepare_directory(&file.join("below")).is_err());
        assert!(check_writable(&file.join("below")).is_err());
        assert!(check_writable(folder.path()).is_err());
        assert!(check_writable(&folder.path().join("new")).is_ok());
    }
}
