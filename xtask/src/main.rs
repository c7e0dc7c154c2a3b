//! `cargo run -p xtask -- docs` writes the generated pages; `cargo run -p xtask -- tidy` prints what is untidy.

use std::process::ExitCode;

fn main() -> ExitCode {
    let root = xtask::root();
    let verb = std::env::args().nth(1).unwrap_or_default();
    let lines = match verb.as_str() {
        "docs" => xtask::docs::write(&root).map(|changed| (true, changed.into_iter().map(str::to_owned).collect())),
        "tidy" => xtask::tidy::tidy(&root)
            .map(|findings| (findings.is_empty(), findings.iter().map(ToString::to_string).collect::<Vec<_>>())),
        _ => {
            eprintln!("usage: cargo run -p xtask -- docs | tidy");
            return ExitCode::from(2);
        }
    };
    match lines {
        Ok((fine, lines)) => {
            lines.iter().for_each(|line| println!("{line}"));
            if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
