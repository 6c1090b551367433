//! Keys → documents, all from one snapshot.
//! In: a [`Request`]: changes to resolve, keys, or a range of blocks. Out: [`Built`]:
//! documents as bytes with the version of their snapshot; or why there are none.
//! Must hold: W3 (every transaction of the request is visible in the snapshot), W2 (the
//! run before the snapshot and after the last read is one and the same, and holds the
//! highest incarnation), W4 (one answer for each key).
//! Must not: parse documents, write, or wait: [`crate::feed`] backs off and asks again.
//!
//! ```text
//!  first trip                              second trip
//!  run · BEGIN · LOCK · snapshot · resolve ─▶ build … · run · COMMIT
//!                          └─ gate ──────────────┘
//! ```
//!
//! Why LOCK comes before the snapshot: a snapshot taken before a table rewrite commits
//! sees that table empty, and every document would be deleted. The lock needs SELECT
//! only, takes no snapshot, and has a time-out: a migration must not queue behind us.

mod announcer;
mod gate;
mod run;
mod session;
mod statements;
mod documents;
mod failed;
mod rows;
mod transaction;
mod pages;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use model::{Change, DocumentVersion, Epoch, Incarnation, ServerRun, SourceCause, TableName};
use runtime::postgres::Pool;
use tokio::sync::watch;

pub use announcer::Announcer;
pub use documents::{Built, Document};
pub use gate::{Gate, Unseen, VisibleFrom};
pub use pages::Paged;
pub use statements::Statements;

use crate::coordinate::View;
use crate::error::SourceIdentity;
use crate::registry::Incarnations;
use crate::resolve::{DocumentKey, Paths};
use crate::{Definite, Transient};

/// The source as capture announced it for the newest epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// The newest epoch.
    pub epoch: Epoch,
    /// The cluster and the database.
    pub identity: SourceIdentity,
    /// The timeline.
    pub timeline: u32,
}

/// Repeats a new incarnation in `{p}.control`, acknowledged, before it is used.
pub trait Announce: Send + Sync {
    /// `run` got `number`.
    fn incarnation(
        &self,
        run: ServerRun,
        number: Incarnation,
    ) -> futures_util::future::BoxFuture<'_, Result<(), Transient>>;
}

/// The bounds of one build.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of documents held by one batch; a larger document goes alone.
    pub batch_bytes: usize,
    /// Documents of one batch; above, they are shared through `{p}.fanout`.
    pub fanout_threshold: usize,
    /// Of a statement, zero for none; never more than half of [`OLDEST_WRITE`].
    pub statement_timeout: Duration,
    /// How long a build waits for a table lock.
    pub lock_timeout: Duration,
}

/// The age rule (design 5): a write whose snapshot is older is built again, because the
/// version of a delete may have been forgotten meanwhile.
pub const OLDEST_WRITE: Duration = Duration::from_mins(1);

