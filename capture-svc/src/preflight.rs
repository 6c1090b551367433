//! Whether the source can be captured, and what has to be done for it.
//!
//! ```text
//!  server ─▶ read ─▶ Facts ─▶ report ─▶ findings: what is wrong, how to mend it
//!                      └────▶ plan ───▶ Repairs ─▶ mend (only in `run`)
//! ```
//!
//! Must hold: `read` and `report` change nothing; everything is read before
//! anything is said, so one report has it all. Mending sets identities first
//! and publishes second (design 4.2): a table published without an identity
//! breaks the application's own UPDATE and DELETE. Tables are never removed
//! from a publication.
//! Must not: make or drop the slot; its epoch comes first.

use definition::deployment::{OnSlotLoss, Source};
use definition::{Diagnostic, Diagnostics, Severity};
use model::{ColumnName, TableName};

use crate::needs::Union;
use crate::relation::{CatalogError, Table};
use crate::slot::Slot;

mod facts;
mod identity;
mod mend;
mod prepare;
mod publication;
mod server;

pub use facts::Publication;
pub use identity::StaleTable;
pub use mend::{Mended, Repair, Repairs};
pub use prepare::{PREPARE_EVERY, Prepared, Preparer};

/// What preflight goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one key of the configuration"
)]
pub struct Settings {
    /// `[source] slot`.
    pub slot: String,
    /// `[source] slot_failover`.
    pub slot_failover: bool,
    /// `[source] on_slot_loss`.
    pub on_slot_loss: OnSlotLoss,
    /// `[source] publication`.
    pub publication: String,
    /// `[source] manage_publication`.
    pub manage_publication: bool,
    /// `[source] manage_replica_identity`.
    pub manage_replica_identity: bool,
    /// `[source] allow_stale_parents`.
    pub allow_stale_parents: bool,
    /// `[capture] max_retained_wal`, bytes; `None` without a limit.
    pub max_retained_wal: Option<u64>,
}

impl Settings {
    /// The settings of a checked configuration.
    #[must_use]
    pub fn new(source: &Source, max_retained_wal: Option<u64>) -> Self {
        Settings {
            slot: source.slot.clone(),
            slot_failover: source.slot_failover,
            on_slot_loss: source.on_slot_loss,
            publication: source.publication.clone(),
            manage_publication: source.manage_publication,
            manage_replica_identity: source.manage_replica_identity,
            allow_stale_parents: source.allow_stale_parents,
            max_retained_wal,
        }
    }

    /// The publication as SQL writes it for people.
    fn publication_word(&self) -> String {
        ColumnName::new(self.publication.as_str()).to_string()
    }
}

/// Everything that was read. Made by [`Preflight::read`], or by hand in tests.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that are each yes or no"
)]
pub struct Facts {
    /// `server_version_num`.
    pub version: i32,
    /// The server is a standby.
    pub in_recovery: bool,
    /// The database's encoding.
    pub encoding: String,
    /// The database.
    pub database: String,
    /// The role may make things in the database.
    pub may_create: bool,
    /// `wal_level`.
    pub wal_level: String,
    /// The session's role.
    pub role: String,
    /// It is a superuser.
    pub superuser: bool,
    /// It may replicate.
    pub may_replicate: bool,
    /// `max_replication_slots`, and how many are taken.
    pub slots: (i64, i64),
    /// `max_wal_senders`, and how many are taken.
    pub senders: (i64, i64),
    /// `max_slot_wal_keep_size` in bytes; `None` without a limit.
    pub max_slot_wal_keep_size: Option<u64>,
    /// The publication; `None` when there is none.
    pub publication: Option<Publication>,
    /// The slot; `None` when there is none.
    pub slot: Option<Slot>,
    /// The needed tables that exist.
    pub tables: Vec<Table>,
}

/// What was read, beside what is wanted.
#[derive(Debug, Clone)]
pub struct Preflight {
    settings: Settings,
    needed: Union,
    facts: Facts,
}

impl Preflight {
    /// Reads everything. Changes nothing.
    ///
    /// # Errors
    /// When a statement fails.
    pub async fn read(
        client: &tokio_postgres::Client,
        settings: Settings,
        needed: Union,
    ) -> Result<Self, CatalogError> {
        let facts = facts::read(client, &settings, &needed).await?;
        Ok(Preflight {
            settings,
            needed,
            facts,
        })
    }

    /// Of facts that are known already.
    #[must_use]
    pub fn of(settings: Settings, needed: Union, facts: Facts) -> Self {
        Preflight {
            settings,
            needed,
            facts,
        }
    }

    /// What was read.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The tables that were read, for the router.
    #[must_use]
    pub fn tables(&self) -> &[Table] {
        &self.facts.tables
    }

