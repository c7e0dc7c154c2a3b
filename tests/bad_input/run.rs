//! The built program in a process of its own: exit code, messages, time and memory.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Longer than any run here on a loaded computer; they take milliseconds.
const DEADLINE: Duration = Duration::from_secs(60);

/// Address space of a run, KiB: what the program maps before it has read anything, and far below the sizes that bad files claim.
const MEMORY_KIB: u64 = 512 << 10;

/// How a run ended.
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stderr: String,
}

/// A directory for one test.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Folder(tempfile::tempdir().expect("a directory"))
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().expect("UTF-8").to_owned()
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::write(&path, bytes).expect("writable");
        path
    }

    /// All files in it and below.
    pub(crate) fn files(&self) -> BTreeSet<PathBuf> {
        fn visit(folder: &Path, found: &mut BTreeSet<PathBuf>) {
            for entry in std::fs::read_dir(folder).expect("readable") {
                let path = entry.expect("readable").path();
                if path.is_dir() {
                    visit(&path, found);
                } else {
                    found.insert(path);
                }
            }
        }
        let mut found = BTreeSet::new();
        visit(self.0.path(), &mut found);
        found
    }
}

/// Runs the program, on one thread and in bounded memory; a failed run says why and leaves no new file in the folder.
pub(crate) fn systole(folder: &Folder, arguments: &[&str]) -> Ended {
    let before = folder.files();
    let mut stderr = tempfile::tempfile().expect("a file");
    let status = finish(command(arguments), &stderr);
    let mut text = String::new();
    stderr.rewind().expect("a file");
    stderr.read_to_string(&mut text).expect("messages are UTF-8");
    let Some(code) = status.code() else { panic!("{arguments:?} ended by a signal, {status}: {text}") };
    assert!((0..=3).contains(&code), "{arguments:?} ended with {code}: {text}");
    assert!(!text.contains("panicked"), "{arguments:?}: {text}");
    if code != 0 {
        assert!(text.contains("error: "), "{arguments:?} failed without a reason: {text}");
        assert_eq!(folder.files(), before, "{arguments:?} failed and left a file");
    }
    Ended { code, stderr: text }
}

/// The message of a run that must fail as bad input.
pub(crate) fn refused(folder: &Folder, arguments: &[&str]) -> String {
    let ended = systole(folder, arguments);
    assert_eq!(ended.code, 2, "{arguments:?}: {}", ended.stderr);
    ended.stderr
}

/// All of these stand in the message of a run that must fail as bad input.
pub(crate) fn refused_with(folder: &Folder, arguments: &[&str], expected: &[&str]) {
    let stderr = refused(folder, arguments);
    for text in expected {
        assert!(stderr.contains(text), "{arguments:?} should say `{text}`: {stderr}");
    }
}

fn command(arguments: &[&str]) -> Command {
    let program = env!("CARGO_BIN_EXE_systole");
    let mut command = if cfg!(target_os = "linux") {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("ulimit -v {MEMORY_KIB} && exec \"$@\""), "sh", program]);
        shell
    } else {
        Command::new(program)
    };
    command.args(arguments).args(["--threads", "1"]);
    command
}

fn finish(mut command: Command, stderr: &File) -> ExitStatus {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr.try_clone().expect("a file"));
    let mut child = command.spawn().expect("the program starts");
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("a child") {
            return status;
        }
        if start.elapsed() > DEADLINE {
            child.kill().expect("a child");
            panic!("{command:?} still ran after {DEADLINE:?}");
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
