//! A YAML document as a tree in which every key and value knows its place; no key means anything yet.
//!
//! Anchors and aliases are refused, so the tree is never larger than the text and a place is always where the reader looks.
//! YAML's own type guessing is undone: a scalar is its text.

use super::error::{ConfigError, Errors};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::{DuplicateKeyPolicy, Location, MergeKeyPolicy, NonFiniteFloatPolicy, Spanned};
use std::fmt;
use std::ops::Range;

/// Largest file read, in bytes.
pub(crate) const MAX_BYTES: usize = 64 * 1024;

/// Deepest nesting read; the schema needs five.
const MAX_DEPTH: usize = 16;

/// A value and where it stands, in bytes of the file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) span: Range<usize>,
    pub(crate) kind: Kind,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    /// Nothing, `~` or `null`.
    Null,
    /// The text of a scalar, without quotes.
    Scalar(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order of the file.
    Map(Vec<(Node, Node)>),
}

impl Kind {
    /// For messages.
    pub(crate) fn describe(&self) -> String {
        match self {
            Kind::Null => "nothing".to_owned(),
            Kind::Scalar(text) => format!("`{}`", shorten(text)),
            Kind::List(_) => "a list".to_owned(),
            Kind::Map(_) => "a mapping".to_owned(),
        }
    }
}

/// `text`, cut to what fits a message.
pub(crate) fn shorten(text: &str) -> String {
    const LONGEST: usize = 40;
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().count() <= LONGEST {
        return text;
    }
    text.chars().take(LONGEST).chain("\u{2026}".chars()).collect()
}

/// The tree of `source`.
///
/// # Errors
/// Not YAML, or beyond a limit: one error, since nothing after it could be understood.
pub(crate) fn parse(source: &str) -> Result<Node, Box<ConfigError>> {
    if source.len() > MAX_BYTES {
        let message = format!("the file has {} bytes; a machine takes at most {MAX_BYTES}", source.len());
        return Err(Box::new(ConfigError::invalid(source, 0..0, message, "", "keep one machine per file")));
    }
    let options = serde_yaml::options! {
        budget: serde_yaml::budget! {
            max_depth: MAX_DEPTH, flow_nesting_limit: MAX_DEPTH, max_anchors: 0, max_aliases: 0, max_documents: 1,
            max_buffered_comment_events: MAX_BYTES,
        },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::AsOrdinary,
        strict_booleans: true,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        reject_unsupported_tags: true,
        with_snippet: false,
    };
    match serde_yaml::from_str_with_options::<Spanned<Raw>>(source, options) {
        Ok(raw) => Ok(node(raw, source)),
        Err(error) => Err(Box::new(syntax(source, &error))),
    }
}

/// A failure of the YAML reader in our words.
fn syntax(source: &str, error: &serde_yaml::Error) -> ConfigError {
    let place = error.location().unwrap_or(Location::UNKNOWN);
    let mut at = range(&place.span(), source);
    if place.span().byte_offset().is_none() {
        at.start = position(source, place.line(), place.column());
        at.end = at.start;
    }
    let text = error.without_snippet().to_string();
    let text = text.lines().next().unwrap_or_default();
    let text = text.rsplit_once(" at line ").map_or(text, |(text, _)| text);
    let (message, help) = if text.contains("Anchors") || text.contains("Aliases") {
        (
            "this file uses a YAML anchor",
            "write the value out: machine files have neither anchors (`&`) nor aliases (`*`)",
        )
    } else if text.contains("Depth") || text.contains("recursion") {
        ("this file nests too deep", "no key of a machine is below more than four others")
    } else if text.contains("Documents") {
        ("a second document begins here", "keep one machine per file")
    } else if text.contains("budget") {
        ("this file is too large for a machine", "keep one machine per file")
    } else if line_of(source, at.start).starts_with('\t') {
        ("a tab indents this line", "indent with spaces, as YAML demands")
    } else {
        (text, "")
    };
    let message = if message == text { format!("this is not YAML: {text}") } else { message.to_owned() };
    ConfigError::invalid(source, at, message, "", help)
}

/// Byte of a line and a column, both from 1.
fn position(source: &str, line: u64, column: u64) -> usize {
    let skip = |count: u64| usize::try_from(count.saturating_sub(1)).unwrap_or(usize::MAX);
    let mut lines = source.split_inclusive('\n');
    let before: usize = lines.by_ref().take(skip(line)).map(str::len).sum();
    let within = lines.next().unwrap_or_default().chars().take(skip(column)).map(char::len_utf8).sum::<usize>();
    before + within
}

/// The line of `source` around byte `at`.
fn line_of(source: &str, at: usize) -> &str {
    let start = source.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1);
    source.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default()
}

/// The place of `span`, always inside `source` and on character boundaries.
fn range(span: &serde_yaml::Span, source: &str) -> Range<usize> {
    let clamp = |at: Option<u64>| {
        let at = usize::try_from(at.unwrap_or(0)).unwrap_or(usize::MAX).min(source.len());
        source.floor_char_boundary(at)
    };
    let start = clamp(span.byte_offset());
    let end = clamp(span.byte_offset().zip(span.byte_len()).map(|(offset, length)| offset.saturating_add(length)));
    start..end.max(start)
}

/// Places in bytes, and scalars that YAML took for numbers or booleans as they were written.
fn node(raw: Spanned<Raw>, source: &str) -> Node {
    let mut span = range(&raw.referenced.span(), source);
    let kind = match raw.value {
        Raw::Null => Kind::Null,
        Raw::Text(text) => Kind::Scalar(text),
        Raw::Typed(text) => Kind::Scalar(source.get(span.clone()).map_or(text, |plain| plain.trim().to_owned())),
        Raw::List(items) => Kind::List(items.into_iter().map(|item| node(item, source)).collect()),
        Raw::Map(entries) => {
            Kind::Map(entries.into_iter().map(|(key, value)| (node(key, source), node(value, source))).collect())
        }
    };
    let written = source.get(span.clone()).unwrap_or_default();
    span.end = span.start + written.lines().next().unwrap_or_default().trim_end().len();
    Node { span, kind }
}

/// The document as the YAML library hands it over.
enum Raw {
    Null,
    Text(String),
    /// A number or a boolean by YAML's rules, in some form.
    Typed(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<Raw>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML value")
    }
    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }
    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }
    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}

/// The tree of a default, standing at `span` of the file that leaves it out. Defaults are our own text; the tests read them all.
pub(crate) fn parse_default(text: &str, span: &Range<usize>, errors: &mut Errors<'_>) -> Node {
    let mut node = parse(text).unwrap_or_else(|error| {
        errors.push(*error);
        Node { span: span.clone(), kind: Kind::Null }
    });
    relocate(&mut node, span);
    node
}

/// The tree of a value from outside the file; its places mean nothing until [`relocate`].
pub(crate) fn parse_setting(text: &str) -> Option<Node> {
    parse(text).ok()
}

/// Lets the whole tree stand at `span`.
pub(crate) fn relocate(node: &mut Node, span: &Range<usize>) {
    node.span = span.clone();
    match &mut node.kind {
        Kind::Null | Kind::Scalar(_) => {}
        Kind::List(items) => items.iter_mut().for_each(|item| relocate(item, span)),
        Kind::Map(entries) => {
            for (key, value) in entries {
                relocate(key, span);
                relocate(value, span);
            }
        }
    }
}
