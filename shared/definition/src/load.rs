//! Reads the files and puts everything together.
//! In: a path, a reader of files, the environment, the flags. Out: a checked
//! [`Deployment`], or all findings of all files.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::check::config::{self, Config, IndexEntry};
use crate::check::schema;
use crate::deployment::{Deployment, Index};
use crate::diagnostic::{Diagnostic, Diagnostics, Spans, place_of};
use crate::index::IndexDefinition;

/// What [`load`] asks of the world outside; the crate itself touches no disk and knows no
/// Kafka library.
pub trait Files {
    /// The text of the file at `path`.
    ///
    /// # Errors
    /// Whatever the system says.
    fn read(&self, path: &Path) -> io::Result<String>;

    /// The content of the file at `path`, text or not.
    ///
    /// # Errors
    /// Whatever the system says.
    fn read_bytes(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.read(path).map(String::into_bytes)
    }

    /// Whether the Kafka library takes a property, without connecting. `value` is `None` while
    /// it is a secret to be resolved later: then only the name can be judged.
    ///
    /// # Errors
    /// What is wrong with it, without the value.
    fn kafka_property(&self, _name: &str, _value: Option<&str>) -> Result<(), RefusedProperty> {
        Ok(())
    }
}

/// Why the Kafka library does not take a property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedProperty {
    /// What is wrong; never the value, which may be secret.
    pub message: String,
    /// How to mend it.
    pub help: String,
}

