//! What is published for whom, and since when without interruption.
//!
//! ```text
//!  own file ─┐
//!            ├─ union ─▶ route, publication, identities
//!  feeds ────┘              │ in place
//!                           ▼
//!          Barrier: every older transaction has ended ─▶ since LSN ─▶ answer
//! ```
//!
//! Must hold: R2. A feed is told an LSN only when every transaction that
//! commits at or behind it was written, from its first row on, with the
//! publication and the identities in place, and is routed by these needs.
//! Must not: write an answer; `control` does.
//! Why the barrier proves it: a fresh transaction id is taken *after* the set-up
//! is in place and the router has the new needs. Once a snapshot's xmin lies
//! above that id, every transaction that could have written before is over, so
//! its commit record lies below the log's end as read after that snapshot.

use std::collections::BTreeSet;

use model::{Lsn, Needs, TableName, Xid};
use tokio_postgres::Client;

use crate::relation::CatalogError;

/// What all readers together need.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Union {
    /// Tables with their routing and used columns.
    pub needs: Needs,
    /// Tables under a plan or a verify: nothing of them is suppressed.
    pub scanning: BTreeSet<TableName>,
}

impl Union {
    /// The needs of the own file's enabled indexes (empty without any), with
    /// those of all feeds that are not retired.
    #[must_use]
    pub fn new(own: Needs, feeds: Needs, scanning: BTreeSet<TableName>) -> Self {
        Union {
            needs: own.union(feeds),
            scanning,
        }
    }

    /// The tables that must be published.
    pub fn tables(&self) -> impl Iterator<Item = &TableName> {
        self.needs.tables().keys()
    }
}

/// A transaction id taken after the set-up was in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Barrier {
    xid: Xid,
}

/// Whether the older transactions have ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// They have: positions at or behind this LSN are served.
    Since(Lsn),
    /// These have not, in words: the oldest few.
    Waiting(Vec<String>),
}

impl Barrier {
    /// Takes a fresh transaction id. Call it after publication and identities
    /// are in place and the router has the needs.
    ///
    /// # Errors
    /// When the statement fails.
    pub async fn raise(client: &Client) -> Result<Self, CatalogError> {
        // Outside a transaction block, so that it is a transaction of its own
        // and over when the answer is here.
        let row = client
            .query_one("SELECT pg_current_xact_id()::text", &[])
            .await?;
        Ok(Barrier { xid: xid(&row)? })
    }

    /// Whether every transaction older than the barrier has ended.
    ///
    /// # Errors
    /// When a statement fails.
    pub async fn look(self, client: &Client) -> Result<Ended, CatalogError> {
        // The snapshot of the statement is taken before the log's end is read.
        let statement = "
            SELECT pg_snapshot_xmin(pg_current_snapshot())::text,
                   pg_current_wal_insert_lsn()::text";
        let row = client.query_one(statement, &[]).await?;
        if xid(&row)? > self.xid {
            let end: String = row.try_get(1)?;
            return end
                .parse()
                .map(Ended::Since)
                .map_err(|_| CatalogError::unexpected("an LSN"));
        }
        let rows = client.query(OLDER, &[&self.xid.to_string()]).await?;
        let older: Result<Vec<String>, _> = rows.iter().map(|row| row.try_get(0)).collect();
        Ok(Ended::Waiting(older?))
    }
}

/// Who is still running, by the age of ids: theirs have 32 bits.
const OLDER: &str = "
SELECT what FROM (
    SELECT format('session %s (%s) in a transaction since %s', pid, application_name,
                  to_char(xact_start, 'YYYY-MM-DD HH24:MI:SS TZ')) AS what,
           age(backend_xid) AS age
    FROM pg_catalog.pg_stat_activity WHERE backend_xid IS NOT NULL
    UNION ALL
    SELECT format('prepared transaction %s of %s since %s', gid, owner,
                  to_char(prepared, 'YYYY-MM-DD HH24:MI:SS TZ')),
           age(transaction)
    FROM pg_catalog.pg_prepared_xacts
) running
WHERE age >= age(($1::text)::xid8::xid)
ORDER BY age DESC
LIMIT 5";

fn xid(row: &tokio_postgres::Row) -> Result<Xid, CatalogError> {
    let text: String = row.try_get(0)?;
    text.parse()
        .map(Xid::new)
        .map_err(|_| CatalogError::unexpected("a transaction id"))
}

#[cfg(test)]
mod tests {
    use model::{ColumnName, TableNeeds};

    use super::*;

    fn needs(table: &str, routing: &[&str]) -> Needs {
        let columns = || routing.iter().map(|name| ColumnName::new(*name)).collect();
        let needs = TableNeeds {
            routing: columns(),
            used: columns(),
            all_used: false,
        };
        [(TableName::new("public", table), needs)]
            .into_iter()
            .collect()
    }

    #[test]
    fn a_generation_whose_file_is_gone_stays_fed() {
        let union = Union::new(
            needs("orders", &["show_id"]),
            needs("orders", &["user_id"]).union(needs("shows", &[])),
            BTreeSet::new(),
        );
        let tables: Vec<_> = union.tables().map(ToString::to_string).collect();
        assert_eq!(tables, ["public.orders", "public.shows"]);
        let orders = union
            .needs
            .table(&TableName::new("public", "orders"))
            .unwrap();
        assert_eq!(orders.routing.len(), 2);
    }
}
