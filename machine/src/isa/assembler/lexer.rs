//! Tokens of one line. Numbers and names are both words here; what a word means depends on where it stands.

use super::error::{AsmErrorKind, Fault};
use nom::branch::alt;
use nom::bytes::complete::{tag, take_till1, take_while, take_while_m_n, take_while1};
use nom::character::complete::{char, one_of};
use nom::combinator::{cut, map, map_opt, value};
use nom::error::{Error, ErrorKind};
use nom::multi::fold_many0;
use nom::sequence::{delimited, preceded};
use nom::{IResult, Parser};
use nom_locate::LocatedSpan;
use std::ops::Range;

/// A part of the source that knows its offset and line.
pub(super) type Source<'a> = LocatedSpan<&'a str>;

/// What a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// Letters, digits and `. _ : + -`: mnemonics, directives, names, numbers.
    Word,
    /// A quoted text, its escapes resolved.
    Text(String),
    /// One of `= , ( ) [ ]`.
    Mark(char),
}

/// A token.
#[derive(Clone, Debug)]
pub(super) struct Token<'a> {
    /// As written.
    pub(super) text: &'a str,
    /// Bytes of the source.
    pub(super) span: Range<usize>,
    /// What it is.
    pub(super) kind: TokenKind,
}

/// The bytes that `source` covers.
pub(super) fn span_of(source: &Source<'_>) -> Range<usize> {
    source.location_offset()..source.location_offset() + source.fragment().len()
}

/// The tokens of a line up to its comment.
///
/// # Errors
/// The first thing that is no token.
pub(super) fn tokens(line: Source<'_>) -> Result<Vec<Token<'_>>, Fault> {
    let mut found = Vec::new();
    let mut rest = skip_blank(line);
    while !rest.fragment().is_empty() && !rest.fragment().starts_with(';') {
        let (after, token) = token(rest).map_err(|error| fault(rest, error))?;
        found.push(token);
        rest = skip_blank(after);
    }
    Ok(found)
}

/// A quoted text at the beginning of `input`, and what follows it.
pub(super) fn quoted(input: Source<'_>) -> Result<(Source<'_>, String), Fault> {
    text(input).map_err(|error| fault(input, error))
}

/// What follows the blanks at the beginning of `input`.
pub(super) fn skip_blank(input: Source<'_>) -> Source<'_> {
    let blank: IResult<Source<'_>, Source<'_>> = take_while(|c| c == ' ' || c == '\t' || c == '\r').parse(input);
    blank.map_or(input, |(rest, _)| rest)
}

fn token(input: Source<'_>) -> IResult<Source<'_>, Token<'_>> {
    let word = map(take_while1(|c: char| c.is_ascii_alphanumeric() || "._:+-".contains(c)), |_| TokenKind::Word);
    let mark = map(one_of("=,()[]"), TokenKind::Mark);
    let (rest, kind) = alt((word, mark, map(text, TokenKind::Text))).parse(input)?;
    let length = rest.location_offset() - input.location_offset();
    let start = input.location_offset();
    Ok((rest, Token { text: &input.fragment()[..length], span: start..start + length, kind }))
}

fn text(input: Source<'_>) -> IResult<Source<'_>, String> {
    let plain = map(take_till1(|c| c == '"' || c == '\\'), |part: Source<'_>| (*part.fragment()).to_owned());
    let escaped = map(preceded(char('\\'), cut(escape)), String::from);
    let body = fold_many0(alt((plain, escaped)), String::new, |mut text, part: String| {
        text.push_str(&part);
        text
    });
    delimited(char('"'), body, cut(char('"'))).parse(input)
}

fn escape(input: Source<'_>) -> IResult<Source<'_>, char> {
    let parsed: IResult<Source<'_>, char> = alt((
        value('\n', char('n')),
        value('\r', char('r')),
        value('\t', char('t')),
        value('\\', char('\\')),
        value('"', char('"')),
        unicode,
    ))
    .parse(input);
    // Whatever alternative came furthest, the escape as a whole is wrong.
    parsed.map_err(|_| nom::Err::Error(Error::new(input, ErrorKind::Escaped)))
}

fn unicode(input: Source<'_>) -> IResult<Source<'_>, char> {
    let code = delimited(tag("u{"), take_while_m_n(1, 6, |c: char| c.is_ascii_hexdigit()), char('}'));
    map_opt(code, |digits: Source<'_>| u32::from_str_radix(digits.fragment(), 16).ok().and_then(char::from_u32))
        .parse(input)
}

/// Nom says where it stopped; what stands there says what is wrong. A failure after `cut` is inside a text.
fn fault(start: Source<'_>, error: nom::Err<Error<Source<'_>>>) -> Fault {
    match error {
        nom::Err::Failure(inner) if inner.input.fragment().is_empty() => {
            Fault::new(span_of(&start), AsmErrorKind::OpenText)
        }
        nom::Err::Failure(inner) => {
            let place = inner.input.location_offset();
            Fault::new(place - 1..place + first_char(&inner.input).len_utf8(), AsmErrorKind::Escape)
        }
        _ => {
            let (place, first) = (start.location_offset(), first_char(&start));
            Fault::new(place..place + first.len_utf8(), AsmErrorKind::Character(first))
        }
    }
}

fn first_char(input: &Source<'_>) -> char {
    input.fragment().chars().next().unwrap_or(' ')
}
