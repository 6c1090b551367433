//! What can go wrong, and what is done about it.
//! In: failures of every module. Out: for each kind a scope, an action, and one
//! sentence for the operator ([`Definite::rule`]).
//! Must hold: no text here carries a row value, a document or a secret.
//! Refused documents are not here: they are data (`outcome`).
//! Why two types: `Result<Result<T, Definite>, Transient>` makes `?` mean "try again
//! later", and the other one must be looked at.

use model::{Epoch, Offset, Partition, ServerRun, SourceCause, TableName, Violation};

/// About the data or the set-up: trying again cannot help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Definite {
    /// A file, secret or address of the set-up cannot be used.
    #[error("{0}")]
    Setup(String),
    /// Another cluster or database answers at the source's address.
    #[error("the source was {was}, but {is} answers there now")]
    SourceChanged {
        /// The accepted one.
        was: SourceIdentity,
        /// The one that answered.
        is: SourceIdentity,
    },
    /// Capture began an epoch that this generation cannot follow.
    #[error("epoch {is} began ({cause:?}: {reason}); the generation was filled in epoch {was}")]
    NewEpoch {
        /// The generation's epoch.
        was: Epoch,
        /// The new one.
        is: Epoch,
        /// Why it began.
        cause: SourceCause,
        /// The same in capture's words.
        reason: String,
    },
    /// The committed offset lies outside what the topic still holds.
    #[error(
        "{topic} partition {partition}: offset {committed} is gone, the topic holds {low} to {high}"
    )]
    OffsetsGone {
        /// The topic.
        topic: String,
        /// The partition.
        partition: Partition,
        /// Where the feed stood.
        committed: Offset,
        /// The first offset there is.
        low: Offset,
        /// The offset after the last.
        high: Offset,
    },
    /// A partition has no committed offset although the generation was given positions.
    #[error("{topic} partition {partition}: the committed offset was lost")]
    PositionLost {
        /// The topic.
        topic: String,
        /// The partition.
        partition: Partition,
    },
    /// Capture did not serve the feed's needs all the way from where the feed stands.
    #[error("capture serves the feed since {since}, but the feed stands at {stands}")]
    NotServed {
        /// The lowest position the group has reached.
        stands: model::Lsn,
        /// Since when the needs are served without interruption.
        since: model::Lsn,
    },
    /// A used table was truncated: no row says which documents are gone.
    #[error("{table} was truncated")]
    Truncated {
        /// The table.
        table: TableName,
    },
    /// Capture announced that rows may have changed without changes in the stream.
    #[error("rows of {table} may have changed unseen: {detail}")]
    RepairNeeded {
        /// The table, or "all tables".
        table: String,
        /// Capture's words.
        detail: String,
    },
    /// A used table was re-created, or a used column changed its type.
    #[error("the source fingerprint changed from {was} to {is}")]
    FingerprintChanged {
        /// The registry's.
        was: String,
        /// The catalog's.
        is: String,
    },
    /// The definition does not fit the database.
    #[error("the definition does not fit the database: {0}")]
    Definition(String),
    /// A document was refused, and `on_error = "stop"`.
    #[error("a document was refused: {reason}")]
    Refused {
        /// Type and reason without row values.
        reason: String,
    },
    /// Too many refusals for one reason: not the documents' fault.
    #[error("{count} documents in a row were refused for one reason: {reason}")]
    RefusalRun {
        /// How many.
        count: usize,
        /// Type and reason without row values.
        reason: String,
    },
    /// A row whose document Postgres cannot build, and `on_error = "stop"`.
    #[error("a document cannot be built (SQLSTATE {sqlstate})")]
    Unbuildable {
        /// The five characters.
        sqlstate: String,
    },
    /// A single document takes longer to build than a write may be old.
    #[error("a single document takes longer than {limit_s} s to build")]
    TooSlow {
        /// The limit.
        limit_s: u64,
    },
    /// OpenSearch took a request for malformed.
    #[error("a bulk request was malformed: {0}")]
    Malformed(String),
    /// A record that this version cannot read.
    #[error("{topic} partition {partition} offset {offset}: {reason}")]
    Unreadable {
        /// The topic.
        topic: String,
        /// The partition.
        partition: Partition,
        /// The record.
        offset: Offset,
        /// What is wrong; no values.
        reason: String,
    },
    /// An entry of the registry that this version cannot read, or may not touch.
    #[error("registry entry {id}: {reason}")]
    Registry {
        /// The entry.
        id: String,
        /// What is wrong.
        reason: String,
    },
    /// The alias cannot be made.
    #[error("alias {alias} cannot be made: an index has that name")]
    AliasTaken {
        /// The alias.
        alias: String,
    },
    /// An index of the generation's name is there and is not ours.
    #[error("index {index} is there already and was not made for this generation")]
    IndexTaken {
        /// The index.
        index: String,
    },
    /// OpenSearch refuses to make the index.
    #[error("index {index} cannot be made: {reason}")]
    IndexRefused {
        /// The index.
        index: String,
        /// OpenSearch's words.
        reason: String,
    },
    /// All numbers of incarnations, epochs or generations are used up.
    #[error("the numbers of {0} are used up")]
    NumbersUsedUp(&'static str),
    /// A guarantee would have been broken.
    #[error(transparent)]
    Violation(#[from] Violation),
}

/// Which cluster, and which database in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceIdentity {
    /// `system_identifier`.
    pub system_identifier: u64,
    /// The database's oid.
    pub database_oid: u32,
}

