//! Files as verbs write and read them: beside their place and renamed, so that nothing half-written is ever left behind.

use std::io::{Read, Write};
use std::path::Path;

use crate::problem::{Failure, Problem};

/// Reads a whole file.
///
/// # Errors
/// An input failure that names the file.
pub fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| cannot("read", path, &error))
}

/// Fails now if there is no readable file at `path`, for those that open it themselves and say less.
///
/// # Errors
/// As [`read`].
pub fn check_readable(path: &Path) -> Result<(), Failure> {
    match std::fs::File::open(path).and_then(|file| file.metadata()) {
        Ok(metadata) if metadata.is_dir() => {
            Err(Problem::new(format!("cannot read `{}`", path.display())).because("it is a directory").into())
        }
        Ok(_) => Ok(()),
        Err(error) => Err(cannot("read", path, &error)),
    }
}

/// Reads a whole text file.
///
/// # Errors
/// As [`read`], also for bytes that are not UTF-8.
pub fn read_text(path: &Path) -> Result<String, Failure> {
    text(read(path)?, &path.display().to_string())
}

/// Reads all of standard input as text.
///
/// # Errors
/// As [`read_text`].
pub fn read_standard_input() -> Result<String, Failure> {
    const NAME: &str = "standard input";
    let mut bytes = vec![];
    std::io::stdin().lock().read_to_end(&mut bytes).map_err(|error| cannot("read", Path::new(NAME), &error))?;
    text(bytes, NAME)
}

fn text(bytes: Vec<u8>, name: &str) -> Result<String, Failure> {
    String::from_utf8(bytes).map_err(|error| {
        let place = error.utf8_error().valid_up_to();
        Problem::new("this file is not text").at(name).because(format!("byte {place} is not UTF-8")).into()
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

/// Writes several files into a directory: all of them beside their places first, so that a failure leaves none.
///
/// # Errors
/// As [`write()`].
pub fn write_all(folder: &Path, contents: &[(&str, &[u8])]) -> Result<(), Failure> {
    let mut waiting = Vec::new();
    for (name, bytes) in contents {
        let path = folder.join(name);
        if path.is_dir() {
            return Err(Problem::new(format!("cannot write `{}`", path.display())).because("it is a directory").into());
        }
        let written = temporary(&path).and_then(|mut file| file.write_all(bytes).map(|()| file));
        waiting.push((written.map_err(|error| cannot("write", &path, &error))?, path));
    }
    for (file, path) in waiting {
        file.persist(&path).map_err(|error| cannot("write", &path, &error.error))?;
    }
    Ok(())
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

/// As [`check_writable`], for an archive of tensors: a name that promises one bare array would mislead those who read it.
///
/// # Errors
/// As [`check_writable`]; a name that ends in `.npy`.
pub fn check_archive(path: &Path) -> Result<(), Failure> {
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("npy")) {
        return Err(Problem::new(format!("cannot write `{}` as a `.npy` file", path.display()))
            .because("tensors are written with their names, as an `.npz` archive")
            .help("let the name end in `.npz`")
            .into());
    }
    check_writable(path)
}

/// Makes a directory for results and fails now if files cannot be written there later.
///
/// # Errors
/// An input failure that names the directory.
pub fn prepare_directory(path: &Path) -> Result<(), Failure> {
    let probed = std::fs::create_dir_all(path).and_then(|()| tempfile::NamedTempFile::new_in(path).map(drop));
    probed.map_err(|error| {
        Problem::new(format!("cannot write into the directory `{}`", path.display()))
            .because(cause(&error))
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
    let problem = Problem::new(format!("cannot {verb} `{}`", path.display())).because(cause(error));
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists());
    match folder {
        Some(folder) if verb == "write" => {
            problem.help(format!("there is no directory `{}`: make it first", folder.display())).into()
        }
        _ => problem.into(),
    }
}

/// The system's words alone: the name of a temporary file is nobody's business.
fn cause(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" at path ").next().unwrap_or_default().to_owned()
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
    fn several_files_are_written_all_or_none() {
        let folder = tempfile::tempdir().expect("a directory");
        let names = || {
            let entries = std::fs::read_dir(folder.path()).expect("readable");
            entries.map(|entry| entry.expect("an entry").file_name()).collect::<std::collections::BTreeSet<_>>()
        };
        std::fs::create_dir(folder.path().join("b")).expect("writable");
        assert!(write_all(folder.path(), &[("a", b"1"), ("b", b"2")]).is_err());
        assert_eq!(names(), ["b".into()].into());
        write_all(folder.path(), &[("a", b"1"), ("c", b"2")]).expect("writable");
        assert_eq!(names(), ["a".into(), "b".into(), "c".into()].into());
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

    #[test]
    fn messages_name_the_file_that_was_asked_for_and_no_other() {
        let folder = tempfile::tempdir().expect("a directory");
        let nowhere = folder.path().join("nowhere");
        let told = write(&nowhere.join("file"), b"").expect_err("no such directory").render();
        assert!(told.contains("nowhere/file`") && told.contains("make it first"), "{told}");
        assert!(!told.contains(".systole-") && !told.contains("at path"), "{told}");
        assert!(check_readable(folder.path()).expect_err("a directory").render().contains("it is a directory"));
        assert!(check_readable(&nowhere).expect_err("nothing").render().contains("nowhere`"));
    }
}
