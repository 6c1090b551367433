//! "did you mean": the nearest word of a list.

/// The word of `allowed` nearest to `written`: at most two edits away
/// (Damerau-Levenshtein), and at most half of what was written. Of equally near
/// ones the first that begins with the same letter.
pub(crate) fn nearest<'a>(
    written: &str,
    allowed: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let most = (written.chars().count() / 2).min(2);
    allowed
        .into_iter()
        .map(|word| (strsim::damerau_levenshtein(written, word), word))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, word)| (*distance, word.chars().next() != written.chars().next()))
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn the_nearest_word_within_two_edits_is_suggested() {
        assert_eq!(nearest("colum", ["column", "default"]), Some("column"));
        assert_eq!(nearest("sink", ["sinks", "index"]), Some("sinks"));
        assert_eq!(nearest("dsc", ["asc", "desc"]), Some("desc"));
        assert_eq!(nearest("reqiured", ["required"]), Some("required"));
    }

    #[test]
    fn a_word_that_is_mostly_different_is_not_suggested() {
        // `slot` is two edits from `sort`, but `ab` is nothing like `cd`.
        assert_eq!(nearest("ab", ["cd"]), None);
        assert_eq!(nearest("retention", ["framing"]), None);
    }
}
