//! Everything of Systole behind one door: the five crates, and the chain of their stages that the command line runs.
//!
//! Reading order: [`source`] finds models and machines, [`pipeline`] runs the stages, [`tensors`] moves values in and out, [`compare`] judges
//! them, [`report`] tells; [`cli`] is what people hold in their hands.

pub mod cli;
pub mod compare;
pub mod export;
pub mod files;
pub mod pipeline;
pub mod problem;
pub mod report;
pub mod source;
pub mod sqnr;
pub mod tensors;

pub use systole_compiler as compiler;
pub use systole_golden as golden;
pub use systole_machine as machine;
pub use systole_network as network;
pub use systole_simulator as simulator;
