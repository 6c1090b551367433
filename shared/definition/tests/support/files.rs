//! Files in memory, and what the language says of them.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use definition::{Deployment, Diagnostics, Files, Overrides, load};

/// The smallest right `[source]`.
pub(crate) const SOURCE: &str = "[source]\ntype = \"postgres\"\n";

/// A `flusso.toml` with one index of this schema file.
pub(crate) const ONE_INDEX: &str =
    "[source]\ntype = \"postgres\"\n[[index]]\nname = \"shows\"\nschema = \"shows.schema.yml\"\n";

/// Files by their path.
pub(crate) struct Memory(pub(crate) BTreeMap<String, String>);

impl Memory {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let owned = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
        Memory(files.iter().map(owned).collect())
    }
}

impl Files for Memory {
    fn read(&self, path: &Path) -> io::Result<String> {
        let text = path.to_str().and_then(|path| self.0.get(path));
        text.cloned()
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}

/// What loading says.
pub(crate) type Loaded = Result<(Deployment, Diagnostics), Diagnostics>;

/// Loads `flusso.toml` of these files.
pub(crate) fn loaded(files: &[(&str, &str)]) -> Loaded {
    loaded_with(files, &[], &Overrides::default())
}

/// Loads `flusso.toml` of these files with variables and flags.
pub(crate) fn loaded_with(
    files: &[(&str, &str)],
    variables: &[(&str, &str)],
    overrides: &Overrides,
) -> Loaded {
    let environment = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let files = Memory::new(files);
    load(Path::new("flusso.toml"), &files, &environment, overrides)
}

/// Loads a schema file in a deployment of one index.
pub(crate) fn schema(text: &str) -> Loaded {
    loaded(&[("flusso.toml", ONE_INDEX), ("shows.schema.yml", text)])
}

/// The findings of either outcome.
pub(crate) fn findings(loaded: &Loaded) -> &Diagnostics {
    match loaded {
        Ok((_, findings)) | Err(findings) => findings,
    }
}

/// One line per finding: code, place, what is marked, message, help.
pub(crate) fn lines(loaded: &Loaded, text: &str) -> String {
    let lines = findings(loaded).findings().iter().map(|finding| {
        let place = finding.place.as_ref().map_or_else(
            || " (no place)".to_owned(),
            |place| {
                let marked = text.get(place.span.clone()).unwrap_or("?");
                format!(" {}:{} ⟨{marked}⟩", place.line, place.column)
            },
        );
        let help = match (&finding.label, &finding.help) {
            (Some(label), Some(help)) => format!(" → {label} → {help}"),
            (Some(one), None) | (None, Some(one)) => format!(" → {one}"),
            (None, None) if !finding.allowed.is_empty() => {
                format!(" → allowed: {}", finding.allowed.join(", "))
            }
            (None, None) => String::new(),
        };
        format!("{}{place} {}{help}\n", finding.code, finding.message)
    });
    lines.collect()
}
