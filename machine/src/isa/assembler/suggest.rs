//! The nearest of the words that could have been meant.

/// The word of `known` nearest to `word`, if it is near enough: at most a third of its letters differ (two at least may).
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = |candidate: &str| (candidate.len() / 3).max(2);
    let near = known.into_iter().filter(|candidate| word.len().abs_diff(candidate.len()) <= allowed(candidate));
    let measured = near.map(|candidate| (distance(word.as_bytes(), candidate.as_bytes()), candidate));
    measured
        .filter(|&(distance, candidate)| distance <= allowed(candidate))
        .min_by_key(|&(distance, _)| distance)
        .map(|best| best.1)
}

/// Insertions, deletions and substitutions of bytes that make `b` of `a`.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(left != right);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_by_hand() {
        assert_eq!(distance(b"kitten", b"sitting"), 3);
        assert_eq!(distance(b"", b"abc"), 3);
        assert_eq!(distance(b"ld.run", b"ld.rnu"), 2);
    }

    #[test]
    fn only_near_words_are_suggested() {
        assert_eq!(nearest("ld.rum", ["ar.run", "ld.run"]), Some("ld.run"));
        assert_eq!(nearest("multiply", ["ar.run", "ld.run"]), None);
    }
}
