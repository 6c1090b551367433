//! Carries out what preflight planned.
//! Must hold: identity first, publication second: a table whose identity could
//! not be set yet is not published. No statement waits long for a lock: behind
//! a waiting exclusive lock the application's own statements queue up.

use std::collections::BTreeSet;

use model::TableName;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use crate::relation::CatalogError;

/// Longest wait for a lock. The application waits as long, once per try.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '500ms'";

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repair {
    /// Set FULL on a leaf.
    Identity {
        /// The table; a leaf's root.
        table: TableName,
        /// The leaf.
        leaf: TableName,
    },
    /// Make or change the publication.
    Publication {
        /// How.
        sql: String,
    },
    /// Add a table to it.
    Publish {
        /// Which.
        table: TableName,
        /// How.
        sql: String,
    },
}

/// What there is to do, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repairs(Vec<Repair>);

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mended {
    /// What was done.
    pub done: Vec<Repair>,
    /// What has to be tried again, because somebody holds a lock, or because
    /// it waits for an identity that is in this list.
    pub postponed: Repairs,
}

impl Repair {
    fn sql(&self) -> String {
        match self {
            Repair::Identity { leaf, .. } => {
                format!("ALTER TABLE {} REPLICA IDENTITY FULL", leaf.sql())
            }
            Repair::Publication { sql } | Repair::Publish { sql, .. } => sql.clone(),
        }
    }
}

impl std::fmt::Display for Repair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.sql())
    }
}

impl Repairs {
    pub(super) fn push(&mut self, repair: Repair) {
        self.0.push(repair);
    }

    /// Nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What there is to do, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Repair> {
        self.0.iter()
    }

    /// Does what can be done now, each in its own short transaction. What
    /// meets a lock is postponed: try it again after a pause.
    ///
    /// # Errors
    /// When a statement fails for another reason than a lock. What was done
    /// stays; read and plan anew.
    pub async fn mend(self, client: &Client) -> Result<Mended, CatalogError> {
        let mut mended = Mended::default();
        let mut without_identity = BTreeSet::new();
        let mut without_publication = false;
        for repair in self.0 {
            let waits = match &repair {
                Repair::Identity { .. } => false,
                Repair::Publication { .. } => without_publication,
                Repair::Publish { table, .. } => {
                    without_publication || without_identity.contains(table)
                }
            };
            if !waits && run(client, &repair.sql()).await? {
                mended.done.push(repair);
                continue;
            }
            match &repair {
                Repair::Identity { table, .. } => {
                    without_identity.insert(table.clone());
                }
                Repair::Publication { .. } => without_publication = true,
                Repair::Publish { .. } => {}
            }
            mended.postponed.push(repair);
        }
        Ok(mended)
    }
}

/// `false` when somebody holds a lock. Two statements in one message are one
/// transaction, which ends with the message, however it ends.
async fn run(client: &Client, sql: &str) -> Result<bool, CatalogError> {
    let busy = [
        SqlState::LOCK_NOT_AVAILABLE,
        SqlState::T_R_DEADLOCK_DETECTED,
    ];
    match client
        .batch_execute(&format!("{LOCK_TIMEOUT}; {sql}"))
        .await
    {
        Ok(()) => Ok(true),
        Err(error) if error.code().is_some_and(|code| busy.contains(code)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