/// Values that win over the file: flags, and their `FLUSSO_*` twins when the
/// caller has read them already ([`load`] reads those of the environment too).
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--index-prefix`.
    pub index_prefix: Option<String>,
    /// `--topic-prefix`.
    pub topic_prefix: Option<String>,
    /// `--bootstrap-servers`.
    pub bootstrap_servers: Option<String>,
    /// `--slot`.
    pub slot: Option<String>,
    /// `--publication`.
    pub publication: Option<String>,
    /// `--manage-publication`.
    pub manage_publication: Option<bool>,
    /// `--public-address`, of the service that is started.
    pub public_address: Option<String>,
    /// `--private-address`, of the service that is started.
    pub private_address: Option<String>,
    /// `--admin-user`.
    pub admin_user: Option<String>,
    /// `--admin-password`.
    pub admin_password: Option<String>,
}

/// Loads `flusso.toml` at `path` and the schema files it names.
/// On success the second part holds warnings only.
///
/// # Errors
/// All findings of all files, with at least one error.
pub fn load(
    path: &Path,
    files: &dyn Files,
    environment: &BTreeMap<String, String>,
    overrides: &Overrides,
) -> Result<(Deployment, Diagnostics), Diagnostics> {
    let file = path.display().to_string();
    let directory = path.parent().unwrap_or_else(|| Path::new(""));
    let mut diagnostics = Diagnostics::new();
    let text = match read_text(files, path) {
        Ok(text) => text,
        Err(error) => {
            let finding = unreadable(&file, &error).help("name another with --config");
            return Err(finding.into());
        }
    };
    let read = config::read(&file, &text, directory, (environment, overrides), files);
    diagnostics.add_source(&file, &read.shown);
    for finding in read.findings {
        diagnostics.push(finding);
    }
    let places = places_of(&file, read.shown.as_str(), read.keys);
    let deployment = read.config.and_then(|config| {
        certificates(&config, files, (&file, &text), &mut diagnostics);
        let read_one = |entry: &IndexEntry, diagnostics: &mut Diagnostics| {
            read_schema(entry, files, (&file, &text), diagnostics)
        };
        complete(config, &read_one, places, &mut diagnostics)
    });
    finished(deployment, diagnostics)
}

/// The end of every way to load: a deployment without errors, or all findings.
pub(crate) fn finished(
    deployment: Option<Deployment>,
    mut diagnostics: Diagnostics,
) -> Result<(Deployment, Diagnostics), Diagnostics> {
    diagnostics.sort();
    match deployment {
        Some(deployment) if !diagnostics.has_errors() => Ok((deployment, diagnostics)),
        Some(_) | None => Err(diagnostics),
    }
}

/// The places of the keys of a configuration, whose text with masked secrets is `shown`.
pub(crate) fn places_of(
    file: &str,
    shown: impl Into<Arc<str>>,
    keys: Vec<(String, Range<usize>)>,
) -> Spans {
    let mut places = Spans::new(file, shown);
    for (key, span) in keys {
        places.note("", &key, span);
    }
    places
}

/// Takes in the schema files, each read once by `read`. `None` when the source or one of them
/// cannot be used.
pub(crate) fn complete(
    config: Config,
    read: &dyn Fn(&IndexEntry, &mut Diagnostics) -> Option<ReadSchema>,
    places: Spans,
    diagnostics: &mut Diagnostics,
) -> Option<Deployment> {
    let mut schemas: BTreeMap<PathBuf, Option<ReadSchema>> = BTreeMap::new();
    let mut indexes = Vec::with_capacity(config.indexes.len());
    let mut whole = true;
    for entry in config.indexes {
        if !schemas.contains_key(&entry.schema) {
            let schema = read(&entry, diagnostics);
            schemas.insert(entry.schema.clone(), schema);
        }
        let Some(Some((definition, spans))) = schemas.get(&entry.schema) else {
            whole = false;
            continue;
        };
        indexes.push(Index {
            name: entry.name,
            schema: entry.schema,
            enabled: entry.enabled,
            on_error: entry.on_error,
            sinks: entry.sinks,
            aliases: entry.aliases,
            overrides: entry.overrides,
            definition: Arc::clone(definition),
            spans: Arc::clone(spans),
        });
    }
    let source = config.source?;
    whole.then_some(Deployment {
        prefix: config.prefix,
        source,
        broker: config.broker,
        capture: config.capture,
        worker: config.worker,
        sinks: config.sinks,
        indexes,
        server: config.server,
        telemetry: config.telemetry,
        places: Arc::new(places),
    })
}

/// A schema file, read once however many indexes share it.
pub(crate) type ReadSchema = (Arc<IndexDefinition>, Arc<Spans>);

fn read_schema(
    entry: &IndexEntry,
    files: &dyn Files,
    (file, text): (&str, &str),
    diagnostics: &mut Diagnostics,
) -> Option<ReadSchema> {
    let shown = entry.schema.display().to_string();
    let schema_text = match read_text(files, &entry.schema) {
        Ok(text) => text,
        Err(error) => {
            let place = place_of(text, entry.schema_span.clone());
            let finding = unreadable(&entry.schema_written, &error)
                .help("paths start at the directory of flusso.toml")
                .in_file(file, Some(place));
            diagnostics.push(finding);
            return None;
        }
    };
    diagnostics.add_source(&shown, &schema_text);
    taken(entry, schema::read(&shown, &schema_text), diagnostics)
}

/// A schema after reading: its findings name the index.
pub(crate) fn taken(
    entry: &IndexEntry,
    read: schema::Schema,
    diagnostics: &mut Diagnostics,
) -> Option<ReadSchema> {
    for mut finding in read.findings {
        // The name is empty after a mistake in it.
        finding.index = Some(entry.name.clone()).filter(|name| !name.is_empty());
        diagnostics.push(finding);
    }
    let definition = read.definition?;
    Some((Arc::new(definition), Arc::new(read.spans)))
}

/// The text of a file. A byte order mark is no part of it.
pub(crate) fn read_text(files: &dyn Files, path: &Path) -> io::Result<String> {
    let text = files.read(path)?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}

/// Warns about certificate files that cannot be read.
pub(crate) fn certificates(
    config: &Config,
    files: &dyn Files,
    (file, text): (&str, &str),
    diagnostics: &mut Diagnostics,
) {
    for (path, span) in &config.certificates {
        if let Err(error) = files.read(path) {
            let message = format!("cannot read {}: {}", path.display(), reason(&error));
            let place = place_of(text, span.clone());
            diagnostics.push(
                Diagnostic::warning("W220", message)
                    .help("needed when a connection is made")
                    .in_file(file, Some(place)),
            );
        }
    }
}

pub(crate) fn unreadable(file: &str, error: &io::Error) -> Diagnostic {
    Diagnostic::error("E105", format!("cannot read {file}: {}", reason(error)))
}

/// The system's reason in plain words.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the system has a text for every other kind"
)]
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::InvalidData => "it is not UTF-8".to_owned(),
        io::ErrorKind::IsADirectory => "it is a directory".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
