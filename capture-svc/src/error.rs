//! What can go wrong, and what is done about it.
//!
//! | kind | scope | action | what the operator is told |
//! |---|---|---|---|
//! | [`Transient`] | connection | reconnect after a pause | what is waited for, in log and `/status` |
//! | [`Definite`] | process | stop with exit code 1 | what is wrong and how to mend it |
//!
//! Unknown errors of a server count as transient: capture keeps its place and tries again, and
//! `/status` shows the error.

use model::{Lsn, Violation};

/// Trying again cannot help. Ends the process with its text.
#[derive(Debug, thiserror::Error)]
pub enum Definite {
    /// A guarantee would have been broken.
    #[error(transparent)]
    Violation(#[from] Violation),
    /// The report of preflight has errors.
    #[error("the source or the topics cannot be used ({errors} to mend first):\n{report}")]
    Preflight {
        /// How many errors.
        errors: usize,
        /// All findings, for a person.
        report: String,
    },
    /// The slot cannot be used, and the configuration says to wait for a person.
    #[error("slot {slot}: {reason}. {help}")]
    Slot {
        /// Its name.
        slot: String,
        /// What is wrong with it.
        reason: String,
        /// How to go on.
        help: String,
    },
    /// Another cluster or database behind the same address.
    #[error("the source is system {found} now, but {known} was captured so far: {help}")]
    SourceChanged {
        /// The identity in the control topic.
        known: String,
        /// The identity that answers.
        found: String,
        /// How to go on.
        help: String,
    },
    /// A record that can never be published.
    #[error("{0}")]
    Unpublishable(String),
    /// Anything about the set-up that has its words already.
    #[error("{0}")]
    SetUp(String),
}

/// About the world just now: reconnect, back off, try again.
#[derive(Debug, thiserror::Error)]
pub enum Transient {
    /// Postgres, over SQL.
    #[error("postgres: {0}")]
    Postgres(String),
    /// Postgres, over the replication connection.
    #[error("replication: {0}")]
    Replication(String),
    /// Kafka.
    #[error("kafka: {0}")]
    Kafka(String),
    /// A message failed or vanished: nothing after it may count, so the producer is made anew.
    #[error("the producer is broken: {0}")]
    Publisher(String),
    /// The slot is held by another capture: this one is a standby.
    #[error("slot {slot} is held by {holder}")]
    SlotBusy {
        /// Its name.
        slot: String,
        /// Who holds it: application name and process id.
        holder: String,
    },
    /// The slot is held by a program that is no capture. Nothing of the source is touched until it
    /// has gone: it may depend on identities and publication as they are.
    #[error(
        "slot {slot} is held by another program, {holder}: stop it, or name another slot with [source] slot; this capture takes over as soon as the slot is free"
    )]
    SlotTaken {
        /// Its name.
        slot: String,
        /// Who holds it: application name and process id.
        holder: String,
    },
    /// The stream shows another history than was published: a new epoch begins.
    #[error(
        "the log has forked: the transaction published at {expected} was not shown again before {found}"
    )]
    Forked {
        /// The commit LSN of the transaction that should have come.
        expected: Lsn,
        /// What came instead.
        found: Lsn,
    },
}

/// Either of them.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Stop.
    #[error(transparent)]
    Definite(#[from] Definite),
    /// Try again.
    #[error(transparent)]
    Transient(#[from] Transient),
}

impl From<Violation> for Failure {
    fn from(violation: Violation) -> Self {
        Self::Definite(violation.into())
    }
}
