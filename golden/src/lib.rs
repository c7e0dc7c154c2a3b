//! The verb *golden*: what a network computes, by plain loops on the CPU, written from `docs/numerics.md` alone.
//!
//! It runs the quantised form bit for bit and the imported form in single precision (the yardstick, and calibration). It
//! shares nothing with the compiler and the simulators but the graph's types, so that agreement with them means something.
//! It models neither time nor any machine.
//!
//! Reading order: [`value`], [`execute`], then one operator a file in `integer/` and in `float/`.

pub mod error;
pub mod execute;
pub mod value;

mod bilinear;
mod broadcast;
mod call;
mod constants;
mod deform;
mod float;
mod integer;
mod moves;
mod patches;
mod shapes;
mod transposed;
mod window;

pub use error::GoldenError;
pub use execute::{Keep, Options, Run, ranges, run, run_node};
pub use value::Value;
