//! What these files mean otherwise than they did to flusso 0.15: `check --explain-differences`.
//! In: the files as they are written, the environment, what loading found, and the database's
//! catalog where it was looked at. Out: the rows of section 9 of the language reference that
//! concern them, with every place.
//! Must hold: a row is told only when something in these files makes it matter; what only types
//! and keys of the database can tell is told only with a catalog, never guessed.
//! Must not: fail on files that do not load: who comes from 0.15 asks before everything fits.

mod config;
mod rows;
mod schema;
mod types;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::catalog::Catalog;
use crate::diagnostic::{Diagnostics, place_of};
use crate::load::Files;
use crate::raw::{Entry, Node, parse_toml};

pub use rows::{ONLY_LIVE, ROWS, Row};

/// Places of one row that a report for people shows; JSON has all of them.
const MOST_PLACES: usize = 6;

/// What the rows are computed from.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// The path of `flusso.toml`.
    pub config: &'a Path,
    /// Where it and the schema files are read.
    pub files: &'a dyn Files,
    /// The variables of the process.
    pub environment: &'a BTreeMap<String, String>,
    /// What loading the files found.
    pub findings: &'a Diagnostics,
    /// All tables that the files name; `None` offline.
    pub catalog: Option<&'a Catalog>,
}

/// A row that concerns the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The row.
    pub row: &'static Row,
    /// What makes it matter, in the order of the files; at least one.
    pub spots: Vec<Spot>,
}

/// What makes a row matter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    /// The file; `None` for a variable of the environment.
    pub file: Option<String>,
    /// Line and column, both from 1; `None` for what is not written at all.
    pub at: Option<(usize, usize)>,
    /// The index.
    pub index: Option<String>,
    /// The field: `hall.venue`; empty for the root.
    pub path: Option<String>,
    /// In one or two words, what is there: `default`, `FLUSSO_SLOT`.
    pub what: String,
}

/// The rows that concern these files, in the order of the reference.
#[must_use]
pub fn explain(input: &Input<'_>) -> Vec<Difference> {
    let mut found = Found::default();
    let shown = input.config.display().to_string();
    if let Ok(text) = input.files.read(input.config)
        && let Ok(root) = parse_toml(&text)
    {
        let file = File {
            shown: &shown,
            text: &text,
            index: None,
        };
        for index in config::explain(input, &file, &root, &mut found) {
            schema::explain(input, &index, &mut found);
        }
    }
    config::surroundings(input, &mut found);
    errors(input.findings, &mut found);
    found.rows()
}

/// What 0.15 took and is an error now shows as a finding already.
fn errors(findings: &Diagnostics, found: &mut Found) {
    for finding in findings.findings() {
        let is_limit = finding.code != "E202" || finding.message.starts_with("limit");
        if rows::REFUSED_NOW.contains(&finding.code) && is_limit {
            found.push(
                "D17",
                Spot {
                    file: finding.file.clone(),
                    at: finding
                        .place
                        .as_ref()
                        .map(|place| (place.line, place.column)),
                    index: finding.index.clone(),
                    path: finding.path.clone(),
                    what: finding.code.to_owned(),
                },
            );
        }
    }
}

/// Collects spots by row.
#[derive(Default)]
struct Found(BTreeMap<&'static str, Vec<Spot>>);

impl Found {
    fn push(&mut self, id: &'static str, spot: Spot) {
        let spots = self.0.entry(id).or_default();
        if !spots.contains(&spot) {
            spots.push(spot);
        }
    }

    fn extend(&mut self, id: &'static str, spots: impl IntoIterator<Item = Spot>) {
        for spot in spots {
            self.push(id, spot);
        }
    }

    fn rows(mut self) -> Vec<Difference> {
        let spots = |row: &'static Row| {
            let spots = self.0.remove(row.id)?;
            Some(Difference { row, spots })
        };
        ROWS.iter().filter_map(spots).collect()
    }
}

