//! Findings: what is wrong, where, how to mend it.
//! In: made by every step of this crate, and by the services for E4xx to E6xx.
//! Out: text for people ([`Diagnostics::render_human`]) and JSON for tools.
//! Must hold: findings come in the order of file and position; one report
//! shows at most [`MOST_SHOWN`] of them. Must not: quote a secret (whoever
//! makes a finding sees to that; sources may be shown around a span).

pub mod codes;
mod render;
mod spans;
mod suggest;

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value, json};

pub(crate) use spans::place_of;
pub use spans::{Place, Spans};
pub use suggest::nearest;

/// Findings shown in one report: more do not help to mend the first ones.
pub const MOST_SHOWN: usize = 50;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Must be mended before anything starts.
    Error,
    /// Works, but probably not as meant.
    Warning,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Its code: `E102`, `W305`; what each means stands in [`codes`].
    pub code: &'static str,
    /// What is wrong, one sentence without a full stop.
    pub message: String,
    /// How to mend it.
    pub help: Option<String>,
    /// The file it points to, as shown to people; `None` without a place.
    pub file: Option<String>,
    /// Where in the file.
    pub place: Option<Place>,
    /// What stands under the mark, instead of the help.
    pub label: Option<String>,
    /// The index concerned.
    pub index: Option<String>,
    /// The field concerned, as `hall.venue.name`; empty for the root.
    pub path: Option<String>,
    /// The key of that field which asks for the thing, e.g. `foreign_key`.
    pub key: Option<String>,
    /// The column it is about, exact; where the field names it is its place.
    pub column: Option<String>,
    /// Keys or words that would be right here.
    pub allowed: Vec<String>,
    /// SQL that mends it.
    pub sql: Option<String>,
}

impl Diagnostic {
    /// An error without a place.
    #[must_use]
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, message.into())
    }

    /// A warning without a place.
    #[must_use]
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, message.into())
    }

    fn new(severity: Severity, code: &'static str, message: String) -> Self {
        Diagnostic {
            severity,
            code,
            message,
            help: None,
            file: None,
            place: None,
            label: None,
            index: None,
            path: None,
            key: None,
            column: None,
            allowed: Vec::new(),
            sql: None,
        }
    }

    /// Says how to mend it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Says which statement mends it.
    #[must_use]
    pub fn sql(mut self, sql: impl Into<String>) -> Self {
        self.sql = Some(sql.into());
        self
    }

    /// Names the field it is about (`hall.venue.name`, empty for the root) and
    /// the key of that field that asks for the thing; keys inside a key are
    /// dotted, list items counted from 0 (`through.left_key`, `filters.0.column`).
    /// [`Diagnostics::locate`] turns both into a place.
    #[must_use]
    pub fn at(mut self, path: impl Into<String>, key: Option<&str>) -> Self {
        self.path = Some(path.into());
        self.key = key.map(str::to_owned);
        self
    }

    /// Names the column it is about: its place is where the field names that column, whatever
    /// the key.
    #[must_use]
    pub fn naming(mut self, column: impl Into<String>) -> Self {
        self.column = Some(column.into());
        self
    }

    /// Names the key of `flusso.toml` that asks for the thing: `source.slot`,
    /// `sinks.primary.url`, `index.shows.name`. [`Diagnostics::locate_in_config`] turns it
    /// into a place.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Lists what would be right here.
    #[must_use]
    pub fn allowed<I, S>(mut self, allowed: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        self.allowed = allowed.into_iter().map(Into::into).collect();
        self
    }

    /// Points to a place of a file.
    #[must_use]
    pub fn in_file(mut self, file: impl Into<String>, place: Option<Place>) -> Self {
        self.file = Some(file.into());
        self.place = place;
        self
    }

    fn to_json(&self) -> Value {
        json!({
            "severity": match self.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            "code": self.code,
            "file": self.file,
            "line": self.place.as_ref().map(|place| place.line),
            "column": self.place.as_ref().map(|place| place.column),
            "index": self.index,
            "path": self.path,
            "message": self.message,
            "help": self.help_text(),
            "sql": self.sql,
        })
    }

    /// Label and help as one text.
    fn help_text(&self) -> Option<String> {
        match (&self.label, &self.help) {
            (Some(label), Some(help)) => Some(format!("{label}; {help}")),
            (Some(text), None) | (None, Some(text)) => Some(text.clone()),
            (None, None) if !self.allowed.is_empty() => {
                Some(format!("allowed here: {}", self.allowed.join(", ")))
            }
            (None, None) => None,
        }
    }
}

/// Findings together with the texts of the files they point into.
#[derive(Clone, Default)]
pub struct Diagnostics {
    findings: Vec<Diagnostic>,
    sources: BTreeMap<String, String>,
}

impl Diagnostics {
    /// No findings.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a finding.
    pub fn push(&mut self, finding: Diagnostic) {
        self.findings.push(finding);
    }

