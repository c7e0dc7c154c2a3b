//! Banked DRAM by itself (`docs/dram.md`): latencies and bandwidths of published models, and commands that an independent checker accepts.

#[path = "dram/checker.rs"]
mod checker;
#[path = "dram/figures.rs"]
mod figures;
#[path = "dram/random.rs"]
mod random;
#[path = "dram/setup.rs"]
mod setup;