/// A file being looked at.
#[derive(Clone, Copy)]
struct File<'a> {
    shown: &'a str,
    text: &'a str,
    index: Option<&'a str>,
}

impl File<'_> {
    /// A spot at the key of `entry`.
    fn at(&self, entry: &Entry, path: Option<&str>, what: impl Into<String>) -> Spot {
        let place = place_of(self.text, entry.key_span.clone());
        Spot {
            file: Some(self.shown.to_owned()),
            at: Some((place.line, place.column)),
            index: self.index.map(str::to_owned),
            path: path.map(str::to_owned),
            what: what.into(),
        }
    }

    /// A spot for what is not written.
    fn whole(&self, what: String) -> Spot {
        Spot {
            file: Some(self.shown.to_owned()),
            at: None,
            index: self.index.map(str::to_owned),
            path: None,
            what,
        }
    }
}

impl Input<'_> {
    /// Whether a variable is set; an empty one is not.
    fn is_set(&self, name: &str) -> bool {
        self.environment
            .get(name)
            .is_some_and(|value| !value.is_empty())
    }
}

impl Spot {
    fn variable(name: &str) -> Self {
        Spot {
            file: None,
            at: None,
            index: None,
            path: None,
            what: name.to_owned(),
        }
    }
}

/// A member of a table.
fn entry<'n>(node: &'n Node, key: &str) -> Option<&'n Entry> {
    node.map()?.iter().find(|entry| entry.key == key)
}

/// The text under a key.
fn text<'n>(node: &'n Node, key: &str) -> Option<&'n str> {
    entry(node, key)?.value.text().map(str::trim)
}

/// The rows as text for people.
#[must_use]
pub fn render_human(differences: &[Difference], is_live: bool) -> String {
    let mut out = String::new();
    if differences.is_empty() {
        out.push_str("These files mean what they meant to flusso 0.15.\n");
    } else {
        out.push_str("These mean something else than in flusso 0.15:\n");
    }
    for Difference { row, spots } in differences {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "\n{:<4} {}", row.id, row.what);
        let _ = writeln!(out, "     there  {}", row.there);
        let _ = writeln!(out, "     here   {}", row.here);
        // One place can concern several indexes.
        let mut places: Vec<String> = spots.iter().map(ToString::to_string).collect();
        places.dedup();
        for place in places.iter().take(MOST_PLACES) {
            let _ = writeln!(out, "       --> {place}");
        }
        if let Some(more) = places.len().checked_sub(MOST_PLACES).filter(|n| *n > 0) {
            let _ = writeln!(out, "       ... and {more} more");
        }
    }
    if !is_live {
        let _ = writeln!(
            out,
            "\nOnly the database can tell whether these matter, and it was not looked at: {}.",
            ONLY_LIVE.join(", ")
        );
    }
    out
}

impl std::fmt::Display for Spot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.file, self.at) {
            (Some(file), Some((line, column))) => write!(f, "{file}:{line}:{column}")?,
            (Some(file), None) => f.write_str(file)?,
            (None, _) => f.write_str("environment")?,
        }
        if let Some(path) = self.path.as_deref().filter(|path| !path.is_empty()) {
            write!(f, "  {path}")?;
        }
        if self.what.is_empty() {
            Ok(())
        } else {
            write!(f, "  ({})", self.what)
        }
    }
}

/// The rows as JSON: `id what there here places`.
#[must_use]
pub fn to_json(differences: &[Difference]) -> Value {
    let place = |spot: &Spot| {
        json!({
            "file": spot.file, "line": spot.at.map(|at| at.0), "column": spot.at.map(|at| at.1),
            "index": spot.index, "path": spot.path, "found": spot.what,
        })
    };
    let row = |Difference { row, spots }: &Difference| {
        let places: Vec<Value> = spots.iter().map(place).collect();
        json!({"id": row.id, "what": row.what, "there": row.there, "here": row.here, "places": places})
    };
    Value::Array(differences.iter().map(row).collect())
}

#[cfg(test)]
mod tests;
