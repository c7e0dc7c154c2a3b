//! The program `systole`; everything is in the library.

fn main() -> std::process::ExitCode {
    systole::cli::main()
}