    /// Everything that is wrong or will be mended. An error means that
    /// something would go wrong later, so nothing may start.
    #[must_use]
    pub fn report(&self) -> Diagnostics {
        let mut report = Report::default();
        server::judge(self, &mut report);
        self.missing_tables(&mut report);
        publication::judge(self, &mut report);
        identity::judge(self, &mut report);
        server::judge_slot(self, &mut report);
        let mut findings = Diagnostics::new();
        for found in report.0 {
            findings.push(found.finding);
        }
        findings
    }

    /// What keeps needed tables from being captured as they must be, now.
    #[must_use]
    pub fn unmet(&self) -> Vec<Unmet> {
        let mut report = Report::default();
        publication::judge(self, &mut report);
        identity::judge(self, &mut report);
        let unmet = |found: Found| {
            let table = match found.blocks? {
                Blocked::Everything => None,
                Blocked::Table(table) => Some(table),
            };
            Some(Unmet {
                table,
                finding: found.finding,
            })
        };
        report.0.into_iter().filter_map(unmet).collect()
    }

    /// What [`Repairs::mend`] has to do, as far as the role may.
    #[must_use]
    pub fn repairs(&self) -> Repairs {
        let mut repairs = Repairs::default();
        identity::plan(self, &mut repairs);
        publication::plan(self, &mut repairs);
        repairs
    }

    /// The tables whose former rows cannot be told although they are streamed
    /// (`allow_stale_parents`, or not mended yet).
    #[must_use]
    pub fn stale_tables(&self) -> Vec<StaleTable> {
        identity::stale(self)
    }

    /// A table of a feed whose file is gone may be gone itself; the feed
    /// notices by its fingerprint. Others do not wait for that.
    fn missing_tables(&self, report: &mut Report) {
        for name in self.needed.tables() {
            if !self.facts.tables.iter().any(|table| table.name == *name) {
                let message = format!("{name} is needed, but does not exist, or not as a table");
                report.push(Diagnostic::warning("W420", message).help(
                    "the indexes that use it stop with that reason; retire those whose file is gone",
                ));
            }
        }
    }

    /// The needed tables whose changes can be in the stream.
    fn streamed(&self) -> impl Iterator<Item = (&Table, &model::TableNeeds)> {
        self.facts.tables.iter().filter_map(|table| {
            let needs = self.needed.needs.table(&table.name)?;
            table.is_streamable().then_some((table, needs))
        })
    }
}

/// Why a table is not captured as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmet {
    /// Which table; `None`: all of them.
    pub table: Option<TableName>,
    /// What is wrong, and how to mend it.
    pub finding: Diagnostic,
}

/// Collects findings.
#[derive(Default)]
struct Report(Vec<Found>);

/// A finding, and whom it keeps from being served.
struct Found {
    finding: Diagnostic,
    /// As long as it stands, this table is not captured as it must be.
    blocks: Option<Blocked>,
}

/// What a finding keeps from being captured.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Blocked {
    Everything,
    Table(TableName),
}

impl Report {
    fn push(&mut self, finding: Diagnostic) {
        let is_error = finding.severity == Severity::Error;
        let blocks = is_error.then_some(Blocked::Everything);
        self.0.push(Found { finding, blocks });
    }

    /// An error that concerns one table.
    fn push_for(&mut self, table: &TableName, finding: Diagnostic) {
        let blocks = Some(Blocked::Table(table.clone()));
        self.0.push(Found { finding, blocks });
    }

    fn error(&mut self, code: &'static str, message: String, help: impl Into<String>) {
        self.push(Diagnostic::error(code, message).help(help));
    }

    fn warning(&mut self, code: &'static str, message: String, help: impl Into<String>) {
        self.push(Diagnostic::warning(code, message).help(help));
    }

    /// A finding that carries the statement that mends it: a warning when
    /// capture will run it itself. It blocks until it is mended.
    fn mendable(&mut self, code: Codes, blocks: Blocked, mendable: Mendable) {
        let Mendable {
            message,
            help,
            sql,
            mends,
        } = mendable;
        let finding = if mends {
            let help = format!("capture-svc run does it: {sql}");
            Diagnostic::warning(code.warning, message).help(help)
        } else {
            Diagnostic::error(code.error, message).help(help)
        };
        self.0.push(Found {
            finding: finding.sql(sql),
            blocks: Some(blocks),
        });
    }
}

/// A finding that a statement mends.
struct Mendable {
    message: String,
    help: String,
    sql: String,
    /// Capture will run it.
    mends: bool,
}

/// The code of a finding as error and as warning.
#[derive(Debug, Clone, Copy)]
struct Codes {
    error: &'static str,
    warning: &'static str,
}

/// A table's name for a statement that people copy.
fn word(table: &TableName) -> String {
    table.to_string()
}

#[cfg(test)]
mod tests;
