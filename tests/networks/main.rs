//! The networks of the zoo on the preset machines, from the graph to the last element and the last cycle.
//!
//! Here the parts meet: golden, both engines, batches, threads, structure without values, bounds, recorded cycles. Small networks are the
//! zoo's own, scaled down and taken through an ONNX file. Random layers on random machines are in `tests/random_layers`.

mod chain;
mod comparison;
mod cycles;
mod everything;
mod exact;
mod structure;
mod transposed;
