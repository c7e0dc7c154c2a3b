//! What can be wrong with assembly, and how it is shown: place, caret, what was expected, and what to do.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use std::ops::Range;

/// One error of the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {kind}")]
pub struct AsmError {
    /// Bytes of the source that are meant; empty at the end of a line.
    pub span: Range<usize>,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub kind: AsmErrorKind,
    /// What to do, where that is known.
    pub help: Option<String>,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AsmErrorKind {
    /// Something else should stand here.
    #[error("expected {expected}, found {found}")]
    Expected {
        /// What should.
        expected: String,
        /// What does.
        found: String,
    },
    /// A character that begins no token.
    #[error("`{}` begins nothing", .0.escape_debug())]
    Character(char),
    /// A text without closing quote.
    #[error("this text has no closing `\"`")]
    OpenText,
    /// `\x` in a text for an unknown x.
    #[error("unknown escape in a text")]
    Escape,
    /// Neither mnemonic nor directive.
    #[error("unknown {class} `{word}`")]
    Unknown {
        /// `mnemonic` or `directive`.
        class: &'static str,
        /// What stands there, cut when long.
        word: String,
    },
    /// A number beyond its field.
    #[error("{value} does not fit into `{field}`, which takes {low} to {high}")]
    Range {
        /// The number as written, cut when long.
        value: String,
        /// The field.
        field: String,
        /// Smallest value.
        low: i128,
        /// Largest value.
        high: i128,
    },
    /// A decimal that no finite f32 is near.
    #[error("{value} is beyond the range of f32")]
    Real {
        /// As written.
        value: String,
    },
    /// A directive that stands once stands twice.
    #[error("`{directive}` stands a second time; the first is on line {first}")]
    Twice {
        /// The directive.
        directive: &'static str,
        /// Line of the first.
        first: usize,
    },
    /// `|` or `.bytes` without what it continues.
    #[error("this line continues nothing: `{needs}` must come before it")]
    Continues {
        /// The directive that is missing.
        needs: &'static str,
    },
    /// A unit twice in one token list.
    #[error("unit `{0}` stands twice in this list")]
    UnitTwice(&'static str),
    /// `.bytes` with an odd number of digits or another character.
    #[error("`{0}` is not a row of bytes, two hexadecimal digits each")]
    Bytes(String),
    /// `.in` names a layer that is nowhere described.
    #[error("there is no layer {layer}: the text has {layers} `.layer` lines, counted from 0")]
    Layer {
        /// The index.
        layer: u32,
        /// Number of layers.
        layers: usize,
    },
    /// A segment of the image or a tensor is misplaced.
    #[error("this {what} {place}")]
    Misplaced {
        /// `segment` or `tensor`.
        what: &'static str,
        /// Why.
        place: crate::program::check::Misplaced,
    },
}

impl AsmErrorKind {
    /// What stands beside the caret.
    fn label(&self) -> String {
        match self {
            AsmErrorKind::Expected { expected, .. } => format!("expected {expected}"),
            AsmErrorKind::Character(_) => "no token begins like this".into(),
            AsmErrorKind::OpenText => "begins here".into(),
            AsmErrorKind::Escape => "not one of \\\\ \\\" \\n \\r \\t \\u{...}".into(),
            AsmErrorKind::Unknown { class, .. } => format!("no such {class}"),
            AsmErrorKind::Range { low, high, .. } => format!("expected {low} to {high}"),
            AsmErrorKind::Real { .. } => "expected a finite number".into(),
            AsmErrorKind::Twice { .. } => "once is enough".into(),
            AsmErrorKind::Continues { needs } => format!("expected after `{needs}`"),
            AsmErrorKind::UnitTwice(_) => "once is enough".into(),
            AsmErrorKind::Bytes(_) => "expected pairs of hexadecimal digits".into(),
            AsmErrorKind::Layer { .. } => "no such layer".into(),
            AsmErrorKind::Misplaced { .. } => "stated here".into(),
        }
    }
}

impl AsmError {
    /// The error as a compiler shows it: message, path, line and column, the source line, a caret with a label, help. Plain text that ends
    /// with a newline. `source` is the text that was assembled.
    pub fn render(&self, source: &str, path: &str) -> String {
        let (start, end) = line_around(source, self.span.start);
        let within = |place: usize| source.floor_char_boundary(place.clamp(start, end)) - start;
        let label = self.kind.label();
        let annotation = AnnotationKind::Primary.span(within(self.span.start)..within(self.span.end)).label(&label);
        let snippet = Snippet::source(&source[start..end]).line_start(self.line).path(path).annotation(annotation);
        let message = self.kind.to_string();
        let mut group = Group::with_title(Level::ERROR.primary_title(&message)).element(snippet);
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help));
        }
        Renderer::plain().render(&[group]) + "\n"
    }
}

/// First byte and end of the line that holds byte `place`, without the line's end.
fn line_around(source: &str, place: usize) -> (usize, usize) {
    let bytes = source.as_bytes();
    let place = place.min(bytes.len());
    let start = bytes[..place].iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
    let end = bytes[place..].iter().position(|&byte| byte == b'\n').map_or(bytes.len(), |newline| place + newline);
    let end = if end > start && bytes[end - 1] == b'\r' { end - 1 } else { end };
    (start, end)
}

/// An error before its line is known: what a line's parser gives.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) span: Range<usize>,
    pub(super) kind: Box<AsmErrorKind>,
    pub(super) help: Option<String>,
}

impl Fault {
    pub(super) fn new(span: Range<usize>, kind: AsmErrorKind) -> Self {
        Fault { span, kind: Box::new(kind), help: None }
    }

    pub(super) fn help(mut self, help: Option<String>) -> Self {
        self.help = help;
        self
    }

    /// With its place in `source`, whose line `line` begins at byte `line_start`.
    pub(super) fn at(self, source: &str, line: usize, line_start: usize) -> AsmError {
        let before = source.get(line_start..self.span.start).unwrap_or_default();
        AsmError { column: before.chars().count() + 1, line, span: self.span, kind: *self.kind, help: self.help }
    }
}

/// A word for a message: control characters escaped, cut when long.
pub(super) fn shown(word: &str) -> String {
    const LONG: usize = 40;
    let mut shown = String::new();
    for c in word.chars().take(LONG) {
        if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    if word.chars().nth(LONG).is_some() {
        shown.push_str("...");
    }
    shown
}
