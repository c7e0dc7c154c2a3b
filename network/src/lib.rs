//! The noun *network*: the graph of operators, in its imported and its quantised form.
//!
//! Depends on nothing else of ours, so that no verb (compiler, golden, simulator) can bend it.
//! Reading order: [`tensor`], [`op`], [`graph`], [`shape`], [`verify`](mod@verify); then [`text`], [`count`], [`batch`]; [`seed`] and
//! [`zoo`] make networks and inputs that no file gives.

pub mod batch;
pub mod count;
pub mod graph;
pub mod op;
pub mod policy;
pub mod seed;
pub mod shape;
pub mod tensor;
pub mod text;
pub mod verify;
pub mod zoo;
