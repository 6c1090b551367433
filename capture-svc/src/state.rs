//! What the process shows of itself: `/status`, liveness.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::Epoch;
use runtime::http::{Liveness, Loop};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::pump::Status;

#[derive(Debug, Default)]
struct Inner {
    state: String,
    last_error: Option<String>,
    epoch: Option<Epoch>,
}

/// Shared between the supervisor, the pump and `/status`.
#[derive(Debug)]
pub struct Shared {
    started: Instant,
    liveness: Liveness,
    pump: Arc<Status>,
    slot: String,
    ack_mode: &'static str,
    inner: Mutex<Inner>,
}

impl Shared {
    /// A process that has just started.
    #[must_use]
    pub fn new(slot: String, ack_mode: &'static str, liveness: Liveness) -> Self {
        let inner = Inner {
            state: "starting".to_owned(),
            ..Inner::default()
        };
        Self {
            started: Instant::now(),
            liveness,
            pump: Arc::default(),
            slot,
            ack_mode,
            inner: Mutex::new(inner),
        }
    }

    /// What the pump shows.
    #[must_use]
    pub fn pump(&self) -> &Arc<Status> {
        &self.pump
    }

    /// A loop that is watched.
    #[must_use]
    pub fn turning(&self, name: &str) -> Loop {
        self.liveness.register(name)
    }

    /// What the process is doing. A reason to wait stays in sight over the tries that find it
    /// again.
    pub fn says(&self, state: &str) {
        let mut inner = self.lock();
        if inner.last_error.is_none() {
            state.clone_into(&mut inner.state);
        }
    }

    /// It streams.
    pub fn connected(&self, epoch: Epoch) {
        let mut inner = self.lock();
        "streaming".clone_into(&mut inner.state);
        inner.epoch = Some(epoch);
        inner.last_error = None;
    }

    /// It waits, and why.
    pub fn waits(&self, state: &str, error: String) {
        let mut inner = self.lock();
        state.clone_into(&mut inner.state);
        inner.last_error = Some(error);
    }

    /// The body of `/status`.
    #[must_use]
    pub fn status(&self) -> Value {
        let (positions, published) = self.pump.get();
        let inner = self.lock();
        let ack_mode = if positions.relieved {
            "broker (max_retained_wal)"
        } else {
            self.ack_mode
        };
        json!({
            "service": "capture-svc",
            "version": env!("CARGO_PKG_VERSION"),
            "uptime_seconds": self.started.elapsed().as_secs(),
            "state": inner.state,
            "last_error": inner.last_error,
            "slot": {
                "name": self.slot,
                "confirmed_lsn": positions.confirmed.to_string(),
                "received_lsn": positions.received.to_string(),
                "published_lsn": published.to_string(),
                "retained_bytes": positions.retained_bytes,
                "ack_mode": ack_mode,
                "epoch": inner.epoch.map(Epoch::get),
                "held_back_by": positions.held_back_by,
            },
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Texts stay right when another thread panicked.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
