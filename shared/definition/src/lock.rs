//! The lock: configuration and schema files in one JSON file, for a place without the files.
//! In: the files ([`build`]), or a lock ([`load_lock`]). Out: the lock's text; the same
//! [`Deployment`] that the files give.
//! Must hold: one reader for both, so a lock cannot mean anything else than its files; the same
//! files give the same bytes; no secret is resolved, no flag and no variable goes in.
//! Must not: write a file.
//!
//! ```text
//! {
//!   "config": { … },                      flusso.toml; relative paths as written
//!   "definitions": { index: { sink: hash } },
//!   "format": 2,
//!   "order": { "/config/sinks": [ … ] },  where the order of members counts and is not alphabetical
//!   "schemas": { path as written: { … } },
//!   "spelling": { "/schemas/…": ".50" }   numbers that JSON would write otherwise
//! }
//! ```
//!
//! Why trees and not the files' text: comments would go in, and with them what is in no key. Why
//! not checked definitions: a finding of a later step points to a key, and a key stands in a tree.

mod text;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::canonical::definition_hash;
use crate::check::{config, schema};
use crate::deployment::Deployment;
use crate::diagnostic::{Diagnostic, Diagnostics, Severity, place_of};
use crate::load::{
    Files, Overrides, ReadSchema, certificates, complete, finished, load, places_of, read_text,
    taken, unreadable,
};
use crate::raw::{Entry, Node, NumberValue, RawValue, Reader, parse_json, parse_toml, parse_yaml};

/// The format that is written and read. The locks of flusso 0.15 were no JSON; theirs counts
/// as the first.
pub const FORMAT: u32 = 2;

/// How to get a lock that can be read.
const BUILD_AGAIN: &str = "build it again: worker-svc build";

/// The code of a secret that is written out, without its letter.
const LITERAL: &str = "W219";

/// What becomes of literal secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiteralSecrets {
    /// They go into the lock, with a warning each.
    Written,
    /// Each is an error, and there is no lock.
    Refused,
}

/// A lock that was built.
#[derive(Debug, Clone)]
pub struct Lock {
    /// Its content: JSON, ending in a line break.
    pub text: String,
    /// What is doubtful in the files, literal secrets included.
    pub warnings: Diagnostics,
}

/// Builds the lock of the configuration at `path`. Flags and variables are heeded where the
/// files are checked, and leave no trace in the lock.
///
/// # Errors
/// All findings of all files, with at least one error.
pub fn build(
    path: &Path,
    files: &dyn Files,
    environment: &BTreeMap<String, String>,
    overrides: &Overrides,
    literal: LiteralSecrets,
) -> Result<Lock, Diagnostics> {
    let (deployment, warnings) = load(path, files, environment, overrides)?;
    let warnings = with_literals(path, files, warnings, literal);
    if warnings.has_errors() {
        return Err(warnings);
    }
    let root = tree(path, files, &deployment)?;
    let text = text::write(&root);
    // What cannot be read back as it was must not become a lock.
    let read = text::read(&text);
    if !read.is_ok_and(|read| text::same(&read, &root)) {
        let message = "these files cannot be written as a lock without a change of meaning";
        return Err(Diagnostic::error("E112", message)
            .help("report it, with the files; until then run from the files")
            .into());
    }
    Ok(Lock { text, warnings })
}

/// The warnings of the files, and one for each secret that stands in them. They are looked for
/// without the environment: a variable that wins over a literal here does not keep it out of
/// the lock.
fn with_literals(
    path: &Path,
    files: &dyn Files,
    found: Diagnostics,
    literal: LiteralSecrets,
) -> Diagnostics {
    let alone = match load(path, files, &BTreeMap::new(), &Overrides::default()) {
        Ok((_, findings)) | Err(findings) => findings,
    };
    let secrets: Vec<Diagnostic> = alone
        .findings()
        .iter()
        .filter(|finding| finding.code == LITERAL)
        .map(|finding| literal_finding(finding, literal))
        .collect();
    let mut all = found.without(LITERAL);
    for finding in secrets {
        all.push(finding);
    }
    all.sort();
    all
}

fn literal_finding(finding: &Diagnostic, literal: LiteralSecrets) -> Diagnostic {
    let mut finding = finding.clone();
    match literal {
        LiteralSecrets::Written => {
            finding.message.push_str(", which goes into the lock");
        }
        LiteralSecrets::Refused => {
            finding.code = "E219";
            finding.severity = Severity::Error;
            finding.message.push_str(", which the lock must not hold");
        }
    }
    finding
}

