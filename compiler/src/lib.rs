//! The verb *compile*: from a file to a program, one stage a module.
//!
//! Reading order: [`frontends`] read files into an imported graph, [`passes`] bring it to the quantised form.

pub mod frontends;
mod mapped_file;
pub mod passes;

pub mod check;
pub mod compile;
pub mod compress;
pub mod emit;
pub mod error;
mod fixed;
mod formats;
pub mod image;
pub mod layers;
pub mod lower;
pub mod mapping;
pub mod memory;
pub mod schedule;
mod sums;
pub mod tables;
