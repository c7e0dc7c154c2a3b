//! Everything of Systole behind one door: the five crates, and the chain of their stages that the command line runs.

pub use systole_compiler as compiler;
pub use systole_golden as golden;
pub use systole_machine as machine;
pub use systole_network as network;
pub use systole_simulator as simulator;
