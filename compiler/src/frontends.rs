//! Frontends: one module a file format, each from bytes to an imported [`Graph`](systole_network::graph::Graph).

pub mod onnx;
