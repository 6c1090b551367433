//! The only place that starts tasks and threads.
//! In: a name and a future (or a closure). Out: a handle whose owner awaits the end.
//! Must hold: nothing runs without a name and an owner; a panic or an error of a
//! task reaches its owner with the task's name, and dropping the owner stops it.
//! Must not: restart anything; that is the owner's decision.

use std::any::Any;
use std::collections::HashMap;
use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::{Id, JoinError, JoinHandle, JoinSet};
use tracing::Instrument;

/// Any error a task may end with.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// How a task, a thread or a blocking call failed to give its value.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// The code panicked: a bug.
    #[error("{name} panicked: {message}")]
    Panicked {
        /// The task's name.
        name: String,
        /// The panic's text, if it was text.
        message: String,
    },
    /// Ended from outside before it was done.
    #[error("{name} was cancelled")]
    Cancelled {
        /// The task's name.
        name: String,
    },
    /// Ended with an error of its own.
    #[error("{name} failed")]
    Failed {
        /// The task's name.
        name: String,
        /// That error.
        source: BoxError,
    },
}

impl TaskError {
    /// The name of what failed.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Panicked { name, .. } | Self::Cancelled { name } | Self::Failed { name, .. } => {
                name
            }
        }
    }

    fn from_join(name: &str, error: JoinError) -> Self {
        if error.is_panic() {
            Self::panicked(name, error.into_panic().as_ref())
        } else {
            Self::Cancelled {
                name: name.to_owned(),
            }
        }
    }

    fn panicked(name: &str, payload: &(dyn Any + Send)) -> Self {
        let message = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "(no text)".to_owned());
        Self::Panicked {
            name: name.to_owned(),
            message,
        }
    }
}

/// What a task of [`Tasks`] may end with: nothing, or a result.
pub trait Outcome: Send + 'static {
    /// The result, with the error boxed.
    ///
    /// # Errors
    /// The task's own.
    fn into_result(self) -> Result<(), BoxError>;
}

impl Outcome for () {
    fn into_result(self) -> Result<(), BoxError> {
        Ok(())
    }
}

impl<E: Into<BoxError> + Send + 'static> Outcome for Result<(), E> {
    fn into_result(self) -> Result<(), BoxError> {
        self.map_err(Into::into)
    }
}

/// One task with one owner. Dropping it aborts the task.
#[must_use = "dropping a task aborts it"]
pub struct Task<T> {
    name: String,
    handle: JoinHandle<T>,
}

impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Task({}, finished: {})",
            self.name,
            self.handle.is_finished()
        )
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.handle.abort();
    }
}

impl<T> Task<T> {
    /// The task's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }

    /// Asks it to end at its next await.
    pub fn abort(&self) {
        self.handle.abort();
    }

    /// Waits for its end. Cancel-safe: it may be awaited again as long as it
    /// has not answered.
    ///
    /// # Errors
    /// It panicked or was aborted.
    pub async fn join(&mut self) -> Result<T, TaskError> {
        (&mut self.handle)
            .await
            .map_err(|error| TaskError::from_join(&self.name, error))
    }
}

/// Starts one task for an owner that keeps the handle.
pub fn spawn<F>(name: impl Into<String>, future: F) -> Task<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let name = name.into();
    let span = tracing::debug_span!("task", name = %name);
    Task {
        name,
        handle: start(future.instrument(span)),
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that starts tasks")]
fn start<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(future)
}

/// For the crates whose API wants the bare handle (a pool that aborts it itself).
pub(crate) fn spawn_detached<F>(name: &str, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    start(future.instrument(tracing::debug_span!("task", name)))
}

/// Several tasks with one owner. Dropping it aborts them all.
#[derive(Default)]
pub struct Tasks {
    set: JoinSet<Result<(), BoxError>>,
    names: HashMap<Id, String>,
}

/// A task that has ended.
#[derive(Debug)]
pub struct Ended {
    /// Its name.
    pub name: String,
    /// How.
    pub result: Result<(), TaskError>,
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tasks").field(&self.running()).finish()
    }
}

