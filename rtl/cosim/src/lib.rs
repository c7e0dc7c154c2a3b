//! Runs the RTL of a machine in process, in lock step with the reference engine, and compares the edges of the array in every cycle.
//!
//! Verilator translates the RTL to C++ and the host's compiler makes a library of it, at run time: building this crate needs neither.

mod bits;
mod bridge;
mod build;
mod compare;
mod registers;

pub use build::{BuildError, Tools, tools};
pub use compare::{Lockstep, compare};
