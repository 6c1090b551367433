//! Names: identifiers of SQL, names of indexes and sinks, document keys.

/// Postgres cuts identifiers beyond this.
pub(super) const LONGEST_IDENTIFIER: usize = 63;

/// Members of a document's root that OpenSearch keeps for itself.
pub(super) const RESERVED_ROOT_KEYS: [&str; 15] = [
    "_id",
    "_index",
    "_source",
    "_type",
    "_routing",
    "_version",
    "_seq_no",
    "_primary_term",
    "_field_names",
    "_ignored",
    "_nested_path",
    "_size",
    "_doc_count",
    "_tier",
    "_meta",
];

/// Why a text is not an identifier.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct IdentifierProblem {
    pub(super) reason: String,
    pub(super) dotted: Option<(String, String)>,
}

/// The exact name that `written` means: a plain name with A-Z lowercased, or
/// the text between double quotes.
pub(super) fn identifier(written: &str) -> Result<String, IdentifierProblem> {
    let written = written.trim();
    let problem = |reason: &str| IdentifierProblem {
        reason: reason.to_owned(),
        dotted: None,
    };
    if written.is_empty() {
        return Err(problem("it is empty"));
    }
    let name = match written.strip_prefix('"') {
        Some(rest) => quoted(rest).ok_or_else(|| {
            problem("a quoted name ends with a double quote, and doubles those inside")
        })?,
        None => plain(written)?,
    };
    if name.is_empty() {
        return Err(problem("it is empty"));
    }
    if name.contains('\0') {
        return Err(problem("it holds a NUL character"));
    }
    if name.len() > LONGEST_IDENTIFIER {
        return Err(problem("it is longer than 63 bytes"));
    }
    Ok(name)
}

/// What stands between the quotes; `rest` is what follows the first one.
fn quoted(rest: &str) -> Option<String> {
    let inner = rest.strip_suffix('"')?;
    let mut name = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        if character == '"' && characters.next() != Some('"') {
            return None;
        }
        name.push(character);
    }
    Some(name)
}

fn plain(written: &str) -> Result<String, IdentifierProblem> {
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_' || !c.is_ascii();
    let mut characters = written.chars();
    let right = characters.next().is_some_and(letter)
        && characters.all(|c| letter(c) || c.is_ascii_digit() || c == '$');
    if right {
        return Ok(written.to_ascii_lowercase());
    }
    Err(IdentifierProblem {
        reason: "a plain name has letters, digits, _ and $, and starts with a letter or _; \
                 anything else goes in double quotes: '\"my name\"'"
            .to_owned(),
        dotted: written
            .split_once('.')
            .filter(|(schema, name)| plain(schema).is_ok() && plain(name).is_ok())
            .map(|(schema, name)| (schema.to_owned(), name.to_owned())),
    })
}

/// How an identifier is written in a file: plain where that means the same.
pub(super) fn spelled(exact: &str) -> String {
    if plain(exact).as_deref() == Ok(exact) {
        exact.to_owned()
    } else {
        format!("'\"{}\"'", exact.replace('"', "\"\""))
    }
}

/// The name of an index or sink: trimmed, lowercased, `[a-z_][a-z0-9_]*`.
pub(super) fn name(written: &str) -> Option<String> {
    let name = written.trim().to_ascii_lowercase();
    let mut bytes = name.bytes();
    let right = bytes
        .next()
        .is_some_and(|b| b.is_ascii_lowercase() || b == b'_')
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    (right && name.len() <= LONGEST_IDENTIFIER).then_some(name)
}

/// A document key: trimmed, case kept, `[a-zA-Z_][a-zA-Z0-9_]*`.
pub(super) fn document_key(written: &str) -> Option<String> {
    let key = written.trim();
    let mut bytes = key.bytes();
    let right = bytes
        .next()
        .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_');
    (right && key.len() <= LONGEST_IDENTIFIER).then(|| key.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_identifier_is_folded_and_a_quoted_one_is_exact() {
        assert_eq!(identifier(" Users ").unwrap(), "users");
        assert_eq!(identifier("\"Users\"").unwrap(), "Users");
        assert_eq!(identifier("\"a\"\"b\"").unwrap(), "a\"b");
        assert_eq!(identifier("a$1").unwrap(), "a$1");
        // Only A-Z are folded, as Postgres does in a UTF-8 database.
        assert_eq!(identifier("Über").unwrap(), "Über");
        assert_eq!(identifier("order").unwrap(), "order");
    }

    #[test]
    fn what_is_no_identifier_is_refused() {
        for wrong in ["", "1a", "a b", "a-b", "\"a", "\"a\"b\"", "\"\"", "\""] {
            assert!(identifier(wrong).is_err(), "{wrong}");
        }
        assert!(identifier(&"x".repeat(64)).is_err());
        assert_eq!(
            identifier("crm.Reviews").unwrap_err().dotted,
            Some(("crm".to_owned(), "Reviews".to_owned()))
        );
        assert_eq!(identifier("shop.crm.reviews").unwrap_err().dotted, None);
    }

    #[test]
    fn an_identifier_is_spelled_so_that_it_reads_back() {
        for exact in ["users", "Reviews", "a\"b", "with space", "über"] {
            let spelled = spelled(exact);
            let yaml = spelled.trim_matches('\'');
            assert_eq!(identifier(yaml).unwrap(), exact);
        }
    }
}