/// What is to be built.
#[derive(Debug, Clone)]
pub enum Request<'a> {
    /// The documents that these changes affect.
    Changes(&'a [&'a Change]),
    /// The documents of these keys.
    Keys(&'a [DocumentKey]),
    /// The rows of a range of blocks.
    Blocks(Blocks<'a>),
    /// Only the keys of the rows of a range of blocks, to build them one by one: they come
    /// back as [`Attempt::Built::left`].
    KeysOf(Blocks<'a>),
}

/// A range of blocks of the root table or of one of its leaves.
#[derive(Debug, Clone, Copy)]
pub struct Blocks<'a> {
    /// The table or leaf.
    pub table: &'a TableName,
    /// Its oid as planned.
    pub oid: u32,
    /// Its file node as planned.
    pub file_node: u32,
    /// The first block.
    pub from: u32,
    /// The block after the last; `None` is open-ended.
    pub to: Option<u32>,
    /// Write deletes for rows without a document: a repair needs them, a seed does not.
    pub deletes: bool,
}

/// How one try ended.
#[derive(Debug)]
pub enum Attempt {
    /// Documents, and the keys that did not fit.
    Built {
        /// What was built.
        built: Built,
        /// To be built next, from another snapshot.
        left: Vec<DocumentKey>,
    },
    /// Not every transaction is visible yet (W3): back off, try again.
    Unseen(Unseen),
    /// The run changed, or was not registered before the build began: try again now.
    RunChanged,
    /// More documents than one batch builds: share them.
    TooMany,
    /// One of the rows cannot be built: bisect.
    RowFault {
        /// SQLSTATE: class 22 or P0001.
        sqlstate: String,
        /// Postgres' words, with row values: for the dead-letter topic only.
        message: String,
        /// The documents that were asked for; `None` when it failed before they were known.
        keys: Option<Vec<DocumentKey>>,
    },
    /// It took longer than [`Limits::statement_timeout`]: halve.
    TooSlow {
        /// The documents that were asked for; `None` when it failed before they were known.
        keys: Option<Vec<DocumentKey>>,
    },
    /// A range of blocks whose documents do not fit into a batch: halve.
    TooLarge,
    /// The leaf is not the one that was planned (rewritten, detached, gone).
    Replan {
        /// The file node that was found; `None` when the leaf is gone or detached.
        found: Option<u32>,
    },
}

/// Builds the documents of one feed.
pub struct Builder {
    pool: Pool,
    paths: Paths,
    statements: Statements,
    limits: Limits,
    incarnations: Arc<Incarnations>,
    announce: Arc<dyn Announce>,
    control: watch::Receiver<View>,
    registered: Mutex<Option<(ServerRun, Incarnation)>>,
    /// Bytes of a document, on average of the last ones: how many keys one statement asks for.
    document_bytes: AtomicUsize,
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// What a builder works with.
pub struct Parts {
    /// Connections to the primary.
    pub pool: Pool,
    /// How rows lead to documents.
    pub paths: Paths,
    /// The index's SQL.
    pub statements: Statements,
    /// The bounds.
    pub limits: Limits,
    /// The numbers of runs.
    pub incarnations: Arc<Incarnations>,
    /// Repeats new numbers.
    pub announce: Arc<dyn Announce>,
    /// What `{p}.control` says, the newest epoch's source among it.
    pub control: watch::Receiver<View>,
}

impl Builder {
    /// A builder; nothing is connected yet.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        /// A first guess; corrected by every build.
        const DOCUMENT_BYTES: usize = 1024;
        // Half of the age that a write may have at most; zero means no limit of one's own.
        let longest = OLDEST_WRITE / 2;
        let configured = Some(parts.limits.statement_timeout).filter(|limit| !limit.is_zero());
        let limits = Limits {
            statement_timeout: configured.map_or(longest, |limit| limit.min(longest)),
            ..parts.limits
        };
        Builder {
            pool: parts.pool,
            paths: parts.paths,
            statements: parts.statements,
            limits,
            incarnations: parts.incarnations,
            announce: parts.announce,
            control: parts.control,
            registered: Mutex::new(None),
            document_bytes: AtomicUsize::new(DOCUMENT_BYTES),
        }
    }

    /// The bounds it works with.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// The newest announced source.
    ///
    /// # Errors
    /// Capture has announced none yet.
    pub fn source(&self) -> Result<Source, Transient> {
        let word = self.control.borrow().epoch();
        word.map(|word| Source {
            epoch: word.epoch,
            identity: word.source,
            timeline: word.timeline,
        })
        .ok_or_else(|| Transient::Waiting(String::from("capture's first announcement")))
    }

    /// Why an epoch began, in capture's words, if they have arrived.
    #[must_use]
    pub fn cause_of(&self, epoch: Epoch) -> Option<(SourceCause, String)> {
        let view = self.control.borrow();
        let word = view.epochs().find(|word| word.epoch == epoch);
        word.map(|word| (word.cause, word.reason))
    }

    /// One try.
    ///
    /// # Errors
    /// Nothing was built and a later try may; inside: none will.
    pub async fn attempt(
        &self,
        request: &Request<'_>,
        gate: &Gate,
    ) -> Result<Result<Attempt, Definite>, Transient> {
        let source = self.source()?;
        let registered = match self.still_registered().await? {
            Ok(registered) => registered,
            Err(definite) => return Ok(Err(definite)),
        };
        let tried = transaction::run(self, request, gate, source, registered).await?;
        let seen = match tried {
            Ok(transaction::Ended::Attempt(attempt)) => return Ok(Ok(attempt)),
            Ok(transaction::Ended::OtherRun(seen)) => seen,
            Err(definite) => return Ok(Err(definite)),
        };
        if let Err(definite) = self.register(seen).await? {
            return Ok(Err(definite));
        }
        Ok(Ok(Attempt::RunChanged))
    }

    /// A conflict told of a version with a higher incarnation: the next build's run is
    /// registered above it (R3).
    ///
    /// # Errors
    /// No numbers are left.
    pub async fn register_above(&self, seen: Incarnation) -> Result<(), Definite> {
        self.incarnations.register_above(seen).await?;
        *self.lock_registered() = None;
        Ok(())
    }

    /// The run of the last build with its number, if it still holds the highest one.
    async fn still_registered(
        &self,
    ) -> Result<Result<Option<(ServerRun, Incarnation)>, Definite>, Transient> {
        let last = *self.lock_registered();
        match last {
            None => Ok(Ok(None)),
            Some((run, _)) => match self.register(run).await? {
                Ok(number) => Ok(Ok(Some((run, number)))),
                Err(definite) => Ok(Err(definite)),
            },
        }
    }

    async fn register(&self, run: ServerRun) -> Result<Result<Incarnation, Definite>, Transient> {
        let numbered = match self.incarnations.number_of(run, now_us()).await? {
            Ok(numbered) => numbered,
            Err(definite) => return Ok(Err(definite)),
        };
        if numbered.is_new {
            self.announce.incarnation(run, numbered.number).await?;
        }
        *self.lock_registered() = Some((run, numbered.number));
        Ok(Ok(numbered.number))
    }

    fn lock_registered(&self) -> std::sync::MutexGuard<'_, Option<(ServerRun, Incarnation)>> {
        self.registered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// How many keys one build statement asks for.
    fn keys_per_statement(&self) -> usize {
        let bytes = self.document_bytes.load(Ordering::Relaxed).max(1);
        (self.limits.batch_bytes / bytes).clamp(1, self.limits.fanout_threshold.max(1))
    }

    /// Takes the average of half the old figure and half the new one.
    fn learn(&self, documents: usize, bytes: usize) {
        if let Some(average) = bytes.checked_div(documents) {
            let known = self.document_bytes.load(Ordering::Relaxed);
            self.document_bytes
                .store(known.midpoint(average).max(1), Ordering::Relaxed);
        }
    }
}

/// The clock, µs since 1970.
#[must_use]
pub(crate) fn now_us() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}

/// The version of what a snapshot saw.
fn version(
    incarnation: Incarnation,
    snapshot: &model::Snapshot,
) -> Result<DocumentVersion, Definite> {
    DocumentVersion::new(incarnation, snapshot.ordinal())
        .map_err(|_| Definite::NumbersUsedUp("document versions"))
}

/// Whether what was read then may still be sent.
#[must_use]
pub fn is_fresh(read_at: Instant, now: Instant) -> bool {
    now.saturating_duration_since(read_at) < OLDEST_WRITE
}

#[cfg(test)]
mod tests;
