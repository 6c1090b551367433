//! Where a secret is to be had. Resolved at start by the services, never here.

use std::fmt;
use std::path::PathBuf;

/// A secret, or where it is to be had. `Debug` shows no literal.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// Written in the file itself, or given by a flag.
    Literal(String),
    /// The value of this environment variable; unset or empty is an error
    /// when it is resolved.
    Env(String),
    /// The content of this file, without one trailing line break. Absolute,
    /// or relative to the working directory (already resolved).
    File(PathBuf),
}

impl Secret {
    /// The literal text, when it is one.
    #[must_use]
    pub fn literal(&self) -> Option<&str> {
        match self {
            Secret::Literal(text) => Some(text),
            Secret::Env(_) | Secret::File(_) => None,
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Secret::Literal(_) => f.write_str("***"),
            Secret::Env(name) => write!(f, "{{ env = {name:?} }}"),
            Secret::File(path) => write!(f, "{{ file = {path:?} }}"),
        }
    }
}
