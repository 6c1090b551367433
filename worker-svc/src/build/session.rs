//! One pooled connection for one transaction.
//! In: the pool. Out: pipelined statements. Must hold: a connection whose transaction did
//! not end cleanly never goes back to the pool: another feed would build in it.

use std::ops::Deref;

use crate::Transient;
use deadpool_postgres::{ClientWrapper, Object, Pool};

/// A connection. Dropped before [`Session::done`], it is closed.
pub(super) struct Session {
    object: Option<Object>,
}

impl Session {
    pub(super) async fn open(pool: &Pool) -> Result<Self, Transient> {
        let object = pool.get().await.map_err(|error| Transient::Postgres {
            doing: "connecting",
            source: Box::new(error),
        })?;
        Ok(Session {
            object: Some(object),
        })
    }

    /// The transaction has ended: back to the pool.
    pub(super) fn done(mut self) {
        drop(self.object.take());
    }

    /// Ends the transaction without looking at its work.
    pub(super) async fn roll_back(self) {
        if let Some(object) = &self.object
            && object.batch_execute("ROLLBACK").await.is_ok()
        {
            self.done();
        }
    }

    pub(super) fn client(&self) -> Result<&ClientWrapper, Transient> {
        self.object
            .as_ref()
            .map(Deref::deref)
            .ok_or_else(|| Transient::Waiting(String::from("a connection")))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(object) = self.object.take() {
            drop(Object::take(object));
        }
    }
}
