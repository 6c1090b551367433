//! WAL → Kafka: reads logical replication and writes thin change records.
//!
//! ```text
//!  WAL ─▶ replication ─▶ pgoutput ─▶ relation ─▶ route ─▶ tail ─▶ publish ─▶ {p}.changes
//!           [TCP window]                                  skip    [100,000 records, 24 MiB]
//!  slot ◀── confirm ◀── gate ◀── committed offsets of the feeds' groups
//!  {p}.control ◀─▶ control ◀─▶ serve ◀─ needs        pump: the loop that connects them
//! ```
//!
//! `connect` makes one connection, in the order that each step needs; `run` makes another when one
//! has ended. Must hold: C1–C4. Must not: know documents or OpenSearch.

pub mod cli;
pub mod config;
pub mod error;
pub mod metrics;
pub mod state;
pub mod topics;
pub mod own;
pub mod preflight;
pub mod needs;
pub mod slot;
pub mod epoch;
pub mod replication;
pub mod pgoutput;
pub mod relation;
pub mod route;
pub mod tail;
pub mod publish;
pub mod heartbeat;
pub mod gate;
pub mod confirm;
pub mod control;
pub mod serve;
pub mod connect;
pub mod pump;

use std::sync::Arc;
use std::time::Duration;

use runtime::http::{Liveness, Readiness, Surface};
use runtime::retry::{Backoff, Policy, Waited};
use runtime::shutdown::Shutdown;

use crate::config::Config;
use crate::connect::Connector;
use crate::error::{Definite, Failure, Transient};
use crate::metrics::Metrics;
use crate::pump::Ended;
use crate::state::Shared;

/// How sessions and clients are named: a standby tells by it whether a capture holds the slot.
pub const APPLICATION: &str = "flusso-capture";

/// A connection that lasted so long starts the pauses anew.
const LASTED: Duration = Duration::from_secs(30);

/// Captures until stop is asked for. Reconnects by itself after any loss of Postgres or Kafka.
///
/// # Errors
/// What trying again cannot help.
pub async fn run(config: Config, shutdown: &Shutdown) -> Result<(), Definite> {
    let liveness = Liveness::new();
    let readiness = Readiness::new(shutdown);
    let connected = readiness.register("slot");
    let metrics = Metrics::new();
    let ack_mode = match config.slot_ack() {
        confirm::SlotAck::Sink => "sink",
        confirm::SlotAck::Broker => "broker",
    };
    let shared = Arc::new(Shared::new(
        config.source.slot.clone(),
        ack_mode,
        liveness.clone(),
    ));
    let status = Arc::clone(&shared);
    let surface = Surface::new(liveness.clone(), readiness, metrics.registry(), move || {
        status.status()
    });
    let mut serving = surface
        .serve(&config.public_address, shutdown)
        .await
        .map_err(|error| Definite::SetUp(error.to_string()))?;
    let turning = liveness.register("supervisor");
    let connector = Connector {
        config: Arc::new(config),
        metrics: metrics.clone(),
        shared: Arc::clone(&shared),
        connected,
    };
    let ended = supervise(&connector, &turning, shutdown).await;
    if let Err(Definite::Violation(violation)) = &ended {
        metrics.violated(violation);
        tracing::error!(guarantee = %violation.guarantee, "{violation}");
    }
    shutdown.trigger();
    serving
        .ended()
        .await
        .map_err(|error| Definite::SetUp(error.to_string()))?;
    ended
}

/// One connection after the other.
async fn supervise(
    connector: &Connector,
    turning: &runtime::http::Loop,
    shutdown: &Shutdown,
) -> Result<(), Definite> {
    let mut backoff = Backoff::new(Policy::default());
    let mut said = String::new();
    loop {
        turning.turn();
        let began = tokio::time::Instant::now();
        let watched = async {
            // The supervisor stands still while a connection runs; the pump is watched itself.
            let mut ticks = tokio::time::interval(Duration::from_secs(5));
            loop {
                ticks.tick().await;
                turning.turn();
            }
        };
        let failure = tokio::select! {
            ended = connector.run(turning, shutdown) => match ended {
                Ok(Ended::Stopped) => return Ok(()),
                Err(Failure::Definite(error)) => return Err(error),
                Err(Failure::Transient(error)) => error,
            },
            () = watched => continue,
            () = async { shutdown.requested().await; tokio::time::sleep(Duration::from_secs(25)).await } => return Ok(()),
        };
        if shutdown.is_requested() {
            return Ok(());
        }
        if began.elapsed() > LASTED {
            backoff.reset();
        }
        let text = failure.to_string();
        let is_news = said != text;
        match &failure {
            Transient::SlotBusy { .. } => {
                connector.shared.waits("standby", text.clone());
                tracing::info!(error = %failure, "standby");
            }
            Transient::SlotTaken { .. } => {
                connector.shared.waits("waiting", text.clone());
                // A person must act. Once: the holder is asked after every few seconds.
                if is_news {
                    tracing::error!(error = %failure, "another program holds the slot");
                }
            }
            Transient::Postgres(_)
            | Transient::Replication(_)
            | Transient::Kafka(_)
            | Transient::Publisher(_)
            | Transient::Forked { .. } => {
                connector.shared.waits("waiting", text.clone());
                tracing::warn!(error = %failure, "the connection ended; trying again");
            }
        }
        said = text;
        if backoff.wait(shutdown, None).await == Waited::Stopping {
            return Ok(());
        }
    }
}
