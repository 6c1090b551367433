//! The id of a document, from the texts of its key.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// Longest id that stands for itself, in bytes.
const LONGEST: usize = 512;

/// One column: its text. Several: escaped and joined by colons. What is too long, empty or looks
/// like a digest becomes a digest.
pub(super) fn written(parts: &[String]) -> String {
    let id = match parts {
        [one] => one.clone(),
        several => several
            .iter()
            .map(|part| part.replace('\\', "\\\\").replace(':', "\\:"))
            .collect::<Vec<_>>()
            .join(":"),
    };
    let looks_like_digest = id.strip_prefix("sha256:").is_some_and(|rest| {
        rest.len() == 64
            && rest
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    });
    if !id.is_empty() && id.len() <= LONGEST && !looks_like_digest {
        return id;
    }
    let mut digest = "sha256:".to_owned();
    for byte in Sha256::digest(id.as_bytes()) {
        // Writing to a text cannot fail.
        let _ = write!(digest, "{byte:02x}");
    }
    digest
}