impl std::fmt::Display for SourceIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "cluster {} database {}",
            self.system_identifier, self.database_oid
        )
    }
}

/// How far an error reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// One feed; the others go on.
    Feed,
    /// Every feed of the process.
    Process,
}

/// What is done about a definite error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The feed stops with its reason in the registry; its offsets stay.
    StopFeed,
    /// The process ends with exit code 2: nothing was started.
    Refuse,
    /// Every feed stops with its reason in the registry; the process lives on.
    StopAll,
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// The name in the registry, the status and metric labels.
    pub code: &'static str,
    /// How far it reaches.
    pub scope: Scope,
    /// What is done.
    pub action: Action,
    /// One sentence: what a person can do.
    pub advice: &'static str,
}

impl Definite {
    /// The row of the table.
    #[must_use]
    pub fn rule(&self) -> Rule {
        let stop = |code, advice| Rule {
            code,
            scope: Scope::Feed,
            action: Action::StopFeed,
            advice,
        };
        match self {
            Self::Setup(_) => Rule {
                code: "setup",
                scope: Scope::Process,
                action: Action::Refuse,
                advice: "correct the configuration and start again",
            },
            Self::SourceChanged { .. } => Rule {
                code: "source_changed",
                scope: Scope::Process,
                action: Action::StopAll,
                advice: "correct the address, or accept the new source: worker-svc apply --accept-source ID",
            },
            Self::NewEpoch { .. } => stop("new_epoch", "make a new generation"),
            Self::OffsetsGone { .. } => stop("offsets_gone", "make a new generation"),
            Self::PositionLost { .. } => stop("position_lost", "make a new generation"),
            Self::NotServed { .. } => stop("not_served", "make a new generation"),
            Self::Truncated { .. } => stop("truncated", "make a new generation"),
            Self::RepairNeeded { .. } => stop("repair_needed", "make a new generation"),
            Self::FingerprintChanged { .. } => stop("fingerprint_changed", "make a new generation"),
            Self::Definition(_) => stop(
                "definition",
                "correct the definition or the database, then resume",
            ),
            Self::Refused { .. } => stop("refused", "correct the row or the mapping, then resume"),
            Self::RefusalRun { .. } => stop(
                "refusal_run",
                "correct the index or its pipeline, then resume",
            ),
            Self::Unbuildable { .. } => stop("unbuildable", "correct the row, then resume"),
            Self::TooSlow { .. } => stop(
                "too_slow",
                "add the missing index or make the document smaller, then resume",
            ),
            Self::Malformed(_) => stop("malformed", "a defect of the product: report it"),
            Self::Unreadable { .. } => stop("unreadable", "upgrade the workers first, then resume"),
            Self::Registry { .. } => stop(
                "registry",
                "upgrade the workers, or restore the entry, then resume",
            ),
            Self::AliasTaken { .. } => stop(
                "alias_taken",
                "rename or remove that index, or change prefix",
            ),
            Self::IndexTaken { .. } => stop("index_taken", "remove that index, or change prefix"),
            Self::IndexRefused { .. } => stop(
                "index_refused",
                "correct mapping options or settings, then apply",
            ),
            Self::NumbersUsedUp(_) => stop(
                "numbers_used_up",
                "start with an empty registry and new indexes",
            ),
            Self::Violation(_) => stop(
                "violation",
                "a defect of the product: report it; nothing wrong was done",
            ),
        }
    }
}

/// About the world just now: back off, try again.
#[derive(Debug, thiserror::Error)]
pub enum Transient {
    /// Postgres failed or cannot be reached.
    #[error("Postgres, while {doing}")]
    Postgres {
        /// What was under way.
        doing: &'static str,
        /// Its error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Kafka failed or cannot be reached.
    #[error("Kafka, while {doing}")]
    Kafka {
        /// What was under way.
        doing: &'static str,
        /// Its error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// OpenSearch failed or cannot be reached.
    #[error("OpenSearch, while {doing}")]
    Sink {
        /// What was under way.
        doing: &'static str,
        /// Its error.
        #[source]
        source: crate::sink::Failure,
    },
    /// An old primary answers at the source's address: nothing is built from it.
    #[error("timeline {} of cluster {} answers, but timeline {newest} was seen", run.timeline, run.system_identifier)]
    OldPrimary {
        /// What answered.
        run: ServerRun,
        /// The newest timeline registered for that cluster.
        newest: u32,
    },
    /// Something that heals by itself has to come first.
    #[error("waiting for {0}")]
    Waiting(String),
    /// A part of the process ended early.
    #[error(transparent)]
    Task(#[from] runtime::task::TaskError),
}

/// An error with everything behind it, on one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        // Some crates repeat their source in their own text.
        if !text.ends_with(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        source = inner.source();
    }
    text
}
