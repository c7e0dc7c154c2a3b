//! The verb *simulator*: two engines that run programs, and what they have in common: nouns only.
//!
//! `reference` and `fast` do not see each other; `compare` says where they differ, `generator` makes programs for both.

pub mod compare;
pub mod contract;
pub mod fast;
pub mod generator;
pub mod reference;
