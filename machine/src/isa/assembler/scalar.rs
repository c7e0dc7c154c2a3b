//! Numbers and named values: word to bits, and f32 to text such that the bits come back.

use super::error::{AsmErrorKind, Fault, shown};
use super::lexer::Token;
use super::suggest::nearest;
use crate::isa::format::Format;

/// Mark of an f32 given by its bits.
const REAL_BITS: &str = "f32:";

/// The bits of a field's value: right-aligned in `bits` bits.
pub(super) fn field_bits(token: &Token<'_>, field: &str, format: &Format, bits: u32) -> Result<u64, Fault> {
    let mask = (1u64 << bits) - 1;
    match format {
        Format::Unsigned => integer(token, field, 0, i128::from(mask)).map(|value| value as u64),
        Format::Signed => {
            let half = 1i128 << (bits - 1);
            integer(token, field, -half, half - 1).map(|value| value as u64 & mask)
        }
        Format::Real => real(token).map(|value| u64::from(value.to_bits())),
        Format::Flag => named(token, &[("false", 0), ("true", 1)]),
        Format::Choice(words) => named(token, words),
    }
}

/// How a field's bits are written.
pub(super) fn show_bits(bits: u64, format: &Format, width: u32) -> String {
    match format {
        Format::Unsigned => bits.to_string(),
        Format::Signed => {
            let unused = 64 - width;
            (((bits << unused) as i64) >> unused).to_string()
        }
        Format::Real => show_real(f32::from_bits(bits as u32)),
        Format::Flag => (bits == 1).to_string(),
        Format::Choice(words) => {
            words.iter().find(|word| word.1 == bits).map_or_else(|| bits.to_string(), |word| word.0.to_owned())
        }
    }
}

/// An integer from `low` to `high`, decimal or with `0x`.
pub(super) fn integer(token: &Token<'_>, field: &str, low: i128, high: i128) -> Result<i128, Fault> {
    let (negative, magnitude) = match token.text.strip_prefix('-') {
        Some(magnitude) => (true, magnitude),
        None => (false, token.text),
    };
    let (digits, radix) = match magnitude.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None => (magnitude, 10),
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Err(expected(token, "a number"));
    }
    let range = || {
        let (value, field) = (shown(token.text), field.to_owned());
        Fault::new(token.span.clone(), AsmErrorKind::Range { value, field, low, high })
    };
    // Digits alone are left, so that failing means too many of them.
    let magnitude = i128::from_str_radix(digits, radix).map_err(|_| range())?;
    let value = if negative { -magnitude } else { magnitude };
    if value < low || value > high { Err(range()) } else { Ok(value) }
}

/// An f32: a decimal number, or `f32:` and its bits in hexadecimal.
pub(super) fn real(token: &Token<'_>) -> Result<f32, Fault> {
    let what = "a number such as 0.5, 1e-7 or f32:0x7fc00000";
    if let Some(bits) = token.text.strip_prefix(REAL_BITS) {
        let digits = bits.strip_prefix("0x").unwrap_or_default();
        let short = (1..=8).contains(&digits.len()) && digits.chars().all(|digit| digit.is_ascii_hexdigit());
        return match u32::from_str_radix(digits, 16) {
            Ok(bits) if short => Ok(f32::from_bits(bits)),
            _ => Err(expected(token, "1 to 8 hexadecimal digits after `f32:0x`")),
        };
    }
    let numeric = token.text.chars().all(|c| c.is_ascii_digit() || "+-.eE".contains(c));
    match token.text.parse::<f32>() {
        Ok(value) if numeric && value.is_finite() => Ok(value),
        Ok(_) if numeric => Err(Fault::new(token.span.clone(), AsmErrorKind::Real { value: shown(token.text) })
            .help(Some("infinities are written f32:0x7f800000 and f32:0xff800000".into()))),
        _ => Err(expected(token, what)),
    }
}

/// The shortest decimal that reads as the same bits; bits for what has no decimal.
pub(super) fn show_real(value: f32) -> String {
    if value.is_finite() { format!("{value:?}") } else { format!("{REAL_BITS}{:#010x}", value.to_bits()) }
}

/// One of several words.
pub(super) fn named<T: Copy>(token: &Token<'_>, words: &[(&str, T)]) -> Result<T, Fault> {
    if let Some(word) = words.iter().find(|word| word.0 == token.text) {
        return Ok(word.1);
    }
    let quoted: Vec<String> = words.iter().map(|word| format!("`{}`", word.0)).collect();
    let meant = nearest(token.text, words.iter().map(|word| word.0)).filter(|_| words.len() > 1);
    Err(expected(token, &quoted.join(" or ")).help(meant.map(|word| format!("did you mean `{word}`?"))))
}

/// "Expected this, found this token."
pub(super) fn expected(token: &Token<'_>, expected: &str) -> Fault {
    let found = format!("`{}`", shown(token.text));
    Fault::new(token.span.clone(), AsmErrorKind::Expected { expected: expected.to_owned(), found })
}
