//! One logical replication session: bytes in, status out.
//!
//! ```text
//!  socket ─▶ Wire ─▶ login ─▶ Session ── START_REPLICATION ─▶ LogicalStream ─▶ Frame ─▶ pump
//!    ▲        ▲ one unfinished frame and 64 KiB at most                          │
//!    └────────┴───────────── Status: written, flushed, applied ◀──── report() ───┘
//! ```
//!
//! Must hold: what is reported as flushed is exactly what the caller passed
//! (C1); an answer to the server's ping repeats it and adds nothing. Every
//! future of the stream may be dropped and asked for again without losing a
//! frame or tearing a message.
//! Must not: decode rows.
//! Why the caller may stop reading: rows that are not read stay in the socket,
//! and a full socket holds the server. It looks for replies while it waits to
//! send, so [`ReplicationStream::report`] on a timer keeps the session alive.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use model::Lsn;

mod error;
mod login;
mod session;
mod stream;
mod wire;

pub use error::{Definite, Error, ServerError, Transient};
pub use login::{ChannelBinding, Login};
pub use session::{IdentifiedSystem, Session};
pub use stream::LogicalStream;

/// What the server sends while it streams.
#[derive(Clone, PartialEq, Eq)]
pub enum Frame {
    /// One message of the plugin.
    Data {
        /// Where in the log it stands; zero for some messages.
        start: Lsn,
        /// The end of the server's log when it was sent.
        wal_end: Lsn,
        /// The message: [`crate::pgoutput::decode`].
        payload: Bytes,
    },
    /// A sign of life.
    Keepalive {
        /// Everything that concerns us below this position has been sent.
        wal_end: Lsn,
        /// The server wanted an answer at once, and has got one.
        reply_requested: bool,
    },
}

/// Shows sizes, not contents: rows do not belong in logs.
impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Frame::Data {
                start,
                wal_end,
                payload,
            } => f
                .debug_struct("Data")
                .field("start", start)
                .field("wal_end", wal_end)
                .field("bytes", &payload.len())
                .finish(),
            Frame::Keepalive {
                wal_end,
                reply_requested,
            } => f
                .debug_struct("Keepalive")
                .field("wal_end", wal_end)
                .field("reply_requested", reply_requested)
                .finish(),
        }
    }
}

/// How far this side has come. The server keeps WAL from `flushed` on; the
/// other two are for its views.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Status {
    /// Received.
    pub written: Lsn,
    /// Durable where it must be: confirmed, the server may forget it (C1).
    pub flushed: Lsn,
    /// Shown as `replay_lsn`.
    pub applied: Lsn,
}

/// The stream as the pump sees it, so that a test can script one.
pub trait ReplicationStream: Send {
    /// The next frame. A ping of the server is answered, with the last
    /// reported status, before it is handed out. Cancel-safe.
    ///
    /// # Errors
    /// The session has ended; it is of no further use.
    fn next(&mut self) -> impl Future<Output = Result<Frame, Error>> + Send;

    /// Tells the server how far this side has come. Needs no reading, so it
    /// works while the pump takes no rows. Cancel-safe: a later report
    /// replaces one that did not get out.
    ///
    /// # Errors
    /// The session has ended; it is of no further use.
    fn report(&mut self, status: Status) -> impl Future<Output = Result<(), Error>> + Send;

    /// The orderly end: a last report, then no more. What still arrives is
    /// dropped. Ends after `within` at the latest.
    ///
    /// # Errors
    /// The server did not take the last report in time, or had gone.
    fn finish(
        self,
        status: Status,
        within: Duration,
    ) -> impl Future<Output = Result<(), Error>> + Send
    where
        Self: Sized;
}

/// How long silence is borne.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// After so long without a byte the server is asked for a sign of life.
    pub ping_after: Duration,
    /// It has so long to give one, and to take what is sent to it.
    pub give_up_after: Duration,
    /// How often to report at least: a third of what the server bears, so that
    /// one late report is not the end.
    pub report_every: Duration,
}

impl Patience {
    /// Postgres' default for `wal_sender_timeout`, and ours where that is off.
    const USUAL: Duration = Duration::from_mins(1);
    /// More often than this is a waste, whatever the server would bear.
    const LONGEST_REPORT: Duration = Duration::from_secs(10);

    /// What suits a server with this `wal_sender_timeout`; zero means that the
    /// server waits for ever. The server may be silent for nearly all of that
    /// time while it decodes what others wrote.
    #[must_use]
    pub fn suited_to(wal_sender_timeout: Duration) -> Self {
        let bearable = if wal_sender_timeout.is_zero() {
            Self::USUAL
        } else {
            wal_sender_timeout
        };
        Patience {
            ping_after: bearable / 2,
            give_up_after: bearable,
            report_every: (bearable / 3).min(Self::LONGEST_REPORT),
        }
    }
}

impl Default for Patience {
    fn default() -> Self {
        Patience::suited_to(Duration::ZERO)
    }
}

#[cfg(test)]
mod tests;
