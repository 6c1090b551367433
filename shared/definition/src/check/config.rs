//! A `flusso.toml` to a deployment whose schema files are still to be read.
//! In: the file's text, environment and flags. Out: [`Config`] and findings.
//! Must hold: flag, its twin, `{ env }`/`{ file }`, reserved variable, literal,
//! default, in this order; the value in the file is checked even when
//! something else wins.

mod broker;
mod index;
mod mask;
mod services;
mod sink;
mod source;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::value;
use crate::deployment::{
    Broker, Capture, IndexOverrides, OnError, Secret, Server, Sink, Source, Telemetry, Worker,
};
use crate::diagnostic::Diagnostic;
use crate::load::{Files, Overrides};
use crate::raw::{Node, RawValue, Reader, Table, parse_toml};

/// A deployment without its schema files.
pub(crate) struct Config {
    pub(crate) prefix: String,
    /// `None` after an error in it.
    pub(crate) source: Option<Source>,
    pub(crate) broker: Broker,
    pub(crate) capture: Capture,
    pub(crate) worker: Worker,
    pub(crate) sinks: Vec<Sink>,
    pub(crate) indexes: Vec<IndexEntry>,
    pub(crate) server: Server,
    pub(crate) telemetry: Telemetry,
    /// Certificate files, to see whether they can be read.
    pub(crate) certificates: Vec<(PathBuf, Range<usize>)>,
}

/// `flusso.toml` after reading.
pub(crate) struct ReadConfig {
    /// `None` after a syntax error.
    pub(crate) config: Option<Config>,
    /// What is wrong or doubtful.
    pub(crate) findings: Vec<Diagnostic>,
    /// The text with every secret masked, for quoting.
    pub(crate) shown: String,
    /// Where each key stands: dotted names, an index by its name.
    pub(crate) keys: Vec<(String, Range<usize>)>,
}

/// One `[[index]]`, its schema file still to be read.
pub(crate) struct IndexEntry {
    pub(crate) name: String,
    /// The path as written, for people.
    pub(crate) schema_written: String,
    pub(crate) schema: PathBuf,
    /// Where the path stands in `flusso.toml`.
    pub(crate) schema_span: Range<usize>,
    pub(crate) enabled: bool,
    pub(crate) on_error: OnError,
    pub(crate) sinks: Vec<String>,
    pub(crate) aliases: Vec<String>,
    pub(crate) overrides: IndexOverrides,
}

/// Reads `flusso.toml`.
pub(crate) fn read(
    file: &str,
    text: &str,
    directory: &Path,
    outside: (&BTreeMap<String, String>, &Overrides),
    files: &dyn Files,
) -> ReadConfig {
    let root = match parse_toml(text) {
        Ok(root) => root,
        Err(errors) => {
            let mut reader = Reader::new(file, text);
            for error in errors {
                let span = error.span.unwrap_or(0..0);
                reader.error(error.code, &span, error.message);
            }
            return ReadConfig {
                config: None,
                findings: reader.findings,
                shown: mask::suspicious(text),
                keys: Vec::new(),
            };
        }
    };
    read_tree(file, text, &root, directory, outside, files)
}

/// Reads a configuration from its tree, which stands in `text`.
pub(crate) fn read_tree(
    file: &str,
    text: &str,
    root: &Node,
    directory: &Path,
    (environment, overrides): (&BTreeMap<String, String>, &Overrides),
    files: &dyn Files,
) -> ReadConfig {
    let mut walk = Walk {
        reader: Reader::new(file, text),
        directory,
        environment,
        overrides,
        files,
        certificates: Vec::new(),
    };
    let config = walk.file(root);
    ReadConfig {
        config,
        findings: walk.reader.findings,
        shown: mask::spans(text, &walk.reader.secrets),
        keys: keys(root, text),
    }
}

/// Where each key stands. A section stands where its name does: its body can be long.
fn keys(root: &Node, text: &str) -> Vec<(String, Range<usize>)> {
    let mut found = Vec::new();
    collect_keys(root, text, "", &mut found);
    found
}

fn collect_keys(node: &Node, text: &str, prefix: &str, found: &mut Vec<(String, Range<usize>)>) {
    let dotted = |key: &str| match prefix {
        "" => key.to_owned(),
        prefix => format!("{prefix}.{key}"),
    };
    for entry in node.map().unwrap_or_default() {
        // Sinks are looked for by the name that the product uses.
        let key = match (prefix, super::names::name(&entry.key)) {
            ("sinks", Some(name)) => dotted(&name),
            _ => dotted(&entry.key),
        };
        // An inline table is a value; a section has its name before or outside of its body, or
        // is longer than a line.
        let body = text.get(entry.value.span.clone()).unwrap_or_default();
        let is_section = entry.value.map().is_some()
            && (entry.value.span.start <= entry.key_span.start || body.contains('\n'));
        let span = if is_section {
            &entry.key_span
        } else {
            &entry.value.span
        };
        found.push((key.clone(), span.clone()));
        collect_keys(&entry.value, text, &key, found);
    }
    if prefix != "index" {
        return;
    }
    for item in node.list().unwrap_or_default() {
        let name = item
            .map()
            .unwrap_or_default()
            .iter()
            .find(|entry| entry.key == "name");
        if let Some(name) = name.and_then(|entry| super::names::name(entry.value.text()?)) {
            collect_keys(item, text, &format!("index.{name}"), found);
        }
    }
}

