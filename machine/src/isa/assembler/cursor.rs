//! A walk over the tokens of a line, with errors that say what was expected where.

use super::error::{AsmErrorKind, Fault, shown};
use super::lexer::{Token, TokenKind};
use std::ops::Range;

/// The tokens of a line and a place among them.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    tokens: Vec<Token<'a>>,
    next: usize,
    /// Where the line's content ends: the place of errors about what is missing.
    end: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(tokens: Vec<Token<'a>>) -> Self {
        let end = tokens.last().map_or(0, |token| token.span.end);
        Cursor { tokens, next: 0, end }
    }

    /// The next token, not taken.
    pub(super) fn peek(&self) -> Option<&Token<'a>> {
        self.tokens.get(self.next)
    }

    /// Whether the next token is this mark.
    pub(super) fn at_mark(&self, mark: char) -> bool {
        self.peek().is_some_and(|token| token.kind == TokenKind::Mark(mark))
    }

    /// Whether the next token is this word.
    pub(super) fn at_word(&self, word: &str) -> bool {
        self.peek().is_some_and(|token| token.kind == TokenKind::Word && token.text == word)
    }

    /// "Expected this, found what stands here."
    pub(super) fn expected(&self, expected: impl Into<String>) -> Fault {
        let (span, found) = match self.peek() {
            Some(token) => (token.span.clone(), format!("`{}`", shown(token.text))),
            None => (self.end..self.end, "the end of the line".to_owned()),
        };
        Fault::new(span, AsmErrorKind::Expected { expected: expected.into(), found })
    }

    /// Takes a token that is a word.
    pub(super) fn word(&mut self, expected: &str) -> Result<Token<'a>, Fault> {
        match self.peek().cloned() {
            Some(token) if token.kind == TokenKind::Word => {
                self.next += 1;
                Ok(token)
            }
            _ => Err(self.expected(expected)),
        }
    }

    /// Takes this word.
    pub(super) fn exactly(&mut self, word: &str, expected: &str) -> Result<(), Fault> {
        if !self.at_word(word) {
            return Err(self.expected(expected));
        }
        self.next += 1;
        Ok(())
    }

    /// Takes a text.
    pub(super) fn text(&mut self) -> Result<String, Fault> {
        let Some(Token { kind: TokenKind::Text(text), .. }) = self.peek() else {
            return Err(self.expected("a text in `\"`"));
        };
        let text = text.clone();
        self.next += 1;
        Ok(text)
    }

    /// Takes this mark.
    pub(super) fn mark(&mut self, mark: char) -> Result<(), Fault> {
        if !self.at_mark(mark) {
            return Err(self.expected(format!("`{mark}`")));
        }
        self.next += 1;
        Ok(())
    }

    /// Whether the next field, behind a comma unless it is the first, is this one.
    pub(super) fn at_field(&self, name: &str, first: bool) -> bool {
        let at = if first { self.next } else { self.next + 1 };
        let behind = first || self.at_mark(',');
        behind && self.tokens.get(at).is_some_and(|token| token.kind == TokenKind::Word && token.text == name)
    }

    /// Takes `name=`.
    pub(super) fn field(&mut self, name: &str) -> Result<(), Fault> {
        self.exactly(name, &format!("field `{name}`"))?;
        self.mark('=')
    }

    /// Takes values between `open` and `close` with commas between them; none at all only with `empty`.
    pub(super) fn list<T>(
        &mut self,
        [open, close]: [char; 2],
        empty: bool,
        mut entry: impl FnMut(&mut Self) -> Result<T, Fault>,
    ) -> Result<Vec<T>, Fault> {
        self.mark(open)?;
        let mut entries = Vec::new();
        while !self.at_mark(close) || (entries.is_empty() && !empty) {
            if !entries.is_empty() {
                if !self.at_mark(',') {
                    return Err(self.expected(format!("`,` or `{close}`")));
                }
                self.mark(',')?;
            }
            entries.push(entry(self)?);
        }
        self.mark(close)?;
        Ok(entries)
    }

    /// The line must end here.
    pub(super) fn finish(&self, expected: &str) -> Result<(), Fault> {
        if self.peek().is_some() { Err(self.expected(expected)) } else { Ok(()) }
    }

    /// The first token and the field after it, `.tensor name="x"`: what names the line.
    pub(super) fn span(&self) -> Range<usize> {
        let last = self.tokens.iter().take(4).next_back();
        self.tokens.first().map_or(0, |token| token.span.start)..last.map_or(self.end, |token| token.span.end)
    }
}
