//! The noun *machine*: what a YAML file may say of an accelerator, the program that runs on it, and its closed-form durations.
//!
//! Sees no network and no verb. Reading order: [`config`], [`spec`], [`isa`].

pub mod config;
pub mod isa;
pub mod program;
pub mod spec;
