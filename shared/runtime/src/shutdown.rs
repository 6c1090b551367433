//! Stop is asked for once and reaches everything.
//! In: a signal, or a call. Out: a future that every loop selects on first.
//! Must hold: a child stops with its parent, never the other way round; a second
//! signal ends the process at once, because a crash is as safe as a stop.
//! Must not: wait for anything; owners do (`task`).

use std::future::Future;
use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::task::{Task, spawn};

/// The wish that a part of the process ends. Cheap to clone; clones are equal.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    token: CancellationToken,
}

impl Shutdown {
    /// Nothing asked for yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A part that stops when this stops, and can be stopped alone.
    #[must_use]
    pub fn child(&self) -> Self {
        Self {
            token: self.token.child_token(),
        }
    }

    /// Asks this and its children to stop. Asking again changes nothing.
    pub fn trigger(&self) {
        self.token.cancel();
    }

    /// Whether stop was asked for.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Ends once stop is asked for. Cancel-safe.
    pub async fn requested(&self) {
        self.token.cancelled().await;
    }

    /// Runs a future to its end, or drops it when stop is asked for (`None`).
    /// Only for futures that may be dropped half-way.
    pub async fn or_stop<F: Future>(&self, future: F) -> Option<F::Output> {
        self.token.run_until_cancelled(future).await
    }

    /// The token itself, for code that wants one.
    #[must_use]
    pub fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// Listens to SIGTERM and SIGINT: the first asks for a clean stop, the
    /// second ends the process at once with `second_exit_code`. The handlers are
    /// in place when this returns; the task keeps listening until it is dropped.
    ///
    /// # Errors
    /// The system refuses the handlers.
    pub fn on_signals(&self, second_exit_code: i32) -> io::Result<Task<()>> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let shutdown = self.clone();
        Ok(spawn("signals", async move {
            loop {
                let name = tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "SIGINT",
                };
                if shutdown.is_requested() {
                    tracing::warn!(signal = name, "second signal, ending at once");
                    std::process::exit(second_exit_code);
                }
                tracing::info!(signal = name, "stopping");
                shutdown.trigger();
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn a_child_stops_with_its_parent_and_alone() {
        let parent = Shutdown::new();
        let (first, second) = (parent.child(), parent.child());
        first.trigger();
        assert!(first.is_requested() && !parent.is_requested() && !second.is_requested());
        parent.trigger();
        tokio::time::timeout(Duration::from_secs(10), second.requested())
            .await
            .expect("the child hears its parent");
    }

    #[tokio::test]
    async fn work_is_dropped_when_stop_is_asked_for() {
        let shutdown = Shutdown::new();
        assert_eq!(shutdown.or_stop(async { 7 }).await, Some(7));
        shutdown.trigger();
        assert_eq!(shutdown.or_stop(std::future::pending::<u8>()).await, None);
    }

    #[tokio::test]
    async fn the_first_signal_asks_for_a_clean_stop() {
        // GIVEN the handlers
        let shutdown = Shutdown::new();
        let _listening = shutdown.on_signals(1).unwrap();
        // WHEN this process gets SIGTERM
        let pid = std::process::id().to_string();
        let sent = std::process::Command::new("kill")
            .args(["-TERM", &pid])
            .status();
        assert!(sent.unwrap().success());
        // THEN it does not end, but is asked to
        tokio::time::timeout(Duration::from_secs(10), shutdown.requested())
            .await
            .expect("the signal is heard");
    }
}
