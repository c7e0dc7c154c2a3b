//! The verb *simulator*: two engines that run programs, and what they have in common: nouns only.
//!
//! `reference` and `fast` do not see each other.

pub mod contract;
pub mod fast;
pub mod reference;