/// The lock of files that load without an error.
fn tree(path: &Path, files: &dyn Files, deployment: &Deployment) -> Result<Node, Diagnostics> {
    let shown = path.display().to_string();
    // They were read a moment ago: what fails now has changed in between.
    let read = |path: &Path, shown: &str| {
        read_text(files, path).map_err(|error| Diagnostics::from(unreadable(shown, &error)))
    };
    let changed = |shown: &str| {
        Diagnostics::from(
            Diagnostic::error("E105", format!("{shown} changed while it was read"))
                .help("build the lock again"),
        )
    };
    let config = parse_toml(&read(path, &shown)?).map_err(|_| changed(&shown))?;
    let directory = path.parent().unwrap_or_else(|| Path::new(""));
    let mut schemas: Vec<Entry> = Vec::new();
    for written in schema_paths(&config) {
        let schema =
            parse_yaml(&read(&directory.join(written), written)?).map_err(|_| changed(written))?;
        if !schemas.iter().any(|entry| entry.key == written) {
            schemas.push(text::entry(written, schema));
        }
    }
    Ok(text::map(vec![
        text::entry("config", config),
        text::entry("definitions", text::from_json(&definitions(deployment))),
        text::entry("format", text::from_json(&FORMAT.into())),
        text::entry("schemas", text::map(schemas)),
    ]))
}

/// The `schema` of each `[[index]]`, as written.
fn schema_paths(config: &Node) -> Vec<&str> {
    let member = |node: &'_ Node, key: &str| -> Option<usize> {
        node.map()?.iter().position(|entry| entry.key == key)
    };
    let value = |node| {
        let at = member(node, "index")?;
        Some(&Node::map(node)?.get(at)?.value)
    };
    value(config)
        .and_then(Node::list)
        .unwrap_or_default()
        .iter()
        .filter_map(|index| {
            let entries = index.map()?;
            let schema = entries.iter().find(|entry| entry.key == "schema")?;
            schema.value.text()
        })
        .collect()
}

/// The hash of each definition by index and sink: a change of the lock shows which indexes will
/// be built anew.
fn definitions(deployment: &Deployment) -> serde_json::Value {
    let mut indexes = serde_json::Map::new();
    for index in &deployment.indexes {
        let mut sinks = serde_json::Map::new();
        for sink in index.sinks.iter().filter_map(|name| deployment.sink(name)) {
            let options = sink.index_options(&index.overrides);
            sinks.insert(
                sink.name.clone(),
                definition_hash(&index.definition, &options).into(),
            );
        }
        indexes.insert(index.name.clone(), sinks.into());
    }
    indexes.into()
}

/// Loads the lock at `path`, as [`load`] loads files.
///
/// # Errors
/// It is no lock, or one of another version; else all findings, as from the files.
pub fn load_lock(
    path: &Path,
    files: &dyn Files,
    environment: &BTreeMap<String, String>,
    overrides: &Overrides,
) -> Result<(Deployment, Diagnostics), Diagnostics> {
    let file = path.display().to_string();
    let content = files.read_bytes(path).map_err(|error| {
        let finding = unreadable(&file, &error);
        Diagnostics::from(finding.help("build it: worker-svc build, or name another with --lock"))
    })?;
    let text = as_text(&file, content)?;
    let parts = Parts::read(&file, &text)?;
    let directory = path.parent().unwrap_or_else(|| Path::new(""));
    let outside = (environment, overrides);
    let read = config::read_tree(&file, &text, &parts.config, directory, outside, files);
    let shown: Arc<str> = Arc::from(read.shown);
    let mut diagnostics = Diagnostics::new();
    diagnostics.add_source(&file, &*shown);
    for finding in read.findings {
        diagnostics.push(finding);
    }
    let places = places_of(&file, Arc::clone(&shown), read.keys);
    let deployment = read.config.and_then(|config| {
        certificates(&config, files, (&file, &text), &mut diagnostics);
        let read_one = |entry: &config::IndexEntry, diagnostics: &mut Diagnostics| {
            parts.schema(entry, (&file, &shown), diagnostics)
        };
        complete(config, &read_one, places, &mut diagnostics)
    });
    if let Some(deployment) = &deployment
        && !text::same(
            &text::from_json(&definitions(deployment)),
            &parts.definitions,
        )
    {
        let finding = Diagnostic::warning("W224", "the definitions are not those of the build")
            .help(format!(
                "another version of flusso built this lock, or it was edited: {BUILD_AGAIN}"
            ));
        let place = place_of(&text, parts.definitions_key.clone());
        diagnostics.push(finding.in_file(&file, Some(place)));
    }
    finished(deployment, diagnostics)
}

