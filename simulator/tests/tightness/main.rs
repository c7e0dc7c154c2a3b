//! Every rule of `docs/timing.md` is tight: in both engines an event happens in the cycle that the rule states and not in the one before.
//!
//! Each test is named after its rule (`t_05_…`; `xtask` checks that none is left out). It states the cycles of a small program, worked out by hand, then
//! moves one cause by one step and states by how much the effects move. What a rule says of values is not here (`engines`).

mod account;
mod array;
mod arrays;
mod bursts;
mod channels;
mod fetch;
mod harness;
mod ports;
mod start;
mod vector;
