//! What is wrong with a machine file, collected, and shown as a compiler shows it.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use std::ops::Range;

/// Whose fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The file says something impossible.
    Invalid,
    /// The file describes a machine that could exist, but no engine simulates it yet.
    Unsupported,
}

/// One thing that is wrong with a machine file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}:{line}:{column}: {message}")]
pub struct ConfigError {
    /// The file, as the caller named it.
    pub path: String,
    /// Impossible, or not simulated yet.
    pub kind: ErrorKind,
    /// What is wrong, with the key's full name.
    pub message: String,
    /// Why, for the line that points at the place; may be empty.
    pub label: String,
    /// What to write instead; may be empty.
    pub help: String,
    /// The place, in bytes of the file.
    pub span: Range<usize>,
    /// Line of the place, from 1.
    pub line: usize,
    /// Column of the place in characters, from 1.
    pub column: usize,
}

impl ConfigError {
    pub(crate) fn invalid(
        source: &str,
        span: Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        let before = source.get(..span.start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        ConfigError {
            path: String::new(),
            kind: ErrorKind::Invalid,
            message: message.into(),
            label: label.into(),
            help: help.into(),
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
            span,
        }
    }
}

/// Errors kept of one file: more than anybody reads, and few enough that each can be shown with its line.
const MOST: usize = 100;

/// The errors of one file so far.
pub(crate) struct Errors<'a> {
    source: &'a str,
    found: Vec<ConfigError>,
}

impl<'a> Errors<'a> {
    pub(crate) fn new(source: &'a str) -> Self {
        Errors { source, found: Vec::new() }
    }

    pub(crate) fn push(&mut self, error: ConfigError) {
        if self.found.len() < MOST {
            self.found.push(error);
        }
    }

    /// Something impossible at `span`.
    pub(crate) fn invalid(
        &mut self,
        span: &Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
        help: impl Into<String>,
    ) {
        if self.found.len() < MOST {
            self.push(ConfigError::invalid(self.source, span.clone(), message, label, help));
        }
    }

    /// Something that could exist but is not simulated.
    pub(crate) fn unsupported(&mut self, span: &Range<usize>, what: &str, help: impl Into<String>) {
        let message = format!("{what} is not simulated yet");
        let mut error = ConfigError::invalid(self.source, span.clone(), message, "", help);
        error.kind = ErrorKind::Unsupported;
        self.push(error);
    }

    /// All, in order of place.
    pub(crate) fn finish(mut self) -> Vec<ConfigError> {
        self.found.sort_by_key(|error| (error.span.start, error.span.end));
        self.found
    }

    /// Whether nothing is wrong so far.
    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }
}

/// The errors as text without colours, each with its source line, a caret, why, and what to do. `path` is the file's name as people know it.
pub fn render(errors: &[ConfigError], source: &str, path: &str) -> String {
    render_with(errors, source, path, &Renderer::plain())
}

/// [`render`], with colours for terminals.
pub fn render_styled(errors: &[ConfigError], source: &str, path: &str) -> String {
    render_with(errors, source, path, &Renderer::styled())
}

fn render_with(errors: &[ConfigError], source: &str, path: &str, renderer: &Renderer) -> String {
    let mut out = String::new();
    for error in errors {
        out.push_str(&renderer.render(&[report(error, source, path)]));
        out.push_str("\n\n");
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

fn report<'a>(error: &'a ConfigError, source: &'a str, path: &'a str) -> Group<'a> {
    let mut annotation = AnnotationKind::Primary.span(error.span.clone());
    if !error.label.is_empty() {
        annotation = annotation.label(error.label.as_str());
    }
    let snippet = Snippet::source(source).path(path).annotation(annotation);
    let group = Level::ERROR.primary_title(error.message.as_str()).element(snippet);
    if error.help.is_empty() { group } else { group.element(Level::HELP.message(error.help.as_str())) }
}