/// The lock's text, or what else the file is.
fn as_text(file: &str, content: Vec<u8>) -> Result<String, Diagnostics> {
    // A lock of flusso 0.15: MessagePack, a map whose first key has this name.
    let has_old_key = content
        .get(1..)
        .is_some_and(|rest| rest.starts_with(b"\xaeformat_version"));
    if has_old_key && content.first().is_some_and(|byte| byte & 0xf0 == 0x80) {
        let message = format!("{file} was written by flusso 0.15");
        return Err(Diagnostic::error("E107", message).help(BUILD_AGAIN).into());
    }
    String::from_utf8(content).map_err(|_| {
        let message = format!("{file} is no lock: it is not UTF-8");
        Diagnostic::error("E100", message).help(BUILD_AGAIN).into()
    })
}

/// A lock taken apart.
struct Parts {
    config: Node,
    definitions: Node,
    /// Where `definitions` stands.
    definitions_key: std::ops::Range<usize>,
    schemas: Vec<Entry>,
}

impl Parts {
    fn read(file: &str, text: &str) -> Result<Self, Diagnostics> {
        let fail = |finding: Diagnostic, span: std::ops::Range<usize>| {
            // Without its lines: nothing is known yet of the secrets in them.
            Diagnostics::from(finding.in_file(file, Some(place_of(text, span))))
        };
        let root = parse_json(text).map_err(|error| {
            let message = format!("{file} is no lock: {}", error.message);
            let finding = Diagnostic::error(error.code, message).help(BUILD_AGAIN);
            fail(finding, error.span.unwrap_or(0..0))
        })?;
        if let Some(finding) = Self::wrong_format(file, &root) {
            return Err(fail(finding, root.span.start..root.span.start));
        }
        let root = text::restored(root).map_err(|(message, span)| {
            fail(Diagnostic::error("E106", message).help(BUILD_AGAIN), span)
        })?;
        let mut reader = Reader::new(file, text);
        let parts = Self::take(&mut reader, &root);
        match parts {
            Some(parts) if reader.findings.is_empty() => Ok(parts),
            Some(_) | None => {
                let mut findings = Diagnostics::new();
                for finding in reader.findings {
                    findings.push(finding);
                }
                findings.sort();
                Err(findings)
            }
        }
    }

    /// Before anything else: another format has other keys.
    fn wrong_format(file: &str, root: &Node) -> Option<Diagnostic> {
        let format = root
            .map()
            .and_then(|entries| entries.iter().find(|entry| entry.key == "format"));
        let Some(format) = format else {
            let message = format!("{file} is no lock: it has no `format`");
            return Some(Diagnostic::error("E100", message).help(BUILD_AGAIN));
        };
        match format.value.number().map(|number| number.value) {
            Some(NumberValue::Integer(number)) if number == i128::from(FORMAT) => None,
            Some(NumberValue::Integer(number)) if number > i128::from(FORMAT) => {
                let message =
                    format!("{file} has format {number}, this version of flusso reads {FORMAT}");
                Some(
                    Diagnostic::error("E107", message)
                        .help("use the version that built it, or build it again: worker-svc build"),
                )
            }
            _ => {
                let message = format!("{file} is no lock: its `format` is not {FORMAT}");
                Some(Diagnostic::error("E100", message).help(BUILD_AGAIN))
            }
        }
    }

    fn take(reader: &mut Reader<'_>, root: &Node) -> Option<Self> {
        let mut table = reader.table(root, "a lock", "at top level", "")?;
        table.get("format");
        let config = table.required(reader, "config");
        let definitions = table.entry("definitions");
        table.required(reader, "definitions");
        let schemas = table.required(reader, "schemas");
        for key in ["order", "spelling"] {
            table.get(key);
        }
        table.finish(reader);
        let schemas = schemas?;
        let RawValue::Map(schemas) = &schemas.value else {
            let message = format!("schemas must be a table, found {}", schemas.kind());
            reader.error("E106", &schemas.span, message);
            return None;
        };
        let definitions = definitions?;
        Some(Parts {
            config: config?.clone(),
            definitions: definitions.value.clone(),
            definitions_key: definitions.key_span.clone(),
            schemas: schemas.clone(),
        })
    }

    fn schema(
        &self,
        entry: &config::IndexEntry,
        (file, shown): (&str, &Arc<str>),
        diagnostics: &mut Diagnostics,
    ) -> Option<ReadSchema> {
        let found = self
            .schemas
            .iter()
            .find(|schema| schema.key == entry.schema_written);
        let Some(schema) = found else {
            let message = format!(
                "cannot read {}: it is not in the lock",
                entry.schema_written
            );
            let place = place_of(shown, entry.schema_span.clone());
            diagnostics.push(
                Diagnostic::error("E105", message)
                    .help(BUILD_AGAIN)
                    .in_file(file, Some(place)),
            );
            return None;
        };
        taken(
            entry,
            schema::read_tree(file, shown, &schema.value),
            diagnostics,
        )
    }
}

#[cfg(test)]
mod tests;
