//! Turns the place of a secret into its text.
//! In: a literal, the name of a variable, or a path. Out: [`Secret`].
//! Must hold: no `Debug` or `Display` here ever shows the text; only
//! [`Secret::expose`] does, so a search for that word finds every use.
//! Must not: read the process environment; it is passed in.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use crate::Environment;

/// A credential. Wiped from memory when dropped; printed as `***`.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Takes the text over.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(SecretString::from(text.into()))
    }

    /// The text itself, for the one call that needs it. Never for a log line,
    /// an error or a metric.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Where a secret is to be had.
#[derive(Clone, Debug)]
pub enum SecretSource {
    /// Written in the configuration itself.
    Literal(Secret),
    /// The value of this environment variable.
    Env(String),
    /// The content of this file, without one trailing line break. The path is
    /// already resolved against the configuration's directory.
    File(PathBuf),
}

/// Why a secret is not to be had. All of these are about the set-up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The variable does not exist, or holds nothing.
    #[error("{key}: environment variable {variable} is {state}")]
    Variable {
        /// The configuration key that wants the secret, e.g. `source.connection_url`.
        key: String,
        /// The variable's name.
        variable: String,
        /// "not set" or "empty".
        state: &'static str,
    },
    /// The file cannot be read as text.
    #[error("{key}: cannot read {}: {}", path.display(), in_plain_words(reason))]
    File {
        /// The configuration key that wants the secret.
        key: String,
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
}

/// The system's reason, in the words of the configuration language.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the system has a text for every other kind"
)]
fn in_plain_words(reason: &io::Error) -> String {
    match reason.kind() {
        io::ErrorKind::NotFound => "no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::InvalidData => "it is not UTF-8".to_owned(),
        io::ErrorKind::IsADirectory => "it is a directory".to_owned(),
        _ => reason.to_string(),
    }
}

impl Error {
    /// The code of the configuration language's error list.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Variable { .. } => "E104",
            Self::File { .. } => "E105",
        }
    }

    /// One sentence: how to mend it.
    #[must_use]
    pub fn help(&self) -> &'static str {
        match self {
            Self::Variable { .. } => "set it, or give { file = … } or a literal",
            Self::File { .. } => "paths start at the directory of flusso.toml",
        }
    }
}

impl SecretSource {
    /// A source that is its own text.
    #[must_use]
    pub fn literal(text: impl Into<String>) -> Self {
        Self::Literal(Secret::new(text))
    }

    /// Fetches the text. Call it again after an authentication failure: files
    /// may have been rotated meanwhile.
    ///
    /// # Errors
    /// The variable is unset or empty, or the file cannot be read.
    pub fn resolve(&self, key: &str, environment: &Environment) -> Result<Secret, Error> {
        match self {
            Self::Literal(secret) => Ok(secret.clone()),
            Self::Env(variable) => from_variable(key, variable, environment),
            Self::File(path) => from_file(key, path),
        }
    }

    /// Whether [`SecretSource::resolve`] may answer differently later, so that
    /// it is worth asking again after an authentication failure.
    #[must_use]
    pub fn can_change(&self) -> bool {
        matches!(self, Self::File(_))
    }
}

fn from_variable(key: &str, variable: &str, environment: &Environment) -> Result<Secret, Error> {
    let failed = |state| Error::Variable {
        key: key.to_owned(),
        variable: variable.to_owned(),
        state,
    };
    match environment.get(variable) {
        None => Err(failed("not set")),
        Some(value) if value.is_empty() => Err(failed("empty")),
        Some(value) => Ok(Secret::new(value.clone())),
    }
}

fn from_file(key: &str, path: &Path) -> Result<Secret, Error> {
    let text = std::fs::read_to_string(path).map_err(|reason| Error::File {
        key: key.to_owned(),
        path: path.to_owned(),
        reason,
    })?;
    let text = text
        .strip_suffix("\r\n")
        .or_else(|| text.strip_suffix('\n'))
        .unwrap_or(&text);
    Ok(Secret::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_debug_nor_display_shows_the_text() {
        let source = SecretSource::literal("hunter2");
        let secret = source.resolve("key", &Environment::new()).unwrap();
        assert_eq!(
            format!("{source:?} {secret:?} {secret}"),
            "Literal(***) *** ***"
        );
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn an_unset_and_an_empty_variable_are_errors_that_name_key_and_variable() {
        let source = SecretSource::Env("SHOP_DB".into());
        let unset = source
            .resolve("source.connection_url", &Environment::new())
            .unwrap_err();
        assert_eq!(
            unset.to_string(),
            "source.connection_url: environment variable SHOP_DB is not set"
        );
        assert_eq!(unset.code(), "E104");

        let environment = Environment::from([("SHOP_DB".into(), String::new())]);
        let empty = source
            .resolve("source.connection_url", &environment)
            .unwrap_err();
        assert!(empty.to_string().ends_with("SHOP_DB is empty"), "{empty}");
    }

    #[test]
    fn a_file_loses_exactly_one_trailing_line_break() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        for (content, secret) in [
            ("a", "a"),
            ("a\n", "a"),
            ("a\r\n", "a"),
            ("a\n\n", "a\n"),
            (" a \n", " a "),
        ] {
            std::fs::write(&path, content).unwrap();
            let read = SecretSource::File(path.clone())
                .resolve("k", &Environment::new())
                .unwrap();
            assert_eq!(read.expose(), secret, "{content:?}");
        }
    }

    #[test]
    fn a_missing_file_is_an_error_that_names_it() {
        let missing = SecretSource::File("/nonexistent/secret".into());
        let error = missing
            .resolve("sinks.main.password", &Environment::new())
            .unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("sinks.main.password: cannot read /nonexistent/secret: ")
        );
        assert_eq!(error.code(), "E105");
    }
}
