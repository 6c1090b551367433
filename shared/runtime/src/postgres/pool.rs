//! A bounded pool of SQL sessions, each with its cache of prepared statements.
//! Must hold: a session that was given back in an unknown state is not given out again.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use deadpool::managed::{self, Metrics, PoolError, RecycleError, RecycleResult, TimeoutType};
use deadpool_postgres::ClientWrapper;

use super::Postgres;
use super::error::{Error, ErrorKind};
use crate::task;

/// A session is replaced at this age: its server process gives memory back, and after a
/// change of DNS or a failover all sessions end on the new server.
const MAX_AGE: Duration = Duration::from_mins(30);

/// How long [`Pool::get`] waits for a session to come free.
const WAIT: Duration = Duration::from_secs(30);

struct Manager {
    postgres: Postgres,
    name: String,
}

impl managed::Manager for Manager {
    type Type = ClientWrapper;
    type Error = Error;

    async fn create(&self) -> Result<ClientWrapper, Error> {
        let session = self.postgres.connect(&self.name).await?;
        let (client, mut driver) = session.into_parts();
        // The wrapper aborts this task when it is dropped, and that drops the driver.
        let handle = task::spawn_detached("postgres pool session", async move {
            drop(driver.join().await);
        });
        Ok(ClientWrapper::new(client, handle))
    }

    async fn recycle(&self, client: &mut ClientWrapper, metrics: &Metrics) -> RecycleResult<Error> {
        if client.is_closed() {
            return Err(RecycleError::message("the connection is closed"));
        }
        if metrics.age() > MAX_AGE {
            return Err(RecycleError::message("the connection is old"));
        }
        Ok(())
    }
}

/// Sessions to be borrowed. Cheap to clone.
#[derive(Clone)]
pub struct Pool {
    inner: managed::Pool<Manager>,
    described: Arc<str>,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pool").field(&self.inner.status()).finish()
    }
}

/// A borrowed session: dereferences to a client with `prepare_cached` and transactions.
/// It goes back when dropped. If a statement failed half-way or its future was dropped,
/// call [`Pooled::discard`]: the next user would wait for it, or stand in its transaction.
pub struct Pooled(managed::Object<Manager>);

impl fmt::Debug for Pooled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pooled")
    }
}

impl Deref for Pooled {
    type Target = ClientWrapper;

    fn deref(&self) -> &ClientWrapper {
        &self.0
    }
}

impl DerefMut for Pooled {
    fn deref_mut(&mut self) -> &mut ClientWrapper {
        &mut self.0
    }
}

impl Pooled {
    /// Ends the session instead of giving it back; its place in the pool is free.
    pub fn discard(self) {
        drop(managed::Object::take(self.0));
    }
}

/// How busy a pool is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolStatus {
    /// Most sessions.
    pub limit: usize,
    /// Sessions there are.
    pub open: usize,
    /// Of these, not borrowed.
    pub idle: usize,
    /// Callers that wait for one.
    pub waiting: usize,
}

impl Pool {
    pub(super) fn new(postgres: Postgres, name: &str, size: usize) -> Self {
        let described = postgres.target().describe().into();
        let manager = Manager {
            postgres,
            name: name.to_owned(),
        };
        let inner = managed::Pool::builder(manager)
            .max_size(size)
            .wait_timeout(Some(WAIT))
            .runtime(deadpool::Runtime::Tokio1)
            .build();
        // Building fails only for time-outs without a runtime.
        let inner = inner.unwrap_or_else(|_| unreachable!("a runtime is given"));
        Self { inner, described }
    }

    /// Borrows a session, opening one if there is room. Cancel-safe.
    ///
    /// # Errors
    /// None came free in time, or none can be opened.
    pub async fn get(&self) -> Result<Pooled, Error> {
        let doing = || format!("cannot get a session to {}", self.described);
        self.inner
            .get()
            .await
            .map(Pooled)
            .map_err(|error| match error {
                PoolError::Backend(error) => error,
                PoolError::Timeout(TimeoutType::Wait) => Error::new(
                    ErrorKind::PoolBusy,
                    doing(),
                    format!("none of {} came free within {WAIT:?}", self.status().limit),
                ),
                PoolError::Closed => Error::new(ErrorKind::Closed, doing(), "the pool is closed"),
                PoolError::Timeout(_)
                | PoolError::NoRuntimeSpecified
                | PoolError::PostCreateHook(_) => {
                    Error::new(ErrorKind::Unexpected, doing(), error.to_string())
                }
            })
    }

    /// How busy it is.
    #[must_use]
    pub fn status(&self) -> PoolStatus {
        let status = self.inner.status();
        PoolStatus {
            limit: status.max_size,
            open: status.size,
            idle: status.available,
            waiting: status.waiting,
        }
    }

    /// Ends all idle sessions, and the others when they come back.
    pub fn close(&self) {
        self.inner.close();
    }
}
