//! Puts in place what readers need, while capture runs.
//! In: the union of all needs, at the start and whenever it changes, and every
//! 30 s for new partitions. Out: the tables as they are, and what is not as it
//! must be.
//! Must hold: R2. What is listed as unmet is not served, and its feeds are told
//! so; other tables do not wait for it.

use std::time::Duration;

use model::{Needs, TableName};
use tokio_postgres::Client;

use super::{Preflight, Repairs, Settings, Unmet};
use crate::needs::Union;
use crate::relation::{CatalogError, Table};

/// How often a statement that met a lock is tried again before the rest goes
/// on without it.
const TRIES: u32 = 3;

/// Between two tries: longer than most transactions of an application.
const PAUSE: Duration = Duration::from_millis(500);

/// How often to prepare anew although nothing was asked: new partitions do not
/// inherit an identity, and what was unmet may have been mended by hand.
pub const PREPARE_EVERY: Duration = Duration::from_secs(30);

/// Sets identities and extends the publication.
#[derive(Debug, Clone)]
pub struct Preparer {
    settings: Settings,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The needed tables as they are now.
    pub tables: Vec<Table>,
    /// What is not as it must be, with the statement that mends it.
    pub unmet: Vec<Unmet>,
}

impl Prepared {
    /// What keeps these needs from being served, in words. Empty: nothing.
    #[must_use]
    pub fn waiting_for(&self, needs: &Needs) -> Vec<String> {
        let concerns = |table: &Option<TableName>| {
            table
                .as_ref()
                .is_none_or(|table| needs.table(table).is_some())
        };
        let words = |unmet: &Unmet| match &unmet.finding.sql {
            Some(sql) => format!("{}: {sql}", unmet.finding.message),
            None => unmet.finding.message.clone(),
        };
        self.unmet
            .iter()
            .filter(|unmet| concerns(&unmet.table))
            .map(words)
            .collect()
    }
}

impl Preparer {
    /// By these settings.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Preparer { settings }
    }

    /// Brings the database to what `needed` asks for, as far as the role may
    /// and no lock is in the way. May be dropped at any time.
    ///
    /// # Errors
    /// When a statement fails for another reason than a lock.
    pub async fn prepare(&self, client: &Client, needed: &Union) -> Result<Prepared, CatalogError> {
        let mut tries = 0;
        loop {
            let preflight = Preflight::read(client, self.settings.clone(), needed.clone()).await?;
            let repairs = preflight.repairs();
            if repairs.is_empty() || tries == TRIES {
                let unmet = preflight.unmet();
                return Ok(Prepared {
                    tables: preflight.facts.tables,
                    unmet,
                });
            }
            tries += 1;
            if !self.mend(client, repairs).await? {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// `true` when nothing is left to do.
    async fn mend(&self, client: &Client, repairs: Repairs) -> Result<bool, CatalogError> {
        let mended = repairs.mend(client).await?;
        for repair in &mended.done {
            tracing::info!(statement = %repair, "changed the source for replication");
        }
        for repair in mended.postponed.iter() {
            tracing::warn!(statement = %repair, "a lock is in the way of a change for replication; tried again");
        }
        Ok(mended.postponed.is_empty())
    }
}
