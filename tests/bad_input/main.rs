//! Bad input through the built program: damaged files, hostile sizes, wrong networks, wrong machines, places that cannot be written.
//!
//! Whatever comes in, the program ends soon, with an exit code of its interface and never by a panic, in bounded memory (Linux), with a message that
//! says what is wrong, and without a half-made file. What the readers do in all cases is tested beside them; here each is met once or a few
//! hundred times from outside. `tests/cli.rs` has the messages about arguments.

mod damaged;
mod hostile;
mod models;
mod run;
mod wrong;
