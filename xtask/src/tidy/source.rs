//! Rust text without comments and literals, enough to look for words of code. Not a parser: macros are text too.

/// The code of `text`: comments, strings and characters are blanks; newlines stay, so that lines keep their numbers.
pub(super) fn code(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = skipped(rest);
        if length == 0 {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            out.extend(rest[..length].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = &rest[length..];
        }
        // The rest of an identifier goes with it, so that the `r` of `for"` begins no raw string.
        if length == 0 && is_word(first) {
            let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            out.push_str(&rest[..end]);
            rest = &rest[end..];
        }
    }
    out
}

/// Whether `word` stands in `line` as a whole identifier.
pub(super) fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Bytes of the comment or literal at the beginning of `rest`; 0 if it begins with neither.
fn skipped(rest: &str) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return rest.find("*/").map_or(rest.len(), |end| end + 2);
    }
    let body = rest.strip_prefix('b').or_else(|| rest.strip_prefix('c')).unwrap_or(rest);
    let prefix = rest.len() - body.len();
    if let Some(raw) = body.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            let close = format!("\"{}", "#".repeat(hashes));
            let start = prefix + 1 + hashes + 1;
            return rest[start..].find(&close).map_or(rest.len(), |end| start + end + close.len());
        }
        return 0;
    }
    if body.starts_with('"') {
        return prefix + closed(body, '"');
    }
    // A lifetime has no quote after its first letter.
    let mut letters = body.chars();
    let (quote, first, second) = (letters.next(), letters.next(), letters.next());
    if quote == Some('\'') && (first == Some('\\') || second == Some('\'')) { prefix + closed(body, '\'') } else { 0 }
}

/// Bytes of a literal up to its closing quote, escapes skipped.
fn closed(literal: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in literal.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    literal.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_is_left() {
        let text =
            "fn a<'x>() { b(\"unsafe \\\" {\", 'u', '\\'', r#\"un\"safe\"#, b\"x\") } // unsafe\n/* unsafe\n */ c";
        let code = code(text);
        assert!(!has_word(&code, "unsafe") && !has_word(&code, "safe"), "{code}");
        assert!(code.starts_with("fn a<'x>() { b(") && code.ends_with("\n    c"), "{code:?}");
        assert_eq!(code.lines().count(), 3);
    }

    #[test]
    fn words_are_whole() {
        assert!(has_word("use crate::fast::x", "fast"));
        assert!(!has_word("breakfast, fast_path, faster", "fast"));
    }
}