impl Tasks {
    /// An owner of nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a task. Its end, its error and its panic come out of [`Tasks::next`].
    pub fn spawn<F>(&mut self, name: impl Into<String>, future: F)
    where
        F: Future + Send + 'static,
        F::Output: Outcome,
    {
        let name = name.into();
        let span = tracing::debug_span!("task", name = %name);
        let future = async move { future.await.into_result() }.instrument(span);
        let id = self.set.spawn(future).id();
        self.names.insert(id, name);
    }

    /// The names of those that have not been reported as ended.
    #[must_use]
    pub fn running(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.names.values().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    /// Waits for the next one to end; `None` when none is left. Cancel-safe.
    pub async fn next(&mut self) -> Option<Ended> {
        let joined = self.set.join_next_with_id().await?;
        Some(self.ended(joined))
    }

    /// Waits until all have ended, and says which did not end well. A task that
    /// is still there at the deadline is aborted and counts as cancelled.
    pub async fn join_all(&mut self, deadline: Duration) -> Vec<TaskError> {
        let until = tokio::time::Instant::now() + deadline;
        let mut failures = Vec::new();
        loop {
            match tokio::time::timeout_at(until, self.next()).await {
                Ok(None) => return failures,
                Ok(Some(ended)) => failures.extend(ended.result.err()),
                Err(_elapsed) => break,
            }
        }
        self.set.abort_all();
        while let Some(ended) = self.next().await {
            failures.extend(ended.result.err());
        }
        failures
    }

    fn ended(&mut self, joined: Result<(Id, Result<(), BoxError>), JoinError>) -> Ended {
        let id = match &joined {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        let name = self.names.remove(&id).unwrap_or_default();
        let result = match joined {
            Ok((_, Ok(()))) => Ok(()),
            Ok((_, Err(source))) => Err(TaskError::Failed {
                name: name.clone(),
                source,
            }),
            Err(error) => Err(TaskError::from_join(&name, error)),
        };
        Ended { name, result }
    }
}

/// A thread of its own for code that must block for its whole life (a Kafka
/// consumer, whose callbacks run on the thread that polls).
#[must_use = "its owner awaits its end"]
#[derive(Debug)]
pub struct Thread<T> {
    name: String,
    value: oneshot::Receiver<T>,
    handle: Option<std::thread::JoinHandle<()>>,
}

impl<T> Thread<T> {
    /// The thread's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Waits for its end. The thread cannot be ended from outside: tell it to
    /// stop first, by whatever it listens to. Cancel-safe.
    ///
    /// # Errors
    /// It panicked.
    pub async fn join(&mut self) -> Result<T, TaskError> {
        if let Ok(value) = (&mut self.value).await {
            return Ok(value);
        }
        // The sender is gone without a value: the thread is unwinding, so the
        // join is short.
        let payload = self.handle.take().and_then(|handle| handle.join().err());
        Err(match payload {
            Some(payload) => TaskError::panicked(&self.name, payload.as_ref()),
            None => TaskError::Cancelled {
                name: self.name.clone(),
            },
        })
    }
}

/// Starts a named thread.
///
/// # Errors
/// The system gives no more threads.
pub fn thread<T, F>(name: impl Into<String>, body: F) -> io::Result<Thread<T>>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    let name = name.into();
    let (sender, value) = oneshot::channel();
    let handle = std::thread::Builder::new()
        .name(name.clone())
        .spawn(move || {
            // The owner may be gone; then nobody wants the value.
            drop(sender.send(body()));
        })?;
    Ok(Thread {
        name,
        value,
        handle: Some(handle),
    })
}

/// Runs a short blocking call off the async threads and waits for it.
///
/// # Errors
/// It panicked, or the runtime is going down.
pub async fn blocking<T, F>(name: &str, body: F) -> Result<T, TaskError>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    tokio::task::spawn_blocking(body)
        .await
        .map_err(|error| TaskError::from_join(name, error))
}

#[cfg(test)]
mod tests;
