//! "did you mean": the nearest word of a list.

/// More edits than this are another word.
const FARTHEST: usize = 2;

/// The word of `allowed` nearest to `written`: at most two edits away
/// (Damerau-Levenshtein), and at most half its own length. Of equally near ones the first
/// that begins with the same letter.
#[must_use]
pub fn nearest<'a>(written: &str, allowed: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = written.chars().count();
    allowed
        .into_iter()
        .map(|word| (word, word.chars().count()))
        // What was written can be very long, and comparing costs both lengths.
        .filter(|(_, own)| own.abs_diff(length) <= FARTHEST)
        .map(|(word, own)| (strsim::damerau_levenshtein(written, word), own, word))
        .filter(|(distance, own, _)| *distance <= FARTHEST.min(own / 2))
        .map(|(distance, _, word)| (distance, word))
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
        // Half the length of `in` is one edit, of `op` too.
        assert_eq!(nearest("i", ["in"]), Some("in"));
        assert_eq!(nearest("os", ["in", "op"]), Some("op"));
        assert_eq!(nearest("it is", ["in"]), None);
        assert_eq!(nearest("retention", ["framing"]), None);
    }
}