    /// Adds all findings (and sources) of `other`.
    pub fn extend(&mut self, other: Diagnostics) {
        self.findings.extend(other.findings);
        self.sources.extend(other.sources);
    }

    /// The same without the findings of a code.
    #[must_use]
    pub(crate) fn without(mut self, code: &str) -> Self {
        self.findings.retain(|finding| finding.code != code);
        self
    }

    /// Remembers the text of a file, so that a report can quote its lines.
    pub fn add_source(&mut self, file: impl Into<String>, text: impl Into<String>) {
        self.sources.insert(file.into(), text.into());
    }

    /// Gives every finding that names a field but has no place yet its place
    /// in the schema file of `index`, and the index's name.
    #[must_use]
    pub fn locate(mut self, index: &str, spans: &Spans) -> Self {
        for finding in &mut self.findings {
            if finding.index.is_none() {
                finding.index = Some(index.to_owned());
            }
            if finding.file.is_none()
                && let Some(path) = &finding.path
            {
                finding.file = Some(spans.file().to_owned());
                let named = finding.column.as_deref();
                finding.place = named
                    .and_then(|column| spans.naming(path, column))
                    .or_else(|| spans.find(path, finding.key.as_deref()));
            }
        }
        self.sources
            .insert(spans.file().to_owned(), spans.text().to_owned());
        self
    }

    /// Gives every finding that has no file yet its place in `flusso.toml`: that of its key,
    /// else of the key that its code is about, else of the section around.
    #[must_use]
    pub fn locate_in_config(mut self, spans: &Spans) -> Self {
        for finding in &mut self.findings {
            if finding.file.is_some() {
                continue;
            }
            let key = match (&finding.key, &finding.index) {
                (Some(key), _) if finding.path.is_none() => Some(key.clone()),
                (_, Some(index)) => Some(format!("index.{index}.name")),
                (_, None) => codes::key_of(finding.code).map(str::to_owned),
            };
            if let Some(place) = key.and_then(|key| spans.find("", Some(&key))) {
                finding.file = Some(spans.file().to_owned());
                finding.place = Some(place);
            }
        }
        if !spans.file().is_empty() {
            self.sources
                .insert(spans.file().to_owned(), spans.text().to_owned());
        }
        self
    }

    /// The findings, in the order of a report.
    #[must_use]
    pub fn findings(&self) -> &[Diagnostic] {
        &self.findings
    }

    /// `true` without any finding.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.findings.is_empty()
    }

    /// `true` when a finding is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.errors() > 0
    }

    /// `true` when a file could not be read or parsed (E1xx): exit code 2, not 3.
    #[must_use]
    pub fn is_unreadable(&self) -> bool {
        self.findings
            .iter()
            .any(|finding| finding.code.starts_with("E1"))
    }

    /// How many findings are errors.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.findings
            .iter()
            .filter(|finding| finding.severity == Severity::Error)
            .count()
    }

    /// How many findings are warnings.
    #[must_use]
    pub fn warnings(&self) -> usize {
        self.findings.len().saturating_sub(self.errors())
    }

    /// Puts the findings in the order of file and position (findings without
    /// a file first), and drops repetitions.
    pub fn sort(&mut self) {
        self.findings.sort_by(|a, b| order(a).cmp(&order(b)));
        self.findings.dedup();
    }

    /// The findings as the JSON of `--format json`: `ok errors warnings findings`.
    /// Counts are of all findings, the list holds the first [`MOST_SHOWN`].
    #[must_use]
    pub fn to_json(&self) -> Value {
        let shown: Vec<Value> = self
            .findings
            .iter()
            .take(MOST_SHOWN)
            .map(Diagnostic::to_json)
            .collect();
        json!({
            "ok": !self.has_errors(),
            "errors": self.errors(),
            "warnings": self.warnings(),
            "findings": shown,
        })
    }

    /// The findings as text for people, with the lines they point to.
    #[must_use]
    pub fn render_human(&self, colour: bool) -> String {
        render::render(&self.findings, &self.sources, colour)
    }
}

/// Sort key of a finding. With the message, so that repetitions stand side by side.
type Order<'a> = (
    Option<&'a str>,
    Option<(usize, usize)>,
    Severity,
    &'a str,
    &'a str,
);

fn order(finding: &Diagnostic) -> Order<'_> {
    (
        finding.file.as_deref(),
        finding
            .place
            .as_ref()
            .map(|place| (place.span.start, place.span.end)),
        finding.severity,
        finding.code,
        finding.message.as_str(),
    )
}

impl fmt::Debug for Diagnostics {
    /// The findings only: sources may hold literal secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.findings).finish()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render_human(false))
    }
}

impl std::error::Error for Diagnostics {}

impl From<Diagnostic> for Diagnostics {
    fn from(finding: Diagnostic) -> Self {
        Diagnostics {
            findings: vec![finding],
            sources: BTreeMap::new(),
        }
    }
}
