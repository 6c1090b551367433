//! `[source]`: the database, its slot and its publication.

use std::path::PathBuf;

use super::{Secret, TlsSettings};

/// `[source]`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches of the language"
)]
pub struct Source {
    /// Where the database is.
    pub connection: Connection,
    /// TLS as `[source]` says; a URL may add to it
    /// ([`super::ConnectionParameters::new`]).
    pub tls: TlsSettings,
    /// Where relative paths of a connection URL start.
    pub directory: PathBuf,
    /// Name of the replication slot.
    pub slot: String,
    /// Create the slot with FAILOVER.
    pub slot_failover: bool,
    /// Name of the publication, exact.
    pub publication: String,
    /// Create and extend the publication.
    pub manage_publication: bool,
    /// Set replica identities.
    pub manage_replica_identity: bool,
    /// Start although an identity is missing.
    pub allow_stale_parents: bool,
    /// What to do when the slot is lost.
    pub on_slot_loss: OnSlotLoss,
    /// Whether sessions may commit asynchronously.
    pub asynchronous_commit: AsynchronousCommit,
}

/// Where the database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Connection {
    /// A `postgres://` URL.
    Url(Secret),
    /// Parts, taken literally.
    Parts {
        /// Host name, address, or (with a leading `/`) socket directory.
        host: String,
        /// Port.
        port: u16,
        /// User.
        user: String,
        /// Password.
        password: Option<Secret>,
        /// Database.
        database: String,
    },
}

/// What to do with an invalidated or missing slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnSlotLoss {
    /// Make it again: a new epoch, every index is seeded anew.
    Reseed,
    /// Wait for a person.
    Stop,
}

/// Whether any session uses `synchronous_commit = off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AsynchronousCommit {
    /// Some may: a crash of Postgres needs a repair pass.
    Possible,
    /// None does.
    Never,
}
