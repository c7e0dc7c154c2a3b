//! The tree of scopes and signals, before it is in a file.

use super::changes::Changes;
use super::names::Names;

/// A signal.
pub(super) struct Signal<'a> {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) changes: Changes<'a>,
}

/// What its values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A number of so many bits.
    Number(u32),
    /// The same, of which a probe tells while the wave is written.
    Probed(u32),
    /// A number with names.
    Named(Names),
}

impl<'a> Signal<'a> {
    pub(super) fn new(name: impl Into<String>, bits: u32, changes: Changes<'a>) -> Self {
        Signal { name: name.into(), kind: Kind::Number(bits), changes }
    }

    pub(super) fn named(name: impl Into<String>, names: Names, changes: Changes<'a>) -> Self {
        Signal { name: name.into(), kind: Kind::Named(names), changes }
    }
}

/// A scope.
pub(super) struct Scope<'a> {
    pub(super) name: String,
    /// Rules that its signals show, for viewers that tell.
    pub(super) about: String,
    pub(super) signals: Vec<Signal<'a>>,
    pub(super) scopes: Vec<Scope<'a>>,
}

impl<'a> Scope<'a> {
    pub(super) fn new(name: &str, about: &str, signals: Vec<Signal<'a>>) -> Self {
        Scope { name: name.to_owned(), about: about.to_owned(), signals, scopes: vec![] }
    }
}

/// Bits of the numbers up to `most`, at least one.
pub(super) fn bits_for(most: u64) -> u32 {
    (u64::BITS - most.leading_zeros()).max(1)
}
