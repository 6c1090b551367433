//! A document id back to the key it was made from.
//! Must hold: the reverse of how ids are made (section 3.10 of the language reference): parts
//! joined by colons, `\` and `:` escaped; a key of one column stands as it is.

use super::is_bad_value;

/// Why a text cannot be the id of a document of an index.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoId {
    /// Another number of parts than the key has columns.
    #[error("the id has {found} parts, the document key {wanted} columns")]
    Parts {
        /// Parts of the text.
        found: usize,
        /// Columns of the key.
        wanted: usize,
    },
    /// A backslash before anything but a colon or a backslash.
    #[error("a backslash in an id stands before `:` or another backslash")]
    Escape,
    /// Postgres cannot read a part as the type of its column.
    #[error("the id does not fit the document key: {0}")]
    Value(String),
}

/// The parts of the id of a key of `columns` columns.
///
/// # Errors
/// It is not made as such an id is.
pub fn parts(id: &str, columns: usize) -> Result<Vec<String>, NoId> {
    if columns <= 1 {
        return Ok(vec![id.to_owned()]);
    }
    let mut key = Vec::with_capacity(columns);
    let mut part = String::new();
    let mut characters = id.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some(escaped @ ('\\' | ':')) => part.push(escaped),
                Some(_) | None => return Err(NoId::Escape),
            },
            ':' => key.push(std::mem::take(&mut part)),
            other => part.push(other),
        }
    }
    key.push(part);
    if key.len() == columns {
        Ok(key)
    } else {
        Err(NoId::Parts {
            found: key.len(),
            wanted: columns,
        })
    }
}

/// Whether an id is a digest: one that does not hold its key. No key's own text stands as an id
/// of this form.
pub(super) fn is_digest(id: &str) -> bool {
    id.strip_prefix("sha256:").is_some_and(|digits| {
        digits.len() == 64
            && digits
                .bytes()
                .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    })
}

/// What Postgres says when a part is no value of its column's type.
pub(super) fn refused_value(error: &tokio_postgres::Error) -> Option<NoId> {
    let error = error.as_db_error()?;
    is_bad_value(error.code()).then(|| NoId::Value(error.message().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_id_of_one_column_stands_as_it_is() {
        assert_eq!(parts(r"a:b\c", 1), Ok(vec![r"a:b\c".to_owned()]));
        assert_eq!(parts("", 1), Ok(vec![String::new()]));
    }

    #[test]
    fn a_text_that_no_key_makes_is_refused() {
        assert_eq!(
            parts("7", 2),
            Err(NoId::Parts {
                found: 1,
                wanted: 2
            })
        );
        assert_eq!(
            parts("7:a:b", 2),
            Err(NoId::Parts {
                found: 3,
                wanted: 2
            })
        );
        assert_eq!(parts(r"7:a\b", 2), Err(NoId::Escape));
        assert_eq!(parts(r"7:a\", 2), Err(NoId::Escape));
    }

    #[test]
    fn only_the_form_of_a_digest_is_one() {
        let digits = "0123456789abcdef".repeat(4);
        assert!(is_digest(&format!("sha256:{digits}")));
        assert!(!is_digest(&format!("sha256:{}", digits.to_uppercase())));
        assert!(!is_digest(&format!("sha256:{digits}0")));
        assert!(!is_digest(&digits));
    }

    proptest! {
        #[test]
        fn the_parts_of_an_id_are_those_it_was_made_of(key in prop::collection::vec("[a:\\\\ü]{0,4}", 2..5)) {
            let escaped: Vec<String> = key
                .iter()
                .map(|part| part.replace('\\', r"\\").replace(':', r"\:"))
                .collect();
            prop_assert_eq!(parts(&escaped.join(":"), key.len()), Ok(key));
        }
    }
}
