//! From a machine to a library with its verilated array; kept under `target/rtl-cosim` by the text that it was made from.

use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use systole_machine::spec::Machine;
use systole_rtl::{File, Parameters, TOP, Unsupported, design};

/// Why there is no model.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The RTL does not model it.
    #[error("the RTL does not model {0}")]
    Unsupported(#[from] Unsupported),
    /// A file or a tool.
    #[error("{0}: {1}")]
    Io(String, std::io::Error),
    /// A tool refused.
    #[error("{0} failed:\n{1}")]
    Tool(&'static str, String),
    /// The library cannot be loaded.
    #[error("the model cannot be loaded: {0}")]
    Load(#[from] libloading::Error),
}

/// Tools that are not in the path, and whether that is a failure (`SYSTOLE_REQUIRE_RTL`).
#[derive(Clone, Debug)]
pub struct Tools {
    /// Those that are missing.
    pub missing: Vec<&'static str>,
    /// They must not be.
    pub required: bool,
}

impl Tools {
    /// Whether to go on. Panics where a required tool is missing; says loudly on the standard error output what is not tested where an optional one is.
    pub fn present(&self, untested: &str) -> bool {
        assert!(
            self.missing.is_empty() || !self.required,
            "SYSTOLE_REQUIRE_RTL is set, but there is no {}: apt-get install verilator yosys g++",
            self.missing.join(", no ")
        );
        self.missing.is_empty() || {
            use std::io::Write;
            // Straight to the stream, which the test harness does not hold back.
            let _ = writeln!(
                std::io::stderr(),
                "\n*** NOT TESTED: {untested}: there is no {} (apt-get install verilator yosys g++) ***\n",
                self.missing.join(", no ")
            );
            false
        }
    }
}

/// Looks for tools.
pub fn tools(names: &[&'static str]) -> Tools {
    let there = |name: &str| {
        Command::new(name).arg("--version").output().is_ok() || Command::new(name).arg("-V").output().is_ok()
    };
    Tools {
        missing: names.iter().copied().filter(|name| !there(name)).collect(),
        required: std::env::var_os("SYSTOLE_REQUIRE_RTL").is_some_and(|value| !value.is_empty() && value != "0"),
    }
}

/// The library of a machine's array; made if it is not there yet.
pub(crate) fn library(machine: &Machine) -> Result<PathBuf, BuildError> {
    let mut files = design(machine)?;
    let names: Vec<&str> = files.iter().map(|file| file.name).collect();
    let sources = names.join(" ");
    files.push(File { name: "wrapper.cpp", text: wrapper(&Parameters::of(machine)?) });
    let mut hasher = DefaultHasher::new();
    for file in &files {
        (file.name, &file.text).hash(&mut hasher);
    }
    run("verilator", Command::new("verilator").arg("--version"))?.hash(&mut hasher);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/rtl-cosim");
    let kept = folder.join(format!("{:016x}.so", hasher.finish()));
    if kept.exists() {
        return Ok(kept);
    }
    let io = |what: &Path| {
        let what = what.display().to_string();
        move |error| BuildError::Io(what, error)
    };
    std::fs::create_dir_all(&folder).map_err(io(&folder))?;
    let work = tempfile::tempdir_in(&folder).map_err(io(&folder))?;
    for file in &files {
        let path = work.path().join(file.name);
        std::fs::write(&path, &file.text).map_err(io(&path))?;
    }
    make(work.path(), &sources)?;
    // Renamed, so that no test finds half a library.
    std::fs::rename(work.path().join("model.so"), &kept).map_err(io(&kept))?;
    Ok(kept)
}

fn make(work: &Path, sources: &str) -> Result<(), BuildError> {
    let mut verilator = Command::new("verilator");
    verilator.current_dir(work).args(["--cc", "-O3", "--x-assign", "fast", "-Wno-fatal", "-Wno-lint", "-Wno-style"]);
    verilator.args(["--Mdir", "made", "--prefix", "Vsystole", "--top-module", TOP]).args(sources.split(' '));
    run("verilator", &mut verilator)?;
    let root = run("verilator", Command::new("verilator").args(["--getenv", "VERILATOR_ROOT"]))?;
    let include = PathBuf::from(root.trim()).join("include");
    let mut compiler = Command::new("g++");
    compiler.current_dir(work).args(["-shared", "-fPIC", "-O1", "-w", "-std=gnu++17", "-o", "model.so", "-I", "made"]);
    compiler.arg("-I").arg(&include).arg("-I").arg(include.join("vltstd")).arg("wrapper.cpp");
    let made = work.join("made");
    let entries = std::fs::read_dir(&made).map_err(|error| BuildError::Io(made.display().to_string(), error))?;
    let mut parts: Vec<PathBuf> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
    parts.retain(|path| path.extension().is_some_and(|extension| extension == "cpp"));
    parts.sort();
    compiler.args(parts).arg(include.join("verilated.cpp"));
    let threads = include.join("verilated_threads.cpp");
    if threads.exists() {
        compiler.arg(threads);
    }
    run("g++", &mut compiler).map(drop)
}

/// Runs a tool; what it printed.
fn run(name: &'static str, command: &mut Command) -> Result<String, BuildError> {
    let output = command.output().map_err(|error| BuildError::Io(name.into(), error))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(BuildError::Tool(name, text(&output.stdout) + &text(&output.stderr)))
    }
}

/// C++ that gives the ports of the model, in the order of `Parameters::all_ports`, by index.
fn wrapper(parameters: &Parameters) -> String {
    let mut out = String::from(
        "#include \"Vsystole.h\"\n#include \"verilated.h\"\n#include <cstdint>\n\
         double sc_time_stamp() { return 0; }\n\
         extern \"C\" void* systole_new() { return new Vsystole; }\n\
         extern \"C\" void systole_delete(void* model) { delete static_cast<Vsystole*>(model); }\n\
         extern \"C\" void systole_evaluate(void* model) { static_cast<Vsystole*>(model)->eval(); }\n\
         extern \"C\" uint8_t* systole_port(void* handle, uint32_t index, uint64_t* bytes) {\n\
         \x20 Vsystole* model = static_cast<Vsystole*>(handle);\n  switch (index) {\n",
    );
    for (index, (_, name, _)) in parameters.all_ports().iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "  case {index}: *bytes = sizeof(model->{name}); return reinterpret_cast<uint8_t*>(&model->{name});"
        );
    }
    out + "  default: *bytes = 0; return nullptr;\n  }\n}\n"
}
