//! One pooled connection for one transaction.
//! In: the pool. Out: pipelined statements. Must hold: a connection whose transaction did
//! not end cleanly never goes back to the pool: another feed would build in it.

use deadpool_postgres::ClientWrapper;
use runtime::postgres::{Pool, Pooled};

use crate::Transient;

/// A connection. Dropped before [`Session::done`], it is closed.
pub(super) struct Session {
    pooled: Option<Pooled>,
}

impl Session {
    pub(super) async fn open(pool: &Pool) -> Result<Self, Transient> {
        let pooled = pool.get().await.map_err(|error| Transient::Postgres {
            doing: "connecting",
            source: Box::new(error),
        })?;
        Ok(Session {
            pooled: Some(pooled),
        })
    }

    /// The transaction has ended: back to the pool.
    pub(super) fn done(mut self) {
        drop(self.pooled.take());
    }

    /// Ends the transaction without looking at its work.
    pub(super) async fn roll_back(self) {
        if let Some(pooled) = &self.pooled
            && pooled.batch_execute("ROLLBACK").await.is_ok()
        {
            self.done();
        }
    }

    pub(super) fn client(&self) -> Result<&ClientWrapper, Transient> {
        // Only `done` takes it, and that consumes the session.
        self.pooled
            .as_deref()
            .ok_or_else(|| Transient::Waiting(String::from("a connection")))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(pooled) = self.pooled.take() {
            pooled.discard();
        }
    }
}
