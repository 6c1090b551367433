//! Hides secrets in the text that reports quote.
//! Must hold: byte offsets stay as they are, so that spans still fit.

use std::ops::Range;

/// Words that a line with a secret is likely to hold.
const SUSPICIOUS: [&str; 10] = [
    "password", "secret", "token", "key", "url", "user", "header", "sasl", "jaas", "pem",
];

/// `text` with the letters and digits of `secrets` masked.
pub(super) fn spans(text: &str, secrets: &[Range<usize>]) -> String {
    let mut shown = String::with_capacity(text.len());
    for (at, character) in text.char_indices() {
        let hidden = secrets.iter().any(|secret| secret.contains(&at));
        push(&mut shown, character, hidden);
    }
    shown
}

/// `text` of a file that could not be parsed: the values of all lines that may
/// hold a secret are masked.
pub(super) fn suspicious(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let lower = line.to_ascii_lowercase();
        // A line without a key can be the rest of a longer value.
        let suspicious = !line.contains('=') || SUSPICIOUS.iter().any(|word| lower.contains(word));
        let value = line.find('=').unwrap_or(0);
        let is_section = line.trim_start().starts_with('[');
        for (at, character) in line.char_indices() {
            push(
                &mut shown,
                character,
                suspicious && !is_section && at >= value,
            );
        }
    }
    shown
}

/// Adds a character, or as many `*` as it has bytes.
fn push(shown: &mut String, character: char, hidden: bool) {
    if hidden && (character.is_alphanumeric() || !character.is_ascii()) {
        for _ in 0..character.len_utf8() {
            shown.push('*');
        }
    } else {
        shown.push(character);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masked_text_has_the_same_offsets_and_no_secret() {
        let text = "a = 1\npassword = \"hünter2\"\n";
        let secret = 17..27;
        let shown = spans(text, std::slice::from_ref(&secret));
        assert_eq!(shown.len(), text.len());
        assert!(!shown.contains("nter"), "{shown}");
        assert!(shown.starts_with("a = 1\npassword = "));
    }

    #[test]
    fn a_file_that_cannot_be_parsed_shows_no_value_that_may_be_secret() {
        let text = "[source\nslot = \"x\"\nconnection_url = \"postgres://hunter2\"\n  hunter2\n";
        let shown = suspicious(text);
        assert_eq!(shown.len(), text.len());
        assert!(!shown.contains("hunter2"));
        assert!(shown.contains("[source\nslot = \"x\""));
    }
}