/// `flusso.toml` being read.
struct Walk<'a> {
    reader: Reader<'a>,
    /// Where its relative paths start.
    directory: &'a Path,
    environment: &'a BTreeMap<String, String>,
    overrides: &'a Overrides,
    files: &'a dyn Files,
    certificates: Vec<(PathBuf, Range<usize>)>,
}

const ON_ERROR: [(&str, OnError); 3] = [
    ("stop", OnError::Stop),
    ("dead_letter", OnError::DeadLetter),
    // Nothing is dropped unseen.
    ("skip", OnError::DeadLetter),
];

impl Walk<'_> {
    fn file(&mut self, root: &Node) -> Option<Config> {
        let mut table = self.reader.table(root, "flusso.toml", "at top level", "")?;
        self.retired_variables();
        let prefix = self.prefix(&mut table);
        let on_error = value::word(&mut self.reader, &mut table, "on_error", &ON_ERROR)
            .unwrap_or(OnError::Stop);
        let source = if let Some(node) = table.get("source") {
            self.source(node)
        } else {
            let finding = Diagnostic::error("E110", "`[source]` is missing")
                .help("[source] with type = \"postgres\" is the one section that is required");
            self.reader.push(finding, &(0..0));
            None
        };
        let broker = self.broker(table.get("broker"));
        let capture = self.capture(table.get("capture"));
        let worker = self.worker(table.get("worker"));
        let sinks = self.sinks(table.get("sinks"));
        let indexes = self.indexes(table.get("index"), on_error, &prefix, &sinks);
        let server = self.server(table.get("server"));
        let telemetry = self.telemetry(table.get("telemetry"));
        table.finish(&mut self.reader);
        Some(Config {
            prefix,
            source,
            broker,
            capture,
            worker,
            sinks,
            indexes,
            server,
            telemetry,
            certificates: std::mem::take(&mut self.certificates),
        })
    }

    /// Variables of flusso 0.15 that no longer mean anything.
    fn retired_variables(&mut self) {
        let set: Vec<&str> = [
            "FLUSSO_SKIP_BACKFILL",
            "FLUSSO_QUEUE_CAPACITY",
            "FLUSSO_LAG_POLL_SECS",
            "FLUSSO_DESIGN_ADDRESS",
            "FLUSSO_DESIGN_NO_OPEN",
        ]
        .into_iter()
        .filter(|name| self.variable(name).is_some())
        .collect();
        if !set.is_empty() {
            let message = format!("{} no longer means anything", set.join(", "));
            self.reader
                .findings
                .push(Diagnostic::warning("W221", message).help("unset it"));
        }
    }

    fn prefix(&mut self, table: &mut Table<'_>) -> String {
        let written = table.get("prefix");
        let file = written
            .and_then(|node| value::as_text(&mut self.reader, node, "prefix"))
            .map(str::to_owned);
        self.winner(
            self.overrides.index_prefix.clone(),
            "FLUSSO_INDEX_PREFIX",
            "prefix",
            file,
            written,
            |text| {
                is_prefix(text).then(|| text.to_owned()).ok_or(
                    "at most 50 bytes, lowercase, first a letter or digit, \
                     no space and none of , : \" * + / \\ | ? # < >",
                )
            },
        )
        .unwrap_or_default()
    }

    /// The value of an environment variable; an empty one counts as unset.
    fn variable(&self, name: &str) -> Option<&str> {
        self.environment
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// The flag, else its twin, else the file's value; each one checked.
    fn winner<T>(
        &mut self,
        flag: Option<String>,
        twin: &str,
        label: &str,
        file: Option<String>,
        written: Option<&Node>,
        check: impl Fn(&str) -> Result<T, &'static str>,
    ) -> Option<T> {
        let from_file = match file.as_deref().map(&check) {
            Some(Ok(value)) => Some(value),
            Some(Err(help)) => {
                let message = format!("{:?} is not right for {label}", file.unwrap_or_default());
                let span = written.map_or(0..0, |node| node.span.clone());
                self.reader.error_help("E106", &span, message, help);
                None
            }
            None => None,
        };
        let flag = flag.filter(|text| !text.is_empty());
        let flag_given = flag.is_some();
        let Some(over) = flag.or_else(|| self.variable(twin).map(str::to_owned)) else {
            return from_file;
        };
        match check(&over) {
            Ok(value) => Some(value),
            Err(help) => {
                let origin = if flag_given {
                    format!("--{}", label_flag(twin))
                } else {
                    twin.to_owned()
                };
                let message = format!("{origin}: {over:?} is not right for {label}");
                self.reader
                    .findings
                    .push(Diagnostic::error("E106", message).help(help));
                None
            }
        }
    }

    /// A secret with a reserved variable: an explicit reference wins over the
    /// variable, the variable over a literal.
    fn reserved(
        &mut self,
        table: &mut Table<'_>,
        key: &'static str,
        variable: &str,
    ) -> Option<Secret> {
        let file = value::secret(&mut self.reader, table, key, self.directory);
        match file {
            Some(reference @ (Secret::Env(_) | Secret::File(_))) => Some(reference),
            literal => match self.variable(variable) {
                Some(_) => Some(Secret::Env(variable.to_owned())),
                None => literal,
            },
        }
    }

    /// Warns when `secret` stands literally in the file.
    fn literal(&mut self, secret: Option<&Secret>, table: &Table<'_>, key: &str) {
        let Some(entry) = table.peek(key) else { return };
        if secret
            .and_then(Secret::literal)
            .is_some_and(|text| !text.is_empty())
        {
            literal_warning(&mut self.reader, &entry.value.span, &table.label(key));
        }
    }

    /// A PEM file under `key`.
    fn certificate(&mut self, table: &mut Table<'_>, key: &'static str) -> Option<PathBuf> {
        let path = value::path(&mut self.reader, table, key, self.directory)?;
        if let Some(entry) = table.peek(key) {
            self.certificates
                .push((path.clone(), entry.value.span.clone()));
        }
        Some(path)
    }

    /// Two keys that belong together.
    fn both_or_none(&mut self, table: &Table<'_>, first: &str, second: &str) {
        let entries = (table.peek(first), table.peek(second));
        let ((Some(alone), None) | (None, Some(alone))) = entries else {
            return;
        };
        let message = format!(
            "{} and {} belong together",
            table.label(first),
            table.label(second)
        );
        self.reader
            .error_help("E210", &alone.key_span, message, "give both or none");
    }

    /// Headers: names with secrets.
    fn headers(&mut self, table: &mut Table<'_>, key: &'static str) -> Vec<(String, Secret)> {
        let Some(node) = table.get(key) else {
            return Vec::new();
        };
        let label = table.label(key);
        let RawValue::Map(entries) = &node.value else {
            self.reader.conceal(node);
            let message = format!("{label} must be a table, found {}", node.kind());
            self.reader.error("E106", &node.span, message);
            return Vec::new();
        };
        let mut headers = Vec::with_capacity(entries.len());
        for entry in entries {
            let label = format!("{label}.{}", entry.key);
            let token =
                |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            if entry.key.is_empty() || !entry.key.bytes().all(token) {
                let message = format!("{:?} is not a header name", entry.key);
                self.reader.error("E106", &entry.key_span, message);
                self.reader.conceal(&entry.value);
                continue;
            }
            if let Some(secret) =
                value::as_secret(&mut self.reader, &entry.value, &label, self.directory)
            {
                let name = entry.key.to_ascii_lowercase();
                if is_sensitive(&name) && secret.literal().is_some() {
                    literal_warning(&mut self.reader, &entry.value.span, &label);
                }
                headers.push((entry.key.clone(), secret));
            }
        }
        headers
    }
}

fn literal_warning(reader: &mut Reader<'_>, span: &Range<usize>, label: &str) {
    reader.warning(
        "W219",
        span,
        format!("{label} holds a literal secret"),
        "use { env = \"NAME\" } or { file = \"path\" }",
    );
}

/// Whether a header or property of this name carries a credential.
fn is_sensitive(name: &str) -> bool {
    [
        "password",
        "secret",
        "authorization",
        "token",
        "api-key",
        "apikey",
        "jaas",
        "key.pem",
    ]
    .iter()
    .any(|word| name.contains(word))
}

/// `topic-prefix` of `FLUSSO_TOPIC_PREFIX`.
fn label_flag(twin: &str) -> String {
    twin.trim_start_matches("FLUSSO_")
        .to_ascii_lowercase()
        .replace('_', "-")
}

fn is_prefix(text: &str) -> bool {
    let forbidden = |c: char| c.is_whitespace() || c.is_control() || ",:\"*+/\\|?#<>".contains(c);
    text.len() <= 50
        && !text.contains(forbidden)
        && text.to_lowercase() == text
        && text
            .chars()
            .next()
            .is_none_or(|first| first.is_alphabetic() || first.is_ascii_digit())
}

#[cfg(test)]
mod tests;
